"""Say in words why so many units stand and are promised at one place."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from inventory.ledger import queries
from inventory.models import Movement, Reservation


class Command(BaseCommand):
    help = "解释一处库存：在库由哪些流水、预占由哪些单据相加而来；不一致时以 1 退出"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--node", required=True, help="仓库编码")
        parser.add_argument("--sku", required=True, help="SKU 编码")

    def handle(self, *args: Any, node: str, sku: str, **options: Any) -> None:
        level = queries.level_at(node_code=node, sku_code=sku)
        if level is None:
            raise CommandError(f"仓 {node} 没有 SKU {sku} 的库存记录")
        told = queries.explain(level=level)
        self.stdout.write(f"{level.node.name}（{node}）的 {level.sku.name}（{sku}）")
        self._sum("在库", level.on_hand, "流水", [(Movement.Kind(kind).label, *rest) for kind, *rest in told.moved])
        self._sum("预占", level.held, "未结预占", [(Reservation.Kind(kind).label, *rest) for kind, *rest in told.promised])
        self.stdout.write(f"安全库存 {level.safety_stock}，安全可售 {level.sellable(timezone.now())}")
        if not told.agrees:
            raise CommandError("库存与明细不一致，可用 repair_stock 修正", returncode=1)

    def _sum(self, name: str, figure: int, rows_name: str, rows: list[tuple[Any, ...]]) -> None:
        """One figure beside the sum of its rows, one line per kind."""
        total = sum(units for _, _, units in rows)
        self.stdout.write(f"{name} {figure} {'=' if figure == total else '≠'} {rows_name}合计 {total}")
        for label, count, units in rows:
            self.stdout.write(f"  {label} {units:+d}（{count} 笔）")
