"""Which place should do which lines of an order, at what cost, and why not the others.

Everything is counted in integer fen, so that a choice can be explained line by line. Pure: plain
values in, plain values out; the same question always gets the same answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.partition import indexes_of
from orders.routing.plans import Able, Extras, Load, Plan, Stock, kept_together, solve, units_of
from orders.routing.table import FENCE_TEXT, HQ, Area, Candidate, Fence, NodeFacts, RoutingTable, Tariff
from orders.rulesets.rules import OrderTerms, Unroutable

__all__ = [
    "Area",
    "Decision",
    "Fence",
    "NodeFacts",
    "Package",
    "RoutingTable",
    "Rung",
    "decide",
    "decided_as",
    "hq_ladder",
]

NEVER = 1 << 30
LADDER_OVER = "这一级阶梯不再询问"
NOBODY = "没有发货点服务该地区"
NO_LINES = "没有待履约的商品行"
NOT_WHOLE = "各商品都有发货点，但凑不成整单"
RELAXED_TEXT = {
    Unroutable.SPLIT: "已放宽规则：不限包裹数，商品不必同仓",
    Unroutable.HQ: "已放宽规则：只用总部发货点，不限分组、省份、距离与时效",
}
STILL_NOBODY = "放宽规则后仍无法派出"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: whose places may be asked, for how many seconds each, and how many."""

    position: int
    target: str
    seconds: int
    max_offers: int


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
    trace has one element per candidate: fenced, or with its cost and breakdown. relaxed says that
    nobody could serve the order on its terms, and by which Unroutable it was decided again.
    """

    packages: tuple[Package, ...]
    ladder_step: int
    cost_fen: int
    runner_up_fen: int | None
    trace: list[dict[str, Any]]
    reasons: tuple[str, ...]
    policy: str = ""
    terms: OrderTerms = OrderTerms()
    relaxed: str = ""

    @property
    def is_routable(self) -> bool:
        return bool(self.packages)

    def on_terms(self) -> dict[str, Any]:
        """By which terms it was decided, as it is stored beside plan and trace."""
        terms = self.terms
        told: dict[str, Any] = {"terms": terms.name, "promise": terms.promise.name, "promise_days": terms.promise.days}
        told |= {"split_fee_fen": terms.split_fee_fen, "reasons": list(self.reasons)}
        return told | {"relaxed": self.relaxed} if self.relaxed else told


@dataclass(slots=True)
class _Question:
    """All that one decision is asked; rungs: by target, (index, position) of its rung."""

    order: OrderToRoute
    stock: Stock
    ladder: Sequence[Rung]
    refused: frozenset[int]
    remaining: Mapping[int, int]
    extras: Extras
    policy: str
    rungs: dict[str, tuple[int, int | None]]

    def load(self, terms: OrderTerms) -> Load:
        lines = self.order.lines
        units = units_of(len(lines), kept_together(lines, terms))
        return Load(lines, units, self.stock, self.extras, terms.split_fee_fen, terms.max_packages, self.remaining)


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
    work_prices: Mapping[int, int] | None = None,
) -> Decision:
    """The cheapest way to do the whole order, on its terms, on the first rung on which it can be done.

    Rungs add up: on the second rung the first one's places count too. Up to eight units (lines, or
    lines that stay together) the plan is the exact optimum over all partitions among distinct
    places, in no more packages than allowed; above that it is built greedily. Quantities are not
    divided. `remaining` is how many more pieces of work a dealer may get today (missing: any
    number); `scarcity` is the price in fen of taking one unit from a node, `work_prices` that of a
    piece of a dealer's work. What nobody can serve is decided again as its terms say.
    """
    asked = _question(order, table, stock, ladder, refused, remaining, scarcity, work_prices)
    terms = table.terms_for(order)
    considered = table.considered(order.division_code, order.channel, terms)
    decision = _decide(asked, terms, considered)
    if decision.packages or not order.lines or terms.on_unroutable not in RELAXED_TEXT:
        return decision
    again = _decide(*_relaxed(asked, table, terms))
    if not again.packages:
        return replace(decision, reasons=(*decision.reasons, STILL_NOBODY))
    return _as_relaxed(again, decision, terms)


def decided_as(
    order: OrderToRoute,
    table: RoutingTable,
    stock: Stock,
    placements: Mapping[int, Sequence[int]],
    *,
    ladder: Sequence[Rung],
    refused: frozenset[int] = frozenset(),
    remaining: Mapping[int, int] | None = None,
    scarcity: Mapping[tuple[int, int], int] | None = None,
    work_prices: Mapping[int, int] | None = None,
    is_relaxed: bool = False,
) -> Decision:
    """A plan that was made elsewhere (a batch) as a decision, with the same costs and the same trace.

    `placements` has the lines by node id; `stock` and `remaining` include what the plan takes;
    `is_relaxed` as the batch says. Raises ValueError where a place could not do what it is given.
    """
    asked = _question(order, table, stock, ladder, refused, remaining, scarcity, work_prices)
    terms = table.terms_for(order)
    considered = table.considered(order.division_code, order.channel, terms)
    if not is_relaxed:
        return _placed(asked, terms, considered, placements)
    return _as_relaxed(_placed(*_relaxed(asked, table, terms), placements), _placed(asked, terms, considered, {}), terms)


def hq_ladder(ladder: Sequence[Rung]) -> tuple[Rung, ...]:
    """The rungs of HQ's own places alone; where there are none, one after all others."""
    own = tuple(rung for rung in ladder if rung.target == HQ)
    return own or (Rung(max((rung.position for rung in ladder), default=0) + 1, HQ, 60, 1),)


