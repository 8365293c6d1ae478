"""Posting stock: once per key, never below what is promised, and every figure explained."""

import re
from datetime import datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import MOST_UNITS, NewMovement
from inventory.models import Level, Movement
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from oms_project.refusal import Refusal
from tests.make import make_level, make_node, make_sku

pytestmark = pytest.mark.django_db


def test_a_posting_makes_the_level_and_tells_of_the_rise_per_node(at: datetime) -> None:
    a, b, sofa, lamp = make_node(), make_node(), make_sku(), make_sku()
    rows = [
        NewMovement(a.pk, sofa.pk, "receipt", 7, "po:1"),
        NewMovement(a.pk, lamp.pk, "receipt", 3, "po:2"),
        NewMovement(b.pk, sofa.pk, "receipt", 5, "po:3"),
        NewMovement(b.pk, sofa.pk, "adjustment", -5, "po:4", "盘亏"),
    ]
    assert ledger.post(movements=rows, actor="staff:1", at=at) == 4
    assert ledger.post(movements=rows, actor="staff:1", at=at) == 0
    [risen] = Entry.objects.filter(name="stock.arrived")
    assert (risen.payload["node_id"], risen.payload["sku_ids"]) == (a.pk, sorted([sofa.pk, lamp.pk]))
    [row] = queries.decomposition(node_ids=[a.pk], sku_ids=[sofa.pk])
    assert (row.on_hand, row.held, row.safety_stock, row.sellable) == (7, 0, 0, 7)
    assert queries.drift() == []


def test_a_key_with_other_content_is_refused_and_nothing_changes(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 7, "po:1")], actor="", at=at)
    entries = Entry.objects.count()
    fresh = NewMovement(node.pk, sku.pk, "receipt", 1, "po:2")
    with pytest.raises(ledger.KeyReused):
        ledger.post(movements=[fresh, NewMovement(node.pk, sku.pk, "receipt", 8, "po:1")], actor="", at=at)
    with pytest.raises(ledger.KeyReused):
        ledger.post(movements=[fresh, NewMovement(node.pk, sku.pk, "receipt", 2, "po:2")], actor="", at=at)
    assert Level.objects.get().on_hand == 7
    assert (Movement.objects.count(), Entry.objects.count()) == (1, entries)


def test_stock_never_falls_below_what_is_promised(at: datetime) -> None:
    node, sku = make_node(name="吴中仓"), make_sku("SOFA")
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 5, "po:1")], actor="", at=at)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 3)], at=at)
    with pytest.raises(ledger.NotEnoughStock, match="库存不足：吴中仓 的 SOFA 在库 5，已预占 3，不能减少 3"):
        ledger.post(movements=[NewMovement(node.pk, sku.pk, "adjustment", -3, "adj:1")], actor="", at=at)
    assert Level.objects.get().on_hand == 5
    assert ledger.post(movements=[NewMovement(node.pk, sku.pk, "adjustment", -2, "adj:1")], actor="", at=at) == 1
    with pytest.raises(Refusal, match="不能为 0"):
        ledger.post(movements=[NewMovement(node.pk, sku.pk, "adjustment", 0, "adj:2")], actor="", at=at)


