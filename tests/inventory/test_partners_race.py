"""A batch that several connections send at the same moment counts once (PostgreSQL only: the threads share a database)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.db import connection, connections

from inventory.ledger import queries as ledger
from inventory.models import Level, Movement
from tests.conftest import NOON
from tests.inventory.partners_world import figure, make_world, movement
from tests.make import make_sku

SENDERS = 4
ROWS = 50


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "row"), [("movements", movement), ("levels", figure)])
def test_the_same_batch_sent_at_once_counts_once(path: str, row: Callable[..., dict[str, Any]]):
    if connection.vendor != "postgresql":
        pytest.skip("this race needs PostgreSQL: run the suite with DATABASE_URL=postgres://…")
    world, skus = make_world(), [make_sku() for _ in range(ROWS)]
    rows = [row(7, f"k{n}", sku=sku.code) for n, sku in enumerate(skus)]
    barrier = Barrier(SENDERS)

    def send(number: int) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(20)
            return world.post(path, rows if number % 2 else rows[::-1]).json()["counts"]
        finally:
            connections.close_all()

    with time_machine.travel(NOON, tick=False), ThreadPoolExecutor(SENDERS) as senders:
        counts = list(senders.map(send, range(SENDERS)))
    assert sorted(count["done"] for count in counts) == [0] * (SENDERS - 1) + [ROWS]
    assert sum(count["same"] for count in counts) == (SENDERS - 1) * ROWS
    assert set(Level.objects.values_list("on_hand", flat=True)) == {7}
    assert (Movement.objects.count(), ledger.drift()) == (ROWS, [])
