"""Cards go out once, and lose their buttons when the offer ends, whatever happens in between."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from bots import delivery
from bots.models import CardMessage, ChatIdentity
from dealers.models import Staff
from oms_project.journal import actions as journal
from oms_project.journal.models import Delivery
from orders.offers import actions as offers
from tests import make
from tests.bots.conftest import Shop, bind, opened
from tests.platforms.wecom import Api

pytestmark = pytest.mark.usefixtures("wired")
Relay = Callable[[datetime], int]


def announce(shop: Shop, at: datetime) -> None:
    with transaction.atomic():
        journal.record(opened(shop, at), actor="system", at=at)


def test_owner_and_clerk_get_a_card_each(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    installer = make.make_staff(shop.dealer, role="installer")
    bind(installer, "anzhuang")
    bind(make.make_staff(make.make_dealer()), "other-dealer")
    ChatIdentity.objects.create(platform="wecom", tenant="x", user_id="old", staff=shop.owner, is_active=False)
    announce(shop, at)
    relay_all(at)
    sent = api.bodies("message/send")
    assert [(body["touser"], body["template_card"]["task_id"]) for body in sent] == [
        ("zhangsan", shop.task()),
        ("lisi", shop.task("lisi")),
    ]
    card = sent[0]["template_card"]
    assert card["main_title"] == {"title": f"新订单 {shop.no}", "desc": "沙发 ×1"}
    assert card["horizontal_content_list"][1] == {"keyname": "地区", "value": "江苏省苏州市吴中区"}
    assert card["button_list"][0] == {"text": "接单", "style": 1, "key": shop.key()}
    assert list(CardMessage.objects.order_by("pk").values_list("recipient", "shown_state", "response_codes")) == [
        ("zhangsan", "pending", ["code-1"]),
        ("lisi", "pending", ["code-2"]),
    ]


def test_a_repeated_fact_sends_nothing_twice(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    for _ in range(3):
        announce(shop, at)
    relay_all(at)
    assert api.count("message/send") == 2


def test_one_failure_does_not_keep_the_others_waiting(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    api.errors["message/send"] = [45009]
    announce(shop, at)
    relay_all(at)
    assert [body["touser"] for body in api.bodies("message/send")] == ["zhangsan", "lisi"]
    assert dict(CardMessage.objects.values_list("recipient", "shown_state")) == {"zhangsan": "sending", "lisi": "pending"}
    relay_all(at + timedelta(seconds=1))
    assert [body["touser"] for body in api.bodies("message/send")] == ["zhangsan", "lisi", "zhangsan"]
    assert set(CardMessage.objects.values_list("shown_state", flat=True)) == {"pending"}
    assert Delivery.objects.count() == 0


def test_a_crash_between_sending_and_storing_is_made_good(
    shop: Shop, api: Api, at: datetime, relay_all: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat is refused as a repeated task id, which counts as sent."""
    real = delivery.wecom.send_card

    def killed(*args: object) -> list[str]:
        real(*args)  # type: ignore[arg-type]
        raise SystemExit

    announce(shop, at)
    with monkeypatch.context() as dying:
        dying.setattr(delivery.wecom, "send_card", killed)
        with pytest.raises(SystemExit):
            relay_all(at)
    relay_all(at + timedelta(seconds=61))
    assert set(CardMessage.objects.values_list("recipient", "shown_state")) == {("zhangsan", "pending"), ("lisi", "pending")}
    assert api.task_ids == {shop.task(), shop.task("lisi")}


def test_all_cards_lose_their_buttons(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    announce(shop, at)
    relay_all(at)
    with time_machine.travel(at):
        offers.accept_offer(offer_no=shop.offer.offer_no, staff=shop.owner, at=at)
    relay_all(at)
    updates = api.bodies("message/update_template_card")
    assert [(body["userids"], body["response_code"], body["button"]) for body in updates] == [
        (["zhangsan"], "code-1", {"replace_name": "已被张三接单 12:00"}),
        (["lisi"], "code-2", {"replace_name": "已被张三接单 12:00"}),
    ]
    assert set(CardMessage.objects.values_list("shown_state", flat=True)) == {"accepted"}
    assert list(CardMessage.objects.values_list("response_codes", flat=True)) == [[], []]
    delivery.on_offer_closed([], at=at)
    assert api.count("message/update_template_card") == 2


def test_a_used_code_is_thrown_away_and_the_next_one_tried(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    announce(shop, at)
    relay_all(at)
    CardMessage.objects.filter(recipient="zhangsan").update(response_codes=["fresh", "used"])
    api.spent.add("used")
    with time_machine.travel(at):
        offers.accept_offer(offer_no=shop.offer.offer_no, staff=shop.owner, at=at)
    relay_all(at)
    codes = [body["response_code"] for body in api.bodies("message/update_template_card") if body["userids"] == ["zhangsan"]]
    assert codes == ["used", "fresh"]


def test_a_silent_platform_is_asked_again(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    announce(shop, at)
    relay_all(at)
    api.errors["message/update_template_card"] = [(503,)]
    with time_machine.travel(at):
        offers.accept_offer(offer_no=shop.offer.offer_no, staff=shop.owner, at=at)
    relay_all(at)
    assert dict(CardMessage.objects.values_list("recipient", "shown_state")) == {"zhangsan": "pending", "lisi": "accepted"}
    relay_all(at + timedelta(seconds=1))
    assert set(CardMessage.objects.values_list("shown_state", flat=True)) == {"accepted"}


def test_an_offer_that_ended_first_is_not_announced(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    announce(shop, at)
    with time_machine.travel(at):
        offers.accept_offer(offer_no=shop.offer.offer_no, staff=shop.owner, at=at)
    relay_all(at)
    assert api.count("message/send") == 0


def test_an_offer_that_ends_while_its_card_is_on_the_way(
    shop: Shop, api: Api, at: datetime, relay_all: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = delivery.wecom.send_card

    def answered_meanwhile(*args: object) -> list[str]:
        codes = real(*args)  # type: ignore[arg-type]
        offers.accept_offer(offer_no=shop.offer.offer_no, staff=shop.clerk, at=at)
        return codes

    monkeypatch.setattr(delivery.wecom, "send_card", answered_meanwhile)
    announce(shop, at)
    with time_machine.travel(at):
        relay_all(at)
    assert [body["userids"] for body in api.bodies("message/update_template_card")] == [["zhangsan"]]
    assert list(CardMessage.objects.values_list("recipient", "shown_state")) == [("zhangsan", "accepted")]


def test_nothing_is_sent_to_who_left(shop: Shop, api: Api, at: datetime, relay_all: Relay) -> None:
    Staff.objects.filter(pk=shop.clerk.pk).update(is_active=False)
    announce(shop, at)
    relay_all(at)
    assert [body["touser"] for body in api.bodies("message/send")] == ["zhangsan"]
