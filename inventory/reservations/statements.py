"""The SQL of reservations: one named function per statement, for PostgreSQL and for SQLite.

PostgreSQL feeds one writing statement from another, so a stock row is locked for one round trip;
SQLite does the same in two statements inside its exclusive transaction. Stock rows are always
locked in the order of their ids.

A bill at a level is asked for with `level_id + 0`, so that it is found by its bill: statistics from
before a rush may make the index by level look as good, and there a hot row has all of its buyers
(40 ms for 200,000 of them).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from django.db import connection

from inventory.ledger.statements import free_sql, fresh_sql
from inventory.reservations.rules import Demands, Grant, Place, Shelf, Want
from oms_project.journal.statements import rows_of

Row = tuple[int, str, int]  # level_id, bill, quantity
_NEW = "INSERT INTO inventory_reservation (level_id, bill, kind, quantity, lock_no, drawn, state, held_at, expires_at) "
_GAIN = "gain AS (SELECT level_id, CAST(SUM(quantity - drawn) AS BIGINT) AS units FROM new GROUP BY level_id)"
_LIFTED = "UPDATE inventory_level SET held = held + gain.units FROM gain WHERE inventory_level.id = gain.level_id"


def is_postgres() -> bool:
    """Whether one statement may feed another here."""
    return connection.vendor == "postgresql"


def _when(value: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _marks(count: int, row: str = "%s") -> str:
    return ", ".join([row] * count)


def _flat(rows: Iterable[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]


def _among(values: Collection[Any]) -> tuple[str, list[Any]]:
    """What follows a column to ask whether it is one of some values; one parameter on PostgreSQL, so one plan for any number."""
    if is_postgres():
        return "= ANY(%s)", [list(values)]
    return f"IN ({_marks(len(values))})", list(values)


def read_free(node_ids: Collection[int], sku_ids: Collection[int], at: datetime) -> dict[Place, int]:
    """Free units per place that has stock and is fresh; negative where more is promised than the rules allow now."""
    (nodes, node_values), (skus, sku_values) = _among(node_ids), _among(sku_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT node_id, sku_id, {free_sql()} FROM inventory_level "
            f"WHERE node_id {nodes} AND sku_id {skus} AND {fresh_sql()}",
            [*node_values, *sku_values, _when(at)],
        )
        return {(node_id, sku_id): free for node_id, sku_id, free in cursor.fetchall()}


def read_locked(
    node_ids: Collection[int], sku_ids: Collection[int], lock_nos: Collection[str], at: datetime
) -> dict[str, dict[Place, int]]:
    """Units that these locks hold now, per lock and place."""
    locked: dict[str, dict[Place, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.bill, l.node_id, l.sku_id, r.quantity FROM inventory_reservation r "
            "JOIN inventory_level l ON l.id = r.level_id + 0 "
            f"WHERE r.state = 'open' AND r.level_id IS NOT NULL AND r.kind = 'lock' AND r.bill IN ({_marks(len(lock_nos))}) "
            f"AND l.node_id IN ({_marks(len(node_ids))}) AND l.sku_id IN ({_marks(len(sku_ids))}) AND {fresh_sql('l.')}",
            [*lock_nos, *node_ids, *sku_ids, _when(at)],
        )
        for lock_no, node_id, sku_id, units in cursor.fetchall():
            locked.setdefault(lock_no, {})[(node_id, sku_id)] = units
    return locked


_AT_PLACE = "(SELECT id FROM inventory_level WHERE node_id = %s AND sku_id = %s)"
_OPEN = "state = 'open' AND level_id IS NOT NULL"
_ONCE = f"ON CONFLICT (bill, level_id) WHERE {_OPEN} DO NOTHING RETURNING level_id"


def hold_one(want: Want, at: datetime, expires_at: datetime | None) -> bool:
    """Hold one place for one bill if enough is free; true also when the bill already holds there.

    One statement where it fits on PostgreSQL, two on SQLite. Where it does not, one more asks whether
    the bill holds there already; it sees what was committed while the first one waited.
    """
    named = {
        "node": want.node_id, "sku": want.sku_id, "bill": want.bill, "kind": want.kind, "units": want.quantity,
        "at": _when(at), "until": _when(expires_at),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_one_sql(is_postgres()), named)
        new = cursor.fetchall()
        if new and not is_postgres():
            cursor.execute("UPDATE inventory_level SET held = held + %s WHERE id = %s", [want.quantity, *new[0]])
        if new:
            return True
        cursor.execute(
            f"SELECT 1 FROM inventory_reservation WHERE {_OPEN} AND bill = %s AND level_id + 0 = {_AT_PLACE}",
            [want.bill, *want.place],
        )
        return cursor.fetchone() is not None


@cache
def _one_sql(postgres: bool) -> str:
    """Has a row when the want fits; on SQLite only when it is new, and held is not raised yet."""
    spot = (
        "SELECT id FROM inventory_level WHERE node_id = %(node)s AND sku_id = %(sku)s "
        f"AND {free_sql()} >= %(units)s AND {fresh_sql().replace('%s', '%(at)s')}"
    )
    columns = "id, %(bill)s, %(kind)s, %(units)s, '', 0, 'open', %(at)s, %(until)s"
    if not postgres:
        return f"{_NEW} SELECT {columns} FROM ({spot}) WHERE true ON CONFLICT DO NOTHING RETURNING level_id"
    return (
        f"WITH spot AS ({spot} FOR UPDATE), new AS ({_NEW} SELECT {columns}::timestamptz FROM spot {_ONCE}), lifted AS ("
        "UPDATE inventory_level SET held = held + %(units)s FROM new WHERE inventory_level.id = new.level_id) "
        "SELECT id FROM spot"
    )


def hold_all(demands: Demands, at: datetime, expires_at: datetime | None) -> bool:
    """Hold all that bills want by one statement of PostgreSQL; False, with nothing done, unless it is sure that all fits.

    The stock rows are locked in the order of their ids and asked as they are after the wait; the
    reservations are seen as they were before it. For bills of one place that is enough: one that
    holds its place already meets the unique index and is left as it is (that its units are counted
    again is only cautious). Where a bill wants several places, nothing is done if it holds one of
    them, or if a stock row changed during the wait, as reservations may have been made there unseen.
    """
    told = [
        {"node_id": node_id, "sku_id": sku_id, "bill": bill, "kind": demand.kind, "quantity": units}
        for bill, demand in demands.items()
        for (node_id, sku_id), units in demand.places.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_all_sql(len(told) > len(demands)), [orjson.dumps(told).decode(), at, at, expires_at])
        return bool(cursor.fetchone()[0])


@cache
def _all_sql(several: bool) -> str:
    """`several`: some bill wants more than one place."""
    unchanged = unheld = ""
    if several:
        unchanged = " AND l.xmin = b.xmin"
        unheld = (
            " AND NOT EXISTS (SELECT 1 FROM wanted w JOIN spot ON spot.node_id = w.node_id AND spot.sku_id = w.sku_id "
            f"CROSS JOIN LATERAL (SELECT 1 FROM inventory_reservation WHERE {_OPEN} AND bill = w.bill AND level_id + 0 = spot.id "
            "LIMIT 1) AS held)"
        )
    # b is the row as it was before the wait. It must have room too: an UPDATE asks the CHECK of that version first.
    fits = f"{free_sql('l.')} >= need.units AND {fresh_sql('l.')} AND b.on_hand - b.held >= need.units{unchanged}"
    return (
        "WITH wanted AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) "
        "AS v (node_id bigint, sku_id bigint, bill text, kind text, quantity bigint)), "
        "need AS MATERIALIZED (SELECT node_id, sku_id, SUM(quantity) AS units FROM wanted GROUP BY node_id, sku_id), "
        f"spot AS MATERIALIZED (SELECT l.id, l.node_id, l.sku_id, {fits} AS fits "
        "FROM need JOIN inventory_level l ON l.node_id = need.node_id AND l.sku_id = need.sku_id "
        "JOIN inventory_level b ON b.id = l.id ORDER BY l.id FOR UPDATE OF l), "
        "verdict AS MATERIALIZED (SELECT (SELECT COUNT(*) FROM spot WHERE fits) = (SELECT COUNT(*) FROM need)"
        f"{unheld} AS all_fits), new AS ({_NEW} SELECT spot.id, w.bill, w.kind, w.quantity, '', 0, 'open', %s, %s::timestamptz "
        "FROM verdict CROSS JOIN wanted w JOIN spot ON spot.node_id = w.node_id AND spot.sku_id = w.sku_id "
        f"WHERE verdict.all_fits {_ONCE}, quantity, drawn), {_GAIN}, lifted AS ({_LIFTED}) SELECT all_fits FROM verdict"
    )


@dataclass(slots=True)
class LockedShelf:
    """Stock rows that are locked, with their ids per place, what is free and kept by locks there, and where stock is fresh."""

    level_ids: dict[Place, int]
    shelf: Shelf
    fresh: set[Place] = field(default_factory=set)


def lock_free(places: Sequence[Place], locks: Mapping[str, tuple[str, ...]], at: datetime) -> LockedShelf:
    """Lock stock rows in the order of their ids, then read what is free there and what the locks of some claims hold.

    The locks' rows are read by a second statement, which sees what was committed while the first
    one waited. A level that is not fresh has nothing free and nothing locked.
    """
    columns = f"l.id, l.node_id, l.sku_id, {free_sql('l.')}, {fresh_sql('l.')}"
    join = "JOIN inventory_level l ON l.node_id = v.node_id AND l.sku_id = v.sku_id ORDER BY l.id"
    found = LockedShelf({}, Shelf({}, locks))
    with connection.cursor() as cursor:
        if is_postgres():
            given, rows = rows_of({"node_id": "bigint", "sku_id": "bigint"}, places)
            cursor.execute(f"SELECT {columns} FROM {given} {join} FOR UPDATE OF l", [at, *rows])
        else:
            given = f"WITH v (node_id, sku_id) AS (VALUES {_marks(len(places), '(%s, %s)')})"
            cursor.execute(f"{given} SELECT {columns} FROM v {join}", [*_flat(places), _when(at)])
        fresh = {}
        for level_id, node_id, sku_id, free, is_fresh in cursor.fetchall():
            place = (node_id, sku_id)
            found.level_ids[place] = level_id
            found.shelf.free[place] = free if is_fresh else 0
            if is_fresh:
                fresh[level_id] = place
    found.fresh.update(fresh.values())
    lock_nos = {number for numbers in locks.values() for number in numbers}
    for bill, level_id, units in _open_at(lock_nos, fresh) if lock_nos else ():
        found.shelf.locked.setdefault(bill, {})[fresh[level_id]] = units
    return found


def holding(bills: Collection[str], level_ids: Collection[int]) -> set[str]:
    """Those of the bills that hold something at one of these levels already."""
    return {bill for bill, _, _ in _open_at(bills, level_ids)}


def open_bills(bills: Collection[str]) -> set[str]:
    """Those of the bills that hold something at some level."""
    return {bill for bill, _, _ in _open_at(bills, None)}


def _open_at(bills: Collection[str], level_ids: Collection[int] | None) -> list[tuple[str, int, int]]:
    """(bill, level_id, units) of what bills hold at some levels (None: anywhere); by bill, as a hot level has very many."""
    with connection.cursor() as cursor:
        among, values = _among(bills)
        cursor.execute(
            "SELECT bill, level_id, quantity FROM inventory_reservation "
            f"WHERE state = 'open' AND level_id IS NOT NULL AND bill {among}",
            values,
        )
        found: list[tuple[str, int, int]] = cursor.fetchall()
        wanted = None if level_ids is None else set(level_ids)
        return [row for row in found if wanted is None or row[1] in wanted]


_GRANT = {"level_id": "bigint", "bill": "text", "kind": "text", "quantity": "bigint", "lock_no": "text", "drawn": "bigint"}


def hold_many(rows: Sequence[tuple[int, Grant]], at: datetime, expires_at: datetime | None) -> None:
    """Write the reservations of (level_id, grant) and raise held by what is new. The levels must be locked.

    A bill that holds at a level already is left as it is there.
    """
    told = [(level_id, grant.bill, grant.kind, grant.quantity, grant.lock_no, grant.drawn) for level_id, grant in rows]
    written = "ON CONFLICT DO NOTHING RETURNING level_id, quantity, drawn"
    with connection.cursor() as cursor:
        if is_postgres():
            given, values = rows_of(_GRANT, told)
            cursor.execute(
                f"WITH new AS ({_NEW} SELECT {', '.join(_GRANT)}, 'open', %s, %s::timestamptz FROM {given} {written}), "
                f"{_GAIN} {_LIFTED}",
                [at, expires_at, *values],
            )
            return
        times = ("open", _when(at), _when(expires_at))
        row = f"VALUES {_marks(len(rows), '(%s, %s, %s, %s, %s, %s, %s, %s, %s)')}"
        cursor.execute(f"{_NEW} {row} {written}", _flat((*row, *times) for row in told))
        new = cursor.fetchall()
        if new:
            table = f"new (level_id, quantity, drawn) AS (VALUES {_marks(len(new), '(%s, %s, %s)')})"
            cursor.execute(f"WITH {table}, {_GAIN} {_LIFTED}", _flat(new))


def draw_locks(draws: Sequence[tuple[str, int, int]], at: datetime) -> None:
    """Take (lock_no, level_id, units) out of locks; a lock's row that is used up is closed. The levels must be locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH d (lock_no, level_id, units) AS (VALUES {_marks(len(draws), '(%s, %s, %s)')}) "
            "UPDATE inventory_reservation SET "
            "quantity = CASE WHEN quantity > d.units THEN quantity - d.units ELSE quantity END, "
            "state = CASE WHEN quantity > d.units THEN 'open' ELSE 'consumed' END, "
            f"closed_at = CASE WHEN quantity > d.units THEN NULL ELSE {'%s::timestamptz' if is_postgres() else '%s'} END "
            "FROM d WHERE state = 'open' AND inventory_reservation.level_id IS NOT NULL AND kind = 'lock' AND bill = d.lock_no "
            "AND inventory_reservation.level_id + 0 = d.level_id",
            [*_flat(draws), _when(at)],
        )


