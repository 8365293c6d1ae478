"""The queue 无法派单 on screen: who may see it, what it costs, and the page on which a person places an order."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dealers.models import Dealer
from inventory.models import Level
from orders.dispatch import actions as dispatch
from orders.models import FulfillmentOrder, Offer, Order, StrandedOrder
from orders.review import actions as review
from orders.stranded import actions as stranded
from tests.make import make_order, make_sku, make_staff
from tests.orders.dispatch_world import World, make_world

pytestmark = pytest.mark.django_db
LIST = reverse("admin:orders_strandedorder_changelist")


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def strand(world: World, count: int = 1) -> list[Order]:
    Level.objects.update(on_hand=0)
    now = timezone.now()
    orders = [make_order(world.sofa, make_sku(name=f"台灯{n}"), at=now - timedelta(hours=3)) for n in range(count)]
    dispatch.route_orders(order_ids=[order.pk for order in orders], actor="test", at=now - timedelta(hours=3, minutes=7))
    return orders


def page_of(order: Order) -> str:
    return reverse("admin:orders_strandedorder_change", args=[StrandedOrder.objects.get(order=order).pk])


@pytest.mark.parametrize(("role", "sees"), [("admin", 200), ("operator", 200), ("finance", 403)])
def test_who_may_see_the_queue_and_the_page(world: World, client: Client, role: str, sees: int) -> None:
    (order,) = strand(world)
    client.force_login(make_staff(role=role))
    assert (client.get(LIST).status_code, client.get(page_of(order)).status_code) == (sees, sees)
    Level.objects.filter(node=world.hq_node).update(on_hand=9)
    posted = client.post(page_of(order), {"whole": "N-HQ"})
    assert posted.status_code == {200: 200, 403: 403}[sees]
    for dealers in (world.owner, make_staff(world.home, role="clerk")):
        client.force_login(dealers)
        assert client.get(LIST).status_code == client.get(page_of(order)).status_code == 302
        assert client.post(page_of(order), {}).status_code == 302
    assert FulfillmentOrder.objects.count() == 0


def test_the_list_tells_age_reason_goods_and_district_and_nothing_else_of_the_address(world: World, client: Client) -> None:
    first, second = strand(world, 2)
    review.leave_to_a_person(reasons={second.pk: ""}, actor="test", at=timezone.now())
    Order.objects.update(receiver_masked="张** 138****0001", receiver_sealed="sealed-text")
    client.force_login(world.operator)
    told = client.get(LIST).text
    assert "沙发 KT-3300 ×1、台灯0 ×1" in told
    for words in ("3 小时 7 分", "没有可用的发货点", "江苏省苏州市吴中区", "1,000.00", "自动重试", "待人工", "一直等"):
        assert words in told, words
    assert "138****" not in told
    assert told.index(first.order_no) < told.index(second.order_no)


def test_the_list_costs_the_same_for_few_and_many(world: World, client: Client) -> None:
    client.force_login(world.operator)
    counts = []
    for size in (2, 30):
        strand(world, size)
        client.get(LIST)
        with CaptureQueriesContext(connection) as asked:
            assert client.get(LIST).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 8


def test_a_cancelled_order_waits_for_its_refund_in_a_list_of_its_own(world: World, client: Client) -> None:
    (order,) = strand(world)
    StrandedOrder.objects.update(cancel_at=timezone.now())
    stranded.cancel_due(at=timezone.now())
    client.force_login(world.operator)
    assert order.order_no not in client.get(LIST).text
    told = client.get(f"{LIST}?queue=refund").text
    assert order.order_no in told
    assert "已取消，待退款" in told
    assert "已取消待退款" in client.get(reverse("admin:index")).text
    assert "人工派单</button>" not in client.get(page_of(order)).text
    refused = client.post(page_of(order), {"whole": "N-HQ"}, follow=True)
    assert "订单已不在无法派单队列中" in refused.text


def form_of(order: Order, *codes: str) -> dict[str, str]:
    lines = order.lines.order_by("position").values_list("pk", flat=True)
    return {f"line-{pk}": code for pk, code in zip(lines, codes, strict=True)}


def test_the_page_shows_where_it_could_go_and_why_it_does_not(world: World, client: Client) -> None:
    (order,) = strand(world)
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=0)
    Level.objects.filter(node=world.neighbour_node).update(on_hand=3)
    client.force_login(world.operator)
    page = page_of(order)
    client.get(page)  # what routing knows is in memory from now on
    with CaptureQueriesContext(connection) as asked:
        told = client.get(page)
    assert told.status_code == 200
    assert len(asked) <= 10, [query["sql"][:90] for query in asked]
    seen = told.context_data["seen"]
    options = {each.code: (each.free, each.why_not, each.day and (each.day.taken, each.day.allowed)) for each in seen.options}
    assert options["N-D001"] == ((0, 0), "今日接单已满", (0, 0))
    assert options["N-D002"] == ((3, 0), "台灯0：可售库存不足", (0, 200))
    assert options["N-HQ"] == ((0, 0), "可售库存不足", None)


def test_a_person_places_an_order_on_the_page(world: World, client: Client) -> None:
    (order,) = strand(world)
    lamp = order.lines.get(position=2).sku
    Level.objects.filter(node=world.home_node).update(on_hand=1)
    Level.objects.create(node=world.hq_node, sku=lamp, on_hand=1)
    client.force_login(world.operator)
    wrong = client.post(page_of(order), {"whole": "N-HQ", **form_of(order, "", "N-D001")})
    assert wrong.status_code == 200
    assert "总部仓N-HQ 的「沙发 KT-3300」可售 0，需要 1；经销商仓N-D001 的「台灯0」可售 0，需要 1" in wrong.text
    assert 'value="N-D001"' in wrong.text
    assert (FulfillmentOrder.objects.count(), StrandedOrder.objects.count()) == (0, 1)
    right = client.post(page_of(order), {"whole": "N-HQ", **form_of(order, "N-D001", "")}, follow=True)
    assert f"{order.order_no} 已派单：{order.order_no}-1、{order.order_no}-2" in right.text
    assert set(FulfillmentOrder.objects.values_list("node__code", "state")) == {("N-D001", "offered"), ("N-HQ", "accepted")}
    assert Offer.objects.get().dealer == world.home


def test_the_button_tries_what_is_chosen_again(world: World, client: Client) -> None:
    orders = strand(world, 2)
    Level.objects.filter(node=world.hq_node).update(on_hand=1)
    for order in orders:
        order.lines.filter(position=2).delete()
    client.force_login(world.operator)
    chosen = list(StrandedOrder.objects.values_list("pk", flat=True))
    answer = client.post(LIST, {"action": "try_again", "_selected_action": chosen}, follow=True)
    assert "已派出 1 单，仍无法派单 1 单" in answer.text


def test_the_button_refuses_more_than_a_page(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stranded, "RETRY_PAGE", 1)
    orders = strand(world, 2)
    Level.objects.filter(node=world.hq_node).update(on_hand=9)
    for order in orders:
        order.lines.filter(position=2).delete()
    client.force_login(world.operator)
    chosen = list(StrandedOrder.objects.values_list("pk", flat=True))
    answer = client.post(LIST, {"action": "try_again", "_selected_action": chosen}, follow=True)
    assert "一次最多重新派单 1 单" in answer.text
    assert set(Order.objects.values_list("state", flat=True)) == {"unroutable"}
