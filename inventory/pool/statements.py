"""The SQL of the pool: one named function per statement, for PostgreSQL and for SQLite."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from inventory.ledger.statements import free_sql, fresh_sql

Key = tuple[Any, ...]
_OPEN = "n.is_active AND NOT n.is_paused AND COALESCE(d.is_active AND NOT d.is_paused, TRUE)"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which levels are looked at: of some SKUs (None means all), at some places (a group, a region, one node)."""

    sku_ids: Collection[int] | None = None
    group_id: int | None = None
    region: str = ""
    node_id: int | None = None

    @property
    def is_everywhere(self) -> bool:
        return self.group_id is None and self.node_id is None and not self.region

    def places(self) -> tuple[str, list[Any]]:
        """The places as a table `n` (id, is_open): closed ones are those from which nothing is sold now."""
        wheres, values = ["1 = 1"], list[Any]()
        if self.group_id is not None:
            wheres.append("n.id IN (SELECT node_id FROM inventory_nodegroup_nodes WHERE nodegroup_id = %s)")
            values.append(self.group_id)
        if self.region:
            wheres.append("n.division_code LIKE %s")
            values.append(f"{self.region}%")
        if self.node_id is not None:
            wheres.append("n.id = %s")
            values.append(self.node_id)
        table = (
            f"n AS (SELECT n.id, {_OPEN} AS is_open FROM inventory_node n LEFT JOIN dealers_dealer d ON d.id = n.dealer_id "
            f"WHERE {' AND '.join(wheres)})"
        )
        return table, values

    def at_places(self, column: str) -> str:
        """A condition that lets an index find the levels of some places; needs `n`, and nothing is asked for all of them."""
        if self.is_everywhere:
            return ""
        listed = "= ANY (ARRAY(SELECT id FROM n))" if connection.vendor == "postgresql" else "IN (SELECT id FROM n)"
        return f" AND {column} {listed}"

    def goods(self, column: str) -> tuple[str, list[Any]]:
        if self.sku_ids is None:
            return "", []
        return f" AND {column} IN ({', '.join(['%s'] * len(self.sku_ids)) or 'NULL'})", list(self.sku_ids)


def _when(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)


def _greater(zero: str, other: str) -> str:
    return f"{'GREATEST' if connection.vendor == 'postgresql' else 'MAX'}({zero}, {other})"


def _lesser(one: str, other: str) -> str:
    return f"{'LEAST' if connection.vendor == 'postgresql' else 'MIN'}({one}, {other})"


