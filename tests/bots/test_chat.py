"""The demo group: the same gates as in WeCom, and no door outside of demonstrations."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client

from bots.models import ChatIdentity, ChatMessage
from oms_project.journal import actions as journal
from orders.models import Offer, RedeemCode
from tests import make
from tests.bots.conftest import Shop, bind, opened

ROOM = "dealer-1"
Relay = Callable[[datetime], int]


@pytest.fixture
def group(shop: Shop, settings: Any, at: datetime) -> Any:
    """张三 and 李四 in the local group, one offer announced."""
    settings.ROOT_URLCONF, settings.DEMO, settings.WECOM_SECRET = "tests.bots.urls", True, ""
    for staff in (shop.owner, shop.clerk):
        bind(staff, str(staff.pk), platform="local", tenant=ROOM)
    with time_machine.travel(at, tick=False):
        yield shop


@pytest.fixture
def announced(group: Shop, wired: None, relay_all: Relay, at: datetime) -> Shop:
    with transaction.atomic():
        journal.record(opened(group, at), actor="system", at=at)
    relay_all(at)
    return group


def me(shop: Shop, name: str = "张三") -> int:
    return ChatIdentity.objects.get(platform="local", staff__name=name).pk


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/chat/{path}", data={"room": ROOM, **body}, content_type="application/json")


def look(client: Client, after: int = 0) -> dict[str, Any]:
    return client.get("/chat/messages", query_params={"room": ROOM, "after": str(after)}).json()


def test_one_card_comes_into_the_group(announced: Shop, client: Client) -> None:
    seen = look(client)
    assert [(line["sender"], line["key"], line["time"]) for line in seen["lines"]] == [
        ("机器人", f"{announced.offer.offer_no}@{ROOM}", "12:00")
    ]
    assert seen["lines"][0]["card"]["title"] == f"新订单 {announced.no}"
    assert look(client, after=seen["lines"][0]["id"])["lines"] == []


def test_pressing_takes_the_buttons_off_for_all(announced: Shop, client: Client, relay_all: Relay, at: datetime) -> None:
    key = f"{announced.offer.offer_no}@{ROOM}"
    answer = post(client, "press", **{"as": me(announced), "key": key, "value": announced.key()})
    assert answer.json() == {"toast": f"{announced.no} 已被张三接单 12:00"}
    relay_all(at)
    card = look(client)["cards"][key]
    assert (card["buttons"], card["options"], card["footer"]) == ([], [], "已被张三接单 12:00")
    late = post(client, "press", **{"as": me(announced, "李四"), "key": key, "value": announced.key()})
    assert late.json()["toast"].startswith(announced.no)
    assert Offer.objects.get().answered_by == announced.owner


def test_a_stale_press_draws_the_card_anew(announced: Shop, client: Client) -> None:
    Offer.objects.update(version=7)
    key = f"{announced.offer.offer_no}@{ROOM}"
    post(client, "press", **{"as": me(announced), "key": key, "value": announced.key()})
    assert look(client)["cards"][key]["buttons"][0]["value"] == announced.key(version=7)
    assert Offer.objects.get().state == "pending"


def test_typing_is_heard_and_answered(group: Shop, client: Client) -> None:
    assert post(client, "say", **{"as": me(group), "text": f"接单 {group.no}"}).status_code == 200
    person, bot = look(client)["lines"]
    assert (person["sender"], person["text"]) == ("张三", f"接单 {group.no}")
    assert bot["sender"] == "机器人"
    assert bot["text"].startswith(f"{group.no} 已接单")


def test_talk_stays_unanswered(group: Shop, client: Client) -> None:
    post(client, "say", **{"as": me(group), "text": "今天辛苦了"})
    assert [line["sender"] for line in look(client)["lines"]] == ["张三"]


@pytest.mark.parametrize("body", [{"as": 999_999, "text": "x"}, {"text": "x"}, {"as": "1", "text": "x"}])
def test_who_is_not_in_the_group_cannot_speak(group: Shop, client: Client, body: dict[str, Any]) -> None:
    assert post(client, "say", **body).status_code == 404
    assert ChatMessage.objects.count() == 0


def test_a_member_of_another_group_cannot_press(announced: Shop, client: Client) -> None:
    stranger = make.make_staff(make.make_dealer(), name="王五")
    other = bind(stranger, "w", platform="local", tenant="dealer-2")
    body = {"as": other.pk, "key": "x", "value": announced.key()}
    assert post(client, "press", **body).status_code == 404
    moved = client.post("/chat/press", data={"room": "dealer-2", **body}, content_type="application/json")
    assert moved.status_code == 200
    assert Offer.objects.get().state == "pending"


def test_posts_need_the_csrf_token(group: Shop) -> None:
    careful = Client(enforce_csrf_checks=True)
    assert post(careful, "say", **{"as": me(group), "text": "帮助"}).status_code == 403
    assert ChatMessage.objects.count() == 0
    careful.get("/chat/")
    token = careful.cookies["csrftoken"].value
    body = {"room": ROOM, "as": me(group), "text": "帮助"}
    answer = careful.post("/chat/say", data=body, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 200


def test_the_page_shows_the_people(group: Shop, client: Client) -> None:
    page = client.get("/chat/")
    assert page.status_code == 200
    names = [member["name"] for member in page.context["chat"]["members"]]
    assert names == ["张三", "李四"]
    assert group.dealer.name in page.text


def test_a_page_without_people_says_so(db: None, settings: Any, client: Client) -> None:
    settings.ROOT_URLCONF, settings.DEMO = "tests.bots.urls", True
    assert "还没有演示群" in client.get("/chat/").text


def test_the_customers_phone_shows_the_code_in_a_demonstration_only(
    group: Shop, client: Client, settings: Any, at: datetime
) -> None:
    RedeemCode.objects.create(work=group.work, code="832100", made_at=at)
    type(group.work).objects.update(state="accepted", accepted_at=at)
    assert look(client)["phone"] == [{"no": group.no, "text": "【一盘】「沙发 ×1」完工后，请把核销码 832100 告诉师傅。"}]
    settings.DEMO, settings.DEBUG = False, True
    assert look(client)["phone"] == []


@pytest.mark.parametrize("path", ["/chat/", "/chat/messages"])
def test_outside_of_demonstrations_there_is_no_door(group: Shop, client: Client, settings: Any, path: str) -> None:
    settings.DEMO = False
    assert client.get(path).status_code == 404
    assert post(client, "say", **{"as": me(group), "text": "帮助"}).status_code == 404
