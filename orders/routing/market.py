"""The orders of one batch, prepared so that the same question can be asked thousands of times. Pure.

An order that is asked about often remembers who had its goods when all was on the shelves, cheapest
first; a question then walks down a short list until it meets somebody who still has them. Costs are
those of `Candidate.cost_fen`, as for one decision.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.partition import BEYOND, EXACT_UNITS, UNREACHABLE, indexes_of
from orders.routing.plans import OURS, kept_together, units_of
from orders.routing.rules import NEVER, Rung, hq_ladder
from orders.routing.table import Candidate, Installs, RoutingTable, Tariff
from orders.rulesets.rules import OrderTerms, Unroutable

Stand = tuple[int, int, int, int, int]  # base cost in fen, kind of terms, rank by code, node id, dealer id
Spot = tuple[int, int, int, int]  # cost in fen, rank by code, node id, dealer id
Ranking = list[Spot]  # cheapest first
Needs = tuple[tuple[int, int], ...]  # (SKU id, units)
Goods = tuple[int, Installs, frozenset[str], Needs]  # weight in g, units to install, skills asked for, what it takes from stock
Credits = Mapping[int, Mapping[int, int]]  # ageing credit in fen per unit, by SKU and node
Parcel = tuple[int, int, int, int]  # mask of units, node id, dealer id, cost in fen
Plan = tuple[int, tuple[Parcel, ...]]  # cost in fen with everything a batch weighs, and the parcels

MOST_ASKINGS = 1000  # ladders, refusals and terms whose areas are kept
Asking = tuple[tuple[Rung, ...], frozenset[int], bool, int, bool]  # ladder, refusals, whether rungs count, terms, looser
NO_GOODS: Goods = (0, (), frozenset(), ())
NO_CREDITS: Credits = {}
NO_PLAN: Plan = (0, ())


class Left(Protocol):
    """What is left: units by SKU and node, pieces of work by dealer."""

    left: dict[int, dict[int, int]]
    room: dict[int, int]


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """What a batch weighs besides the cost of packages, in fen.

    unfilled_fen: a unit that nobody delivers; None leaves it to the terms of its order. rung_fen: a
    rung of the ladder climbed; so dear that the ladder is the fence it is for a single decision,
    while 0 lets money alone decide. is_whole: an order goes whole or not at all; otherwise single
    lines may stay behind.
    """

    unfilled_fen: int | None = None
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

    together: lines that must come from one place, besides those that its terms keep together.
    current: where it is now; what that takes is no longer in the stock. moves: how often it was
    moved before. A dealer's yes (is_accepted) fixes it.
    """

    order: OrderToRoute
    ladder: tuple[Rung, ...]
    refused: frozenset[int] = frozenset()
    together: tuple[tuple[int, ...], ...] = ()
    current: tuple[Placement, ...] = ()
    moves: int = 0
    is_accepted: bool = False


class Area:
    """The places open to orders of one district, channel, ladder, terms and set of refusals."""

    def __init__(self, places: Sequence[tuple[Candidate, int]], rungs: int) -> None:
        """`places` by code, each with the rung on which it is asked."""
        self.rungs = rungs
        self.rung_of = {place.node.node_id: rung for place, rung in places}
        self.place_of = {place.node.node_id: place for place, _ in places}
        self.dealers = frozenset(place.node.dealer_id or OURS for place, _ in places)
        self._tariffs: dict[Tariff, int] = {}
        self._stands: list[Stand] = []
        for number, (place, _) in enumerate(places):
            kind = self._tariffs.setdefault(place.tariff, len(self._tariffs))
            self._stands.append((place.base_fen, kind, number, place.node.node_id, place.node.dealer_id or OURS))
        self.stand_of = {stand[3]: stand for stand in self._stands}
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

    def extras(self, weight_g: int, installs: Installs) -> list[int]:
        """What these goods add to the cost of a package, by the kind of a stand."""
        return [sum(tariff.goods_fen(weight_g, installs)) for tariff in self._tariffs]


