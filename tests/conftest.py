"""Fixtures every test may use. Facts are not relayed by themselves: `relay_all` plays the worker."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction

from dealers.settlement import guards
from dealers.settlement import queries as settlement
from inventory.reservations import queries as reservations
from oms_project.journal import actions as journal
from orders.catalogue import queries as catalogue
from orders.dispatch import queries as dispatch
from orders.intake import queries as intake
from orders.live import queries as live
from orders.routing import queries as routing
from orders.scarcity import queries as scarcity

NOON = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai, a Wednesday


@pytest.fixture
def at() -> datetime:
    """Noon of a working day in Shanghai."""
    return NOON


@pytest.fixture
def relay_all(db: None) -> Callable[[datetime], int]:
    """Relay until nothing is due, as the worker would; returns how many deliveries were handed on."""

    def run(at: datetime) -> int:
        total = 0
        while handed := journal.relay(at=at):
            total += handed
        return total

    return run


@pytest.fixture(autouse=True, scope="session")
def _flush_lifts_the_ledgers_guards() -> Iterator[None]:
    """A test with real transactions is cleaned up by a flush, which the ledger's guards refuse once something is posted.

    Here, and nowhere in the product, a flush takes the guards down and puts them up again, in one transaction.
    While nothing is posted they let it through by themselves.
    """
    operations = type(connection.ops)
    flush = operations.execute_sql_flush
    is_posted = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in guards.APPEND_ONLY)

    def unguarded(self: Any, sql_list: list[str]) -> None:
        with transaction.atomic(), self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {is_posted}")
            lifts = cursor.fetchone()[0] and not guards.missing()
            if lifts:
                guards.remove(cursor)
            flush(self, sql_list)
            if lifts:
                guards.install(cursor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "execute_sql_flush", unguarded)
        yield


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    """What a process remembers must not outlive a test."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    cache.clear()
    for room in (settlement, catalogue, dispatch, intake, live, reservations, routing, scarcity):
        room.forget()
