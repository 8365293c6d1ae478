"""How fast orders are decided, with the trace of every candidate: decisions per second and µs by number of lines.

Run: python -m tests.bench.routing_decide [candidates] [seconds per measurement]
One process, no database, processor time. Each number of lines is measured for the given time, three rounds, the best one counts.
"""

import random
import sys
import time
from datetime import UTC, datetime

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.rules import Area, NodeFacts, RoutingTable, Rung, decide
from orders.rulesets.rules import FreightRate, InstallRate, RuleBook, Where

AT = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
LADDER = (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 60, 2), Rung(3, "hq", 60, 1))
AREA = "320506"
SKUS = range(1, 41)
BOOK = RuleBook(
    freight=(FreightRate(Where(), 1200, step_fen=200, km_fen=3, km_per_day=300, max_km=3000),),
    installs=(InstallRate(Where(), "", 4000),),
)


def make_table(candidates: int, seed: random.Random) -> RoutingTable:
    """Two places of HQ, a quarter of the dealers at home, the others neighbours."""
    nodes, areas = [], []
    for number in range(1, candidates + 1):
        dealer_id = number if number > 2 else None
        place = (118 + 4 * seed.random(), 30 + 3 * seed.random())
        nodes.append(
            NodeFacts(
                number, f"N{number:03d}", f"发货点{number}", "dealer" if dealer_id else "hq", dealer_id, AREA, *place, True,
                frozenset({"install:furniture"}),
            )
        )  # fmt: skip
        if dealer_id:
            areas.append(Area(dealer_id, AREA, number % 4 == 0))
    return RoutingTable(
        nodes=nodes,
        areas=areas,
        book=BOOK,
        at=AT,
        centroids={AREA: (120.63, 31.26)},
        answers={number: (1000 * seed.randrange(200), 1000 * seed.randrange(40)) for number in range(3, candidates + 1)},
    )


def make_orders(count: int, lines: int, seed: random.Random) -> list[OrderToRoute]:
    orders = []
    for number in range(count):
        wanted = [
            LineToRoute(
                index, sku_id, f"S{sku_id}", f"商品{sku_id}", seed.randint(1, 3), 10_000, seed.randrange(500, 40_000), True,
                seed.choice(["", "install:furniture"]), "furniture", 8000,
            )
            for index, sku_id in enumerate(seed.sample(SKUS, lines))
        ]  # fmt: skip
        orders.append(OrderToRoute(number, f"DD{number}", "doudian", "1", AREA, "", 10_000, AT, "", tuple(wanted)))
    return orders


def measure(table: RoutingTable, stock: dict[tuple[int, int], int], orders: list[OrderToRoute], seconds: float) -> float:
    """Seconds per decision."""
    done, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        for order in orders:
            decide(order, table, stock, ladder=LADDER, at=AT)
        done += len(orders)
    return (time.process_time() - started) / done


def main() -> None:
    candidates = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    seed = random.Random(1)
    table = make_table(candidates, seed)
    stock = {(node, sku): seed.randrange(6) for node in range(1, candidates + 1) for sku in SKUS}
    print(f"{candidates} candidates, {seconds:g} s per measurement, best of 3")
    for lines in (1, 2, 3, 4, 6, 8, 12):
        orders = make_orders(200 if lines < 5 else 20, lines, seed)
        best = min(measure(table, stock, orders, seconds) for _ in range(3))
        print(f"{lines:2d} lines: {1 / best:10,.0f} decisions/s  {best * 1e6:10,.1f} µs")


if __name__ == "__main__":
    main()
