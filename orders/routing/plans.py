"""The cheapest way to share the lines of one order among places. Pure.

A subset of lines is a mask: bit i stands for line i.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orders.lifecycle.rules import LineToRoute
from orders.routing.table import Candidate, Fence

EXACT_LINES = 8
UNREACHABLE = 1 << 60


class Stock(Protocol):
    """Units per (node, SKU) that this order may have."""

    def get(self, place: tuple[int, int], default: int, /) -> int: ...


@dataclass(slots=True)
class Load:
    """The lines of one order as bits, with what each subset of them weighs and needs installed."""

    lines: tuple[LineToRoute, ...]
    stock: Stock
    scarcity: Mapping[tuple[int, int], int]
    works: Mapping[int, int]
    split_fee_fen: int
    weights: list[int] = field(default_factory=list)
    installs: list[int] = field(default_factory=list)
    shared_skus: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_sku: dict[int, list[int]] = {}
        for index, line in enumerate(self.lines):
            self.weights.append(line.weight_g * line.quantity if line.is_counted else 0)
            self.installs.append(line.quantity if line.install_skill else 0)
            if line.is_counted:
                by_sku.setdefault(line.sku_id, []).append(index)
        self.shared_skus = {sku_id: indexes for sku_id, indexes in by_sku.items() if len(indexes) > 1}

    def missing(self, candidate: Candidate) -> dict[int, Fence]:
        """The lines that a place cannot do on its own account, and why."""
        node, found = candidate.node, {}
        for index, line in enumerate(self.lines):
            if line.install_skill and node.dealer_id is not None and line.install_skill not in node.skills:
                found[index] = Fence.SKILL
            elif line.is_counted and self.stock.get((node.node_id, line.sku_id), 0) < line.quantity:
                found[index] = Fence.STOCK
        return found

    def fits(self, candidate: Candidate, mask: int) -> bool:
        """Whether lines of the same SKU are also there together."""
        for sku_id, indexes in self.shared_skus.items():
            needed = sum(self.lines[index].quantity for index in indexes if mask >> index & 1)
            if needed > self.stock.get((candidate.node.node_id, sku_id), 0):
                return False
        return True

    def terms(self, candidate: Candidate, mask: int) -> tuple[int, int, int]:
        """Weight (g), units to install and scarcity price (fen: units and work) of a subset at a place."""
        weight = installs = 0
        scarce = self.works.get(candidate.node.dealer_id or 0, 0)
        for index in indexes_of(mask):
            weight += self.weights[index]
            installs += self.installs[index]
            if self.scarcity and self.lines[index].is_counted:
                line = self.lines[index]
                scarce += self.scarcity.get((candidate.node.node_id, line.sku_id), 0) * line.quantity
        return weight, installs, scarce

    def cost_fen(self, candidate: Candidate, mask: int) -> int:
        return candidate.cost_fen(*self.terms(candidate, mask))


@dataclass(slots=True)
class Able:
    """A candidate that can do at least one line: `mask` has the lines, `rank` its rung."""

    candidate: Candidate
    mask: int
    rank: int
    entry: dict[str, Any]
    covered: int = 0


Plan = list[tuple[Candidate, int]]


def indexes_of(mask: int) -> tuple[int, ...]:
    """The positions of the bits that are set, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


def solve(load: Load, allowed: Sequence[Able], full: int) -> Plan | None:
    """The cheapest plan for all lines, or None when they cannot all be placed."""
    union = 0
    for each in allowed:
        union |= each.mask
    if union != full:
        return None
    if len(load.lines) > EXACT_LINES:
        return _greedy(load, allowed, full)
    plan = None if load.shared_skus else _best_by_subset(load, allowed, full)
    if plan and len({candidate.node.node_id for candidate, _ in plan}) == len(plan):
        return plan
    return _best_by_node(load, allowed, full)


def _best_by_subset(load: Load, allowed: Sequence[Able], full: int) -> Plan | None:
    """Best place per subset of lines, then the best partition into subsets: O(2^L × places + 3^L).

    May use one place twice, when two parcels are cheaper than one heavy one.
    """
    weights, installs = [0] * (full + 1), [0] * (full + 1)
    for mask in range(1, full + 1):
        low = mask & -mask
        weights[mask] = weights[mask ^ low] + load.weights[low.bit_length() - 1]
        installs[mask] = installs[mask ^ low] + load.installs[low.bit_length() - 1]
    best = [UNREACHABLE] * (full + 1)
    place: list[Candidate | None] = [None] * (full + 1)
    for each in allowed:
        candidate, mask = each.candidate, each.mask
        while mask:
            scarce = load.terms(candidate, mask)[2] if load.scarcity or load.works else 0
            cost = candidate.cost_fen(weights[mask], installs[mask], scarce)
            if cost < best[mask]:
                best[mask], place[mask] = cost, candidate
            mask = (mask - 1) & each.mask
    plan: Plan = []
    for mask in cheapest_partition(best, load.split_fee_fen, [UNREACHABLE] * len(load.lines))[1]:
        candidate_here = place[mask]
        if candidate_here is None:
            return None
        plan.append((candidate_here, mask))
    return plan


