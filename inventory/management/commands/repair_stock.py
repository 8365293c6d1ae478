"""Make stock figures agree with the rows that explain them, after a person has said which of the two is right."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from inventory.ledger import actions, queries
from inventory.ledger.rules import judge_repair
from inventory.models import Node, Sku, StockRepair
from oms_project.refusal import Refusal

ACTOR = "system:repair-stock"
FIGURES = {"movement": "流水合计", "counter": "在库", "held": "预占"}


class Command(BaseCommand):
    help = "修正与明细不一致的库存；默认只列出将要做的修正，--apply 才执行；有一处无法修正即以 1 退出"

    def add_arguments(self, parser: CommandParser) -> None:
        ways = "；".join(f"{way.value}：{way.label}" for way in StockRepair.Way)
        parser.add_argument("--way", required=True, choices=StockRepair.Way.values, help=ways)
        parser.add_argument("--reason", required=True, help="修正原因，写入修正记录")
        parser.add_argument("--node", default="", help="只修正此仓（编码），与 --sku 同时给出")
        parser.add_argument("--sku", default="", help="只修正此 SKU（编码）")
        parser.add_argument("--apply", action="store_true", help="执行修正")

    def handle(self, *args: Any, way: str, reason: str, node: str, sku: str, apply: bool, **options: Any) -> None:
        if not reason.strip():
            raise CommandError("请填写修正原因", returncode=1)
        found = _chosen(node, sku)
        done, failed = 0, 0
        for drift in found:
            before, after, problem = judge_repair(way, drift.on_hand, drift.held, drift.moved, drift.promised)
            if before == after:
                continue
            if apply and not problem:
                problem = _repair(drift, way, reason)
            told = f"无法修正：{problem}" if problem else f"{FIGURES[way]} {before} → {after}"
            self.stdout.write(f"仓 {drift.node_code} SKU {drift.sku_code}：{told}")
            done, failed = done + (not problem), failed + bool(problem)
        self.stdout.write(f"已修正 {done} 处" if apply else f"可修正 {done} 处（未执行，加 --apply 执行）")
        if failed:
            raise CommandError(f"{failed} 处无法修正", returncode=1)


def _chosen(node: str, sku: str) -> list[queries.Drift]:
    """The differences of one place, or all of them."""
    if bool(node) != bool(sku):
        raise CommandError("--node 与 --sku 须同时给出", returncode=1)
    if node and not (Node.objects.filter(code=node).exists() and Sku.objects.filter(code=sku).exists()):
        raise CommandError(f"未知的仓库 {node} 或 SKU {sku}", returncode=1)
    return [drift for drift in queries.drift() if not node or (drift.node_code, drift.sku_code) == (node, sku)]


def _repair(drift: queries.Drift, way: str, reason: str) -> str:
    """Why it could not be repaired; empty when it was."""
    try:
        actions.repair(
            node_id=drift.node_id, sku_id=drift.sku_id, way=way, reason=reason, actor=ACTOR, at=timezone.now()
        )  # fmt: skip
    except Refusal as refusal:
        return refusal.message
    return ""
