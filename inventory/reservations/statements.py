"""The SQL of reservations: one named function per statement, for PostgreSQL and for SQLite.

PostgreSQL feeds one writing statement from another, so a stock row is locked for one round trip;
SQLite does the same in two statements inside its exclusive transaction. Stock rows are always
locked in the order of their ids.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from inventory.reservations.rules import Place

Row = tuple[int, str, int]  # level_id, bill, quantity
_NEW = "INSERT INTO inventory_reservation (level_id, bill, quantity, state, held_at, expires_at) "


def is_postgres() -> bool:
    """Whether one statement may feed another here."""
    return connection.vendor == "postgresql"


def _when(value: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _marks(count: int, row: str = "%s") -> str:
    return ", ".join([row] * count)


def read_sellable(node_ids: Collection[int], sku_ids: Collection[int]) -> dict[Place, int]:
    """Free units per place, never below zero."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT node_id, sku_id, on_hand - held - safety_stock FROM inventory_level "
            f"WHERE node_id IN ({_marks(len(node_ids))}) AND sku_id IN ({_marks(len(sku_ids))})",
            [*node_ids, *sku_ids],
        )
        return {(node_id, sku_id): max(0, free) for node_id, sku_id, free in cursor.fetchall()}


def hold_one(bill: str, place: Place, quantity: int, at: datetime, expires_at: datetime | None) -> bool:
    """Hold one place for one bill if enough is free; true also when the bill already holds there."""
    already = (  # asked by both columns of the unique index: a row that many bills hold must not be searched
        "SELECT 1 FROM inventory_reservation WHERE bill = %s AND state = 'open' "
        "AND level_id = (SELECT id FROM inventory_level WHERE node_id = %s AND sku_id = %s)"
    )
    raise_held = (
        "UPDATE inventory_level SET held = held + %s WHERE node_id = %s AND sku_id = %s "
        f"AND on_hand - held - safety_stock >= %s AND NOT EXISTS ({already}) RETURNING id"
    )
    raising: list[Any] = [quantity, *place, quantity, bill, *place]
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(
                f"WITH took AS ({raise_held}), new AS ({_NEW} "
                "SELECT id, %s, %s, 'open', %s, %s::timestamptz FROM took RETURNING 1) "
                f"SELECT EXISTS (SELECT 1 FROM new) OR EXISTS ({already})",
                [*raising, bill, quantity, at, expires_at, bill, *place],
            )
            return bool(cursor.fetchone()[0])
        cursor.execute(raise_held, raising)
        took = cursor.fetchall()
        if took:
            cursor.execute(
                _NEW + "VALUES (%s, %s, %s, 'open', %s, %s)", [took[0][0], bill, quantity, _when(at), _when(expires_at)]
            )
            return True
        cursor.execute(already, [bill, *place])
        return cursor.fetchone() is not None


def lock_free(places: Sequence[Place], bills: Sequence[str]) -> tuple[dict[Place, tuple[int, int]], set[str]]:
    """Lock stock rows; returns (level_id, free units) per place, and the bills that already hold one of them."""
    lock = " FOR UPDATE OF l" if is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH w (node_id, sku_id) AS (VALUES {_marks(len(places), '(%s, %s)')}) "
            "SELECT l.id, l.node_id, l.sku_id, l.on_hand - l.held - l.safety_stock, r.bill "
            "FROM w JOIN inventory_level l ON l.node_id = w.node_id AND l.sku_id = w.sku_id "
            "LEFT JOIN inventory_reservation r ON r.level_id = l.id AND r.state = 'open' "
            f"AND r.bill IN ({_marks(len(bills))}) ORDER BY l.id{lock}",
            [*(value for place in places for value in place), *bills],
        )
        rows = cursor.fetchall()
    free = {(node_id, sku_id): (level_id, units) for level_id, node_id, sku_id, units, _ in rows}
    return free, {bill for *_, bill in rows if bill is not None}


