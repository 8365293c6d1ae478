"""The SQL of stock locks: one named function per statement, for PostgreSQL and for SQLite.

Nothing here asks per place or per lock. A lock at a level is asked for with `level_id + 0`, so that it is found by
its number and not among all who hold there. What is written needs its stock rows locked, in the order of their ids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from inventory.ledger.statements import free_sql, fresh_sql
from inventory.locks.rules import Holding, Move, Spot, Standing


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _marks(count: int, row: str = "%s") -> str:
    return ", ".join([row] * count)


def _flat(rows: Iterable[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]


def _more_than_nothing(units: str) -> str:
    return f"GREATEST({units}, 0)" if _is_postgres() else f"MAX({units}, 0)"


def read_spots(sku_ids: Collection[int], at: datetime) -> dict[int, Spot]:
    """Stock rows of some SKUs with free units, at places that are open, by id."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT l.id, l.node_id, l.sku_id, {free_sql('l.')} FROM inventory_level l "
            "JOIN inventory_node n ON n.id = l.node_id "
            f"WHERE l.sku_id IN ({_marks(len(sku_ids))}) AND {free_sql('l.')} > 0 AND {fresh_sql('l.')} "
            "AND n.is_active AND NOT n.is_paused ORDER BY l.id",
            [*sku_ids, _when(at)],
        )
        return {level_id: Spot(node_id, sku_id, free) for level_id, node_id, sku_id, free in cursor.fetchall()}


_STANDING = (
    "SELECT bill AS lock_no, level_id, quantity AS locked, 0 AS drawn FROM inventory_reservation "
    "WHERE state = 'open' AND kind = 'lock' AND level_id IS NOT NULL AND bill IN ({marks}) "
    "UNION ALL SELECT lock_no, level_id, 0, drawn FROM inventory_reservation "
    "WHERE lock_no IN ({marks}) AND lock_no <> '' AND state <> 'released' AND drawn > 0 AND level_id IS NOT NULL"
)


def read_standings(lock_nos: Collection[str]) -> dict[Move, Standing]:
    """What locks hold and what was drawn from them, per place; one moment, so that a unit that is drawn is counted once."""
    if not lock_nos:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lock_no, level_id, CAST(SUM(locked) AS BIGINT), CAST(SUM(drawn) AS BIGINT) "
            f"FROM ({_STANDING.format(marks=_marks(len(lock_nos)))}) s GROUP BY lock_no, level_id ORDER BY lock_no, level_id",
            [*lock_nos, *lock_nos],
        )
        return {(lock_no, level_id): Standing(locked, drawn) for lock_no, level_id, locked, drawn in cursor.fetchall()}


def lock_free(level_ids: Collection[int], at: datetime) -> dict[int, int]:
    """Lock stock rows in the order of their ids and read what is free there (nothing where the figures are stale)."""
    lock = " FOR UPDATE" if _is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, CASE WHEN {fresh_sql()} THEN {free_sql()} ELSE 0 END FROM inventory_level "
            f"WHERE id IN ({_marks(len(level_ids))}) ORDER BY id{lock}",
            [_when(at), *level_ids],
        )
        return dict(cursor.fetchall())


