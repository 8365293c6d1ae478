"""Orders that nobody can serve: tried again when something changes, placed by a person, cancelled after too long a wait."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dealers.capacity import actions as capacity
from dealers.models import DayLoad, DaySlot, Dealer, ServiceArea
from inventory.models import Level, Reservation
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound, Stale
from orders.dispatch import actions as dispatch
from orders.lifecycle import actions as lifecycle
from orders.models import FulfillmentOrder, Offer, Order, OrderHold, RoutingDecision, RuleSet, StrandedOrder
from orders.offers import actions as offers
from orders.placing import actions as placing
from orders.review import actions as review
from orders.routing.rules import RoutingTable
from orders.rulesets.rules import OrderTerms, Unroutable
from orders.stranded import actions as stranded
from orders.stranded import queries
from orders.stranded.actions import CannotPlace
from tests.make import make_level, make_order, make_sku, make_staff
from tests.orders.dispatch_world import World, forget, make_world, subscribed

pytestmark = pytest.mark.django_db
Relay = Callable[[datetime], int]


@pytest.fixture
def world(db: None) -> Iterator[World]:
    with subscribed():
        yield make_world()


def strand(world: World, at: datetime, count: int = 1) -> list[Order]:
    """Orders for which nothing is there."""
    Level.objects.update(on_hand=0)
    orders = [make_order(world.sofa, at=at + timedelta(seconds=n)) for n in range(count)]
    dispatch.route_orders(order_ids=[order.pk for order in orders], actor="test", at=at)
    return orders


def stock(node: object, units: int) -> None:
    Level.objects.filter(node=node).update(on_hand=units)


def tell(*facts: events.Event, at: datetime) -> None:
    with transaction.atomic():
        journal.record(*facts, actor="test", at=at)


def states() -> list[str]:
    return list(Order.objects.order_by("pk").values_list("state", flat=True))


def snapshot() -> tuple[object, ...]:
    """Everything that a refused plan must leave as it is."""
    return (
        list(Order.objects.order_by("pk").values_list("state", "version")),
        list(Level.objects.order_by("pk").values_list("held", flat=True)),
        list(Reservation.objects.order_by("pk").values_list("bill", "state")),
        list(DayLoad.objects.order_by("pk").values_list("taken", "allowed")),
        (FulfillmentOrder.objects.count(), Offer.objects.count(), DaySlot.objects.count(), Entry.objects.count()),
        list(StrandedOrder.objects.order_by("pk").values_list("tries", "cancelled_at")),
        list(OrderHold.objects.order_by("pk").values_list("released_at", flat=True)),
    )


# Waiting and being tried again.


def test_who_waits_is_written_with_its_reasons_and_counts_its_tries(world: World, relay_all: Relay, at: datetime) -> None:
    (order,) = strand(world, at)
    row = StrandedOrder.objects.get()
    assert (row.order, row.since, row.tries, row.cancel_at) == (order, at, 1, None)
    assert row.reasons == ["可售库存不足 ×3"]
    later = at + timedelta(hours=1)
    tell(events.RoutingChanged(what="x"), at=later)
    relay_all(later)
    row.refresh_from_db()
    assert (row.since, row.tried_at, row.tries) == (at, later, 2)
    stock(world.home_node, 1)
    tell(events.StockArrived(node_id=world.home_node.pk, sku_ids=[world.sofa.pk]), at=later)
    relay_all(later)
    assert (states(), StrandedOrder.objects.count()) == (["routed"], 0)


def test_a_try_that_fails_for_the_same_reasons_is_no_news(world: World, relay_all: Relay, at: datetime) -> None:
    strand(world, at)

    def told() -> tuple[int, int]:
        return Entry.objects.filter(name="order.unroutable").count(), RoutingDecision.objects.count()

    for _ in range(3):
        tell(events.RoutingChanged(what="x"), at=at)
        relay_all(at)
    assert (told(), StrandedOrder.objects.get().tries) == ((1, 1), 4)
    Dealer.objects.update(capacity_per_day=0)
    tell(events.RoutingChanged(what="x"), at=at)
    relay_all(at)
    assert (told(), StrandedOrder.objects.get().reasons) == ((2, 2), ["今日接单已满 ×2", "可售库存不足 ×1"])


def test_a_dealer_that_gives_work_back_gets_the_order_that_waited_for_it(world: World, relay_all: Relay, at: datetime) -> None:
    Dealer.objects.update(capacity_per_day=1)
    stock(world.hq_node, 0)
    orders = [make_order(world.sofa, at=at) for _ in range(3)]
    dispatch.route_orders(order_ids=[order.pk for order in orders], actor="test", at=at)
    assert states() == ["routed", "routed", "unroutable"]
    assert StrandedOrder.objects.get().reasons == ["今日接单已满 ×2", "可售库存不足 ×1"]
    first = FulfillmentOrder.objects.get(order=orders[0])
    tell(events.OrderClosedAtSource(order_id=orders[0].pk, order_no=orders[0].order_no), at=at)
    relay_all(at)
    assert states() == ["cancelled", "routed", "routed"]
    assert FulfillmentOrder.objects.get(order=orders[2]).dealer == first.dealer
    assert sorted(DayLoad.objects.values_list("taken", "allowed")) == [(1, 1), (1, 1)]


def test_a_new_day_a_raised_limit_and_a_resumed_dealer_help(world: World, relay_all: Relay, at: datetime) -> None:
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=1)
    ServiceArea.objects.filter(dealer=world.neighbour).delete()
    stock(world.hq_node, 0)
    forget()
    orders = [make_order(world.sofa, at=at) for _ in range(4)]
    dispatch.route_orders(order_ids=[order.pk for order in orders], actor="test", at=at)
    assert states() == ["routed", *["unroutable"] * 3]
    tomorrow = at + timedelta(days=1)
    assert capacity.close_days(at=tomorrow) == 1
    relay_all(tomorrow)
    assert states() == ["routed", "routed", *["unroutable"] * 2]
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=2)
    with transaction.atomic():
        capacity.tell_raised(dealer_id=world.home.pk, actor="test", at=tomorrow)
    relay_all(tomorrow)
    assert states() == [*["routed"] * 3, "unroutable"]
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=9, is_paused=True)
    tell(events.RoutingChanged(what="dealer"), at=tomorrow)
    relay_all(tomorrow)
    assert states() == [*["routed"] * 3, "unroutable"]
    Dealer.objects.filter(pk=world.home.pk).update(is_paused=False)
    tell(events.RoutingChanged(what="dealer"), at=tomorrow)
    relay_all(tomorrow)
    assert states() == ["routed"] * 4


def test_another_dealers_capacity_does_not_wake_the_queue(world: World, relay_all: Relay, at: datetime) -> None:
    strand(world, at)
    ServiceArea.objects.filter(dealer=world.neighbour).delete()
    forget()
    tell(events.CapacityFreed(dealer_id=world.neighbour.pk, why="given_back"), at=at)
    relay_all(at)
    assert StrandedOrder.objects.get().tries == 1
    tell(events.CapacityFreed(dealer_id=world.home.pk, why="given_back"), at=at)
    relay_all(at)
    assert StrandedOrder.objects.get().tries == 2


def test_the_oldest_get_what_arrives_and_the_rest_of_a_long_queue_follows(
    world: World, relay_all: Relay, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stranded, "RETRY_PAGE", 2)
    strand(world, at, 5)
    stock(world.home_node, 4)
    tell(events.StockArrived(node_id=world.home_node.pk, sku_ids=[world.sofa.pk]), at=at)
    relay_all(at)
    assert states() == [*["routed"] * 4, "unroutable"]
    assert list(StrandedOrder.objects.values_list("tries", flat=True)) == [2]
    assert Entry.objects.filter(name="order.retry_due").count() == 2


def test_a_page_of_the_queue_is_read_in_one_statement(world: World, at: datetime) -> None:
    strand(world, at, 3)
    with CaptureQueriesContext(connection) as asked:
        found = queries.next_waiting(sku_ids=[world.sofa.pk], after=None, limit=2)
        rest = queries.next_waiting(sku_ids=(), after=(found[-1].placed_at, found[-1].order_id), limit=2)
    assert (len(asked), [row.placed_at for row in found], len(rest)) == (2, [at, at + timedelta(seconds=1)], 1)
    assert queries.next_waiting(sku_ids=[make_sku().pk], after=None, limit=2) == []


@pytest.mark.parametrize("way", ["closed", "held"])
def test_who_leaves_the_queue_another_way_is_not_in_it_any_more(world: World, at: datetime, way: str) -> None:
    (order,) = strand(world, at)
    if way == "closed":
        with transaction.atomic():
            lifecycle._close_at_source(order, at)
    else:
        review.hold_order(order_id=order.pk, reason="risk", detail="", actor="test", at=at)
    order.refresh_from_db()
    assert (order.state, StrandedOrder.objects.count()) == ({"closed": "cancelled", "held": "held"}[way], 0)


# Orders that a person must place, and orders that may not wait for ever.


def test_an_order_left_to_a_person_is_held_and_stays_in_the_queue(world: World, relay_all: Relay, at: datetime) -> None:
    (order, other) = strand(world, at, 2)
    with CaptureQueriesContext(connection) as asked:
        review.leave_to_a_person(reasons={order.pk: "可售库存不足", other.pk: "可售库存不足"}, actor="test", at=at)
    assert len(asked) <= {"postgresql": 4, "sqlite": 4}[connection.vendor] + 2  # and the savepoint of the batch
    assert (states(), StrandedOrder.objects.count()) == (["held", "held"], 2)
    hold = OrderHold.objects.get(order=order)
    assert (hold.reason, hold.detail, hold.released_at) == ("unroutable", "可售库存不足", None)
    stock(world.home_node, 1)
    tell(events.StockArrived(node_id=world.home_node.pk, sku_ids=[world.sofa.pk]), at=at)
    relay_all(at)
    assert states() == ["held", "held"]
    review.release_hold(hold=hold, staff=world.operator, note="再试", at=at)
    relay_all(at)
    assert (states(), list(StrandedOrder.objects.values_list("order", flat=True))) == (["routed", "held"], [other.pk])


def overdue(order: Order, at: datetime) -> None:
    StrandedOrder.objects.filter(order=order).update(cancel_at=at)


def test_who_waited_too_long_is_cancelled_and_its_money_is_due(world: World, at: datetime) -> None:
    late, held, risky, early = strand(world, at, 4)
    review.leave_to_a_person(reasons={held.pk: "", risky.pk: ""}, actor="test", at=at)
    review.hold_order(order_id=risky.pk, reason="risk", detail="", actor="test", at=at)
    for order in (late, held, risky):
        overdue(order, at + timedelta(hours=1))
    overdue(early, at + timedelta(hours=1, seconds=1))
    assert stranded.cancel_due(at=at) == 0
    end = at + timedelta(hours=1)
    assert (stranded.cancel_due(at=end), stranded.cancel_due(at=end)) == (2, 0)
    assert states() == ["cancelled", "cancelled", "held", "unroutable"]
    assert set(Reservation.objects.filter(state="open").values_list("bill", flat=True)) == {risky.order_no, early.order_no}
    told = Entry.objects.filter(name="order.cancelled").values_list("payload__order_no", "payload__reason")
    assert list(told) == [(order.order_no, "长时间无法派单，已自动取消，渠道退款待办") for order in (late, held)]
    assert not OrderHold.objects.filter(order=held, released_at=None).exists()
    assert {row.order_id for row in queries.refunds_due()} == {late.pk, held.pk}
    Order.objects.filter(pk=late.pk).update(refunded_fen=100_000)
    Order.objects.filter(pk=held.pk).update(channel_status="CLOSED")
    assert queries.refunds_due().count() == 0


def test_whoever_is_routed_first_is_not_cancelled(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock has chosen the order; before it has the lock, the stock that it waited for is promised to it."""
    (order,) = strand(world, at)
    overdue(order, at)
    real = lifecycle.lock_orders

    def outrun(ids: object) -> list[Order]:
        stock(world.home_node, 1)
        dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
        return real(ids)

    monkeypatch.setattr(lifecycle, "lock_orders", outrun)
    assert stranded.cancel_due(at=at) == 0
    assert (states(), world.held()) == (["routed"], [1, 0, 0])


