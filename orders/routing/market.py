"""The orders of one batch, prepared so that the same question can be asked thousands of times. Pure.

Places are ranked once per area and weight of goods; a question then walks down a short list until
it meets somebody who has the goods. Costs are those of `Candidate.cost_fen`, as for one decision.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol
from weakref import WeakKeyDictionary

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.plans import EXACT_LINES, UNREACHABLE, indexes_of
from orders.routing.rules import NEVER, Rung
from orders.routing.table import Candidate, RoutingTable

OURS = 0  # stands for the dealer of HQ's own places

Stand = tuple[int, int, int, int, int]  # base cost in fen, kind of terms, rank by code, node id, dealer id
Spot = tuple[int, int, int, int]  # cost in fen, rank by code, node id, dealer id
Ranking = list[Spot]  # cheapest first
Needs = tuple[tuple[int, int], ...]  # (SKU id, units)
Goods = tuple[int, int, frozenset[str], Needs]  # weight in g, units to install, skills asked for, what it takes from stock
Parcel = tuple[int, int, int, int]  # mask of units, node id, dealer id, cost in fen
Plan = tuple[int, tuple[Parcel, ...]]  # cost in fen with everything a batch weighs, and the parcels

MOST_ASKINGS = 1000  # ladders and refusals whose areas are kept
Asking = tuple[tuple[Rung, ...], frozenset[int], bool]  # ladder, refusals, whether rungs count
NO_GOODS: Goods = (0, 0, frozenset(), ())
NO_PLAN: Plan = (0, ())


class Left(Protocol):
    """What is left: units by SKU and node, pieces of work by dealer."""

    left: dict[int, dict[int, int]]
    room: dict[int, int]


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """What a batch weighs besides the cost of packages, in fen.

    unfilled_fen: a unit that nobody delivers. rung_fen: a rung of the ladder climbed; so dear that
    the ladder is the fence it is for a single decision, while 0 lets money alone decide.
    is_whole: an order goes whole or not at all; otherwise single lines may stay behind.
    """

    unfilled_fen: int = 40_000
    rung_fen: int = 1_000_000
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Placement:
    """Some lines of an order at one place; lines by their position in the order, from 0."""

    node_id: int
    line_indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order to place, or one that has its places and may be moved.

    together: lines that must come from one place. current: where it is now; what that takes is no
    longer in the stock. moves: how often it was moved before. A dealer's yes (is_accepted) fixes it.
    """

    order: OrderToRoute
    ladder: tuple[Rung, ...]
    refused: frozenset[int] = frozenset()
    together: tuple[tuple[int, ...], ...] = ()
    current: tuple[Placement, ...] = ()
    moves: int = 0
    is_accepted: bool = False


class Area:
    """The places open to orders of one district, channel, ladder and set of refusals."""

    def __init__(self, places: Sequence[tuple[Candidate, int]], rungs: int) -> None:
        """`places` by code, each with the rung on which it is asked."""
        self.rungs = rungs
        self.rung_of = {place.node.node_id: rung for place, rung in places}
        self.place_of = {place.node.node_id: place for place, _ in places}
        self.dealers = frozenset(place.node.dealer_id or OURS for place, _ in places)
        self._terms: dict[tuple[int, int, int, int], Candidate] = {}
        self._stands: list[Stand] = []
        numbers: dict[tuple[int, int, int, int], int] = {}
        for number, (place, _) in enumerate(places):
            terms = (place.first_weight_g, place.step_weight_g, place.step_fen, place.install_fen)
            self._terms.setdefault(terms, place)
            kind = numbers.setdefault(terms, len(numbers))
            self._stands.append((place.base_fen, kind, number, place.node.node_id, place.node.dealer_id or OURS))
        self._able: dict[tuple[frozenset[str], int], list[Stand]] = {}

    def stands(self, skills: frozenset[str], rung: int) -> list[Stand]:
        """The places with these skills up to a rung; our own buy them."""
        found = self._able.get((skills, rung))
        if found is None:
            found = self._able[skills, rung] = [
                stand for stand in self._stands if self.rung_of[stand[3]] <= rung and self.has_skills(stand[3], skills)
            ]
        return found

    def has_skills(self, node_id: int, skills: frozenset[str]) -> bool:
        node = self.place_of[node_id].node
        return node.dealer_id is None or skills <= node.skills

    def extras(self, weight_g: int, installs: int) -> list[int]:
        """What these goods add to the cost of a package, by the kind of a stand."""
        return [place.goods_fen(weight_g, installs) for place in self._terms.values()]

    def spot(self, node_id: int, goods: Goods) -> Spot | None:
        """One place with the cost of these goods there; None if it is not open to them."""
        place = self.place_of.get(node_id)
        if place is None or not self.has_skills(node_id, goods[2]):
            return None
        number = next(stand[2] for stand in self._stands if stand[3] == node_id)
        return place.cost_fen(goods[0], goods[1]), number, node_id, place.node.dealer_id or OURS


