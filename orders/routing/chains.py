"""Orders that make way for each other, as long as everybody together gets cheaper. Pure.

What is used up may be bought: its price is what the holder loses who can most easily go elsewhere.
Whoever is displaced looks for a place in the same way, up to a given depth. A chain is kept only
if the sum of all its orders falls; otherwise everything is as it was.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from orders.routing.market import NO_PLAN, OURS, Lot, Needs, Plan, Ranking
from orders.routing.partition import UNREACHABLE
from orders.routing.shelves import Choice, Shelves

KeepsGoing = Callable[[], bool]
Thing = tuple[int, int]  # (node, SKU): units there; (dealer, WORK): one piece of its work
WORK = -1


@dataclass(slots=True)
class Story:
    """How an order came to its last move: whom it displaced, who displaced it, the price it was asked."""

    displaced: tuple[int, ...] = ()
    made_way_for: int | None = None
    scarcity_fen: int = 0


@dataclass(slots=True)
class Exchange:
    """All lots of a batch with their plans taken off the shelves, and who holds what."""

    lots: Sequence[Lot]
    shelves: Shelves
    stories: dict[int, Story] = field(default_factory=dict)
    _holders: dict[Thing, set[int]] = field(default_factory=dict)
    _losses: dict[Thing, list[tuple[int, int]]] = field(default_factory=dict)
    _banned: frozenset[Thing] = frozenset()

    def __post_init__(self) -> None:
        for lot in self.lots:
            self._hold(lot)

    def improve(self, *, depth: int, excess_fen: int, keeps_going: KeepsGoing) -> int:
        """One pass over the orders, those first that are furthest above their ideal; returns the fen saved.

        Only orders at least `excess_fen` above it are worth looking at. May stop after any order.
        """
        self._losses.clear()
        saved = 0
        far = sorted((lot.ideal_fen - lot.plan[0], lot.number) for lot in self.lots if lot.plan[0] - lot.ideal_fen >= excess_fen)
        for _, number in far:
            if not keeps_going():
                break
            lot = self.lots[number]
            if lot.plan[0] - lot.ideal_fen >= excess_fen:
                saved += self._improve(lot, depth)
        return saved

    def _improve(self, lot: Lot, depth: int) -> int:
        """Try one chain that starts with this order; returns the fen saved."""
        before = lot.plan
        self.shelves.take(lot, before, -1)
        self._banned = frozenset()
        wanted = self.shelves.plan(lot, self._bid, before[0])
        if not wanted[1] or wanted[0] >= before[0] or _same(wanted, before):
            self.shelves.take(lot, before)
            return 0
        self._let_go(lot)
        moved: dict[int, tuple[Lot, Plan]] = {lot.number: (lot, before)}
        told: dict[int, Story] = {}
        self._settle(lot, wanted, depth, moved, told)
        saved = sum(old[0] - each.plan[0] for each, old in moved.values())
        if saved > 0:
            self.stories |= told
        else:
            for each, _ in moved.values():
                self._let_go(each)
                self.shelves.take(each, each.plan, -1)
            for each, old in moved.values():
                each.plan = old
                self.shelves.take(each, old)
                self._hold(each)
        for each, _ in moved.values():
            self._reprice(each, 0 if saved > 0 else 1)
        return max(0, saved)

    def _settle(self, lot: Lot, wanted: Plan, depth: int, moved: dict[int, tuple[Lot, Plan]], told: dict[int, Story]) -> None:
        """Give a released order the plan that it wants; whoever must make way settles next."""
        evicted: list[Lot] = []
        short = list(self._short(lot, wanted))
        for thing, units in short:
            while self._left(thing) < units:
                holder = self._cheapest_holder(thing)
                if holder is None:
                    break
                heapq.heappop(self._losses[thing])
                other = self.lots[holder[1]]
                self._let_go(other)
                self.shelves.take(other, other.plan, -1)
                moved.setdefault(other.number, (other, other.plan))
                other.plan = NO_PLAN
                evicted.append(other)
            if self._left(thing) < units:
                wanted = self.shelves.cheapest(lot)
                break
        lot.plan = self.shelves.worth(lot, wanted[1]), wanted[1]
        self.shelves.take(lot, lot.plan)
        self._hold(lot)
        story = told.setdefault(lot.number, Story())
        story.displaced += tuple(other.number for other in evicted)
        story.scarcity_fen = max(0, wanted[0] - lot.plan[0])
        banned = self._banned | {thing for thing, _ in short}
        for other in evicted:
            told.setdefault(other.number, Story()).made_way_for = lot.number
            self._banned = banned
            plan = self.shelves.plan(other, self._bid, other.limit_fen) if depth > 1 else self.shelves.cheapest(other)
            self._settle(other, plan, depth - 1, moved, told)

    def _bid(self, ranking: Ranking, needs: Needs, limit: int) -> Choice | None:
        """The best place when what is used up may be bought."""
        shelves = self.shelves
        left, room, prices = shelves.left, shelves.room, shelves.prices
        best, found = limit, None
        for spot in ranking:
            cost, _, node_id, dealer_id = spot
            if cost >= best:
                break
            if prices is not None:
                cost += prices.of(node_id, dealer_id, needs)
            if room[dealer_id] <= 0 and cost < best:
                cost += self._price((dealer_id, WORK))
            for sku_id, units in needs:
                if cost < best and left[sku_id].get(node_id, 0) < units:
                    cost += self._price((node_id, sku_id))
            if cost < best:
                best, found = cost, spot
        return (best, found) if found is not None else None

    def _price(self, thing: Thing) -> int:
        """What it costs to make somebody give this up."""
        holder = None if thing in self._banned else self._cheapest_holder(thing)
        return UNREACHABLE if holder is None else max(0, holder[0])

    def _cheapest_holder(self, thing: Thing) -> tuple[int, int] | None:
        """(loss, order) of the holder that can most easily go elsewhere."""
        holders = self._holders.get(thing)
        if not holders:
            return None
        losses = self._losses.get(thing)
        if losses is None:
            losses = self._losses[thing] = [(self._loss(self.lots[number], thing), number) for number in holders]
            heapq.heapify(losses)
        while losses and losses[0][1] not in holders:
            heapq.heappop(losses)
        return losses[0] if losses else None

    def _loss(self, lot: Lot, thing: Thing) -> int:
        """What an order loses when it may not have this, while nobody else moves."""
        key, sku_id = thing
        shelf = self.shelves.room if sku_id == WORK else self.shelves.left[sku_id]
        self.shelves.take(lot, lot.plan, -1)
        kept, shelf[key] = shelf[key], 0
        elsewhere = self.shelves.cheapest(lot)[0]
        shelf[key] = kept
        self.shelves.take(lot, lot.plan)
        return elsewhere - lot.plan[0]

    def _reprice(self, lot: Lot, more_fen: int) -> None:
        """Offer what an order holds now to whoever asks later; a failed chain makes it a little dearer."""
        for thing, _ in _things(lot, lot.plan):
            if thing in self._losses:
                heapq.heappush(self._losses[thing], (self._loss(lot, thing) + more_fen, lot.number))

    def _left(self, thing: Thing) -> int:
        key, sku_id = thing
        return self.shelves.room[key] if sku_id == WORK else self.shelves.left[sku_id].get(key, 0)

    def _short(self, lot: Lot, plan: Plan) -> Iterator[tuple[Thing, int]]:
        """What a plan needs that is not there."""
        for thing, units in _things(lot, plan):
            if self._left(thing) < units:
                yield thing, units

    def _hold(self, lot: Lot) -> None:
        for thing, _ in _things(lot, lot.plan):
            self._holders.setdefault(thing, set()).add(lot.number)

    def _let_go(self, lot: Lot) -> None:
        for thing, _ in _things(lot, lot.plan):
            self._holders[thing].discard(lot.number)


def _things(lot: Lot, plan: Plan) -> list[tuple[Thing, int]]:
    """All that a plan uses, with how much of it."""
    found = []
    for mask, node_id, dealer_id, _ in plan[1]:
        if dealer_id != OURS:
            found.append(((dealer_id, WORK), sum(other[2] == dealer_id for other in plan[1])))
        found += [((node_id, sku_id), units) for sku_id, units in lot.needs_of(mask)]
    return found


def _same(one: Plan, other: Plan) -> bool:
    return sorted(one[1]) == sorted(other[1])
