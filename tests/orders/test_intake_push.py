"""The door for pushes: only genuine ones are kept, each message once, and nothing bad is a 500."""

import io
import random
from typing import Any

import pytest

from oms_project.journal.models import Entry
from oms_project.sealed import unseal
from orders.intake import webhooks
from orders.models import ChannelAccount, Order, SourceMessage
from tests.orders.intake_world import deliver, make_account, sample
from tests.platforms.doudian import DoudianPlatform, line

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.orders.intake_world")]
SUCCESS = {"code": 0, "msg": "success"}


@pytest.fixture
def platform() -> DoudianPlatform:
    return DoudianPlatform()


@pytest.fixture
def account(platform: DoudianPlatform) -> ChannelAccount:
    return make_account(platform)


def said(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


@pytest.mark.parametrize("push", sample("doudian_push_vectors.json")["push"], ids=lambda push: push["case"])
def test_the_vectors_at_the_door(push: dict[str, Any], account: ChannelAccount) -> None:
    answer = deliver(push["body"].encode(), push["headers"])
    kept = SourceMessage.objects.count()
    if push["expect"] == "reject":
        assert (answer.status_code, answer.json()["code"], kept) == (401, 40001, 0)
    else:
        assert said(answer) == (200, SUCCESS)
        assert kept == {"accept": 1, "accept both": 2}.get(push["expect"], 0)


def test_a_message_is_kept_sealed_and_due(platform: DoudianPlatform, account: ChannelAccount) -> None:
    number = platform.order(line("SOFA"))
    message = platform.message("101", number)
    assert said(deliver(*platform.push(message))) == (200, SUCCESS)
    kept = SourceMessage.objects.get()
    assert (kept.account_id, kept.tag, kept.external_id, kept.message_key) == (account.pk, "101", number, message["msg_id"])
    assert kept.due_at == kept.received_at
    assert (kept.done_at, kept.outcome, kept.tries) == (None, "", 0)
    assert number not in kept.body_sealed
    assert number in unseal(kept.body_sealed)
    account.refresh_from_db()
    assert account.last_heard_at == kept.received_at
    assert not Order.objects.exists()


def test_a_wrong_digest_keeps_nothing_but_a_count(platform: DoudianPlatform, account: ChannelAccount) -> None:
    body, headers = platform.push(platform.message("101", platform.order(line("SOFA"))))
    for _ in range(2):
        assert said(deliver(body.replace(b"101", b"102", 1), headers)) == (401, {"code": 40001, "msg": "签名错误"})
    account.refresh_from_db()
    assert (account.refused_count, account.last_heard_at) == (2, None)
    assert not SourceMessage.objects.exists()
    assert not Entry.objects.exists()


def test_an_unknown_or_inactive_app_looks_like_a_wrong_digest(platform: DoudianPlatform, account: ChannelAccount) -> None:
    body, headers = platform.push(platform.message("101", platform.order(line("SOFA"))))
    assert deliver(body, {**headers, "app-id": "nobody"}).status_code == 401
    assert deliver(body, {}).status_code == 401
    assert deliver(body, {**headers, "app-id": "a\x00b"}).status_code == 401
    ChannelAccount.objects.update(is_active=False)
    assert deliver(body, headers).status_code == 401
    assert not SourceMessage.objects.exists()


def test_repeats_are_one_message_however_they_come(platform: DoudianPlatform, account: ChannelAccount) -> None:
    told = [platform.message("101", platform.order(line("SOFA"))) for _ in range(5)]
    luck = random.Random(7)
    for _ in range(3):
        luck.shuffle(told)
        assert said(deliver(*platform.push(*told, told[0]))) == (200, SUCCESS)
    assert sorted(SourceMessage.objects.values_list("message_key", flat=True)) == sorted(one["msg_id"] for one in told)


def test_unknown_tags_and_messages_without_an_order(platform: DoudianPlatform, account: ChannelAccount) -> None:
    number = platform.order(line("SOFA"))
    nameless = {"tag": "101", "msg_id": "nameless", "data": "{"}
    assert said(deliver(*platform.push(platform.message("417", number), nameless))) == (200, SUCCESS)
    unknown, parked = SourceMessage.objects.order_by("id")
    assert (unknown.outcome, unknown.due_at, unknown.done_at) == ("ignored", None, unknown.received_at)
    assert (parked.outcome, parked.due_at, parked.done_at, parked.last_error) == ("parked", None, None, "消息没有订单号")


def test_shops_of_one_app_get_their_own_messages(platform: DoudianPlatform, account: ChannelAccount) -> None:
    second = make_account(platform, shop="67890", name="二店")
    numbers = [platform.order(line("SOFA")) for _ in range(3)]
    told = [
        platform.message("101", numbers[0]),
        platform.message("101", numbers[1], shop_id=67890),
        platform.message("101", numbers[2], shop_id=555),
    ]
    assert said(deliver(*platform.push(*told))) == (200, SUCCESS)
    kept = list(SourceMessage.objects.order_by("id").values_list("account_id", "outcome", "last_error"))
    assert kept == [(account.pk, "", ""), (second.pk, "", ""), (account.pk, "ignored", "未登记的店铺 555")]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff\xfe", b"[" * 5000, "[{]".encode("utf-16")], ids=range(6))
def test_a_genuine_body_of_another_shape_is_a_400(body: bytes, platform: DoudianPlatform, account: ChannelAccount) -> None:
    status, answer = said(deliver(*platform.sign(body)))
    assert (status, answer["code"]) == (400, 40002)
    assert not SourceMessage.objects.exists()


def test_only_so_much_is_read(platform: DoudianPlatform, account: ChannelAccount, rf: Any) -> None:
    body, headers = platform.sign(b" " * (webhooks.LARGEST_BODY + 1))
    assert said(deliver(body, headers)) == (413, {"code": 41300, "msg": "body too large"})
    liar = rf.generic("POST", "/channels/doudian/push", b"x", headers=headers)
    liar.META["CONTENT_LENGTH"], liar._stream = "1", io.BytesIO(body)
    assert webhooks.doudian_push(liar).status_code == 413
    assert deliver(b"[]", headers, CONTENT_LENGTH="-5").status_code == 400
    assert deliver(b"[]", headers, CONTENT_LENGTH="9" * 5000).status_code == 413


def test_only_post_and_no_csrf_token(platform: DoudianPlatform, account: ChannelAccount, client: Any) -> None:
    answer = client.get("/channels/doudian/push")
    assert (answer.status_code, answer["Allow"], answer.json()["code"]) == (405, "POST", 40005)
    assert webhooks.doudian_push.csrf_exempt is True


def test_hostile_text_in_ids_never_breaks_the_door(platform: DoudianPlatform, account: ChannelAccount) -> None:
    hostile = [
        {"tag": "101", "msg_id": "x" * 500, "data": '{"p_id":"' + "9" * 500 + '"}'},
        {"tag": "101\x00", "msg_id": "a\x00b", "data": '{"p_id":"1\\u0000"}'},
        {"tag": "t" * 50, "msg_id": {"a": 1}, "data": {"p_id": [1], "shop_id": "\x00"}},
        {"tag": None, "msg_id": None, "data": 5},
    ]
    assert said(deliver(*platform.push(*hostile))) == (200, SUCCESS)
    assert SourceMessage.objects.filter(external_id="").count() == 4


def test_a_push_costs_a_handful_of_statements(
    platform: DoudianPlatform, account: ChannelAccount, django_assert_max_num_queries: Any
) -> None:
    told = [platform.message("101", platform.order(line("SOFA"))) for _ in range(50)]
    deliver(*platform.push(told[0]))
    with django_assert_max_num_queries(4):  # the shop, one insert, and the savepoint around it in a test
        deliver(*platform.push(*told))
    assert SourceMessage.objects.count() == 50
