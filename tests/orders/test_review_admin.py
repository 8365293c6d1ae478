"""The review queue in the admin: buttons do what they say, receivers stay shut until somebody looks."""

from datetime import datetime

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import path

from dealers.divisions import actions as divisions
from dealers.models import Staff
from inventory.models import Sku
from orders.desk.admin import OrderAdmin
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.rules import ChannelLine, ChannelOrder, Finding, Receiver
from orders.models import FulfillmentOrder, Order, OrderHold, Product, ProductPart, ReceiverReveal
from orders.receivers.admin import ReceiverRevealAdmin
from orders.review.admin import OrderHoldAdmin
from orders.work.admin import FulfillmentOrderAdmin
from tests.make import make_node, make_order, make_sku, make_staff, make_work

urlpatterns = [path("admin/", admin.site.urls)]
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
HOLDS, ORDERS = "/admin/orders/orderhold/", "/admin/orders/order/"


@pytest.fixture
def operator(client: Client) -> Staff:
    staff = make_staff(role="admin")
    client.force_login(staff)
    return staff


@pytest.fixture
def held(at: datetime) -> Order:
    """An order with an unknown code, an unknown district and words of the buyer."""
    lifecycle.place_orders(
        orders=[
            ChannelOrder(
                channel="doudian",
                shop="12345",
                external_id="77",
                channel_status="WAIT_SHIP",
                source_updated_at=1,
                paid_at=at,
                goods_fen=100,
                freight_fen=0,
                paid_fen=100,
                division_code="",
                region="江苏省苏州市不存在区",
                receiver=Receiver("张三丰", "13800000001", "测试路 1 号", "早点送"),
                live_session="",
                anchor="",
                lines=(ChannelLine("77-1", "SF-2001", "沙发", 1, 100),),
                findings=(Finding("remark", "买家有留言"),),
            )  # fmt: skip
        ],
        actor="test",
        at=at,
    )
    return Order.objects.get()


def open_reasons() -> set[str]:
    return set(OrderHold.objects.filter(released_at=None).values_list("reason", flat=True))


def press(client: Client, address: str, action: str, *objects: int, **form: str) -> str:
    answer = client.post(address, {"action": action, "_selected_action": list(objects), **form}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_queue_shows_every_open_reason_at_once(client: Client, operator: Staff, held: Order) -> None:
    page = client.get(HOLDS).content.decode()
    assert "DD77" in page
    assert page.count("地址无法识别") >= 3
    assert "13800000001" not in page


def test_buttons_lead_an_order_out_of_review(client: Client, operator: Staff, held: Order) -> None:
    holds = {hold.reason: hold.pk for hold in OrderHold.objects.all()}
    assert set(holds) == {"sku", "address", "remark"}
    assert "请先修正收货地区" in press(client, HOLDS, "release", holds["address"])
    assert "仍待处理" in press(client, HOLDS, "match_again", holds["sku"])
    assert open_reasons() == {"sku", "address", "remark"}

    divisions.load_divisions(at=held.placed_at)
    assert "请填写正确的区县代码" in press(client, HOLDS, "fix_address", holds["address"], division="不存在")
    assert "请改用区县代码" in press(client, HOLDS, "fix_address", holds["address"], division="鼓楼区")
    assert "江苏省苏州市吴中区" in press(client, HOLDS, "fix_address", holds["address"], division="320506")
    assert open_reasons() == {"sku", "remark"}

    sku: Sku = make_sku("SF-2001")
    ProductPart.objects.create(product=Product.objects.create(code="SF-2001", name="沙发"), sku=sku)
    press(client, HOLDS, "match_again", holds["sku"])
    assert open_reasons() == {"remark"}

    assert "已放行" in press(client, HOLDS, "release", holds["remark"], note="已电话确认")
    released = OrderHold.objects.get(pk=holds["remark"])
    assert (released.released_by, released.note) == (operator, "已电话确认")
    assert "DD77" in client.get(f"{HOLDS}?progress=released").content.decode()
    held.refresh_from_db()
    assert (held.state, held.division_code, held.lines.get().sku) == ("placed", "320506", sku)


def test_a_receiver_is_masked_until_somebody_looks_and_leaves_a_trace(client: Client, operator: Staff, held: Order) -> None:
    for page in (client.get(ORDERS), client.get(f"{ORDERS}{held.pk}/change/")):
        assert page.status_code == 200
        assert "张**" in page.content.decode()
        assert "13800000001" not in page.content.decode()
    assert "13800000001" in press(client, ORDERS, "reveal", held.pk)
    trace = ReceiverReveal.objects.get()
    assert (trace.staff, trace.order, trace.door) == (operator, held, "admin")
    client.force_login(Staff.objects.create_superuser("13000000000", "x", name="财务"))
    Staff.objects.filter(phone="13000000000").update(role="finance")
    assert "13800000001" not in press(client, ORDERS, "reveal", held.pk)
    assert ReceiverReveal.objects.count() == 1
    assert client.get("/admin/orders/receiverreveal/").status_code == 200
    assert client.get("/admin/orders/receiverreveal/add/").status_code == 403


def test_work_can_be_looked_at(client: Client, operator: Staff) -> None:
    sku = make_sku()
    work = make_work(make_order(sku), make_node())
    assert work.fo_no in client.get("/admin/orders/fulfillmentorder/").content.decode()
    assert client.get(f"/admin/orders/fulfillmentorder/{work.pk}/change/").status_code == 200


def test_every_page_is_registered() -> None:
    pages = {
        Order: OrderAdmin,
        OrderHold: OrderHoldAdmin,
        FulfillmentOrder: FulfillmentOrderAdmin,
        ReceiverReveal: ReceiverRevealAdmin,
    }
    for model, page in pages.items():
        assert isinstance(admin.site.get_model_admin(model), page)