def test_the_audit_finds_every_unexplained_figure(at: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("stock_audit")
    level = make_level(make_node(), make_sku(), on_hand=4, held=1)
    assert queries.drift() == [queries.Drift(level.node_id, level.sku_id, 4, 0, 1, 0)]
    with pytest.raises(CommandError) as error:
        call_command("stock_audit")
    assert error.value.returncode == 1


def test_bad_movements_are_refused_in_words_and_nothing_is_posted(at: datetime) -> None:
    node, sku, card = make_node(name="吴中仓"), make_sku("SOFA"), make_sku("CARD", kind="virtual")
    good = NewMovement(node.pk, sku.pk, "receipt", 7, "po:1")
    bad: list[tuple[Any, str]] = [
        (NewMovement(node.pk, card.pk, "receipt", 1, "k"), "CARD 是虚拟或服务类商品，不计库存"),
        (NewMovement(node.pk, 10**9, "receipt", 1, "k"), "未知的仓库或 SKU"),
        (NewMovement(10**9, sku.pk, "receipt", 1, "k"), "未知的仓库或 SKU"),
        (NewMovement(10**30, sku.pk, "receipt", 1, "k"), "未知的仓库或 SKU"),
        (NewMovement(-1, sku.pk, "receipt", 1, "k"), "未知的仓库或 SKU"),
        (NewMovement(node.pk, sku.pk, "gift", 1, "k"), "未知的出入库类别：gift"),
        (NewMovement(node.pk, sku.pk, "receipt", 1.5, "k"), "出入库数量必须是整数：1.5"),  # type: ignore[arg-type]
        (NewMovement(node.pk, sku.pk, "receipt", 0, "k"), "出入库数量不能为 0"),
        (NewMovement(node.pk, sku.pk, "receipt", MOST_UNITS + 1, "k"), "出入库数量 1000000001 超出上限 1,000,000,000"),
        (NewMovement(node.pk, sku.pk, "adjustment", -MOST_UNITS - 1, "k"), "出入库数量 -1000000001 超出上限 1,000,000,000"),
        (NewMovement(node.pk, sku.pk, "receipt", 1, " "), "来源键必须是 1 至 120 个可见字符"),
        (NewMovement(node.pk, sku.pk, "receipt", 1, "k" * 121), "来源键必须是 1 至 120 个可见字符"),
        (NewMovement(node.pk, sku.pk, "adjustment", -1, "k"), "库存不足：吴中仓 的 SOFA 在库 0，已预占 0，不能减少 1"),
    ]
    for row, said in bad:
        with pytest.raises(Refusal) as error:
            ledger.post(movements=[row], actor="", at=at)
        assert error.value.message == said
        with pytest.raises(Refusal, match=re.escape(said)):
            ledger.post(movements=[NewMovement(node.pk, make_sku().pk, "receipt", 7, "po:1"), row], actor="", at=at)
    assert (Level.objects.count(), Movement.objects.count(), Entry.objects.count()) == (0, 0, 0)
    rows = [row for row, said in bad if "不足" not in said]
    results = ledger.post_rows(movements=[*rows, good], actor="", at=at)
    assert [result.message for result in results] == [*(said for _, said in bad if "不足" not in said), "已记账 +7"]
    assert (Level.objects.get().on_hand, Movement.objects.count()) == (7, 1)


def test_a_row_that_lacks_stock_does_not_block_the_others(at: datetime) -> None:
    node, sku = make_node(name="吴中仓"), make_sku("SOFA")
    rows = [
        NewMovement(node.pk, sku.pk, "receipt", 5, "k:1"),
        NewMovement(node.pk, sku.pk, "adjustment", -6, "k:2"),
        NewMovement(node.pk, sku.pk, "adjustment", -4, "k:3"),
        NewMovement(node.pk, sku.pk, "receipt", MOST_UNITS, "k:4"),
        NewMovement(node.pk, sku.pk, "receipt", MOST_UNITS - 1, "k:5"),
        NewMovement(node.pk, sku.pk, "receipt", 5, "k:1"),
        NewMovement(node.pk, sku.pk, "receipt", 6, "k:1"),
    ]
    results = ledger.post_rows(movements=rows, actor="", at=at)
    assert [(result.code, result.cause, result.units) for result in results] == [
        ("done", "", 5), ("refused", "stock", 0), ("done", "", -4), ("refused", "stock", 0), ("done", "", MOST_UNITS - 1),
        ("same", "", 0), ("refused", "key", 0),
    ]  # fmt: skip
    assert results[1].message == "库存不足：吴中仓 的 SOFA 在库 5，已预占 0，不能减少 6"
    assert results[3].message == "吴中仓 的 SOFA 在库将达 1000000001，超出上限 1,000,000,000"
    assert (Level.objects.get().on_hand, Movement.objects.count(), queries.drift()) == (MOST_UNITS, 3, [])
    again = [rows[0], rows[2], rows[3], rows[4]]
    assert [r.code for r in ledger.post_rows(movements=again, actor="", at=at)] == ["same", "same", "refused", "same"]
    with pytest.raises(ledger.NotEnoughStock):
        ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 1, "k:6")], actor="", at=at)
    with pytest.raises(Refusal, match="一次最多 5,000 行"):
        ledger.post_rows(movements=rows[:1] * 5_001, actor="", at=at)
    assert Level.objects.get().on_hand == MOST_UNITS
