"""Orders carry the words by which routing rules know them: the channel's, a person's, and whose lines belong together."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dealers.divisions import queries as divisions
from oms_project.refusal import Stale
from orders.catalogue.rules import Part
from orders.intake.adapters import doudian
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.rules import LONGEST_TAG, MOST_TAGS, ChannelLine, ChannelOrder, Receiver, all_tags
from orders.models import Order, OrderHold
from orders.review import actions as review
from orders.work import queries as work
from tests.make import make_node, make_sku, make_staff, make_work
from tests.orders.intake_world import make_divisions, sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def sofa_set(at: datetime) -> ChannelOrder:
    sofa, fitting = make_sku("SOFA"), make_sku("FIT", kind="service")
    return ChannelOrder(
        channel="doudian", shop="12345", external_id="77", channel_status="WAIT_SHIP", source_updated_at=1, paid_at=at,
        goods_fen=100, freight_fen=0, paid_fen=100, division_code="320506", region="江苏省苏州市吴中区",
        receiver=Receiver("张三丰", "13800000001", "测试路1号"), live_session="", anchor="",
        lines=(
            ChannelLine("77-1", "SET", "套装", 1, 90, (Part(sofa.pk, 1, 9), Part(fitting.pk, 1, 1))),
            ChannelLine("77-2", "SOFA", "沙发", 1, 10, (Part(sofa.pk, 1, 1),)),
        ),
        tags=("VIP", "音尊达"),
    )  # fmt: skip


def place(order: ChannelOrder, at: datetime) -> Order:
    lifecycle.place_orders(orders=[order], actor="test", at=at)
    return Order.objects.get()


def test_routing_gets_the_tags_and_what_belongs_together(sofa_set: ChannelOrder, at: datetime) -> None:
    order = place(sofa_set, at)
    assert order.tags == ["VIP", "音尊达"]
    [taken] = lifecycle.take_for_routing(order_ids=[order.pk], at=at)
    assert taken.tags == {"VIP", "音尊达"}
    assert [(line.sku_code, line.bundle) for line in taken.lines] == [("SOFA", "77-1"), ("FIT", "77-1"), ("SOFA", "77-2")]
    again = work.as_orders([make_work(order, make_node())])
    [other] = again.values()
    assert other.tags == taken.tags
    assert [line.bundle for line in other.lines] == ["77-1", "77-1", "77-2"]


def test_an_order_without_tags_has_none(sofa_set: ChannelOrder, at: datetime) -> None:
    order = place(replace(sofa_set, tags=()), at)
    [taken] = lifecycle.take_for_routing(order_ids=[order.pk], at=at)
    assert taken.tags == frozenset()


def test_a_newer_version_adds_tags_and_takes_none_off(sofa_set: ChannelOrder, at: datetime) -> None:
    place(sofa_set, at)
    assert place(replace(sofa_set, source_updated_at=2, tags=("音尊达", "预售")), at).tags == ["VIP", "音尊达", "预售"]
    assert place(replace(sofa_set, source_updated_at=2, tags=("迟到",)), at).tags == ["VIP", "音尊达", "预售"]


def test_the_platforms_labels_become_tags(at: datetime) -> None:
    make_divisions()
    divisions.forget()
    document = sample("doudian_order_detail.json")["payload"]["data"]["shop_order_detail"]
    order = doudian.translate(document, shop="77977", gazetteer=divisions.gazetteer(), parts={})
    assert order.tags == ("推荐音尊达", "全款预售")
    strange: Any = {
        **document,
        "shop_order_tag_ui": ["x", {"text": None}, {"text": "VIP"}, {"text": " VIP "}, {"text": "长" * 99}],
    }
    assert doudian.translate(strange, shop="77977", gazetteer=divisions.gazetteer(), parts={}).tags == (
        "VIP", "长" * LONGEST_TAG, "全款预售",
    )  # fmt: skip


@given(st.lists(st.text("ab", max_size=LONGEST_TAG + 2), max_size=MOST_TAGS * 2))
def test_tags_are_few_short_and_different(words: list[str]) -> None:
    kept = all_tags(words, words)
    assert len(kept) == len(set(kept)) <= MOST_TAGS
    assert all(0 < len(word) <= LONGEST_TAG and word in words for word in kept)
    assert kept == all_tags(kept)


@pytest.fixture
def held(sofa_set: ChannelOrder, at: datetime) -> OrderHold:
    place(replace(sofa_set, division_code=""), at)
    return OrderHold.objects.get()


def test_a_person_changes_the_tags_of_a_held_order(held: OrderHold, client: Client) -> None:
    client.force_login(make_staff(role="operator"))
    asked = {"action": "tag", "_selected_action": [held.pk], "tags": "VIP，小时达 VIP"}
    page = client.post("/admin/orders/orderhold/", asked, follow=True)
    assert "标签改为 VIP、小时达" in page.text
    assert Order.objects.get().tags == ["VIP", "小时达"]
    assert Order.objects.get().version == 2
    assert "VIP、小时达" in client.get(f"/admin/orders/order/{held.order_id}/change/").text
    assert "标签已去掉" in client.post("/admin/orders/orderhold/", {**asked, "tags": " "}, follow=True).text
    assert Order.objects.get().tags == []


def test_bad_tags_and_orders_that_went_on_are_refused(held: OrderHold, client: Client) -> None:
    client.force_login(make_staff(role="operator"))
    asked = {"action": "tag", "_selected_action": [held.pk], "tags": "长" * 31}
    assert "标签最多 20 个" in client.post("/admin/orders/orderhold/", asked, follow=True).text
    asked["tags"] = "、".join(map(str, range(21)))
    assert "标签最多 20 个" in client.post("/admin/orders/orderhold/", asked, follow=True).text
    Order.objects.update(state="routed")
    with pytest.raises(Stale):
        review.tag_order(order=held.order, tags=["A"], staff=make_staff(), at=timezone.now())
    client.force_login(make_staff(role="finance"))
    assert client.post("/admin/orders/orderhold/", {**asked, "tags": "A"}).status_code == 403
    assert (Order.objects.get().tags, Order.objects.get().version) == (["VIP", "音尊达"], 1)
