"""The ways to route a day that are measured against each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from orders.routing import batch
from orders.routing.bench import audit, habits
from orders.routing.bench.day import Day, expected_prices
from orders.routing.bench.world import MIDNIGHT, World
from orders.routing.market import BatchTerms, Placement
from orders.routing.rules import decide
from orders.routing.shelves import Prices

Clock = Callable[[], float]
TERMS = BatchTerms(rung_fen=0, is_whole=False)  # money alone decides, and single lines may stay behind
OPEN_ORDERS = 2000


@dataclass(frozen=True, slots=True)
class Run:
    """All orders of a day, routed in so many seconds; with the prices that were counted, and what a day noticed."""

    placed: Sequence[batch.Placed]
    seconds: float
    prices: Prices | None = None
    worst_step: float = 0.0
    moves: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that was audited; total_fen is what a batch weighs, without any price of scarcity."""

    run: Run
    total_fen: int
    faults: list[str]


@dataclass(frozen=True, slots=True)
class Method:
    title: str
    route: Callable[[World, Clock], Run]
    expects: bool = False  # needs other days to learn from


def outcome_of(method: Method, world: World, clock: Clock) -> Outcome:
    """Route the world by a method and have it audited: stock, capacity, fences, acceptance, explanations."""
    run = method.route(world, clock)
    faults = list(run.faults)
    faults += audit.violations(world.orders, run.placed, world.table, world.stock, world.remaining)
    faults += audit.unexplained(world.orders, run.placed, world.table, world.stock, run.prices)
    return Outcome(run, audit.total_fen(world.orders, run.placed, world.table), faults)


def _by_habit(habit: habits.Habit, world: World, clock: Clock) -> Run:
    began = clock()
    placed = habits.route(world, TERMS, habit)
    return Run(placed, clock() - began)


def _one_by_one(world: World, clock: Clock) -> Run:
    """As a lone order is decided in earnest: whole or not at all, the ladder a fence, every candidate told."""
    stock, remaining, placed = dict(world.stock), dict(world.remaining), []
    began = clock()
    for asked in world.orders:
        decision = decide(asked.order, world.table, stock, ladder=asked.ladder, at=MIDNIGHT, remaining=remaining)
        for package in decision.packages:
            if package.dealer_id is not None:
                remaining[package.dealer_id] -= 1
            for index in package.line_indexes:
                stock[package.node_id, asked.order.lines[index].sku_id] -= asked.order.lines[index].quantity
        placements = tuple(Placement(package.node_id, package.line_indexes) for package in decision.packages)
        unfilled = () if placements else tuple(range(len(asked.order.lines)))
        placed.append(batch.Placed(asked.order.order_id, placements, decision.cost_fen, unfilled))
    return Run(placed, clock() - began)


def _together(effort: batch.Effort, world: World, clock: Clock) -> Run:
    began = clock()
    done = batch.route_batch(world.orders, world.table, world.stock, remaining=world.remaining, terms=TERMS, effort=effort)
    return Run(done.placed, clock() - began)


def _as_it_happens(world: World, clock: Clock, *, redecides: bool = False, expects: bool = False) -> Run:
    prices = expected_prices(world, TERMS) if expects else None
    day = Day(world, TERMS, clock)
    if redecides:
        day.run(still_open=OPEN_ORDERS, effort=batch.REDECIDE, prices=prices)
    else:
        day.run(still_open=0, effort=batch.FIRST_COME, prices=prices)
    return Run(list(day.placed.values()), day.seconds, prices, day.worst_step, day.moves, day.faults)


METHODS = {
    "nearest": Method("距离优先，逐行", partial(_by_habit, habits.nearest_first)),
    "fewest": Method("最少拆单，再按距离", partial(_by_habit, habits.fewest_packages)),
    "single": Method("逐单决策，整单，阶梯为栅栏，附全部候选明细", _one_by_one),
    "first": Method("先到先得，逐单精确", partial(_together, batch.FIRST_COME)),
    "quick": Method("整批，快速", partial(_together, batch.QUICK)),
    "full": Method("整批，完整", partial(_together, batch.FULL)),
    "day": Method("逐单到达，先到先得", _as_it_happens),
    "day-again": Method("逐单到达，重派最近未接单", partial(_as_it_happens, redecides=True)),
    "day-priced": Method("逐单到达，预测稀缺价", partial(_as_it_happens, expects=True), expects=True),
    "day-both": Method("逐单到达，预测稀缺价并重派", partial(_as_it_happens, redecides=True, expects=True), expects=True),
}
