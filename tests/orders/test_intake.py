"""From a pushed byte to a placed order: nothing is lost, nothing is believed unsigned, nothing happens twice."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from dealers.directory import actions as directory
from inventory.models import Sku
from oms_project.journal import actions as journal
from oms_project.journal.models import Entry
from oms_project.refusal import Stale
from orders.intake import actions as intake
from orders.intake import queries, statements, webhooks
from orders.intake.adapters import doudian
from orders.intake.models import ChannelAccount, SourceMessage
from orders.intake.rules import BadPush, GiveUp, Place, back_off
from orders.lifecycle.actions import reveal_order_receiver
from orders.models import Order, OrderHold, Product, ProductPart, Refund
from tests.make import make_sku, make_staff
from tests.platforms.doudian import APP_KEY, APP_SECRET, PAID_AT, SHOP, DoudianPlatform, make_detail, make_line

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def port() -> Iterator[DoudianPlatform]:
    with DoudianPlatform().running() as platform:
        yield platform


@pytest.fixture
def platform(port: DoudianPlatform, monkeypatch: pytest.MonkeyPatch) -> DoudianPlatform:
    port.orders.clear()
    port.faults.clear()
    port.calls.clear()
    port.refused.clear()
    monkeypatch.setattr(doudian, "_PAUSES", (0.0, 0.0))
    return port


@pytest.fixture
def account(platform: DoudianPlatform) -> ChannelAccount:
    return ChannelAccount.objects.create(
        channel="doudian",
        shop=SHOP,
        name="测试店",
        app_key=APP_KEY,
        app_secret=APP_SECRET,
        access_token="token",
        api_base=platform.base,
    )


@pytest.fixture
def divisions() -> Iterator[None]:
    directory.load_divisions(at=datetime(2026, 11, 25, tzinfo=UTC))
    queries.forget()
    yield
    queries.forget()


@pytest.fixture
def sofa(divisions: None) -> Sku:
    sku = make_sku("SF-2001")
    ProductPart.objects.create(product=Product.objects.create(code="SF-2001", name="沙发"), sku=sku)
    return sku


@dataclass
class Answer:
    status_code: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def send(rf: RequestFactory) -> "Send":
    def run(push: tuple[bytes, dict[str, str]]) -> Answer:
        body, headers = push
        answer = webhooks.doudian_push(rf.post("/", body, content_type="application/json", headers=headers))
        return Answer(answer.status_code, answer.content)

    return run


Send = Callable[[tuple[bytes, dict[str, str]]], Answer]


# --- The door ---------------------------------------------------------------------------------

CANCEL = (
    r'[{"tag":"106","msg_id":"6837374000000000004:0:1618990587:4","data":"{\"p_id\":12345,\"s_ids\":[12345],\"shop_id\":12345,'
    r"\"order_status\":1,\"order_type\":0,\"biz\":2,\"cancel_time\":1618990925,\"cancel_reason\":\"\"}"
    r'"}]'
)
PROBE = r'[{"tag":"0","msg_id":"0","data":"{\"test\":\"ping\"}"}]'


@pytest.mark.parametrize(
    ("body", "digest"), [(CANCEL, "718860b57a988fd5d8943f709a6e2d50"), (PROBE, "4780b133a61732df617dcccb6017ddf6")]
)
def test_the_digest_of_a_push_is_the_documented_one(body: str, digest: str) -> None:
    raw = body.encode()
    assert doudian.is_genuine(raw, {"event-sign": digest}, APP_KEY, APP_SECRET)
    assert doudian.is_genuine(raw, {"event-sign": digest, "sign-method": "MD5"}, APP_KEY, APP_SECRET)
    assert not doudian.is_genuine(raw, {"event-sign": digest.upper()}, APP_KEY, APP_SECRET)
    assert not doudian.is_genuine(raw, {"event-sign": digest, "sign-method": "none"}, APP_KEY, APP_SECRET)
    assert not doudian.is_genuine(raw + b" ", {"event-sign": digest}, APP_KEY, APP_SECRET)
    assert not doudian.is_genuine(raw, {"event-sign": digest}, APP_KEY, "other")
    assert not doudian.is_genuine(raw, {"event-sign": "签名"}, APP_KEY, APP_SECRET)
    assert not doudian.is_genuine(raw, {}, APP_KEY, APP_SECRET)


def test_api_calls_are_signed_as_documented() -> None:
    call = {
        "app_key": APP_KEY,
        "app_secret": APP_SECRET,
        "method": "order.orderDetail",
        "param_json": doudian.canonical_json({"shop_order_id": "4781320682406083640"}),
        "timestamp": "1617355413",
    }
    assert doudian.sign_request(**call, sign_method="md5") == "34e7b7a80895a287796164896a0c0690"
    assert doudian.sign_request(**call) == "4ead1c7e583cec659861e370a13efacd104cc3884e68c032379fd2831f49821b"
    assert doudian.canonical_json({"b": [{"d": 1, "c": "元"}], "a": 2}) == '{"a":2,"b":[{"c":"元","d":1}]}'


def test_a_push_is_stored_sealed_before_it_is_answered(account: ChannelAccount, platform: DoudianPlatform, send: Send) -> None:
    answer = send(platform.push(platform.message("101", "4705288465508532863")))
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "success"})
    kept = SourceMessage.objects.get()
    assert (kept.tag, kept.external_id, kept.account_id) == ("101", "4705288465508532863", account.pk)
    assert kept.due_at == kept.received_at
    assert kept.done_at is None
    assert kept.tries == 0
    assert "4705288465508532863" not in kept.body_sealed
    account.refresh_from_db()
    assert account.last_heard_at == kept.received_at
    assert platform.calls == []


def test_a_repeated_push_is_acknowledged_and_kept_once(account: ChannelAccount, platform: DoudianPlatform, send: Send) -> None:
    push = platform.push(platform.message("101", "1", msg_id="m-1"), platform.message("101", "1", msg_id="m-1"))
    assert [send(push).status_code for _ in range(3)] == [200, 200, 200]
    assert SourceMessage.objects.count() == 1


def test_one_array_may_mix_tags_and_unknown_ones_are_kept_as_ignored(
    account: ChannelAccount, platform: DoudianPlatform, send: Send
) -> None:
    tags = ("101", "106", "100", "417", "999999")
    assert send(platform.push(*(platform.message(tag, "7") for tag in tags))).status_code == 200
    kept = {message.tag: message for message in SourceMessage.objects.all()}
    assert set(kept) == set(tags)
    assert {tag for tag in tags if kept[tag].due_at} == {"101", "106"}
    assert {kept[tag].outcome for tag in ("100", "417", "999999")} == {"ignored"}
    assert all(kept[tag].done_at for tag in ("100", "417", "999999"))


def test_a_changed_byte_stores_nothing_but_a_count(account: ChannelAccount, platform: DoudianPlatform, send: Send) -> None:
    body, headers = platform.push(platform.message("101", "1", pay_amount=2990))
    answer = send((body.replace(b"2990", b"2991"), headers))
    assert (answer.status_code, answer.json()) == (401, {"code": 40001, "msg": "签名错误"})
    account.refresh_from_db()
    assert (account.refused_count, account.last_heard_at) == (1, None)
    assert not SourceMessage.objects.exists()
    assert not Entry.objects.exists()
    assert send((body, {**headers, "app-id": "unknown"})).status_code == 401
    assert send((body, {})).status_code == 401
    account.refresh_from_db()
    assert account.refused_count == 1


def test_an_account_that_is_switched_off_hears_nothing(account: ChannelAccount, platform: DoudianPlatform, send: Send) -> None:
    ChannelAccount.objects.update(is_active=False)
    assert send(platform.push(platform.message("101", "1"))).status_code == 401
    assert not SourceMessage.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b'"text"',
        b"[1]",
        b'[{"msg_id":"1"}]',
        b'[{"tag":[],"msg_id":"1","data":"{}"}]',
        b"\xff\xfe",
        b"[" * 100_000,
        b'[{"tag":"101","msg_id":"1","data":"{}"},7]',
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_a_malformed_push_is_refused_whole(account: ChannelAccount, platform: DoudianPlatform, send: Send, body: bytes) -> None:
    assert send((body, platform.headers(body))).status_code == 400
    assert not SourceMessage.objects.exists()


@pytest.mark.parametrize(
    "item",
    [
        {"tag": "101", "msg_id": "1", "data": "not json"},
        {"tag": "101", "msg_id": "1", "data": "[]"},
        {"tag": "101", "msg_id": "1", "data": '{"p_id":1.5,"shop_id":12345}'},
        {"tag": 101, "msg_id": "\u0000\ud800" + "x" * 500, "data": None},
        {"tag": "101", "data": '{"p_id":"' + "9" * 41 + '"}'},
    ],
)
def test_an_odd_message_is_kept_and_ignored(
    account: ChannelAccount, platform: DoudianPlatform, send: Send, item: dict[str, Any]
) -> None:
    body = json.dumps([item]).encode()
    assert send((body, platform.headers(body))).status_code == 200
    assert SourceMessage.objects.get().outcome == "ignored"


def test_only_posts_of_at_most_a_megabyte_are_read(
    account: ChannelAccount, platform: DoudianPlatform, send: Send, rf: RequestFactory
) -> None:
    assert webhooks.doudian_push(rf.get("/")).status_code == 405
    assert webhooks.doudian_push.csrf_exempt
    body = b" " * (webhooks.MOST_BYTES + 1)
    assert send((body, platform.headers(body))).status_code == 413
    account.refresh_from_db()
    assert account.refused_count == 0


def test_the_console_probe_creates_nothing(account: ChannelAccount, platform: DoudianPlatform, send: Send) -> None:
    answer = send((PROBE.encode(), platform.headers(PROBE.encode())))
    assert answer.json() == {"code": 0, "msg": "success"}
    assert not SourceMessage.objects.exists()


def test_messages_go_to_the_shop_they_are_of(account: ChannelAccount, platform: DoudianPlatform, send: Send) -> None:
    second = ChannelAccount.objects.create(
        channel="doudian", shop="95250", name="二店", app_key=APP_KEY, app_secret=APP_SECRET, api_base=platform.base
    )
    push = platform.push(
        platform.message("101", "1"), platform.message("101", "2", shop_id=95250), platform.message("101", "3", shop_id=1)
    )
    assert send(push).status_code == 200
    kept = {message.external_id: message for message in SourceMessage.objects.all()}
    assert [kept[number].account_id for number in "123"] == [account.pk, second.pk, account.pk]
    assert [kept[number].outcome for number in "123"] == ["", "", "ignored"]


def test_ids_beyond_floating_point_stay_exact() -> None:
    body = b'[{"tag":"101","msg_id":"1","data":"{\\"p_id\\":4705288465508532863,\\"shop_id\\":9007199254740993}"}]'
    message = doudian.split(body)[0]
    assert (message.external_id, message.shop_id) == ("4705288465508532863", "9007199254740993")


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_body_breaks_the_splitter(body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        doudian.split(raw)
    except BadPush:
        return


# --- The pump ---------------------------------------------------------------------------------


def receive(account: ChannelAccount, platform: DoudianPlatform, at: datetime, *messages: dict[str, Any]) -> None:
    intake.receive_push(account=account, messages=doudian.split(platform.push(*messages)[0]), at=at)


def test_a_paid_order_is_placed_from_its_document(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    line = make_line(
        pay_amount="459900",
        item_num="2",
        ad_env_type="live",
        room_id_str="1473196049974326153",
        author_name="小鹿",
        author_id="3",
    )
    number = platform.add(make_detail(line, post_amount="1000"))
    receive(account, platform, at, platform.message("101", number))
    assert intake.digest_messages(at=at) == 1
    order = Order.objects.get()
    assert (order.order_no, order.state, order.channel_status) == (f"DD{number}", "placed", "WAIT_SHIP")
    assert (order.goods_fen, order.freight_fen, order.paid_fen) == (459_900, 1_000, 460_900)
    assert (order.division_code, order.region) == ("320506", "江苏省苏州市吴中区")
    assert (order.live_session, order.anchor) == ("1473196049974326153", "小鹿")
    assert order.paid_at == datetime.fromtimestamp(PAID_AT, UTC)
    assert order.receiver_masked == "张** 138****0001"
    placed = order.lines.get()
    assert (placed.sku, placed.quantity, placed.paid_fen, placed.sold_code) == (sofa, 2, 459_900, "SF-2001")
    receiver = reveal_order_receiver(order=order, staff=make_staff(), door="test", at=at)
    assert (receiver.name, receiver.detail) == ("张三丰", "长桥街道测试路 1 号")
    message = SourceMessage.objects.get()
    assert (message.outcome, message.done_at, message.due_at) == ("placed", at, None)
    assert intake.document_of(message) == platform.orders[number]
    assert "张三丰" not in message.detail_sealed
    assert [entry.name for entry in Entry.objects.all()] == ["order.placed"]
    assert platform.refused == []
    assert intake.digest_messages(at=at) == 0


def test_several_messages_of_an_order_cost_one_call_and_make_one_order(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    number = platform.add(make_detail())
    receive(account, platform, at, *(platform.message(tag, number) for tag in ("101", "105", "113")))
    assert intake.digest_messages(at=at) == 3
    assert len(platform.calls) == 1
    assert Order.objects.count() == 1
    assert [bool(message.detail_sealed) for message in SourceMessage.objects.order_by("id")] == [False, False, True]


def test_statements_do_not_grow_with_the_batch(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    def measure(size: int) -> int:
        numbers = [platform.add(make_detail()) for _ in range(size)]
        receive(account, platform, at, *(platform.message("101", number) for number in numbers))
        with CaptureQueriesContext(connection) as seen:
            assert intake.digest_messages(at=at) == size
        return len(seen)

    measure(1)
    assert measure(1) == measure(50)
    assert Order.objects.filter(state="placed").count() == 52


def test_a_platform_that_fails_for_a_moment_is_asked_again_at_once(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    platform.faults[:] = [502, 500]
    receive(account, platform, at, platform.message("101", platform.add(make_detail())))
    intake.digest_messages(at=at)
    assert len(platform.calls) == 3
    assert Order.objects.get().state == "placed"


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([503, 503, 503], "平台无应答（HTTPError）"),
        (["hang"] * 3, "平台无应答（ReadTimeout）"),
        (["garbage"], "平台应答无法读取"),
        ([429], "平台限流"),
        ([("30002", "isv.token-expired")], "平台返回 30002 isv.token-expired"),
        ([("50001", "isp.service-error")], "平台返回 50001 isp.service-error"),
    ],
)
def test_what_may_heal_is_tried_again_later(
    account: ChannelAccount,
    platform: DoudianPlatform,
    sofa: Sku,
    at: datetime,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Any],
    told: str,
) -> None:
    monkeypatch.setattr(doudian, "_TIMEOUT", (0.5, 0.05))
    platform.faults[:] = faults
    receive(account, platform, at, platform.message("101", platform.add(make_detail())))
    intake.digest_messages(at=at)
    message = SourceMessage.objects.get()
    assert (message.last_error, message.tries, message.due_at, message.done_at) == (told, 1, at + timedelta(seconds=5), None)
    assert not Order.objects.exists()
    monkeypatch.setattr(doudian, "_TIMEOUT", (3, 5))
    assert intake.digest_messages(at=at + timedelta(seconds=4)) == 0
    assert intake.digest_messages(at=at + timedelta(seconds=5)) == 1
    message.refresh_from_db()
    assert (message.outcome, message.last_error) == ("placed", "")


def test_what_will_not_heal_is_parked_for_a_person(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    receive(account, platform, at, platform.message("101", "404"))
    intake.digest_messages(at=at)
    message = SourceMessage.objects.get()
    assert (message.outcome, message.due_at, message.done_at) == ("parked", None, None)
    assert message.last_error == "平台返回 50002 isv.business-failed:2100"
    assert intake.digest_messages(at=at + timedelta(days=9)) == 0
    platform.add(make_detail(order_id="404"))
    intake.retry_message(message=message, at=at)
    with pytest.raises(Stale):
        intake.retry_message(message=message, at=at)
    assert intake.digest_messages(at=at) == 1
    assert Order.objects.get().state == "placed"


def test_a_message_is_parked_after_all_its_tries(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    receive(account, platform, at, platform.message("101", "1"))
    for tries in range(1, 10):
        platform.faults[:] = [429]
        assert intake.digest_messages(at=at) == 1
        at += back_off(tries)
    message = SourceMessage.objects.get()
    assert (message.outcome, message.tries, message.due_at) == ("parked", 9, None)


def test_one_bad_order_does_not_hold_up_the_others(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [platform.add(make_detail()) for _ in range(3)]
    receive(account, platform, at, *(platform.message("101", number) for number in numbers))
    place = intake.lifecycle.place_orders

    def refuse_one(*, orders: Any, actor: str, at: datetime) -> dict[str, str]:
        if any(order.external_id == numbers[1] for order in orders):
            raise ZeroDivisionError
        return place(orders=orders, actor=actor, at=at)

    monkeypatch.setattr(intake.lifecycle, "place_orders", refuse_one)
    assert intake.digest_messages(at=at) == 3
    assert set(Order.objects.values_list("external_id", flat=True)) == {numbers[0], numbers[2]}
    bad = SourceMessage.objects.get(external_id=numbers[1])
    assert (bad.outcome, bad.last_error, bad.due_at) == ("", "处理出错（ZeroDivisionError）", at + timedelta(seconds=5))


def test_a_worker_that_dies_between_call_and_transaction_loses_nothing(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(account, platform, at, platform.message("101", platform.add(make_detail())))

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(intake, "_finish", die)
        with pytest.raises(KeyboardInterrupt):
            intake.digest_messages(at=at)
    assert not Order.objects.exists()
    assert intake.digest_messages(at=at + timedelta(seconds=59)) == 0
    assert intake.digest_messages(at=at + timedelta(seconds=60)) == 1
    assert Order.objects.get().state == "placed"


def test_two_workers_never_hold_the_same_message(account: ChannelAccount, platform: DoudianPlatform, at: datetime) -> None:
    receive(account, platform, at, *(platform.message("101", str(number)) for number in range(1, 6)))
    first = statements.claim_due(at, at + intake.LEASE, 3)
    second = statements.claim_due(at, at + intake.LEASE, 3)
    assert [claimed.external_id for claimed in (*first, *second)] == ["1", "2", "3", "4", "5"]


def test_an_order_cancelled_before_it_was_paid_is_never_ours(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    number = platform.add(make_detail(order_status=4, pay_time=0))
    receive(account, platform, at, platform.message("106", number))
    intake.digest_messages(at=at)
    assert SourceMessage.objects.get().outcome == "unpaid"
    assert not Order.objects.exists()
    assert not Entry.objects.exists()


def test_a_placed_order_follows_a_later_cancellation(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    number = platform.add(make_detail())
    receive(account, platform, at, platform.message("101", number))
    intake.digest_messages(at=at)
    platform.orders[number] |= {"order_status": 4, "update_time": PAID_AT + 9}
    receive(account, platform, at, platform.message("106", number))
    intake.digest_messages(at=at)
    assert Order.objects.get().state == "cancelled"


def test_a_refund_is_recorded_once(account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime) -> None:
    detail = make_detail()
    number, line = platform.add(detail), detail["sku_order_list"][0]["order_id"]
    refund = {"aftersale_id": "70001", "s_id": int(line), "refund_amount": 13_200}
    receive(account, platform, at, platform.message("206", number, **refund), platform.message("101", number))
    receive(account, platform, at, platform.message("206", number, msg_id="again", **refund))
    intake.digest_messages(at=at)
    kept = Refund.objects.get()
    assert (kept.refund_key, kept.external_line_id, kept.amount_fen) == ("doudian:70001", line, 13_200)
    assert Order.objects.get().refunded_fen == 13_200
    assert list(SourceMessage.objects.order_by("id").values_list("outcome", flat=True)) == ["refunded", "placed", "placed"]


def test_paid_but_pending_waits_for_the_platform(
    account: ChannelAccount, platform: DoudianPlatform, sofa: Sku, at: datetime
) -> None:
    number = platform.add(make_detail(order_status=105))
    receive(account, platform, at, platform.message("110", number))
    intake.digest_messages(at=at)
    order = Order.objects.get()
    assert (order.state, order.channel_status, order.holds.get().reason) == ("held", "PAID_HOLD", "risk")
    receive(account, platform, at, platform.message("101", number))
    intake.digest_messages(at=at)
    order.refresh_from_db()
    assert (order.state, order.channel_status) == ("placed", "WAIT_SHIP")
    receive(account, platform, at, platform.message("110", number))
    intake.digest_messages(at=at)
    assert SourceMessage.objects.latest("id").outcome == "older"


# --- The document -----------------------------------------------------------------------------


def read(detail: dict[str, Any], **kwargs: Any) -> Any:
    return doudian.translate(detail, SHOP, {}.get, queries.region_for, **kwargs)


def vendor_like() -> dict[str, Any]:
    """As the vendor's own documentation sample: text everywhere, ciphertext, sums that contradict each other."""
    place = {"province": {"name": "北京市", "id": "110000"}, "city": {"name": "市辖区", "id": "110000"}}
    detail = make_detail(
        make_line("ahgldjj", "500", "2", out_sku_id="43564553", theme_type_desc="直播间", author_id="341234"),
        order_id="4781320682406083640",
        order_status="3",
        main_status="103",
        pay_amount="500",
        post_amount="10",
        pay_time="1617355413",
        update_time="1617355413",
        buyer_words="要xxx",
        encrypt_post_receiver="#enc-receiver-0001#",
        encrypt_post_tel="$enc-tel-0001$",
        post_addr={**place, "town": {"name": "海淀区", "id": "110000"}, "encrypt_detail": "#enc-addr-0001#"},
    )
    return {key: value for key, value in detail.items() if key not in {"post_receiver", "post_tel"}}


