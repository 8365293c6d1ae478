"""`manage.py routing_bench`: how close batches come to the cheapest possible, and how fast. No database."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.routing import batch
from orders.routing.bench import audit, bound, world
from orders.routing.market import BatchTerms, prepare
from orders.routing.shelves import fill

EFFORTS = {"first": batch.FIRST_COME, "quick": batch.QUICK, "full": batch.FULL}


class Command(BaseCommand):
    help = "路由基准：每种方法的差距、成本、拆单率、未满足率、每秒订单数，并逐一审计（有违规即以非零码退出）。"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--orders", type=int, default=2000)
        parser.add_argument("--nodes", type=int, default=1000)
        parser.add_argument("--rho", type=float, default=1.6)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--methods", default="first,quick,full")
        parser.add_argument("--bound-seconds", type=float, default=150)

    def handle(self, *args: Any, methods: str, bound_seconds: float, **options: Any) -> None:
        wanted = methods.split(",")
        if unknown := set(wanted) - EFFORTS.keys():
            raise CommandError(f"没有这种方法：{'、'.join(sorted(unknown))}；可选 {'、'.join(EFFORTS)}")
        count = options["orders"]
        made = world.build(orders=count, nodes=options["nodes"], rho=options["rho"], seed=options["seed"])
        for asked in made.orders:
            made.table.considered(asked.order.division_code, asked.order.channel)
        terms = BatchTerms(rung_fen=0, is_whole=False)
        lines = sum(len(asked.order.lines) for asked in made.orders)
        floor_fen = 0
        if bound.IS_THERE and bound_seconds > 0:
            lots = prepare(made.orders, made.table, terms)
            shelves = fill(lots, made.stock, made.remaining, rung_fen=0)
            floor_fen, _ = bound.lower_bound(lots, shelves, clock=time.process_time, seconds=bound_seconds)
        wrong = 0
        for name in wanted:
            started = time.process_time()
            done = batch.route_batch(
                made.orders, made.table, made.stock, remaining=made.remaining, terms=terms, effort=EFFORTS[name]
            )
            seconds = time.process_time() - started
            faults = audit.violations(made.orders, done.placed, made.table, made.stock, made.remaining)
            wrong += len(faults)
            gap = f"{100 * (done.total_fen / floor_fen - 1):.2f}%" if floor_fen else "未算下界（需 highspy）"
            split = sum(len(each.placements) > 1 for each in done.placed) / count
            unfilled = sum(len(each.unfilled) for each in done.placed) / lines
            self.stdout.write(
                f"{name}\t差距 {gap}\t每单 {done.total_fen / count / 100:.2f} 元\t拆单 {split:.3f}\t未满足 {unfilled:.4f}"
                f"\t{count / seconds:,.0f} 单/秒\t违规 {len(faults)}"
            )
        if wrong:
            raise CommandError(f"审计发现 {wrong} 处违规")
