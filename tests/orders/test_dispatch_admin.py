"""What operators see of offers, and their two buttons."""

from datetime import datetime

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path

from orders.dispatch import actions as dispatch
from orders.dispatch.admin import LadderPolicyAdmin
from orders.models import LadderPolicy, Offer
from orders.placing.admin import OfferAdmin
from tests.make import make_order, make_staff
from tests.orders.dispatch_world import World, make_world

urlpatterns = [path("admin/", admin.site.urls)]
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
OFFERS, LADDERS = "/admin/orders/offer/", "/admin/orders/ladderpolicy/"


@pytest.fixture
def world(db: None, at: datetime) -> World:
    made = make_world()
    dispatch.route_orders(order_ids=[make_order(made.sofa).pk], actor="test", at=at)
    return made


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(make_staff(role="admin"))
    return client


def test_offers_stand_by_deadline_with_goods_and_income(world: World, boss: Client) -> None:
    page = boss.get(OFFERS).content.decode()
    assert all(text in page for text in ("华南经销商", "沙发 KT-3300 ×1", "120.00 元", "手工改派", "撤回要约", "改派到"))
    assert boss.get(f"{OFFERS}{Offer.objects.get().pk}/change/").status_code == 200
    assert isinstance(admin.site.get_model_admin(Offer), OfferAdmin)


def test_a_ladder_is_read_as_steps(world: World, boss: Client) -> None:
    assert "辖区经销商 60 秒 → 其他经销商 90 秒 → 总部与区域仓 60 秒" in boss.get(LADDERS).content.decode()
    assert boss.get(f"{LADDERS}{LadderPolicy.objects.get().pk}/change/").status_code == 200
    assert isinstance(admin.site.get_model_admin(LadderPolicy), LadderPolicyAdmin)


def press(client: Client, action: str, **fields: object) -> str:
    chosen = {"action": action, "_selected_action": [Offer.objects.get().pk], **fields}
    return client.post(OFFERS, chosen, follow=True).content.decode()


def test_placing_by_hand_asks_where_and_then_does_it(world: World, boss: Client) -> None:
    assert "请先选择改派到哪个发货点" in press(boss, "place_by_hand")
    assert Offer.objects.get().state == "pending"
    assert "：已改派" in press(boss, "place_by_hand", node=world.hq_node.pk)
    assert (Offer.objects.get().state, world.held()) == ("withdrawn", [0, 0, 1])


def test_withdrawing_twice_is_refused_in_words(world: World, boss: Client) -> None:
    assert "：已撤回" in press(boss, "withdraw")
    assert "这张单已撤回" in press(boss, "withdraw")
