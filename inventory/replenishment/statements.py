"""The SQL of replenishment: one named function per statement, for PostgreSQL and for SQLite."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from inventory.ledger.statements import free_sql, fresh_sql
from inventory.replenishment.rules import SALES_DAYS, Neighbour, Place, Row

IDLE_DAYS = 30
# What is on its way to a place, or asked for and not sent yet.
_COMING = (
    "COALESCE((SELECT SUM(i.quantity - i.received) FROM inventory_incoming i "
    "WHERE i.sku_id = l.sku_id AND i.node_id = l.node_id AND i.state = 'open'), 0) + "
    "COALESCE((SELECT SUM(CASE t.state WHEN 'requested' THEN tl.requested ELSE tl.approved END) "
    "FROM inventory_transfer t JOIN inventory_transferline tl ON tl.transfer_id = t.id "
    "WHERE t.state IN ('requested', 'approved') AND t.target_id = l.node_id AND tl.sku_id = l.sku_id), 0)"
)
_ROW = (
    "SELECT l.id, l.node_id, n.name, l.sku_id, k.code, l.on_hand, l.held, {free}, l.safety_stock, l.max_stock, {shipped}, "
    "CAST({coming} AS BIGINT) FROM {page} p JOIN inventory_level l ON l.id = p.id "
    "JOIN inventory_node n ON n.id = l.node_id JOIN inventory_sku k ON k.id = l.sku_id ORDER BY p.rank, l.id"
)
_SHIPPED = (
    "SELECT node_id, sku_id, CAST(-SUM(quantity) AS BIGINT) AS units FROM inventory_movement "
    "WHERE kind = 'shipment' AND moved_at >= %s GROUP BY node_id, sku_id"
)
_SHIPPED_THERE = (
    "CAST(COALESCE((SELECT -SUM(m.quantity) FROM inventory_movement m WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id "
    "AND m.kind = 'shipment' AND m.moved_at >= %s), 0) AS BIGINT)"
)


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _among(column: str, ids: Collection[int] | None) -> tuple[str, list[int]]:
    """A condition that a column is one of some ids; none when all are meant."""
    if ids is None:
        return "", []
    return f"AND {column} IN ({', '.join(['%s'] * len(ids))}) " if ids else "AND 1 = 0 ", list(ids)


def read_shortages(at: datetime, cover_days: int, limit: int, offset: int, level_ids: Collection[int] | None = None) -> list[Row]:
    """Stock rows at open places that fall short, the worst first: see queries.shortages.

    The two reasons are looked for apart, so that each is one scan; what is shown is read for the rows of one page only.
    """
    some, ids = _among("l.id", level_ids)
    since = _when(at - timedelta(days=SALES_DAYS))
    short = (
        f"SELECT l.id, {free_sql('l.')} AS rank FROM inventory_level l JOIN inventory_node n ON n.id = l.node_id "
        f"WHERE n.is_active AND l.safety_stock > 0 AND {free_sql('l.')} <= 0 {some}"
        f"UNION ALL SELECT l.id, {free_sql('l.')} AS rank FROM ({_SHIPPED}) s "
        "JOIN inventory_level l ON l.node_id = s.node_id AND l.sku_id = s.sku_id JOIN inventory_node n ON n.id = l.node_id "
        f"WHERE n.is_active AND (l.on_hand - l.held) * {SALES_DAYS} < s.units * %s "
        f"AND (l.safety_stock = 0 OR {free_sql('l.')} > 0) {some}"
    )
    page = f"(SELECT id, rank FROM ({short}) u ORDER BY rank, id LIMIT %s OFFSET %s)"
    sql = _ROW.format(free=free_sql("l."), shipped=_SHIPPED_THERE, coming=_COMING, page=page)
    with connection.cursor() as cursor:
        cursor.execute(sql, [since, *ids, since, cover_days, *ids, limit, offset])
        return [Row(*row) for row in cursor.fetchall()]


def read_surpluses(at: datetime, limit: int, offset: int, level_ids: Collection[int] | None = None) -> list[Row]:
    """Stock rows at open places with more than their limit, or that stood for 30 days and sold nothing; most units first."""
    some, ids = _among("l.id", level_ids)
    since, idle = (_when(at - timedelta(days=days)) for days in (SALES_DAYS, IDLE_DAYS))
    there = "SELECT 1 FROM inventory_movement m WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id AND m.moved_at"
    stands = (
        "SELECT l.id, -l.on_hand AS rank FROM inventory_level l JOIN inventory_node n ON n.id = l.node_id "
        f"WHERE n.is_active AND l.on_hand > 0 {some}"
    )
    page = (
        f"(SELECT id, rank FROM ({stands} AND l.max_stock > 0 AND l.on_hand > l.max_stock "
        f"UNION ALL {stands} AND (COALESCE(l.max_stock, 0) = 0 OR l.on_hand <= l.max_stock) "
        f"AND EXISTS ({there} < %s) AND NOT EXISTS ({there} >= %s AND m.kind = 'shipment')) u "
        "ORDER BY rank, id LIMIT %s OFFSET %s)"
    )
    sql = _ROW.format(free=free_sql("l."), shipped=_SHIPPED_THERE, coming=_COMING, page=page)
    with connection.cursor() as cursor:
        cursor.execute(sql, [since, *ids, *ids, idle, idle, limit, offset])
        return [Row(*row) for row in cursor.fetchall()]


def read_neighbours(places: Sequence[Place], at: datetime) -> dict[Place, list[Neighbour]]:
    """The parent of each place, and the places beside it, with their stock of the SKU: our own goods or the same dealer's."""
    found: dict[Place, list[Neighbour]] = {place: [] for place in places}
    if not places:
        return found
    near = ", ".join(["(%s, %s)"] * len(places))
    bigint = "::bigint" if connection.vendor == "postgresql" else ""
    near = near.replace("(%s, %s)", f"(%s{bigint}, %s{bigint})", 1)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH w(node_id, sku_id) AS (VALUES {near}) "
            f"SELECT w.node_id, w.sku_id, c.id, c.name, c.id = n.parent_id, "
            f"COALESCE(CASE WHEN {fresh_sql('l.')} THEN {free_sql('l.')} ELSE 0 END, 0), COALESCE({_SHIPPED_THERE}, 0) "
            "FROM w JOIN inventory_node n ON n.id = w.node_id "
            "JOIN inventory_node c ON (c.id = n.parent_id OR c.parent_id = n.parent_id) AND c.id <> n.id AND c.is_active "
            "AND (c.dealer_id IS NULL OR c.dealer_id = n.dealer_id) "
            "LEFT JOIN inventory_level l ON l.node_id = c.id AND l.sku_id = w.sku_id ORDER BY c.id",
            [*(part for place in places for part in place), _when(at), _when(at - timedelta(days=SALES_DAYS))],
        )
        for node_id, sku_id, other_id, name, is_parent, free, shipped in cursor.fetchall():
            found[(node_id, sku_id)].append(Neighbour(other_id, name, bool(is_parent), free, shipped))
    return found