def lock_deliveries(bills: Sequence[str]) -> None:
    """Lock the deliveries on which some bills stand, in the order of their ids: they come before the stock rows.

    From then on no arrival moves these bills from a delivery to a level.
    """
    if not is_postgres():
        return  # the transaction is exclusive already
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM inventory_incoming WHERE id IN (SELECT incoming_id FROM inventory_reservation WHERE state = 'open' "
            f"AND incoming_id IS NOT NULL AND bill IN ({_marks(len(bills))})) ORDER BY id FOR UPDATE",
            list(bills),
        )


_ROWS = "SELECT id FROM inventory_reservation WHERE state = 'open' AND bill = ANY(%s) AND kind <> 'lock'"


def lock_levels(bills: Sequence[str], places: Sequence[Place] = ()) -> list[int] | None:
    """Lock what some bills hold, then the stock rows it stands on and those of some places, each in the order of their ids.

    Returns the ids of the bills' rows, for `close`: what a bill takes after this is somebody's next step.

    The bills' own rows come first, so that two who close or move the same bill wait before they
    read where it stands. The rows of locks are left out: buyers reach those from the stock rows.
    """
    if not is_postgres():
        return None  # the transaction is exclusive already
    mine: set[int] = set()
    with connection.cursor() as cursor:
        while True:  # a wait may have ended because the bill was moved, and then it stands in another row by now
            cursor.execute(f"{_ROWS} ORDER BY id FOR UPDATE", [list(bills)])
            mine.update(row[0] for row in cursor.fetchall())
            cursor.execute(_ROWS, [list(bills)])
            if mine.issuperset(row[0] for row in cursor.fetchall()):
                break
    given, rows = rows_of({"node_id": "bigint", "sku_id": "bigint"}, places)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM inventory_level WHERE id IN (SELECT level_id FROM inventory_reservation "
            "WHERE state = 'open' AND level_id IS NOT NULL AND bill = ANY(%s) UNION ALL SELECT l.id "
            f"FROM {given} JOIN inventory_level l ON l.node_id = v.node_id AND l.sku_id = v.sku_id) ORDER BY id FOR UPDATE",
            [list(bills), *rows],
        )
    return sorted(mine)


