"""The SQL of day loads: one named function per statement, for PostgreSQL and for SQLite.

A dealer's row is the lock of all its days, taken in the order of the ids (a day's own row may not exist
yet). All changes to one bill are made under the lock of its order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.db import connection

from dealers.capacity.rules import Counted, DealerDay
from oms_project.journal.statements import rows_of

_SLOT = {"bill": "text", "dealer_id": "bigint", "allowed": "integer"}


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _day(value: date) -> Any:
    return connection.ops.adapt_datefield_value(value)


def _read_day(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _among(values: Collection[Any]) -> tuple[str, list[Any]]:
    if _is_postgres():
        return "= ANY(%s)", [list(values)]
    return f"IN ({', '.join(['%s'] * len(values))})", list(values)


def read_days(dealer_ids: Collection[int], day: date) -> dict[int, DealerDay]:
    """What these dealers may take and have taken on a day, with the latest counted day before it."""
    among, values = _among(dealer_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, d.capacity_per_day, d.carry_over_percent, d.weekdays, COALESCE(t.taken, 0), p.day, p.taken, p.allowed "
            "FROM dealers_dealer d LEFT JOIN dealers_dayload t ON t.dealer_id = d.id AND t.day = %s "
            "LEFT JOIN dealers_dayload p ON p.id = (SELECT e.id FROM dealers_dayload e WHERE e.dealer_id = d.id "
            f"AND e.day < %s ORDER BY e.day DESC LIMIT 1) WHERE d.id {among}",
            [_day(day), _day(day), *values],
        )
        return {
            dealer_id: DealerDay(
                dealer_id=dealer_id,
                day=day,
                capacity=capacity,
                carry_percent=carry_percent,
                weekdays=weekdays,
                taken=taken,
                last=Counted(_read_day(last[0]), last[1], last[2]) if last[0] else None,
            )
            for dealer_id, capacity, carry_percent, weekdays, taken, *last in cursor.fetchall()
        }


_LOCK = "SELECT id FROM dealers_dealer"
_FRESH = "NOT EXISTS (SELECT 1 FROM dealers_dayslot s WHERE s.bill = v.bill)"
_COUNT = (
    "INSERT INTO dealers_dayload (dealer_id, day, taken, allowed) SELECT v.dealer_id, {day}, COUNT(*), MAX(v.allowed) "
    f"FROM {{given}} WHERE {_FRESH} GROUP BY v.dealer_id HAVING COUNT(*) <= MAX(v.allowed) ORDER BY v.dealer_id "
    "ON CONFLICT (dealer_id, day) DO UPDATE SET taken = dealers_dayload.taken + EXCLUDED.taken, allowed = EXCLUDED.allowed "
    "WHERE dealers_dayload.taken + EXCLUDED.taken <= EXCLUDED.allowed RETURNING dealer_id"
)
_NEW = "INSERT INTO dealers_dayslot (bill, dealer_id, day, taken_at) "


def take(slots: Mapping[str, int], allowed: Mapping[int, int], day: date, at: datetime) -> set[str]:
    """Count new pieces of work (bill → dealer) up to what is allowed; returns those that got their place.

    All new work of one dealer fits or none of it is counted. A dealer whose day did not fit stays locked too.
    """
    rows = [(bill, dealer_id, allowed[dealer_id]) for bill, dealer_id in slots.items()]
    with connection.cursor() as cursor:
        if _is_postgres():
            given, values = rows_of(_SLOT, rows)
            count = _COUNT.format(day="%s", given=f"{given} JOIN locked ON locked.id = v.dealer_id")
            cursor.execute(
                f"WITH locked AS ({_LOCK} WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE), days AS ({count}) "
                f"{_NEW}SELECT v.bill, v.dealer_id, %s, %s FROM {given} "
                f"JOIN days ON days.dealer_id = v.dealer_id WHERE {_FRESH} RETURNING bill",
                [list(set(slots.values())), day, *values, day, at, *values],
            )
            return {bill for (bill,) in cursor.fetchall()}
        given = f"(SELECT column1 AS bill, column2 AS dealer_id, column3 AS allowed FROM (VALUES {_rows(rows)})) v"
        values = [value for row in rows for value in row]
        cursor.execute(_COUNT.format(day="%s", given=given), [_day(day), *values])
        fitted = [dealer_id for (dealer_id,) in cursor.fetchall()]
        if not fitted:
            return set()
        among, dealers = _among(fitted)
        cursor.execute(
            f"{_NEW}SELECT v.bill, v.dealer_id, %s, %s FROM {given} WHERE v.dealer_id {among} AND {_FRESH} RETURNING bill",
            [_day(day), _when(at), *values, *dealers],
        )
        return {bill for (bill,) in cursor.fetchall()}


def _rows(rows: Sequence[Sequence[Any]]) -> str:
    return ", ".join(["(%s, %s, %s)"] * len(rows))


def holders(bills: Collection[str]) -> dict[str, int]:
    """The dealers whose day these pieces of work take a place of, by bill."""
    among, values = _among(bills)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT bill, dealer_id FROM dealers_dayslot WHERE bill {among}", values)
        return dict(cursor.fetchall())


def lock_dealers(bills: Collection[str], dealer_ids: Collection[int]) -> None:
    """Lock the dealers at whom these bills have a place, and some others, in the order of their ids."""
    if not _is_postgres():
        return  # the transaction is exclusive already
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LOCK} WHERE id IN (SELECT dealer_id FROM dealers_dayslot WHERE bill = ANY(%s)) OR id = ANY(%s) "
            "ORDER BY id FOR NO KEY UPDATE",
            [list(bills), list(dealer_ids)],
        )


def give_back(bills: Collection[str]) -> list[tuple[int, date, bool]]:
    """Free the places of these bills, whose dealers are locked; returns (dealer, day, was it full) of each day."""
    among, values = _among(bills)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM dealers_dayslot WHERE bill {among} RETURNING dealer_id, day", values)
        gone: dict[tuple[int, Any], int] = {}
        for key in cursor.fetchall():
            gone[key] = gone.get(key, 0) + 1
        if not gone:
            return []
        row = f"(CAST(%s AS bigint), CAST(%s AS {'date' if _is_postgres() else 'text'}), CAST(%s AS integer))"
        cursor.execute(
            f"WITH v (dealer_id, day, units) AS (VALUES {', '.join([row] * len(gone))}) "
            "UPDATE dealers_dayload SET taken = taken - v.units FROM v "
            "WHERE dealers_dayload.dealer_id = v.dealer_id AND dealers_dayload.day = v.day "
            "RETURNING dealers_dayload.dealer_id, dealers_dayload.day, taken, allowed",
            [value for key, units in sorted(gone.items()) for value in (*key, units)],
        )
        return [
            (dealer_id, _read_day(day), taken + gone[(dealer_id, day)] >= allowed)
            for dealer_id, day, taken, allowed in cursor.fetchall()
        ]


def close_days(before: date, at: datetime) -> list[int]:
    """Close the days before one that are still open; returns the dealers that were full on one of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE dealers_dayload SET closed_at = %s WHERE closed_at IS NULL AND day < %s "
            "RETURNING dealer_id, taken >= allowed",
            [_when(at), _day(before)],
        )
        return sorted({dealer_id for dealer_id, was_full in cursor.fetchall() if was_full})


def delete_slots(before: date) -> int:
    """Delete the places of long past days: nobody gives those back any more."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM dealers_dayslot WHERE day < %s", [_day(before)])
        return int(cursor.rowcount)
