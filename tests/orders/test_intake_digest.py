"""From kept messages to orders, with a real HTTP server playing the platform."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dealers.divisions import queries as divisions
from oms_project.journal.models import Entry
from oms_project.refusal import Stale
from orders.intake import actions, queries
from orders.intake.adapters import doudian
from orders.intake.rules import LEASE, LastingFailure, PassingFailure
from orders.models import ChannelAccount, Order, OrderHold, OrderLine, Refund, SourceMessage
from tests.orders.intake_world import sample, shop_of
from tests.platforms.doudian import DoudianPlatform, line

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[DoudianPlatform]:
    monkeypatch.setattr(doudian, "TIMEOUT", (1.0, 0.15))
    monkeypatch.setattr(doudian, "PAUSES", (0.0, 0.0))
    with DoudianPlatform().serving() as platform:
        yield platform
    assert platform.bad_signatures == 0


@pytest.fixture
def account(platform: DoudianPlatform) -> ChannelAccount:
    return shop_of(platform)


def hear(account: ChannelAccount, platform: DoudianPlatform, at: datetime, *messages: dict[str, Any]) -> int:
    return actions.receive_push(account=account, messages=doudian.split_push(platform.push(*messages)[0]), at=at)


def outcomes() -> list[str]:
    return list(SourceMessage.objects.order_by("id").values_list("outcome", flat=True))


def facts() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("name", flat=True))


def test_a_paid_order_is_placed(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SET", paid_fen=100_000))
    assert hear(account, platform, at, platform.message("101", number)) == 1
    assert actions.digest_messages(at=at) == 1
    order = Order.objects.get()
    assert (order.order_no, order.state, order.paid_fen, order.division_code) == (f"DD{number}", "placed", 100_000, "320506")
    lines = OrderLine.objects.order_by("position").values_list("sku__code", "quantity", "paid_fen")
    assert list(lines) == [("SKU-SOFA", 1, 90_000), ("SKU-LAMP", 2, 10_000)]
    message = SourceMessage.objects.get()
    assert (message.outcome, message.done_at, message.due_at, message.tries) == ("placed", at, None, 1)
    assert queries.detail_of(message) == platform.orders[number]
    assert "13800000001" not in message.detail_sealed
    assert facts() == ["order.placed"]
    assert actions.digest_messages(at=at + timedelta(days=1)) == 0


def test_an_order_is_asked_for_once_per_batch(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, *[platform.message(tag, number) for tag in ("105", "100", "101")])
    assert actions.digest_messages(at=at) == 3
    assert platform.asked == [number]
    assert outcomes() == ["placed", "placed", "placed"]
    assert facts() == ["order.placed"]


def test_a_batch_of_new_orders_costs_few_statements(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    told = [platform.message("101", platform.order(line("SET", paid_fen=100_000 + i))) for i in range(40)]
    hear(account, platform, at, *told)
    divisions.gazetteer()
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert actions.digest_messages(at=at) == 40
    written = [one["sql"] for one in seen if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    # claim, shops, parts, orders with lines, journal, verdicts; SQLite writes lines apart, and deliveries
    assert len(written) == (6 if connection.vendor == "postgresql" else 8), "\n".join(sql[:80] for sql in written)
    assert Order.objects.filter(state="placed").count() == 40


def test_the_vendors_sample_is_held_with_every_reason(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    detail = sample("doudian_order_detail.json")["payload"]["data"]["shop_order_detail"]
    platform.orders[detail["order_id"]] = detail
    hear(account, platform, at, platform.message("102", detail["order_id"]))
    actions.digest_messages(at=at)
    assert outcomes() == ["held"]
    assert Order.objects.get().state == "held"
    assert set(OrderHold.objects.values_list("reason", flat=True)) == {"totals", "remark", "sku", "amended"}
    assert facts() == ["order.held"]


def test_an_unreadable_order_is_parked_and_does_not_stop_others(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime
) -> None:
    bad, gone, good = platform.order(line("SOFA"), pay_amount="1.5"), "4700000000000000001", platform.order(line("SOFA"))
    hear(account, platform, at, *[platform.message("101", number) for number in (bad, gone, good)])
    actions.digest_messages(at=at)
    assert outcomes() == ["parked", "parked", "placed"]
    parked = SourceMessage.objects.filter(outcome="parked").order_by("id")
    assert [(one.due_at, one.done_at) for one in parked] == [(None, None)] * 2
    assert parked[0].last_error == "pay_amount 不是整数：1.5"
    assert queries.detail_of(parked[0]) == platform.orders[bad]
    assert parked[1].last_error == "平台接口 50002 isv.business-failed:order-not-found 订单不存在"
    assert list(Order.objects.values_list("external_id", flat=True)) == [good]


@pytest.mark.parametrize("fault", [500, 503, 429, "hang", "drop", "garbage", {"code": 20000, "msg": "系统繁忙"}], ids=str)
def test_a_passing_fault_is_tried_again_at_once(platform: DoudianPlatform, account: ChannelAccount, fault: Any) -> None:
    number = platform.order(line("SOFA"))
    platform.fail(number, fault, fault)
    assert doudian.fetch_order(account, number) == platform.orders[number]
    assert len(platform.asked) == 3
    platform.fail(number, *[fault] * 3)
    with pytest.raises(PassingFailure) as caught:
        doudian.fetch_order(account, number)
    assert "token-1" not in str(caught.value)


@pytest.mark.parametrize("fault", [404, 302, {"code": 40003, "msg": "参数错误", "sub_code": "isv.parameter-invalid"}], ids=str)
def test_a_lasting_fault_is_not_tried_again(platform: DoudianPlatform, account: ChannelAccount, fault: Any) -> None:
    number = platform.order(line("SOFA"))
    platform.fail(number, fault)
    with pytest.raises(LastingFailure):
        doudian.fetch_order(account, number)
    assert len(platform.asked) == 1


def test_a_failed_question_waits_longer_each_time_and_then_succeeds(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime
) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("101", number))
    platform.fail(number, *[500] * 6)
    actions.digest_messages(at=at)
    message = SourceMessage.objects.get()
    assert (message.due_at, message.tries, message.last_error) == (at + timedelta(seconds=2), 1, "平台接口 HTTP 500")
    assert actions.digest_messages(at=at + timedelta(seconds=1)) == 0
    actions.digest_messages(at=at + timedelta(seconds=2))
    message.refresh_from_db()
    assert (message.due_at, message.tries) == (at + timedelta(seconds=7), 2)
    assert not Order.objects.exists()
    actions.digest_messages(at=at + timedelta(seconds=7))
    assert outcomes() == ["placed"]


def test_too_many_failures_park_a_message_until_a_person_retries(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime
) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("101", number))
    platform.fail(number, *[500] * 27)
    for day in range(9):
        assert actions.digest_messages(at=at + timedelta(days=day)) == 1
    message = SourceMessage.objects.get()
    assert (message.outcome, message.due_at, message.done_at, message.tries) == ("parked", None, None, 9)
    later = at + timedelta(days=20)
    assert actions.digest_messages(at=later) == 0
    actions.retry_message(message=message, at=later)
    assert actions.digest_messages(at=later) == 1
    assert outcomes() == ["placed"]
    with pytest.raises(Stale):
        actions.retry_message(message=message, at=later)
    assert outcomes() == ["placed"]


def test_a_crash_after_asking_loses_nothing_and_places_once(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process dies here."""

    def die(**_: Any) -> None:
        raise Killed

    hear(account, platform, at, platform.message("101", platform.order(line("SOFA"))))
    with monkeypatch.context() as patched:
        patched.setattr(actions.lifecycle, "place_orders", die)
        with pytest.raises(Killed):
            actions.digest_messages(at=at)
    assert actions.digest_messages(at=at + LEASE - timedelta(seconds=1)) == 0
    assert not Order.objects.exists()
    assert actions.digest_messages(at=at + LEASE) == 1
    assert outcomes() == ["placed"]
    assert facts() == ["order.placed"]


