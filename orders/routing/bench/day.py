"""A day as it happens: orders come in one by one, and those that nobody accepted yet are decided again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orders.routing.batch import Effort, Placed, route_batch
from orders.routing.bench.world import World
from orders.routing.market import BatchTerms, OpenOrder, Placement, prepare
from orders.routing.prices import forecast, scarcity_prices
from orders.routing.shelves import Prices, fill

STEP = 100  # orders between two looks at the open ones
ROUNDS = 30  # of prices, at night there is time


@dataclass(slots=True)
class Day:
    """What is left, and where every order is."""

    world: World
    terms: BatchTerms
    stock: dict[tuple[int, int], int] = field(default_factory=dict)
    remaining: dict[int, int] = field(default_factory=dict)
    placed: dict[int, Placed] = field(default_factory=dict)
    moves: int = 0

    def __post_init__(self) -> None:
        self.stock, self.remaining = dict(self.world.stock), dict(self.world.remaining)

    def run(self, *, still_open: int, effort: Effort, prices: Prices | None) -> None:
        """All orders of the day; the last `still_open` may be moved, earlier ones have been accepted."""
        window: list[OpenOrder] = []
        for start in range(0, len(self.world.orders), STEP):
            window = (
                [*window[-still_open:], *self.world.orders[start : start + STEP]]
                if still_open
                else self.world.orders[start : start + STEP]
            )
            batch = route_batch(
                window, self.world.table, self.stock, remaining=self.remaining, terms=self.terms, effort=effort, prices=prices
            )
            ends = {each.order_id: each for each in batch.placed}
            window = [self._settle(asked, ends.get(asked.order.order_id)) for asked in window]

    def _settle(self, asked: OpenOrder, placed: Placed | None) -> OpenOrder:
        if placed is None or (set(placed.placements) == set(asked.current) and asked.order.order_id in self.placed):
            return asked
        self._take(asked, asked.current, -1)
        self._take(asked, placed.placements, 1)
        self.placed[placed.order_id] = placed
        moved = bool(asked.current)
        self.moves += moved
        return replace(asked, current=placed.placements, moves=asked.moves + moved)

    def _take(self, asked: OpenOrder, placements: Sequence[Placement], times: int) -> None:
        considered = self.world.table.considered(asked.order.division_code, asked.order.channel)
        dealers = {place.node.node_id: place.node.dealer_id for place in considered}
        for placement in placements:
            dealer_id = dealers[placement.node_id]
            if dealer_id is not None:
                self.remaining[dealer_id] -= times
            for line in (asked.order.lines[index] for index in placement.line_indexes):
                key = (placement.node_id, line.sku_id)
                self.stock[key] = self.stock.get(key, 0) - line.quantity * times


def expected_prices(world: World, terms: BatchTerms) -> Prices:
    """What the other days of this world teach about scarcity, before this one begins."""
    days = []
    for orders in world.other_days:
        lots = prepare(orders, world.table, terms)
        full = fill(lots, world.stock, world.remaining, split_fee_fen=world.table.policy.split_fee_fen, rung_fen=terms.rung_fen)
        for lot in lots:
            lot.thin(full.has)
        days.append(scarcity_prices(lots, full, rounds=ROUNDS))
    return forecast(days)
