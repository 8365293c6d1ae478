"""How cheap the whole batch could be at best: a lower bound from linear programming, by column generation.

Needs `highspy` (the extra "bench"). Each column is a plan of one order; the master problem shares
stock and capacity among them, its dual prices ask every order for a better plan. The bound is
Lagrange's, in whole fen: the cheapest plans at some prices, less the worth of everything there is
at these prices. It holds at any prices, so it is a bound whenever one stops.
"""

from collections.abc import Callable, Sequence

from orders.routing.market import Lot, Plan
from orders.routing.prices import scarcity_prices
from orders.routing.shelves import ANY_NUMBER, FullShelves, Prices, Shelves

try:
    import highspy
    import numpy
except ImportError:
    highspy = None  # type: ignore[assignment, unused-ignore]

IS_THERE = highspy is not None
WALL_CLOCK = 5  # the solver counts seconds on the wall, others may need the machine as well
CLOSE = 2e-4  # of the bound: good enough
Thing = tuple[int, int]  # (SKU, node), or (0, dealer) for its work
Column = tuple[int, int, dict[Thing, int]]  # lot, cost in fen, what it takes


class Master:
    """The columns so far, and the linear programme over them."""

    def __init__(self, lots: Sequence[Lot], shelves: Shelves) -> None:
        self.lots, self.shelves = lots, shelves
        self.columns: list[Column] = []
        self._known: set[tuple[int, Plan]] = set()
        for lot in lots:
            self.add(lot, lot.unserved)
            self.add(lot, lot.plan)

    def add(self, lot: Lot, plan: Plan) -> bool:
        """Take a plan in; False when it is there already."""
        plan = (self.shelves.worth(lot, plan[1]), tuple(sorted(plan[1])))
        if (lot.number, plan) in self._known:
            return False
        self._known.add((lot.number, plan))
        takes: dict[Thing, int] = {}
        for mask, node_id, dealer_id, _ in plan[1]:
            takes[0, dealer_id] = takes.get((0, dealer_id), 0) + 1
            for sku_id, units in lot.needs_of(mask):
                takes[sku_id, node_id] = takes.get((sku_id, node_id), 0) + units
        self.columns.append((lot.number, plan[0], takes))
        return True

    def there(self, thing: Thing) -> int:
        sku_id, key = thing
        return self.shelves.left[sku_id].get(key, 0) if sku_id else self.shelves.room[key]

    def solve(self, seconds: float) -> tuple[float, dict[Thing, float]] | None:
        """The value of the linear programme, and the dual price of each thing that is scarce in it; None when time is up."""
        wanted: dict[Thing, int] = {}
        for _, _, takes in self.columns:
            for thing, units in takes.items():
                wanted[thing] = wanted.get(thing, 0) + units
        rows = {
            thing: len(self.lots) + row
            for row, thing in enumerate(thing for thing, units in wanted.items() if units > self.there(thing))
        }
        starts, indexes, values = [0], [], []
        for number, _, takes in self.columns:
            mine = [(number, 1)] + [(rows[thing], units) for thing, units in takes.items() if thing in rows]
            indexes += [row for row, _ in mine]
            values += [units for _, units in mine]
            starts.append(len(indexes))
        programme = highspy.HighsLp()
        programme.num_col_, programme.num_row_ = len(self.columns), len(self.lots) + len(rows)
        programme.col_cost_ = numpy.array([cost for _, cost, _ in self.columns], float)
        programme.col_lower_ = numpy.zeros(len(self.columns))
        programme.col_upper_ = numpy.full(len(self.columns), highspy.kHighsInf)
        there = [float(self.there(thing)) for thing in rows]
        programme.row_lower_ = numpy.array([1.0] * len(self.lots) + [-highspy.kHighsInf] * len(rows))
        programme.row_upper_ = numpy.array([1.0] * len(self.lots) + there)
        programme.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        programme.a_matrix_.start_ = numpy.array(starts, numpy.int32)
        programme.a_matrix_.index_ = numpy.array(indexes, numpy.int32)
        programme.a_matrix_.value_ = numpy.array(values, float)
        solver = highspy.Highs()
        solver.silent()
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("time_limit", WALL_CLOCK * max(1.0, seconds))
        solver.passModel(programme)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        duals = list(solver.getSolution().row_dual)
        return solver.getInfo().objective_function_value, {thing: max(0.0, -duals[row]) for thing, row in rows.items()}


def lower_bound(lots: Sequence[Lot], shelves: Shelves, *, clock: Callable[[], float], seconds: float) -> tuple[int, float]:
    """(bound in fen, how much higher the true optimum of the relaxation may be, as a share).

    `lots` carry some plan that is possible, `shelves` are full. `clock` counts seconds.
    """
    for lot in lots:
        lot.rank(shelves)
    master, until = Master(lots, shelves), clock() + seconds
    scarce = scarcity_prices(lots, shelves, rounds=30)
    best: tuple[int, Prices] = (0, Prices())
    for share in (0.0, 0.3, 0.6, 0.8, 1.0, 1.2):
        best = max(best, _ask_all(master, _scaled(scarce, Prices(), share)), key=lambda each: each[0])
    value = float("inf")
    while clock() < until:
        solved = master.solve(until - clock())
        if solved is None:
            break
        value, duals = solved
        fresh = _as_prices(duals)
        for share in (1.0, 0.5):
            best = max(best, _ask_all(master, _scaled(fresh, best[1], share)), key=lambda each: each[0])
        if value - best[0] <= CLOSE * best[0]:
            break
    return best[0], max(0.0, value / best[0] - 1)


def _ask_all(master: Master, prices: Prices) -> tuple[int, Prices]:
    """Every order's best plan at these prices goes into the master; returns the bound that they give."""
    priced = FullShelves.like(master.shelves, prices)
    bound = 0
    for lot in master.lots:
        plan = priced.cheapest(lot)
        bound += min(plan[0], lot.unserved[0])
        master.add(lot, plan)
    for sku_id, here in prices.units.items():
        bound -= sum(price * priced.left[sku_id].get(node_id, 0) for node_id, price in here.items())
    bound -= sum(
        price * priced.room[dealer_id] for dealer_id, price in prices.works.items() if priced.room[dealer_id] < ANY_NUMBER
    )
    return bound, prices


def _as_prices(duals: dict[Thing, float]) -> Prices:
    units: dict[int, dict[int, int]] = {}
    works: dict[int, int] = {}
    for (sku_id, key), price in duals.items():
        if sku_id:
            units.setdefault(sku_id, {})[key] = round(price)
        else:
            works[key] = round(price)
    return Prices(units, works)


def _scaled(one: Prices, other: Prices, share: float) -> Prices:
    """A point between two sets of prices: `share` of the first."""

    def mix(first: float, second: float) -> int:
        return round(first * share + second * (1 - share))

    units = {
        sku_id: {
            node_id: mix(one.units.get(sku_id, {}).get(node_id, 0), other.units.get(sku_id, {}).get(node_id, 0))
            for node_id in {*one.units.get(sku_id, {}), *other.units.get(sku_id, {})}
        }
        for sku_id in {*one.units, *other.units}
    }
    works = {key: mix(one.works.get(key, 0), other.works.get(key, 0)) for key in {*one.works, *other.works}}
    return Prices(units, works)
