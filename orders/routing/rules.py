"""Which place should do which lines of an order, at what cost, and why not the others.

Everything is counted in integer fen, so that a choice can be explained line by line. Pure: plain
values in, plain values out; the same question always gets the same answer.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from oms_project.money import yuan
from orders.lifecycle.rules import LineToRoute, OrderToRoute

TERRITORY, NEIGHBOUR, HQ = "territory", "neighbour", "hq"
EXACT_LINES = 8
NEVER = 1 << 30
Stock = Mapping[tuple[int, int], int]


class Fence(StrEnum):
    """Why a place cannot have the work at all."""

    AREA = "AREA"
    PAUSED = "PAUSED"
    DISTANCE = "DISTANCE"
    REFUSED = "REFUSED"
    CAPACITY = "CAPACITY"
    SKILL = "SKILL"
    STOCK = "STOCK"
    LADDER = "LADDER"


FENCE_TEXT = {
    Fence.AREA: "不服务该渠道",
    Fence.PAUSED: "暂停接单",
    Fence.DISTANCE: "超出最远配送距离",
    Fence.REFUSED: "已拒单或超时",
    Fence.CAPACITY: "今日接单已满",
    Fence.SKILL: "没有所需安装技能",
    Fence.STOCK: "可售库存不足",
    Fence.LADDER: "还没轮到这一级阶梯",
}
LADDER_OVER = "这一级阶梯不再询问"
NO_TEMPLATE = "没有运费模板"
NOBODY = "没有发货点服务该地区"
NO_LINES = "没有待履约的商品行"
COMPONENT_TEXT = {
    "freight": "运费",
    "install": "安装",
    "late": "超时效",
    "risk": "拒单风险",
    "cross_region": "跨区费",
    "scarcity": "稀缺价",
}


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: whose places may be asked, for how many seconds each, and how many."""

    position: int
    target: str
    seconds: int
    max_offers: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A place that may ship. HQ's own places (no dealer) buy installation where they need it."""

    node_id: int
    code: str
    name: str
    kind: str
    dealer_id: int | None
    division_code: str
    lng: float
    lat: float
    is_open: bool = True
    skills: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Area:
    """A dealer serves a division (2, 4 or 6 digits); an empty channel means all channels."""

    dealer_id: int
    division_code: str
    is_territory: bool
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Freight:
    """What delivery costs from one kind of place; see FreightTemplate."""

    first_weight_g: int
    first_fen: int
    step_weight_g: int
    step_fen: int
    km_fen: int
    install_fen: int
    base_days: int
    km_per_day: int
    max_km: int


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """The money terms of the objective; see RoutingPolicy."""

    name: str = "默认"
    split_fee_fen: int = 600
    late_fen_per_day: int = 500
    refusal_cost_fen: int = 3000
    cross_region_fen: int = 2500
    promise_days: int = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place with everything about it that does not depend on the goods.

    base_fen holds all of the cost that one package has anyway: first weight, distance, lateness,
    risk and the cross-region fee. fence is set when no order of this area can go there.
    """

    node: NodeFacts
    target: str
    fence: Fence | None
    text: str
    km: int
    days: int
    first_fen: int
    late_fen: int
    risk_fen: int
    cross_fen: int
    base_fen: int
    first_weight_g: int
    step_weight_g: int
    step_fen: int
    install_fen: int

    def steps_fen(self, weight_g: int) -> int:
        """The price of what is heavier than the first weight, per started step."""
        extra = weight_g - self.first_weight_g
        return -(-extra // self.step_weight_g) * self.step_fen if extra > 0 else 0

    def cost_fen(self, weight_g: int, installs: int, scarcity_fen: int = 0) -> int:
        """The whole cost of one package from here."""
        return self.base_fen + self.steps_fen(weight_g) + self.install_fen * installs + scarcity_fen

    def breakdown(self, weight_g: int, installs: int, scarcity_fen: int = 0) -> dict[str, int]:
        """The same cost by component; the parts sum to the whole."""
        return {
            "freight": self.first_fen + self.steps_fen(weight_g),
            "install": self.install_fen * installs,
            "late": self.late_fen,
            "risk": self.risk_fen,
            "cross_region": self.cross_fen,
            "scarcity": scarcity_fen,
        }


@dataclass(frozen=True, slots=True)
class Package:
    """Some lines of an order, from one place. cost_fen is the sum of the breakdown."""

    node_id: int
    dealer_id: int | None
    line_indexes: tuple[int, ...]
    cost_fen: int
    breakdown: dict[str, int]
    days: int
    node: str = ""

    def as_dict(self) -> dict[str, Any]:
        """How a decision is stored: lines by their position in the order asked about, from 0."""
        return {
            "node": self.node,
            "node_id": self.node_id,
            "lines": list(self.line_indexes),
            "cost_fen": self.cost_fen,
            "breakdown": self.breakdown,
            "days": self.days,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Where an order goes. cost_fen includes the split fee for every package after the first.

    runner_up_fen is the cheapest other place on the same rungs that could do the whole order.
    trace has one element per candidate: fenced, or with its cost and breakdown.
    """

    packages: tuple[Package, ...]
    ladder_step: int
    cost_fen: int
    runner_up_fen: int | None
    trace: list[dict[str, Any]]
    reasons: tuple[str, ...]
    policy: str = ""

    @property
    def is_routable(self) -> bool:
        return bool(self.packages)