# What an order's terms say of it.


def on_terms(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    terms = OrderTerms(**fields)
    monkeypatch.setattr(RoutingTable, "terms_for", lambda table, order: terms)


def test_terms_leave_an_order_to_a_person_and_say_how_long_it_may_wait(
    world: World, relay_all: Relay, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terms(monkeypatch, on_unroutable=Unroutable.PERSON, cancel_after_hours=48)
    first, second = strand(world, at, 2)
    assert (states(), OrderHold.objects.filter(reason="unroutable", released_at=None).count()) == (["held", "held"], 2)
    assert set(StrandedOrder.objects.values_list("since", "cancel_at")) == {(at, at + timedelta(hours=48))}
    stock(world.home_node, 1)
    tell(events.StockArrived(node_id=world.home_node.pk, sku_ids=[world.sofa.pk]), at=at)
    relay_all(at)
    assert states() == ["held", "held"]
    stranded.place_order(order_id=second.pk, places={lines_of(second)[0]: "N-D001"}, staff=world.operator, at=at)
    assert (stranded.cancel_due(at=at + timedelta(hours=48)), states()) == (1, ["cancelled", "routed"])


def test_the_published_rules_say_what_becomes_of_an_order(world: World, at: datetime) -> None:
    RuleSet.objects.update(on_unroutable="person", cancel_after_hours=12)
    forget()
    strand(world, at)
    assert (states(), StrandedOrder.objects.get().cancel_at) == (["held"], at + timedelta(hours=12))


def test_the_end_of_the_wait_counts_from_its_beginning_and_follows_the_rules(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terms(monkeypatch, cancel_after_hours=8)
    (order,) = strand(world, at)
    later = at + timedelta(hours=7)
    dispatch.route_orders(order_ids=[order.pk], actor="test", at=later)
    assert StrandedOrder.objects.values_list("since", "tried_at", "cancel_at").get() == (at, later, at + timedelta(hours=8))
    on_terms(monkeypatch, cancel_after_hours=24)
    dispatch.route_orders(order_ids=[order.pk], actor="test", at=later)
    assert StrandedOrder.objects.get().cancel_at == at + timedelta(hours=24)
    on_terms(monkeypatch)
    dispatch.route_orders(order_ids=[order.pk], actor="test", at=later)
    assert StrandedOrder.objects.get().cancel_at is None


def test_terms_that_give_way_find_a_place_before_the_order_waits(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lamp = make_sku("LAMP")
    Level.objects.exclude(node=world.home_node).update(on_hand=0)
    make_level(world.hq_node, lamp, 1)
    for how, state in ((Unroutable.WAIT, "unroutable"), (Unroutable.SPLIT, "routed")):
        on_terms(monkeypatch, on_unroutable=how, max_packages=1)
        order = make_order(world.sofa, lamp, at=at)
        dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
        order.refresh_from_db()
        assert order.state == state
    Level.objects.update(on_hand=0, held=0)
    stock(world.hq_node, 1)
    on_terms(monkeypatch, on_unroutable=Unroutable.HQ, never_groups=frozenset({"X"}), max_km=1)
    order = make_order(world.sofa, at=at)
    dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
    assert FulfillmentOrder.objects.get(order=order).node == world.hq_node


def test_a_hundred_orders_left_to_a_person_take_as_many_statements_as_two(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terms(monkeypatch, on_unroutable=Unroutable.PERSON, cancel_after_hours=48)
    strand(world, at)
    counts = []
    for size in (2, 100):
        ids = [make_order(world.sofa, at=at).pk for _ in range(size)]
        with CaptureQueriesContext(connection) as asked:
            dispatch.route_orders(order_ids=ids, actor="test", at=at)
        counts.append(len([query for query in asked if "SAVEPOINT" not in query["sql"]]))
    assert counts[0] == counts[1] <= 22


# A person places an order.


def lines_of(order: Order) -> list[int]:
    return list(order.lines.order_by("position").values_list("pk", flat=True))


def test_a_person_places_a_whole_order(world: World, relay_all: Relay, at: datetime) -> None:
    (order,) = strand(world, at)
    stock(world.neighbour_node, 1)
    (line,) = lines_of(order)
    numbers = stranded.place_order(order_id=order.pk, places={line: " N-D002 "}, staff=world.operator, at=at)
    work, offer = FulfillmentOrder.objects.get(), Offer.objects.get()
    assert (numbers, work.fo_no) == ([f"{order.order_no}-1"], f"{order.order_no}-1")
    assert (work.state, work.node, offer.dealer, offer.income_fen) == ("offered", world.neighbour_node, world.neighbour, 12_000)
    assert (world.held(), DaySlot.objects.get().dealer, StrandedOrder.objects.count()) == ([0, 1, 0], world.neighbour, 0)
    assert not Reservation.objects.filter(bill=order.order_no, state="open").exists()
    decision = RoutingDecision.objects.order_by("-id").first()
    assert decision is not None
    assert (decision.policy, decision.is_routable, decision.plan[0]["node"]) == ("人工派单", True, "N-D002")
    offers.accept_offer(offer_no=offer.offer_no, staff=world.neighbour_owner, at=at)
    assert states() == ["routed"]


def test_a_person_parts_an_order_among_places_and_leaves_a_line_for_later(world: World, relay_all: Relay, at: datetime) -> None:
    lamp, rug = make_sku("LAMP", name="台灯"), make_sku("RUG", name="地毯")
    order = make_order(world.sofa, lamp, rug, at=at, paid_fen=90_000)
    Level.objects.update(on_hand=0)
    dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
    stock(world.home_node, 1)
    make_level(world.hq_node, lamp, 1)
    sofa_line, lamp_line, rug_line = lines_of(order)
    places = {sofa_line: "N-D001", lamp_line: "N-HQ", rug_line: ""}
    numbers = stranded.place_order(order_id=order.pk, places=places, staff=world.operator, at=at)
    works = list(
        FulfillmentOrder.objects.order_by("fo_no").values_list("state", "node__code", "dealer__code", "summary", "paid_fen")
    )
    assert works == [
        ("offered", "N-D001", "D001", "沙发 KT-3300 ×1", 30_000),
        ("accepted", "N-HQ", None, "台灯 ×1", 30_000),
        ("stuck", "N-D001", None, "地毯 ×1", 30_000),
    ]
    assert numbers == [f"{order.order_no}-1", f"{order.order_no}-2"]
    make_level(world.hq_node, rug, 1)
    placing.place_by_hand(fo_no=f"{order.order_no}-3", node_id=world.hq_node.pk, staff=world.operator, at=at)
    relay_all(at)
    assert FulfillmentOrder.objects.get(fo_no=f"{order.order_no}-3").state == "accepted"
    assert sum(Level.objects.values_list("held", flat=True)) == 3


def test_an_order_that_is_held_for_a_person_is_placed_too(world: World, at: datetime) -> None:
    (order,) = strand(world, at)
    review.leave_to_a_person(reasons={order.pk: "可售库存不足"}, actor="test", at=at)
    stock(world.hq_node, 1)
    stranded.place_order(order_id=order.pk, places={lines_of(order)[0]: "N-HQ"}, staff=world.operator, at=at)
    hold = OrderHold.objects.get()
    assert (states(), hold.released_by, hold.note, world.held()) == (["routed"], world.operator, "人工派单", [0, 0, 1])


def refused(order: Order, places: dict[int, str], world: World, at: datetime, error: type[Exception], told: str) -> None:
    before = snapshot()
    with pytest.raises(error, match=told):
        stranded.place_order(order_id=order.pk, places=places, staff=world.operator, at=at)
    assert snapshot() == before


def test_a_refusal_names_everything_that_is_lacking_and_changes_nothing(world: World, at: datetime) -> None:
    lamp = make_sku("LAMP", name="台灯")
    Level.objects.update(on_hand=0)
    order = make_order(world.sofa, lamp, at=at, quantity=2)
    dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
    stock(world.home_node, 1)
    make_level(world.home_node, lamp, 2)
    sofa, light = lines_of(order)
    refused(order, {sofa: "N-D001", light: "N-HQ"}, world, at, CannotPlace,
            "经销商仓N-D001 的「沙发 KT-3300」可售 1，需要 2；总部仓N-HQ 的「台灯」可售 0，需要 2")  # fmt: skip
    refused(order, {sofa: "N-D001", light: "N-404"}, world, at, CannotPlace, "没有启用的发货点 N-404")
    refused(order, {sofa: "", light: " "}, world, at, CannotPlace, "请至少为一行商品选择发货点")
    refused(order, {sofa: "N-D001", 10**9: "N-D001"}, world, at, Stale, "商品行已变更")
    world.home.skills.filter(code="install:furniture").delete()
    refused(order, {sofa: "N-D001"}, world, at, CannotPlace, "没有安装技能 install:furniture")
    Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=0)
    refused(order, {light: "N-D001"}, world, at, CannotPlace, "今日接单已满（0 / 0）")


def test_only_hq_places_and_only_who_waits_is_placed(world: World, relay_all: Relay, at: datetime) -> None:
    order, other = strand(world, at, 2)
    stock(world.hq_node, 5)
    places = {lines_of(order)[0]: "N-HQ"}
    before = snapshot()
    for staff in (world.owner, make_staff(role="finance"), make_staff(world.home, role="installer")):
        with pytest.raises(NotFound):
            stranded.place_order(order_id=order.pk, places=places, staff=staff, at=at)
        with pytest.raises(NotFound):
            stranded.try_again(order_ids=[order.pk], staff=staff, at=at)
    assert snapshot() == before
    review.leave_to_a_person(reasons={other.pk: ""}, actor="test", at=at)
    review.hold_order(order_id=other.pk, reason="risk", detail="", actor="test", at=at)
    refused(other, {lines_of(other)[0]: "N-HQ"}, world, at, CannotPlace, "订单还有待审核：平台风控")
    assert stranded.try_again(order_ids=[order.pk, other.pk], staff=world.operator, at=at) == 1
    refused(order, places, world, at, Stale, "已不在无法派单队列中")
