"""A dealer accepts while open orders are moved: whoever holds the offer first has it, and nothing is done by halves."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, connections, transaction

from inventory.ledger import queries as ledger
from inventory.models import Level
from oms_project.refusal import Refusal
from orders.models import FulfillmentOrder, Offer, Order, RebalancePass
from orders.offers import actions as offers
from orders.rebalance import actions as rebalance
from tests.orders.dispatch_world import subscribed
from tests.orders.rebalance_world import Town, make_town, offer_of, places, route

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="two connections need PostgreSQL"),
    pytest.mark.django_db(transaction=True),
]
Together = Callable[[int, Callable[[int], Any]], list[Any]]


@pytest.fixture
def town(transactional_db: None) -> Iterator[Town]:
    with subscribed():
        yield make_town()


class Elsewhere(Thread):
    """Something done on another connection; its refusal is kept, any other error is raised by `done`."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        super().__init__()
        self.deed, self.result, self.error = deed, None, None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.deed()
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def done(self) -> Any:
        self.join(30)
        assert not self.is_alive()
        if self.error is not None and not isinstance(self.error, Refusal):
            raise self.error
        return self.error or self.result


def until_somebody_waits() -> None:
    """Return when a connection of this database waits for a lock."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return


def books_agree() -> bool:
    return ledger.promise_drift() == [] and all(0 <= level.held <= level.on_hand for level in Level.objects.all())


def test_who_accepts_first_keeps_the_work_and_the_chain_is_dropped(town: Town, at: datetime) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    offer_no, has_answered, goes_on = offer_of(near).offer_no, Event(), Event()

    def accept() -> None:
        with transaction.atomic():
            offers.accept_offer(offer_no=offer_no, staff=town.world.owner, at=at)
            has_answered.set()
            assert goes_on.wait(30)

    accepting = Elsewhere(accept)
    assert has_answered.wait(30)
    moving = Elsewhere(lambda: rebalance.redecide(at=at))
    until_somebody_waits()
    goes_on.set()
    assert (accepting.done(), moving.done()) == (None, 0)
    assert places(near, far) == [["N-D001"], ["N-D002"]]
    assert FulfillmentOrder.objects.get(order=near).state == "accepted"
    assert (RebalancePass.objects.get().dropped, books_agree()) == (2, True)


def test_who_accepts_while_it_is_moved_is_told_that_it_was_withdrawn(
    town: Town, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    offer_no, real, accepting = offer_of(near).offer_no, rebalance._move, []

    def move(*args: Any) -> None:
        accepting.append(Elsewhere(lambda: offers.accept_offer(offer_no=offer_no, staff=town.world.owner, at=at)))
        until_somebody_waits()
        real(*args)

    monkeypatch.setattr(rebalance, "_move", move)
    assert rebalance.redecide(at=at) == 2
    refusal = accepting[0].done()
    assert (type(refusal), refusal.message) == (offers.OfferGone, "订单已取消或改派，这张单已撤回")
    assert places(near, far) == [["N-D003"], ["N-D001"]]
    assert set(FulfillmentOrder.objects.values_list("state", flat=True)) == {"offered"}
    assert books_agree()


def test_accepts_declines_and_passes_all_at_once_leave_one_truth(town: Town, together: Together, at: datetime) -> None:
    Level.objects.filter(node=town.world.home_node).update(on_hand=10)
    orders = [town.near() for _ in range(10)] + [town.far() for _ in range(10)]
    route(*orders, at=at)
    owners = {town.world.home.pk: town.world.owner, town.world.neighbour.pk: town.world.neighbour_owner}
    asked = list(Offer.objects.order_by("pk").values_list("offer_no", "dealer_id", "work_id", "node_id"))

    told: list[str] = []

    def work(number: int) -> list[str]:
        if number == 0:
            for minutes in range(0, 9, 3):
                rebalance.redecide(at=at + timedelta(seconds=minutes))
            return []
        won = []
        for offer_no, dealer_id, _, _ in asked[number - 1 :: 9]:
            try:
                if number % 3:
                    won.append(offers.accept_offer(offer_no=offer_no, staff=owners[dealer_id], at=at).offer_no)
                else:
                    offers.decline_offer(offer_no=offer_no, staff=owners[dealer_id], reason="busy", at=at)
            except Refusal as refusal:
                told.append(refusal.message)
        return won

    won = {offer_no for share in together(10, work) for offer_no in share}
    assert set(Offer.objects.filter(state="accepted").values_list("offer_no", flat=True)) == won
    assert set(told) <= {"订单已取消或改派，这张单已撤回"}
    for offer_no, _, work_id, node_id in asked:
        if offer_no in won:
            done = FulfillmentOrder.objects.get(pk=work_id)
            assert (done.state, done.node_id) == ("accepted", node_id)
    assert all(moves <= 1 for moves in Order.objects.values_list("moves", flat=True))
    assert books_agree()