_SHIP_KIND = "CASE c.kind WHEN 'transfer' THEN 'transfer_out' WHEN 'block' THEN 'write_off' ELSE 'shipment' END"
_SHIP = "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
_SHIPPED = (
    f"SELECT l.node_id, l.sku_id, {_SHIP_KIND}, -c.quantity, 'ship:' || c.bill || ':' || c.level_id, c.reason, "
    "%s, %s FROM closed c JOIN inventory_level l ON l.id = c.level_id ORDER BY c.level_id"
)
_CLOSED = "level_id, incoming_id, bill, quantity, kind, reason"


def close(
    bills: Sequence[str],
    state: str,
    at: datetime,
    rows: list[int] | None,
    *,
    leaves: bool,
    actor: str = "",
    due: bool = False,
) -> int:
    """Close the open reservations of some bills and lower held; with `leaves` the goods leave too.

    `rows` are the ones that `lock_levels` has locked (None: all); those of locks are reached by their stock rows.

    Leaving lowers on_hand in the same statement and writes the movement (shipment, transfer_out or
    write_off by the reservation's kind), keyed ship:<bill>:<level>; what stands on no level stays
    open. With `due` only what has expired at `at` is closed. Returns the number of reservations closed.
    """
    only = (" AND level_id IS NOT NULL" if leaves else "") + (" AND expires_at <= %s" if due else "")
    among, named = _among(bills)
    mine = "" if rows is None else " AND (kind = 'lock' OR id = ANY(%s))"
    closing = (
        f"UPDATE inventory_reservation SET state = %s, closed_at = %s WHERE state = 'open' AND bill {among}{mine}{only} "
        f"RETURNING {_CLOSED}"
    )
    values: list[Any] = [state, _when(at), *named, *([] if rows is None else [rows]), *([_when(at)] if due else [])]
    columns = "held = held - gone.units" + (", on_hand = on_hand - gone.units" if leaves else "")
    lower = f"UPDATE inventory_level SET {columns} FROM gone WHERE inventory_level.id = gone.level_id"
    if not is_postgres():
        return _close_by_steps(closing, values, lower, _sent(leaves, actor, at) if leaves else None)
    sent = f", sent AS ({_SHIP}{_SHIPPED})" if leaves else f", freed AS ({_UNPROMISED})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH closed AS ({closing}), gone AS (SELECT level_id, SUM(quantity)::bigint AS units FROM closed "
            f"GROUP BY level_id), down AS ({lower}){sent} SELECT COUNT(*) FROM closed",
            [*values, *_sent(leaves, actor, at)],
        )
        return int(cursor.fetchone()[0])


