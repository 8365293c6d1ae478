"""Figures that differ from their rows are found by the clock, kept for the page, repaired under lock and written down."""

from datetime import datetime, timedelta

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Incoming, Level, Movement, Reservation, StockCheck, StockDrift, StockRepair
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound
from tests.make import make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
DRIFT = StockCheck.Name.DRIFT
HOUR = timedelta(hours=1)


@pytest.fixture
def level(at: datetime) -> Level:
    """10 in, 4 promised at 吴中仓."""
    node, sku = make_node(code="N1", name="吴中仓"), make_sku("SOFA")
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 10, "po:1")], actor="", at=at)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 4)], at=at)
    return Level.objects.get()


@pytest.fixture
def coming(level: Level, at: datetime) -> Incoming:
    """5 on their way, 3 of them promised."""
    delivery = Incoming.objects.create(
        node_id=level.node_id, sku_id=level.sku_id, quantity=5, promised=3, expected_on=at.date(), source_key="po:9"
    )
    Reservation.objects.create(incoming=delivery, bill="P", kind="presale", quantity=3, held_at=at)
    return delivery


def found() -> list[tuple[int | None, int, int, int, int]]:
    return list(StockDrift.objects.order_by("id").values_list("incoming", "on_hand", "moved", "held", "promised"))


def own(asked: CaptureQueriesContext) -> list[str]:
    """Statements, without the savepoints that stand for transactions in a test."""
    return [query["sql"] for query in asked if "SAVEPOINT" not in query["sql"]]


def test_what_differs_is_kept_until_the_next_check(level: Level, coming: Incoming, at: datetime) -> None:
    assert queries.last_check(DRIFT).is_waiting
    assert (ledger.audit_stock(at=at), found()) == (0, [])
    check = queries.last_check(DRIFT)
    assert (check.checked_at, check.began_at, check.is_waiting) == (at, None, False)
    Level.objects.update(on_hand=12, held=1)
    Incoming.objects.update(promised=4)
    assert (ledger.audit_stock(at=at + timedelta(minutes=59)), found()) == (0, [])
    assert ledger.audit_stock(at=at + HOUR) == 2
    assert found() == [(None, 12, 10, 1, 4), (coming.pk, 0, 0, 4, 3)]
    Level.objects.update(on_hand=10, held=4)
    Incoming.objects.update(promised=3)
    assert (ledger.audit_stock(at=at + 2 * HOUR), found()) == (0, [])


def test_movements_without_a_stock_row_are_found(level: Level, at: datetime) -> None:
    Reservation.objects.all().delete()
    Level.objects.all().delete()
    ledger.audit_stock(at=at)
    assert found() == [(None, 0, 10, 0, 0)]


def test_a_check_that_was_asked_for_is_made_at_once_and_only_once(level: Level, at: datetime) -> None:
    ledger.audit_stock(at=at)
    Level.objects.update(held=5)
    ledger.ask_check(name=DRIFT, at=at + timedelta(seconds=1))
    assert queries.last_check(DRIFT).is_waiting
    assert ledger.audit_stock(at=at + timedelta(seconds=2)) == 1
    with CaptureQueriesContext(connection) as idle:
        assert ledger.audit_stock(at=at + timedelta(seconds=3)) == 0
    assert len(own(idle)) == 1


def test_one_worker_checks_at_a_time_and_a_killed_one_is_followed(level: Level, at: datetime) -> None:
    assert ledger.begin_check(name=DRIFT, every=HOUR, at=at)
    assert not ledger.begin_check(name=DRIFT, every=HOUR, at=at + timedelta(minutes=9))
    assert ledger.begin_check(name=DRIFT, every=HOUR, at=at + timedelta(minutes=10))
    ledger.end_check(name=DRIFT, began_at=at)
    assert queries.last_check(DRIFT).began_at == at + timedelta(minutes=10)
    ledger.end_check(name=DRIFT, began_at=at + timedelta(minutes=10))
    assert queries.last_check(DRIFT).checked_at == at + timedelta(minutes=10)