@dataclass(slots=True)
class Lot:
    """An order ready to be asked about. A unit is a line, or the lines that must stay together.

    goods are by mask of units, for up to eight units. rankings, by rung and mask, are there for who is
    asked about often: the places that had the goods when it was ranked. has_shared: units share a SKU.
    waived is what it costs to leave a unit out, limit_fen a cost at which no plan is worth having.
    Costs of places are less the credit for what has lain long there.
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
    split_fee_fen: int
    most_packages: int | None
    credits: Credits = field(default_factory=dict)
    sku_id: int = 0
    quantity: int = 0
    ideal_fen: int = 0
    plan: Plan = NO_PLAN
    rankings: list[list[Ranking]] = field(default_factory=list)
    is_relaxed: bool = False

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
            rankings.append(self._sorted(ranking, needs))
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
            rankings.append(self._sorted(ranking, needs))
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

    def ranking_of(self, mask: int, rung: int) -> Ranking:
        """The places for any mask, also where there are too many units to list them all; whether they have it or not."""
        weight_g, installs, skills, needs = self.goods_of(mask)
        extra = self.area.extras(weight_g, installs)
        stands = self.area.stands(skills, rung)
        return self._sorted([(base + extra[kind], number, node, dealer) for base, kind, number, node, dealer in stands], needs)

    def spot(self, node_id: int, mask: int) -> Spot | None:
        """One place with the cost of these goods there; None if it is not open to them."""
        weight_g, installs, skills, needs = self.goods_of(mask)
        stand = self.area.stand_of.get(node_id)
        if stand is None or not self.area.has_skills(node_id, skills):
            return None
        base, kind, number, _, dealer_id = stand
        return self._sorted([(base + self.area.extras(weight_g, installs)[kind], number, node_id, dealer_id)], needs)[0]

    def _sorted(self, ranking: Ranking, needs: Needs) -> Ranking:
        """Cheapest first, equal costs by code, where they have lain long for less."""
        if self.credits:
            wanted = [(self.credits[sku_id], units) for sku_id, units in needs if sku_id in self.credits]
            ranking = [
                (cost - sum(here.get(node_id, 0) * units for here, units in wanted), number, node_id, dealer_id)
                for cost, number, node_id, dealer_id in ranking
            ]
        ranking.sort()
        return ranking

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


def prepare(orders: Sequence[OpenOrder], table: RoutingTable, terms: BatchTerms, *, is_relaxed: bool = False) -> list[Lot]:
    """The orders ready to be asked about, on their looser terms if `is_relaxed`. Areas are kept as long as their table."""
    credits: dict[int, dict[int, int]] = {}
    for (node_id, sku_id), fen in table.ageing.items():
        credits.setdefault(sku_id, {})[node_id] = fen
    of_table = _areas.setdefault(table, {})
    is_strict = terms.rung_fen > 0
    here: dict[tuple[str, str], Area] = {}
    before: tuple[tuple[Rung, ...], frozenset[int], OrderTerms] | None = None
    lots = []
    for number, asked in enumerate(orders):
        on = table.terms_for(asked.order)
        if is_relaxed:
            on = table.loosened(on)
        if before is None or asked.ladder is not before[0] or asked.refused is not before[1] or on is not before[2]:
            before = asked.ladder, asked.refused, on
            if len(of_table) >= MOST_ASKINGS:
                of_table.clear()
            here = of_table.setdefault((asked.ladder, asked.refused, is_strict, id(on), is_relaxed), {})
        key = (asked.order.division_code, asked.order.channel)
        area = here.get(key)
        if area is None:
            only_hq = is_relaxed and on.on_unroutable is Unroutable.HQ
            area = here[key] = _area(asked, table, on, is_strict=is_strict, only_hq=only_hq)
        lots.append(_lot(number, asked, area, terms, on, credits))
    return lots


def _area(asked: OpenOrder, table: RoutingTable, on: OrderTerms, *, is_strict: bool, only_hq: bool) -> Area:
    ranks: dict[str, int] = {}
    for index, rung in enumerate(hq_ladder(asked.ladder) if only_hq else asked.ladder):
        ranks.setdefault(rung.target, index if is_strict else 0)
    places = []
    for place in table.considered(asked.order.division_code, asked.order.channel, on):
        rank, dealer_id = ranks.get(place.target, NEVER), place.node.dealer_id
        if place.fence is None and rank != NEVER and (dealer_id is None or dealer_id not in asked.refused):
            places.append((place, rank))
    return Area(places, 1 + max((rank for _, rank in places), default=-1))


def _lot(number: int, asked: OpenOrder, area: Area, terms: BatchTerms, on: OrderTerms, credits: Credits) -> Lot:
    lines = asked.order.lines
    units = units_of(len(lines), (*asked.together, *kept_together(lines, on)))
    goods = [NO_GOODS]
    if len(units) <= EXACT_UNITS:
        for unit in units:
            mine = _goods([lines[index] for index in unit])
            goods += [_added(before, mine) if before is not NO_GOODS else mine for before in goods]
    mine_of = {line.sku_id: credits[line.sku_id] for line in lines if line.sku_id in credits} if credits else NO_CREDITS
    unfilled_fen = on.unfilled_fen if terms.unfilled_fen is None else terms.unfilled_fen
    worth = [unfilled_fen * sum([lines[index].quantity for index in unit]) for unit in units]
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
        limit_fen=BEYOND if terms.is_whole else unserved_fen,
        split_fee_fen=on.split_fee_fen,
        most_packages=on.max_packages,
        credits=mine_of,
    )
    if len(units) == 1 and area.rungs == 1 and len(goods[1][3]) == 1:
        ((lot.sku_id, lot.quantity),) = goods[1][3]
    return lot


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
    weight = 0
    installs: dict[str, int] = {}
    needs: dict[int, int] = {}
    for line in lines:
        if line.is_counted:
            weight += line.weight_g * line.quantity
            needs[line.sku_id] = needs.get(line.sku_id, 0) + line.quantity
        if line.install_skill:
            installs[line.install_skill] = installs.get(line.install_skill, 0) + line.quantity
    return weight, tuple(sorted(installs.items())), frozenset(installs), tuple(needs.items())


def _added(one: Goods, other: Goods) -> Goods:
    installs = one[1] or other[1]
    if one[1] and other[1]:
        both = dict(one[1])
        for skill, units in other[1]:
            both[skill] = both.get(skill, 0) + units
        installs = tuple(sorted(both.items()))
    needs = dict(one[3])
    for sku_id, units in other[3]:
        needs[sku_id] = needs.get(sku_id, 0) + units
    return one[0] + other[0], installs, one[2] | other[2], tuple(needs.items())
