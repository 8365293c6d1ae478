"""Work that a person puts at a place stays there until a person says otherwise."""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.db import transaction
from django.test import Client

from inventory.ledger import queries as books
from inventory.models import Level, Movement, Node, Reservation
from inventory.pool import queries as pool
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.models import Entry
from orders.models import FulfillmentOrder, Offer, Order, OrderHold, RoutingDecision
from orders.offers import actions as offers
from orders.placing import actions as placing
from orders.work import actions as work_actions
from orders.work.actions import PinnedWork
from tests.make import make_order, make_staff
from tests.orders.dispatch_world import World, make_world, subscribed

pytestmark = pytest.mark.django_db
Relay = Callable[[datetime], int]


@pytest.fixture
def world(db: None) -> Iterator[World]:
    with subscribed():
        yield make_world()


def place(order: Order, at: datetime) -> None:
    with transaction.atomic():
        fact = events.OrderPlaced(
            order_id=order.pk, order_no=order.order_no, channel=order.channel, shop=order.shop,
            division_code=order.division_code, region=order.region, paid_fen=order.paid_fen, units=1,
        )  # fmt: skip
        journal.record(fact, actor="test", at=at)


@pytest.fixture
def order(world: World, relay_all: Relay, at: datetime) -> Order:
    """One order that is on offer at the dealer of the district."""
    made = make_order(world.sofa, at=at)
    place(made, at)
    relay_all(at)
    return made


def pin(world: World, order: Order, node: Node, at: datetime) -> FulfillmentOrder:
    return placing.place_by_hand(fo_no=order.work.get().fo_no, node_id=node.pk, staff=world.operator, at=at)


def held_as() -> list[tuple[str, str]]:
    """(node, kind) of what is held now."""
    return list(Reservation.objects.filter(state="open").values_list("level__node__code", "kind"))


def agree() -> None:
    """What is held is what the open reservations say."""
    assert [each for each in books.drift() if each.held != each.promised] == []


def told() -> str:
    return Entry.objects.filter(name="work.moved").latest("id").payload["note"]


def test_what_the_system_decides_is_not_pinned(order: Order) -> None:
    assert (order.work.get().is_pinned, held_as()) == (False, [("N-D001", "offer")])


def test_pinned_units_stand_in_a_part_of_their_own_until_they_leave(
    world: World, order: Order, relay_all: Relay, at: datetime
) -> None:
    work = pin(world, order, world.neighbour_node, at)
    relay_all(at)
    assert (work.is_pinned, work.state, held_as()) == (True, "offered", [("N-D002", "pinned")])
    offers.accept_offer(offer_no=work.offers.get(state="pending").offer_no, staff=world.neighbour_owner, at=at)
    assert held_as() == [("N-D002", "pinned")]
    (row,) = [row for row in pool.sku_view(sku_id=world.sofa.pk, at=at).rows if row.code == "N-D002"]
    assert (row.parts.held, row.parts.pinned, row.parts.node, row.parts.offer, row.parts.unexplained) == (1, 1, 0, 0, 0)
    agree()
    assert reservations.consume(bills=[work.fo_no], actor="test", at=at) == 1
    assert Movement.objects.values_list("node__code", "kind", "quantity").get() == ("N-D002", "shipment", -1)