def test_a_check_costs_two_statements_per_hundred_skus(level: Level, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.audit_stock(at=at)
    for _ in range(30):
        make_sku()
    monkeypatch.setattr(queries, "RANGE", 8)
    assert [last - first for first, last in queries.sku_ranges()] == [7, 7, 7, 6]
    with CaptureQueriesContext(connection) as asked:
        ledger.audit_stock(at=at + HOUR)
    assert len(own(asked)) == 5 + 2 * 4  # the check, its row taken and given back, SKUs, the count; two per range


@pytest.mark.parametrize(("held", "hears"), [(1, False), (9, True)])
def test_drift_of_promises_is_repaired_in_both_directions_and_leaves_the_list(
    level: Level, at: datetime, held: int, hears: bool
) -> None:
    Level.objects.update(held=held)
    ledger.audit_stock(at=at)
    assert found() == [(None, 10, 10, held, 4)]
    before = Entry.objects.count()
    done = ledger.repair(node_id=level.node_id, sku_id=level.sku_id, way="held", reason="盘点", actor="staff:7", at=at)
    assert done is not None
    assert (done.way, done.before, done.after, done.actor, done.reason, done.repaired_at) == (
        "held",
        held,
        4,
        "staff:7",
        "盘点",
        at,
    )
    level.refresh_from_db()
    assert ((level.on_hand, level.held), queries.drift(), found()) == ((10, 4), [], [])
    assert Entry.objects.count() - before == hears
    assert (Movement.objects.count(), Reservation.objects.get().quantity) == (1, 4)


@pytest.mark.parametrize("promised", [0, 5])
def test_what_a_delivery_promises_is_repaired_in_both_directions(
    level: Level, coming: Incoming, at: datetime, promised: int
) -> None:
    Incoming.objects.update(promised=promised)
    ledger.audit_stock(at=at)
    assert found() == [(coming.pk, 0, 0, promised, 3)]
    done = ledger.repair_promised(incoming_id=coming.pk, reason="对账", actor="staff:7", at=at)
    assert done is not None
    assert (done.way, done.incoming, done.before, done.after, done.actor) == ("promised", coming, promised, 3, "staff:7")
    coming.refresh_from_db()
    assert (coming.promised, queries.promise_drift(), found()) == (3, [], [])
    assert ledger.repair_promised(incoming_id=coming.pk, reason="对账", actor="staff:7", at=at) is None
    assert StockRepair.objects.count() == 1


def test_more_than_is_coming_is_never_promised_by_a_repair(level: Level, coming: Incoming, at: datetime) -> None:
    Reservation.objects.filter(incoming=coming).update(quantity=6)
    with pytest.raises(ledger.CannotRepair, match="在途 po:9：预售明细 6 多于在途 5，请先改派预售"):
        ledger.repair_promised(incoming_id=coming.pk, reason="对账", actor="", at=at)
    with pytest.raises(ledger.CannotRepair, match="请填写修正原因"):
        ledger.repair_promised(incoming_id=coming.pk, reason=" ", actor="", at=at)
    with pytest.raises(NotFound):
        ledger.repair_promised(incoming_id=coming.pk + 1, reason="对账", actor="", at=at)
    coming.refresh_from_db()
    assert (coming.promised, StockRepair.objects.count()) == (3, 0)


def test_the_command_repairs_what_deliveries_promise(level: Level, coming: Incoming, capsys: pytest.CaptureFixture[str]) -> None:
    Incoming.objects.update(promised=5)
    with pytest.raises(CommandError, match="0 处库存、1 处在途与明细不一致"):
        call_command("stock_audit")
    capsys.readouterr()
    for more, told in (((), "可修正 1 处（未执行，加 --apply 执行）"), (("--node=N1", "--sku=SOFA", "--apply"), "已修正 1 处")):
        call_command("repair_stock", "--way=promised", "--reason=对账", *more)
        assert capsys.readouterr().out.splitlines() == ["在途 po:9：已承诺 5 → 3", told]
    assert StockRepair.objects.get().actor == "system:repair-stock"
    call_command("repair_stock", "--way=promised", "--reason=对账", "--apply")
    call_command("stock_audit")


PAGE = "admin:inventory_level_drift"


def test_who_may_not_change_stock_neither_sees_nor_repairs_nor_checks(level: Level, coming: Incoming, client: Client) -> None:
    Level.objects.update(held=1)
    Incoming.objects.update(promised=5)
    ledger.audit_stock(at=timezone.now())
    was = found()
    client.force_login(make_staff(role="finance"))
    place = f"{level.node_id}:{level.sku_id}:held"
    for asked in ({"repair": place, "reason": "x"}, {"repair": f"{coming.pk}:promised", "reason": "x"}, {"check": "1"}):
        assert client.post(reverse(PAGE), asked).status_code == 403
    assert client.get(reverse(PAGE)).status_code == 403
    bulk = {"action": "repair", "_selected_action": [level.pk], "way": "held", "reason": "x", "token": "t"}
    assert client.post(reverse("admin:inventory_level_changelist"), bulk).status_code == 403
    client.logout()
    assert client.post(reverse(PAGE), {"repair": place, "reason": "x"}).status_code == 302
    level.refresh_from_db()
    assert (level.held, found(), StockRepair.objects.count()) == (1, was, 0)
    assert StockCheck.objects.get().asked_at is None


def test_the_page_shows_what_was_found_and_repairs_it_by_a_button(level: Level, coming: Incoming, client: Client) -> None:
    Level.objects.update(held=1)
    Incoming.objects.update(promised=5)
    ledger.audit_stock(at=timezone.now())
    staff = make_staff(role="operator")
    client.force_login(staff)
    text = client.get(reverse(PAGE)).text
    assert "检查于" in text
    assert "重算预占（以预占明细为准）：1 → 4" in text
    assert "重算在途已承诺（以预售明细为准）：5 → 3" in text
    for asked in (f"{level.node_id}:{level.sku_id}:held", f"{coming.pk}:promised"):
        answer = client.post(reverse(PAGE), {"repair": asked, "reason": "对账"})
        assert "已修正" in [str(each) for each in get_messages(answer.wsgi_request)][-1]
    assert (found(), {repair.actor for repair in StockRepair.objects.all()}) == ([], {f"staff:{staff.pk}"})
    assert "没有差异" in client.get(reverse(PAGE)).text
    for wrong in ("promised", f"{coming.pk}:held", "1:2:promised", "x:promised", f"{10**20}:promised", "1:2:3:held"):
        answer = client.post(reverse(PAGE), {"repair": wrong, "reason": "对账"})
        assert [str(each) for each in get_messages(answer.wsgi_request)][-1] == "请选择要修正的差异", wrong


def test_the_page_of_differences_costs_the_same_for_few_and_many(level: Level, at: datetime, client: Client) -> None:
    client.force_login(make_staff())
    counts = []
    for _ in range(2):
        Level.objects.update(held=1)
        ledger.ask_check(name=DRIFT, at=timezone.now())
        ledger.audit_stock(at=timezone.now())
        with CaptureQueriesContext(connection) as asked:
            client.get(reverse(PAGE))
        counts.append(len(asked))
        assert not any("inventory_movement" in query["sql"] for query in asked)
        node = make_node()
        rows = [NewMovement(node.pk, make_sku().pk, "receipt", 5, f"m:{node.pk}:{n}") for n in range(20)]
        ledger.post(movements=rows, actor="", at=at)
    assert counts[0] == counts[1]
