"""Many orders at once: everybody together as cheap as can be, not each at the expense of the next. Pure.

The start is first come, first served, each order exactly. Then those that came off badly may buy
from those to whom it matters little (chains), if there is time from a start that already counts
with scarcity (prices). Stopping early is always safe: a plan in hand is a plan that can be kept.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from oms_project.money import yuan
from orders.routing.chains import Exchange, Story
from orders.routing.market import BatchTerms, Lot, OpenOrder, Parcel, Placement, Plan, prepare
from orders.routing.partition import UNREACHABLE, indexes_of
from orders.routing.prices import scarcity_prices
from orders.routing.rules import RELAXED_TEXT
from orders.routing.shelves import FullShelves, Prices, Shelves, fill
from orders.routing.table import RoutingTable

MOST_MOVES = 2
KeepsGoing = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try: rounds of prices, then passes of chains as (depth, least excess in fen)."""

    price_rounds: int
    passes: tuple[tuple[int, int], ...]


FIRST_COME = Effort(0, ())
QUICK = Effort(0, ((1, 500),))
REDECIDE = Effort(0, ((1, 500), (3, 100)))
FULL = Effort(12, ((1, 500), (3, 100), (3, 20)))


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an order ends up, as in a Decision: cost_fen is its packages and its split fees.

    is_relaxed: nobody could serve it on its terms, so it was placed on looser ones.
    """

    order_id: int
    placements: tuple[Placement, ...]
    cost_fen: int
    unfilled: tuple[int, ...] = ()
    is_relaxed: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """An order that does not stay where it was, or where it would have gone first come.

    gain_fen is what the batch saves on this order; negative for one that makes way. Moves belong
    together: the place that one takes may be the one that another gives up. scarcity_fen is what
    it was asked for what others had; nothing where somebody had to climb a rung, which is no money.
    """

    order_id: int
    before: tuple[Placement, ...]
    after: tuple[Placement, ...]
    gain_fen: int
    displaced: tuple[int, ...] = ()
    made_way_for: int | None = None
    scarcity_fen: int = 0
    is_relaxed: bool = False

    @property
    def reason(self) -> str:
        """Why, for people."""
        found = []
        if self.made_way_for is not None:
            found.append(f"让位给订单 {self.made_way_for}")
        if self.displaced:
            found.append(f"请订单 {'、'.join(map(str, self.displaced))} 让位")
        if self.is_relaxed:
            found.append("放宽规则后派出")
        if self.scarcity_fen:
            found.append(f"稀缺价 {yuan(self.scarcity_fen)}")
        return "，".join(found) or "整批统筹后更省"


@dataclass(frozen=True, slots=True)
class Batch:
    """The outcome for all orders that could be moved, and what changed.

    total_fen is everything a batch weighs; first_come_fen what it was before anybody moved. The
    gains of the moves sum to the difference.
    """

    placed: tuple[Placed, ...]
    moves: tuple[Move, ...]
    first_come_fen: int
    total_fen: int


def route_batch(
    orders: Sequence[OpenOrder],
    table: RoutingTable,
    stock: Mapping[tuple[int, int], int],
    *,
    remaining: Mapping[int, int] | None = None,
    terms: BatchTerms | None = None,
    effort: Effort = FULL,
    prices: Prices | None = None,
    keeps_going: KeepsGoing = lambda: True,
) -> Batch:
    """The best places for all these orders within the effort and while `keeps_going()`.

    Orders that have places keep them until a move pays; the others are placed in the order given.
    Never touched: what a dealer accepted, what was moved twice, and what stands where it could not
    be put today. `stock` and `remaining` are what is left beside what the orders have. With
    forecast `prices` every plan is chosen and counted with them, so decide with the same ones.
    Whoever has no place in the end is tried on looser terms, where its terms say so.
    """
    with _nothing_to_collect():
        return _route(orders, table, stock, remaining, terms or BatchTerms(), effort, prices, keeps_going)


def _route(
    orders: Sequence[OpenOrder],
    table: RoutingTable,
    stock: Mapping[tuple[int, int], int],
    remaining: Mapping[int, int] | None,
    terms: BatchTerms,
    effort: Effort,
    prices: Prices | None,
    keeps_going: KeepsGoing,
) -> Batch:
    lots = _free(prepare(orders, table, terms))
    shelves = fill(lots, stock, remaining, rung_fen=terms.rung_fen)
    opening = FullShelves.like(shelves, prices)
    shelves.prices = prices
    for lot in lots:
        if lot.plan[1]:
            opening.take(lot, lot.plan, -1)
            lot.plan = shelves.worth(lot, lot.plan[1]), lot.plan[1]
    if effort != FIRST_COME:
        for lot in lots:
            lot.rank(opening)
    _first_come([lot for lot in lots if not lot.plan[1]], shelves)
    before = [lot.plan for lot in lots]
    first_come_fen = _total(lots)
    stories, shelves = _improve(lots, opening, shelves, effort, keeps_going)
    if _total(lots) > first_come_fen:
        stories, shelves = {}, Shelves.like(opening, prices)
        for lot, plan in zip(lots, before, strict=True):
            lot.plan = plan
            shelves.take(lot, plan)
    lots = _relax(lots, table, terms, shelves)
    moved = [(lot, was) for lot, was in zip(lots, before, strict=True) if lot.plan is not was]
    return Batch(
        placed=tuple(as_placed(lot, shelves) for lot in lots),
        moves=tuple(
            _move(lot, was, stories.get(lot.number, Story()), lots, terms)
            for lot, was in moved
            if set(lot.plan[1]) != set(was[1])
        ),
        first_come_fen=first_come_fen,
        total_fen=_total(lots),
    )


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """A batch makes hundreds of thousands of tuples and no cycles; looking for cycles would take a third of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _improve(
    lots: Sequence[Lot], opening: FullShelves, shelves: Shelves, effort: Effort, keeps_going: KeepsGoing
) -> tuple[dict[int, Story], Shelves]:
    """Better plans for the lots, if there are any; returns how they came about, and what is left then."""
    if effort == FIRST_COME:
        return {}, shelves
    for lot in lots:
        lot.ideal_fen = opening.cheapest(lot)[0]
    if effort.price_rounds:
        scarce = scarcity_prices(lots, opening, keeps_going=keeps_going, rounds=effort.price_rounds)
        shelves = Shelves.like(opening, scarce)
        _first_come(lots, shelves)
        shelves.prices = opening.prices
        for lot in lots:
            lot.plan = shelves.worth(lot, lot.plan[1]), lot.plan[1]
    exchange = Exchange(lots, shelves)
    for depth, excess_fen in effort.passes:
        if not exchange.improve(depth=depth, excess_fen=excess_fen, keeps_going=keeps_going):
            break
    return exchange.stories, shelves


