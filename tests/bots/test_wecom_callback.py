"""What WeCom sends us: proven or refused, taken once, answered alike."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client

from bots import delivery
from bots.models import CardMessage, ChatIdentity, InboundEvent
from dealers.models import Staff
from oms_project.journal.models import Entry
from orders.models import Offer, RedeemCode
from tests import make
from tests.bots.conftest import Shop, bind, open_shop
from tests.platforms.wecom import Api, WeCom


@pytest.fixture(autouse=True)
def _clock(at: datetime) -> Any:
    with time_machine.travel(at, tick=False):
        yield


def replaced(platform: WeCom, response: Any) -> str:
    """What the clicker's button now says."""
    assert response.status_code == 200
    root = platform.open_reply(response.content)
    assert root.findtext("MsgType") == "update_button"
    return root.findtext("Button/ReplaceName") or ""


# -- proof -----------------------------------------------------------------------------------------


def test_the_address_check_answers_the_plain_echo(platform: WeCom, client: Client, at: datetime) -> None:
    echo = platform.encrypt("1616140317555161061")
    query = {**platform.query(echo, at=int(at.timestamp())), "echostr": echo}
    response = client.get("/callbacks/wecom/", query_params=query)
    assert (response.status_code, response.content) == (200, b"1616140317555161061")


def test_the_samples_of_the_documentation(platform: WeCom, client: Client) -> None:
    """developer.work.weixin.qq.com/document/path/90307: token QDG6eK, corp wx5823bf96d3bd56c7, signed in 2013."""
    echo = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    signature = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
    query = {"msg_signature": signature, "timestamp": "1409659589", "nonce": "263014780", "echostr": echo}
    assert platform.sign("1409659589", "263014780", echo) == signature
    assert platform.decrypt(echo) == "1616140317555161061"
    assert client.get("/callbacks/wecom/", query_params=query).status_code == 403  # years too old
    with time_machine.travel(datetime.fromisoformat("2014-09-02T12:06:30+00:00"), tick=False):
        assert client.get("/callbacks/wecom/", query_params=query).content == b"1616140317555161061"


def _forgeries(platform: WeCom, at: datetime) -> dict[str, tuple[str | bytes, dict[str, str]]]:
    now, message = int(at.timestamp()), platform.text("zhangsan", "帮助", msg_id="1", at=int(at.timestamp()))
    good = platform.encrypt(message)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'
    inner_bomb = platform.encrypt(bomb)
    flipped = ("B" if good[0] == "A" else "A") + good[1:]
    cases: dict[str, tuple[str | bytes, dict[str, str]]] = {
        "no signature": (platform.envelope(good), {}),
        "wrong signature": (platform.envelope(good), {**platform.query(good, at=now), "msg_signature": "0" * 40}),
        "signature is not ascii": (platform.envelope(good), {**platform.query(good, at=now), "msg_signature": "签" * 40}),
        "other nonce": (platform.envelope(good), {**platform.query(good, at=now), "nonce": "1"}),
        "tampered": (platform.envelope(flipped), platform.query(good, at=now)),
        "too old": (platform.envelope(good), platform.query(good, at=now - 601)),
        "from the future": (platform.envelope(good), platform.query(good, at=now + 601)),
        "not xml": (b"\xff\xfe<not", platform.query(good, at=now)),
        "empty body": (b"", platform.query(good, at=now)),
        "empty root": ("<xml/>", platform.query(good, at=now)),
        "text root": ("<xml>hello</xml>", platform.query(good, at=now)),
        "xml bomb": (bomb, platform.query(good, at=now)),
        "inner xml bomb": (platform.envelope(inner_bomb), platform.query(inner_bomb, at=now)),
    }
    odd = {
        "truncated": good[:40],
        "not base64": "%%%",
        "empty cipher": "====",
        "wrong padding": platform.encrypt(message, pad=0),
        "padding too long": platform.encrypt(message, pad=200),
        "another company": platform.encrypt(message, corp_id="wwffffffffffffffff"),
        "inner is not xml": platform.encrypt("接单 12"),
        "inner empty root": platform.encrypt("<xml></xml>"),
        "inner without time": platform.encrypt("<xml><FromUserName>a</FromUserName></xml>"),
        "inner time is no number": platform.encrypt("<xml><FromUserName>a</FromUserName><CreateTime>x</CreateTime></xml>"),
        "inner time is endless": platform.encrypt(
            f"<xml><FromUserName>a</FromUserName><CreateTime>{'9' * 30}</CreateTime></xml>"
        ),
    }
    cases |= {name: (platform.envelope(cipher), platform.query(cipher, at=now)) for name, cipher in odd.items()}
    return cases


