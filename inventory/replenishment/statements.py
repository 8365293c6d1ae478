"""The SQL of replenishment: one named function per statement, for PostgreSQL and for SQLite."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from inventory.ledger.statements import free_sql, fresh_sql
from inventory.replenishment.rules import BELOW_SAFETY, SALES_DAYS, Neighbour, Place, Row

IDLE_DAYS = 30
MOST_NEEDS = 1_000  # of a kind, of the SKUs that are looked at in one statement
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


def _shipped_there(since: str) -> str:
    """Units that were shipped from the place of a level `l` since a moment."""
    return (
        "CAST(COALESCE((SELECT -SUM(m.quantity) FROM inventory_movement m WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id "
        f"AND m.kind = 'shipment' AND m.moved_at >= {since}), 0) AS BIGINT)"
    )


def _when(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


@dataclass(frozen=True, slots=True)
class Among:
    """Which stock rows are looked at: those of SKUs with an id in a range, or a few by their own ids."""

    first: int = 0
    last: int = 2**62
    level_ids: Collection[int] | None = None

    def condition(self, level: str) -> str:
        if self.level_ids is None:
            return f"{level}.sku_id BETWEEN %(first)s AND %(last)s"
        if connection.vendor == "postgresql":
            return f"{level}.id = ANY(%(ids)s::bigint[])"
        return f"{level}.id IN ({', '.join(str(int(each)) for each in self.level_ids)})"

    @property
    def shipped(self) -> str:
        """What was shipped since %(since)s by place: of some SKUs by their index, or of each of a few rows."""
        units = "CAST(-SUM(m.quantity) AS BIGINT) AS units FROM inventory_movement m"
        some = "m.kind = 'shipment' AND m.moved_at >= %(since)s"
        if self.level_ids is None:
            chosen = f"WHERE m.sku_id BETWEEN %(first)s AND %(last)s AND {some}"
        else:
            at_rows = f"JOIN inventory_level h ON h.node_id = m.node_id AND h.sku_id = m.sku_id AND {self.condition('h')}"
            chosen = f"{at_rows} WHERE {some}"
        return f"SELECT m.node_id, m.sku_id, {units} {chosen} GROUP BY m.node_id, m.sku_id HAVING SUM(m.quantity) < 0"

    def given(self, at: datetime, cover_days: int) -> dict[str, Any]:
        since, idle = (_when(at - timedelta(days=days)) for days in (SALES_DAYS, IDLE_DAYS))
        asked = {"first": self.first, "last": self.last, "since": since, "idle": idle, "cover": cover_days}
        is_named = self.level_ids is not None and connection.vendor == "postgresql"
        return asked | {"ids": list(self.level_ids or ())} if is_named else asked


def _short(among: Among) -> str:
    """(id, rank, lasts) of stock rows at open places that fall short: see queries.shortages and StockNeed."""
    is_low, left = f"l.safety_stock > 0 AND {free_sql('l.')} <= 0", "(l.on_hand - l.held)"
    return (
        f"SELECT l.id, {free_sql('l.')} AS rank, CASE WHEN {is_low} THEN {BELOW_SAFETY} ELSE {left} * {SALES_DAYS} / s.units END "
        "AS lasts FROM inventory_level l JOIN inventory_node n ON n.id = l.node_id "
        f"LEFT JOIN ({among.shipped}) s ON s.node_id = l.node_id AND s.sku_id = l.sku_id "
        f"WHERE n.is_active AND {among.condition('l')} AND (({is_low}) OR {left} * {SALES_DAYS} < s.units * %(cover)s)"
    )


def _excess(among: Among) -> str:
    """(id, rank, 0) of stock rows at open places with more than their limit, or that stood for 30 days and sold nothing."""
    there = "SELECT 1 FROM inventory_movement m WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id AND m.moved_at"
    return (
        "SELECT l.id, -l.on_hand AS rank, 0 AS lasts FROM inventory_level l JOIN inventory_node n ON n.id = l.node_id "
        f"WHERE n.is_active AND l.on_hand > 0 AND {among.condition('l')} AND ((l.max_stock > 0 AND l.on_hand > l.max_stock) "
        f"OR (EXISTS ({there} < %(idle)s) AND NOT EXISTS ({there} >= %(idle)s AND m.kind = 'shipment')))"
    )


def _page(found: str, given: dict[str, Any], limit: int, offset: int) -> list[Row]:
    """What is shown is read for the rows of one page only."""
    page = f"(SELECT id, rank FROM ({found}) u ORDER BY rank, id LIMIT %(limit)s OFFSET %(offset)s)"
    sql = _ROW.format(free=free_sql("l."), shipped=_shipped_there("%(since)s"), coming=_COMING, page=page)
    with connection.cursor() as cursor:
        cursor.execute(sql, given | {"limit": limit, "offset": offset})
        return [Row(*row) for row in cursor.fetchall()]


def read_shortages(at: datetime, cover_days: int, limit: int, offset: int, level_ids: Collection[int] | None = None) -> list[Row]:
    """Stock rows at open places that fall short, the worst first: see queries.shortages."""
    if level_ids is not None and not level_ids:
        return []
    among = Among(level_ids=level_ids)
    return _page(_short(among), among.given(at, cover_days), limit, offset)


def read_surpluses(at: datetime, limit: int, offset: int, level_ids: Collection[int] | None = None) -> list[Row]:
    """Stock rows at open places with more than their limit, or that stood for 30 days and sold nothing; most units first."""
    if level_ids is not None and not level_ids:
        return []
    among = Among(level_ids=level_ids)
    return _page(_excess(among), among.given(at, 0), limit, offset)


def read_needs(first: int, last: int, at: datetime, cover_days: int) -> dict[tuple[str, int], tuple[int, int]]:
    """(rank, lasts_days) by kind and level, as StockNeed keeps them, of the SKUs with an id from `first` to `last`.

    The MOST_NEEDS most urgent of each kind: nobody works off more, and every row is written again when its figure moves.
    """
    among, found = Among(first, last), dict[tuple[str, int], tuple[int, int]]()
    with connection.cursor() as cursor:
        for kind, sql in (("short", _short(among)), ("excess", _excess(among))):
            worst = f"SELECT id, rank, lasts FROM ({sql}) u ORDER BY lasts, rank, id LIMIT {MOST_NEEDS}"
            cursor.execute(worst, among.given(at, cover_days))
            found |= {(kind, level_id): (rank, lasts) for level_id, rank, lasts in cursor.fetchall()}
    return found


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
            f"COALESCE(CASE WHEN {fresh_sql('l.')} THEN {free_sql('l.')} ELSE 0 END, 0), COALESCE({_shipped_there('%s')}, 0) "
            "FROM w JOIN inventory_node n ON n.id = w.node_id "
            "JOIN inventory_node c ON (c.id = n.parent_id OR c.parent_id = n.parent_id) AND c.id <> n.id AND c.is_active "
            "AND (c.dealer_id IS NULL OR c.dealer_id = n.dealer_id) "
            "LEFT JOIN inventory_level l ON l.node_id = c.id AND l.sku_id = w.sku_id ORDER BY c.id",
            [*(part for place in places for part in place), _when(at), _when(at - timedelta(days=SALES_DAYS))],
        )
        for node_id, sku_id, other_id, name, is_parent, free, shipped in cursor.fetchall():
            found[(node_id, sku_id)].append(Neighbour(other_id, name, bool(is_parent), free, shipped))
    return found