def distance_km(lng: float, lat: float, other_lng: float, other_lat: float) -> int:
    """Great-circle distance, rounded up to whole kilometres."""
    phi, other_phi = math.radians(lat), math.radians(other_lat)
    half = (
        math.sin((other_phi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_lng - lng) / 2) ** 2
    )
    return math.ceil(round(12742 * math.asin(math.sqrt(min(1.0, half))), 3))


def risk_fen(refusal_cost_fen: int, accepted: int, refused: int) -> int:
    """What asking a dealer costs on average in refusals: cost × (1 − p) / p.

    p = (accepted + 4) / (accepted + refused + 5.6): a dealer nobody knows says yes 5 times in 7.
    Exact integers, rounded half up.
    """
    odds_no, odds_yes = 10 * refused + 16, 10 * accepted + 40
    return (2 * refusal_cost_fen * odds_no + odds_yes) // (2 * odds_yes)


class RoutingTable:
    """All that routing knows of places and terms at one moment, with the candidates of each area kept."""

    def __init__(
        self,
        *,
        nodes: Iterable[NodeFacts],
        areas: Iterable[Area],
        freight: Mapping[str, Freight],
        policy: PolicyTerms,
        centroids: Mapping[str, tuple[float, float]],
        answers: Mapping[int, tuple[int, int]],
    ) -> None:
        """`answers` is (accepted, refused) per dealer; `centroids` is (lng, lat) per division."""
        self.policy, self.freight, self.centroids, self.answers = policy, freight, centroids, answers
        self._own: list[NodeFacts] = []
        self._of_dealer: dict[int, list[NodeFacts]] = {}
        for node in nodes:
            (self._own if node.dealer_id is None else self._of_dealer.setdefault(node.dealer_id, [])).append(node)
        self._areas: dict[str, list[Area]] = {}
        for area in areas:
            self._areas.setdefault(area.division_code, []).append(area)
        self._kept: dict[tuple[str, str], tuple[Candidate, ...]] = {}

    def candidates(self, division_code: str, channel: str) -> tuple[int, ...]:
        """The places that may get an order of this area, by id: whose stock is worth asking for."""
        return tuple(found.node.node_id for found in self.considered(division_code, channel) if found.fence is None)

    def considered(self, division_code: str, channel: str) -> tuple[Candidate, ...]:
        """Every place with a claim to the area, fenced or not, by node code."""
        key = (division_code, channel)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._consider(division_code, channel)
        return found

    def _consider(self, division_code: str, channel: str) -> tuple[Candidate, ...]:
        here = self._centroid(division_code)
        targets: dict[int, str] = {}
        elsewhere: set[int] = set()
        for digits in (6, 4, 2) if len(division_code) == 6 else ():
            for area in self._areas.get(division_code[:digits], ()):
                if area.channel not in ("", channel):
                    elsewhere.add(area.dealer_id)
                elif area.is_territory:
                    targets[area.dealer_id] = TERRITORY
                else:
                    targets.setdefault(area.dealer_id, NEIGHBOUR)
        found = [self._candidate(node, HQ, here) for node in self._own]
        for dealer_id, target in targets.items():
            found += [self._candidate(node, target, here) for node in self._of_dealer.get(dealer_id, ())]
        for dealer_id in elsewhere - targets.keys():
            found += [self._candidate(node, NEIGHBOUR, here, Fence.AREA) for node in self._of_dealer.get(dealer_id, ())]
        return tuple(sorted(found, key=lambda candidate: candidate.node.code))

    def _centroid(self, division_code: str) -> tuple[float, float] | None:
        """Of the district, or else of its city or province."""
        for code in (division_code, f"{division_code[:4]}00", f"{division_code[:2]}0000"):
            if code in self.centroids:
                return self.centroids[code]
        return None

    def _candidate(self, node: NodeFacts, target: str, here: tuple[float, float] | None, fence: Fence | None = None) -> Candidate:
        """Price what is known beforehand. Where nobody knows the centre of an area, distance costs nothing."""
        terms, policy = self.freight.get(node.kind), self.policy
        km = distance_km(node.lng, node.lat, *here) if here else 0
        text = FENCE_TEXT[fence] if fence else ""
        if fence is None and not node.is_open:
            fence, text = Fence.PAUSED, FENCE_TEXT[Fence.PAUSED]
        if terms is None:
            terms = Freight(0, 0, 1, 0, 0, 0, 0, 1, 0)
            if fence is None:
                fence, text = Fence.DISTANCE, NO_TEMPLATE
        elif fence is None and km > terms.max_km:
            fence, text = Fence.DISTANCE, FENCE_TEXT[Fence.DISTANCE]
        days = terms.base_days + -(-km // terms.km_per_day)
        first = terms.first_fen + km * terms.km_fen
        late = policy.late_fen_per_day * max(0, days - policy.promise_days)
        risk = risk_fen(policy.refusal_cost_fen, *self.answers.get(node.dealer_id, (0, 0))) if node.dealer_id else 0
        cross = policy.cross_region_fen if target == NEIGHBOUR else 0
        return Candidate(
            node=node,
            target=target,
            fence=fence,
            text=text,
            km=km,
            days=days,
            first_fen=first,
            late_fen=late,
            risk_fen=risk,
            cross_fen=cross,
            base_fen=first + late + risk + cross,
            first_weight_g=terms.first_weight_g,
            step_weight_g=terms.step_weight_g,
            step_fen=terms.step_fen,
            install_fen=terms.install_fen,
        )


@dataclass(slots=True)
class _Load:
    """The lines of one order as bits, with what each subset of them weighs and needs installed."""

    lines: tuple[LineToRoute, ...]
    stock: Stock
    scarcity: Mapping[tuple[int, int], int]
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
        """Weight (g), units to install and scarcity price (fen) of a subset at a place."""
        weight = installs = scarce = 0
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
class _Able:
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


def decide(
    order: OrderToRoute,
    table: RoutingTable,
    stock: Stock,
    *,
    ladder: Sequence[Rung],
    refused: frozenset[int] = frozenset(),
    at: datetime,
    remaining: Mapping[int, int] | None = None,
    scarcity: Mapping[tuple[int, int], int] | None = None,
) -> Decision:
    """The cheapest way to do the whole order on the first rung on which it can be done.

    Rungs add up: on the second rung the first one's places count too. Up to eight lines the plan
    is the exact optimum over all partitions of the lines among distinct places; above that it is
    built greedily. Quantities are not divided. `remaining` is how many more pieces of work a
    dealer may get today (missing: any number); `scarcity` is the price in fen of taking one unit.
    """
    ranks: dict[str, int] = {}
    for index, rung in enumerate(ladder):
        ranks.setdefault(rung.target, index)
    considered = table.considered(order.division_code, order.channel)
    if len(order.lines) == 1:
        return _decide_one(order.lines[0], considered, stock, ladder, ranks, refused, remaining, scarcity, table.policy.name)
    load = _Load(order.lines, stock, scarcity or {}, table.policy.split_fee_fen)
    trace, able = _survey(load, considered, ladder, ranks, refused, remaining)
    full = (1 << len(order.lines)) - 1
    for rank in sorted({each.rank for each in able if each.rank != NEVER}) if full else ():
        allowed = [each for each in able if each.rank <= rank]
        plan = _solve(load, allowed, full)
        if plan:
            _fence_later(able, rank)
            return _decided(load, plan, allowed, ladder[rank].position, trace, table.policy.name)
    _fence_later(able, -1)
    return Decision((), 0, 0, None, trace, _reasons(trace, order.lines), table.policy.name)


def _entry(candidate: Candidate, ladder: Sequence[Rung], rank: int) -> dict[str, Any]:
    node = candidate.node
    return {
        "node": node.code,
        "name": node.name,
        "kind": node.kind,
        "target": candidate.target,
        "step": ladder[rank].position if rank != NEVER else None,
        "km": candidate.km,
        "days": candidate.days,
    }


def _fence_of(candidate: Candidate, refused: frozenset[int], remaining: Mapping[int, int] | None) -> Fence | None:
    """Why a place is out whatever the goods are."""
    if candidate.fence is not None:
        return candidate.fence
    dealer_id = candidate.node.dealer_id
    if dealer_id is None:
        return None
    if dealer_id in refused:
        return Fence.REFUSED
    if remaining is not None and remaining.get(dealer_id, 1) <= 0:
        return Fence.CAPACITY
    return None


def _decide_one(
    line: LineToRoute,
    considered: Sequence[Candidate],
    stock: Stock,
    ladder: Sequence[Rung],
    ranks: Mapping[str, int],
    refused: frozenset[int],
    remaining: Mapping[int, int] | None,
    scarcity: Mapping[tuple[int, int], int] | None,
    policy: str,
) -> Decision:
    """The common case, an order of one line, in one pass over the candidates."""
    sku_id, skill = line.sku_id, line.install_skill
    needed = line.quantity if line.is_counted else 0
    weight = line.weight_g * needed
    installs = line.quantity if skill else 0
    trace: list[dict[str, Any]] = []
    able: list[tuple[int, int, Candidate, dict[str, Any]]] = []
    for candidate in considered:
        node = candidate.node
        rank = ranks.get(candidate.target, NEVER)
        entry = _entry(candidate, ladder, rank)
        trace.append(entry)
        fence = _fence_of(candidate, refused, remaining)
        if fence is None:
            if skill and node.dealer_id is not None and skill not in node.skills:
                fence = Fence.SKILL
            elif needed and stock.get((node.node_id, sku_id), 0) < needed:
                fence = Fence.STOCK
        if fence is not None:
            entry["fence"] = fence.value
            entry["text"] = candidate.text or FENCE_TEXT[fence]
            continue
        scarce = scarcity.get((node.node_id, sku_id), 0) * needed if scarcity else 0
        cost = candidate.cost_fen(weight, installs, scarce)
        entry["cost_fen"] = cost
        entry["breakdown"] = candidate.breakdown(weight, installs, scarce)
        entry["lines"] = [0]
        able.append((rank, cost, candidate, entry))
    best_rank = min((rank for rank, *_ in able), default=NEVER)
    best: tuple[int, int, Candidate, dict[str, Any]] | None = None
    runner_up: int | None = None
    for each in able:
        if each[0] != best_rank or best_rank == NEVER:
            each[3]["fence"] = Fence.LADDER.value
            each[3]["text"] = LADDER_OVER if each[0] == NEVER else FENCE_TEXT[Fence.LADDER]
        elif best is None or each[1] < best[1]:
            runner_up, best = best[1] if best else None, each
        elif runner_up is None or each[1] < runner_up:
            runner_up = each[1]
    if best is None:
        return Decision((), 0, 0, None, trace, _reasons(trace, (line,)), policy)
    _, cost, candidate, entry = best
    node = candidate.node
    package = Package(node.node_id, node.dealer_id, (0,), cost, entry["breakdown"], candidate.days, node.code)
    return Decision((package,), ladder[best_rank].position, cost, runner_up, trace, (), policy)


def _survey(
    load: _Load,
    considered: Sequence[Candidate],
    ladder: Sequence[Rung],
    ranks: Mapping[str, int],
    refused: frozenset[int],
    remaining: Mapping[int, int] | None,
) -> tuple[list[dict[str, Any]], list[_Able]]:
    """Look at every candidate once: fenced, or the lines it can do and what they cost together there."""
    trace: list[dict[str, Any]] = []
    able: list[_Able] = []
    full = (1 << len(load.lines)) - 1
    for candidate in considered:
        rank = ranks.get(candidate.target, NEVER)
        entry = _entry(candidate, ladder, rank)
        trace.append(entry)
        fence = _fence_of(candidate, refused, remaining)
        missing = load.missing(candidate) if fence is None else {}
        mask = full
        for index in missing:
            mask ^= 1 << index
        if fence is None and mask == 0:
            fence = next(iter(missing.values()), Fence.STOCK)
        if fence is not None:
            entry["fence"] = fence.value
            entry["text"] = candidate.text or FENCE_TEXT[fence]
            continue
        covered = _together(load, candidate, mask)
        terms = load.terms(candidate, covered)
        entry["cost_fen"] = candidate.cost_fen(*terms)
        entry["breakdown"] = candidate.breakdown(*terms)
        entry["lines"] = list(indexes_of(covered))
        if missing or covered != mask:
            entry["missing"] = {str(index): FENCE_TEXT[missing.get(index, Fence.STOCK)] for index in indexes_of(full ^ covered)}
        able.append(_Able(candidate, mask, rank, entry, covered))
    return trace, able


def _together(load: _Load, candidate: Candidate, mask: int) -> int:
    """The lines that a place can do all at once: where lines share a SKU, the first ones that fit."""
    if not load.shared_skus or load.fits(candidate, mask):
        return mask
    kept = 0
    for index in indexes_of(mask):
        if load.fits(candidate, kept | 1 << index):
            kept |= 1 << index
    return kept


def _fence_later(able: Iterable[_Able], rank: int) -> None:
    """Mark the places whose rung has not come, keeping their cost to be seen."""
    for each in able:
        if each.rank == NEVER or (each.rank > rank >= 0):
            each.entry["fence"] = Fence.LADDER.value
            each.entry["text"] = LADDER_OVER if each.rank == NEVER else FENCE_TEXT[Fence.LADDER]


def _decided(
    load: _Load, plan: Plan, allowed: Sequence[_Able], position: int, trace: list[dict[str, Any]], policy: str
) -> Decision:
    packages = []
    for candidate, mask in sorted(plan, key=lambda each: indexes_of(each[1])):
        terms, node = load.terms(candidate, mask), candidate.node
        cost, parts = candidate.cost_fen(*terms), candidate.breakdown(*terms)
        packages.append(Package(node.node_id, node.dealer_id, indexes_of(mask), cost, parts, candidate.days, node.code))
    full = (1 << len(load.lines)) - 1
    chosen = packages[0].node_id if len(packages) == 1 else None
    others = [each.entry["cost_fen"] for each in allowed if each.covered == full and each.candidate.node.node_id != chosen]
    total = sum(package.cost_fen for package in packages) + load.split_fee_fen * (len(packages) - 1)
    return Decision(tuple(packages), position, total, min(others, default=None), trace, (), policy)


def _solve(load: _Load, allowed: Sequence[_Able], full: int) -> Plan | None:
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


def _best_by_subset(load: _Load, allowed: Sequence[_Able], full: int) -> Plan | None:
    """Best place per subset of lines, then the best partition into subsets: O(2^L × places + 3^L).

    May use one place twice, when two parcels are cheaper than one heavy one.
    """
    weights, installs = [0] * (full + 1), [0] * (full + 1)
    for mask in range(1, full + 1):
        low = mask & -mask
        weights[mask] = weights[mask ^ low] + load.weights[low.bit_length() - 1]
        installs[mask] = installs[mask ^ low] + load.installs[low.bit_length() - 1]
    best = [NEVER * NEVER] * (full + 1)
    place: list[Candidate | None] = [None] * (full + 1)
    for each in allowed:
        candidate, mask = each.candidate, each.mask
        while mask:
            scarce = load.terms(candidate, mask)[2] if load.scarcity else 0
            cost = candidate.cost_fen(weights[mask], installs[mask], scarce)
            if cost < best[mask]:
                best[mask], place[mask] = cost, candidate
            mask = (mask - 1) & each.mask
    total, taken = [0] * (full + 1), [0] * (full + 1)
    for mask in range(1, full + 1):
        cheapest, choice, low = best[mask], mask, mask & -mask
        rest = sub = mask ^ low
        while sub:
            sub = (sub - 1) & rest
            cost = best[sub | low] + total[rest ^ sub] + load.split_fee_fen
            if cost < cheapest:
                cheapest, choice = cost, sub | low
        total[mask], taken[mask] = cheapest, choice
    plan: Plan = []
    mask = full
    while mask:
        candidate_here = place[taken[mask]]
        if candidate_here is None:
            return None
        plan.append((candidate_here, taken[mask]))
        mask ^= taken[mask]
    return plan


def _best_by_node(load: _Load, allowed: Sequence[_Able], full: int) -> Plan | None:
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


def _greedy(load: _Load, allowed: Sequence[_Able], full: int) -> Plan | None:
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


def _reasons(trace: Sequence[dict[str, Any]], lines: Sequence[LineToRoute]) -> tuple[str, ...]:
    """Why an order went nowhere: each fence with how many places it keeps out, and the lines nobody can do."""
    if not lines:
        return (NO_LINES,)
    if not trace:
        return (NOBODY,)
    counts = Counter(entry["text"] for entry in trace if "fence" in entry)
    reasons = [f"{text} ×{count}" for text, count in counts.items()]
    if len(lines) > 1:
        doable = {index for entry in trace if "fence" not in entry for index in entry["lines"]}
        lacking = [line.name for index, line in enumerate(lines) if index not in doable]
        reasons = [f"{'、'.join(lacking) or '全部商品'}：没有可用的发货点", *reasons]
    return tuple(reasons)


def explain(trace: Sequence[Mapping[str, Any]], plan: Sequence[Mapping[str, Any]]) -> list[str]:
    """A stored decision in sentences: why these places, and for each other one why not."""
    names = {entry["node"]: entry["name"] for entry in trace}
    chosen = {package["node"] for package in plan}
    told = []
    for package in plan:
        parts = "、".join(f"{COMPONENT_TEXT[name]} {yuan(amount)}" for name, amount in package["breakdown"].items() if amount)
        goods = f"第 {'、'.join(str(index + 1) for index in package['lines'])} 行"
        name = names.get(package["node"], package["node"])
        told.append(f"为什么派给{name}：{goods}成本最低，合计 {yuan(package['cost_fen'])}（{parts or '没有费用'}）")
    cheapest = sum(package["cost_fen"] for package in plan)
    for entry in trace:
        if entry["node"] in chosen:
            continue
        if "fence" in entry:
            cost = f"（成本 {yuan(entry['cost_fen'])}）" if "cost_fen" in entry else ""
            told.append(f"为什么不是{entry['name']}：{entry['text']}{cost}")
        elif "missing" in entry:
            lacking = "；".join(f"第 {int(index) + 1} 行{text}" for index, text in entry["missing"].items())
            told.append(f"为什么不是{entry['name']}：{lacking}")
        elif not plan:
            told.append(f"为什么不是{entry['name']}：不能与其他发货点合起来完成整单")
        else:
            more = entry["cost_fen"] - cheapest
            why = f"贵 {yuan(more)}" if more > 0 else "成本相同" if more == 0 else "拆成多个包裹更贵"
            told.append(f"为什么不是{entry['name']}：成本 {yuan(entry['cost_fen'])}，{why}")
    return told
