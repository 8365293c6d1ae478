"""Many buyers, arrivals and releases at the same deliveries: promised once, no deadlock, books that agree."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from inventory.arrivals import actions as arrivals
from inventory.arrivals import queries
from inventory.arrivals.rules import NewIncoming
from inventory.ledger import queries as ledger
from inventory.models import Incoming, Level, Reservation, Sku
from inventory.reservations import actions as reservations
from oms_project.refusal import Refusal
from tests.make import make_node, make_sku

Together = Callable[[int, Callable[[int], Any]], list[Any]]


def coming(quantities: list[int], at: datetime) -> tuple[Sku, list[str]]:
    node, sku = make_node(), make_sku()
    rows = [NewIncoming(node.pk, sku.pk, units, date(2026, 12, 1 + n), f"po:{n}") for n, units in enumerate(quantities)]
    arrivals.expect(rows=rows, actor="", at=at)
    return sku, [row.source_key for row in rows]


def promise(bill: str, sku: Sku, quantity: int, at: datetime) -> bool:
    try:
        arrivals.promise_presale(bill=bill, sku_id=sku.pk, quantity=quantity, by=None, at=at)
    except arrivals.NotComing:
        return False
    return True


def assert_books_agree() -> None:
    assert ledger.drift() == [] == queries.drift()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("postgres_only")
class TestOnPostgres:
    def test_the_last_units_on_their_way_are_promised_once(self, at: datetime, together: Together) -> None:
        sku, _ = coming([7, 5], at)
        won = sum(together(12, lambda number: sum(promise(f"{number}-{n}", sku, 1, at) for n in range(3))))
        assert won == 12 == sum(Reservation.objects.filter(state="open").values_list("quantity", flat=True))
        assert_books_agree()

    def test_one_bill_is_promised_once(self, at: datetime, together: Together) -> None:
        sku, _ = coming([2, 5], at)
        assert all(together(8, lambda _: promise("A", sku, 3, at)))
        assert list(Incoming.objects.order_by("pk").values_list("promised", flat=True)) == [2, 1]
        assert_books_agree()

    def test_one_receipt_counts_once(self, at: datetime, together: Together) -> None:
        _, [key] = coming([10], at)

        def work(_: int) -> int:
            return arrivals.receive(source_key=key, quantity=4, key="r", actor="", at=at)

        assert sorted(together(8, work)) == [0] * 7 + [4]
        assert (Incoming.objects.get().received, Level.objects.get().on_hand) == (4, 4)

    def test_arrivals_releases_and_promises_neither_deadlock_nor_drift(self, at: datetime, together: Together) -> None:
        sku, keys = coming([40, 40, 40], at)

        def work(number: int) -> None:
            for n in range(10):
                if number % 2:
                    promise(f"{number}-{n}", sku, 3, at)
                    if n % 3 == 2:
                        reservations.release(bills=[f"{number}-{n}", f"{number}-{n - 1}"], at=at)
                    continue
                try:
                    arrivals.receive(source_key=keys[(number + n) % 3], quantity=3, key=f"{number}-{n}", actor="", at=at)
                except Refusal:  # that delivery is complete
                    continue

        together(8, work)
        assert Level.objects.get().held > 0
        assert_books_agree()
