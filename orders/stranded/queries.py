"""The queue of orders that nobody can serve now, in the order of their age, and where a person might place one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from dealers.capacity.rules import DealerDay, left_of
from dealers.models import Skill
from inventory.models import Node
from orders.dispatch import queries as dispatch
from orders.lifecycle.models import Order, OrderHold, OrderLine, StrandedOrder
from orders.lifecycle.queries import orders_to_route
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing import queries as routing
from orders.routing.rules import decide
from orders.scarcity import queries as scarcity
from orders.stranded.rules import PlaceFacts


class Waiting(NamedTuple):
    """An order in the queue."""

    order_id: int
    division_code: str
    channel: str
    placed_at: datetime


def next_waiting(*, sku_ids: Collection[int], after: tuple[datetime, int] | None, limit: int) -> list[Waiting]:
    """The next orders of the queue, oldest first: all, or those that need some of these SKUs."""
    orders = Order.objects.filter(state=Order.State.UNROUTABLE)
    if after:
        behind = Q(placed_at__gt=after[0]) | Q(placed_at=after[0], pk__gt=after[1])
        orders = orders.filter(behind, placed_at__gte=after[0])  # the second is what the index understands
    if sku_ids:
        orders = orders.filter(Exists(OrderLine.objects.filter(order=OuterRef("pk"), sku__in=sku_ids)))
    rows = orders.order_by("placed_at", "id").values_list("id", "division_code", "channel", "placed_at")
    return [Waiting(*row) for row in rows[:limit]]


def nodes_of(dealer_ids: Collection[int]) -> list[int]:
    """The places of some dealers."""
    return list(Node.objects.filter(dealer__in=dealer_ids, is_active=True).order_by("pk").values_list("pk", flat=True))


def with_other_holds() -> Exists:
    """Whether an order is held for something else than that nobody can serve it."""
    holds = OrderHold.objects.filter(order=OuterRef("order"), released_at=None)
    return Exists(holds.exclude(reason=OrderHold.Reason.UNROUTABLE))


def overdue(at: datetime, limit: int) -> list[int]:
    """Orders that have waited too long, the longest overdue first; by id of the order."""
    due = StrandedOrder.objects.filter(cancelled_at=None, cancel_at__lte=at).exclude(with_other_holds())
    return list(due.order_by("cancel_at", "id").values_list("order_id", flat=True)[:limit])


def waiting_rows() -> QuerySet[StrandedOrder]:
    """Who waits now."""
    return StrandedOrder.objects.filter(cancelled_at=None)


def refunds_due() -> QuerySet[StrandedOrder]:
    """Orders that were cancelled after too long a wait, and whose buyer has not got the money back on the channel."""
    gone = StrandedOrder.objects.filter(cancelled_at__isnull=False, order__refunded_fen__lt=F("order__paid_fen"))
    return gone.exclude(order__channel_status=Order.ChannelStatus.CLOSED)


def place_facts(codes: Collection[str]) -> dict[str, PlaceFacts]:
    """Active places by their codes, with the skills of their dealers."""
    nodes = list(Node.objects.filter(code__in=codes, is_active=True))
    skills: dict[int, set[str]] = {}
    dealers = [node.dealer_id for node in nodes if node.dealer_id]
    for dealer_id, skill in Skill.objects.filter(dealer__in=dealers).values_list("dealer_id", "code"):
        skills.setdefault(dealer_id, set()).add(skill)
    return {
        node.code: PlaceFacts(node.pk, node.name, node.dealer_id, frozenset(skills.get(node.dealer_id or 0, ())))
        for node in nodes
    }


@dataclass(frozen=True, slots=True)
class Option:
    """A place as it looks for one waiting order now: what is free there per line, and why routing does not use it."""

    code: str
    name: str
    km: int
    days: int
    free: tuple[int | None, ...]
    day: DealerDay | None
    cost_fen: int | None
    why_not: str

    @property
    def is_able(self) -> bool:
        return not self.why_not


@dataclass(frozen=True, slots=True)
class Placing:
    """Everything that a person needs to place one order."""

    order: OrderToRoute
    lines: tuple[LineToRoute, ...]
    options: tuple[Option, ...]


def placing_of(order_id: int, at: datetime) -> Placing | None:
    """One order's goods and all places with a claim to it, as routing sees them now; None where nothing is open."""
    orders = orders_to_route([order_id])
    if not orders:
        return None
    order, table = orders[0], routing.routing_table(at)
    stock, days = dispatch.stock_for([order], table, at), dispatch.days_for([order], table, at)
    seen, scarce = stock.view(order.claims), scarcity.scarcity(at)
    decision = decide(
        order,
        table,
        seen,
        ladder=dispatch.ladder_for(order.channel),
        at=at,
        remaining=left_of(days.values()),
        scarcity=scarce.units,
        work_prices=scarce.works,
    )
    nodes = {node.code: node for node in dispatch.roster().nodes.values()}
    options = []
    for entry in decision.trace:
        node = nodes[entry["node"]]
        free = tuple(max(0, seen.get((node.node_id, line.sku_id), 0)) if line.is_counted else None for line in order.lines)
        day = days.get(node.dealer_id) if node.dealer_id else None
        options.append(_option(entry, free, day, order.lines))
    options.sort(key=lambda each: (not each.is_able, each.cost_fen is None, each.cost_fen, each.code))
    return Placing(order, order.lines, tuple(options))


def _option(entry: dict[str, Any], free: tuple[int | None, ...], day: DealerDay | None, lines: Sequence[LineToRoute]) -> Option:
    lacking: dict[str, list[str]] = {}
    for index, text in entry.get("missing", {}).items():
        lacking.setdefault(text, []).append(lines[int(index)].name)
    return Option(
        code=entry["node"],
        name=entry["name"],
        km=entry["km"],
        days=entry["days"],
        free=free,
        day=day,
        cost_fen=entry.get("cost_fen"),
        why_not=entry.get("text", "") or "；".join(f"{'、'.join(names)}：{text}" for text, names in lacking.items()),
    )
