"""What was: the orders of a period, and the stock that the first of them found, with what happened to it since.

Levels are counted back: on hand now without all movements since, less what was promised then. What
other bills took or gave back in the meantime, and what came in, are changes on the way; the goods
of the orders that are replayed are not, because the replay decides about them anew. Shares and
limits of the pool hold as they are today.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, Sum

from dealers.capacity import queries as capacity
from dealers.capacity.rules import DealerDay
from dealers.models import Dealer
from inventory.ledger.rules import free_units
from inventory.models import Level, Movement, Reservation, StockLock
from inventory.reservations.rules import Shelf
from orders.lifecycle.models import Order, OrderLine
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.offers.models import Offer
from orders.rulesets.rules import SHANGHAI
from orders.simulation.rules import Change, Due, Place

ROUTED = (Order.State.PLACED, Order.State.UNROUTABLE, Order.State.ROUTED, Order.State.COMPLETED)
_SKU = ("sku_id", "sku__code", "sku__name", "sku__weight_g", "sku__kind", "sku__install_skill", "sku__category")
_ORDER = (
    "id",
    "order_no",
    "channel",
    "shop",
    "division_code",
    "region",
    "paid_fen",
    "placed_at",
    "anchor",
    "live_session",
    "tags",
)


def orders_placed(*, since: datetime, until: datetime, channel: str, limit: int) -> list[Due]:
    """Orders that came within [since, until) and were or are to be routed, the oldest first; two statements.

    Cancelled and held ones are left out, and lines that were cancelled or that nobody could match.
    """
    found = Order.objects.filter(placed_at__gte=since, placed_at__lt=until, state__in=ROUTED).exclude(division_code="")
    if channel:
        found = found.filter(channel=channel)
    rows = list(found.order_by("placed_at", "id").values_list(*_ORDER)[:limit])
    if not rows:
        return []
    wanted = OrderLine.objects.filter(order__in=found.order_by(), order__placed_at__lte=rows[-1][7])
    open_lines = wanted.filter(sku__isnull=False, quantity__gt=F("cancelled_quantity")).order_by("order_id", "position")
    lines: dict[int, list[LineToRoute]] = {}
    columns = ("order_id", "id", "quantity", "cancelled_quantity", "paid_fen", "external_line_id", "sku__supply_price_fen", *_SKU)
    for (
        order_id,
        line_id,
        quantity,
        cancelled,
        paid,
        bundle,
        supply,
        sku,
        code,
        name,
        weight,
        kind,
        skill,
        category,
    ) in open_lines.values_list(*columns).iterator(5_000):
        line = LineToRoute(
            line_id, sku, code, name, quantity - cancelled, paid, weight, kind == "physical", skill, category, supply, bundle
        )
        lines.setdefault(order_id, []).append(line)
    return [
        Due(
            OrderToRoute(
                pk, number, row_channel, shop, division, region, paid, placed_at, anchor, tuple(lines[pk]),
                live_session=session, tags=frozenset(tags),
            ),
            placed_at,
            region,
        )
        for pk, number, row_channel, shop, division, region, paid, placed_at, anchor, session, tags in rows
        if pk in lines
    ]  # fmt: skip


@dataclass(slots=True)
class Opening:
    """Stock at a moment, and what happened to it after, in the order of time."""

    shelf: Shelf
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class _Held:
    bill: str
    kind: str
    place: Place
    quantity: int
    drawn: int
    lock_no: str
    held_at: datetime
    closed_at: datetime | None
    is_released: bool
    is_replayed: bool

    def came_after(self, since: datetime) -> bool:
        """Whether it was not there yet; what a replayed order took never was."""
        return self.is_replayed or self.held_at > since


def opening(*, sku_ids: Collection[int], order_nos: Collection[str], since: datetime, until: datetime) -> Opening:
    """The stock of these SKUs as it was at `since`, and its changes up to `until`; five statements.

    `order_nos` are the orders that are replayed: what their bills took after `since` did not happen.
    """
    moved = Movement.objects.filter(sku_id__in=sku_ids, moved_at__gt=since)
    later = {
        (node, sku): units for node, sku, units in moved.values_list("node_id", "sku_id").annotate(Sum("quantity")).order_by()
    }
    held = _held_since(sku_ids, since, set(order_nos))
    then: dict[Place, int] = {}
    locked: dict[str, dict[Place, int]] = {}
    drawn: dict[tuple[str, Place], int] = {}
    for each in held:
        if each.lock_no and each.came_after(since):
            drawn[each.lock_no, each.place] = drawn.get((each.lock_no, each.place), 0) + each.drawn
    for each in held:
        if not each.came_after(since):
            units = each.quantity + (drawn.get((each.bill, each.place), 0) if each.kind == "lock" else 0)
            then[each.place] = then.get(each.place, 0) + units
            if each.kind == "lock":
                locked.setdefault(each.bill, {})[each.place] = units
    rules = ("node_id", "sku_id", "on_hand", "safety_stock", "share_percent", "share_cap", "keep_back")
    fresh = Q(fresh_until=None) | Q(fresh_until__gt=since)
    free = {}
    for node, sku, on_hand, safety, percent, cap, keep in Level.objects.filter(fresh, sku_id__in=sku_ids).values_list(*rules):
        place = node, sku
        free[place] = free_units(on_hand - later.get(place, 0), then.get(place, 0), safety, percent, cap, keep)
    changes = [*_stock_moved(sku_ids, since, until), *_bills(held, drawn, since, until)]
    changes = [change for change in changes if change.place in free]
    return Opening(Shelf(free, _claims(held), locked), sorted(changes, key=lambda change: change.at))


def _held_since(sku_ids: Collection[int], since: datetime, order_nos: Collection[str]) -> list[_Held]:
    """Every reservation at a place that stood at `since` or came after it."""
    standing = Reservation.objects.filter(Q(closed_at=None) | Q(closed_at__gt=since), level__sku_id__in=sku_ids)
    columns = ("bill", "kind", "level__node_id", "level__sku_id", "quantity", "drawn", "lock_no", "held_at", "closed_at", "state")
    return [
        _Held(
            bill,
            kind,
            (node, sku),
            quantity,
            drawn,
            lock_no,
            held_at,
            closed_at,
            state == Reservation.State.RELEASED,
            bill.rpartition("-")[0] in order_nos,
        )
        for bill, kind, node, sku, quantity, drawn, lock_no, held_at, closed_at, state in (
            standing.order_by("held_at", "id").values_list(*columns).iterator(5_000)
        )
    ]


def _stock_moved(sku_ids: Collection[int], since: datetime, until: datetime) -> Iterable[Change]:
    """What came in, was counted or was taken out; what left for a bill was promised before and is counted there."""
    moved = Movement.objects.filter(sku_id__in=sku_ids, moved_at__gt=since, moved_at__lte=until)
    others = moved.exclude(source_key__startswith="ship:")
    for node, sku, units, at in others.values_list("node_id", "sku_id", "quantity", "moved_at").iterator(5_000):
        yield Change(at, (node, sku), units)


def _bills(
    held: Iterable[_Held],
    drawn: Mapping[tuple[str, Place], int],
    since: datetime,
    until: datetime,
) -> Iterable[Change]:
    """What bills other than those of the replayed orders took and gave back on the way."""
    for each in held:
        if each.held_at > until:
            continue
        closes = each.closed_at if each.closed_at is not None and each.closed_at <= until else None
        if each.kind == "lock":
            if each.held_at > since:
                units = each.quantity + drawn.get((each.bill, each.place), 0)
                yield Change(each.held_at, each.place, -units)
                yield Change(each.held_at, each.place, units, each.bill)
            if closes:
                yield Change(closes, each.place, None, each.bill)
            continue
        if each.is_replayed:
            continue
        if each.held_at > since:
            yield Change(each.held_at, each.place, each.drawn - each.quantity)
            if each.drawn:
                yield Change(each.held_at, each.place, -each.drawn, each.lock_no)
        if closes and each.is_released:
            yield Change(closes, each.place, each.quantity)


def _claims(held: Iterable[_Held]) -> dict[str, tuple[str, ...]]:
    """By claim, the locks that had or got something, the highest priority first."""
    numbers = {each.bill for each in held if each.kind == "lock"}
    found: dict[str, tuple[str, ...]] = {}
    if numbers:
        locks = StockLock.objects.filter(lock_no__in=numbers).order_by("-priority", "id")
        for claim, number in locks.values_list("claim", "lock_no"):
            found[claim] = (*found.get(claim, ()), number)
    return found


def won_before(at: datetime) -> dict[int, int]:
    """How many offers each dealer had accepted in that month until then."""
    month = at.astimezone(SHANGHAI).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    accepted = Offer.objects.filter(state=Offer.State.ACCEPTED, answered_at__gte=month, answered_at__lt=at)
    counts: dict[int, int] = {}
    for dealer_id in accepted.values_list("dealer_id", flat=True).iterator(5_000):
        counts[dealer_id] = counts.get(dealer_id, 0) + 1
    return counts


def days_of_all(at: datetime) -> dict[int, DealerDay]:
    """What each dealer may take on the day of a moment, with what it may carry on."""
    return capacity.days_of(list(Dealer.objects.values_list("id", flat=True)), at)
