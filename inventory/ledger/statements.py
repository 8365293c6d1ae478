"""The stock ledger's SQL: one named function per statement, for PostgreSQL and for SQLite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from inventory.ledger.rules import NewMovement

Place = tuple[int, int]


def free_sql(level: str = "") -> str:
    """rules.free_units as SQL over the columns of a level (an alias such as "l.", or nothing)."""
    least = "LEAST" if connection.vendor == "postgresql" else "MIN"
    return (
        f"{least}({level}on_hand * {level}share_percent / 100, {level}on_hand - {level}keep_back, "
        f"COALESCE({level}share_cap, {level}on_hand)) - {level}held - {level}safety_stock"
    )


def fresh_sql(level: str = "") -> str:
    """Whether a level may be sold from at the moment given as one parameter."""
    return f"({level}fresh_until IS NULL OR {level}fresh_until > %s)"


def _marks(count: int, row: str = "%s") -> str:
    return ", ".join([row] * count)


def _flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]


def lock_places(places: Sequence[Place]) -> dict[Place, tuple[int, int, int]]:
    """Lock stock rows in the order of their ids; (level_id, on_hand, held) per place that has one."""
    lock = " FOR UPDATE OF l" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH w (node_id, sku_id) AS (VALUES {_marks(len(places), '(%s, %s)')}) "
            "SELECT l.node_id, l.sku_id, l.id, l.on_hand, l.held FROM w "
            f"JOIN inventory_level l ON l.node_id = w.node_id AND l.sku_id = w.sku_id ORDER BY l.id{lock}",
            _flat(places),
        )
        return {(node_id, sku_id): (level_id, on_hand, held) for node_id, sku_id, level_id, on_hand, held in cursor.fetchall()}


def create_levels(places: Sequence[Place]) -> None:
    """Empty stock rows for places; one that exists meanwhile is left alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_level (node_id, sku_id, on_hand, held, safety_stock) "
            f"VALUES {_marks(len(places), '(%s, %s, 0, 0, 0)')} ON CONFLICT (node_id, sku_id) DO NOTHING",
            _flat(places),
        )


def insert_movements(movements: Sequence[NewMovement], actor: str, at: datetime) -> int:
    """Write movements; returns how many were new (a key that exists is skipped)."""
    when = connection.ops.adapt_datetimefield_value(at)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
            f"VALUES {_marks(len(movements), '(%s, %s, %s, %s, %s, %s, %s, %s)')} "
            "ON CONFLICT (source_key) DO NOTHING RETURNING id",
            _flat([(*m.content, m.source_key, m.reason, actor, when) for m in movements]),
        )
        return len(cursor.fetchall())


def change_on_hand(changes: Sequence[tuple[int, int]]) -> None:
    """Add (level_id, units) to on_hand. The rows must be locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH c (level_id, units) AS (VALUES {_marks(len(changes), '(%s, %s)')}) "
            "UPDATE inventory_level SET on_hand = on_hand + c.units FROM c WHERE inventory_level.id = c.level_id",
            _flat(changes),
        )


def read_drift() -> list[tuple[int, int, int, int, int, int]]:
    """(node_id, sku_id, on_hand, Σ movements, held, Σ open reservations) wherever a pair differs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.node_id, l.sku_id, l.on_hand, CAST(COALESCE(m.units, 0) AS BIGINT), l.held, "
            "CAST(COALESCE(r.units, 0) AS BIGINT) "
            "FROM inventory_level l "
            "LEFT JOIN (SELECT node_id, sku_id, SUM(quantity) AS units FROM inventory_movement GROUP BY node_id, sku_id) m "
            "ON m.node_id = l.node_id AND m.sku_id = l.sku_id "
            "LEFT JOIN (SELECT level_id, SUM(quantity) AS units FROM inventory_reservation "
            "WHERE state = 'open' AND level_id IS NOT NULL GROUP BY level_id) r "
            "ON r.level_id = l.id "
            "WHERE l.on_hand <> COALESCE(m.units, 0) OR l.held <> COALESCE(r.units, 0) "
            "UNION ALL SELECT m.node_id, m.sku_id, 0, CAST(SUM(m.quantity) AS BIGINT), 0, 0 FROM inventory_movement m "
            "WHERE NOT EXISTS (SELECT 1 FROM inventory_level l WHERE l.node_id = m.node_id AND l.sku_id = m.sku_id) "
            "GROUP BY m.node_id, m.sku_id HAVING SUM(m.quantity) <> 0 ORDER BY 1, 2"
        )
        return cursor.fetchall()