def _question(
    order: OrderToRoute,
    table: RoutingTable,
    stock: Stock,
    ladder: Sequence[Rung],
    refused: frozenset[int],
    remaining: Mapping[int, int] | None,
    scarcity: Mapping[tuple[int, int], int] | None,
    work_prices: Mapping[int, int] | None,
) -> _Question:
    extras = Extras(scarcity or {}, work_prices or {}, table.ageing)
    return _Question(order, stock, ladder, refused, remaining or {}, extras, table.book.name, _rungs(ladder))


def _rungs(ladder: Sequence[Rung]) -> dict[str, tuple[int, int | None]]:
    rungs: dict[str, tuple[int, int | None]] = {}
    for index, rung in enumerate(ladder):
        rungs.setdefault(rung.target, (index, rung.position))
    return rungs


NO_RUNG: tuple[int, int | None] = (NEVER, None)


def _relaxed(asked: _Question, table: RoutingTable, terms: OrderTerms) -> tuple[_Question, OrderTerms, Sequence[Candidate]]:
    """The same question on the looser terms."""
    order, looser = asked.order, table.loosened(terms)
    considered: Sequence[Candidate] = table.considered(order.division_code, order.channel, looser)
    if terms.on_unroutable is Unroutable.HQ:
        ladder = hq_ladder(asked.ladder)
        considered = [each for each in considered if each.target == HQ]
        asked = replace(asked, ladder=ladder, rungs=_rungs(ladder))
    return asked, looser, considered


def _as_relaxed(again: Decision, before: Decision, terms: OrderTerms) -> Decision:
    """A decision on looser terms tells so; places that were no candidates any more keep their first entry."""
    seen = {entry["node"]: entry for entry in again.trace}
    how = Unroutable(terms.on_unroutable)
    return replace(
        again,
        trace=[seen.get(entry["node"], entry) for entry in before.trace],
        reasons=(RELAXED_TEXT[how], *before.reasons),
        terms=terms,
        relaxed=how.value,
    )


def _decide(asked: _Question, terms: OrderTerms, considered: Sequence[Candidate]) -> Decision:
    if len(asked.order.lines) == 1:
        return _decide_one(asked, terms, considered)
    load = asked.load(terms)
    trace, able = _survey(load, asked, considered)
    for rank in sorted({each.rank for each in able if each.rank != NEVER}) if load.full else ():
        allowed = [each for each in able if each.rank <= rank]
        plan = solve(load, allowed)
        if plan:
            _fence_later(able, rank)
            return _decided(load, plan, allowed, asked, terms, rank, trace)
    return _nowhere(asked, terms, trace, able)