@dataclass(slots=True)
class Lot:
    """An order ready to be asked about. A unit is a line, or the lines that must stay together.

    goods are by mask of units, for up to eight units. rankings, by rung and mask, are there for who is
    asked about often: the places that had the goods when it was ranked. has_shared: units share a SKU.
    waived is what it costs to leave a unit out, limit_fen a cost at which no plan is worth having.
    sku_id and quantity are set where all is one unit of one SKU on one rung, the most frequent case.
    """

    number: int
    asked: OpenOrder
    area: Area
    units: tuple[tuple[int, ...], ...]
    goods: list[Goods]
    has_shared: bool
    waived: list[int]
    unserved: Plan
    limit_fen: int
    sku_id: int = 0
    quantity: int = 0
    ideal_fen: int = 0
    plan: Plan = NO_PLAN
    rankings: list[list[Ranking]] = field(default_factory=list)

    @property
    def full(self) -> int:
        return (1 << len(self.units)) - 1

    def rank(self, stock: Left) -> None:
        """Remember who has the goods now; ask so when all is on the shelves."""
        self.rankings = [self.ranked(stock, rung) for rung in range(self.area.rungs)]

    def ranked(self, stock: Left, rung: int) -> list[Ranking]:
        """By mask of units: the places up to a rung that have the goods now, cheapest first, equal costs by code."""
        if len(self.goods) > 2:
            return self._ranked_by_mask(stock, rung)
        room = stock.room
        rankings: list[Ranking] = [[]]
        for weight_g, installs, skills, needs in self.goods[1:]:
            extra = self.area.extras(weight_g, installs)
            ranking = [
                (base + extra[kind], number, node_id, dealer_id)
                for base, kind, number, node_id, dealer_id in self._with(stock.left, needs, self.area.stands(skills, rung))
                if room[dealer_id] > 0
            ]
            ranking.sort()
            rankings.append(ranking)
        return rankings

    def _ranked_by_mask(self, stock: Left, rung: int) -> list[Ranking]:
        left, area = stock.left, self.area
        able: dict[Stand, int] = {}
        for unit in range(len(self.units)):
            _, _, skills, needs = self.goods[1 << unit]
            for stand in self._with(left, needs, area.stands(skills, rung)):
                able[stand] = able.get(stand, 0) | 1 << unit
        free = [(has, *stand) for stand, has in able.items() if stock.room[stand[4]] > 0]
        rankings: list[Ranking] = [[]]
        for mask in range(1, len(self.goods)):
            weight_g, installs, _, needs = self.goods[mask]
            extra = area.extras(weight_g, installs)
            ranking = [
                (base + extra[kind], number, node_id, dealer_id)
                for has, base, kind, number, node_id, dealer_id in free
                if has & mask == mask and (not self.has_shared or has_all(left, node_id, needs))
            ]
            ranking.sort()
            rankings.append(ranking)
        return rankings

    @staticmethod
    def _with(left: Mapping[int, Mapping[int, int]], needs: Needs, stands: list[Stand]) -> list[Stand]:
        """The stands that have the goods."""
        if len(needs) != 1:
            return [stand for stand in stands if has_all(left, stand[3], needs)]
        ((sku_id, units),) = needs
        here = left[sku_id]
        return [stand for stand in stands if here.get(stand[3], 0) >= units]

    def needs_of(self, mask: int) -> Needs:
        return self.goods[mask][3] if mask < len(self.goods) else self.goods_of(mask)[3]

    def goods_of(self, mask: int) -> Goods:
        """The goods of any mask, also where there are too many units to list them all."""
        found = NO_GOODS
        for unit in indexes_of(mask):
            found = _added(found, _goods(self.asked.order.lines[index] for index in self.units[unit]))
        return found

    def placements(self, plan: Plan) -> tuple[Placement, ...]:
        """A plan in the words of the order, by line."""
        if len(plan[1]) == 1 and plan[1][0][0] == self.full:
            return (Placement(plan[1][0][1], tuple(range(len(self.asked.order.lines)))),)
        found = (
            Placement(node_id, tuple(sorted(line for unit in indexes_of(mask) for line in self.units[unit])))
            for mask, node_id, _, _ in plan[1]
        )
        return tuple(sorted(found, key=lambda each: each.line_indexes))


