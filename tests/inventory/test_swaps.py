"""Bills that change places: all of a swap or nothing, and nobody else gets in between."""

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Node, Reservation, Sku
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Swap, Want
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db


def stocked(*units: int, at: datetime) -> tuple[Sku, list[Node]]:
    sku, nodes = make_sku(), [make_node() for _ in units]
    rows = [NewMovement(node.pk, sku.pk, "receipt", count, f"in:{node.pk}") for node, count in zip(nodes, units, strict=True)]
    ledger.post(movements=[row for row in rows if row.quantity], actor="", at=at)
    return sku, nodes


def open_rows() -> list[tuple[str, str, int]]:
    rows = Reservation.objects.filter(state="open").order_by("bill")
    return list(rows.values_list("bill", "level__node__code", "quantity"))


def test_two_bills_exchange_the_last_units(at: datetime) -> None:
    sku, (here, there) = stocked(1, 1, at=at)
    reservations.hold(wants=[Want("A", here.pk, sku.pk, 1), Want("B", there.pk, sku.pk, 1)], at=at)
    swap = Swap(("A", "B"), (Want("A", there.pk, sku.pk, 1), Want("B", here.pk, sku.pk, 1)))
    assert reservations.swap(swaps=[swap], at=at) == [True]
    assert open_rows() == [("A", there.code, 1), ("B", here.code, 1)]
    assert queries.promise_drift() == []


def test_one_that_does_not_fit_changes_nothing_and_the_others_go_on(at: datetime) -> None:
    sku, (here, there) = stocked(3, 1, at=at)
    reservations.hold(wants=[Want(bill, here.pk, sku.pk, 1) for bill in "ABC"], at=at)
    swaps = [Swap((bill,), (Want(bill, there.pk, sku.pk, 1),)) for bill in "ABC"]
    assert reservations.swap(swaps=swaps, at=at) == [True, False, False]
    assert open_rows() == [("A", there.code, 1), ("B", here.code, 1), ("C", here.code, 1)]
    assert queries.promise_drift() == []


def test_a_bill_that_holds_nothing_stops_its_swap(at: datetime) -> None:
    sku, (here, there) = stocked(2, 2, at=at)
    reservations.hold(wants=[Want("A", here.pk, sku.pk, 1)], at=at)
    swap = Swap(("A", "GONE"), (Want("A", there.pk, sku.pk, 1), Want("GONE", here.pk, sku.pk, 1)))
    assert reservations.swap(swaps=[swap], at=at) == [False]
    assert open_rows() == [("A", here.code, 1)]


def test_what_a_bill_gives_up_may_be_taken_under_another_name(at: datetime) -> None:
    sku, (here,) = stocked(1, at=at)
    reservations.hold(wants=[Want("A-1", here.pk, sku.pk, 1)], at=at)
    assert reservations.swap(swaps=[Swap(("A-1",), (Want("A-2", here.pk, sku.pk, 1),))], at=at) == [True]
    assert open_rows() == [("A-2", here.code, 1)]
    assert Level.objects.get().held == 1


def test_the_number_of_statements_is_fixed(at: datetime) -> None:
    counts = []
    for size in (2, 40):
        sku, (here, there) = stocked(size, size, at=at)
        bills = [f"{size}-{number}" for number in range(size)]
        reservations.hold(wants=[Want(bill, here.pk, sku.pk, 1) for bill in bills], at=at)
        with CaptureQueriesContext(connection) as captured:
            reservations.swap(swaps=[Swap((bill,), (Want(bill, there.pk, sku.pk, 1),)) for bill in bills], at=at)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 10


def test_nothing_to_do_is_done(at: datetime) -> None:
    assert reservations.swap(swaps=[Swap((), ())], at=at) == [True]
    assert reservations.swap(swaps=[], at=at) == []


def test_what_a_failed_swap_would_have_given_up_is_not_given_away(at: datetime) -> None:
    sku, (here, there, full) = stocked(1, 1, 1, at=at)
    reservations.hold(
        wants=[Want(bill, node.pk, sku.pk, 1) for bill, node in zip("ABC", (here, there, full), strict=True)], at=at
    )
    swaps = [Swap(("A",), (Want("A", full.pk, sku.pk, 1),)), Swap(("B",), (Want("B", here.pk, sku.pk, 1),))]
    assert reservations.swap(swaps=swaps, at=at) == [False, False]
    assert open_rows() == [("A", here.code, 1), ("B", there.code, 1), ("C", full.code, 1)]