@pytest.mark.django_db
def test_every_forgery_gets_the_same_refusal(platform: WeCom, client: Client, at: datetime) -> None:
    answers = {name: platform.post(client, body, query) for name, (body, query) in _forgeries(platform, at).items()}
    assert {name: (one.status_code, one.content) for name, one in answers.items()} == dict.fromkeys(answers, (403, b"refused"))
    assert InboundEvent.objects.count() == 0


def test_an_oversize_body_is_not_read(platform: WeCom, client: Client, at: datetime) -> None:
    body = b"<xml>" + b"a" * 256 * 1024 + b"</xml>"
    assert platform.post(client, body, {}).status_code == 413


def test_without_configuration_there_is_no_door(platform: WeCom, client: Client, settings: Any) -> None:
    settings.WECOM_TOKEN = ""
    assert client.get("/callbacks/wecom/").status_code == 404


def test_other_methods_are_refused(platform: WeCom, client: Client) -> None:
    assert client.put("/callbacks/wecom/").status_code == 405


# -- clicks ----------------------------------------------------------------------------------------


def test_a_click_accepts_and_the_answer_says_so(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now = int(at.timestamp())
    response = platform.deliver(client, platform.click("zhangsan", shop.key(), task_id=shop.task(), at=now), at=now)
    assert replaced(platform, response) == "已被张三接单 12:00"
    shop.offer.refresh_from_db()
    assert (shop.offer.state, shop.offer.answered_by_id) == ("accepted", shop.owner.pk)


def test_ten_copies_have_one_effect_and_ten_equal_answers(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now = int(at.timestamp())
    message = platform.click("zhangsan", shop.key(), task_id=shop.task(), at=now)
    answers = {replaced(platform, platform.deliver(client, message, at=now + late)) for late in range(10)}
    assert answers == {"已被张三接单 12:00"}
    assert Entry.objects.filter(name="offer.closed").count() == 1
    assert InboundEvent.objects.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_ten_copies_at_once(platform: WeCom, at: datetime) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")
    shop, now, answers = open_shop(at), int(at.timestamp()), []
    message = platform.click("zhangsan", shop.key(), task_id=shop.task(), at=now)
    start = threading.Barrier(10)

    def one_copy() -> None:
        start.wait()
        answers.append(replaced(platform, platform.deliver(Client(), message, at=now)))
        connections.close_all()

    threads = [threading.Thread(target=one_copy) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["已被张三接单 12:00"] * 10
    assert Entry.objects.filter(name="offer.closed").count() == 1


def test_the_second_person_hears_who_was_first(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now = int(at.timestamp())
    platform.deliver(client, platform.click("zhangsan", shop.key(), task_id=shop.task(), at=now), at=now)
    late = platform.deliver(client, platform.click("lisi", shop.key(), task_id=shop.task("lisi"), at=now), at=now)
    assert replaced(platform, late) == "已被张三接单 12:00"
    shop.offer.refresh_from_db()
    assert shop.offer.answered_by_id == shop.owner.pk


def test_a_stale_click_draws_a_fresh_card(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    Offer.objects.filter(pk=shop.offer.pk).update(version=4)
    now = int(at.timestamp())
    response = platform.deliver(client, platform.click("zhangsan", shop.key(), task_id=shop.task(), at=now), at=now)
    root = platform.open_reply(response.content)
    assert root.findtext("MsgType") == "update_template_card"
    card = root.find("TemplateCard")
    assert card is not None
    assert [button.findtext("Key") for button in card.findall("ButtonList")] == [shop.key(version=4), shop.key("decline", 4)]
    assert card.findtext("CardType") == "button_interaction"
    assert card.findtext("TaskId") == shop.task()
    shop.offer.refresh_from_db()
    assert shop.offer.state == "pending"


def test_declining_takes_the_picked_reason(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now = int(at.timestamp())
    message = platform.click("zhangsan", shop.key("decline"), task_id=shop.task(), at=now, reason="no_stock", more={"other": "x"})
    assert replaced(platform, platform.deliver(client, message, at=now)) == "已被张三拒单（缺货） 12:00"
    shop.offer.refresh_from_db()
    assert (shop.offer.state, shop.offer.decline_reason) == ("declined", "no_stock")


def test_declining_without_a_reason_asks(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now = int(at.timestamp())
    response = platform.deliver(client, platform.click("zhangsan", shop.key("decline"), task_id=shop.task(), at=now), at=now)
    card = platform.open_reply(response.content).find("TemplateCard")
    assert card is not None
    assert card.findtext("SubTitleText") == "请先选择拒单原因，再按拒单"
    shop.offer.refresh_from_db()
    assert shop.offer.state == "pending"


@pytest.mark.parametrize("case", ["unbound", "revoked", "left", "dealer closed", "other dealer", "strange button", "hours late"])
def test_who_may_not_changes_nothing(platform: WeCom, client: Client, shop: Shop, at: datetime, case: str) -> None:
    now, sender, key = int(at.timestamp()), "zhangsan", shop.key()
    if case == "unbound":
        sender = "nobody"
    elif case == "revoked":
        ChatIdentity.objects.filter(user_id="zhangsan").update(is_active=False)
    elif case == "left":
        Staff.objects.filter(pk=shop.owner.pk).update(is_active=False)
    elif case == "dealer closed":
        type(shop.dealer).objects.filter(pk=shop.dealer.pk).update(is_active=False)
    elif case == "other dealer":
        sender = "wangwu"
        bind(make.make_staff(make.make_dealer(), name="王五"), sender)
    elif case == "strange button":
        key = "accept|*|v1"
    entries = Entry.objects.count()
    sent = now - 3600 if case == "hours late" else now
    response = platform.deliver(client, platform.click(sender, key, task_id=shop.task(), at=sent), at=now)
    if case == "hours late":
        card = platform.open_reply(response.content).find("TemplateCard")
        assert card is not None
        assert card.findtext("SubTitleText") == "消息已过期，请重新操作"
    else:
        wanted = {"other dealer": "这张单不在您名下", "strange button": "按钮无法识别"}
        assert replaced(platform, response) == wanted.get(case, "您还没有绑定账号")
    shop.offer.refresh_from_db()
    assert shop.offer.state == "pending"
    assert Entry.objects.count() == entries


def test_a_crash_in_the_middle_leaves_nothing(
    platform: WeCom, client: Client, shop: Shop, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform's repeat after the crash has its full effect."""
    now = int(at.timestamp())
    message = platform.click("zhangsan", shop.key(), task_id=shop.task(), at=now)
    client.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr("bots.actions.ClickAnswer.as_json", lambda self: 1 / 0)
        assert platform.deliver(client, message, at=now).status_code == 500
    shop.offer.refresh_from_db()
    assert (shop.offer.state, InboundEvent.objects.count()) == ("pending", 0)
    assert replaced(platform, platform.deliver(client, message, at=now)) == "已被张三接单 12:00"


def test_every_click_brings_a_code_for_its_card(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now, key = int(at.timestamp()), shop.task()
    CardMessage.objects.create(
        platform="wecom",
        tenant="t",
        recipient="zhangsan",
        offer_no=shop.offer.offer_no,
        task_id=key,
        response_codes=["a"],
        sent_at=at,
    )
    platform.deliver(client, platform.click("zhangsan", shop.key("decline"), task_id=key, at=now, code="b"), at=now)
    platform.deliver(client, platform.click("lisi", shop.key("decline"), task_id=key, at=now, code="forwarded"), at=now)
    assert CardMessage.objects.get(task_id=key).response_codes == ["a", "b"]


# -- texts -----------------------------------------------------------------------------------------


def test_a_text_is_kept_first_and_obeyed_once(platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime) -> None:
    now = int(at.timestamp())
    message = platform.text("zhangsan", f"接单 {shop.no}", msg_id="88", at=now)
    for _ in range(3):
        response = platform.deliver(client, message, at=now)
        assert (response.status_code, response.content) == (200, b"")
    event = InboundEvent.objects.get()
    assert event.event_id == "88"
    assert "接单" not in event.content_sealed
    shop.offer.refresh_from_db()
    assert shop.offer.state == "pending"

    assert delivery.answer_events(at=at) == 1
    assert delivery.answer_events(at=at + timedelta(hours=1)) == 0
    shop.offer.refresh_from_db()
    assert shop.offer.state == "accepted"
    (sent,) = api.bodies("message/send")
    assert sent["touser"] == "zhangsan"
    assert sent["text"]["content"].startswith(f"{shop.no} 已接单 · 沙发 ×1 · 收入 60.00 元 · {shop.work.fo_no}")
    event.refresh_from_db()
    assert (event.content_sealed, event.done_at) == ("", at)


def test_a_failed_answer_is_sent_later_and_the_effect_is_not_repeated(
    platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime
) -> None:
    now = int(at.timestamp())
    platform.deliver(client, platform.text("zhangsan", f"接单 {shop.no}", msg_id="88", at=now), at=now)
    api.errors["message/send"] = [(502,)]
    assert delivery.answer_events(at=at) == 1
    assert InboundEvent.objects.get().done_at is None
    assert delivery.answer_events(at=at + timedelta(seconds=4)) == 0
    assert delivery.answer_events(at=at + timedelta(seconds=5)) == 1
    assert InboundEvent.objects.get().done_at == at + timedelta(seconds=5)
    first, second = (body["text"]["content"] for body in api.bodies("message/send"))
    assert first == second
    assert Entry.objects.filter(name="offer.closed").count() == 1


def test_a_permanent_fault_is_given_up(platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime) -> None:
    now = int(at.timestamp())
    platform.deliver(client, platform.text("zhangsan", "帮助", msg_id="88", at=now), at=now)
    api.always["message/send"] = 81013
    delivery.answer_events(at=at)
    assert InboundEvent.objects.get().done_at == at
    assert api.count("message/send") == 1


def test_a_worker_that_dies_holding_a_text_loses_nothing(
    platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(at.timestamp())
    platform.deliver(client, platform.text("zhangsan", f"接单 {shop.no}", msg_id="88", at=now), at=now)

    def killed(event_id: int, at: datetime) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(delivery, "_answer", killed)
        with pytest.raises(SystemExit):
            delivery.answer_events(at=at)
    assert delivery.answer_events(at=at + timedelta(seconds=59)) == 0
    assert delivery.answer_events(at=at + timedelta(seconds=60)) == 1
    assert api.count("message/send") == 1


def test_an_unbound_person_gets_no_order_data(platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime) -> None:
    now = int(at.timestamp())
    platform.deliver(client, platform.text("nobody", "我的订单", msg_id="88", at=now), at=now)
    delivery.answer_events(at=at)
    assert [body["text"]["content"] for body in api.bodies("message/send")] == ["您还没有绑定账号，请联系总部开通"]


def test_a_message_that_comes_hours_late_changes_nothing(
    platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime
) -> None:
    now = int(at.timestamp())
    platform.deliver(client, platform.text("zhangsan", f"接单 {shop.no}", msg_id="88", at=now - 3600), at=now)
    platform.deliver(client, platform.text("zhangsan", f"查单 {shop.no}", msg_id="89", at=now - 3600), at=now)
    delivery.answer_events(at=at)
    shop.offer.refresh_from_db()
    assert shop.offer.state == "pending"
    late, looked = (body["text"]["content"] for body in api.bodies("message/send"))
    assert late == "消息已过期，请重新操作"
    assert looked.startswith(f"{shop.no} 待接单")


def test_other_events_are_answered_and_forgotten(platform: WeCom, client: Client, shop: Shop, at: datetime) -> None:
    now = int(at.timestamp())
    message = (
        f"<xml><FromUserName>zhangsan</FromUserName><CreateTime>{now}</CreateTime>"
        "<MsgType>event</MsgType><Event>enter_agent</Event></xml>"
    )
    assert platform.deliver(client, message, at=now).content == b""
    assert InboundEvent.objects.count() == 0


def test_two_pumps_never_answer_the_same_text(
    platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have listed the two texts; while the first answers one, the second takes the other."""
    now, real, second = int(at.timestamp()), delivery._answer, []
    for number in ("88", "89"):
        platform.deliver(client, platform.text("zhangsan", "帮助", msg_id=number, at=now), at=now)

    def answering(event_id: int, at: datetime) -> None:
        if not second:
            second.append(None)
            second.append(delivery.answer_events(at=at))
        real(event_id, at)

    monkeypatch.setattr(delivery, "_answer", answering)
    assert delivery.answer_events(at=at) == 1
    assert second == [None, 1]
    assert api.count("message/send") == 2


def test_a_wrong_code_is_counted_although_it_is_refused(
    platform: WeCom, client: Client, shop: Shop, api: Api, at: datetime
) -> None:
    """The count stands in the same transaction as the answer, so whoever hears 'wrong' has used a try."""
    now = int(at.timestamp())
    type(shop.work).objects.update(state="delivered", accepted_at=at)
    kept = RedeemCode.objects.create(work=shop.work, code="832100", made_at=at)
    for n, code in enumerate(["000000"] * 5 + ["832100"]):
        platform.deliver(client, platform.text("zhangsan", f"完工 {shop.no} {code}", msg_id=f"m{n}", at=now), at=now)
        delivery.answer_events(at=at + timedelta(seconds=n))
    kept.refresh_from_db()
    assert (kept.wrong_tries, kept.used_at) == (5, None)
    said = [body["text"]["content"] for body in api.bodies("message/send")]
    assert len(said) == 6
    assert all(answer.startswith(f"{shop.no} 核销码") for answer in said)
    assert not any("832100" in answer or "000000" in answer for answer in said)


@pytest.mark.django_db
@pytest.mark.parametrize(("declared", "status"), [("x", 400), ("-1", 400), ("9" * 5000, 413), (str(256 * 1024 + 1), 413)])
def test_a_nonsense_length_is_refused(platform: WeCom, client: Client, declared: str, status: int) -> None:
    answer = client.generic("POST", "/callbacks/wecom/", b"<xml/>", content_type="text/xml", CONTENT_LENGTH=declared)
    assert (answer.status_code, InboundEvent.objects.count()) == (status, 0)
