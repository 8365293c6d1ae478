"""The ways to route a day that are measured against each other."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orders.routing import batch
from orders.routing.bench import audit, habits
from orders.routing.bench.day import Day, expected_prices
from orders.routing.bench.world import World
from orders.routing.market import BatchTerms
from orders.routing.shelves import Prices

Clock = Callable[[], float]
TERMS = BatchTerms(rung_fen=0, is_whole=False)  # money alone decides, and single lines may stay behind
OPEN_ORDERS = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole day, routed and audited; total_fen is what a batch weighs, without any price of scarcity."""

    placed: list[batch.Placed]
    total_fen: int
    seconds: float
    faults: list[str] = field(default_factory=list)
    worst_step: float = 0.0
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Method:
    """How it is called, and how it is done; without an effort and habit nothing is done twice."""

    title: str
    habit: habits.Habit | None = None
    effort: batch.Effort = batch.FIRST_COME
    is_day: bool = False
    still_open: int = 0
    expects: bool = False


METHODS = {
    "nearest": Method("距离优先，逐行", habit=habits.nearest_first),
    "fewest": Method("最少拆单，再按距离", habit=habits.fewest_packages),
    "first": Method("先到先得，逐单精确"),
    "quick": Method("整批，快速", effort=batch.QUICK),
    "full": Method("整批，完整", effort=batch.FULL),
    "day": Method("逐单到达，先到先得", is_day=True),
    "day-again": Method("逐单到达，重派最近未接单", effort=batch.REDECIDE, is_day=True, still_open=OPEN_ORDERS),
    "day-priced": Method("逐单到达，预测稀缺价", is_day=True, expects=True),
    "day-both": Method("逐单到达，预测稀缺价并重派", effort=batch.REDECIDE, is_day=True, still_open=OPEN_ORDERS, expects=True),
}


def run(method: Method, world: World, clock: Clock) -> Outcome:
    """Route all orders of the world and have it audited: stock, capacity, fences, acceptance, explanations."""
    table, prices = world.table, expected_prices(world, TERMS) if method.expects else None
    began = clock()
    if method.is_day:
        day = Day(world, TERMS, clock)
        day.run(still_open=method.still_open, effort=method.effort, prices=prices)
        return _audited(world, prices, list(day.placed.values()), day.seconds, day)
    if method.habit:
        placed = habits.route(world, TERMS, method.habit)
    else:
        done = batch.route_batch(world.orders, table, world.stock, remaining=world.remaining, terms=TERMS, effort=method.effort)
        placed = list(done.placed)
    return _audited(world, prices, placed, clock() - began)


def _audited(world: World, prices: Prices | None, placed: list[batch.Placed], seconds: float, day: Day | None = None) -> Outcome:
    faults = list(day.faults) if day else []
    faults += audit.violations(world.orders, placed, world.table, world.stock, world.remaining)
    faults += audit.unexplained(world.orders, placed, world.table, world.stock, prices)
    total = audit.total_fen(world.orders, placed, world.table, TERMS.unfilled_fen)
    return Outcome(placed, total, seconds, faults, day.worst_step if day else 0.0, day.moves if day else 0)