def test_what_is_put_at_hqs_own_place_is_pinned_too(world: World, order: Order, relay_all: Relay, at: datetime) -> None:
    work = pin(world, order, world.hq_node, at)
    relay_all(at)
    assert (work.state, work.is_pinned, held_as()) == ("accepted", True, [("N-HQ", "pinned")])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("decline", "指定的华北经销商拒单：人手不足"),
        ("expire", "指定的华北经销商超时未接单"),
        ("withdraw", "对华北经销商的指定已撤回"),
    ],
)
def test_refused_pinned_work_waits_for_a_person_though_others_could_do_it(
    world: World, order: Order, relay_all: Relay, at: datetime, answer: str, why: str
) -> None:
    work = pin(world, order, world.neighbour_node, at)
    relay_all(at)
    offer, decisions = work.offers.get(state="pending"), RoutingDecision.objects.count()
    if answer == "decline":
        offers.decline_offer(offer_no=offer.offer_no, staff=world.neighbour_owner, reason="busy", at=at)
    elif answer == "withdraw":
        offers.withdraw_offer(offer_no=offer.offer_no, staff=world.operator, at=at)
    else:
        at = offer.expires_at
        offers.expire_due(at=at)
    relay_all(at)
    work.refresh_from_db()
    assert (work.state, work.node, work.stuck_reason, told()) == ("stuck", world.neighbour_node, why, why)
    assert (held_as(), world.held()) == ([], [0, 0, 0])
    agree()
    assert not Offer.objects.filter(state="pending").exists()
    assert RoutingDecision.objects.count() == decisions
    relay_all(at)
    again = pin(world, order, world.home_node, at)
    assert (again.state, again.stuck_reason, held_as()) == ("offered", "", [("N-D001", "pinned")])


def test_pinned_work_does_not_stop_other_work_of_the_same_batch(
    world: World, order: Order, relay_all: Relay, at: datetime
) -> None:
    other = make_order(world.sofa, at=at)
    place(other, at)
    relay_all(at)
    pin(world, order, world.home_node, at)
    relay_all(at)
    for work in FulfillmentOrder.objects.all():
        offers.decline_offer(offer_no=work.offers.get(state="pending").offer_no, staff=world.owner, reason="busy", at=at)
    relay_all(at)
    assert [order.work.get().state, other.work.get().state] == ["stuck", "offered"]
    assert held_as() == [("N-D002", "offer")]


def test_a_new_address_leaves_pinned_work_to_a_person(world: World, order: Order, relay_all: Relay, at: datetime) -> None:
    work = pin(world, order, world.neighbour_node, at)
    relay_all(at)
    with transaction.atomic():
        fact = events.OrderAmended(order_id=order.pk, order_no=order.order_no, changes=["address"])
        journal.record(fact, actor="test", at=at)
    relay_all(at)
    work.refresh_from_db()
    hold = OrderHold.objects.get()
    assert (hold.reason, hold.detail) == ("amended", "指定发货点后收货地址变更，请人工确认")
    assert (work.state, work.node, held_as()) == ("offered", world.neighbour_node, [("N-D002", "pinned")])
    assert order.work.count() == 1


def test_no_step_of_the_system_moves_pinned_work(world: World, order: Order, relay_all: Relay, at: datetime) -> None:
    work = pin(world, order, world.neighbour_node, at)
    before = FulfillmentOrder.objects.values().get(), Entry.objects.count(), list(Level.objects.values().order_by("pk"))
    where = {"node_id": world.home_node.pk, "dealer_id": world.home.pk, "state": "offered"}
    with pytest.raises(PinnedWork, match="^已指定发货点，不能自动改派$"):
        work_actions.rehome_work(work_id=work.pk, actor="system:dispatch", at=at, **where)  # type: ignore[arg-type]
    with pytest.raises(PinnedWork):
        work_actions.place_again(order_id=order.pk, actor="system:dispatch", at=at)
    after = FulfillmentOrder.objects.values().get(), Entry.objects.count(), list(Level.objects.values().order_by("pk"))
    assert after == before


def test_the_admin_shows_what_is_pinned_and_why_it_waits(
    world: World, order: Order, relay_all: Relay, at: datetime, client: Client
) -> None:
    work = pin(world, order, world.neighbour_node, at)
    relay_all(at)
    offers.decline_offer(offer_no=work.offers.get(state="pending").offer_no, staff=world.neighbour_owner, reason="busy", at=at)
    relay_all(at)
    client.force_login(make_staff(), backend="dealers.directory.login.RoleBackend")
    page = client.get("/admin/orders/fulfillmentorder/?is_pinned__exact=1").content.decode()
    assert "指定的华北经销商拒单：人手不足" in page
    assert "指定发货点" in page
