"""Buyers with and without a claim race for locked stock, while the lock is filled, changed and ended."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F, Sum

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.locks import actions as locks
from inventory.models import Level, Reservation, StockLock
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from tests.make import make_node, make_sku

Together = Callable[[int, Callable[[int], Any]], list[Any]]
Place = tuple[int, int]
CLAIM = "live:S1"
LOCKED = 50

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres_only")]


def stocked(at: datetime, *units: int) -> list[Place]:
    """One SKU at as many places as there are figures."""
    sku = make_sku()
    places = [(make_node().pk, sku.pk) for _ in units]
    receipts = [NewMovement(*place, "receipt", there, f"in:{place}") for place, there in zip(places, units, strict=True)]
    ledger.post(movements=receipts, actor="", at=at)
    return places


def lock_of(place: Place, amount: int, at: datetime) -> str:
    end = at + timedelta(hours=1)
    lock = locks.plan_lock(
        name="专场", claim=CLAIM, sku_id=place[1], mode="number", amount=amount, starts_at=at, ends_at=end, actor="", at=at
    )
    locks.start_due(at=at)
    return lock.lock_no


def buy(places: list[Place], number: int, tries: int, at: datetime, claims: tuple[str, ...] = ()) -> int:
    """One buyer's program: so many orders of one unit, at the places in turn; returns how many it was promised."""
    held = 0
    for n in range(tries):
        bill = f"{number}-{n}"
        held += bill in reservations.hold(wants=[Want(bill, *places[(number + n) % len(places)], 1, claims=claims)], at=at)
    return held


def sold() -> int:
    return Reservation.objects.filter(kind="node", state="open").aggregate(units=Sum("quantity"))["units"] or 0


def books_agree() -> None:
    assert queries.drift() == []
    assert not Level.objects.filter(held__gt=F("on_hand")).exists()
    assert not Reservation.objects.filter(drawn__gt=F("quantity")).exists()


def test_the_others_never_get_what_is_locked(at: datetime, together: Together) -> None:
    places = stocked(at, 80)
    lock_no = lock_of(places[0], LOCKED, at)

    def body(number: int) -> int:
        return buy(places, number, 6, at, (CLAIM,) if number < 16 else ())

    held = together(32, body)
    with_claim, others = sum(held[:16]), sum(held[16:])
    assert with_claim + others == 80 == sold()
    assert others <= 30
    drawn = Reservation.objects.filter(lock_no=lock_no).aggregate(units=Sum("drawn"))["units"]
    assert drawn == LOCKED
    assert not Reservation.objects.filter(kind="lock", state="open").exists()
    books_agree()


def test_a_lock_ends_while_its_buyers_draw(at: datetime, together: Together) -> None:
    places = stocked(at, 40, 40)
    lock_no = lock_of(places[0], LOCKED, at)

    def body(number: int) -> int:
        if number == 0:
            return locks.end_lock(lock_no=lock_no, actor="", at=at) or 0
        return buy(places, number, 6, at, (CLAIM,) if number % 2 else ())

    assert sum(together(17, body)) == 80 == sold()
    assert StockLock.objects.get().state == "ended"
    assert not Reservation.objects.filter(kind="lock", state="open").exists()
    assert locks.top_up(at=at) == 0
    books_agree()


def test_a_lock_is_filled_changed_and_robbed_while_its_buyers_draw_and_return(at: datetime, together: Together) -> None:
    places = stocked(at, 60, 40, 20)
    lock_no = lock_of(places[0], LOCKED, at)

    def body(number: int) -> int:
        if number in (0, 1):
            return sum(locks.top_up(at=at) for _ in range(15))
        if number == 2:
            for n in range(10):
                locks.change_lock(lock_no=lock_no, amount=LOCKED - 10 * (n % 2), actor="", at=at)
                locks.give_back(sku_id=places[0][1], node_id=places[0][0], units=1, at=at)
            return 0
        held = 0
        for n in range(8):
            bill = f"{number}-{n}"
            claims = (CLAIM,) if number % 2 else ()
            got = bill in reservations.hold(wants=[Want(bill, *places[(number + n) % 3], 1, claims=claims)], at=at)
            if got and n % 3 == 0:
                reservations.release(bills=[bill], at=at)
            elif got:
                held += 1
        return held

    held = together(16, body)
    assert sum(held[3:]) == sold() <= 120
    books_agree()
    locks.change_lock(lock_no=lock_no, amount=LOCKED, actor="", at=at)
    locks.top_up(at=at)
    locked = Reservation.objects.filter(kind="lock", state="open").aggregate(units=Sum("quantity"))["units"] or 0
    drawn = Reservation.objects.filter(lock_no=lock_no).exclude(state="released").aggregate(units=Sum("drawn"))["units"] or 0
    assert locked + drawn == min(LOCKED, 120 - sold() + drawn)
    assert locks.top_up(at=at) == 0
    books_agree()


def test_two_planners_get_one_lock(at: datetime, together: Together) -> None:
    [place] = stocked(at, 10)

    def body(_: int) -> bool:
        try:
            lock_of(place, 5, at)
        except locks.BadLock:
            return False
        return True

    assert sum(together(8, body)) == 1
    assert StockLock.objects.count() == 1
    books_agree()
