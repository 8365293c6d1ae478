"""From a waiting order to the one dealer who does it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dealers.models import Acceptance, Dealer, ServiceArea
from inventory.models import Level, Reservation
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Shelf
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.models import Delivery, Entry
from oms_project.refusal import NotFound, Stale
from orders.dispatch import actions as dispatch
from orders.dispatch import queries as dispatch_queries
from orders.models import FulfillmentOrder, LadderStep, Offer, Order, OrderHold, RoutingDecision
from orders.offers import actions as offers
from orders.offers import queries
from orders.offers.actions import OfferGone, ReasonNeeded
from orders.placing import actions as placing
from orders.placing.actions import NoStockThere
from tests.make import SUZHOU_WUZHONG, make_dealer, make_level, make_node, make_order, make_sku, make_staff
from tests.orders.dispatch_world import World, forget, make_world, subscribed

pytestmark = pytest.mark.django_db
Relay = Callable[[datetime], int]


@pytest.fixture
def world(db: None) -> Iterator[World]:
    with subscribed():
        yield make_world()


def placed(order: Order) -> events.OrderPlaced:
    return events.OrderPlaced(
        order_id=order.pk,
        order_no=order.order_no,
        channel=order.channel,
        shop=order.shop,
        division_code=order.division_code,
        region="江苏省苏州市吴中区",
        paid_fen=order.paid_fen,
        units=1,
    )


def place(*orders: Order, at: datetime) -> None:
    with transaction.atomic():
        journal.record(*[placed(order) for order in orders], actor="test", at=at)


def opened(world: World, relay_all: Relay, at: datetime) -> Offer:
    """One order, routed, on offer at the dealer of the district."""
    place(make_order(world.sofa, at=at), at=at)
    relay_all(at)
    return Offer.objects.get()


def entries(name: str) -> list[dict]:
    return list(Entry.objects.filter(name=name).order_by("id").values_list("payload", flat=True))


def test_a_placed_order_is_offered_to_the_dealer_of_the_district(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    order, work = Order.objects.get(), FulfillmentOrder.objects.get()
    assert (order.state, work.state, work.dealer, work.node) == ("routed", "offered", world.home, world.home_node)
    assert (work.fo_no, work.summary, work.paid_fen, work.needs_install) == (
        f"{order.order_no}-1",
        "沙发 KT-3300 ×1",
        100_000,
        True,
    )
    assert (offer.offer_no, offer.state, offer.dealer, offer.round) == (f"{order.order_no}-1-1", "pending", world.home, 1)
    assert offer.expires_at == at + timedelta(seconds=60)
    assert offer.income_fen == 12_000
    assert [(part["component"], part["amount_fen"]) for part in offer.income] == [("service_fee", 6000), ("commission", 6000)]
    assert world.held() == [1, 0, 0]
    assert RoutingDecision.objects.get().is_routable
    (told,) = entries("offer.opened")
    assert (told["offer_id"], told["income_fen"], told["expires_at"]) == (offer.pk, 12_000, offer.expires_at.isoformat())
    assert (told["region"], told["summary"]) == ("江苏省苏州市吴中区", "沙发 KT-3300 ×1")
    assert entries("order.routed")[0]["nodes"] == ["N-D001"]


def test_a_message_told_twice_routes_once(world: World, relay_all: Relay, at: datetime) -> None:
    order = make_order(world.sofa)
    place(order, order, at=at)
    relay_all(at)
    place(order, at=at)
    relay_all(at)
    assert (Offer.objects.count(), world.held()) == (1, [1, 0, 0])


def test_accepting_wins_the_work(world: World, relay_all: Relay, at: datetime) -> None:
    offer, soon = opened(world, relay_all, at), at + timedelta(seconds=20)
    won = offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=soon, version=1)
    relay_all(soon)
    work = FulfillmentOrder.objects.get()
    assert (won.state, won.answered_by, won.answered_at, won.version) == ("accepted", world.owner, soon, 2)
    assert (work.state, work.accepted_at, work.version) == ("accepted", soon, 2)
    (told,) = entries("offer.closed")
    assert (told["state"], told["waited_seconds"], told["answered_by"]) == ("accepted", 20, world.owner.name)
    assert list(Acceptance.objects.values_list("dealer", "accepted_count", "refused_count")) == [(world.home.pk, 1, 0)]
    assert world.held() == [1, 0, 0]


def test_accepting_again_or_by_a_colleague_returns_the_same_offer(world: World, relay_all: Relay, at: datetime) -> None:
    offer, clerk = opened(world, relay_all, at), make_staff(world.home, role="clerk")
    offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
    for staff in (world.owner, clerk):
        again = offers.accept_offer(offer_no=offer.offer_no, staff=staff, at=at + timedelta(hours=1), version=1)
        assert (again.pk, again.answered_by, again.version) == (offer.pk, world.owner, 2)
    assert len(entries("offer.closed")) == 1


def test_a_paused_dealer_may_still_answer(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    Dealer.objects.update(is_paused=True)
    assert offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at).state == "accepted"


def assert_untouched(offer: Offer, count: int) -> None:
    offer.refresh_from_db()
    assert (offer.state, offer.version, offer.answered_at) == ("pending", 1, None)
    assert FulfillmentOrder.objects.get().state == "offered"
    assert Entry.objects.count() == count


def test_an_offer_is_over_at_its_deadline(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    count = Entry.objects.count()
    with pytest.raises(OfferGone, match="这张单已超时"):
        offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=offer.expires_at)
    with pytest.raises(OfferGone, match="这张单已超时"):
        offers.decline_offer(offer_no=offer.offer_no, staff=world.owner, reason="busy", at=offer.expires_at)
    assert offers.expire_due(at=offer.expires_at - timedelta(microseconds=1)) == 0
    assert_untouched(offer, count)
    assert offers.expire_due(at=offer.expires_at) == 1
    assert offers.expire_due(at=offer.expires_at) == 0
    offer.refresh_from_db()
    assert (offer.state, offer.version) == ("expired", 2)
    with pytest.raises(OfferGone, match="系统已派给下一家"):
        offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)


def test_the_last_moment_before_the_deadline_counts(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    last = offer.expires_at - timedelta(microseconds=1)
    assert offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=last).state == "accepted"


def test_an_offer_is_nobody_elses(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    count = Entry.objects.count()
    strangers = [
        world.neighbour_owner,
        world.operator,
        make_staff(role="finance"),
        make_staff(world.home, role="installer"),
    ]
    for staff in strangers:
        with pytest.raises(NotFound):
            offers.accept_offer(offer_no=offer.offer_no, staff=staff, at=at)
        with pytest.raises(NotFound):
            offers.decline_offer(offer_no=offer.offer_no, staff=staff, reason="busy", at=at)
    with pytest.raises(NotFound):
        offers.accept_offer(offer_no="nothing", staff=world.owner, at=at)
    with pytest.raises(Stale):
        offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at, version=7)
    with pytest.raises(ReasonNeeded, match="缺货"):
        offers.decline_offer(offer_no=offer.offer_no, staff=world.owner, reason="", at=at)
    assert_untouched(offer, count)
    assert [list(queries.open_offers(staff)) for staff in strangers] == [[], [offer], [], []]
    assert list(queries.open_offers(world.owner)) == [offer]


def test_after_a_refusal_the_next_is_asked_and_hq_is_last(world: World, relay_all: Relay, at: datetime) -> None:
    first = opened(world, relay_all, at)
    offers.decline_offer(offer_no=first.offer_no, staff=world.owner, reason="no_stock", note="卖完了", at=at)
    relay_all(at)
    work, second = FulfillmentOrder.objects.get(), Offer.objects.get(round=2)
    assert (second.dealer, second.node, second.state, second.ladder_step) == (world.neighbour, world.neighbour_node, "pending", 2)
    assert (second.offer_no, second.expires_at) == (f"{work.fo_no}-2", at + timedelta(seconds=90))
    assert (work.state, work.dealer, work.node) == ("offered", world.neighbour, world.neighbour_node)
    assert world.held() == [0, 1, 0]
    with pytest.raises(OfferGone, match="已拒单"):
        offers.accept_offer(offer_no=first.offer_no, staff=world.owner, at=at)

    offers.expire_due(at=second.expires_at)
    relay_all(second.expires_at)
    work.refresh_from_db()
    assert (work.state, work.dealer, work.node) == ("accepted", None, world.hq_node)
    assert world.held() == [0, 0, 1]
    assert sorted(Offer.objects.values_list("state", flat=True)) == ["declined", "expired"]
    answers = Acceptance.objects.order_by("dealer__code").values_list("accepted_count", "refused_count", "no_weight")
    assert list(answers) == [(0, 1, 1000), (0, 1, 1000)]
    assert list(RoutingDecision.objects.order_by("round").values_list("round", "fo_no")) == [
        (1, ""),
        (2, work.fo_no),
        (3, work.fo_no),
    ]


def test_nobody_left_waits_for_a_person_who_may_ask_again(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    Level.objects.exclude(node=world.home_node).update(on_hand=0)
    offers.decline_offer(offer_no=offer.offer_no, staff=world.owner, reason="busy", at=at)
    relay_all(at)
    work = FulfillmentOrder.objects.get()
    assert (work.state, world.held()) == ("stuck", [0, 0, 0])
    assert Offer.objects.count() == 1

    with pytest.raises(NotFound):
        placing.place_by_hand(fo_no=work.fo_no, node_id=world.home_node.pk, staff=world.owner, at=at)
    with pytest.raises(NoStockThere, match="可售库存不足"):
        placing.place_by_hand(fo_no=work.fo_no, node_id=world.hq_node.pk, staff=world.operator, at=at)
    assert (FulfillmentOrder.objects.get().state, world.held()) == ("stuck", [0, 0, 0])

    placing.place_by_hand(fo_no=work.fo_no, node_id=world.home_node.pk, staff=world.operator, at=at)
    again = Offer.objects.get()
    assert (again.pk, again.state, again.round, again.offer_no) == (offer.pk, "pending", 2, f"{work.fo_no}-2")
    assert (again.decline_reason, again.income_fen, world.held()) == ("", 12_000, [1, 0, 0])
    offers.accept_offer(offer_no=again.offer_no, staff=world.owner, at=at)
    with pytest.raises(Stale, match="不能改派"):
        placing.place_by_hand(fo_no=work.fo_no, node_id=world.hq_node.pk, staff=world.operator, at=at)


def test_an_operator_takes_an_open_offer_to_hq(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    work = placing.place_by_hand(fo_no=offer.work.fo_no, node_id=world.hq_node.pk, staff=world.operator, at=at)
    relay_all(at)
    work.refresh_from_db()
    offer.refresh_from_db()
    assert (work.state, work.node, work.dealer) == ("accepted", world.hq_node, None)
    assert (offer.state, world.held()) == ("withdrawn", [0, 0, 1])
    assert Offer.objects.count() == 1


def test_a_withdrawn_offer_goes_to_the_next(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    with pytest.raises(NotFound):
        offers.withdraw_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
    offers.withdraw_offer(offer_no=offer.offer_no, staff=world.operator, at=at)
    relay_all(at)
    assert Offer.objects.get(state="pending").dealer == world.neighbour
    assert Acceptance.objects.count() == 0


def closed_at_source(order: Order, at: datetime) -> None:
    with transaction.atomic():
        fact = events.OrderClosedAtSource(order_id=order.pk, order_no=order.order_no, reason="平台关闭")
        journal.record(fact, actor="test", at=at)


def test_a_cancel_before_the_answer_ends_everything(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    closed_at_source(offer.work.order, at)
    relay_all(at)
    offer.refresh_from_db()
    assert (offer.state, FulfillmentOrder.objects.get().state, Order.objects.get().state) == (
        "withdrawn",
        "cancelled",
        "cancelled",
    )
    assert world.held() == [0, 0, 0]
    with pytest.raises(OfferGone, match="已撤回"):
        offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
    assert FulfillmentOrder.objects.get().state == "cancelled"


def test_a_cancel_after_the_answer_asks_the_dealer(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
    closed_at_source(offer.work.order, at)
    relay_all(at)
    offer.refresh_from_db()
    assert (offer.state, FulfillmentOrder.objects.get().state, Order.objects.get().state) == (
        "accepted",
        "cancel_requested",
        "routed",
    )
    assert world.held() == [1, 0, 0]


def amended(order: Order, at: datetime) -> None:
    with transaction.atomic():
        fact = events.OrderAmended(order_id=order.pk, order_no=order.order_no, changes=["address"])
        journal.record(fact, actor="test", at=at)


def test_a_new_address_is_decided_anew(world: World, relay_all: Relay, at: datetime) -> None:
    first = opened(world, relay_all, at)
    amended(first.work.order, at)
    relay_all(at)
    states = list(FulfillmentOrder.objects.order_by("pk").values_list("state", flat=True))
    second = Offer.objects.get(state="pending")
    first.refresh_from_db()
    assert (states, first.state) == (["cancelled", "offered"], "withdrawn")
    assert (second.offer_no, second.dealer) == (f"{Order.objects.get().order_no}-2-1", world.home)
    assert world.held() == [1, 0, 0]


def test_a_new_address_after_the_answer_needs_a_person(world: World, relay_all: Relay, at: datetime) -> None:
    offer = opened(world, relay_all, at)
    offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
    amended(offer.work.order, at)
    relay_all(at)
    assert OrderHold.objects.get().reason == "amended"
    assert (FulfillmentOrder.objects.get().state, world.held()) == ("accepted", [1, 0, 0])


def test_an_order_without_stock_waits_until_stock_arrives(world: World, relay_all: Relay, at: datetime) -> None:
    Level.objects.update(on_hand=0)
    order = make_order(world.sofa)
    place(order, at=at)
    relay_all(at)
    order.refresh_from_db()
    assert (order.state, FulfillmentOrder.objects.count(), len(entries("order.unroutable"))) == ("unroutable", 0, 1)
    other = make_sku()
    for sku_id, state in ((other.pk, "unroutable"), (world.sofa.pk, "routed")):
        Level.objects.filter(node=world.hq_node).update(on_hand=1)
        with transaction.atomic():
            journal.record(events.StockArrived(node_id=world.hq_node.pk, sku_ids=[sku_id]), actor="test", at=at)
        relay_all(at)
        order.refresh_from_db()
        assert order.state == state
    assert (FulfillmentOrder.objects.get().state, world.held()) == ("accepted", [0, 0, 1])
    assert entries("work.moved")[0]["state"] == "accepted"


def test_new_rules_give_waiting_orders_another_chance(world: World, relay_all: Relay, at: datetime) -> None:
    order = make_order(world.sofa, state="unroutable")
    with transaction.atomic():
        journal.record(events.RoutingChanged(what="nodes"), actor="test", at=at)
    relay_all(at)
    order.refresh_from_db()
    assert (order.state, world.held()) == ("routed", [1, 0, 0])


def test_the_last_unit_goes_to_one_buyer(world: World, relay_all: Relay, at: datetime) -> None:
    Level.objects.update(on_hand=0)
    Level.objects.filter(node=world.home_node).update(on_hand=1)
    place(make_order(world.sofa), make_order(world.sofa), at=at)
    relay_all(at)
    assert list(Order.objects.order_by("pk").values_list("state", flat=True)) == ["routed", "unroutable"]
    assert world.held() == [1, 0, 0]


def test_two_lines_of_one_sku_want_their_sum(world: World, relay_all: Relay, at: datetime) -> None:
    Level.objects.exclude(node=world.hq_node).update(on_hand=1)
    place(make_order(world.sofa, world.sofa), at=at)
    relay_all(at)
    assert sum(world.held()) == 2
    assert all(level.held <= level.on_hand for level in Level.objects.all())


def test_a_faster_worker_makes_the_order_think_again(
    world: World, relay_all: Relay, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dispatch_queries.shelf
    calls: list[int] = []

    def outrun(**asked: object) -> Shelf:
        seen = real(**asked)
        if not calls:
            Level.objects.filter(node=world.home_node).update(on_hand=0)
        calls.append(1)
        return seen

    monkeypatch.setattr(dispatch_queries, "shelf", outrun)
    place(make_order(world.sofa), at=at)
    relay_all(at)
    assert (len(calls), Offer.objects.get().dealer, world.held()) == (2, world.neighbour, [0, 1, 0])


def test_three_lost_races_leave_the_order_waiting(
    world: World, relay_all: Relay, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "hold", lambda **asked: frozenset())
    place(make_order(world.sofa), at=at)
    relay_all(at)
    assert (Order.objects.get().state, world.held()) == ("unroutable", [0, 0, 0])
    awaited = Reservation.objects.get()
    assert (awaited.kind, awaited.bill, awaited.quantity) == ("global", Order.objects.get().order_no, 1)
    assert entries("order.unroutable")[0]["reasons"] == ["库存被同时下单的订单占用"]


def test_a_poisoned_order_parks_itself_and_nobody_else(
    world: World, relay_all: Relay, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [make_order(world.sofa) for _ in range(3)]
    real = dispatch.rules.plan_works

    def plan_works(order: object, *args: object) -> object:
        if order.order_id == orders[1].pk:
            raise ValueError("poison")
        return real(order, *args)

    monkeypatch.setattr(dispatch.rules, "plan_works", plan_works)
    place(*orders, at=at)
    relay_all(at)
    assert list(Order.objects.order_by("pk").values_list("state", flat=True)) == ["routed", "placed", "routed"]
    assert Delivery.objects.get().last_error == "ValueError: poison"
    assert world.held() == [2, 0, 0]


def test_two_orders_and_a_hundred_take_the_same_statements(world: World, relay_all: Relay, at: datetime) -> None:
    Level.objects.update(on_hand=200)
    opened(world, relay_all, at)
    counts = []
    for size in (1, 2, 100):
        place(*[make_order(world.sofa) for _ in range(size)], at=at)
        with CaptureQueriesContext(connection) as captured:
            assert journal.relay_to(journal._subscriptions["orders.dispatch.on_order_placed"], at=at) == size
        counts.append(len([query for query in captured if "SAVEPOINT" not in query["sql"]]))
    assert counts == STATEMENTS[connection.vendor]
    assert Offer.objects.filter(state="pending").count() == 104


# Claim, take, days, stock, hold, places of days, work and its lines, offers, entries, decisions. SQLite claims, takes, counts
# and records in one statement more each, and holds one want in two statements and more of them in four.
STATEMENTS = {"postgresql": [10, 10, 10], "sqlite": [15, 17, 17]}


def test_a_dealer_with_two_places_is_not_asked_twice(world: World, relay_all: Relay, at: datetime) -> None:
    make_level(make_node(world.home, code="N-D001-2"), world.sofa)
    forget()
    offer = opened(world, relay_all, at)
    offers.decline_offer(offer_no=offer.offer_no, staff=world.owner, reason="too_far", at=at)
    relay_all(at)
    asked = list(Offer.objects.order_by("round").values_list("dealer__code", flat=True))
    assert asked == ["D001", "D002"]


@pytest.mark.parametrize(("max_offers", "asked"), [(2, 3), (9, 6)])
def test_nobody_is_asked_twice_and_a_rung_has_its_limit(
    world: World, relay_all: Relay, at: datetime, max_offers: int, asked: int
) -> None:
    LadderStep.objects.update(max_offers=max_offers)
    for number in range(4):
        dealer = make_dealer(f"D01{number}", territory=())
        ServiceArea.objects.create(dealer=dealer, division_code=SUZHOU_WUZHONG, kind="neighbour")
        make_level(make_node(dealer, code=f"N-D01{number}"), world.sofa)
    forget()
    opened(world, relay_all, at)
    moment = at
    while offer := Offer.objects.filter(state="pending").first():
        moment = offer.expires_at
        assert offers.expire_due(at=moment) == 1
        relay_all(moment)
    work = FulfillmentOrder.objects.get()
    assert (work.state, work.node, Offer.objects.count()) == ("accepted", world.hq_node, asked)
    assert len(set(Offer.objects.values_list("dealer_id", flat=True))) == asked
    assert list(Offer.objects.order_by("round").values_list("round", flat=True)) == list(range(1, asked + 1))
    assert Reservation.objects.filter(state="open").get().level == world.level(world.hq_node)
