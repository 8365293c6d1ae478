"""Many answers at once: exactly one wins, whatever comes first. First the race is shown without the guard."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction

from dealers.models import Acceptance, ServiceArea, Staff
from inventory.models import Level
from oms_project import events
from oms_project.journal.models import Entry
from oms_project.journal.subscription import Fact
from oms_project.refusal import Refusal
from orders.dispatch import actions as dispatch
from orders.models import FulfillmentOrder, Offer
from orders.offers import actions as offers
from orders.offers import statements
from tests.make import make_level, make_order, make_sku, make_staff
from tests.orders.dispatch_world import World, forget, make_world, subscribed

ANSWERS, AT_ONCE = 200, 20


@pytest.fixture
def world(transactional_db: None) -> Iterator[World]:
    with subscribed():
        yield make_world()


def on_offer(world: World, at: datetime) -> Offer:
    dispatch.route_orders(order_ids=[make_order(world.sofa).pk], actor="test", at=at)
    return Offer.objects.select_related("work__order").get()


def naive_accept(*, offer_no: str, staff: Staff, at: datetime, between: Callable[[], Any] = lambda: None) -> None:
    """Read, look, save: what must never be done."""
    with transaction.atomic():
        offer = Offer.objects.select_related("work__order").get(offer_no=offer_no)
        if offer.state != "pending":
            raise offers.OfferGone
        between()
        offer.state, offer.answered_by = "accepted", staff
        offer.save()
        offers._tell_answer(offer, staff, at)


def winners() -> list[dict[str, Any]]:
    return list(Entry.objects.filter(name="offer.closed").values_list("payload", flat=True))


def closed_at_source(offer: Offer, at: datetime) -> None:
    fact = events.OrderClosedAtSource(order_id=offer.work.order_id, order_no=offer.work.order.order_no)
    dispatch.on_order_closed_at_source([Fact(1, fact.name, fact.subject, "test", fact.payload(), at)], at=at)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run calls in threads that start together; refusals are returned, not raised."""
    together = Barrier(AT_ONCE)

    def share(mine: list[Callable[[], Any]]) -> list[Any]:
        found: list[Any] = []
        connection.ensure_connection()
        together.wait()
        for call in mine:
            try:
                found.append(call())
            except Refusal as refusal:
                found.append(refusal)
        connection.close()
        return found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        shares = pool.map(share, [calls[start::AT_ONCE] for start in range(AT_ONCE)])
        return [result for found in shares for result in found]


@pytest.mark.django_db(transaction=True)
def test_read_then_save_lets_two_people_win(world: World, at: datetime) -> None:
    offer, clerk = on_offer(world, at), make_staff(world.home, role="clerk")
    naive_accept(
        offer_no=offer.offer_no,
        staff=world.owner,
        at=at,
        between=lambda: naive_accept(offer_no=offer.offer_no, staff=clerk, at=at),
    )
    assert [told["answered_by"] for told in winners()] == [clerk.name, world.owner.name]