def read_holdings(level_ids: Collection[int]) -> list[Holding]:
    """What locks hold at some places, with the order in which they give back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k.lock_no, r.level_id, r.quantity, k.release_order, k.priority, k.id FROM inventory_reservation r "
            "JOIN inventory_stocklock k ON k.lock_no = r.bill "
            f"WHERE r.state = 'open' AND r.kind = 'lock' AND r.level_id IN ({_marks(len(level_ids))})",
            list(level_ids),
        )
        return [Holding(*row) for row in cursor.fetchall()]


def raise_locks(gains: Mapping[Move, int], at: datetime) -> None:
    """Let locks hold so many more units, and raise held by them; what is free there must cover it."""
    lifts: dict[int, int] = {}
    for (_, level_id), units in gains.items():
        lifts[level_id] = lifts.get(level_id, 0) + units
    _change_held(lifts, "+")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_reservation (bill, level_id, kind, quantity, state, held_at) "
            f"VALUES {_marks(len(gains), '(%s, %s, %s, %s, %s, %s)')} "
            "ON CONFLICT (bill, level_id) WHERE level_id IS NOT NULL AND state = 'open' "
            "DO UPDATE SET quantity = inventory_reservation.quantity + excluded.quantity",
            _flat((*move, "lock", units, "open", _when(at)) for move, units in gains.items()),
        )


def lower_locks(losses: Mapping[Move, int], at: datetime) -> None:
    """Let locks hold so many units less, and lower held by them; a lock's row that is emptied is closed."""
    drops: dict[int, int] = {}
    for (_, level_id), units in losses.items():
        drops[level_id] = drops.get(level_id, 0) + units
    _change_held(drops, "-")
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH d (lock_no, level_id, units) AS (VALUES {_marks(len(losses), '(%s, %s, %s)')}) "
            "UPDATE inventory_reservation SET "
            "quantity = CASE WHEN quantity > d.units THEN quantity - d.units ELSE quantity END, "
            "state = CASE WHEN quantity > d.units THEN 'open' ELSE 'released' END, "
            f"closed_at = CASE WHEN quantity > d.units THEN NULL ELSE {'%s::timestamptz' if _is_postgres() else '%s'} END "
            "FROM d WHERE state = 'open' AND kind = 'lock' AND bill = d.lock_no "
            "AND inventory_reservation.level_id + 0 = d.level_id",
            [*_flat((*move, units) for move, units in losses.items()), _when(at)],
        )


def _change_held(units: Mapping[int, int], sign: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH c (level_id, units) AS (VALUES {_marks(len(units), '(%s, %s)')}) "
            f"UPDATE inventory_level SET held = held {sign} c.units FROM c WHERE inventory_level.id = c.level_id",
            _flat(units.items()),
        )


_PLACES_OF_LOCKS = (
    "FROM inventory_stocklock k JOIN inventory_level l ON l.sku_id = k.sku_id JOIN inventory_node n ON n.id = l.node_id "
    "LEFT JOIN inventory_reservation r ON r.level_id + 0 = l.id AND r.bill = k.lock_no AND r.state = 'open' AND r.kind = 'lock' "
    "WHERE k.lock_no IN ({marks}) AND (r.id IS NOT NULL OR (n.is_active AND NOT n.is_paused AND (k.group_id IS NULL "
    "OR EXISTS (SELECT 1 FROM inventory_nodegroup_nodes g WHERE g.nodegroup_id = k.group_id AND g.node_id = n.id))))"
)


def units_by_province(lock_nos: Collection[str], at: datetime) -> list[tuple[str, str, int, int, int]]:
    """(lock_no, province, locked, free for everybody, safe to sell) of the places a lock reaches.

    Safe to sell is what its buyers could have: locked and free together, nothing where the figures
    are stale or the place is closed.
    """
    may_sell = f"n.is_active AND NOT n.is_paused AND {fresh_sql('l.')}"
    locked, free = "COALESCE(r.quantity, 0)", free_sql("l.")
    for_all, for_buyers = _more_than_nothing(free), _more_than_nothing(f"{free} + {locked}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT k.lock_no, SUBSTR(n.division_code, 1, 2), CAST(SUM({locked}) AS BIGINT), "
            f"CAST(SUM(CASE WHEN {may_sell} THEN {for_all} ELSE 0 END) AS BIGINT), "
            f"CAST(SUM(CASE WHEN {may_sell} THEN {for_buyers} ELSE 0 END) AS BIGINT) "
            f"{_PLACES_OF_LOCKS.format(marks=_marks(len(lock_nos)))} GROUP BY 1, 2 ORDER BY 1, 2",
            [_when(at), _when(at), *lock_nos],
        )
        return cursor.fetchall()


def drawn_by_province(lock_nos: Collection[str]) -> list[tuple[str, str, int]]:
    """(lock_no, province, units) that buyers took from locks and did not give back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.lock_no, SUBSTR(n.division_code, 1, 2), CAST(SUM(r.drawn) AS BIGINT) FROM inventory_reservation r "
            "JOIN inventory_level l ON l.id = r.level_id JOIN inventory_node n ON n.id = l.node_id "
            f"WHERE r.lock_no IN ({_marks(len(lock_nos))}) AND r.lock_no <> '' AND r.state <> 'released' AND r.drawn > 0 "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            list(lock_nos),
        )
        return cursor.fetchall()
