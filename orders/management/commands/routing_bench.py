"""`manage.py routing_bench`: how close routing comes to the cheapest possible, and how fast. No database."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.routing.bench import bound, methods, world
from orders.routing.market import prepare
from orders.routing.shelves import fill


class Command(BaseCommand):
    help = "路由基准：各方法的差距、挽回率、成本、拆单率、未满足率、每秒订单数（CPU 时间），并逐一审计（有违规以 1 退出）"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        told = "；".join(f"{name}：{method.title}" for name, method in methods.METHODS.items())
        parser.add_argument("--orders", type=int, default=2000, help="订单数")
        parser.add_argument("--nodes", type=int, default=1000, help="发货点数（30 以上）")
        parser.add_argument("--rho", type=float, default=1.6, help="库存与期望需求之比：2.5 充裕、1.6 偏紧、1.2 严重不足")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--method", default="all", help=f"逗号分隔，或 all。{told}")
        parser.add_argument("--bound-seconds", type=float, default=150, help="求下界的时间上限；0 为不求")

    def handle(self, *args: Any, method: str, bound_seconds: float, **options: Any) -> None:
        names = list(methods.METHODS) if method == "all" else method.split(",")
        if unknown := set(names) - methods.METHODS.keys():
            raise CommandError(f"没有这种方法：{'、'.join(sorted(unknown))}；可选 {'、'.join(methods.METHODS)}")
        if options["orders"] < 1 or options["nodes"] < 30 or options["rho"] <= 0:
            raise CommandError("--orders 至少 1，--nodes 至少 30，--rho 大于 0")
        made = world.build(
            orders=options["orders"], nodes=options["nodes"], rho=options["rho"], seed=options["seed"],
            other_days=2 if any(methods.METHODS[name].expects for name in names) else 0,
        )  # fmt: skip
        places = [len(made.table.candidates(asked.order.division_code, asked.order.channel)) for asked in made.orders]
        self.stdout.write(f"{len(made.orders)} 单，{options['nodes']} 个发货点，每单候选平均 {sum(places) / len(places):.1f} 个")
        floor_fen = self._bound(made, bound_seconds)
        first = methods.outcome_of(methods.METHODS["first"], made, time.process_time)
        faults = 0
        for name in names:
            outcome = first if name == "first" else methods.outcome_of(methods.METHODS[name], made, time.process_time)
            faults += len(outcome.faults)
            self.stdout.write(_row(name, outcome, first, floor_fen, made))
            for fault in outcome.faults[:5]:
                self.stderr.write(fault)
        if faults:
            raise CommandError(f"审计发现 {faults} 处违规", returncode=1)

    def _bound(self, made: world.World, seconds: float) -> int:
        """The lower bound in fen; 0 when nobody asked or there is no solver."""
        if seconds <= 0 or not bound.IS_THERE:
            self.stdout.write("未求下界" if seconds <= 0 else "未求下界（需 highspy）")
            return 0
        lots = prepare(made.orders, made.table, methods.TERMS)
        shelves = fill(lots, made.stock, made.remaining, rung_fen=0)
        floor_fen, slack = bound.lower_bound(lots, shelves, clock=time.process_time, seconds=seconds)
        self.stdout.write(f"下界每单 {floor_fen / len(lots) / 100:.2f} 元，松弛最优至多再高 {100 * slack:.2f}%")
        return floor_fen


def _row(name: str, outcome: methods.Outcome, first: methods.Outcome, floor_fen: int, made: world.World) -> str:
    """One line of the table."""
    count = len(made.orders)
    lines = sum(len(asked.order.lines) for asked in made.orders)
    told = [name]
    if floor_fen:
        told.append(f"差距 {100 * (outcome.total_fen / floor_fen - 1):.2f}%")
        if first.total_fen > floor_fen:
            told.append(f"挽回 {100 * (first.total_fen - outcome.total_fen) / (first.total_fen - floor_fen):.0f}%")
    told += [
        f"每单 {outcome.total_fen / count / 100:.2f} 元",
        f"拆单 {sum(len(each.placements) > 1 for each in outcome.run.placed) / count:.3f}",
        f"未满足 {sum(len(each.unfilled) for each in outcome.run.placed) / lines:.4f}",
        f"{count / outcome.run.seconds:,.0f} 单/秒",
        f"违规 {len(outcome.faults)}",
    ]
    if outcome.run.worst_step:
        told.append(f"移动 {outcome.run.moves} 次，最慢一步 {outcome.run.worst_step:.2f} 秒")
    return "\t".join(told)
