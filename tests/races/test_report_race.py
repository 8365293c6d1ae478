"""Figures are reported while buyers are promised the same stock: nothing is promised twice, and the table's check never trips."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F, Sum

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement, Report
from inventory.models import Level, Movement, Reservation
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from tests.make import make_node, make_sku

Together = Callable[[int, Callable[[int], Any]], list[Any]]
ROUNDS = 12

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres_only")]


def test_counting_and_selling_at_once_breaks_no_promise(at: datetime, together: Together) -> None:
    node, skus = make_node().pk, [make_sku().pk for _ in range(3)]
    ledger.post(movements=[NewMovement(node, sku, "receipt", 60, f"in:{sku}") for sku in skus], actor="", at=at)

    def count(number: int) -> int:
        """Reports all three places again and again, in another order than the others, always fewer or more than stand."""
        good = 0
        for n in range(ROUNDS):
            moment = at + timedelta(seconds=n + 1)
            figure = 20 if (number + n) % 2 else 50
            rows = [Report(node, sku, figure, moment, f"{number}-{n}-{sku}") for sku in skus[:: 1 if number % 2 else -1]]
            results = ledger.report(rows=rows, kind="report", actor="", at=moment)
            assert {result.code for result in results} <= {"done", "short", "stale", "same"}
            good += sum(result.code in {"done", "short"} for result in results)
        return good

    def trade(number: int) -> int:
        """Orders of two units; every third is given up, every fourth ships."""
        shipped = 0
        for n in range(2 * ROUNDS):
            bill = f"{number}-{n}"
            held = bill in reservations.hold(wants=[Want(bill, node, skus[(number + n) % 3], 2)], at=at)
            if held and n % 3 == 0:
                reservations.release(bills=[bill], at=at)
            elif held and n % 4 == 0:
                shipped += 2 * reservations.consume(bills=[bill], actor="", at=at)
        return shipped

    done = together(16, lambda number: count(number) if number < 6 else trade(number))
    assert sum(done[:6]) > 0
    assert queries.drift() == []
    assert not Level.objects.filter(held__gt=F("on_hand")).exists()
    shipped = Movement.objects.filter(kind="shipment").aggregate(units=Sum("quantity"))["units"] or 0
    assert -shipped == sum(done[6:])
    promised = Reservation.objects.filter(state="open").aggregate(units=Sum("quantity"))["units"] or 0
    assert promised == Level.objects.aggregate(units=Sum("held"))["units"]
    lacking = [entry.payload["lacking"] for entry in Entry.objects.filter(name="stock.short")]
    assert all(0 < units <= 60 for units in lacking)


def test_two_reports_under_one_key_count_once(at: datetime, together: Together) -> None:
    node, sku = make_node().pk, make_sku().pk
    ledger.post(movements=[NewMovement(node, sku, "receipt", 9, "in")], actor="", at=at)
    row = Report(node, sku, 5, at + timedelta(seconds=1), "erp:1")
    codes = together(
        16, lambda _: ledger.report(rows=[row], kind="report", actor="", at=at + timedelta(seconds=1))[0].code
    )  # fmt: skip
    assert sorted(codes) == ["done", *["same"] * 15]
    assert (Level.objects.get().on_hand, Movement.objects.filter(kind="report").count()) == (5, 1)
    assert queries.drift() == []
