"""Sixteen connections and a dealer's last places: the naive way gives too many, `take` never does."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from dealers.capacity import actions, queries
from dealers.models import DayLoad, DaySlot, Dealer
from inventory.models import Level
from orders.dispatch import actions as dispatch
from orders.models import Offer, Order
from tests.make import make_dealer, make_order
from tests.orders.dispatch_world import forget, make_world, subscribed

LIMIT = 100
Together = Callable[[int, Callable[[int], Any]], list[Any]]


def naive(dealer: Dealer, bill: str, at: datetime) -> bool:
    """Read, look, save: what a first draft does. The CHECK sees nothing wrong, as taken is overwritten."""
    load = DayLoad.objects.get(dealer=dealer)
    if load.taken >= load.allowed:
        return False
    load.taken += 1
    load.save(update_fields=["taken"])
    DaySlot.objects.create(bill=bill, dealer=dealer, day=load.day, taken_at=at)
    return True


def careful(dealer: Dealer, bill: str, at: datetime) -> bool:
    return bill in actions.take(slots={bill: dealer.pk}, days=queries.days_of([dealer.pk], at), at=at)


def ask_all(way: Callable[..., bool], dealer: Dealer, at: datetime, tries: int) -> Callable[[int], int]:
    return lambda number: sum(way(dealer, f"{number}-{n}", at) for n in range(tries))


def a_dealer(at: datetime) -> Dealer:
    dealer = make_dealer(capacity_per_day=LIMIT)
    DayLoad.objects.create(dealer=dealer, day=at.date(), taken=0, allowed=LIMIT)
    return dealer


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("postgres_only")
class TestOnPostgres:
    def test_read_look_save_gives_more_than_allowed(self, at: datetime, together: Together) -> None:
        dealer = a_dealer(at)
        assert sum(together(16, ask_all(naive, dealer, at, 30))) > LIMIT

    def test_take_gives_exactly_what_is_allowed(self, at: datetime, together: Together) -> None:
        dealer = make_dealer(capacity_per_day=LIMIT)  # nobody has counted this day yet: the row is made in the race
        assert sum(together(16, ask_all(careful, dealer, at, 12))) == LIMIT
        load = DayLoad.objects.get()
        assert (load.taken, load.allowed, DaySlot.objects.count()) == (LIMIT, LIMIT, LIMIT)

    def test_batches_over_many_dealers_fill_every_day_without_waiting_for_each_other(
        self, at: datetime, together: Together
    ) -> None:
        dealers = [make_dealer(capacity_per_day=25).pk for _ in range(4)]

        def ask(number: int) -> int:
            taken = 0
            for n in range(6):
                ring = dealers if (number + n) % 2 else dealers[::-1]
                slots = {f"{number}-{n}-{k}": ring[k % 4] for k in range(8)}
                mine = actions.take(slots=slots, days=queries.days_of(dealers, at), at=at)
                if n % 2:
                    actions.give_back(bills=sorted(mine), actor="test", at=at)
                else:
                    taken += len(mine)
            return taken

        taken = sum(together(16, ask))
        counted = dict(DayLoad.objects.values_list("dealer", "taken"))
        assert sum(counted.values()) == DaySlot.objects.count() == taken
        assert not DayLoad.objects.filter(taken__gt=F("allowed")).exists()

    def test_work_moved_to_and_fro_is_counted_where_it_is(self, at: datetime, together: Together) -> None:
        dealers = [make_dealer(capacity_per_day=16).pk for _ in range(2)]
        days = queries.days_of(dealers, at)

        def swap(number: int) -> None:
            for n in range(6):
                actions.move(slots={f"W{number}": dealers[(number + n) % 2]}, days=days, actor="test", at=at)

        together(16, swap)
        assert DaySlot.objects.count() == sum(DayLoad.objects.values_list("taken", flat=True)) == 16

    def test_workers_that_share_a_dealers_last_places_fill_them_exactly(self, at: datetime, together: Together) -> None:
        with subscribed():
            world = make_world(on_hand=500)
            Dealer.objects.filter(pk=world.home.pk).update(capacity_per_day=20)
            Dealer.objects.filter(pk=world.neighbour.pk).update(capacity_per_day=10)
            Level.objects.filter(node=world.hq_node).update(on_hand=0)
            orders = [make_order(world.sofa).pk for _ in range(48)]
            forget()
            shares = [orders[start::16] for start in range(16)]
            routed = together(16, lambda number: dispatch.route_orders(order_ids=shares[number], actor="test", at=at))
            assert sum(routed) == 30
            assert sorted(DayLoad.objects.values_list("taken", "allowed")) == [(10, 10), (20, 20)]
            assert Offer.objects.count() == 30
            assert Order.objects.filter(state="unroutable").count() == 18
            assert world.held() == [20, 10, 0]


class TestOnSqliteFile:
    """Eight connections to one real file, opened with the project's own settings."""

    def test_take_gives_exactly_what_is_allowed(self, at: datetime, together: Together, sqlite_file: Callable[[], Path]) -> None:
        dealer = make_dealer(capacity_per_day=LIMIT)
        sqlite_file()
        assert sum(together(8, ask_all(careful, dealer, at, 16))) == LIMIT
