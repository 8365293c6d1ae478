"""The stock ledger's SQL: one named function per statement, for PostgreSQL and for SQLite."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from inventory.ledger.rules import NewMovement, Place, Standing, printable
from inventory.ledger.shares import FIELDS, Effective, Rule, Scope, Spot


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


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _rows(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> tuple[str, str]:
    """Many rows as a table `v`, read from one JSON parameter: the SQL and the parameter.

    `columns` are names with their PostgreSQL types. The text of the statement is the same for any number of rows.
    """
    told = [[_when(value) if isinstance(value, datetime) else value for value in row] for row in rows]
    if is_postgres():
        shown = ", ".join(f"(e.value ->> {n})::{kind} AS {name}" for n, (name, kind) in enumerate(columns.items()))
        return f"(SELECT {shown} FROM jsonb_array_elements(%s::jsonb) AS e (value)) AS v", orjson.dumps(told).decode()
    shown = ", ".join(f"e.value ->> {n} AS {name}" for n, name in enumerate(columns))
    return f"(SELECT {shown} FROM json_each(%s) AS e) AS v", orjson.dumps(told).decode()


def _when(value: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _moment(value: datetime | None) -> datetime | None:
    """A time as a raw cursor returns it; SQLite stores UTC and does not say so."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


_PLACES = {"node_id": "bigint", "sku_id": "bigint"}
_SPOT = "n.id, s.id, n.kind, n.dealer_id, s.category, n.name, s.code, s.kind"


def _spot(row: Sequence[Any]) -> Spot:
    node_id, sku_id, node_kind, dealer_id, category, node, sku, kind = row
    return Spot(node_id, sku_id, node_kind, dealer_id, category, node, sku, kind == "physical")


def lock_places(places: Sequence[Place]) -> dict[Place, Standing]:
    """Lock stock rows in the order of their ids; what stands there per place that has a row."""
    table, given = _rows(_PLACES, places)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_SPOT}, l.id, l.on_hand, l.held, l.reported_at, l.fresh_until FROM {table} "
            "JOIN inventory_level l ON l.node_id = v.node_id AND l.sku_id = v.sku_id "
            "JOIN inventory_node n ON n.id = l.node_id JOIN inventory_sku s ON s.id = l.sku_id "
            f"ORDER BY l.id{' FOR UPDATE OF l' if is_postgres() else ''}",
            [given],
        )
        return {
            (row[0], row[1]): Standing(_spot(row[:8]), row[8], row[9], row[10], _moment(row[11]), _moment(row[12]))
            for row in cursor.fetchall()
        }


def read_spots(places: Sequence[Place]) -> dict[Place, Spot]:
    """What the rules ask about places, whether they have a stock row or not; unknown nodes and SKUs are left out."""
    table, given = _rows(_PLACES, places)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_SPOT} FROM {table} JOIN inventory_node n ON n.id = v.node_id JOIN inventory_sku s ON s.id = v.sku_id",
            [given],
        )
        return {row[:2]: _spot(row) for row in cursor.fetchall()}


_EFFECTIVE = {
    "safety_stock": "bigint", "share_percent": "smallint", "share_cap": "bigint", "keep_back": "bigint",
    "max_stock": "bigint", "ownership": "text",
}  # fmt: skip


def create_levels(levels: Sequence[tuple[Place, Effective]]) -> None:
    """Empty stock rows with what the rules say of them; one that exists meanwhile is left alone."""
    table, given = _rows({**_PLACES, **_EFFECTIVE}, [(*place, *terms.columns(None)[:-1]) for place, terms in levels])
    columns = ", ".join(_EFFECTIVE)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO inventory_level (node_id, sku_id, on_hand, held, {columns}) "
            f"SELECT node_id, sku_id, 0, 0, {columns} FROM {table} WHERE true ON CONFLICT (node_id, sku_id) DO NOTHING",
            [given],
        )


_MOVED = {
    "node_id": "bigint", "sku_id": "bigint", "kind": "text", "quantity": "bigint", "source_key": "text", "reason": "text",
    "moved_at": "timestamptz",
}  # fmt: skip


def insert_movements(movements: Sequence[tuple[NewMovement, datetime]], actor: str) -> int:
    """Write movements with their times; returns how many were new (a key that exists is skipped)."""
    told = [(*movement.content, movement.source_key, printable(movement.reason), moved_at) for movement, moved_at in movements]
    table, given = _rows(_MOVED, told)
    columns = ", ".join(_MOVED)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO inventory_movement ({columns}, actor) SELECT {columns}, %s FROM {table} WHERE true "
            "ON CONFLICT (source_key) DO NOTHING RETURNING id",
            [actor, given],
        )
        return len(cursor.fetchall())


