"""Two hundred buyers over sixteen connections: hot goods, many goods, combos that share parts, moving promises.

Each race is first shown without the guard (read, check, write), where it sells what is not there.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Movement, Reservation
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Place, Want
from tests.make import make_node, make_sku

BUYERS, CONNECTIONS = 200, 16
Together = Callable[[int, Callable[[int], Any]], list[Any]]
Basket = list[Place]
Way = Callable[[str, Basket, datetime], bool]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def together(together: Together, request: pytest.FixtureRequest) -> Together:
    """Sixteen connections of PostgreSQL, or of one real SQLite file that takes over what stands in memory now."""
    if connection.vendor != "sqlite":
        return together
    to_file, taken = request.getfixturevalue("sqlite_file"), []

    def run(count: int, work: Callable[[int], Any]) -> list[Any]:
        if not taken:
            taken.append(to_file())
        return together(count, work)

    return run


def seen(together: Together, look: Callable[[], Any]) -> Any:
    """What somebody sees who comes after the race."""
    return together(1, lambda _: look())[0]


def stocked(units: int, at: datetime) -> Place:
    place = (make_node().pk, make_sku().pk)
    ledger.post(movements=[NewMovement(*place, "receipt", units, f"in:{place}")], actor="", at=at)
    return place


def naive(bill: str, basket: Basket, at: datetime) -> bool:
    """Read all, check all, write all: what a first draft does."""
    levels = [Level.objects.get(node_id=place[0], sku_id=place[1]) for place in basket]
    if any(level.sellable(at) < 1 for level in levels):
        return False
    for level in levels:
        level.held += 1
        level.save(update_fields=["held"])
        Reservation.objects.create(level=level, bill=bill, quantity=1, held_at=at)
    return True


def careful(bill: str, basket: Basket, at: datetime) -> bool:
    return bill in reservations.hold(wants=[Want(bill, *place, 1) for place in basket], at=at)


def sold(way: Way, baskets: list[Basket], at: datetime, together: Together) -> int:
    """Everybody buys the basket of their number; returns how many were promised theirs."""

    def connection(number: int) -> int:
        buyers = range(number, BUYERS, CONNECTIONS)
        return sum(way(f"B{buyer}", baskets[buyer % len(baskets)], at) for buyer in buyers)

    return sum(together(CONNECTIONS, connection))


def promised() -> dict[int, int]:
    return dict(Level.objects.values_list("pk", "held"))


class TestHotGoods:
    def test_read_check_write_sells_more_than_there_is(self, at: datetime, together: Together) -> None:
        assert sold(naive, [[stocked(40, at)]], at, together) > 40

    def test_hold_sells_the_last_unit_once(self, at: datetime, together: Together) -> None:
        assert sold(careful, [[stocked(40, at)]], at, together) == 40
        assert seen(together, queries.drift) == []


class TestManyGoods:
    def test_each_of_twenty_is_sold_to_the_last_unit_and_no_further(self, at: datetime, together: Together) -> None:
        places = [stocked(3, at) for _ in range(20)]
        assert sold(careful, [[place] for place in places], at, together) == 60
        assert set(seen(together, promised).values()) == {3}
        assert seen(together, queries.drift) == []


class TestCombosThatShareAPart:
    def baskets(self, at: datetime) -> list[Basket]:
        sofa, lamp, rug = stocked(100, at), stocked(30, at), stocked(100, at)
        return [[sofa, lamp], [rug, lamp], [lamp, rug, sofa]]

    def test_read_check_write_sells_more_than_there_is(self, at: datetime, together: Together) -> None:
        assert sold(naive, self.baskets(at), at, together) > 30

    def test_hold_takes_all_parts_or_none_and_nobody_waits_for_ever(self, at: datetime, together: Together) -> None:
        baskets = self.baskets(at)
        assert sold(careful, baskets, at, together) == 30
        sku_id = baskets[0][1][1]
        assert seen(together, lambda: Level.objects.values_list("on_hand", "held").get(sku_id=sku_id)) == (30, 30)
        parts = seen(together, lambda: list(Reservation.objects.values_list("bill", flat=True)))
        assert len(set(parts)) == 30
        assert len(parts) == sum(len(baskets[int(bill[1:]) % 3]) for bill in set(parts))
        assert seen(together, queries.drift) == []


class TestMovesWhileOthersShip:
    def test_every_bill_ships_once_from_where_it_stands(self, at: datetime, together: Together) -> None:
        here, there, sku = make_node().pk, make_node().pk, make_sku().pk
        rows = [NewMovement(node, sku, "receipt", 200, f"in:{node}") for node in (here, there)]
        ledger.post(movements=rows, actor="", at=at)
        bills = [f"B{n}" for n in range(60)]
        assert len(reservations.hold(wants=[Want(bill, here, sku, 2) for bill in bills], at=at)) == 60

        def work(number: int) -> int:
            shipped = 0
            for turn, bill in enumerate(bills):
                if number % 4 == 0:
                    shipped += reservations.consume(bills=[bill], actor="", at=at)
                elif number % 4 == 1:
                    row = NewMovement(there, sku, "receipt", 1, f"in:{number}:{turn}")
                    ledger.post(movements=[row], actor="", at=at)
                elif Reservation.objects.filter(bill=bill, state="open").exists():
                    to = there if (number + turn) % 2 else here
                    reservations.move_all(wants=[Want(bill, to, sku, 2)], at=at)
            return shipped

        together(CONNECTIONS, work)
        seen(together, lambda: self.every_bill_is_accounted_for(bills, here, there))

    def every_bill_is_accounted_for(self, bills: list[str], here: int, there: int) -> None:
        shipments = list(Movement.objects.filter(kind="shipment").values_list("source_key", "quantity"))
        left = set(Reservation.objects.filter(state="open").values_list("bill", flat=True))
        for bill in bills:
            mine = [units for key, units in shipments if key.startswith(f"ship:{bill}:")]
            assert mine == ([] if bill in left else [-2]), bill
        assert queries.drift() == []
        assert all(0 <= level.held <= level.on_hand for level in Level.objects.all())
        assert Level.objects.get(node_id=here).held + Level.objects.get(node_id=there).held == 2 * len(left)