def _sent(leaves: bool, actor: str, at: datetime) -> list[Any]:
    return [actor, _when(at)] if leaves else []


_UNPROMISED = (
    "UPDATE inventory_incoming SET promised = promised - back.units FROM (SELECT incoming_id, "
    "CAST(SUM(quantity) AS BIGINT) AS units FROM closed WHERE incoming_id IS NOT NULL GROUP BY incoming_id) back "
    "WHERE inventory_incoming.id = back.incoming_id"
)


def _close_by_steps(closing: str, values: list[Any], lower: str, sent: list[Any] | None) -> int:
    """`close` where one statement cannot feed another."""
    with connection.cursor() as cursor:
        cursor.execute(closing, values)
        closed = cursor.fetchall()
        if not closed:
            return 0
        table = f"closed ({_CLOSED}) AS (VALUES {_marks(len(closed), '(%s, %s, %s, %s, %s, %s)')})"
        gone = "gone AS (SELECT level_id, SUM(quantity) AS units FROM closed WHERE level_id IS NOT NULL GROUP BY level_id)"
        cursor.execute(f"WITH {table}, {gone} {lower}", _flat(closed))
        if sent is not None:
            cursor.execute(f"WITH {table} {_SHIP}{_SHIPPED}", [*_flat(closed), *sent])
        elif any(row[1] for row in closed):
            cursor.execute(f"WITH {table} {_UNPROMISED}", _flat(closed))
        return len(closed)