def _placed(
    asked: _Question, terms: OrderTerms, considered: Sequence[Candidate], placements: Mapping[int, Sequence[int]]
) -> Decision:
    load = asked.load(terms)
    trace, able = _survey(load, asked, considered)
    by_node = {each.candidate.node.node_id: each for each in able if each.rank != NEVER}
    plan: Plan = []
    rank = 0
    for node_id, indexes in placements.items():
        each = by_node.get(node_id)
        mask = sum(1 << unit for unit, lines in enumerate(load.units) if set(lines) <= set(indexes))
        if (
            each is None
            or load.lines_of(mask) != tuple(sorted(indexes))
            or mask & ~each.mask
            or not load.fits(each.candidate, mask)
        ):
            raise ValueError(f"node {node_id} cannot do lines {list(indexes)} of order {asked.order.order_id}")
        plan.append((each.candidate, mask))
        rank = max(rank, each.rank)
    if not plan:
        return _nowhere(asked, terms, trace, able)
    _fence_later(able, rank)
    allowed = [each for each in able if each.rank <= rank]
    return _decided(load, plan, allowed, asked, terms, rank, trace)


def _fence_of(candidate: Candidate, asked: _Question) -> Fence | None:
    """Why a place is out whatever the goods are."""
    if candidate.fence is not None:
        return candidate.fence
    dealer_id = candidate.node.dealer_id
    if dealer_id is None:
        return None
    if dealer_id in asked.refused:
        return Fence.REFUSED
    return Fence.CAPACITY if asked.remaining.get(dealer_id, 1) <= 0 else None


def _decide_one(asked: _Question, terms: OrderTerms, considered: Sequence[Candidate]) -> Decision:
    """The common case, an order of one line, in one pass over the candidates."""
    (line,), stock, rungs, extras = asked.order.lines, asked.stock, asked.rungs, asked.extras
    sku_id, skill = line.sku_id, line.install_skill
    needed = line.quantity if line.is_counted else 0
    weight, installs = line.weight_g * needed, ((skill, line.quantity),) if skill else ()
    load = asked.load(terms) if extras.are_there else None
    priced: dict[Tariff, tuple[int, int]] = {}
    trace: list[dict[str, Any]] = []
    able: list[tuple[int, int, Candidate, dict[str, Any]]] = []
    for candidate in considered:
        node = candidate.node
        rank, position = rungs.get(candidate.target, NO_RUNG)
        entry = candidate.seen.copy()
        entry["step"] = position
        trace.append(entry)
        fence = _fence_of(candidate, asked)
        if fence is None:
            if skill and node.dealer_id is not None and skill not in node.skills:
                fence = Fence.SKILL
            elif needed and stock.get((node.node_id, sku_id), 0) < needed:
                fence = Fence.STOCK
        if fence is not None:
            entry["fence"] = fence.value
            entry["text"] = candidate.text or FENCE_TEXT[fence]
            continue
        goods = priced.get(candidate.tariff)
        if goods is None:
            goods = priced[candidate.tariff] = candidate.tariff.goods_fen(weight, installs)
        scarce, aged = load.extra_fen(candidate, 1) if load is not None else (0, 0)
        entry["breakdown"] = candidate.breakdown(goods, scarce, aged)
        cost = candidate.base_fen + goods[0] + goods[1] + scarce - aged
        entry["cost_fen"] = cost
        entry["lines"] = [0]
        able.append((rank, cost, candidate, entry))
    return _cheapest_one(asked, terms, trace, able)


def _cheapest_one(
    asked: _Question,
    terms: OrderTerms,
    trace: list[dict[str, Any]],
    able: Sequence[tuple[int, int, Candidate, dict[str, Any]]],
) -> Decision:
    """The cheapest of those on the first rung that has any; equal costs by code."""
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
        return Decision((), 0, 0, None, trace, _reasons(trace, asked.order.lines, terms), asked.policy, terms)
    _, cost, candidate, entry = best
    node = candidate.node
    package = Package(node.node_id, node.dealer_id, (0,), cost, entry["breakdown"], candidate.days, node.code)
    return Decision((package,), asked.ladder[best_rank].position, cost, runner_up, trace, (), asked.policy, terms)


