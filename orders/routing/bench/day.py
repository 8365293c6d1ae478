"""A day as it happens: orders come in one by one, and those that nobody accepted yet are decided again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from orders.routing.batch import Effort, Placed, route_batch
from orders.routing.bench import audit
from orders.routing.bench.world import World
from orders.routing.market import BatchTerms, OpenOrder, Placement, prepare
from orders.routing.prices import forecast, scarcity_prices
from orders.routing.shelves import Prices, fill

STEP = 100  # orders between two looks at the open ones
ROUNDS = 30  # of prices, at night there is time


@dataclass(slots=True)
class Day:
    """What is left, and where every order is. `seconds` is the time spent deciding, without the audit of each step."""

    world: World
    terms: BatchTerms
    clock: Callable[[], float]
    seconds: float = 0.0
    worst_step: float = 0.0
    stock: dict[tuple[int, int], int] = field(default_factory=dict)
    remaining: dict[int, int] = field(default_factory=dict)
    placed: dict[int, Placed] = field(default_factory=dict)
    moves: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stock, self.remaining = dict(self.world.stock), dict(self.world.remaining)

    def run(self, *, still_open: int, effort: Effort, prices: Prices | None) -> None:
        """All orders of the day; the last `still_open` may be moved, dealers have accepted the earlier ones."""
        window: list[OpenOrder] = []
        for start in range(0, len(self.world.orders), STEP):
            late = max(0, len(window) - still_open)
            window = [replace(asked, is_accepted=index < late) for index, asked in enumerate(window)]
            window += self.world.orders[start : start + STEP]
            window = self._look_at(window, effort, prices)[late:]

    def _look_at(self, window: list[OpenOrder], effort: Effort, prices: Prices | None) -> list[OpenOrder]:
        """Decide and audit one step; returns the orders as they stand now."""
        began = self.clock()
        batch = route_batch(
            window, self.world.table, self.stock, remaining=self.remaining, terms=self.terms, effort=effort, prices=prices
        )
        took = self.clock() - began
        self.seconds, self.worst_step = self.seconds + took, max(self.worst_step, took)
        for asked in window:
            self._take(asked, asked.current, -1)
        self.faults += audit.violations(window, batch.placed, self.world.table, self.stock, self.remaining)
        ends = {each.order_id: each for each in batch.placed}
        return [self._settle(asked, ends.get(asked.order.order_id)) for asked in window]

    def _settle(self, asked: OpenOrder, placed: Placed | None) -> OpenOrder:
        placements = placed.placements if placed else asked.current
        self._take(asked, placements, 1)
        if placed is None:
            return asked
        has_moved = bool(asked.current) and set(placements) != set(asked.current)
        self.placed[placed.order_id] = placed
        self.moves += has_moved
        return replace(asked, current=placements, moves=asked.moves + has_moved)

    def _take(self, asked: OpenOrder, placements: Sequence[Placement], times: int) -> None:
        for placement in placements:
            if placement.node_id in self.remaining:  # in this world a dealer has its place's number
                self.remaining[placement.node_id] -= times
            for line in (asked.order.lines[index] for index in placement.line_indexes):
                key = (placement.node_id, line.sku_id)
                self.stock[key] = self.stock.get(key, 0) - line.quantity * times


def expected_prices(world: World, terms: BatchTerms) -> Prices:
    """What the other days of this world teach about scarcity, before this one begins."""
    days = []
    for orders in world.other_days:
        lots = prepare(orders, world.table, terms)
        full = fill(lots, world.stock, world.remaining, rung_fen=terms.rung_fen)
        for lot in lots:
            lot.rank(full)
        days.append(scarcity_prices(lots, full, rounds=ROUNDS))
    return forecast(days)