def change_on_hand(changes: Sequence[tuple[int, int]]) -> None:
    """Add (level_id, units) to on_hand. The rows must be locked."""
    table, given = _rows({"level_id": "bigint", "units": "bigint"}, changes)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE inventory_level SET on_hand = on_hand + v.units FROM {table} WHERE inventory_level.id = v.level_id", [given]
        )


def confirm(changes: Sequence[tuple[int, int, datetime, datetime | None]]) -> None:
    """Add (level_id, units, reported_at, fresh_until) to stock rows that were reported. The rows must be locked."""
    shape = {"level_id": "bigint", "units": "bigint", "reported_at": "timestamptz", "fresh_until": "timestamptz"}
    table, given = _rows(shape, changes)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE inventory_level SET on_hand = on_hand + v.units, reported_at = v.reported_at, fresh_until = v.fresh_until "
            f"FROM {table} WHERE inventory_level.id = v.level_id",
            [given],
        )


def read_posted(keys: Sequence[str]) -> dict[str, tuple[int, int, str, int]]:
    """(node_id, sku_id, kind, quantity) of the source keys that are in the books."""
    table, given = _rows({"source_key": "text"}, [(key,) for key in keys])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.source_key, m.node_id, m.sku_id, m.kind, m.quantity "
            f"FROM {table} JOIN inventory_movement m ON m.source_key = v.source_key",
            [given],
        )
        return {key: (node_id, sku_id, kind, quantity) for key, node_id, sku_id, kind, quantity in cursor.fetchall()}


def read_reported(
    reports: Sequence[tuple[int, int, int, datetime, str]],
) -> tuple[dict[int, int], dict[str, tuple[int, int, str, str]]]:
    """Of (position, node_id, sku_id, measured_at, source_key): what moved later, by position, and what the keys already name.

    A repair explains a figure and moves nothing, so it is not counted.
    """
    shape = {"position": "int", **_PLACES, "measured_at": "timestamptz", "source_key": "text"}
    table, given = _rows(shape, reports)
    later: dict[int, int] = {}
    known: dict[str, tuple[int, int, str, str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v.position, CAST(COALESCE((SELECT SUM(n.quantity) FROM inventory_movement n WHERE n.node_id = v.node_id "
            "AND n.sku_id = v.sku_id AND n.moved_at > v.measured_at AND n.kind <> 'repair'), 0) AS BIGINT), "
            "v.source_key, m.node_id, m.sku_id, m.kind, m.reason "
            f"FROM {table} LEFT JOIN inventory_movement m ON m.source_key = v.source_key",
            [given],
        )
        for position, units, key, node_id, sku_id, kind, reason in cursor.fetchall():
            later[position] = units
            if node_id is not None:
                known[key] = (node_id, sku_id, kind, reason)
    return later, known


def read_narrow_rules(places: Iterable[Place]) -> list[Rule]:
    """The active rules that name one SKU at one node, for these places."""
    table, given = _rows(_PLACES, places)
    columns = ", ".join(f"r.{name}" for name in FIELDS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT r.id, r.sku_id, r.node_id, r.dealer_id, r.category, r.node_kind, {columns} FROM {table} "
            "JOIN inventory_stockrule r ON r.node_id = v.node_id AND r.sku_id = v.sku_id WHERE r.is_active",
            [given],
        )
        return [Rule(row[0], Scope(*row[1:6]), *row[6:]) for row in cursor.fetchall()]


LevelRow = tuple[int, Spot, tuple[Any, ...], datetime | None]  # id, spot, effective columns, reported_at
_LEVEL_ROW = (
    f"SELECT {_SPOT}, l.id, l.reported_at, l.{', l.'.join(_EFFECTIVE)}, l.fresh_until FROM inventory_level l "
    "JOIN inventory_node n ON n.id = l.node_id JOIN inventory_sku s ON s.id = l.sku_id "
)


def _level_row(row: Sequence[Any]) -> LevelRow:
    return (row[8], _spot(row[:8]), (*row[10:-1], _moment(row[-1])), _moment(row[9]))


def read_levels(after: int, limit: int, scope: Scope) -> list[LevelRow]:
    """The next levels in the order of their ids that a scope speaks of, with the columns the rules write."""
    named = (
        ("l.sku_id", scope.sku_id), ("l.node_id", scope.node_id), ("n.dealer_id", scope.dealer_id),
        ("s.category", scope.category), ("n.kind", scope.node_kind),
    )  # fmt: skip
    asked = [(column, value) for column, value in named if value]
    where = "".join(f" AND {column} = %s" for column, _ in asked)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LEVEL_ROW}WHERE l.id > %s{where} ORDER BY l.id LIMIT %s", [after, *(value for _, value in asked), limit]
        )
        return [_level_row(row) for row in cursor.fetchall()]


def lock_levels(level_ids: Sequence[int]) -> list[LevelRow]:
    """Lock stock rows in the order of their ids and read the columns the rules write."""
    table, given = _rows({"level_id": "bigint"}, [(level_id,) for level_id in level_ids])
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LEVEL_ROW}WHERE l.id IN (SELECT level_id FROM {table}) "
            f"ORDER BY l.id{' FOR UPDATE OF l' if is_postgres() else ''}",
            [given],
        )
        return [_level_row(row) for row in cursor.fetchall()]


