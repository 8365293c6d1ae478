"""Many bills in one call of `hold`: the short way when all of it fits, the long way when not, and the same promises on both."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import NewMovement
from inventory.locks import actions as locks
from inventory.models import Level, Reservation, Sku
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Place, Want
from tests.conftest import NOON
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db
SHORT = 1 if connection.vendor == "postgresql" else 4  # statements when all fits
LONG = 4  # when something does not: on PostgreSQL the short way was tried first


def stocked(units: int) -> Place:
    place = (make_node().pk, make_sku().pk)
    ledger.post(movements=[NewMovement(*place, "receipt", units, f"in:{place}")], actor="test", at=NOON)
    return place


def hold(*wants: Want, statements: int | None = None, at: datetime = NOON, **more: Any) -> set[str]:
    """The bills that hold, in so many statements; afterwards the books agree."""
    with CaptureQueriesContext(connection) as seen:
        bills = set(reservations.hold(wants=wants, at=at, **more))
    if statements is not None:
        assert len(seen) == statements, seen.captured_queries
    assert ledger_queries.drift() == []
    return bills


def promised() -> dict[str, list[tuple[int, int]]]:
    """(sku_id, units) per bill."""
    found: dict[str, list[tuple[int, int]]] = {}
    for bill, sku_id, units in Reservation.objects.order_by("bill", "level__sku_id").values_list(
        "bill", "level__sku_id", "quantity"
    ):
        found.setdefault(bill, []).append((sku_id, units))
    return found


def test_what_fits_exactly_is_held_the_short_way() -> None:
    sofa, lamp = stocked(3), stocked(2)
    until = NOON + timedelta(minutes=5)
    wants = [Want("A", *sofa, 1), Want("B", *sofa, 1, "pinned"), Want("A", *lamp, 2), Want("A", *sofa, 1)]
    assert hold(*wants, statements=SHORT, expires_at=until) == {"A", "B"}
    assert promised() == {"A": [(sofa[1], 2), (lamp[1], 2)], "B": [(sofa[1], 1)]}
    rows = Reservation.objects.order_by("bill", "pk").values_list(
        "bill", "kind", "state", "held_at", "expires_at", "lock_no", "drawn"
    )
    assert set(rows) == {("A", "node", "open", NOON, until, "", 0), ("B", "pinned", "open", NOON, until, "", 0)}


def test_one_unit_too_many_is_decided_bill_by_bill_in_the_order_given() -> None:
    sofa, lamp = stocked(3), stocked(2)
    wants = [Want("A", *sofa, 2), Want("B", *sofa, 2), Want("C", *lamp, 3), Want("D", *sofa, 1), Want("D", *lamp, 2)]
    assert hold(*wants, statements=LONG) == {"A", "D"}
    assert promised() == {"A": [(sofa[1], 2)], "D": [(sofa[1], 1), (lamp[1], 2)]}


@pytest.mark.parametrize(
    ("rule", "free"),
    [
        ({"safety_stock": 4}, 6),
        ({"share_percent": 55}, 5),
        ({"share_cap": 3}, 3),
        ({"keep_back": 9}, 1),
        ({"share_percent": 50, "safety_stock": 3, "keep_back": 1}, 2),
        ({"fresh_until": NOON}, 0),
        ({"fresh_until": NOON + timedelta(seconds=1)}, 10),
    ],
)
def test_a_batch_gets_what_the_rules_leave_and_not_a_unit_more(rule: dict[str, Any], free: int) -> None:
    place = stocked(10)
    Level.objects.update(**rule)
    wants = [Want(f"A{n}", *place, 1) for n in range(free + 1)]
    assert hold(*wants) == {want.bill for want in wants[:free]}
    reservations.release(bills=[want.bill for want in wants], at=NOON)
    if free > 1:
        assert hold(*wants[:free], statements=SHORT) == {want.bill for want in wants[:free]}


def test_a_place_nobody_knows_takes_only_its_own_bill() -> None:
    sofa = stocked(3)
    assert hold(Want("A", *sofa, 1), Want("B", sofa[0], make_sku().pk, 1), Want("C", -1, sofa[1], 1)) == {"A"}


def test_bills_that_hold_already_are_left_alone_and_the_new_ones_held() -> None:
    sofa = stocked(12)
    hold(Want("A", *sofa, 2), Want("B", *sofa, 1))
    assert hold(Want("A", *sofa, 2), Want("C", *sofa, 3), Want("B", *sofa, 4), statements=SHORT) == {"A", "B", "C"}
    assert promised() == {"A": [(sofa[1], 2)], "B": [(sofa[1], 1)], "C": [(sofa[1], 3)]}


def test_a_repetition_does_not_count_against_the_others() -> None:
    sofa = stocked(3)
    hold(Want("A", *sofa, 2))
    assert hold(Want("A", *sofa, 2), Want("B", *sofa, 1), statements=LONG) == {"A", "B"}
    assert hold(Want("A", *sofa, 2), Want("B", *sofa, 1), Want("C", *sofa, 1)) == {"A", "B"}
    assert promised() == {"A": [(sofa[1], 2)], "B": [(sofa[1], 1)]}


@pytest.mark.parametrize("units", [2, 20], ids=["scarce", "plenty"])
def test_a_bill_that_holds_one_of_its_places_takes_nothing_of_the_others(units: int) -> None:
    sofa, lamp = stocked(units), stocked(units)
    hold(Want("A", *sofa, 2))
    assert hold(Want("A", *sofa, 2), Want("A", *lamp, 1), Want("B", *lamp, 1), Want("C", *lamp, 1)) == {"A", "B", "C"}
    assert promised() == {"A": [(sofa[1], 2)], "B": [(lamp[1], 1)], "C": [(lamp[1], 1)]}


def test_a_bill_that_was_given_back_may_hold_again() -> None:
    sofa, lamp = stocked(2), stocked(2)
    wants = [Want("A", *sofa, 1), Want("A", *lamp, 1), Want("B", *sofa, 1)]
    hold(*wants)
    reservations.release(bills=["A"], at=NOON)
    assert hold(*wants) == {"A", "B"}
    assert Reservation.objects.filter(state="open").count() == 3


def test_together_on_either_way() -> None:
    sofa = stocked(5)
    assert hold(Want("A", *sofa, 2), Want("B", *sofa, 4), together=True) == set()
    assert promised() == {}
    assert hold(Want("A", *sofa, 2), Want("B", *sofa, 2), statements=SHORT, together=True) == {"A", "B"}
    assert hold(Want("A", *sofa, 2), Want("B", *sofa, 2), Want("C", *sofa, 1), together=True) == {"A", "B", "C"}
    assert hold(Want("A", *sofa, 2), Want("D", *sofa, 1), together=True) == set()


def test_buyers_with_a_lock_draw_from_it_and_a_claim_without_one_goes_the_short_way() -> None:
    sofa = stocked(10)
    lock = locks.plan_lock(
        name="专场", claim="live:S1", sku_id=Sku.objects.get(pk=sofa[1]).pk, mode="number", amount=6,
        starts_at=NOON, ends_at=NOON + timedelta(hours=1), actor="test", at=NOON,
    )  # fmt: skip
    locks.start_lock(lock_no=lock.lock_no, actor="test", at=NOON)
    wants = [Want("A", *sofa, 4, claims=("live:S1",)), Want("B", *sofa, 5), Want("C", *sofa, 4)]
    assert hold(*wants) == {"A", "C"}
    assert dict(Reservation.objects.exclude(kind="lock").values_list("bill", "drawn")) == {"A": 4, "C": 0}
    reservations.release(bills=["C"], at=NOON)
    others = [Want(bill, *sofa, 1, claims=("live:S2",)) for bill in "DE"]
    assert hold(*others, statements=SHORT) == {"D", "E"}
    assert Level.objects.get().held == 8


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a plan of PostgreSQL: run with DATABASE_URL=postgres://…")
def test_a_bill_at_a_hot_place_is_never_searched_among_all_its_buyers() -> None:
    """Even with statistics from before the rush, when the index by level looked as good as the one by bill."""
    places = [stocked(2) for _ in range(300)]
    hold(*[Want(f"old{n}", *place, 1) for n, place in enumerate(places)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inventory_reservation")
    both = [Want("A", *places[0], 1), Want("A", *places[1], 1)]
    with CaptureQueriesContext(connection) as seen:
        reservations.hold(wants=[Want("B", *places[0], 2)], at=NOON)
        reservations.hold(wants=both, at=NOON)
        reservations.keep(bill="A", quantities={places[0]: 1, places[1]: 0}, at=NOON)
    asked = [query["sql"] for query in seen if "bill" in query["sql"] and query["sql"].startswith(("SELECT", "WITH", "UPDATE"))]
    assert len(asked) > 6
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(f"EXPLAIN {sql}")
            assert "reservation_open_by_level" not in str(cursor.fetchall()), sql
