"""Figures somebody counted: taken over as they were true when they were measured, each row for itself."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import MOST_UNITS, NewMovement, Report
from inventory.models import Level, Movement, Node, Sku
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from oms_project.refusal import Refusal
from tests.make import make_level, make_node, make_sku

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def node(db: None) -> Node:
    return make_node(name="吴中仓")


@pytest.fixture
def sku(db: None) -> Sku:
    return make_sku("SOFA")


def report(at: datetime, *rows: Report, kind: str = "report") -> list[tuple[str, str]]:
    return [(result.code, result.message) for result in ledger.report(rows=rows, kind=kind, actor="dealer:1", at=at)]


def codes(at: datetime, *rows: Report) -> list[str]:
    return [code for code, _ in report(at, *rows)]


def test_what_moved_after_the_count_is_kept(at: datetime, node: Node, sku: Sku) -> None:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 20, "po:1")], actor="", at=at - 60 * MINUTE)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 3)], at=at)
    reservations.consume(bills=["A"], actor="", at=at - 5 * MINUTE)
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 10, "po:2")], actor="", at=at - 4 * MINUTE)
    counted = Report(node.pk, sku.pk, 18, at - 10 * MINUTE, "erp:1")  # 20 stood there in the books then
    assert report(at, counted) == [("done", "在库 27 → 25")]
    level = Level.objects.get()
    assert (level.on_hand, level.reported_at) == (25, at - 10 * MINUTE)
    correction = Movement.objects.get(kind="report")
    assert (correction.quantity, correction.moved_at, correction.actor) == (-2, at - 10 * MINUTE, "dealer:1")
    assert correction.reason == "实数 18，2026-11-25 11:50:00"
    assert report(at, counted) == [("same", "已处理过，未重复记账")]
    later = Report(node.pk, sku.pk, 25, at - 3 * MINUTE, "erp:2")  # the correction is dated with its count, so it is not "later"
    assert report(at, later) == [("done", "在库 25 → 25")]
    assert Level.objects.get().reported_at == at - 3 * MINUTE
    assert queries.drift() == []


def test_an_older_figure_a_reused_key_and_the_future_are_refused(at: datetime, node: Node, sku: Sku) -> None:
    assert codes(at, Report(node.pk, sku.pk, 5, at, "k:1")) == ["done"]
    said = report(
        at,
        Report(node.pk, sku.pk, 9, at - MINUTE, "k:2"),
        Report(node.pk, sku.pk, 6, at, "k:1"),
        Report(node.pk, sku.pk, 9, at + 6 * MINUTE, "k:3"),
    )
    assert said == [
        ("stale", "晚于 2026-11-25 11:59:00 的上报已生效"),
        ("refused", "来源键 k:1 已用于另一笔上报"),
        ("refused", "上报时间 2026-11-25 12:06:00 在未来，请检查时钟"),
    ]
    assert (Level.objects.get().on_hand, Movement.objects.count()) == (5, 1)


def test_a_clock_that_is_a_little_ahead_is_taken_as_now(at: datetime, node: Node, sku: Sku) -> None:
    assert codes(at, Report(node.pk, sku.pk, 5, at + 4 * MINUTE, "k:1")) == ["done"]
    assert Level.objects.get().reported_at == at
    assert codes(at + MINUTE, Report(node.pk, sku.pk, 4, at + MINUTE, "k:2")) == ["done"]


def test_fewer_than_promised_raises_an_alarm_and_takes_no_promise_back(at: datetime, node: Node, sku: Sku) -> None:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 10, "po:1")], actor="", at=at - MINUTE)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 6)], at=at)
    rows = [Report(node.pk, sku.pk, 2, at, "count:1")]
    [result] = ledger.report(rows=rows, kind="count", actor="staff:1", at=at)
    assert (result.code, result.units, result.lacking) == ("short", -4, 4)
    assert result.message == "实有 2，少于已预占的 6，缺 4 件，请改派"
    level = Level.objects.get()
    assert (level.on_hand, level.held, level.sellable(at)) == (6, 6, 0)
    short = Entry.objects.get(name="stock.short").payload
    assert short == {
        "node_id": node.pk, "node": "吴中仓", "sku_id": sku.pk, "sku_code": "SOFA", "lacking": 4, "source": "count:1",
    }  # fmt: skip
    assert [r.code for r in ledger.report(rows=rows, kind="count", actor="staff:1", at=at)] == ["same"]
    again = [Report(node.pk, sku.pk, 2, at + MINUTE, "count:2")]  # nothing left to lower, still lacking
    assert [r.lacking for r in ledger.report(rows=again, kind="count", actor="staff:1", at=at + MINUTE)] == [4]
    assert [r.code for r in ledger.report(rows=again, kind="count", actor="staff:1", at=at + MINUTE)] == ["same"]
    assert Entry.objects.filter(name="stock.short").count() == 2
    assert queries.drift() == []


def test_good_rows_go_through_and_bad_ones_say_why(at: datetime, node: Node, sku: Sku) -> None:
    card = make_sku("CARD", kind="virtual")
    bad: list[tuple[Any, str]] = [
        (Report(node.pk, sku.pk, -1, at, "b:1"), "上报数量不能为负：-1"),
        (Report(node.pk, sku.pk, 2.5, at, "b:2"), "上报数量必须是整数：2.5"),  # type: ignore[arg-type]
        (Report(node.pk, sku.pk, True, at, "b:3"), "上报数量必须是整数：True"),
        (Report(node.pk, sku.pk, 10**12, at, "b:4"), "上报数量 1000000000000 超出上限 1,000,000,000"),
        (Report(node.pk, 10**9, 1, at, "b:5"), "未知的仓库或 SKU"),
        (Report(10**30, sku.pk, 1, at, "b:6"), "未知的仓库或 SKU"),
        (Report(node.pk, card.pk, 1, at, "b:7"), "CARD 是虚拟或服务类商品，不计库存"),
        (Report(node.pk, sku.pk, 1, at.replace(tzinfo=None), "b:8"), "上报时间缺失或缺少时区"),
        (Report(node.pk, sku.pk, 1, at, ""), "来源键必须是 1 至 120 个可见字符"),
        (Report(node.pk, sku.pk, 1, at, "nul\0"), "来源键必须是 1 至 120 个可见字符"),
    ]
    said = report(at, Report(node.pk, sku.pk, 8, at, "g:1"), *(row for row, _ in bad), Report(node.pk, sku.pk, 8, at, "g:1"))
    assert said == [("done", "在库 0 → 8"), *(("refused", message) for _, message in bad), ("same", "已处理过，未重复记账")]
    assert (Level.objects.get().on_hand, Movement.objects.count()) == (8, 1)
    with pytest.raises(Refusal, match="未知的上报类别：receipt"):
        report(at, Report(node.pk, sku.pk, 9, at, "g:2"), kind="receipt")
    with pytest.raises(Refusal, match="一次最多 5,000 行"):
        report(at, *([Report(node.pk, sku.pk, 9, at, "g:2")] * 5001))


def test_what_moved_at_the_very_moment_of_the_count_is_in_the_count(at: datetime, node: Node, sku: Sku) -> None:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 4, "po:1")], actor="", at=at)
    assert report(at, Report(node.pk, sku.pk, 4, at, "k:1")) == [("done", "在库 4 → 4")]


def test_several_figures_of_one_place_apply_in_the_order_given(at: datetime, node: Node, sku: Sku) -> None:
    rows = [Report(node.pk, sku.pk, 5, at - MINUTE, "k:1"), Report(node.pk, sku.pk, 7, at, "k:2"),
            Report(node.pk, sku.pk, 1, at - 2 * MINUTE, "k:3"), Report(node.pk, sku.pk, 6, at, "k:2")]  # fmt: skip
    assert codes(at, *rows) == ["done", "done", "stale", "refused"]
    assert (Level.objects.get().on_hand, Level.objects.get().reported_at) == (7, at)
    assert queries.drift() == []


def test_a_place_can_be_too_full_to_be_true(at: datetime, node: Node, sku: Sku) -> None:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 5, "po:1")], actor="", at=at)
    assert codes(at, Report(node.pk, sku.pk, MOST_UNITS, at - MINUTE, "k:1")) == ["refused"]
    assert Level.objects.get().on_hand == 5


def test_orders_that_wait_hear_of_what_rose_and_of_what_is_sold_again(at: datetime, node: Node) -> None:
    up, down, stale, zero = make_sku(), make_sku(), make_sku(), make_sku()
    for sku, fields in ((up, {}), (down, {}), (stale, {"fresh_until": at - MINUTE})):
        make_level(node, sku, on_hand=0, **fields)
        ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 5, f"po:{sku.pk}")], actor="", at=at - MINUTE)
    before = Entry.objects.count()
    report(at, *(Report(node.pk, sku.pk, n, at, f"k:{sku.pk}") for sku, n in ((up, 6), (down, 4), (stale, 5), (zero, 0))))
    [risen] = Entry.objects.order_by("id")[before:]
    assert (risen.payload["node_id"], risen.payload["sku_ids"]) == (node.pk, [up.pk, stale.pk])
    assert Level.objects.get(sku=zero).reported_at == at


@pytest.mark.parametrize("many", [1, 5_000])
def test_many_rows_cost_as_many_statements_as_one(at: datetime, node: Node, many: int) -> None:
    """Fixed figures, told by their own statements: without the savepoint's two and the journal's two."""
    skus = Sku.objects.bulk_create([Sku(code=f"S{n}", name="x") for n in range(many)])
    fresh = [Report(node.pk, sku.pk, 5, at, f"k:{sku.pk}") for sku in skus]
    again = [Report(node.pk, sku.pk, 6, at + MINUTE, f"l:{sku.pk}") for sku in skus]
    moves = [NewMovement(node.pk, sku.pk, "receipt", 1, f"m:{sku.pk}") for sku in skus]
    asked = []
    for act in (
        lambda: ledger.report(rows=fresh, kind="report", actor="", at=at),
        lambda: ledger.report(rows=again, kind="report", actor="", at=at + MINUTE),
        lambda: ledger.report(rows=again, kind="report", actor="", at=at + MINUTE),
        lambda: ledger.post_rows(movements=moves, actor="", at=at),
    ):
        with CaptureQueriesContext(connection) as queries_asked:
            codes = {result.code for result in act()}
        asked.append((codes, sum("inventory_" in query["sql"] for query in queries_asked)))
    assert asked == [({"done"}, 11), ({"done"}, 6), ({"same"}, 2), ({"done"}, 4)]
    assert queries.drift() == []
