"""How fast a replay is: a day of orders in a country of 300 places, CPU seconds per side.

    python -m tests.bench.simulate [orders] [nodes] [a burst of so many orders at a time]

No database: what a worker adds is read once per call and written once per 250 orders.
"""

import resource
import sys
import time
from dataclasses import replace
from datetime import timedelta

from dealers.capacity.rules import DealerDay
from inventory.reservations.rules import Shelf
from orders.routing.bench.world import BOOK, LADDER, MIDNIGHT, build
from orders.simulation.rules import Due, Side, Stage, bursts, replay
from orders.simulation.run import Run

SEED = 7


def main(orders: int = 4_000, nodes: int = 300, burst: int = 1) -> None:
    world = build(orders=orders, nodes=nodes, rho=1.6, seed=SEED)
    draft = replace(BOOK, name="草稿", default=replace(BOOK.default, split_fee_fen=1500, late_fen_per_day=900))
    table = world.table
    apart = timedelta(seconds=86_400 / orders)
    dues = [Due(each.order, MIDNIGHT + number // burst * burst * apart) for number, each in enumerate(world.orders)]
    groups = list(bursts(dues))

    def stages() -> dict[Side, Stage]:
        drafted = type(table)(
            nodes=table.nodes, areas=table.areas, book=draft, at=MIDNIGHT, centroids=table.centroids, answers=table.answers
        )
        return {
            side: Stage(
                side=side,
                base=drafted if side is Side.DRAFT else table,
                opening=Shelf(world.stock),
                capacity={
                    key: DealerDay(key, MIDNIGHT.date(), count, 0, "1234567", 0, None) for key, count in world.remaining.items()
                },
                ladder_for=lambda channel: LADDER,
                seed=SEED,
                has_refusals=True,
                won={},
            )
            for side in Side
        }

    print(f"{orders} orders in {len(groups)} groups, {nodes} places, {len(world.stock)} levels")
    for side, stage in stages().items():
        began = time.process_time()
        for group in groups:
            replay(stage, group, ())
        print(f"{side.value:<12} {time.process_time() - began:6.1f} s")
    run = Run(groups, stages(), (), {})
    began, kept = time.process_time(), 0.0
    while run.done < run.total:
        run.step(250)
        saving = time.process_time()
        run.checkpoint()
        kept += time.process_time() - saving
    print(f"whole run    {time.process_time() - began:6.1f} s, of it checkpoints {kept:.1f} s; {run.comparisons['draft']}")
    for side, tally in run.tallies.items():
        mean = tally.cost_fen / max(1, tally.filled)
        print(f"{side:<12} filled {tally.filled}, packages {tally.packages}, on time {tally.on_time}, {mean:.0f} fen per order")
    print(f"most memory  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