def test_the_vendors_own_sample_is_held_for_every_reason_at_once(
    account: ChannelAccount, platform: DoudianPlatform, divisions: None, at: datetime
) -> None:
    number = platform.add(vendor_like())
    receive(account, platform, at, platform.message("101", number))
    intake.digest_messages(at=at)
    order = Order.objects.get()
    assert (order.state, order.division_code, order.region) == ("held", "110108", "北京市海淀区")
    assert set(OrderHold.objects.values_list("reason", flat=True)) == {"totals", "remark", "sku", "amended"}
    assert order.anchor == "341234"
    assert order.has_note
    assert "要xxx" not in "".join(OrderHold.objects.values_list("detail", flat=True))


def test_masks_are_preferred_to_ciphertext(divisions: None) -> None:
    masked = {"mask_post_receiver": "张*", "mask_post_tel": "138****0001", "mask_post_addr": {"detail": "测试路*号"}}
    receiver = read({**vendor_like(), **masked}).receiver
    assert (receiver.name, receiver.phone, receiver.detail, receiver.note) == ("张*", "138****0001", "测试路*号", "要xxx")
    receiver = read(vendor_like()).receiver
    assert (receiver.name, receiver.detail) == ("#enc-receiver-0001#", "#enc-addr-0001#")


@pytest.mark.parametrize(
    ("status", "ours"),
    [("1", "WAIT_PAY"), (103, "WAIT_PAY"), (105, "WAIT_SHIP"), ("2", "WAIT_SHIP"), (101, "PART_SHIPPED"), ("3", "SHIPPED")]
    + [(5, "FINISHED"), ("4", "CLOSED"), ("21", "CLOSED"), (22, "CLOSED"), ("39", "CLOSED"), ("777", "PAID_HOLD")],
)
def test_statuses_are_mapped(divisions: None, status: str | int, ours: str) -> None:
    assert read(make_detail(order_status=status)).channel_status == ours


