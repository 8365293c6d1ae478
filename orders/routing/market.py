"""The orders of one batch, prepared so that the same question can be asked thousands of times. Pure.

Places are ranked once per area and weight of goods; a question then walks down a short list until
it meets somebody who has the goods. Costs are those of `Candidate.cost_fen`, as for one decision.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.partition import BEYOND, EXACT_UNITS, UNREACHABLE, indexes_of
from orders.routing.plans import OURS, kept_together, units_of
from orders.routing.rules import NEVER, Rung, hq_ladder
from orders.routing.table import Candidate, Installs, RoutingTable, Tariff
from orders.rulesets.rules import OrderTerms, Unroutable

Spot = tuple[int, int, int, int]  # cost in fen, rank by code, node id, dealer id
Ranking = list[Spot]  # cheapest first
Needs = tuple[tuple[int, int], ...]  # (SKU id, units)
Goods = tuple[int, Installs, frozenset[str], Needs]  # weight in g, units to install, skills asked for, what it takes from stock
Credits = Mapping[int, Mapping[int, int]]  # ageing credit in fen per unit, by SKU and node
Parcel = tuple[int, int, int, int]  # mask of units, node id, dealer id, cost in fen
Plan = tuple[int, tuple[Parcel, ...]]  # cost in fen with everything a batch weighs, and the parcels

NO_GOODS: Goods = (0, (), frozenset(), ())
NO_PLAN: Plan = (0, ())


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
        self.dealers = frozenset(place.node.dealer_id or OURS for place, _ in places)
        self._tariffs: dict[Tariff, int] = {}
        self._places = []
        for number, (place, _) in enumerate(places):
            kind = self._tariffs.setdefault(place.tariff, len(self._tariffs))
            self._places.append((place.base_fen, kind, number, place.node.node_id, place.node.dealer_id or OURS))
        self._skills = [None if place.node.dealer_id is None else place.node.skills for place, _ in places]
        self._able: dict[tuple[frozenset[str], int], list[tuple[int, int, int, int, int]]] = {}
        self._rankings: dict[tuple[int, Installs, int], Ranking] = {}

    def ranking(self, goods: Goods, rung: int) -> Ranking:
        """The places that may have these goods up to a rung, cheapest first, equal costs by code."""
        weight_g, installs, skills, _ = goods
        key = (weight_g, installs, rung)
        found = self._rankings.get(key)
        if found is None:
            extra = [sum(tariff.goods_fen(weight_g, installs)) for tariff in self._tariffs]
            able = self._able_to(skills, rung)
            found = self._rankings[key] = [
                (base + extra[kind], number, node, dealer) for base, kind, number, node, dealer in able
            ]
            found.sort()
        return found

    def _able_to(self, skills: frozenset[str], rung: int) -> list[tuple[int, int, int, int, int]]:
        """The places with these skills up to a rung; our own buy them."""
        found = self._able.get((skills, rung))
        if found is None:
            found = self._able[skills, rung] = [
                place
                for place, has in zip(self._places, self._skills, strict=True)
                if self.rung_of[place[3]] <= rung and (has is None or skills <= has)
            ]
        return found


@dataclass(slots=True)
class Lot:
    """An order ready to be asked about. A unit is a line, or the lines that must stay together.

    goods and rankings are by mask of units, for up to eight units; rankings also by rung.
    waived is what it costs to leave a unit out, limit_fen a cost at which no plan is worth having.
    Costs of places are less the credit for what has lain long there.
    sku_id and quantity are set where all is one unit of one SKU on one rung, the most frequent case.
    """

    number: int
    asked: OpenOrder
    area: Area
    units: tuple[tuple[int, ...], ...]
    goods: list[Goods]
    rankings: list[list[Ranking]]
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
    is_relaxed: bool = False

    @property
    def full(self) -> int:
        return (1 << len(self.units)) - 1

    def thin(self, has: Callable[[Spot, Needs], bool]) -> None:
        """Forget the places that have not got the goods even now, with everything on the shelves."""
        if len(self.goods) == 2:
            self.rankings = [[[], [spot for spot in by_mask[1] if has(spot, self.goods[1][3])]] for by_mask in self.rankings]
            return
        able: dict[int, int] = {}
        for unit in range(len(self.units) if len(self.goods) > 1 else 0):
            for spot in self.rankings[-1][1 << unit] if self.rankings else ():
                if has(spot, self.goods[1 << unit][3]):
                    able[spot[2]] = able.get(spot[2], 0) | 1 << unit
        self.rankings = [
            [[spot for spot in ranking if able.get(spot[2], 0) & mask == mask] for mask, ranking in enumerate(by_mask)]
            for by_mask in self.rankings
        ]

    def needs_of(self, mask: int) -> Needs:
        return self.goods[mask][3] if mask < len(self.goods) else self.goods_of(mask)[3]

    def goods_of(self, mask: int) -> Goods:
        """The goods of any mask, also where there are too many units to list them all."""
        found = NO_GOODS
        for unit in indexes_of(mask):
            found = _added(found, _goods(self.asked.order.lines[index] for index in self.units[unit]))
        return found

    def ranking_of(self, mask: int, rung: int) -> Ranking:
        """The places for any mask, also where there are too many units to list them all."""
        return _ranked(self.area, self.goods_of(mask), rung, self.credits)

    def placements(self, plan: Plan) -> tuple[Placement, ...]:
        """A plan in the words of the order, by line."""
        found = (
            Placement(node_id, tuple(sorted(line for unit in indexes_of(mask) for line in self.units[unit])))
            for mask, node_id, _, _ in plan[1]
        )
        return tuple(sorted(found, key=lambda each: each.line_indexes))


def prepare(orders: Sequence[OpenOrder], table: RoutingTable, terms: BatchTerms, *, is_relaxed: bool = False) -> list[Lot]:
    """The orders ready to be asked about; the areas they share are ranked once. `is_relaxed`: on their looser terms."""
    credits: dict[int, dict[int, int]] = {}
    for (node_id, sku_id), fen in table.ageing.items():
        credits.setdefault(sku_id, {})[node_id] = fen
    areas: dict[tuple[str, str, tuple[Rung, ...], frozenset[int], int], Area] = {}
    lots = []
    for number, asked in enumerate(orders):
        on = table.terms_for(asked.order)
        if is_relaxed:
            on = table.loosened(on)
        key = (asked.order.division_code, asked.order.channel, asked.ladder, asked.refused, id(on))
        area = areas.get(key)
        if area is None:
            only_hq = is_relaxed and on.on_unroutable is Unroutable.HQ
            area = areas[key] = _area(asked, table, on, is_strict=terms.rung_fen > 0, only_hq=only_hq)
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
            mine = _goods(lines[index] for index in unit)
            goods += [_added(before, mine) if before is not NO_GOODS else mine for before in goods]
    mine_of = {line.sku_id: credits[line.sku_id] for line in lines if line.sku_id in credits} if credits else {}
    rankings = [[[], *(_ranked(area, each, rung, mine_of) for each in goods[1:])] for rung in range(area.rungs)]
    unfilled_fen = on.unfilled_fen if terms.unfilled_fen is None else terms.unfilled_fen
    worth = [unfilled_fen * sum(lines[index].quantity for index in unit) for unit in units]
    unserved_fen = sum(worth) + terms.rung_fen * len(asked.ladder)
    lot = Lot(
        number=number,
        asked=asked,
        area=area,
        units=units,
        goods=goods,
        rankings=rankings,
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


def _ranked(area: Area, goods: Goods, rung: int, credits: Credits) -> Ranking:
    """The ranking of an area, less what these goods are credited where they have lain long."""
    ranking = area.ranking(goods, rung)
    wanted = [(credits[sku_id], units) for sku_id, units in goods[3] if sku_id in credits]
    if not wanted:
        return ranking
    return sorted(
        (cost - sum(here.get(node_id, 0) * units for here, units in wanted), number, node_id, dealer_id)
        for cost, number, node_id, dealer_id in ranking
    )


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