_areas: WeakKeyDictionary[RoutingTable, dict[Asking, dict[tuple[str, str], Area]]] = WeakKeyDictionary()


def prepare(orders: Sequence[OpenOrder], table: RoutingTable, terms: BatchTerms) -> list[Lot]:
    """The orders ready to be asked about. Areas are kept as long as their table lives."""
    of_table = _areas.setdefault(table, {})
    is_strict = terms.rung_fen > 0
    here: dict[tuple[str, str], Area] = {}
    ladder: tuple[Rung, ...] | None = None
    refused: frozenset[int] = frozenset()
    lots = []
    for number, asked in enumerate(orders):
        if asked.ladder is not ladder or asked.refused is not refused:
            ladder, refused = asked.ladder, asked.refused
            if len(of_table) >= MOST_ASKINGS:
                of_table.clear()
            here = of_table.setdefault((ladder, refused, is_strict), {})
        key = (asked.order.division_code, asked.order.channel)
        area = here.get(key)
        if area is None:
            area = here[key] = _area(asked, table, is_strict=is_strict)
        lots.append(_lot(number, asked, area, terms))
    return lots


def _area(asked: OpenOrder, table: RoutingTable, *, is_strict: bool) -> Area:
    ranks: dict[str, int] = {}
    for index, rung in enumerate(asked.ladder):
        ranks.setdefault(rung.target, index if is_strict else 0)
    places = []
    for place in table.considered(asked.order.division_code, asked.order.channel):
        rank, dealer_id = ranks.get(place.target, NEVER), place.node.dealer_id
        if place.fence is None and rank != NEVER and (dealer_id is None or dealer_id not in asked.refused):
            places.append((place, rank))
    return Area(places, 1 + max((rank for _, rank in places), default=-1))


def _lot(number: int, asked: OpenOrder, area: Area, terms: BatchTerms) -> Lot:
    lines = asked.order.lines
    units = _units(len(lines), asked.together)
    goods = [NO_GOODS]
    if len(units) <= EXACT_LINES:
        for unit in units:
            mine = _goods([lines[index] for index in unit])
            goods += [_added(before, mine) if before is not NO_GOODS else mine for before in goods]
    worth = [terms.unfilled_fen * sum([lines[index].quantity for index in unit]) for unit in units]
    unserved_fen = sum(worth) + terms.rung_fen * len(asked.ladder)
    lot = Lot(
        number=number,
        asked=asked,
        area=area,
        units=units,
        goods=goods,
        has_shared=len(units) > 1 and _shares(lines),
        waived=[UNREACHABLE] * len(units) if terms.is_whole else worth,
        unserved=(unserved_fen, ()),
        limit_fen=UNREACHABLE if terms.is_whole else unserved_fen,
    )
    if len(units) == 1 and area.rungs == 1 and len(goods[1][3]) == 1:
        ((lot.sku_id, lot.quantity),) = goods[1][3]
    return lot


def _units(count: int, together: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    """The lines by units; groups that share a line are one."""
    if not together:
        return _each_alone(count)
    unit_of = list(range(count))
    for group in together:
        joined = {unit_of[index] for index in group}
        unit_of = [min(joined) if unit in joined else unit for unit in unit_of]
    return tuple(tuple(index for index in range(count) if unit_of[index] == unit) for unit in sorted(set(unit_of)))


@cache
def _each_alone(count: int) -> tuple[tuple[int, ...], ...]:
    return tuple((index,) for index in range(count))


def _shares(lines: Sequence[LineToRoute]) -> bool:
    counted = [line.sku_id for line in lines if line.is_counted]
    return len(set(counted)) < len(counted)


def has_all(left: Mapping[int, Mapping[int, int]], node_id: int, needs: Needs) -> bool:
    """A plain loop, as this is asked millions of times."""
    for sku_id, units in needs:  # noqa: SIM110
        if left[sku_id].get(node_id, 0) < units:
            return False
    return True


def _goods(lines: Iterable[LineToRoute]) -> Goods:
    weight = installs = 0
    skills: set[str] = set()
    needs: dict[int, int] = {}
    for line in lines:
        if line.is_counted:
            weight += line.weight_g * line.quantity
            needs[line.sku_id] = needs.get(line.sku_id, 0) + line.quantity
        if line.install_skill:
            installs += line.quantity
            skills.add(line.install_skill)
    return weight, installs, frozenset(skills), tuple(needs.items())


def _added(one: Goods, other: Goods) -> Goods:
    needs = dict(one[3])
    for sku_id, units in other[3]:
        needs[sku_id] = needs.get(sku_id, 0) + units
    return one[0] + other[0], one[1] + other[1], one[2] | other[2], tuple(needs.items())