def hold_many(rows: Sequence[Row], gains: Sequence[tuple[int, int]], at: datetime, expires_at: datetime | None) -> None:
    """Raise held by (level_id, units) and write the reservations that explain it. The rows must be locked."""
    raise_held = "UPDATE inventory_level SET held = held + gain.units FROM gain WHERE inventory_level.id = gain.level_id"
    gain = f"gain (level_id, units) AS (VALUES {_marks(len(gains), '(%s, %s)')})"
    gaining = [value for pair in gains for value in pair]
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(
                f"WITH {gain}, up AS ({raise_held} RETURNING inventory_level.id) {_NEW} "
                "SELECT w.level_id, w.bill, w.quantity, 'open', %s, %s::timestamptz "
                f"FROM (VALUES {_marks(len(rows), '(%s, %s, %s)')}) AS w (level_id, bill, quantity) "
                "JOIN up ON up.id = w.level_id",
                [*gaining, at, expires_at, *(value for row in rows for value in row)],
            )
            return
        cursor.execute(f"WITH {gain} {raise_held}", gaining)
        times = (_when(at), _when(expires_at))
        cursor.execute(
            _NEW + f"VALUES {_marks(len(rows), '(%s, %s, %s, %s, %s, %s)')}",
            [value for row in rows for value in (*row, "open", *times)],
        )


def lock_levels(bills: Sequence[str], places: Sequence[Place] = ()) -> None:
    """Lock the stock rows that some bills hold, and those of some places, in the order of their ids."""
    if not is_postgres():
        return  # the transaction is exclusive already
    more = f" OR (node_id, sku_id) IN ({_marks(len(places), '(%s, %s)')})" if places else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM inventory_level WHERE id IN (SELECT level_id FROM inventory_reservation "
            f"WHERE state = 'open' AND bill IN ({_marks(len(bills))})){more} ORDER BY id FOR UPDATE",
            [*bills, *(value for place in places for value in place)],
        )


def close(bills: Sequence[str], state: str, at: datetime, *, leaves: bool, actor: str = "") -> int:
    """Close the open reservations of some bills and lower held; with `leaves` the goods leave too.

    Leaving lowers on_hand in the same statement and writes the shipment, keyed ship:<bill>:<level>.
    Returns the number of reservations closed.
    """
    closing = (
        f"UPDATE inventory_reservation SET state = %s, closed_at = %s WHERE state = 'open' AND bill IN ({_marks(len(bills))}) "
        "RETURNING level_id, bill, quantity"
    )
    columns = "held = held - gone.units" + (", on_hand = on_hand - gone.units" if leaves else "")
    lower = f"UPDATE inventory_level SET {columns} FROM gone WHERE inventory_level.id = gone.level_id"
    ship = "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
    shipped = (
        "SELECT l.node_id, l.sku_id, 'shipment', -c.quantity, 'ship:' || c.bill || ':' || c.level_id, '', "
        "%s, %s FROM closed c JOIN inventory_level l ON l.id = c.level_id ORDER BY c.level_id"
    )
    with connection.cursor() as cursor:
        if is_postgres():
            shipping: list[Any] = [actor, at] if leaves else []
            sent = f", sent AS ({ship}{shipped})" if leaves else ""
            cursor.execute(
                f"WITH closed AS ({closing}), "
                "gone AS (SELECT level_id, SUM(quantity)::bigint AS units FROM closed GROUP BY level_id), "
                f"down AS ({lower}){sent} SELECT COUNT(*) FROM closed",
                [state, at, *bills, *shipping],
            )
            return int(cursor.fetchone()[0])
        cursor.execute(closing, [state, _when(at), *bills])
        closed: list[Row] = cursor.fetchall()
        if not closed:
            return 0
        table = f"closed (level_id, bill, quantity) AS (VALUES {_marks(len(closed), '(%s, %s, %s)')})"
        values = [value for row in closed for value in row]
        gone = "gone AS (SELECT level_id, SUM(quantity) AS units FROM closed GROUP BY level_id)"
        cursor.execute(f"WITH {table}, {gone} {lower}", values)
        if leaves:
            cursor.execute(f"WITH {table} {ship}{shipped}", [*values, actor, _when(at)])
        return len(closed)
