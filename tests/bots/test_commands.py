"""Chat lines with effect: which work is meant, what is done, what is said."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from bots.commands import Room, obey
from bots.grammar import HELP_TEXT
from oms_project.journal.models import Entry
from oms_project.refusal import Refusal
from orders.fulfilment import actions as fulfilment
from orders.models import FulfillmentOrder, Offer
from tests import make
from tests.bots.conftest import Shop
from tests.conftest import NOON

ONE = Room("wecom:zhangsan")
GROUP = Room("dealer-1", is_group=True)


@pytest.fixture(autouse=True)
def _clock(at: datetime) -> object:
    with time_machine.travel(at, tick=False):
        yield


def told(shop: Shop, text: str, at: datetime, room: Room = ONE) -> str:
    return obey(staff=shop.owner, text=text, room=room, at=at).text


def state_of(shop: Shop) -> str:
    return Offer.objects.get(pk=shop.offer.pk).state


def test_accepting_says_number_state_income_and_the_full_number(shop: Shop, at: datetime) -> None:
    assert told(shop, f"接单 {shop.no}", at) == (
        f"{shop.no} 已接单 · 沙发 ×1 · 收入 60.00 元 · {shop.work.fo_no}\n发出后请回复：发货 {shop.no} 运单号"
    )
    assert state_of(shop) == "accepted"


def test_accepting_again_is_success_with_the_first_time(shop: Shop, at: datetime) -> None:
    told(shop, f"接单 {shop.no}", at)
    assert told(shop, f"接单 {shop.no}", at + timedelta(minutes=32)).endswith("已于 12:00 接单，无需重复")
    assert Entry.objects.filter(name="offer.closed").count() == 1


@pytest.mark.parametrize("form", ["short", "work", "offer"])
def test_every_kind_of_number(shop: Shop, at: datetime, form: str) -> None:
    number = {"short": shop.no, "work": shop.work.fo_no, "offer": shop.offer.offer_no}[form]
    assert told(shop, f"接单 {number}", at).startswith(f"{shop.no} 已接单")


def test_declining_with_a_reason(shop: Shop, at: datetime) -> None:
    assert told(shop, f"拒单 {shop.no} 缺货", at) == f"{shop.no} 已拒单（缺货）· {shop.work.fo_no}"
    offer = Offer.objects.get(pk=shop.offer.pk)
    assert (offer.state, offer.decline_reason) == ("declined", "no_stock")


@pytest.mark.parametrize("text", ["拒单 {}", "不接 {}", "{} 接不了", "接单 {} 明天发", "接单 {}？", "别接单 {}", "@李四 接单 {}"])
def test_what_is_not_clear_changes_nothing(shop: Shop, at: datetime, text: str) -> None:
    entries = Entry.objects.count()
    told(shop, text.format(shop.no), at)
    assert state_of(shop) == "pending"
    assert Entry.objects.count() == entries


def test_a_missing_number_lists_the_open_ones(shop: Shop, at: datetime) -> None:
    assert told(shop, "接单", at) == f"请写明单号，例如：接单 1012\n现有：{shop.no}（沙发 ×1）"


def test_a_number_that_means_two_asks_for_the_full_one(shop: Shop, at: datetime) -> None:
    node = shop.work.node
    twin = make.make_work(make.make_order(make.make_sku(), state="routed"), node, short_no=shop.work.short_no)
    answer = told(shop, f"接单 {shop.no}", at)
    assert answer.startswith(f"{shop.no} 对应多张单，请用完整单号：")
    assert shop.work.fo_no in answer
    assert twin.fo_no in answer
    assert state_of(shop) == "pending"


def test_another_dealers_number_does_not_exist(shop: Shop, at: datetime) -> None:
    stranger = make.make_staff(make.make_dealer())
    for number in (shop.no, shop.work.fo_no, shop.offer.offer_no):
        answer = obey(staff=stranger, text=f"接单 {number}", room=ONE, at=at).text
        assert answer in {f"{number} 没有找到这张单，可能已超时或改派", f"{number} 找不到这条记录"}
    assert state_of(shop) == "pending"


def test_an_installer_cannot_answer_offers(shop: Shop, at: datetime) -> None:
    installer = make.make_staff(shop.dealer, role="installer")
    obey(staff=installer, text=f"接单 {shop.no}", room=ONE, at=at)
    obey(staff=installer, text=f"接单 {shop.offer.offer_no}", room=ONE, at=at)
    assert state_of(shop) == "pending"


def test_an_offer_that_ran_out(shop: Shop, at: datetime) -> None:
    answer = told(shop, f"接单 {shop.no}", at + timedelta(hours=3))
    assert answer.startswith(f"{shop.no} ")
    assert "已接单" not in answer
    assert state_of(shop) == "pending"


def test_my_orders(shop: Shop, at: datetime) -> None:
    assert told(shop, "我的订单", at) == f"{shop.no} 待接单 · 沙发 ×1 · 收入 60.00 元 · 11-25 14:00 前"
    told(shop, f"接单 {shop.no}", at)
    assert told(shop, "待办", at) == f"{shop.no} 已接单 · 沙发 ×1 · {shop.work.fo_no}"


def test_status_and_questions(shop: Shop, at: datetime) -> None:
    assert told(shop, f"{shop.no} 接单了吗？", at) == f"{shop.no} 待接单 · 沙发 ×1 · {shop.work.fo_no}"
    assert state_of(shop) == "pending"


def test_the_group_hears_the_bot_only_when_it_is_meant(shop: Shop, at: datetime) -> None:
    assert told(shop, "今天天气真好", at, GROUP) == ""
    assert told(shop, "@李四 你来接一下", at, GROUP) == ""
    assert told(shop, "@机器人 今天天气真好", at, GROUP) == HELP_TEXT
    assert told(shop, "今天天气真好", at, ONE) == HELP_TEXT
    assert told(shop, f"@机器人 接单 {shop.no}", at, GROUP).startswith(f"{shop.no} 已接单")


@pytest.mark.parametrize(
    ("text", "name", "args"),
    [
        ("发货 {} SF1234567890123", "ship_work", {"carrier": "sf", "tracking_no": "SF1234567890123"}),
        ("发货 {} 自送", "ship_work", {"carrier": "self", "tracking_no": ""}),
        ("已送达 {}", "deliver_work", {}),
        (
            "预约 {} 明天 14:00-16:00",
            "schedule_visit",
            {"visit_from": NOON + timedelta(days=1, hours=2), "visit_to": NOON + timedelta(days=1, hours=4)},
        ),
        ("安装 {}", "install_work", {}),
        ("完工 {} 核销码 832100", "complete_work", {"code": "832100"}),
        ("确认取消 {}", "confirm_cancel", {}),
    ],
)
def test_each_verb_is_one_action(
    shop: Shop, at: datetime, monkeypatch: pytest.MonkeyPatch, text: str, name: str, args: dict[str, Any]
) -> None:
    asked = []

    def action(**given: Any) -> FulfillmentOrder:
        asked.append(given)
        return shop.work

    monkeypatch.setattr(fulfilment, name, action)
    answer = told(shop, text.format(shop.no), at)
    assert asked == [{"fo_no": shop.work.fo_no, "staff": shop.owner, "at": at, **args}]
    assert answer.startswith(f"{shop.no} ")
    assert "832100" not in answer


def test_a_refusal_is_said_with_the_number(shop: Shop, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(**given: Any) -> FulfillmentOrder:
        raise Refusal("核销码不对，还可以试 4 次")

    monkeypatch.setattr(fulfilment, "complete_work", refusing)
    assert told(shop, f"完工 {shop.no} 832100", at) == f"{shop.no} 核销码不对，还可以试 4 次"


def test_shipping_to_completion_by_chat(shop: Shop, at: datetime) -> None:
    FulfillmentOrder.objects.filter(pk=shop.work.pk).update(needs_install=True)
    told(shop, f"接单 {shop.no}", at)
    said = [
        told(shop, text.format(shop.no), at)
        for text in ("发货 {} SF1234567890123", "{} 送到了", "预约 {} 明天 14:00-16:00", "安装 {}")
    ]
    number = f"沙发 ×1 · {shop.work.fo_no}"
    assert said == [
        f"{shop.no} 已发货 · {number}",
        f"{shop.no} 已送达 · {number}",
        f"{shop.no} 已预约 11-26 14:00 至 16:00 · {number}",
        f"{shop.no} 已安装 · {number}",
    ]