def cheapest_partition(best: Sequence[int], split_fee_fen: int, waived: Sequence[int]) -> tuple[int, list[int]]:
    """The cheapest way to part a set into packages, and what it costs: O(3^L).

    `best` is the price of one package per mask, the last one being the whole; each package after
    the first costs the fee. `waived` is what it costs to leave a line out. UNREACHABLE is no way.
    """
    # after: the cheapest way when there is a package already; opened: when this mask starts with one
    after, opened, taken, opening = ([0] * len(best) for _ in range(4))
    for mask in range(1, len(best)):
        low = mask & -mask
        rest = sub = mask ^ low
        cheapest, choice = best[mask], mask
        while sub:
            sub = (sub - 1) & rest
            cost = best[sub | low] + after[rest ^ sub]
            if cost < cheapest:
                cheapest, choice = cost, sub | low
        opened[mask], opening[mask] = cheapest, choice
        cheapest += split_fee_fen
        left_out = after[rest] + waived[low.bit_length() - 1]
        after[mask], taken[mask] = (left_out, 0) if left_out < cheapest else (cheapest, choice)
    total, start, skipped, mask = sum(waived), 0, 0, len(best) - 1
    while mask:
        if opened[mask] + skipped < total:
            total, start = opened[mask] + skipped, mask
        low = mask & -mask
        skipped += waived[low.bit_length() - 1]
        mask ^= low
    packages = []
    mask, choice = start, opening[start]
    while mask:
        if choice:
            packages.append(choice)
        mask ^= choice or mask & -mask
        choice = taken[mask]
    return total, packages


def _best_by_node(load: Load, allowed: Sequence[Able], full: int) -> Plan | None:
    """The best plan with at most one package per place, place by place: O(places × 3^L).

    Needed where lines share a SKU, so that a place is not promised the same units twice.
    """
    plans: dict[int, tuple[int, tuple[Any, ...]]] = {0: (0, ())}
    for each in allowed:
        priced, sub = [], each.mask
        while sub:
            if load.fits(each.candidate, sub):
                priced.append((sub, load.cost_fen(each.candidate, sub) + load.split_fee_fen))
            sub = (sub - 1) & each.mask
        grown = dict(plans)
        for mask, (cost, chain) in plans.items():
            for sub, price in priced:
                if not sub & mask and (sub | mask not in grown or cost + price < grown[sub | mask][0]):
                    grown[sub | mask] = (cost + price, (each.candidate, sub, chain))
        plans = grown
    if full not in plans:
        return None
    chain, plan = plans[full][1], []
    while chain:
        plan.append((chain[0], chain[1]))
        chain = chain[2]
    return plan


def _greedy(load: Load, allowed: Sequence[Able], full: int) -> Plan | None:
    """Many lines: the scarcest line first, each where it adds least; or all in one place if that is cheaper."""
    masks: dict[int, int] = {}
    costs: dict[int, int] = {}
    scarce_first = sorted(indexes_of(full), key=lambda index: (sum(each.mask >> index & 1 for each in allowed), index))
    for index in scarce_first:
        choice: tuple[int, int, int] | None = None
        for number, each in enumerate(allowed):
            wider = masks.get(number, 0) | 1 << index
            if not each.mask >> index & 1 or not load.fits(each.candidate, wider):
                continue
            cost = load.cost_fen(each.candidate, wider)
            added = cost - costs[number] if number in costs else cost + (load.split_fee_fen if masks else 0)
            if choice is None or added < choice[0]:
                choice = (added, number, cost)
        if choice is None:
            return None
        _, number, costs[number] = choice
        masks[number] = masks.get(number, 0) | 1 << index
    total = sum(costs.values()) + load.split_fee_fen * (len(costs) - 1)
    whole = [each for each in allowed if each.covered == full and each.entry["cost_fen"] <= total]
    if whole:
        return [(min(whole, key=lambda each: each.entry["cost_fen"]).candidate, full)]
    return [(allowed[number].candidate, mask) for number, mask in masks.items()]