def test_one_poisonous_order_fails_alone(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, good = platform.order(line("SOFA")), platform.order(line("SOFA"))
    place = actions.lifecycle.place_orders

    def choke(*, orders: Any, **more: Any) -> Any:
        outcome = place(orders=orders, **more)
        if any(order.external_id == poison for order in orders):
            raise ArithmeticError("poison")
        return outcome

    monkeypatch.setattr(actions.lifecycle, "place_orders", choke)
    hear(account, platform, at, platform.message("101", poison), platform.message("101", good))
    assert actions.digest_messages(at=at) == 2
    assert outcomes() == ["", "placed"]
    assert SourceMessage.objects.order_by("id")[0].last_error == "ArithmeticError"
    assert list(Order.objects.values_list("external_id", flat=True)) == [good]
    assert facts() == ["order.placed"]


def test_what_was_not_asked_in_time_waits_without_losing_a_try(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(account, platform, at, platform.message("101", platform.order(line("SOFA"))))
    with monkeypatch.context() as patched:
        patched.setattr(actions, "FETCH_SECONDS", -1.0)
        assert actions.digest_messages(at=at) == 1
    message = SourceMessage.objects.get()
    assert (message.tries, message.due_at, platform.asked) == (0, at + timedelta(seconds=2), [])
    actions.digest_messages(at=at + timedelta(seconds=2))
    assert outcomes() == ["placed"]


def test_orders_are_asked_for_several_at_a_time(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, fetch = threading.Barrier(4, timeout=10), doudian.fetch_order

    def meet(account: Any, number: str) -> dict[str, Any]:
        together.wait()
        return fetch(account, number)

    monkeypatch.setattr(doudian, "fetch_order", meet)
    hear(account, platform, at, *[platform.message("101", platform.order(line("SOFA"))) for _ in range(4)])
    actions.digest_messages(at=at)
    assert outcomes() == ["placed"] * 4


def test_a_cancel_before_the_payment_is_heard_wins(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    paid = platform.message("101", number)
    platform.change(number, order_status="4")
    hear(account, platform, at, platform.message("106", number))
    actions.digest_messages(at=at)
    assert (outcomes(), Order.objects.get().state) == (["closed"], "cancelled")
    hear(account, platform, at, paid)
    actions.digest_messages(at=at)
    assert (outcomes(), Order.objects.get().state) == (["closed", "unchanged"], "cancelled")
    assert "order.placed" not in facts()


def test_an_older_answer_changes_nothing(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("101", number))
    platform.change(number)
    actions.digest_messages(at=at)
    platform.change(number, order_status="4", update_time="1000000000")
    hear(account, platform, at, platform.message("106", number))
    actions.digest_messages(at=at)
    assert (outcomes(), Order.objects.get().state) == (["placed", "older"], "placed")


def test_a_changed_address_and_a_cancel_reach_the_order(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("101", number))
    actions.digest_messages(at=at)
    town = {"id": "320505", "name": "虎丘区"}
    platform.change(number, post_addr={**platform.orders[number]["post_addr"], "town": town})
    hear(account, platform, at, platform.message("111", number))
    actions.digest_messages(at=at)
    assert Order.objects.get().division_code == "320505"
    platform.change(number, order_status="4")
    hear(account, platform, at, platform.message("106", number))
    actions.digest_messages(at=at)
    assert outcomes() == ["placed", "updated", "closed"]
    assert Order.objects.get().state == "cancelled"
    assert facts() == ["order.placed", "order.amended", "order.closed_at_source", "order.cancelled"]


def test_an_unpaid_order_is_not_ours_yet(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"), status="1")
    hear(account, platform, at, platform.message("100", number))
    actions.digest_messages(at=at)
    assert (outcomes(), Order.objects.count()) == (["unpaid"], 0)


def test_a_risk_holds_until_it_is_confirmed(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("110", number))
    actions.digest_messages(at=at)
    order = Order.objects.get()
    assert (outcomes(), order.state, order.channel_status) == (["held"], "held", "PAID_HOLD")
    assert list(OrderHold.objects.values_list("reason", flat=True)) == ["risk"]
    platform.change(number)
    hear(account, platform, at, platform.message("101", number))
    actions.digest_messages(at=at)
    order.refresh_from_db()
    assert (order.state, order.channel_status) == ("placed", "WAIT_SHIP")


def test_a_late_risk_message_does_not_hold_a_confirmed_order(
    platform: DoudianPlatform, account: ChannelAccount, at: datetime
) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("101", number), platform.message("110", number))
    actions.digest_messages(at=at)
    assert (outcomes(), Order.objects.get().state) == (["placed", "placed"], "placed")


def test_a_refund_is_recorded_once(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    refund = platform.refund(number, 13_200, key="AS1", line_id=platform.orders[number]["sku_order_list"][0]["order_id"])
    hear(account, platform, at, refund, {**refund, "msg_id": "told again"}, platform.refund(number, 0, key="AS2"))
    actions.digest_messages(at=at)
    assert outcomes() == ["refunded", "placed", "placed"]
    assert list(Refund.objects.values_list("refund_key", "amount_fen")) == [("AS1", 13_200)]
    assert Order.objects.get().refunded_fen == 13_200
    assert facts() == ["order.placed", "refund.succeeded"]


def test_an_unreadable_refund_is_parked(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    number = platform.order(line("SOFA"))
    hear(account, platform, at, platform.message("206", number, refund_amount="many"))
    actions.digest_messages(at=at)
    assert outcomes() == ["parked"]
    assert not Refund.objects.exists()


def test_a_claimed_message_is_nobody_elses(platform: DoudianPlatform, account: ChannelAccount, at: datetime) -> None:
    hear(account, platform, at, *[platform.message("101", platform.order(line("SOFA"))) for _ in range(3)])
    claim = actions.statements.claim_messages
    first, second, third = (claim(at, at + LEASE, limit) for limit in (2, 2, 2))
    assert (len(first), len(second), len(third)) == (2, 1, 0)
    assert not {one.id for one in first} & {one.id for one in second}