def _rows(sql: str, values: Iterable[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(values))
        return cursor.fetchall()


LEVEL_SUMS = ("on_hand", "held", "closed", "stale", "safety", "sellable", "wanted")


def read_levels(by: Sequence[str], scope: Scope, at: datetime) -> dict[Key, tuple[int, ...]]:
    """LEVEL_SUMS of the levels in scope, grouped by columns of the level (sku_id, node_id or both)."""
    places, place_values = scope.places()
    goods, sku_ids = scope.goods("l.sku_id")
    keys, rest = ", ".join(f"l.{column}" for column in by), "l.on_hand - l.held"
    sums = (
        "l.on_hand", "l.held",
        f"CASE WHEN NOT n.is_open THEN {rest} ELSE 0 END",
        f"CASE WHEN n.is_open AND NOT {fresh_sql('l.')} THEN {rest} ELSE 0 END",
        f"CASE WHEN n.is_open AND {fresh_sql('l.')} THEN {_lesser('l.safety_stock', rest)} ELSE 0 END",
        f"CASE WHEN n.is_open AND {fresh_sql('l.')} THEN {_greater('0', free_sql('l.'))} ELSE 0 END",
        "CASE WHEN n.is_open THEN l.safety_stock ELSE 0 END",
    )  # fmt: skip
    found = _rows(
        f"WITH {places} SELECT {keys}, {', '.join(f'CAST(SUM({each}) AS BIGINT)' for each in sums)} "
        f"FROM inventory_level l JOIN n ON n.id = l.node_id WHERE 1 = 1{scope.at_places('l.node_id')}{goods} GROUP BY {keys}",
        [*place_values, *[_when(at)] * 3, *sku_ids],
    )
    return {row[: len(by)]: row[len(by) :] for row in found}


def read_kinds(by: Sequence[str], scope: Scope) -> list[tuple[Any, ...]]:
    """(*keys, kind, units) of the open reservations that stand on the levels in scope."""
    places, place_values = scope.places()
    goods, sku_ids = scope.goods("l.sku_id")
    keys = ", ".join(f"l.{column}" for column in by)
    return _rows(
        f"WITH {places} SELECT {keys}, r.kind, CAST(SUM(r.quantity) AS BIGINT) "
        "FROM inventory_level l JOIN inventory_reservation r ON r.level_id = l.id AND r.state = 'open' "
        f"WHERE l.held > 0{scope.at_places('l.node_id')}{goods} GROUP BY {keys}, r.kind",
        [*place_values, *sku_ids],
    )


def read_beside(by: Sequence[str], scope: Scope) -> list[tuple[Any, ...]]:
    """(*keys, globally, incoming, promised, next_on): what stands beside the levels in scope.

    What is promised without a place counts for the SKU whatever the places asked for, and for no node.
    """
    places, place_values = scope.places()
    goods, sku_ids = scope.goods("i.sku_id")
    keys = ", ".join(f"i.{column}" for column in by)
    coming = (
        f"SELECT {keys}, 0, CAST(SUM(i.quantity - i.received) AS BIGINT), CAST(SUM(i.promised) AS BIGINT), MIN(i.expected_on) "
        "FROM inventory_incoming i JOIN n ON n.id = i.node_id "
        f"WHERE i.state = 'open' AND i.quantity > i.received{goods} GROUP BY {keys}"
    )
    values = [*place_values, *sku_ids]
    if tuple(by) == ("sku_id",):
        goods, sku_ids = scope.goods("sku_id")
        coming += (
            " UNION ALL SELECT sku_id, CAST(SUM(quantity) AS BIGINT), 0, 0, NULL FROM inventory_reservation "
            f"WHERE state = 'open' AND sku_id IS NOT NULL{goods} GROUP BY sku_id"
        )
        values += sku_ids
    return [(*row[:-1], _day(row[-1])) for row in _rows(f"WITH {places} {coming}", values)]


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _kept(claims: Collection[str], at: datetime) -> tuple[str, list[Any]]:
    """What active locks of some claims hold where it may be sold, as `kept` (claim, node_id, sku_id, units); needs `n`.

    Where the rules were tightened since, what is promised too much there is taken off.
    """
    units = _greater("0", f"r.quantity + {_lesser('0', free_sql('l.'))}")
    table = (
        f"kept AS (SELECT s.claim, l.node_id, l.sku_id, {units} AS units FROM inventory_stocklock s "
        "JOIN inventory_reservation r ON r.bill = s.lock_no AND r.state = 'open' AND r.kind = 'lock' "
        "JOIN inventory_level l ON l.id = r.level_id JOIN n ON n.id = l.node_id AND n.is_open "
        f"WHERE s.state = 'active' AND s.claim IN ({', '.join(['%s'] * len(claims))}) AND {fresh_sql('l.')})"
    )
    return table, [*claims, _when(at)]


def read_claimed(by: Sequence[str], claims: Collection[str], scope: Scope, at: datetime) -> dict[Key, int]:
    """Units that the active locks of some claims hold within the scope."""
    (places, place_values), (kept, kept_values) = scope.places(), _kept(claims, at)
    goods, sku_ids = scope.goods("sku_id")
    keys = ", ".join(by)
    found = _rows(
        f"WITH {places}, {kept} SELECT {keys}, CAST(SUM(units) AS BIGINT) FROM kept WHERE 1 = 1{goods} GROUP BY {keys}",
        [*place_values, *kept_values, *sku_ids],
    )
    return {row[:-1]: row[-1] for row in found}


def last_movements(sku_id: int, limit: int) -> list[int]:
    """The ids of a SKU's latest movements, the newest first; PostgreSQL takes the latest of each place from the index."""
    if connection.vendor == "postgresql":
        found = _rows(
            "SELECT m.id FROM inventory_level l CROSS JOIN LATERAL (SELECT id, moved_at FROM inventory_movement "
            "WHERE node_id = l.node_id AND sku_id = l.sku_id ORDER BY moved_at DESC, id DESC LIMIT %s) m "
            "WHERE l.sku_id = %s ORDER BY m.moved_at DESC, m.id DESC LIMIT %s",
            [limit, sku_id, limit],
        )
    else:
        found = _rows(
            "SELECT id FROM inventory_movement WHERE sku_id = %s ORDER BY moved_at DESC, id DESC LIMIT %s", [sku_id, limit]
        )
    return [row[0] for row in found]


def read_open_bills(sku_id: int, limit: int) -> list[tuple[int, str, int, int]]:
    """(reservation id, kind, bills of this kind, their units): a SKU's latest open reservations by kind, wherever they stand."""
    columns = "SELECT r.id, r.kind, r.quantity, r.held_at FROM"
    return _rows(
        f"WITH mine AS ({columns} inventory_level l JOIN inventory_reservation r ON r.level_id = l.id AND r.state = 'open' "
        "WHERE l.sku_id = %s AND l.held > 0 "
        f"UNION ALL {columns} inventory_reservation r WHERE r.state = 'open' AND r.sku_id = %s "
        f"UNION ALL {columns} inventory_incoming i JOIN inventory_reservation r ON r.incoming_id = i.id AND r.state = 'open' "
        "WHERE i.sku_id = %s), "
        "ranked AS (SELECT id, kind, COUNT(*) OVER (PARTITION BY kind) AS bills, "
        "CAST(SUM(quantity) OVER (PARTITION BY kind) AS BIGINT) AS units, "
        "ROW_NUMBER() OVER (PARTITION BY kind ORDER BY held_at DESC, id DESC) AS place FROM mine) "
        "SELECT id, kind, bills, units FROM ranked WHERE place <= %s ORDER BY kind, place",
        [sku_id, sku_id, sku_id, limit],
    )


_FOR_SALE = "FROM inventory_level l JOIN n ON n.id = l.node_id AND n.is_open"


def _by_group(
    columns: str, units: str, table: str, node: str, where: str, group_ids: Collection[int | None]
) -> tuple[str, list[int]]:
    """Sums of `units` per group and columns; a group of None is every place."""
    groups = [each for each in group_ids if each is not None]
    parts = []
    if None in group_ids:
        parts.append(f"SELECT CAST(NULL AS BIGINT), {columns}, CAST(SUM({units}) AS BIGINT) {table} {where} GROUP BY {columns}")
    if groups:
        parts.append(
            f"SELECT g.nodegroup_id, {columns}, CAST(SUM({units}) AS BIGINT) {table} "
            f"JOIN inventory_nodegroup_nodes g ON g.node_id = {node} AND g.nodegroup_id IN ({', '.join(['%s'] * len(groups))}) "
            f"{where} GROUP BY g.nodegroup_id, {columns}"
        )
    return " UNION ALL ".join(parts), groups


def read_for_sale(group_ids: Collection[int | None], at: datetime) -> dict[tuple[int | None, int], int]:
    """Σ max(0, free) over the fresh levels of open places, per group of places (None: all) and SKU."""
    places, _ = Scope().places()
    everywhere, groups = None in group_ids, [each for each in group_ids if each is not None]
    free, fresh = _greater("0", free_sql("l.")), f"WHERE {fresh_sql('l.')}"
    sql, _ = _by_group("l.sku_id", free, _FOR_SALE, "l.node_id", fresh, group_ids)
    values = [*([_when(at)] if everywhere else []), *([*groups, _when(at)] if groups else [])]
    return {(group_id, sku_id): units for group_id, sku_id, units in _rows(f"WITH {places} {sql}", values)}


def read_locked_for(
    claims: Collection[str], group_ids: Collection[int | None], at: datetime
) -> dict[tuple[str, int | None, int], int]:
    """What active locks hold, per claim, group of places (None: all) and SKU."""
    (places, _), (kept, values) = Scope().places(), _kept(claims, at)
    sql, groups = _by_group("k.claim, k.sku_id", "k.units", "FROM kept k", "k.node_id", "", group_ids)
    found = _rows(f"WITH {places}, {kept} {sql}", [*values, *groups])
    return {(claim, group_id, sku_id): units for group_id, claim, sku_id, units in found}


def lock_shops(shops: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Lock the counters of shops, made when missing: (id, version) by shop; one that another worker holds is left out."""
    skip = " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    marks, values = ", ".join(["(%s, %s)"] * len(shops)), [value for shop in shops for value in shop]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO inventory_publishedshop (channel, shop) VALUES {marks} ON CONFLICT DO NOTHING", values)
    found = _rows(
        "SELECT channel, shop, id, version FROM inventory_publishedshop "
        f"WHERE (channel, shop) IN (VALUES {marks}) ORDER BY id{skip}",
        values,
    )
    return {(channel, shop): (shop_id, version) for channel, shop, shop_id, version in found}


Shown = tuple[str, str, int, int, int, int, datetime]  # channel, shop, sku_id, quantity, sellable, version, changed_at


def write_shown(rows: Sequence[Shown]) -> None:
    """Write published figures. Their shops must be locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_publishedstock (channel, shop, sku_id, quantity, sellable, version, changed_at) "
            f"VALUES {', '.join(['(%s, %s, %s, %s, %s, %s, %s)'] * len(rows))} "
            "ON CONFLICT (channel, shop, sku_id) DO UPDATE SET quantity = EXCLUDED.quantity, sellable = EXCLUDED.sellable, "
            "version = EXCLUDED.version, changed_at = EXCLUDED.changed_at",
            [value for row in rows for value in (*row[:-1], _when(row[-1]))],
        )


def raise_version(shop_id: int, version: int) -> None:
    """Count a shop up. It must be locked."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE inventory_publishedshop SET version = %s WHERE id = %s", [version, shop_id])
