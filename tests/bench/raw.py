"""The floor under the pipeline: the very rows that it wrote, written again by bare prepared statements.

`harvest` reads what the pipeline left in the database, order by order; `Writer.write` repeats it
in the same three transactions, without deciding, asking or checking anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

Rows = list[tuple[object, ...]]
# table, and how its rows are found by order ids
_PLACING = {
    "orders_order": "id = ANY(%(orders)s)",
    "orders_orderline": "order_id = ANY(%(orders)s)",
    "journal_entry": "name = 'order.placed' AND subject = ANY(%(subjects)s)",
}
_ROUTING = {
    "inventory_reservation": "bill = ANY(%(works)s)",
    "orders_fulfillmentorder": "order_id = ANY(%(orders)s)",
    "orders_fulfillmentline": "work_id IN (SELECT id FROM orders_fulfillmentorder WHERE order_id = ANY(%(orders)s))",
    "orders_offer": "work_id IN (SELECT id FROM orders_fulfillmentorder WHERE order_id = ANY(%(orders)s))",
    "journal_entry": "name <> 'order.placed' AND subject = ANY(%(subjects)s)",
    "journal_delivery": "entry_id IN (SELECT id FROM journal_entry WHERE subject = ANY(%(subjects)s))",
    "orders_routingdecision": "order_id = ANY(%(orders)s)",
}


@dataclass
class Group:
    """Everything that one batch of orders became."""

    orders: list[int]
    entries: list[int] = field(default_factory=list)
    messages: list[tuple[int, str]] = field(default_factory=list)  # id, sealed document
    gains: list[tuple[int, int]] = field(default_factory=list)  # level, units
    placing: dict[str, Rows] = field(default_factory=dict)
    routing: dict[str, Rows] = field(default_factory=dict)


def _columns(line: psycopg.Connection, table: str) -> list[tuple[str, str]]:
    return line.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    ).fetchall()


def _select(line: psycopg.Connection, table: str) -> str:
    names = [f"{name}::text" if kind == "jsonb" else name for name, kind in _columns(line, table)]
    return f"SELECT {', '.join(names)} FROM {table} WHERE "


def harvest(line: psycopg.Connection, size: int) -> list[Group]:
    """Groups of `size` orders with all their rows, in the order in which they were placed."""
    placed = line.execute("SELECT id, order_no, external_id FROM orders_order WHERE state = 'routed' ORDER BY id").fetchall()
    groups = []
    for start in range(0, len(placed), size):
        chunk = placed[start : start + size]
        group = Group(orders=[row[0] for row in chunk])
        works = line.execute("SELECT fo_no FROM orders_fulfillmentorder WHERE order_id = ANY(%s)", [group.orders]).fetchall()
        keys = {"orders": group.orders, "subjects": [f"order:{row[1]}" for row in chunk], "works": [row[0] for row in works]}
        for table, where in _PLACING.items():
            group.placing[table] = line.execute(_select(line, table) + where + " ORDER BY id", keys).fetchall()
        for table, where in _ROUTING.items():
            group.routing[table] = line.execute(_select(line, table) + where + " ORDER BY id", keys).fetchall()
        group.entries = [row[0] for row in group.placing["journal_entry"]]
        group.messages = line.execute(
            "SELECT id, detail_sealed FROM orders_sourcemessage WHERE external_id = ANY(%s)", [[row[2] for row in chunk]]
        ).fetchall()
        group.gains = line.execute(
            "SELECT level_id, sum(quantity)::bigint FROM inventory_reservation WHERE bill = ANY(%s) GROUP BY 1 ORDER BY 1",
            [keys["works"]],
        ).fetchall()
        groups.append(group)
    return groups


class Writer:
    """One connection that writes groups; every statement is prepared at its first use."""

    def __init__(self, line: psycopg.Connection) -> None:
        line.prepare_threshold, line.prepared_max = 0, 500
        self._line, self._inserts = line, {}
        for table in {*_PLACING, *_ROUTING}:
            columns = _columns(line, table)
            names = ", ".join(name for name, _ in columns)
            arrays = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for _, kind in columns)
            picked = ", ".join(f"{name}::jsonb" if kind == "jsonb" else name for name, kind in columns)
            self._inserts[table] = f"INSERT INTO {table} ({names}) SELECT {picked} FROM unnest({arrays}) AS t ({names})"

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._line.execute(self._inserts[table], [list(column) for column in zip(*rows, strict=True)])

    def write(self, group: Group) -> int:
        """The same rows in the same three transactions: claim, place, route; returns how many orders."""
        line, ids = self._line, [message for message, _ in group.messages]
        line.execute(
            "UPDATE orders_sourcemessage SET due_at = now() + interval '2 minutes', tries = tries + 1 "
            "WHERE id = ANY(%s) RETURNING body_sealed, set_config('synchronous_commit', 'off', true)",
            [ids],
        ).fetchall()
        with line.transaction():
            for table in _PLACING:
                self._insert(table, group.placing[table])
            line.execute(
                "INSERT INTO journal_delivery (id, entry_id, subscriber, due_at, tries, last_error) "  # ids that no harvested row has
                "SELECT -id, id, 'orders.dispatch.on_order_placed', now(), 0, '' FROM unnest(%s::bigint[]) AS t (id)",
                [group.entries],
            )
            line.execute(
                "UPDATE orders_sourcemessage m SET due_at = NULL, done_at = now(), outcome = 'placed', detail_sealed = t.detail "
                "FROM unnest(%s::bigint[], %s::text[]) AS t (id, detail) WHERE m.id = t.id",
                [ids, [detail for _, detail in group.messages]],
            )
        with line.transaction():
            line.execute("DELETE FROM journal_delivery WHERE entry_id = ANY(%s)", [group.entries])
            line.execute("UPDATE orders_order SET state = 'routed', version = 2 WHERE id = ANY(%s)", [group.orders])
            if group.gains:
                levels, units = zip(*group.gains, strict=True)
                line.execute("SELECT id FROM inventory_level WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [list(levels)])
                line.execute(
                    "UPDATE inventory_level l SET held = held + t.units FROM unnest(%s::bigint[], %s::bigint[]) AS t (id, units) "
                    "WHERE l.id = t.id",
                    [list(levels), list(units)],
                )
            for table in _ROUTING:
                self._insert(table, group.routing[table])
        return len(group.orders)
