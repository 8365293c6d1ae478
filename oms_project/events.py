"""The dictionary of facts: what can be recorded in the journal, and who may hear of it live.

Each fact is a frozen dataclass of ids, codes, amounts and times: enough to act on without asking
back, never personal data. `rooms` are the audiences of the live feed: "ops" is HQ (admins,
operators, finance), "dealer:<id>" is everybody of one dealer.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A fact in the past tense."""

    name: ClassVar[str]

    @property
    def subject(self) -> str:
        """What the fact is about, as `kind:key`; the thread of one thing's history."""
        return f"order:{getattr(self, 'order_no', '')}"

    @property
    def rooms(self) -> tuple[str, ...]:
        dealer_id = getattr(self, "dealer_id", None)
        return ("ops", f"dealer:{dealer_id}") if dealer_id else ("ops",)

    def payload(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderPlaced(Event):
    """A paid order without open holds waits to be routed."""

    name: ClassVar[str] = "order.placed"
    order_id: int
    order_no: str
    channel: str
    shop: str
    division_code: str
    region: str
    paid_fen: int
    units: int
    live_session: str = ""
    anchor: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderHeld(Event):
    """An order waits for a person; the reasons are codes of OrderHold.Reason."""

    name: ClassVar[str] = "order.held"
    order_id: int
    order_no: str
    reasons: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderAmended(Event):
    """The channel changed an order after it was placed; `changes` are field names."""

    name: ClassVar[str] = "order.amended"
    order_id: int
    order_no: str
    changes: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderClosedAtSource(Event):
    """The channel closed (cancelled or fully refunded before shipping) an order."""

    name: ClassVar[str] = "order.closed_at_source"
    order_id: int
    order_no: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderFinishedAtSource(Event):
    """The buyer confirmed receipt on the channel."""

    name: ClassVar[str] = "order.finished_at_source"
    order_id: int
    order_no: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundSucceeded(Event):
    """The channel paid money back to the buyer. `refund_key` is unique per refund."""

    name: ClassVar[str] = "refund.succeeded"
    order_id: int
    order_no: str
    refund_key: str
    external_line_id: str
    amount_fen: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderRouted(Event):
    """An order was decided and its stock is held."""

    name: ClassVar[str] = "order.routed"
    order_id: int
    order_no: str
    division_code: str
    cost_fen: int
    nodes: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderUnroutable(Event):
    """No plan holds now; the order is retried when stock, capacity or rules change."""

    name: ClassVar[str] = "order.unroutable"
    order_id: int
    order_no: str
    division_code: str
    reasons: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderCancelled(Event):
    """Everything of the order ended without being fulfilled."""

    name: ClassVar[str] = "order.cancelled"
    order_id: int
    order_no: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderCompleted(Event):
    """Every piece of work of the order is completed."""

    name: ClassVar[str] = "order.completed"
    order_id: int
    order_no: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferOpened(Event):
    """One dealer is asked to take one piece of work until `expires_at` (ISO time)."""

    name: ClassVar[str] = "offer.opened"
    offer_id: int
    offer_no: str
    fo_id: int
    fo_no: str
    order_no: str
    dealer_id: int
    division_code: str
    region: str
    summary: str
    income_fen: int
    expires_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferClosed(Event):
    """An offer ended: state is accepted, declined, expired or withdrawn."""

    name: ClassVar[str] = "offer.closed"
    offer_id: int
    offer_no: str
    fo_id: int
    fo_no: str
    order_no: str
    dealer_id: int
    division_code: str
    state: str
    reason: str = ""
    answered_by: str = ""
    waited_seconds: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkMoved(Event):
    """A piece of work entered a state (FulfillmentOrder.State). dealer_id None means HQ's own."""

    name: ClassVar[str] = "work.moved"
    fo_id: int
    fo_no: str
    order_no: str
    dealer_id: int | None
    division_code: str
    was: str
    state: str
    actor: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkCompleted(Event):
    """Work is done: the snapshot from which settlement posts, amounts as frozen on the offer.

    `components` are dicts {component, payee, amount_fen, paid_fen, rule, explain}, where payee is
    "dealer:<code>" or "anchor:<id>" and paid_fen is the buyer's money of this work.
    """

    name: ClassVar[str] = "work.completed"
    fo_id: int
    fo_no: str
    order_no: str
    dealer_id: int | None
    dealer_code: str
    shop: str
    channel: str
    paid_fen: int
    completed_at: str
    components: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rooms(self) -> tuple[str, ...]:
        """HQ only: the components tell what others earn by the work. The dealer hears of it as work.moved."""
        return ("ops",)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkRefunded(Event):
    """A refund falls on one piece of work: this part of its buyer's money went back."""

    name: ClassVar[str] = "work.refunded"
    fo_id: int
    fo_no: str
    order_no: str
    dealer_id: int | None
    refund_key: str
    amount_fen: int
    refunded_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StockArrived(Event):
    """Stock rose at a node, so waiting orders may be routable now."""

    name: ClassVar[str] = "stock.arrived"
    node_id: int
    sku_ids: list[int]

    @property
    def subject(self) -> str:
        return f"node:{self.node_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StockShort(Event):
    """A report or a count found fewer units than are promised: `lacking` of them cannot be delivered from there."""

    name: ClassVar[str] = "stock.short"
    node_id: int
    node: str
    sku_id: int
    sku_code: str
    lacking: int
    source: str

    @property
    def subject(self) -> str:
        return f"level:{self.node_id}/{self.sku_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StockRulesChanged(Event):
    """How much of some stock the pool may use was changed; the levels follow."""

    name: ClassVar[str] = "stock.rules_changed"
    what: str

    @property
    def subject(self) -> str:
        return f"stock_rules:{self.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StockPublished(Event):
    """The figures of one shop changed; `changes` are {"sku": code, "quantity": units}, at most 500 per fact."""

    name: ClassVar[str] = "stock.published"
    channel: str
    shop: str
    version: int
    changes: list[dict[str, Any]]

    @property
    def subject(self) -> str:
        return f"shop:{self.channel}/{self.shop}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StockLockMoved(Event):
    """A stock lock began, was filled up, or ended; `locked` is what it holds now and `drawn` what its buyers took."""

    name: ClassVar[str] = "stock.lock_moved"
    lock_no: str
    claim: str
    sku_code: str
    state: str
    locked: int
    drawn: int

    @property
    def subject(self) -> str:
        return f"lock:{self.lock_no}"


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingMoved(Event):
    """Goods on their way were announced, arrived in part, got another date, or do not come (Incoming.State).

    `lacking` units of what was promised on them are not covered any more.
    """

    name: ClassVar[str] = "incoming.moved"
    source_key: str
    node_id: int
    sku_id: int
    state: str
    quantity: int
    received: int
    promised: int
    expected_on: str
    reason: str = ""
    lacking: int = 0

    @property
    def subject(self) -> str:
        return f"incoming:{self.source_key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferMoved(Event):
    """A transfer order entered a state (Transfer.State), or goods of it arrived and more are to come."""

    name: ClassVar[str] = "transfer.moved"
    transfer_no: str
    source_node_id: int
    target_node_id: int
    was: str
    state: str
    reason: str = ""

    @property
    def subject(self) -> str:
        return f"transfer:{self.transfer_no}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKeyChanged(Event):
    """A key of another system was made or revoked; for HQ's eyes, whosever it is. Never the secret."""

    name: ClassVar[str] = "api_key.changed"
    prefix: str
    key_name: str
    dealer: str
    may_read: bool
    may_write: bool
    state: str

    @property
    def subject(self) -> str:
        return f"api_key:{self.prefix}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutingChanged(Event):
    """Rules, nodes or areas changed, so waiting orders may be routable now."""

    name: ClassVar[str] = "routing.changed"
    what: str

    @property
    def subject(self) -> str:
        return f"routing:{self.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryDue(Event):
    """Orders that nobody could serve are to be tried again, from a place in their queue on, the oldest first.

    Empty `node_ids` are all places, empty `sku_ids` all goods. `after_at` (ISO time) and `after_id`
    say up to which order it is done; empty at the beginning.
    """

    name: ClassVar[str] = "order.retry_due"
    node_ids: list[int] = field(default_factory=list)
    sku_ids: list[int] = field(default_factory=list)
    after_at: str = ""
    after_id: int = 0

    @property
    def subject(self) -> str:
        return "queue:unroutable"


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacityFreed(Event):
    """A dealer that was full may get work again: given_back, new_day or raised."""

    name: ClassVar[str] = "capacity.freed"
    dealer_id: int
    why: str

    @property
    def subject(self) -> str:
        return f"dealer:{self.dealer_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementReady(Event):
    """A dealer's statement was drawn up for a period."""

    name: ClassVar[str] = "statement.ready"
    statement_no: str
    dealer_id: int | None
    closing_fen: int

    @property
    def subject(self) -> str:
        return f"statement:{self.statement_no}"
