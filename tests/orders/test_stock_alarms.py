"""What is wrong with stock stands on the front page: counts that lead to lists of exactly as many rows."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localdate

from inventory.ledger import actions as ledger
from inventory.locks import actions as locks
from inventory.models import Level, PublishedStock, Reservation, Transfer, TransferLine
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from orders.desk import queries as desk
from tests.make import make_dealer, make_level, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
NONE = {"over": 0, "stale": 0, "drift": 0, "transfers": 0, "locks": 0}


def publish(quantity: int, sellable: int) -> None:
    shown = {"sku": make_sku(), "quantity": quantity, "sellable": sellable, "version": 1, "changed_at": timezone.now()}
    PublishedStock.objects.create(channel="doudian", shop="1", **shown)


def transfer(number: str, lost: int = 0, **fields: Any) -> None:
    at = timezone.now()
    fields = {"state": "shipped", "expected_on": localdate(at), "requested_at": at, **fields}
    row = Transfer.objects.create(transfer_no=number, source=make_node(), target=make_node(), **fields)
    TransferLine.objects.create(transfer=row, sku=make_sku(), requested=5, approved=5, shipped=5, received=5 - lost, lost=lost)


def lock(name: str, level: Level, amount: int, mode: str = "number") -> None:
    at = timezone.now()
    planned = locks.plan_lock(
        name=name, claim=f"live:{name}", sku_id=level.sku_id, mode=mode, amount=amount, starts_at=at,
        ends_at=at + timedelta(hours=1), actor="", at=at,
    )  # fmt: skip
    locks.start_lock(lock_no=planned.lock_no, actor="", at=at)


@pytest.fixture
def trouble(db: None) -> None:
    """Of everything some that is wrong, beside some that is not."""
    at, dealer = timezone.now(), make_dealer()
    publish(9, 8)
    publish(8, 8)
    old, fresh = at - timedelta(hours=1), at + timedelta(hours=1)
    store, ours = make_node(dealer, kind="store"), make_node()
    for node, on_hand, until in (
        (store, 3, old), (make_node(dealer), 2, old), (store, 0, old), (store, 3, fresh), (ours, 3, old),
    ):  # fmt: skip
        make_level(node, make_sku(), on_hand=on_hand, fresh_until=until)
    week, month, yesterday = (at - timedelta(days=days) for days in (6, 30, 1))
    transfer("DB-LATE", expected_on=localdate(yesterday))
    transfer("DB-COMING")
    transfer("DB-SHORT", lost=2, state="received", closed_at=week)
    transfer("DB-FORGOTTEN", lost=2, state="received", closed_at=month)
    transfer("DB-WHOLE", state="received", closed_at=week, expected_on=localdate(month))
    lock("FULL", make_level(make_node(), make_sku(), on_hand=5), 5)
    lock("SHORT", make_level(make_node(), make_sku(), on_hand=5), 6)
    lock("SHARE", make_level(make_node(), make_sku(), on_hand=5), 50, "ratio")
    lock("NOTHING", make_level(make_node(), make_sku(), on_hand=0), 50, "ratio")


def enter(client: Client, role: str) -> Client:
    client.force_login(make_staff(role=role))
    return client


def shown(client: Client) -> dict[str, tuple[str, str]]:
    """The count and the link of each alarm, by its name."""
    rows = client.get(reverse("admin:index")).context_data["troubles"]["rows"]
    found = {}
    for link, count, _ in rows:
        match = re.search(r'href="([^"]+)">([^<]+)<', str(link))
        assert match is not None
        found[match[2]] = (count, match[1].replace("&amp;", "&"))
    return found


def test_each_alarm_is_counted_and_leads_to_its_list(trouble: None, client: Client) -> None:
    ledger.audit_stock(at=timezone.now())  # all the stock above came without movements
    assert desk.stock_alarms(timezone.now()) == {"over": 1, "stale": 2, "drift": 7, "transfers": 2, "locks": 2}
    alarms = shown(enter(client, "operator"))
    assert {name: count for name, (count, _) in alarms.items()} == {
        "发布数高于可售": "1", "经销商库存过期": "2", "对账差异": "7", "调拨逾期或短少": "2", "锁库未锁足": "2",
    }  # fmt: skip
    for name, (count, link) in alarms.items():
        page = client.get(link)
        listed = page.context_data["rows"] if name == "对账差异" else page.context_data["cl"].result_list
        assert len(listed) == int(count), name
    page = client.get(alarms["调拨逾期或短少"][1])
    assert {row.transfer_no for row in page.context_data["cl"].result_list} == {"DB-LATE", "DB-SHORT"}
    for asked, number in (("late", "DB-LATE"), ("short", "DB-SHORT")):
        page = client.get(reverse("admin:inventory_transfer_changelist") + f"?trouble={asked}")
        assert [row.transfer_no for row in page.context_data["cl"].result_list] == [number]
    page = client.get(alarms["锁库未锁足"][1])
    assert {row.name for row in page.context_data["cl"].result_list} == {"SHORT", "NOTHING"}


def test_a_quiet_day_has_no_alarms_and_says_when_the_books_were_checked(client: Client) -> None:
    assert desk.stock_alarms(timezone.now()) == NONE
    assert "尚未检查" in enter(client, "operator").get(reverse("admin:index")).text
    ledger.audit_stock(at=timezone.now())
    assert "检查于" in client.get(reverse("admin:index")).text


def test_finance_sees_no_alarms_of_stock(trouble: None, client: Client) -> None:
    page = enter(client, "finance").get(reverse("admin:index"))
    assert "troubles" not in page.context_data
    assert "库存异常" not in page.text


def test_alarms_cost_five_statements_and_are_counted_no_further_than_needed(
    trouble: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CaptureQueriesContext(connection) as asked:
        desk.stock_alarms(timezone.now())
    assert len(asked) == 5
    monkeypatch.setattr(desk, "MOST_ALARMS", 2)
    counts = [count for count, _ in shown(enter(client, "operator")).values()]
    assert counts == ["1", "2+", "0", "2+", "2+"]


def test_what_buyers_took_from_a_lock_counts_as_filled(at: datetime) -> None:
    level = make_level(make_node(), make_sku(), on_hand=5)
    lock("LIVE", level, 5)
    reservations.hold(wants=[Want("A", level.node_id, level.sku_id, 3, claims=("live:LIVE",))], at=timezone.now())
    assert Reservation.objects.get(bill="A").drawn == 3
    assert desk.stock_alarms(timezone.now())["locks"] == 0
    locks.give_back(sku_id=level.sku_id, node_id=level.node_id, units=1, at=timezone.now())
    assert desk.stock_alarms(timezone.now())["locks"] == 1
