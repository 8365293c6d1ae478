"""Commands that audit, explain and repair stock; they say it in Chinese and never edit history."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Incoming, Level, Movement, Node, Reservation, Sku, StockRepair
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db


@pytest.fixture
def stocked(at: datetime) -> Level:
    """9 in, 2 out, 3 promised to two bills: 在库 7, 预占 4."""
    node, sku = make_node(code="N1", name="吴中仓"), make_sku("SOFA", name="沙发")
    rows = [NewMovement(node.pk, sku.pk, "receipt", 5, "po:1"), NewMovement(node.pk, sku.pk, "receipt", 4, "po:2"),
            NewMovement(node.pk, sku.pk, "adjustment", -2, "adj:1")]  # fmt: skip
    ledger.post(movements=rows, actor="", at=at)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 1), Want("B", node.pk, sku.pk, 2)], at=at)
    reservations.block(key="k", node_id=node.pk, sku_id=sku.pk, quantity=1, reason="破损", at=at)
    return Level.objects.get()


def history() -> list[Any]:
    return list(Movement.objects.order_by("id").values()) + list(Reservation.objects.order_by("id").values())


def said(capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    call_command(*args)
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[str, list[str]]:
    with pytest.raises(CommandError) as error:
        call_command(*args)
    assert error.value.returncode == 1
    return str(error.value), capsys.readouterr().out.splitlines()


def test_the_audit_also_checks_what_deliveries_promise(stocked: Level, at: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    coming = Incoming.objects.create(
        node=stocked.node, sku=stocked.sku, quantity=9, promised=2, expected_on=at.date(), source_key="asn:1"
    )
    Reservation.objects.create(incoming=coming, kind="presale", bill="P", quantity=2, held_at=at)
    assert said(capsys, "stock_audit") == ["库存与流水一致"]
    Incoming.objects.update(promised=5)
    assert queries.promise_drift() == [queries.PromiseDrift(coming.pk, "asn:1", 5, 2)]
    message, lines = refused(capsys, "stock_audit")
    assert (message, lines) == ("0 处库存、1 处在途与明细不一致", ["在途 asn:1：已承诺 5（预售明细 2）"])
    Level.objects.update(on_hand=8)
    message, lines = refused(capsys, "stock_audit")
    assert (message, lines[0]) == ("1 处库存、1 处在途与明细不一致", "仓 N1 SKU SOFA：在库 8（流水 7），预占 4（明细 4）")


def test_a_figure_is_explained_by_kind(stocked: Level, capsys: pytest.CaptureFixture[str]) -> None:
    Level.objects.update(safety_stock=2)
    assert said(capsys, "stock_explain", "--node=N1", "--sku=SOFA") == [
        "吴中仓（N1）的 沙发（SOFA）",
        "在库 7 = 流水合计 7", "  调整 -2（1 笔）", "  入库 +9（2 笔）",
        "预占 4 = 未结预占合计 4", "  暂不可用 +1（1 笔）", "  仓库预占 +3（2 笔）",
        "安全库存 2，安全可售 1",
    ]  # fmt: skip
    Level.objects.update(on_hand=8)
    message, lines = refused(capsys, "stock_explain", "--node=N1", "--sku=SOFA")
    assert (message, lines[1]) == ("库存与明细不一致，可用 repair_stock 修正", "在库 8 ≠ 流水合计 7")
    assert refused(capsys, "stock_explain", "--node=N1", "--sku=X")[0] == "仓 N1 没有 SKU X 的库存记录"


@pytest.mark.parametrize(
    ("way", "wrong", "line", "right"),
    [
        ("movement", {"on_hand": 9}, "流水合计 7 → 9", (9, 4)),
        ("counter", {"on_hand": 9}, "在库 9 → 7", (7, 4)),
        ("held", {"held": 1}, "预占 1 → 4", (7, 4)),
    ],
)
def test_a_repair_is_shown_then_done_once_and_leaves_history_alone(
    stocked: Level, way: str, wrong: dict[str, int], line: str, right: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    Level.objects.update(**wrong)
    was, drift = history(), queries.drift()
    command = ("repair_stock", f"--way={way}", "--reason=盘点确认")
    assert said(capsys, *command) == [f"仓 N1 SKU SOFA：{line}", "可修正 1 处（未执行，加 --apply 执行）"]
    assert (queries.drift(), history(), StockRepair.objects.count()) == (drift, was, 0)
    assert said(capsys, *command, "--apply") == [f"仓 N1 SKU SOFA：{line}", "已修正 1 处"]
    stocked.refresh_from_db()
    assert ((stocked.on_hand, stocked.held), queries.drift()) == (right, [])
    repaired = StockRepair.objects.get()
    assert (repaired.way, repaired.reason, repaired.actor) == (way, "盘点确认", "system:repair-stock")
    now = history()
    assert all(row in now for row in was)
    assert len(now) == len(was) + (way == "movement")
    assert said(capsys, *command, "--apply") == ["已修正 0 处"]
    assert (history(), StockRepair.objects.count()) == (now, 1)


def test_what_cannot_be_repaired_says_why_and_the_others_are_repaired(
    stocked: Level, at: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    lamp = make_sku("LAMP")
    ledger.post(movements=[NewMovement(stocked.node_id, lamp.pk, "receipt", 5, "po:3")], actor="", at=at + timedelta(hours=1))
    Level.objects.filter(sku=lamp).update(on_hand=6)
    Level.objects.filter(sku=stocked.sku).update(on_hand=20, held=15)
    command = ("repair_stock", "--way=counter", "--reason=对账")
    stuck = "仓 N1 SKU SOFA：无法修正：流水合计 7 少于预占 15，请先修正预占或改派"
    for options, done in (((), "可修正 1 处（未执行，加 --apply 执行）"), (("--apply",), "已修正 1 处")):
        message, lines = refused(capsys, *command, *options)
        assert (message, lines) == ("1 处无法修正", [stuck, "仓 N1 SKU LAMP：在库 6 → 5", done])
    assert list(Level.objects.order_by("id").values_list("on_hand", "held")) == [(20, 15), (5, 0)]


def test_one_place_is_repaired_when_it_is_named(stocked: Level, at: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    lamp = make_sku("LAMP")
    ledger.post(movements=[NewMovement(stocked.node_id, lamp.pk, "receipt", 5, "po:3")], actor="", at=at)
    Level.objects.update(on_hand=9)
    command = ("repair_stock", "--way=movement", "--reason=对账", "--apply")
    assert said(capsys, *command, "--node=N1", "--sku=LAMP") == ["仓 N1 SKU LAMP：流水合计 5 → 9", "已修正 1 处"]
    assert [drift.sku_code for drift in queries.drift()] == ["SOFA"]
    assert refused(capsys, *command, "--node=N1")[0] == "--node 与 --sku 须同时给出"
    assert refused(capsys, *command, "--node=N1", "--sku=X")[0] == "未知的仓库 N1 或 SKU X"
    assert refused(capsys, "repair_stock", "--way=movement", "--reason= ")[0] == "请填写修正原因"
    assert (Node.objects.count(), Sku.objects.count(), StockRepair.objects.count()) == (1, 2, 1)


def test_stock_that_lost_its_row_gets_it_back(stocked: Level, capsys: pytest.CaptureFixture[str]) -> None:
    Reservation.objects.all().delete()
    Level.objects.all().delete()
    assert queries.drift() == [queries.Drift(stocked.node_id, stocked.sku_id, 0, 7, 0, 0)]
    said(capsys, "repair_stock", "--way=counter", "--reason=对账", "--apply")
    assert (Level.objects.get().on_hand, queries.drift()) == (7, [])