@pytest.mark.parametrize(
    "broken",
    [
        {"order_id": ""},
        {"pay_amount": "一百"},
        {"pay_amount": 1.5},
        {"pay_amount": 10**15},
        {"pay_time": -1},
        {"sku_order_list": ["x"]},
        {"sku_order_list": [make_line(item_num=0)]},
        {"post_addr": "江苏"},
    ],
)
def test_what_cannot_be_read_is_given_up(divisions: None, broken: dict[str, Any]) -> None:
    with pytest.raises(GiveUp):
        read({**make_detail(), **broken})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_document_breaks_the_translator(data: Any) -> None:
    detail = copy.deepcopy(make_detail())
    junk = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
    for key in data.draw(st.lists(st.sampled_from(sorted(detail)), max_size=4)):
        detail[key] = data.draw(junk)
    try:
        doudian.translate(detail, SHOP, {}.get, lambda *places: ("", ""))
    except GiveUp:
        return


PLACES = [
    (("320000", "江苏省"), ("320500", "苏州市"), ("320506", "吴中区"), "320506", "江苏省苏州市吴中区"),
    (("", "江苏"), ("", "苏州市"), ("", "吴中区"), "320506", "江苏省苏州市吴中区"),
    (("", "北京"), ("", "市辖区"), ("110000", "朝阳区"), "110105", "北京市朝阳区"),
    (("", "重庆市"), ("", "县"), ("", "忠县"), "500233", "重庆市忠县"),
    (("", "上海市"), ("", "上海市"), ("310115001", "浦东新区"), "310115", "上海市浦东新区"),
    (("440000", "广东省"), ("441900", "东莞市"), ("441900003", "东城街道"), "441900", "广东省东莞市"),
    (("", "广东省"), ("", "中山市"), ("", "石岐街道"), "442000", "广东省中山市"),
    (("", "湖北省"), ("", "省直辖县级行政区划"), ("", "仙桃市"), "429004", "湖北省仙桃市"),
    (("", "海南省"), ("", "儋州市"), ("", "那大镇"), "460400", "海南省儋州市"),
    (("", "新疆维吾尔自治区"), ("", "自治区直辖县级行政区划"), ("", "石河子市"), "659001", "新疆维吾尔自治区石河子市"),
    (("", "广西"), ("", "南宁市"), ("", "青秀区"), "450103", "广西壮族自治区南宁市青秀区"),
    (("", "浙江省"), ("", "杭州市"), ("330113", "临平区"), "330113", "浙江省杭州市临平区"),
    (("", "江苏省"), ("", "苏州市"), ("", "不存在区"), "", "江苏省苏州市不存在区"),
    (("", ""), ("", ""), ("", ""), "", ""),
]


def test_addresses_find_their_county(divisions: None) -> None:
    for province, city, town, code, region in PLACES:
        assert queries.region_for(Place(*province), Place(*city), Place(*town)) == (code, region)


def test_nobody_knows_a_place_withoutdivisions() -> None:
    queries.forget()
    assert queries.region_for(Place("", "江苏省"), Place("", "苏州市"), Place("320506", "吴中区")) == ("", "江苏省苏州市吴中区")


def test_the_digest_helper_of_the_platform_is_independent() -> None:
    body, headers = DoudianPlatform().push()
    assert headers["event-sign"] == hashlib.md5(APP_KEY.encode() + body + APP_SECRET.encode()).hexdigest()
    assert doudian.is_genuine(body, headers, APP_KEY, APP_SECRET)


def test_storing_a_push_tells_no_fact(account: ChannelAccount, platform: DoudianPlatform, at: datetime) -> None:
    receive(account, platform, at, platform.message("101", "1"))
    assert not Entry.objects.exists()
    assert journal.relay(at=at) == 0
