"""Many buyers and the last 300 units: the naive way sells too many, `hold` sells exactly 300."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Reservation
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from tests.make import make_node, make_sku

UNITS = 300
Together = Callable[[int, Callable[[int], Any]], list[Any]]


def last_units(at: datetime, units: int = UNITS) -> tuple[int, int]:
    place = (make_node().pk, make_sku().pk)
    ledger.post(movements=[NewMovement(*place, "receipt", units, f"in:{place}")], actor="", at=at)
    return place


def naive(place: tuple[int, int], buyer: str, at: datetime) -> bool:
    """Read, check, write: what a first draft does. The CHECK constraint sees nothing wrong, as held is overwritten."""
    level = Level.objects.get(node_id=place[0], sku_id=place[1])
    if level.sellable(at) < 1:
        return False
    level.held += 1
    level.save(update_fields=["held"])
    Reservation.objects.create(level=level, bill=buyer, quantity=1, held_at=at)
    return True


def careful(place: tuple[int, int], buyer: str, at: datetime) -> bool:
    return buyer in reservations.hold(wants=[Want(buyer, *place, 1)], at=at)


def buy_all(way: Callable[..., bool], place: tuple[int, int], at: datetime, tries: int) -> Callable[[int], int]:
    """One buyer's program: `tries` orders of one unit; returns how many it was promised."""
    return lambda number: sum(way(place, f"{number}-{n}", at) for n in range(tries))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("postgres_only")
class TestOnPostgres:
    def test_read_check_write_sells_more_than_there_is(self, at: datetime, together: Together) -> None:
        place = last_units(at)
        assert sum(together(16, buy_all(naive, place, at, 60))) > UNITS

    def test_hold_sells_exactly_what_there_is(self, at: datetime, together: Together) -> None:
        place = last_units(at)
        assert sum(together(16, buy_all(careful, place, at, 30))) == UNITS
        assert (Level.objects.get().held, Reservation.objects.count()) == (UNITS, UNITS)
        assert queries.drift() == []

    def test_batches_over_several_levels_neither_oversell_nor_deadlock(self, at: datetime, together: Together) -> None:
        places = [last_units(at, 100) for _ in range(4)]

        def buy(number: int) -> int:
            held = 0
            for n in range(10):
                order = places if (number + n) % 2 else places[::-1]
                wants = [Want(f"{number}-{n}-{k}", *place, 1) for k in range(3) for place in order[: 2 + k % 2]]
                held += len(reservations.hold(wants=wants, at=at))
                reservations.release(bills=[f"{number}-{n}-0"], at=at)
            return held

        assert sum(together(16, buy)) > 0
        assert not Level.objects.filter(held__gt=F("on_hand")).exists()
        assert queries.drift() == []

    def test_one_posting_key_counts_once(self, at: datetime, together: Together) -> None:
        place = last_units(at)
        again = [NewMovement(*place, "receipt", 5, "same")]
        assert sum(together(8, lambda _: ledger.post(movements=again, actor="", at=at))) == 1
        assert Level.objects.get().on_hand == UNITS + 5

    def test_a_bill_ships_once(self, at: datetime, together: Together) -> None:
        place = last_units(at)
        careful(place, "A", at)
        assert sum(together(8, lambda _: reservations.consume(bills=["A"], actor="", at=at))) == 1
        assert queries.drift() == []


class TestOnSqliteFile:
    """Eight connections to one real file, opened with the project's own settings."""

    def test_read_check_write_sells_more_than_there_is(
        self, at: datetime, together: Together, sqlite_file: Callable[[], Path]
    ) -> None:
        place = last_units(at)
        sqlite_file()
        assert sum(together(8, buy_all(naive, place, at, 60))) > UNITS

    def test_hold_sells_exactly_what_there_is(self, at: datetime, together: Together, sqlite_file: Callable[[], Path]) -> None:
        place = last_units(at)
        path = sqlite_file()
        assert sum(together(8, buy_all(careful, place, at, 60))) == UNITS
        with sqlite3.connect(path) as file:
            assert file.execute("SELECT on_hand, held FROM inventory_level").fetchall() == [(UNITS, UNITS)]
            assert file.execute("SELECT SUM(quantity) FROM inventory_reservation").fetchone() == (UNITS,)
        file.close()


@pytest.mark.django_db
def test_the_constraint_is_the_net_below(at: datetime) -> None:
    place = last_units(at)
    with pytest.raises(IntegrityError, match="never_hold_more_than_on_hand"), transaction.atomic():
        Level.objects.filter(node_id=place[0]).update(held=F("on_hand") + 1)
