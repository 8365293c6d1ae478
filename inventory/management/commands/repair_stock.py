"""Make stock figures agree with the rows that explain them, after a person has said which of the two is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from inventory.ledger import actions, queries
from inventory.ledger.rules import judge_repair
from inventory.models import Incoming, Node, Sku, StockRepair
from oms_project.refusal import Refusal

ACTOR = "system:repair-stock"
FIGURES = {"movement": "流水合计", "counter": "在库", "held": "预占", "promised": "已承诺"}


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
        done, failed = 0, 0
        for repair in _promised(node, sku) if way == StockRepair.Way.PROMISED else _places(node, sku, way):
            problem = repair.problem
            if apply and not problem:
                problem = _problem_of(repair, reason)
            told = f"无法修正：{problem}" if problem else f"{FIGURES[way]} {repair.before} → {repair.after}"
            self.stdout.write(f"{repair.what}：{told}")
            done, failed = done + (not problem), failed + bool(problem)
        self.stdout.write(f"已修正 {done} 处" if apply else f"可修正 {done} 处（未执行，加 --apply 执行）")
        if failed:
            raise CommandError(f"{failed} 处无法修正", returncode=1)


@dataclass(frozen=True, slots=True)
class Repair:
    """One figure that would be set right, and what does it."""

    what: str
    before: int
    after: int
    problem: str
    act: Callable[..., object]


def _places(node: str, sku: str, way: str) -> Iterator[Repair]:
    """Stock rows that differ in the figure that this way sets."""
    _check(node, sku)
    for drift in queries.drift():
        before, after, problem = judge_repair(way, drift.on_hand, drift.held, drift.moved, drift.promised)
        if before != after and (not node or (drift.node_code, drift.sku_code) == (node, sku)):
            act = partial(actions.repair, node_id=drift.node_id, sku_id=drift.sku_id, way=way)
            yield Repair(f"仓 {drift.node_code} SKU {drift.sku_code}", before, after, problem, act)


def _promised(node: str, sku: str) -> Iterator[Repair]:
    """Deliveries on their way that promise other than their presale reservations."""
    _check(node, sku)
    chosen = set(Incoming.objects.filter(node__code=node, sku__code=sku).values_list("pk", flat=True)) if node else None
    for drift in queries.promise_drift():
        if chosen is None or drift.incoming_id in chosen:
            act = partial(actions.repair_promised, incoming_id=drift.incoming_id)
            yield Repair(f"在途 {drift.source_key}", drift.promised, drift.reserved, "", act)


def _check(node: str, sku: str) -> None:
    if bool(node) != bool(sku):
        raise CommandError("--node 与 --sku 须同时给出", returncode=1)
    if node and not (Node.objects.filter(code=node).exists() and Sku.objects.filter(code=sku).exists()):
        raise CommandError(f"未知的仓库 {node} 或 SKU {sku}", returncode=1)


def _problem_of(repair: Repair, reason: str) -> str:
    """Do it; why it could not be done, empty when it was."""
    try:
        repair.act(reason=reason, actor=ACTOR, at=timezone.now())
    except Refusal as refusal:
        return refusal.message
    return ""
