"""Orders come in once, hold every reason at once, and work moves only along its legal states."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from oms_project.journal.models import Entry
from oms_project.refusal import NotFound, Refusal, Stale
from orders.catalogue.rules import Part
from orders.lifecycle import actions as lifecycle
from orders.lifecycle import rules
from orders.lifecycle.rules import ChannelLine, ChannelOrder, Receiver
from orders.models import FulfillmentOrder, Order, OrderHold, OrderLine, Product, ProductPart, ReceiverReveal
from orders.receivers import actions as receivers
from orders.review import actions as review
from orders.work import actions as work_actions
from orders.work import queries
from orders.work.rules import WORK_TRANSITIONS
from tests.make import make_dealer, make_node, make_order, make_sku, make_staff, make_work

pytestmark = pytest.mark.django_db


@pytest.fixture
def sofa_set(at: datetime) -> Callable[..., ChannelOrder]:
    sofa, fitting = make_sku("SOFA"), make_sku("FIT", kind="service")

    def build(**changes: object) -> ChannelOrder:
        order = ChannelOrder(
            channel="doudian", shop="12345", external_id="4781320682406083640", channel_status="WAIT_SHIP",
            source_updated_at=1000, paid_at=at, goods_fen=10_001, freight_fen=0, paid_fen=10_001, division_code="320506",
            region="江苏省苏州市吴中区", receiver=Receiver("张三丰", "13800000001", "测试路1号"), live_session="L1", anchor="A1",
            lines=(ChannelLine("47-1", "SET", "沙发套装", 2, 10_001, (Part(sofa.pk, 1, 9), Part(fitting.pk, 1, 1))),),
        )  # fmt: skip
        return replace(order, **changes)

    return build


def test_a_paid_order_is_placed_once_with_its_combo_exploded_to_the_fen(sofa_set, at):
    first = lifecycle.place_orders(orders=[sofa_set()], actor="channel", at=at)
    again = lifecycle.place_orders(orders=[sofa_set(), sofa_set()], actor="channel", at=at)

    assert (first, again) == ({"4781320682406083640": "placed"}, {"4781320682406083640": "unchanged"})
    order = Order.objects.get()
    assert (order.order_no, order.state, order.receiver_masked) == ("DD4781320682406083640", "placed", "张** 138****0001")
    assert "张三丰" not in order.receiver_sealed
    assert list(order.lines.values_list("quantity", "paid_fen").order_by("position")) == [(2, 9_001), (2, 1_000)]
    assert [entry.name for entry in Entry.objects.all()] == ["order.placed"]


def test_an_unpaid_order_leaves_no_row(sofa_set, at):
    outcome = lifecycle.place_orders(orders=[sofa_set(channel_status="WAIT_PAY", paid_at=None)], actor="channel", at=at)
    assert outcome == {"4781320682406083640": "unpaid"}
    assert not Order.objects.exists()


def test_every_reason_holds_at_once_and_the_last_release_sends_the_order_on(sofa_set, at):
    staff = make_staff(role="operator")
    stranger = ChannelLine("47-2", "??", "不认识的商品", 1, 1)
    found = (rules.Finding("remark", "请周末送"),)
    order = sofa_set(lines=(*sofa_set().lines, stranger), division_code="", findings=found)
    lifecycle.place_orders(orders=[order], actor="channel", at=at)

    held = Order.objects.get()
    assert held.state == "held"
    assert set(held.holds.values_list("reason", flat=True)) == {"remark", "sku", "address"}
    for reason in ("sku", "address"):
        with pytest.raises(review.StillUnfixed):
            review.release_hold(hold=held.holds.get(reason=reason), staff=staff, note="", at=at)
    assert held.holds.filter(released_at=None).count() == 3

    review.release_hold(hold=held.holds.get(reason="remark"), staff=staff, note="已联系", at=at)
    review.fix_address(order=held, division_code="320506", region="江苏省苏州市吴中区", staff=staff, at=at)
    assert review.retry_review(order=held, staff=staff, at=at) is False
    ProductPart.objects.create(product=Product.objects.create(code="??", name="新品"), sku=make_sku("NEW"), quantity=3)
    assert review.retry_review(order=held, staff=staff, at=at) is True
    held.refresh_from_db()
    assert held.state == "placed"
    assert OrderLine.objects.get(sold_code="??").quantity == 3
    assert list(Entry.objects.order_by("id").values_list("name", flat=True)) == ["order.held", "order.placed"]


def test_older_news_changes_nothing_and_newer_news_amends(sofa_set, at):
    lifecycle.place_orders(orders=[sofa_set(source_updated_at=2000)], actor="channel", at=at)
    older = lifecycle.place_orders(orders=[sofa_set(source_updated_at=1999, division_code="110101")], actor="channel", at=at)
    assert older == {"4781320682406083640": "older"}
    assert Order.objects.get().division_code == "320506"

    moved = sofa_set(source_updated_at=2001, division_code="110101", region="北京市东城区")
    assert lifecycle.place_orders(orders=[moved], actor="channel", at=at) == {"4781320682406083640": "updated"}
    assert Order.objects.get().division_code == "110101"
    assert Entry.objects.latest("id").payload["changes"] == ["address"]


def test_a_cancel_that_overtakes_the_payment_leaves_a_cancelled_order(sofa_set, at):
    lifecycle.place_orders(orders=[sofa_set(source_updated_at=2000, channel_status="CLOSED")], actor="channel", at=at)
    lifecycle.place_orders(orders=[sofa_set(source_updated_at=1000)], actor="channel", at=at)
    assert Order.objects.get().state == "cancelled"
    assert not Entry.objects.exists()


def test_a_held_order_is_cancelled_with_its_holds(sofa_set, at):
    lifecycle.place_orders(orders=[sofa_set(division_code="")], actor="channel", at=at)
    lifecycle.place_orders(orders=[sofa_set(source_updated_at=2000, channel_status="CLOSED")], actor="channel", at=at)
    assert Order.objects.get().state == "cancelled"
    assert not OrderHold.objects.filter(released_at=None).exists()


def test_an_order_is_taken_for_routing_once(sofa_set, at):
    lifecycle.place_orders(orders=[sofa_set()], actor="channel", at=at)
    order_id = Order.objects.get().pk
    (taken,) = lifecycle.take_for_routing(order_ids=[order_id], at=at)
    assert (taken.order_no, taken.paid_at, len(taken.lines)) == ("DD4781320682406083640", at, 2)
    assert [(line.sku_code, line.quantity, line.is_counted) for line in taken.lines] == [("SOFA", 2, True), ("FIT", 2, False)]
    assert lifecycle.take_for_routing(order_ids=[order_id], at=at) == []


STATES = [state.value for state in FulfillmentOrder.State]


@pytest.mark.parametrize(("was", "to"), list(product(STATES, STATES)))
def test_work_moves_only_along_its_transitions(was, to, at):
    dealer = make_dealer()
    work = make_work(make_order(make_sku(), state="routed"), make_node(dealer), state=was)
    if to in WORK_TRANSITIONS[was]:
        moved = work_actions.move_work(work_id=work.pk, to=to, actor="test", at=at, version=1)
        assert (moved.state, moved.version) == (to, 2)
        assert Entry.objects.filter(name="work.moved").get().payload["was"] == was
    else:
        with pytest.raises(Stale):
            work_actions.move_work(work_id=work.pk, to=to, actor="test", at=at)
        work.refresh_from_db()
        assert (work.state, work.version, Entry.objects.count()) == (was, 1, 0)


def test_a_stale_version_is_refused(at):
    work = make_work(make_order(make_sku()), make_node(make_dealer()), state="accepted", version=3)
    with pytest.raises(Stale):
        work_actions.move_work(work_id=work.pk, to="shipped", actor="test", at=at, version=2)


def test_the_last_piece_of_work_completes_the_order(at):
    order = make_order(make_sku(), make_sku(), state="routed")
    node = make_node(make_dealer())
    first, second = make_work(order, node, state="installed"), make_work(order, node, state="offered")
    OrderLine.objects.update(quantity=2)
    work_actions.move_work(work_id=first.pk, to="completed", actor="test", at=at)
    order.refresh_from_db()
    assert order.state == "routed"
    work_actions.move_work(work_id=second.pk, to="cancelled", actor="test", at=at)
    order.refresh_from_db()
    assert order.state == "completed"
    assert list(order.lines.values_list("fulfilled_quantity", "cancelled_quantity")) == [(1, 1), (1, 1)]


def test_a_cancelled_order_asks_the_dealer_who_accepted(at):
    order = make_order(make_sku(), state="routed")
    node = make_node(make_dealer())
    open_work, accepted = make_work(order, node, state="offered"), make_work(order, node, state="accepted")
    OrderLine.objects.update(quantity=2)
    assert work_actions.cancel_works(order_id=order.pk, actor="test", at=at) == [open_work.fo_no]
    accepted.refresh_from_db()
    assert accepted.state == "cancel_requested"
    work_actions.move_work(work_id=accepted.pk, to="cancelled", actor="test", at=at)
    order.refresh_from_db()
    assert order.state == "cancelled"


def test_a_refund_is_recorded_once(at):
    order = make_order(make_sku())
    refund = {"channel": order.channel, "shop": order.shop, "external_id": order.external_id, "external_line_id": ""}
    assert lifecycle.record_refund(**refund, refund_key="R1", amount_fen=300, actor="channel", at=at) is True
    assert lifecycle.record_refund(**refund, refund_key="R1", amount_fen=300, actor="channel", at=at) is False
    order.refresh_from_db()
    assert order.refunded_fen == 300


def test_the_receiver_shows_only_to_the_dealer_who_accepted_and_every_look_is_logged(sofa_set, at):
    lifecycle.place_orders(orders=[sofa_set()], actor="channel", at=at)
    order, dealer = Order.objects.get(), make_dealer()
    work = make_work(order, make_node(dealer), state="offered")
    owner, other = make_staff(dealer), make_staff(make_dealer())

    def look(staff):
        return receivers.reveal_receiver(fo_no=work.fo_no, staff=staff, door="api", at=at)

    with pytest.raises(Refusal, match="接单后"):
        look(owner)
    for stranger in (other, make_staff(role="finance")):
        with pytest.raises(NotFound):
            look(stranger)
    assert not ReceiverReveal.objects.exists()

    work_actions.move_work(work_id=work.pk, to="accepted", actor="test", at=at)
    assert look(owner) == Receiver("张三丰", "13800000001", "测试路1号")
    assert ReceiverReveal.objects.get().staff == owner


def test_installers_see_accepted_work_only_and_finance_sees_none(at):
    dealer = make_dealer()
    node = make_node(dealer)
    make_work(make_order(make_sku()), node, state="offered")
    accepted = make_work(make_order(make_sku()), node, state="accepted", accepted_at=at)
    installer = make_staff(dealer, role="installer")
    assert list(queries.works_for(installer)) == [accepted]
    assert queries.works_for(make_staff(dealer, role="clerk")).count() == 2
    assert queries.works_for(make_staff(role="finance")).count() == 0
    assert queries.work_by_short_no(staff=installer, short_no=accepted.short_no, since=at - timedelta(days=1)) == [accepted]
