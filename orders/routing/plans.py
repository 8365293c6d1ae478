"""The cheapest way to share the goods of one order among places. Pure.

A unit is a line, or lines that must come from one place. A subset of units is a mask: bit i stands for unit i.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orders.lifecycle.rules import LineToRoute
from orders.routing.partition import BEYOND, EXACT_UNITS, UNREACHABLE, Offers, best_by_place, cheapest_partition, indexes_of
from orders.routing.table import Candidate, Fence, Installs, Tariff
from orders.rulesets.rules import OrderTerms

OURS = 0  # stands for the dealer of HQ's own places


class Stock(Protocol):
    """Units per (node, SKU) that this order may have."""

    def get(self, place: tuple[int, int], default: int, /) -> int: ...


Fen = Mapping[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Extras:
    """What units and work cost besides their package, in fen.

    scarcity and ageing by (node, SKU), per unit: the price of taking it and the credit for taking
    it; works by dealer, for a piece of work.
    """

    scarcity: Fen = field(default_factory=dict)
    works: Mapping[int, int] = field(default_factory=dict)
    ageing: Fen = field(default_factory=dict)

    @property
    def are_there(self) -> bool:
        return bool(self.scarcity or self.works or self.ageing)


@dataclass(slots=True)
class Load:
    """The goods of one order as bits, with what each unit weighs, needs from stock and needs installed.

    room: how many more pieces of work a dealer may get; missing: any number. asks: by unit, of each
    line its position, skill, SKU and how many of it the unit takes. goods: what was priced before.
    """

    lines: tuple[LineToRoute, ...]
    units: tuple[tuple[int, ...], ...]
    stock: Stock
    extras: Extras
    split_fee_fen: int
    most_packages: int | None = None
    room: Mapping[int, int] = field(default_factory=dict)
    weights: list[int] = field(default_factory=list)
    installs: list[Installs] = field(default_factory=list)
    needs: list[dict[int, int]] = field(default_factory=list)
    asks: list[list[tuple[int, str, int, int]]] = field(default_factory=list)
    goods: dict[tuple[Tariff, int], tuple[int, int]] = field(default_factory=dict)
    shared_skus: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_sku: dict[int, list[int]] = {}
        for unit, indexes in enumerate(self.units):
            lines = [self.lines[index] for index in indexes]
            self.weights.append(sum(line.weight_g * line.quantity for line in lines if line.is_counted))
            self.installs.append(tuple((line.install_skill, line.quantity) for line in lines if line.install_skill))
            needs: dict[int, int] = {}
            for line in lines:
                if line.is_counted:
                    needs[line.sku_id] = needs.get(line.sku_id, 0) + line.quantity
            self.needs.append(needs)
            self.asks.append(
                [
                    (i, line.install_skill, line.sku_id, needs[line.sku_id] if line.is_counted else 0)
                    for i, line in zip(indexes, lines, strict=True)
                ]
            )
            for sku_id in needs:
                by_sku.setdefault(sku_id, []).append(unit)
        self.shared_skus = {sku_id: units for sku_id, units in by_sku.items() if len(units) > 1}

    @property
    def full(self) -> int:
        return (1 << len(self.units)) - 1

    def lines_of(self, mask: int) -> tuple[int, ...]:
        """The positions of the lines of some units, ascending."""
        if len(self.units) == len(self.lines):
            return indexes_of(mask)
        return tuple(sorted(index for unit in indexes_of(mask) for index in self.units[unit]))

    def missing(self, candidate: Candidate) -> tuple[int, dict[int, Fence]]:
        """The units that a place cannot do on its own account, and for each line of them why."""
        node, stock, mask = candidate.node, self.stock, 0
        node_id, skills = node.node_id, None if node.dealer_id is None else node.skills
        found: dict[int, Fence] = {}
        for unit, asks in enumerate(self.asks):
            for index, skill, sku_id, needed in asks:
                if skill and skills is not None and skill not in skills:
                    found[index] = Fence.SKILL
                elif needed and stock.get((node_id, sku_id), 0) < needed:
                    found[index] = Fence.STOCK
                else:
                    continue
                mask |= 1 << unit
        if found and len(self.units) < len(self.lines):
            for index in self.lines_of(mask):
                found.setdefault(index, Fence.TOGETHER)
        return mask, found

    def fits(self, candidate: Candidate, mask: int) -> bool:
        """Whether units that need the same SKU are also there together."""
        for sku_id, units in self.shared_skus.items():
            needed = sum(self.needs[unit][sku_id] for unit in units if mask >> unit & 1)
            if needed > self.stock.get((candidate.node.node_id, sku_id), 0):
                return False
        return True

    def extra_fen(self, candidate: Candidate, mask: int) -> tuple[int, int]:
        """Scarcity price and ageing credit of a subset at a place."""
        extras, node_id, aged = self.extras, candidate.node.node_id, 0
        scarce = extras.works.get(candidate.node.dealer_id or OURS, 0)
        for unit in indexes_of(mask):
            for sku_id, count in self.needs[unit].items():
                scarce += extras.scarcity.get((node_id, sku_id), 0) * count
                aged += extras.ageing.get((node_id, sku_id), 0) * count
        return scarce, aged

    def goods_fen(self, tariff: Tariff, mask: int) -> tuple[int, int]:
        """What a subset adds to a package on a tariff: for its weight, and for installing."""
        found = self.goods.get((tariff, mask))
        if found is None:
            weight = 0
            installs: list[tuple[str, int]] = []
            for unit in indexes_of(mask):
                weight += self.weights[unit]
                installs += self.installs[unit]
            found = self.goods[tariff, mask] = tariff.goods_fen(weight, installs)
        return found

    def breakdown(self, candidate: Candidate, mask: int) -> dict[str, int]:
        """What a subset costs at a place, by component."""
        extra = self.extra_fen(candidate, mask) if self.extras.are_there else (0, 0)
        return candidate.breakdown(self.goods_fen(candidate.tariff, mask), *extra)

    def cost_fen(self, candidate: Candidate, mask: int) -> int:
        """The same as one figure."""
        scarce, aged = self.extra_fen(candidate, mask) if self.extras.are_there else (0, 0)
        return candidate.base_fen + sum(self.goods_fen(candidate.tariff, mask)) + scarce - aged

    def overdraws(self, plan: "Plan") -> bool:
        """Whether a place would pack twice, or a dealer would get more work than there is room for."""
        if len({candidate.node.node_id for candidate, _ in plan}) < len(plan):
            return True
        dealers = [candidate.node.dealer_id for candidate, _ in plan if candidate.node.dealer_id is not None]
        return any(dealers.count(dealer_id) > self.room.get(dealer_id, len(plan)) for dealer_id in dealers)


@dataclass(slots=True)
class Able:
    """A candidate that can do at least one unit: `mask` has the units, `rank` its rung, `covered` what it can do at once."""

    candidate: Candidate
    mask: int
    rank: int
    entry: dict[str, Any]
    covered: int = 0


Plan = list[tuple[Candidate, int]]


def kept_together(lines: Sequence[LineToRoute], terms: OrderTerms) -> list[tuple[int, ...]]:
    """The lines that the terms keep in one place, by position.

    With keeps_bundles, all lines of one sold bundle. With keeps_installation, a line without stock
    of its own (a service) and its goods: of the same bundle, of its category if there is one.
    """
    groups: list[tuple[int, ...]] = []
    bundles: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        if line.bundle:
            bundles.setdefault(line.bundle, []).append(index)
    for indexes in bundles.values():
        if terms.keeps_bundles:
            groups.append(tuple(indexes))
        elif terms.keeps_installation:
            goods = [index for index in indexes if lines[index].is_counted]
            for index in indexes:
                if goods and not lines[index].is_counted:
                    like = [each for each in goods if lines[each].category == lines[index].category]
                    groups.append(((like or goods)[0], index))
    return groups


def units_of(count: int, together: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    """The lines by units; groups that share a line are one."""
    if not together:
        return tuple((index,) for index in range(count))
    unit_of = list(range(count))
    for group in together:
        joined = {unit_of[index] for index in group}
        unit_of = [min(joined) if unit in joined else unit for unit in unit_of]
    return tuple(tuple(index for index in range(count) if unit_of[index] == unit) for unit in sorted(set(unit_of)))


def solve(load: Load, allowed: Sequence[Able]) -> Plan | None:
    """The cheapest plan for all units, or None when they cannot all be placed."""
    union, full = 0, load.full
    for each in allowed:
        union |= each.mask
    if union != full:
        return None
    if len(load.units) > EXACT_UNITS:
        return _greedy(load, allowed)
    plan = None if load.shared_skus else _best_by_subset(load, allowed)
    if plan and not load.overdraws(plan):
        return plan
    return _best_by_node(load, allowed)


def _best_by_subset(load: Load, allowed: Sequence[Able]) -> Plan | None:
    """Best place per subset of units, then the best partition into subsets: O(2^U × places + 3^U).

    May use one place twice, when two parcels are cheaper than one heavy one.
    """
    size = load.full + 1
    goods = _goods_fen(load, {each.candidate.tariff for each in allowed})
    best = [UNREACHABLE] * size
    place: list[Candidate | None] = [None] * size
    for each in allowed:
        candidate, mask, whole = each.candidate, each.mask, each.mask
        costs, base = goods[candidate.tariff], candidate.base_fen
        extra = _extra_fen(load, candidate) if load.extras.are_there else None
        while mask:
            cost = base + costs[mask] + (extra[mask] if extra else 0)
            if cost < best[mask]:
                best[mask], place[mask] = cost, candidate
            mask = (mask - 1) & whole
    plan: Plan = []
    waived = [UNREACHABLE] * len(load.units)
    total, masks = cheapest_partition(best, load.split_fee_fen, waived, load.most_packages)
    if total >= BEYOND:
        return None
    for mask in masks:
        candidate_here = place[mask]
        if candidate_here is None:
            return None
        plan.append((candidate_here, mask))
    return plan


def _goods_fen(load: Load, tariffs: Iterable[Tariff]) -> dict[Tariff, list[int]]:
    """What each subset of units adds to a package, by tariff."""
    weights = [0]
    for weight in load.weights:
        weights += [before + weight for before in weights]
    found = {}
    for tariff in tariffs:
        fees = [0]
        for installs in load.installs:
            fee = tariff.goods_fen(0, installs)[1] if installs else 0
            fees += [before + fee for before in fees]
        found[tariff] = [tariff.goods_fen(weight)[0] + fee for weight, fee in zip(weights, fees, strict=True)]
    return found


def _extra_fen(load: Load, candidate: Candidate) -> list[int]:
    """What each subset of units costs at a place for being scarce, less the credit for having lain long."""
    extras, node_id = load.extras, candidate.node.node_id
    extra = [extras.works.get(candidate.node.dealer_id or OURS, 0)]
    for needs in load.needs:
        more = sum(
            (extras.scarcity.get((node_id, sku_id), 0) - extras.ageing.get((node_id, sku_id), 0)) * count
            for sku_id, count in needs.items()
        )
        extra += [before + more for before in extra]
    return extra


def _best_by_node(load: Load, allowed: Sequence[Able]) -> Plan | None:
    """The best plan with at most one package per place and no dealer beyond its room.

    Needed where units share a SKU, so that a place is not promised the same goods twice.
    """
    offers: dict[int, list[Offers[tuple[Candidate, int]]]] = {}
    for each in allowed:
        priced, sub = [], each.mask
        while sub:
            if load.fits(each.candidate, sub):
                priced.append((sub, load.cost_fen(each.candidate, sub) + load.split_fee_fen, (each.candidate, sub)))
            sub = (sub - 1) & each.mask
        offers.setdefault(each.candidate.node.dealer_id or OURS, []).append(priced)
    plans = best_by_place(offers, load.room, load.most_packages)
    return list(plans[load.full][1]) if load.full in plans else None


def _greedy(load: Load, allowed: Sequence[Able]) -> Plan | None:
    """Many units: the scarcest first, each where it adds least; or all in one place if that is cheaper.

    Where that takes too many packages, the places that can do most are taken first.
    """
    full = load.full
    found = _grown(load, allowed)
    if found is None and load.most_packages:
        few = _widest(load, allowed)
        found = _grown(load, few)
    whole = [each for each in allowed if each.covered == full]
    if whole:
        alone = min(whole, key=lambda each: each.entry["cost_fen"])
        if found is None or alone.entry["cost_fen"] <= found[0]:
            return [(alone.candidate, full)]
    return found[1] if found else None


def _scarce_first(load: Load, allowed: Sequence[Able]) -> list[int]:
    """The units, those first that the fewest places can do."""
    return sorted(indexes_of(load.full), key=lambda unit: (sum(each.mask >> unit & 1 for each in allowed), unit))


def _widest(load: Load, allowed: Sequence[Able]) -> list[Able]:
    """At most as many places as there may be packages, each the one that can do most of what is left."""
    chosen: list[Able] = []
    left = load.full
    for _ in range(load.most_packages or 0):
        widest = max(allowed, key=lambda each: (each.covered & left).bit_count())
        chosen.append(widest)
        left &= ~widest.covered
    return [each for each in allowed if any(each is other for other in chosen)]


def _grown(load: Load, allowed: Sequence[Able]) -> tuple[int, Plan] | None:
    """Unit by unit, each where it adds least; None where one finds no place."""
    masks: dict[int, int] = {}
    costs: dict[int, int] = {}
    works: dict[int, int] = {}
    for unit in _scarce_first(load, allowed):
        choice: tuple[int, int, int] | None = None
        for number, each in enumerate(allowed):
            wider, dealer_id = masks.get(number, 0) | 1 << unit, each.candidate.node.dealer_id or OURS
            if not each.mask >> unit & 1 or not load.fits(each.candidate, wider):
                continue
            if number not in masks and (
                len(masks) == load.most_packages or works.get(dealer_id, 0) >= load.room.get(dealer_id, len(load.units))
            ):
                continue
            cost = load.cost_fen(each.candidate, wider)
            added = cost - costs[number] if number in costs else cost + (load.split_fee_fen if masks else 0)
            if choice is None or added < choice[0]:
                choice = (added, number, cost)
        if choice is None:
            return None
        _, number, cost = choice
        if number not in masks:
            dealer_id = allowed[number].candidate.node.dealer_id or OURS
            works[dealer_id] = works.get(dealer_id, 0) + 1
        masks[number], costs[number] = masks.get(number, 0) | 1 << unit, cost
    total = sum(costs.values()) + load.split_fee_fen * (len(costs) - 1)
    return total, [(allowed[number].candidate, mask) for number, mask in masks.items()]