def write_effective(changes: Sequence[tuple[int, tuple[Any, ...]]]) -> None:
    """Write what the rules say into stock rows: (level_id, Effective.columns). The rows must be locked."""
    shape = {"level_id": "bigint", **_EFFECTIVE, "fresh_until": "timestamptz"}
    table, given = _rows(shape, [(level_id, *columns) for level_id, columns in changes])
    columns = ", ".join(f"{name} = v.{name}" for name in list(shape)[1:])
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE inventory_level SET {columns} FROM {table} WHERE inventory_level.id = v.level_id", [given])


_BELOW = (
    "WITH RECURSIVE below (id) AS (SELECT id FROM inventory_node WHERE parent_id = %s "
    "UNION SELECT n.id FROM inventory_node n JOIN below b ON n.parent_id = b.id) SELECT id FROM below ORDER BY id"
)
_ABOVE = (
    "WITH RECURSIVE above (id, parent_id) AS (SELECT id, parent_id FROM inventory_node WHERE id = %s "
    "UNION SELECT n.id, n.parent_id FROM inventory_node n JOIN above a ON n.id = a.parent_id) SELECT id FROM above ORDER BY id"
)


def nodes_below(node_id: int) -> list[int]:
    """All nodes under a node, itself not counted unless it stands in a circle."""
    with connection.cursor() as cursor:
        cursor.execute(_BELOW, [node_id])
        return [row[0] for row in cursor.fetchall()]


def nodes_above(node_id: int) -> list[int]:
    """A node and all nodes it stands under."""
    with connection.cursor() as cursor:
        cursor.execute(_ABOVE, [node_id])
        return [row[0] for row in cursor.fetchall()]


Sums = list[tuple[str, int, int]]  # kind, rows, units


def sum_movements(place: Place) -> Sums:
    """What moved at a place, by kind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, COUNT(*), CAST(SUM(quantity) AS BIGINT) FROM inventory_movement "
            "WHERE node_id = %s AND sku_id = %s GROUP BY kind ORDER BY kind",
            [*place],
        )
        return cursor.fetchall()


def sum_reservations(place: Place) -> Sums:
    """What is promised out of a place, by kind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.kind, COUNT(*), CAST(SUM(r.quantity) AS BIGINT) FROM inventory_reservation r "
            "JOIN inventory_level l ON l.id = r.level_id "
            "WHERE r.state = 'open' AND l.node_id = %s AND l.sku_id = %s GROUP BY r.kind ORDER BY r.kind",
            [*place],
        )
        return cursor.fetchall()


def read_promise_drift() -> list[tuple[int, str, int, int]]:
    """(incoming_id, source_key, promised, Σ open presale reservations) wherever the two differ."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.id, i.source_key, i.promised, COALESCE(r.units, 0) FROM inventory_incoming i "
            "LEFT JOIN (SELECT incoming_id, CAST(SUM(quantity) AS BIGINT) AS units FROM inventory_reservation "
            "WHERE state = 'open' AND incoming_id IS NOT NULL GROUP BY incoming_id) r ON r.incoming_id = i.id "
            "WHERE i.promised <> COALESCE(r.units, 0) ORDER BY i.id"
        )
        return cursor.fetchall()


def sum_promised(incoming_id: int) -> int:
    """Σ open presale reservations that stand on one delivery."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM inventory_reservation "
            "WHERE state = 'open' AND incoming_id = %s",
            [incoming_id],
        )
        return int(cursor.fetchone()[0])


