"""The admin of stock locks does everything through their actions, says what was refused, and counts in few statements."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.timezone import localtime

from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.locks import actions as locks
from inventory.models import Level, Reservation, Sku, StockLock
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from tests.make import make_dealer, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
LIST, ADD = "/admin/inventory/stocklock/", "/admin/inventory/stocklock/add/"
HOUR = timedelta(hours=1)


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_staff(role="operator"))
    return client


def stock(sku: Sku, quantity: int) -> Level:
    node = make_node(name="苏州仓")
    movement = NewMovement(node.pk, sku.pk, "receipt", quantity, f"in:{node.pk}")
    ledger.post(movements=[movement], actor="test", at=timezone.now())
    return Level.objects.get(node=node, sku=sku)


def plan(sku: Sku, amount: int = 5, claim: str = "channel:doudian", name: str = "专场") -> StockLock:
    now = timezone.now()
    return locks.plan_lock(
        name=name,
        claim=claim,
        sku_id=sku.pk,
        mode="number",
        amount=amount,
        starts_at=now,
        ends_at=now + HOUR,
        actor="test",
        at=now,
    )


def begun(sku: Sku, amount: int = 5, claim: str = "channel:doudian") -> StockLock:
    lock = plan(sku, amount, claim)
    locks.start_lock(lock_no=lock.lock_no, actor="test", at=timezone.now())
    return lock


def form(goods: Sku, **more: Any) -> dict[str, Any]:
    starts, ends = (localtime(timezone.now() + wait) for wait in (timedelta(), HOUR))
    return {
        "name": "双十二", "claim_kind": "channel", "claim_code": "doudian", "sku": goods.pk, "group": "", "mode": "number",
        "amount": 7, "priority": 10, "release_order": 10,
        "starts_at_0": f"{starts:%Y-%m-%d}", "starts_at_1": f"{starts:%H:%M:%S}",
        "ends_at_0": f"{ends:%Y-%m-%d}", "ends_at_1": f"{ends:%H:%M:%S}", **more,
    }  # fmt: skip


def act(client: Client, action: str, *chosen: StockLock) -> list[str]:
    """Press a button of the list; returns what is told."""
    answer = client.post(LIST, {"action": action, "_selected_action": [lock.pk for lock in chosen]}, follow=True)
    return [f"{message.level_tag}: {message.message}" for message in answer.context["messages"]]


def cells(html: str, row: int = 0) -> list[str]:
    """The words of one row of the list."""
    body = re.findall(r"(?s)<tr[^>]*>.*?</tr>", html[html.index('id="result_list"') :])[row + 1]
    return [" ".join(re.sub(r"(?s)<[^>]+>", " ", cell).split()) for cell in re.findall(r"(?s)<t[dh].*?</t[dh]>", body)]


@pytest.mark.parametrize(
    ("role", "status"), [("admin", 200), ("operator", 200), ("finance", 403), ("owner", 302), ("clerk", 302)]
)
def test_who_may_see(client: Client, role: str, status: int) -> None:
    lock = begun(make_sku())
    client.force_login(make_staff(make_dealer() if status == 302 else None, role=role))
    for page in (LIST, ADD, f"{LIST}{lock.pk}/change/"):
        assert client.get(page).status_code == status
    client.post(ADD, form(make_sku()))
    act_sent = client.post(LIST, {"action": "end_now", "_selected_action": [lock.pk]})
    assert act_sent.status_code == (302 if status == 200 else status)
    assert StockLock.objects.count() == (2 if status == 200 else 1)
    lock.refresh_from_db()
    assert lock.state == ("ended" if status == 200 else "active")


def test_nobody_deletes(client: Client) -> None:
    lock = plan(make_sku())
    client.force_login(make_staff(role="admin"))
    assert client.get(f"{LIST}{lock.pk}/delete/").status_code == 403
    client.post(LIST, {"action": "delete_selected", "_selected_action": [lock.pk], "post": "yes"})
    assert StockLock.objects.count() == 1


def test_a_lock_is_planned_through_the_form(operator: Client) -> None:
    sku = make_sku()
    assert operator.post(ADD, form(sku, claim_kind="shop", claim_code=" doudian/1001 ")).status_code == 302
    lock = StockLock.objects.get()
    assert (lock.name, lock.claim, lock.sku, lock.amount, lock.state) == ("双十二", "shop:doudian/1001", sku, 7, "planned")
    assert lock.lock_no.startswith("SK")
    assert lock.actor.startswith("staff:")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"claim_kind": "shop"}, "shop:渠道/店铺"),
        ({"claim_kind": "radio"}, "radio"),
        ({"claim_code": ""}, "必填"),
        ({"mode": "ratio", "amount": 101}, "1–100"),
        ({"amount": -1}, "大于"),
        ({"amount": 0}, "1–1000000000"),
        ({"ends_at_0": "2020-01-01"}, "结束时间必须晚于"),
        ({"sku": 999_999}, "有效"),
    ],
)
def test_a_refused_plan_is_said_above_the_form_and_keeps_what_was_typed(
    operator: Client, wrong: dict[str, Any], said: str
) -> None:
    answer = operator.post(ADD, form(make_sku(), **wrong))
    assert answer.status_code == 200
    assert said in answer.text
    assert 'value="双十二"' in answer.text
    assert (StockLock.objects.count(), Entry.objects.count()) == (0, 0)


def test_who_sends_the_form_twice_plans_one_lock(operator: Client) -> None:
    asked = form(make_sku())
    operator.post(ADD, asked)
    assert "同一时段已有锁库" in operator.post(ADD, asked).text
    assert StockLock.objects.count() == 1


def test_only_amount_and_end_are_changed_and_what_is_held_follows(operator: Client) -> None:
    level = stock(make_sku(), 9)
    lock = begun(level.sku, 5)
    page = f"{LIST}{lock.pk}/change/"
    ends = localtime(lock.ends_at + HOUR).replace(microsecond=0)
    asked = {"amount": 3, "ends_at_0": f"{ends:%Y-%m-%d}", "ends_at_1": f"{ends:%H:%M:%S}", "name": "别的", "priority": 99}
    assert operator.post(page, asked).status_code == 302
    lock.refresh_from_db()
    level.refresh_from_db()
    assert (lock.amount, lock.ends_at, lock.name, lock.priority, level.held) == (3, ends, "专场", 10, 3)
    assert "整数" in operator.post(page, asked | {"amount": "x"}).text
    assert "结束时间必须晚于" in operator.post(page, asked | {"ends_at_0": "2020-01-01", "amount": 4}).text
    lock.refresh_from_db()
    assert (lock.amount, lock.ends_at) == (3, ends)


def test_an_ended_lock_is_only_looked_at(operator: Client) -> None:
    lock = plan(make_sku())
    locks.end_lock(lock_no=lock.lock_no, actor="test", at=timezone.now())
    page = f"{LIST}{lock.pk}/change/"
    assert 'name="amount"' not in operator.get(page).text
    assert operator.post(page, {"amount": 3}).status_code == 403


def test_the_list_shows_held_drawn_and_safe(operator: Client) -> None:
    level = stock(make_sku(), 9)
    begun(level.sku, 5)
    buyer = Want("FO1", level.node_id, level.sku_id, 2, claims=("channel:doudian",))
    reservations.hold(wants=[buyer], at=timezone.now())
    plan(make_sku(), 4)
    html = operator.get(LIST).text
    assert cells(html, 0)[5:9] == ["4 件", "0", "0", "-"]
    assert cells(html, 1)[2] == "渠道 doudian"
    assert cells(html, 1)[4:9] == ["生效中", "5 件", "3", "2", "7 件"]


def test_the_list_costs_the_same_for_any_number_of_locks(operator: Client) -> None:
    costs = []
    for count in (1, 12):
        for number in range(count):
            begun(stock(make_sku(), 3).sku, 2, f"live:{count}-{number}")
        with CaptureQueriesContext(connection) as asked:
            operator.get(LIST)
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 10


def test_locks_are_begun_and_ended_in_bulk_and_each_failure_is_told(operator: Client) -> None:
    level = stock(make_sku(), 9)
    first, second, over = plan(level.sku, 4), plan(level.sku, 3, "live:S1"), plan(level.sku, 1, "live:S2")
    locks.end_lock(lock_no=over.lock_no, actor="test", at=timezone.now())
    assert act(operator, "start_now", first, second, over) == [
        f"error: {over}：锁库 {over.lock_no} 已结束，不能再开始", "success: 已开始 2 个锁库",
    ]  # fmt: skip
    level.refresh_from_db()
    assert level.held == 7
    assert act(operator, "start_now", first) == [f"error: {first}：已在生效中"]
    assert act(operator, "end_now", first, over) == [f"error: {over}：早已结束", "success: 已结束 1 个锁库"]
    level.refresh_from_db()
    assert level.held == 3


def test_locks_are_filled_up_in_bulk(operator: Client) -> None:
    level = stock(make_sku(), 3)
    lock, idle = begun(level.sku, 5), plan(make_sku())
    assert act(operator, "fill_up", lock) == ["warning: 没有可补的库存，或已经锁满"]
    more = NewMovement(level.node_id, level.sku_id, "receipt", 4, "more")
    ledger.post(movements=[more], actor="test", at=timezone.now())
    assert act(operator, "fill_up", lock, idle) == [f"error: {idle}：未开始，不能补足", "success: 补足了 1 个锁库"]
    assert Reservation.objects.get(bill=lock.lock_no).quantity == 5
    assert Entry.objects.filter(name="stock.lock_moved").latest("pk").actor.startswith("staff:")


def test_the_page_of_a_lock_shows_its_figures_and_who_drew_from_it(operator: Client) -> None:
    level = stock(make_sku(), 9)
    lock = begun(level.sku, 5)
    for number in range(3):
        buyer = Want(f"FO-{number}", level.node_id, level.sku_id, number + 1, claims=("channel:doudian",))
        reservations.hold(wants=[buyer], at=timezone.now())
    reservations.release(bills=["FO-0"], at=timezone.now())
    answer = operator.get(f"{LIST}{lock.pk}/change/")
    rows = [row[1:] for row in answer.context["lock_history"]["rows"]]
    assert rows == [
        ["FO-2", "仓库预占", "苏州仓", "3 件", "2 件", "预占中"],
        ["FO-1", "仓库预占", "苏州仓", "2 件", "2 件", "预占中"],
        ["FO-0", "仓库预占", "苏州仓", "1 件", "1 件", "已释放"],
        [lock.lock_no, "锁库", "苏州仓", "现锁着 0 件", "", "已取完"],
    ]
    assert "FO-2" in answer.text
    assert re.findall(r"<(?:div|p)[^>]*>\s*(\d+ 件)\s*</", answer.text) == ["4 件"]