def due_bills(at: datetime, limit: int) -> list[str]:
    """Bills with a reservation whose time has come, the longest overdue first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bill FROM inventory_reservation WHERE state = 'open' AND expires_at <= %s ORDER BY expires_at, id LIMIT %s",
            [_when(at), limit],
        )
        return list(dict.fromkeys(row[0] for row in cursor.fetchall()))


def held_by(bills: Sequence[str]) -> dict[str, dict[Place, int]]:
    """What these bills hold now, per bill and place."""
    among, values = _among(bills)
    held: dict[str, dict[Place, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.bill, l.node_id, l.sku_id, r.quantity FROM inventory_reservation r "
            f"JOIN inventory_level l ON l.id = r.level_id WHERE r.state = 'open' AND r.bill {among}",
            values,
        )
        for bill, node_id, sku_id, units in cursor.fetchall():
            held.setdefault(bill, {})[(node_id, sku_id)] = units
    return held


def places_of(bills: Sequence[str]) -> list[Place]:
    """Where these bills hold stock now."""
    among, values = _among(bills)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT l.node_id, l.sku_id FROM inventory_reservation r JOIN inventory_level l ON l.id = r.level_id "
            f"WHERE r.state = 'open' AND r.bill {among} ORDER BY 1, 2",
            values,
        )
        return cursor.fetchall()


def insert_global(rows: Sequence[tuple[str, int, int]], at: datetime) -> int:
    """Write (bill, sku_id, quantity) as promised without a place; one that is open already is left alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_reservation (sku_id, bill, kind, quantity, state, held_at) "
            f"VALUES {_marks(len(rows), '(%s, %s, %s, %s, %s, %s)')} "
            "ON CONFLICT DO NOTHING RETURNING id",
            _flat((sku_id, bill, "global", quantity, "open", _when(at)) for bill, sku_id, quantity in rows),
        )
        return len(cursor.fetchall())