# The numbers stand in the text, which is so planned for the tables as they are: a plan that is kept may be one for empty tables.
_AMONG = "{0}sku_id BETWEEN <first> AND <last> AND (<node> = 0 OR {0}node_id = <node>)"
# Stock rows whose figures differ from their movements and open reservations, and movements of places without a row.
# Sums are asked row by row, through an index: joined, they would be made again and again where statistics are old.
_DRIFT = (
    "SELECT * FROM (SELECT l.node_id, l.sku_id, l.on_hand, CAST(COALESCE((SELECT SUM(m.quantity) FROM inventory_movement m "
    "WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id), 0) AS BIGINT) AS moved, l.held, "
    "CAST(COALESCE((SELECT SUM(o.quantity) FROM inventory_reservation o "
    "WHERE o.state = 'open' AND o.level_id IS NOT NULL AND o.level_id = l.id), 0) AS BIGINT) AS promised "
    f"FROM inventory_level l WHERE {_AMONG.format('l.')}) figures WHERE on_hand <> moved OR held <> promised "
    "UNION ALL SELECT m.node_id, m.sku_id, 0, CAST(SUM(m.quantity) AS BIGINT), 0, 0 FROM inventory_movement m "
    f"WHERE {_AMONG.format('m.')} "
    "AND NOT EXISTS (SELECT 1 FROM inventory_level l WHERE l.node_id = m.node_id AND l.sku_id = m.sku_id) "
    "GROUP BY m.node_id, m.sku_id HAVING SUM(m.quantity) <> 0"
)
_PROMISED = "(SELECT COALESCE(SUM(o.quantity), 0) FROM inventory_reservation o WHERE o.state = 'open' AND o.incoming_id = i.id)"


def _among(sql: str, first: int, last: int, node_id: int) -> str:
    for name, number in (("<first>", first), ("<last>", last), ("<node>", node_id)):
        sql = sql.replace(name, str(int(number)))
    return sql


def read_drift(first: int, last: int) -> list[tuple[int, int, int, int, int, int, str, str]]:
    """(node_id, sku_id, on_hand, Σ movements, held, Σ open reservations, both codes) wherever a pair differs.

    Of the SKUs with an id from `first` to `last`: all of them at once would be read for longer than a statement may take.
    """
    with connection.cursor() as cursor:
        sql = (
            f"SELECT d.*, n.code, s.code FROM ({_DRIFT}) d "
            "JOIN inventory_node n ON n.id = d.node_id JOIN inventory_sku s ON s.id = d.sku_id ORDER BY 1, 2"
        )
        cursor.execute(_among(sql, first, last, 0))
        return cursor.fetchall()


def read_differing(level_ids: Sequence[int]) -> set[int]:
    """Those of some stock rows whose figures are not the sums of their movements and open reservations."""
    table, given = _rows({"level_id": "bigint"}, [(level_id,) for level_id in level_ids])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT l.id FROM {table} JOIN inventory_level l ON l.id = v.level_id "
            "WHERE l.on_hand <> COALESCE((SELECT SUM(m.quantity) FROM inventory_movement m "
            "WHERE m.node_id = l.node_id AND m.sku_id = l.sku_id), 0) "
            "OR l.held <> COALESCE((SELECT SUM(o.quantity) FROM inventory_reservation o "
            "WHERE o.state = 'open' AND o.level_id = l.id), 0)",
            [given],
        )
        return {row[0] for row in cursor.fetchall()}


def replace_drift(first: int, last: int, node_id: int = 0) -> None:
    """Keep what differs now of some SKUs (at one node, when it is given) in place of what the last check found there."""
    drop = f"DELETE FROM inventory_stockdrift WHERE {_AMONG.format('')}"
    find = (
        "INSERT INTO inventory_stockdrift (node_id, sku_id, on_hand, moved, held, promised, incoming_id) "
        f"SELECT d.*, CAST(NULL AS BIGINT) FROM ({_DRIFT}) d "
        f"UNION ALL SELECT i.node_id, i.sku_id, 0, 0, i.promised, {_PROMISED}, i.id FROM inventory_incoming i "
        f"WHERE {_AMONG.format('i.')} AND i.promised <> {_PROMISED} ON CONFLICT DO NOTHING"
    )
    with connection.cursor() as cursor:
        cursor.execute(_among(drop, first, last, node_id))
        cursor.execute(_among(find, first, last, node_id))
