"""What is offered, to whom, until when and for how much. Plain values, no database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dealers.settlement.rules import PricedLine, WorkToPrice
from inventory.reservations.rules import Want
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.work.rules import NewWork

SHANGHAI = ZoneInfo("Asia/Shanghai")
GONE = {
    "pending": "这张单已超时，系统会派给下一家",
    "accepted": "这张单已接单",
    "declined": "这张单已拒单，不能再接",
    "expired": "这张单已超时，系统已派给下一家",
    "withdrawn": "订单已取消或改派，这张单已撤回",
}


def why_it_came_back(state: str, dealer: str, reason: str) -> str:
    """Why work that a person had pinned to a dealer waits for a person again; `state` is that of the last offer."""
    told = {"declined": f"指定的{dealer}拒单：{reason}", "expired": f"指定的{dealer}超时未接单"}
    return told.get(state, f"对{dealer}的指定已撤回")


@dataclass(frozen=True, slots=True)
class DealerTerms:
    """What dispatch needs to know of a dealer: its name in the ledger, and when it works."""

    dealer_id: int
    code: str
    tier: str
    opens_at: time
    closes_at: time
    weekdays: str


@dataclass(frozen=True, slots=True)
class Planned:
    """One piece of work as decided: these lines of an order, from this node."""

    order: OrderToRoute
    fo_no: str
    node_id: int
    dealer_id: int | None
    lines: tuple[LineToRoute, ...]
    ladder_step: int
    seconds: int
    is_pinned: bool = False

    @property
    def needs_install(self) -> bool:
        return any(line.install_skill for line in self.lines)

    @property
    def paid_fen(self) -> int:
        return sum(line.paid_fen for line in self.lines)

    @property
    def first_state(self) -> str:
        """A dealer is asked first; HQ's own work is accepted as it opens."""
        return "offered" if self.dealer_id else "accepted"

    @property
    def wants(self) -> tuple[Want, ...]:
        """What it takes from stock, summed per SKU; nothing for services and virtual goods."""
        needed: dict[int, int] = {}
        for line in self.lines:
            if line.is_counted:
                needed[line.sku_id] = needed.get(line.sku_id, 0) + line.quantity
        kind = "pinned" if self.is_pinned else "offer" if self.dealer_id else "node"
        claims = self.order.claims
        return tuple(
            Want(self.fo_no, self.node_id, sku_id, quantity, kind, claims) for sku_id, quantity in sorted(needed.items())
        )

    def as_work(self, at: datetime) -> NewWork:
        return NewWork(
            fo_no=self.fo_no,
            order_id=self.order.order_id,
            node_id=self.node_id,
            dealer_id=self.dealer_id,
            state=self.first_state,
            needs_install=self.needs_install,
            paid_fen=self.paid_fen,
            summary=summarise(self.lines),
            lines=tuple((line.line_id, line.sku_id, line.quantity) for line in self.lines),
            accepted_at=None if self.dealer_id else at,
            is_pinned=self.is_pinned,
        )

    def as_priced(self, dealer: DealerTerms) -> WorkToPrice:
        """The work as the settlement rules see it, in the hands of this dealer."""
        lines = (
            PricedLine(line.sku_code, line.category, line.quantity, line.paid_fen, line.supply_price_fen) for line in self.lines
        )
        return WorkToPrice(
            channel=self.order.channel,
            division_code=self.order.division_code,
            dealer_code=dealer.code,
            dealer_tier=dealer.tier,
            needs_install=self.needs_install,
            paid_fen=self.paid_fen,
            anchor=self.order.anchor,
            lines=tuple(lines),
        )


def summarise(lines: Sequence[LineToRoute]) -> str:
    """The goods in one line: '沙发 KT-3300 ×1', or '沙发 KT-3300 ×1 等3件' when there is more."""
    if not lines:
        return ""
    first, units = lines[0], sum(line.quantity for line in lines)
    more = f" 等{units}件" if len(lines) > 1 else ""
    return f"{first.name[:120]} ×{first.quantity}{more}"


def offer_actions(state: str) -> tuple[str, ...]:
    """What the asked dealer may do now."""
    return ("accept", "decline") if state == "pending" else ()


def deadline(
    opened_at: datetime, seconds: int, opens_at: time, closes_at: time, weekdays: str, tz: ZoneInfo = SHANGHAI
) -> datetime:
    """The moment at which `seconds` of the dealer's working time have passed, in UTC.

    Time counts only while open: on the given weekdays (1 is Monday), from opens_at to closes_at
    of that zone. Closing before opening means after midnight, on the next day; both the same
    means round the clock. A dealer that never opens is asked by the wall clock.
    """
    days = {int(day) for day in weekdays if day in "1234567"}
    if not days:
        return opened_at.astimezone(UTC) + timedelta(seconds=seconds)
    remaining = timedelta(seconds=seconds)
    opened = opened_at.astimezone(UTC)
    day = opened_at.astimezone(tz).date() - timedelta(days=1)
    overnight = timedelta(days=1 if closes_at <= opens_at else 0)
    while True:
        if day.isoweekday() in days:
            start = max(opened, datetime.combine(day, opens_at, tz).astimezone(UTC))
            end = datetime.combine(day + overnight, closes_at, tz).astimezone(UTC)
            if start < end:
                if remaining <= end - start:
                    return start + remaining
                remaining -= end - start
        day += timedelta(days=1)
