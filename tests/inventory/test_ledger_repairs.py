"""A figure that its rows do not explain is repaired in one of three ways, written down, and never at the cost of a promise."""

from datetime import datetime

import pytest

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import MOST_UNITS, NewMovement, judge_repair
from inventory.models import Incoming, Level, Movement, Reservation, StockRepair
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Delivery, Entry
from oms_project.refusal import NotFound
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db


@pytest.fixture
def level(at: datetime) -> Level:
    """10 in, 4 promised; every test bends a figure of it."""
    node, sku = make_node(name="吴中仓"), make_sku("SOFA")
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 10, "po:1")], actor="", at=at)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 3), Want("B", node.pk, sku.pk, 1)], at=at)
    Delivery.objects.all().delete()
    Entry.objects.all().delete()
    return Level.objects.select_related("node", "sku").get()


def bend(level: Level, **figures: int) -> None:
    Level.objects.filter(pk=level.pk).update(**figures)


def repair(level: Level, way: str, at: datetime, reason: str = "盘点") -> StockRepair | None:
    return ledger.repair(node_id=level.node_id, sku_id=level.sku_id, way=way, reason=reason, actor="staff:1", at=at)


def figures(level: Level) -> tuple[int, int]:
    return Level.objects.values_list("on_hand", "held").get(pk=level.pk)


@pytest.mark.parametrize("stands", [12, 7])
def test_the_difference_is_posted_when_the_figure_is_right(level: Level, at: datetime, stands: int) -> None:
    bend(level, on_hand=stands)
    done = repair(level, "movement", at)
    assert done is not None
    assert (done.before, done.after, done.reason, done.actor, done.repaired_at) == (10, stands, "盘点", "staff:1", at)
    row = Movement.objects.get(kind="repair")
    assert (row.quantity, row.source_key, row.reason, row.moved_at) == (stands - 10, f"repair:{done.pk}", "盘点", at)
    assert (figures(level), queries.drift(), Entry.objects.count()) == ((stands, 4), [], 0)
    assert repair(level, "movement", at) is None
    assert (StockRepair.objects.count(), Movement.objects.count()) == (1, 2)


def test_the_figure_follows_its_movements_and_waiting_orders_hear_when_it_rises(level: Level, at: datetime) -> None:
    bend(level, on_hand=12)
    assert repair(level, "counter", at) is not None
    assert (figures(level), queries.drift(), Entry.objects.count()) == ((10, 4), [], 0)
    bend(level, on_hand=6)
    repair(level, "counter", at)
    assert figures(level) == (10, 4)
    assert Entry.objects.get().payload["sku_ids"] == [level.sku_id]
    assert repair(level, "counter", at) is None
    assert list(StockRepair.objects.order_by("id").values_list("before", "after")) == [(12, 10), (6, 10)]
    assert Movement.objects.count() == 1


def test_what_is_held_follows_the_open_reservations(level: Level, at: datetime) -> None:
    bend(level, held=2)
    repair(level, "held", at)
    assert (figures(level), queries.drift(), Entry.objects.count()) == ((10, 4), [], 0)
    bend(level, held=9)
    repair(level, "held", at)
    assert figures(level) == (10, 4)
    assert Entry.objects.get().name == "stock.arrived"
    assert repair(level, "held", at) is None
    assert Reservation.objects.filter(state="open").count() == 2


def test_a_repair_that_would_break_a_promise_is_refused_and_changes_nothing(level: Level, at: datetime) -> None:
    bend(level, on_hand=15, held=12)
    with pytest.raises(ledger.CannotRepair, match="吴中仓 的 SOFA：流水合计 10 少于预占 12，请先修正预占或改派"):
        repair(level, "counter", at)
    assert figures(level) == (15, 12)
    bend(level, on_hand=3, held=0)
    with pytest.raises(ledger.CannotRepair, match="未结预占 4 多于在库 3，请先修正在库或改派"):
        repair(level, "held", at)
    assert figures(level) == (3, 0)
    for way, reason, said in (("guess", "盘点", "未知的修正方式：guess"), ("counter", " ", "请填写修正原因")):
        with pytest.raises(ledger.CannotRepair, match=said):
            repair(level, way, at, reason)
    with pytest.raises(NotFound):
        ledger.repair(node_id=level.node_id, sku_id=10**9, way="counter", reason="盘点", actor="", at=at)
    card = make_sku(kind="virtual")
    with pytest.raises(NotFound):
        ledger.repair(node_id=level.node_id, sku_id=card.pk, way="counter", reason="盘点", actor="", at=at)
    assert (figures(level), StockRepair.objects.count(), Movement.objects.count(), Entry.objects.count()) == ((3, 0), 0, 1, 0)


def test_a_repair_keeps_to_the_bounds_of_a_place() -> None:
    assert judge_repair("counter", 5, 0, MOST_UNITS, 0) == (5, MOST_UNITS, "")
    assert judge_repair("counter", 5, 0, MOST_UNITS + 1, 0)[2] == "流水合计 1000000001 超出上限 1,000,000,000"
    assert judge_repair("counter", 5, 5, 5, 0) == (5, 5, "")
    assert judge_repair("held", 5, 0, 5, 5) == (0, 5, "")


def test_a_repair_is_not_counted_as_a_movement_after_a_report(level: Level, at: datetime) -> None:
    bend(level, on_hand=12)
    repair(level, "movement", at)
    row = ledger.Report(level.node_id, level.sku_id, 11, at, "r:1")
    assert [result.message for result in ledger.report(rows=[row], kind="report", actor="", at=at)] == ["在库 12 → 11"]
    assert queries.drift() == []


def test_a_figure_is_explained_by_the_kinds_of_its_rows(level: Level, at: datetime) -> None:
    reservations.block(key="k", node_id=level.node_id, sku_id=level.sku_id, quantity=2, reason="破损", at=at)
    reservations.consume(bills=["B"], actor="", at=at)
    reservations.release(bills=["A"], at=at)
    found = queries.level_at(node_code=level.node.code, sku_code="SOFA")
    assert found is not None
    told = queries.explain(level=found)
    assert told.moved == [("receipt", 1, 10), ("shipment", 1, -1)]
    assert told.promised == [("block", 1, 2)]
    assert (told.moved_units, told.promised_units, told.agrees) == (9, 2, True)
    bend(level, held=3)
    level.refresh_from_db()
    assert not queries.explain(level=level).agrees
    assert queries.level_at(node_code=level.node.code, sku_code="X") is None


def test_a_delivery_promises_what_its_open_presales_say(level: Level, at: datetime) -> None:
    shape = {"node": level.node, "sku": level.sku, "quantity": 9, "expected_on": at.date()}
    good, low, high = (
        Incoming.objects.create(**shape, promised=promised, source_key=f"asn:{promised}") for promised in (3, 2, 4)
    )
    for delivery, state in ((good, "open"), (low, "open"), (high, "open"), (high, "released")):
        Reservation.objects.create(incoming=delivery, kind="presale", bill=f"P{state}", quantity=3, held_at=at, state=state)
    assert queries.promise_drift() == [queries.PromiseDrift(low.pk, "asn:2", 2, 3), queries.PromiseDrift(high.pk, "asn:4", 4, 3)]
