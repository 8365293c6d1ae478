"""Promises are repaired while buyers come and go: the figure is set right once, and nobody's units are lost on the way."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level, StockRepair
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Block, Want
from tests.make import make_node, make_sku

Together = Callable[[int, Callable[[int], Any]], list[Any]]
pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres_only")]


@pytest.mark.parametrize("planted", [-3, 11])
def test_a_repair_and_buyers_at_once_leave_books_that_agree(at: datetime, together: Together, planted: int) -> None:
    node, sku = make_node().pk, make_sku().pk
    ledger.post(movements=[NewMovement(node, sku, "receipt", 500, "in")], actor="", at=at)
    reservations.hold(wants=[Want("A", node, sku, 20)], at=at)
    Level.objects.update(held=20 + planted)

    def repair(_: int) -> int:
        done = [ledger.repair(node_id=node, sku_id=sku, way="held", reason="对账", actor="", at=at) for _ in range(6)]
        return sum(each is not None for each in done)

    def trade(number: int) -> int:
        for n in range(12):
            bill = f"{number}-{n}"
            reservations.hold(wants=[Want(bill, node, sku, 2)], at=at)
            if n % 3 == 0:
                reservations.release(bills=[bill], at=at)
            if n % 4 == 0:
                reservations.block_rows(blocks=[Block(bill, node, sku, 1)], reason="水渍", at=at)
            if n % 6 == 0:
                reservations.unblock_rows(places=[(node, sku)], actor="", at=at)
        return 0

    assert sum(together(12, lambda number: repair(number) if number < 4 else trade(number))) == 1
    [done] = StockRepair.objects.all()
    assert done.after - done.before == -planted
    assert queries.drift() == []
