"""Posting stock: once per key, never below what is promised, and every figure explained."""

from datetime import datetime

import pytest
from django.core.management import CommandError, call_command

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
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
