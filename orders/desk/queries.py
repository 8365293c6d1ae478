"""What HQ has to look at now: the queues, what runs out next, what went wrong, what is short.

Every function is one statement (stock_alarms: five), so a page costs the same on a quiet and on a busy day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum, Value

from inventory.ledger import queries as ledger
from inventory.locks import queries as locks
from inventory.models import StockDrift
from inventory.pool import queries as pool
from inventory.replenishment import queries as replenishment
from oms_project.journal.models import Delivery
from orders.live.rules import day_start
from orders.models import FulfillmentOrder, Offer, Order, OrderHold, SourceMessage
from orders.stranded import queries as stranded

MOST_ALARMS = 1_000
_WAITING = (Order.State.HELD, Order.State.PLACED, Order.State.UNROUTABLE)


@dataclass(frozen=True, slots=True)
class Today:
    """Orders that came in since midnight in Shanghai; cancelled ones are counted apart, without their money."""

    orders: int
    paid_fen: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait for the same thing, and since when the oldest of them does."""

    count: int
    oldest: datetime | None

    def waited_minutes(self, at: datetime) -> int:
        return int((at - self.oldest).total_seconds() // 60) if self.oldest else 0


EMPTY = Queue(0, None)


@dataclass(frozen=True, slots=True)
class ClosingOffer:
    """An offer that runs out soon if its dealer does not answer."""

    offer_id: int
    offer_no: str
    dealer: str
    summary: str
    income_fen: int
    expires_at: datetime


def today(at: datetime) -> Today:
    """Today's orders and money."""
    came = Order.objects.filter(placed_at__gte=day_start(at))
    standing = ~Q(state=Order.State.CANCELLED)
    row = came.aggregate(
        orders=Count("id", filter=standing),
        paid_fen=Sum("paid_fen", filter=standing, default=0),
        cancelled=Count("id", filter=Q(state=Order.State.CANCELLED)),
    )
    return Today(**row)


def waiting_orders() -> dict[str, Queue]:
    """Orders that wait, by state: held, placed, unroutable."""
    rows = Order.objects.filter(state__in=_WAITING).values("state").annotate(count=Count("id"), oldest=Min("placed_at"))
    return {row["state"]: Queue(row["count"], row["oldest"]) for row in rows.order_by("state")}


def held_by_reason() -> dict[str, Queue]:
    """Open holds of held orders by reason; an order with two reasons counts under both."""
    held = OrderHold.objects.filter(released_at=None, order__state=Order.State.HELD)
    rows = held.values("reason").annotate(count=Count("id"), oldest=Min("opened_at")).order_by("-count", "reason")
    return {row["reason"]: Queue(row["count"], row["oldest"]) for row in rows}


def stuck_works() -> Queue:
    """Work that no dealer took: a person must place it."""
    return _queue(
        FulfillmentOrder.objects.filter(state=FulfillmentOrder.State.STUCK).aggregate(n=Count("id"), t=Min("opened_at"))
    )


def refunds_due() -> Queue:
    """Orders that were cancelled after too long a wait, whose money has not gone back on the channel."""
    return _queue(stranded.refunds_due().aggregate(n=Count("id"), t=Min("cancelled_at")))


def parked_messages() -> Queue:
    """Messages of channels that failed too often and wait for a person."""
    parked = SourceMessage.objects.filter(done_at=None, due_at=None)
    return _queue(parked.aggregate(n=Count("id"), t=Min("received_at")))


def dead_letters() -> Queue:
    """Facts that a subscriber could not act on and that wait for a retry."""
    return _queue(Delivery.objects.exclude(parked_at=None).aggregate(n=Count("id"), t=Min("parked_at")))


def _queue(row: dict[str, object]) -> Queue:
    return Queue(row["n"], row["t"])  # type: ignore[arg-type]


def closing_offers(*, at: datetime, seconds: int, limit: int) -> list[ClosingOffer]:
    """Open offers whose time is up within some seconds, the nearest first."""
    soon = Offer.objects.filter(state=Offer.State.PENDING, expires_at__lte=at + timedelta(seconds=seconds))
    columns = ("id", "offer_no", "dealer__name", "work__summary", "income_fen", "expires_at")
    return [ClosingOffer(*row) for row in soon.order_by("expires_at", "id").values_list(*columns)[:limit]]


def stock_alarms(at: datetime) -> dict[str, int]:
    """What is wrong with stock, counted up to MOST_ALARMS: over, stale, drift, transfers, locks. One statement each.

    Each count is that of a list of the admin: what is published above 可售, dealers' stock that was not reported in
    time, differences in the books as last found, transfers that are late or came short, locks that could not be filled.
    """
    found: dict[str, QuerySet[Any]] = {
        "over": pool.over_published(),
        "stale": ledger.stale_at_dealers(at=at),
        "drift": StockDrift.objects.all(),
        "transfers": replenishment.late_transfers(at=at) | replenishment.short_transfers(at=at),
        "locks": locks.unfilled(),
    }
    return {name: rows[:MOST_ALARMS].count() for name, rows in found.items()}


def badges() -> dict[str, int]:
    """How long the queues are, for the side bar: held, unroutable, stuck, offers, parked, dead."""
    asked = {
        "held": Order.objects.filter(state=Order.State.HELD),
        "unroutable": Order.objects.filter(state=Order.State.UNROUTABLE),
        "stuck": FulfillmentOrder.objects.filter(state=FulfillmentOrder.State.STUCK),
        "offers": Offer.objects.filter(state=Offer.State.PENDING),
        "parked": SourceMessage.objects.filter(done_at=None, due_at=None),
        "dead": Delivery.objects.exclude(parked_at=None),
    }
    first, *rest = (
        rows.order_by().values(queue=Value(name)).annotate(count=Count("id")).values_list("queue", "count")
        for name, rows in asked.items()
    )
    return {name: 0 for name in asked} | dict(first.union(*rest, all=True))