def _relax(lots: Sequence[Lot], table: RoutingTable, terms: BatchTerms, shelves: Shelves) -> list[Lot]:
    """The lots, those that have no place and may have one on looser terms replaced by one that has it."""
    found = list(lots)
    stranded = [lot for lot in lots if not lot.plan[1] and table.terms_for(lot.asked.order).on_unroutable in RELAXED_TEXT]
    looser = prepare([lot.asked for lot in stranded], table, terms, is_relaxed=True)
    for lot, again in zip(stranded, looser, strict=True):
        plan = shelves.cheapest(again) if again.units else again.unserved
        if plan[1]:
            again.number, again.plan, again.is_relaxed = lot.number, plan, True
            shelves.take(again, plan)
            found[lot.number] = again
    return found


def _first_come(lots: Sequence[Lot], shelves: Shelves) -> None:
    for lot in lots:
        lot.plan = shelves.cheapest(lot)
        shelves.take(lot, lot.plan)


def _total(lots: Sequence[Lot]) -> int:
    return sum(lot.plan[0] for lot in lots)


def _free(lots: Sequence[Lot]) -> list[Lot]:
    """The lots that may be placed or moved, each with the plan that it has."""
    free: list[Lot] = []
    for lot in lots:
        asked = lot.asked
        plan = _current(lot)
        if plan is not None and not asked.is_accepted and not (asked.current and asked.moves >= MOST_MOVES):
            lot.number, lot.plan = len(free), plan
            free.append(lot)
    return free


def _current(lot: Lot) -> Plan | None:
    """The places that an order has, as a plan still without its cost; None if it could not have them today."""
    unit_of = {line: unit for unit, lines in enumerate(lot.units) for line in lines}
    parcels: list[Parcel] = []
    for placement in lot.asked.current:
        mask = 0
        for line in placement.line_indexes:
            mask |= 1 << unit_of[line]
        spot = lot.spot(placement.node_id, mask)
        if spot is None or sum(len(lot.units[unit]) for unit in indexes_of(mask)) != len(placement.line_indexes):
            return None
        parcels.append((mask, spot[2], spot[3], spot[0]))
    return 0, tuple(parcels)


def as_placed(lot: Lot, shelves: Shelves) -> Placed:
    """Where the plan of a lot puts its order, and what that costs with the prices of the shelves."""
    parcels = lot.plan[1]
    cost = sum([parcel[3] for parcel in parcels]) + lot.split_fee_fen * max(0, len(parcels) - 1)
    if shelves.prices is not None:
        cost += sum(shelves.prices.of(node_id, dealer_id, lot.needs_of(mask)) for mask, node_id, dealer_id, _ in parcels)
    placements = lot.placements(lot.plan)
    served = sum([len(placement.line_indexes) for placement in placements])
    unfilled: tuple[int, ...] = ()
    if served < len(lot.asked.order.lines):
        given = {line for placement in placements for line in placement.line_indexes}
        unfilled = tuple(line for line in range(len(lot.asked.order.lines)) if line not in given)
    return Placed(lot.asked.order.order_id, placements, cost, unfilled, lot.is_relaxed)


def _move(lot: Lot, before: Plan, story: Story, lots: Sequence[Lot], terms: BatchTerms) -> Move:
    def ids(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(lots[number].asked.order.order_id for number in numbers)

    made_way_for = ids([story.made_way_for])[0] if story.made_way_for is not None else None
    return Move(
        order_id=lot.asked.order.order_id,
        before=lot.placements(before),
        after=lot.placements(lot.plan),
        gain_fen=before[0] - lot.plan[0],
        displaced=ids(story.displaced),
        made_way_for=made_way_for,
        scarcity_fen=story.scarcity_fen if story.scarcity_fen < (terms.rung_fen or UNREACHABLE) else 0,
        is_relaxed=lot.is_relaxed,
    )
