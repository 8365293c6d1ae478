"""Which place should do which lines of an order, at what cost, and why not the others.

Everything is counted in integer fen, so that a choice can be explained line by line. Pure: plain
values in, plain values out; the same question always gets the same answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oms_project.money import yuan
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.plans import Able, Load, Plan, Stock, indexes_of, solve
from orders.routing.table import FENCE_TEXT, Area, Candidate, Fence, Freight, NodeFacts, PolicyTerms, RoutingTable

__all__ = [
    "Area",
    "Decision",
    "Fence",
    "Freight",
    "NodeFacts",
    "Package",
    "PolicyTerms",
    "RoutingTable",
    "Rung",
    "decide",
    "decided_as",
    "explain",
    "price_told",
]

NEVER = 1 << 30
LADDER_OVER = "这一级阶梯不再询问"
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
    trace has one element per candidate: fenced, or with its cost and breakdown. reasons: why it went
    nowhere, or else why it did not get its first choice.
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
    """The cheapest way to do the whole order on the first rung on which it can be done.

    Rungs add up: on the second rung the first one's places count too. Up to eight lines the plan
    is the exact optimum over all partitions of the lines among distinct places; above that it is
    built greedily. Quantities are not divided. `remaining` is how many more pieces of work a
    dealer may get today (missing: any number); `scarcity` is the price in fen of taking one unit
    from a node, `work_prices` that of a piece of a dealer's work.
    """
    ranks = _ranks(ladder)
    considered = table.considered(order.division_code, order.channel)
    load = Load(order.lines, stock, scarcity or {}, work_prices or {}, table.policy.split_fee_fen)
    if len(order.lines) == 1:
        return _decide_one(load, considered, ladder, ranks, refused, remaining, table.policy.name)
    trace, able = _survey(load, considered, ladder, ranks, refused, remaining)
    full = (1 << len(order.lines)) - 1
    for rank in sorted({each.rank for each in able if each.rank != NEVER}) if full else ():
        allowed = [each for each in able if each.rank <= rank]
        plan = solve(load, allowed, full)
        if plan:
            _fence_later(able, rank)
            return _decided(load, plan, allowed, ladder[rank].position, trace, table.policy.name)
    _fence_later(able, -1)
    return Decision((), 0, 0, None, trace, _reasons(trace, order.lines), table.policy.name)


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
) -> Decision:
    """A plan that was made elsewhere (a batch) as a decision, with the same costs and the same trace.

    `placements` has the lines by node id; `stock` and `remaining` include what the plan takes.
    Raises ValueError where a place could not do what it is given.
    """
    load = Load(order.lines, stock, scarcity or {}, work_prices or {}, table.policy.split_fee_fen)
    trace, able = _survey(load, table.considered(order.division_code, order.channel), ladder, _ranks(ladder), refused, remaining)
    by_node = {each.candidate.node.node_id: each for each in able if each.rank != NEVER}
    plan: Plan = []
    rank = 0
    for node_id, indexes in placements.items():
        each, mask = by_node.get(node_id), sum(1 << index for index in indexes)
        if each is None or mask & ~each.mask or not load.fits(each.candidate, mask):
            raise ValueError(f"node {node_id} cannot do lines {list(indexes)} of order {order.order_id}")
        plan.append((each.candidate, mask))
        rank = max(rank, each.rank)
    if not plan:
        _fence_later(able, -1)
        return Decision((), 0, 0, None, trace, _reasons(trace, order.lines), table.policy.name)
    _fence_later(able, rank)
    allowed = [each for each in able if each.rank <= rank]
    return _decided(load, plan, allowed, ladder[rank].position, trace, table.policy.name)


def _ranks(ladder: Sequence[Rung]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for index, rung in enumerate(ladder):
        ranks.setdefault(rung.target, index)
    return ranks


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
    load: Load,
    considered: Sequence[Candidate],
    ladder: Sequence[Rung],
    ranks: Mapping[str, int],
    refused: frozenset[int],
    remaining: Mapping[int, int] | None,
    policy: str,
) -> Decision:
    """The common case, an order of one line, in one pass over the candidates."""
    (line,), stock = load.lines, load.stock
    sku_id, skill = line.sku_id, line.install_skill
    needed = line.quantity if line.is_counted else 0
    weight, installs = load.weights[0], load.installs[0]
    is_priced = bool(load.scarcity or load.works)
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
        scarce = load.terms(candidate, 1)[2] if is_priced else 0
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
    load: Load,
    considered: Sequence[Candidate],
    ladder: Sequence[Rung],
    ranks: Mapping[str, int],
    refused: frozenset[int],
    remaining: Mapping[int, int] | None,
) -> tuple[list[dict[str, Any]], list[Able]]:
    """Look at every candidate once: fenced, or the lines it can do and what they cost together there."""
    trace: list[dict[str, Any]] = []
    able: list[Able] = []
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
        able.append(Able(candidate, mask, rank, entry, covered))
    return trace, able


def _together(load: Load, candidate: Candidate, mask: int) -> int:
    """The lines that a place can do all at once: where lines share a SKU, the first ones that fit."""
    if not load.shared_skus or load.fits(candidate, mask):
        return mask
    kept = 0
    for index in indexes_of(mask):
        if load.fits(candidate, kept | 1 << index):
            kept |= 1 << index
    return kept


def _fence_later(able: Iterable[Able], rank: int) -> None:
    """Mark the places whose rung has not come, keeping their cost to be seen."""
    for each in able:
        if each.rank == NEVER or (each.rank > rank >= 0):
            each.entry["fence"] = Fence.LADDER.value
            each.entry["text"] = LADDER_OVER if each.rank == NEVER else FENCE_TEXT[Fence.LADDER]


def _decided(
    load: Load, plan: Plan, allowed: Sequence[Able], position: int, trace: list[dict[str, Any]], policy: str
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


def price_told(entry: Mapping[str, Any]) -> str:
    """What a place would cost, and for which lines where it is not for all of them."""
    part = f"，只含第 {'、'.join(str(index + 1) for index in entry['lines'])} 行" if "missing" in entry else ""
    return f"{yuan(entry['cost_fen'])}{part}"


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
            cost = f"（成本 {price_told(entry)}）" if "cost_fen" in entry else ""
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
