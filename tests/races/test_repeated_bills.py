"""The same bill asked for by several at once: one of them holds it, entirely, and all of them are told that it holds."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from django.db import connection, connections, transaction

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Reservation
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Place, Want
from tests.conftest import NOON
from tests.make import make_node, make_sku

Together = Callable[[int, Callable[[int], Any]], list[Any]]
pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres_only")]


def stocked(units: int) -> Place:
    place = (make_node().pk, make_sku().pk)
    ledger.post(movements=[NewMovement(*place, "receipt", units, f"in:{place}")], actor="", at=NOON)
    return place


def hold(*wants: Want) -> frozenset[str]:
    return reservations.hold(wants=wants, at=NOON)


def someone_waits_for_me() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return bool(cursor.fetchone()[0])


def while_others_wait(first: Callable[[], Any], second: Callable[[], frozenset[str]]) -> frozenset[str]:
    """Do `first`, and commit it only when `second`, begun meanwhile on another connection, waits for it. What `second` says."""
    found: list[frozenset[str]] = []

    def body() -> None:
        try:
            found.append(second())
        finally:
            connections.close_all()

    thread = Thread(target=body)
    with transaction.atomic():
        first()
        thread.start()
        while thread.is_alive() and not someone_waits_for_me():
            pass
    thread.join()
    return found[0]


def open_rows() -> list[tuple[str, int, int]]:
    """(bill, sku_id, units) of all that is held."""
    rows = Reservation.objects.filter(state="open").order_by("bill", "level__sku_id")
    return list(rows.values_list("bill", "level__sku_id", "quantity"))


def test_one_place_is_held_once_even_with_its_last_units() -> None:
    sofa = stocked(3)
    assert while_others_wait(lambda: hold(Want("A", *sofa, 2)), lambda: hold(Want("A", *sofa, 2))) == {"A"}
    assert open_rows() == [("A", sofa[1], 2)]
    assert while_others_wait(lambda: hold(Want("B", *sofa, 1)), lambda: hold(Want("C", *sofa, 1))) == frozenset()
    assert queries.drift() == []


@pytest.mark.parametrize("units", [3, 30], ids=["scarce", "plenty"])
def test_a_batch_meets_one_of_its_bills_that_another_holds_meanwhile(units: int) -> None:
    sofa = stocked(units)
    batch = [Want("A", *sofa, 2), Want("B", *sofa, 1)]
    assert while_others_wait(lambda: hold(batch[0]), lambda: hold(*batch)) == {"A", "B"}
    assert open_rows() == [("A", sofa[1], 2), ("B", sofa[1], 1)]
    assert queries.drift() == []


def test_a_bill_of_several_places_takes_nothing_where_another_holds_part_of_it_meanwhile() -> None:
    sofa, lamp = stocked(10), stocked(10)
    batch = [Want("A", *lamp, 1), Want("A", *sofa, 1), Want("B", *lamp, 1), Want("B", *sofa, 1)]
    assert while_others_wait(lambda: hold(Want("A", *sofa, 2)), lambda: hold(*batch)) == {"A", "B"}
    assert open_rows() == [("A", sofa[1], 2), ("B", sofa[1], 1), ("B", lamp[1], 1)]
    assert queries.drift() == []


def test_a_batch_counts_what_was_held_while_it_waited() -> None:
    sofa, lamp = stocked(5), stocked(5)
    batch = [Want("B", *sofa, 2), Want("C", *sofa, 2), Want("D", *lamp, 1)]
    assert while_others_wait(lambda: hold(Want("A", *sofa, 2)), lambda: hold(*batch)) == {"B", "D"}
    assert queries.drift() == []


def test_a_batch_finds_what_was_given_back_while_it_waited() -> None:
    """The last units come back: the row as it was before would break the constraint, and must not be asked."""
    sofa, lamp = stocked(5), stocked(5)
    hold(Want("A", *sofa, 5))
    batch = [Want("B", *sofa, 2), Want("C", *sofa, 2), Want("D", *lamp, 1)]
    assert while_others_wait(lambda: reservations.release(bills=["A"], at=NOON), lambda: hold(*batch)) == {"B", "C", "D"}
    assert Level.objects.get(sku_id=sofa[1]).held == 4
    assert queries.drift() == []


def test_a_batch_finds_what_arrived_while_it_waited() -> None:
    sofa, lamp = stocked(1), stocked(5)
    more = [NewMovement(*sofa, "receipt", 9, "more")]
    batch = [Want("B", *sofa, 2), Want("B", *lamp, 2), Want("C", *sofa, 2), Want("D", *lamp, 1)]
    assert while_others_wait(lambda: ledger.post(movements=more, actor="", at=NOON), lambda: hold(*batch)) == {"B", "C", "D"}
    assert queries.drift() == []


def test_eight_hold_and_give_back_the_same_bills_in_different_baskets(together: Together) -> None:
    """All baskets of a bill share a place, so that exactly one of them may stand, whole, at any time."""
    places = [stocked(40) for _ in range(4)]
    baskets = [(0,), (0, 1), (0, 2), (3, 0), (1, 0, 2, 3)]

    def body(number: int) -> int:
        held = 0
        for n in range(25):
            bills = [f"W{(number + n + k) % 6}" for k in range(3)]
            shapes = [baskets[(number * 7 + n + k) % len(baskets)] for k in range(3)]
            wants = [Want(bill, *places[p], 1) for bill, shape in zip(bills, shapes, strict=True) for p in shape]
            held += len(hold(*wants))
            if n % 4 == number % 4:
                reservations.release(bills=bills[:1], at=NOON)
        return held

    assert sum(together(8, body)) == 8 * 25 * 3
    by_bill: dict[str, set[int]] = {}
    skus = [sku_id for _, sku_id in places]
    for bill, sku_id, units in open_rows():
        assert units == 1
        by_bill.setdefault(bill, set()).add(skus.index(sku_id))
    assert by_bill
    assert all(standing in [set(basket) for basket in baskets] for standing in by_bill.values())
    assert queries.drift() == []