def _survey(load: Load, asked: _Question, considered: Sequence[Candidate]) -> tuple[list[dict[str, Any]], list[Able]]:
    """Look at every candidate once: fenced, or the lines it can do and what they cost together there."""
    trace: list[dict[str, Any]] = []
    able: list[Able] = []
    full = load.full
    for candidate in considered:
        rank, position = asked.rungs.get(candidate.target, NO_RUNG)
        entry = candidate.seen.copy()
        entry["step"] = position
        trace.append(entry)
        fence = _fence_of(candidate, asked)
        lacking, missing = load.missing(candidate) if fence is None else (0, {})
        mask = full ^ lacking
        if fence is None and mask == 0:
            fence = next((each for each in missing.values() if each is not Fence.TOGETHER), Fence.STOCK)
        if fence is not None:
            entry["fence"] = fence.value
            entry["text"] = candidate.text or FENCE_TEXT[fence]
            continue
        covered = _at_once(load, candidate, mask)
        entry["breakdown"] = parts = load.breakdown(candidate, covered)
        entry["cost_fen"] = sum(parts.values())
        entry["lines"] = list(load.lines_of(covered))
        if covered != full:
            others = load.lines_of(full ^ covered)
            entry["missing"] = {str(index): FENCE_TEXT[missing.get(index, Fence.STOCK)] for index in others}
        able.append(Able(candidate, mask, rank, entry, covered))
    return trace, able


def _at_once(load: Load, candidate: Candidate, mask: int) -> int:
    """The units that a place can do all at once: where they share a SKU, the first ones that fit."""
    if not load.shared_skus or load.fits(candidate, mask):
        return mask
    kept = 0
    for unit in indexes_of(mask):
        if load.fits(candidate, kept | 1 << unit):
            kept |= 1 << unit
    return kept


def _fence_later(able: Iterable[Able], rank: int) -> None:
    """Mark the places whose rung has not come, keeping their cost to be seen."""
    for each in able:
        if each.rank == NEVER or (each.rank > rank >= 0):
            each.entry["fence"] = Fence.LADDER.value
            each.entry["text"] = LADDER_OVER if each.rank == NEVER else FENCE_TEXT[Fence.LADDER]


def _decided(
    load: Load,
    plan: Plan,
    allowed: Sequence[Able],
    asked: _Question,
    terms: OrderTerms,
    rank: int,
    trace: list[dict[str, Any]],
) -> Decision:
    packages = []
    for candidate, mask in sorted(plan, key=lambda each: load.lines_of(each[1])):
        node, parts = candidate.node, load.breakdown(candidate, mask)
        lines, cost = load.lines_of(mask), sum(parts.values())
        packages.append(Package(node.node_id, node.dealer_id, lines, cost, parts, candidate.days, node.code))
    chosen = packages[0].node_id if len(packages) == 1 else None
    others = [each.entry["cost_fen"] for each in allowed if each.covered == load.full and each.candidate.node.node_id != chosen]
    total = sum(package.cost_fen for package in packages) + load.split_fee_fen * (len(packages) - 1)
    step = asked.ladder[rank].position
    return Decision(tuple(packages), step, total, min(others, default=None), trace, (), asked.policy, terms)


def _nowhere(asked: _Question, terms: OrderTerms, trace: list[dict[str, Any]], able: Iterable[Able]) -> Decision:
    _fence_later(able, -1)
    return Decision((), 0, 0, None, trace, _reasons(trace, asked.order.lines, terms), asked.policy, terms)


def _reasons(trace: Sequence[dict[str, Any]], lines: Sequence[LineToRoute], terms: OrderTerms) -> tuple[str, ...]:
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
        limit = f"（最多 {terms.max_packages} 个包裹）" if terms.max_packages else ""
        reasons = [f"{'、'.join(lacking)}：没有可用的发货点" if lacking else f"{NOT_WHOLE}{limit}", *reasons]
    return tuple(reasons)