def lower_one(bill: str, place: Place, to: int) -> None:
    """Lower an open reservation of a bill at a place to `to` units (at least 1), and held with it. The level must be locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE inventory_level SET held = held - (SELECT quantity FROM inventory_reservation WHERE {_OPEN} "
            "AND bill = %s AND level_id + 0 = inventory_level.id) + %s WHERE node_id = %s AND sku_id = %s",
            [bill, to, *place],
        )
        cursor.execute(
            "UPDATE inventory_reservation SET quantity = %s, drawn = CASE WHEN drawn > %s THEN %s ELSE drawn END "
            f"WHERE {_OPEN} AND bill = %s AND level_id + 0 = {_AT_PLACE}",
            [to, to, to, bill, *place],
        )


def give_up_one(bill: str, place: Place, at: datetime) -> None:
    """Release what a bill holds at one place only. The level must be locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE inventory_level SET held = held - (SELECT quantity FROM inventory_reservation WHERE {_OPEN} "
            "AND bill = %s AND level_id + 0 = inventory_level.id) WHERE node_id = %s AND sku_id = %s",
            [bill, *place],
        )
        cursor.execute(
            "UPDATE inventory_reservation SET state = 'released', closed_at = %s "
            f"WHERE {_OPEN} AND bill = %s AND level_id + 0 = {_AT_PLACE}",
            [_when(at), bill, *place],
        )


def read_blocks(places: Sequence[Place]) -> dict[Place, list[str]]:
    """The bills that keep units from sale at some places now."""
    if is_postgres():
        given, told = rows_of({"node_id": "bigint", "sku_id": "bigint"}, places)
        head = f"SELECT l.node_id, l.sku_id, r.bill FROM {given}"
    else:
        told = _flat(places)
        head = f"WITH v (node_id, sku_id) AS (VALUES {_marks(len(places), '(%s, %s)')}) SELECT l.node_id, l.sku_id, r.bill FROM v"
    found: dict[Place, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"{head} JOIN inventory_level l ON l.node_id = v.node_id AND l.sku_id = v.sku_id AND l.held > 0 "
            "JOIN inventory_reservation r ON r.level_id = l.id AND r.state = 'open' AND r.kind = 'block' ORDER BY r.id",
            told,
        )
        for node_id, sku_id, bill in cursor.fetchall():
            found.setdefault((node_id, sku_id), []).append(bill)
    return found


def read_blocked(bills: Collection[str]) -> set[str]:
    """Those of the bills that have blocked something, whether they still do or not."""
    among, values = _among(bills)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT bill FROM inventory_reservation WHERE kind = 'block' AND bill {among}", values)
        return {row[0] for row in cursor.fetchall()}


def block_many(rows: Sequence[Row], reason: str, at: datetime, expires_at: datetime | None) -> None:
    """Keep the units of (level_id, bill, quantity) from sale. The levels must be locked, and have so many that are not held."""
    gains: dict[int, int] = {}
    for level_id, _, quantity in rows:
        gains[level_id] = gains.get(level_id, 0) + quantity
    new = "INSERT INTO inventory_reservation (level_id, bill, quantity, kind, state, reason, held_at, expires_at) "
    same: list[Any] = [reason, _when(at), _when(expires_at)]
    with connection.cursor() as cursor:
        if is_postgres():
            given, told = rows_of({"level_id": "bigint", "bill": "text", "quantity": "bigint"}, rows)
            cursor.execute(
                f"{new} SELECT level_id, bill, quantity, 'block', 'open', %s, %s, %s::timestamptz FROM {given}", [*same, *told]
            )
            given, told = rows_of({"level_id": "bigint", "units": "bigint"}, list(gains.items()))
            lifted = f"UPDATE inventory_level SET held = held + v.units FROM {given} WHERE inventory_level.id = v.level_id"
            cursor.execute(lifted, told)
            return
        row = "(%s, %s, %s, 'block', 'open', %s, %s, %s)"
        cursor.execute(f"{new} VALUES {_marks(len(rows), row)}", _flat((*each, *same) for each in rows))
        table = f"gain (level_id, units) AS (VALUES {_marks(len(gains), '(%s, %s)')})"
        cursor.execute(f"WITH {table} {_LIFTED}", _flat(gains.items()))