@pytest.mark.django_db(transaction=True)
def test_the_guard_lets_the_second_read_lose(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    offer, clerk, real = on_offer(world, at), make_staff(world.home, role="clerk"), offers._close

    def outrun(*args: Any, **named: Any) -> bool:
        monkeypatch.setattr(offers, "_close", real)
        offers.accept_offer(offer_no=offer.offer_no, staff=clerk, at=at)
        return real(*args, **named)

    monkeypatch.setattr(offers, "_close", outrun)
    answered = offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
    assert answered.answered_by == clerk
    assert [told["answered_by"] for told in winners()] == [clerk.name]
    assert FulfillmentOrder.objects.get().version == 2


@pytest.mark.django_db(transaction=True)
def test_a_cancel_between_look_and_answer_wins(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    offer, real = on_offer(world, at), offers._close

    def outrun(*args: Any, **named: Any) -> bool:
        closed_at_source(offer, at)
        return real(*args, **named)

    monkeypatch.setattr(offers, "_close", outrun)
    answer = offers.accept_offer.__wrapped__  # without its transaction, which would undo the cancel run inside it
    with transaction.atomic(), pytest.raises(offers.OfferGone, match="已撤回"):
        answer(offer_no=offer.offer_no, staff=world.owner, at=at)
    offer.refresh_from_db()
    assert (offer.state, FulfillmentOrder.objects.get().state, world.held()) == ("withdrawn", "cancelled", [0, 0, 0])


@pytest.mark.django_db(transaction=True)
def test_an_answer_just_before_the_cancel_becomes_a_request(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    offer, real = on_offer(world, at), statements.withdraw_offers

    def outrun(*args: Any) -> Any:
        offers.accept_offer(offer_no=offer.offer_no, staff=world.owner, at=at)
        return real(*args)

    monkeypatch.setattr(statements, "withdraw_offers", outrun)
    closed_at_source(offer, at)
    offer.refresh_from_db()
    assert (offer.state, FulfillmentOrder.objects.get().state, world.held()) == ("accepted", "cancel_requested", [1, 0, 0])


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="threads need PostgreSQL")
@pytest.mark.django_db(transaction=True)
class TestThreads:
    def test_without_the_guard_several_win(self, world: World, at: datetime) -> None:
        offer, people = on_offer(world, at), [make_staff(world.home) for _ in range(AT_ONCE)]
        read = Barrier(AT_ONCE)
        calls = [
            lambda staff=staff: naive_accept(offer_no=offer.offer_no, staff=staff, at=at, between=read.wait) for staff in people
        ]
        at_once(calls)
        assert len(winners()) == AT_ONCE

    def test_of_two_hundred_accepts_one_wins(self, world: World, at: datetime) -> None:
        offer, people = on_offer(world, at), [make_staff(world.home) for _ in range(ANSWERS)]
        results = at_once(
            [lambda staff=staff: offers.accept_offer(offer_no=offer.offer_no, staff=staff, at=at) for staff in people]
        )
        (winner,) = winners()
        assert {(result.state, result.answered_by.name) for result in results} == {("accepted", winner["answered_by"])}
        assert Entry.objects.filter(name="work.moved").count() == 1
        assert (FulfillmentOrder.objects.get().version, world.held()) == (2, [1, 0, 0])

    def test_accepts_declines_expiry_and_cancel_leave_one_truth(self, world: World, at: datetime) -> None:
        offer, people = on_offer(world, at), [make_staff(world.home) for _ in range(10)]
        calls: list[Callable[[], Any]] = []
        for number in range(ANSWERS):
            staff = people[number % len(people)]
            calls.append(
                [
                    lambda staff=staff: offers.accept_offer(offer_no=offer.offer_no, staff=staff, at=at),
                    lambda staff=staff: offers.decline_offer(offer_no=offer.offer_no, staff=staff, reason="busy", at=at),
                    lambda: offers.expire_due(at=offer.expires_at),
                    lambda: closed_at_source(offer, at),
                ][(number + number // AT_ONCE) % 4]
            )
        at_once(calls)
        (told,) = winners()
        offer.refresh_from_db()
        assert (offer.state, offer.version) == (told["state"], 2)
        work = FulfillmentOrder.objects.get()
        if offer.state == "accepted":
            assert (work.state, world.held()) == ("cancel_requested", [1, 0, 0])
        else:
            assert (work.state, world.held()) == ("cancelled", [0, 0, 0])

    def test_workers_that_share_the_last_units_promise_each_once(self, world: World, at: datetime) -> None:
        orders = [make_order(world.sofa).pk for _ in range(40)]
        dispatch.queries.forget()
        routed = at_once(
            [
                lambda ids=orders[start::AT_ONCE]: dispatch.route_orders(order_ids=ids, actor="test", at=at)
                for start in range(AT_ONCE)
            ]
        )
        assert (sum(routed), world.held()) == (30, [10, 10, 10])
        assert FulfillmentOrder.objects.count() == 30

    def test_refusals_and_new_orders_never_wait_for_each_other(self, world: World, at: datetime) -> None:
        lamp = make_sku("LAMP")
        nodes = (world.hq_node, world.neighbour_node, world.home_node)
        for node in nodes:
            make_level(node, lamp, 100)
        Level.objects.update(on_hand=100)
        baskets = [(lamp, world.sofa), (world.sofa, lamp), (lamp,), (world.sofa,)]
        refused = [make_order(*baskets[number % 4]).pk for number in range(40)]
        dispatch.route_orders(order_ids=refused, actor="test", at=at)
        ServiceArea.objects.create(dealer=world.neighbour, division_code="320507")
        forget()
        fresh = [make_order(*baskets[number % 4], division_code=("320507", "320506")[number % 8 // 4]).pk for number in range(40)]
        over = Offer.objects.get(work__order_id=refused[0]).expires_at
        assert offers.expire_due(at=over) == 40
        told = Entry.objects.filter(name="offer.closed").order_by("-id")
        facts = [Fact(entry.pk, entry.name, entry.subject, "", entry.payload, at) for entry in told]
        calls: list[Callable[[], Any]] = []
        for start in range(0, 40, 4):
            calls.append(lambda some=facts[start : start + 4]: dispatch.on_offer_closed(some, at=over))
            calls.append(
                lambda ids=fresh[start // 8 * 8 : start // 8 * 8 + 8][start % 8 // 4 :: 2]: dispatch.route_orders(
                    order_ids=ids, actor="test", at=over
                )
            )
        at_once(calls)
        assert Offer.objects.filter(state="pending", dealer=world.neighbour).count() == 60
        assert Offer.objects.filter(state="pending", dealer=world.home).count() == 20
        held = {node.pk: sum(level.held for level in Level.objects.filter(node=node)) for node in nodes}
        assert list(held.values()) == [0, 90, 30]
        assert Acceptance.objects.get(dealer=world.home).refused_count == 40
