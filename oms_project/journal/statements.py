"""The journal's SQL: one named function per statement, for PostgreSQL and for SQLite.

PostgreSQL can feed one writing statement from another, so that recording and claiming are one
round trip each; SQLite does the same in two statements inside its exclusive transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from oms_project.journal.subscription import Fact

EntryRow = tuple[str, str, str, str, str, datetime]  # name, subject, rooms, actor, payload JSON, recorded_at
_FACT = "e.id, e.name, e.subject, e.actor, e.payload, e.recorded_at"


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _when(value: datetime) -> Any:
    """A time as this database takes it through a raw cursor."""
    return connection.ops.adapt_datetimefield_value(value)


def _times(count: int, row: str) -> str:
    return ", ".join([row] * count)


def insert_of(
    table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], constants: Mapping[str, str] | None = None
) -> tuple[str, list[Any]]:
    """An INSERT of many rows without its tail: the SQL and its parameters.

    `columns` are names with their PostgreSQL types, in the order of the values; a jsonb value is
    JSON text. `constants` are names with an SQL expression. PostgreSQL gets all rows as one JSON
    parameter, because psycopg looks for parameters one by one: a hundred rows of twenty cost more
    there than their insertion.
    """
    also = constants or {}
    into = f"INSERT INTO {table} ({', '.join([*columns, *also])}) "
    if not _is_postgres():
        row = f"({', '.join([*['%s'] * len(columns), *also.values()])})"
        values = [_when(value) if isinstance(value, datetime) else value for values in rows for value in values]
        return f"{into}VALUES {_times(len(rows), row)}", values
    given, params = rows_of(columns, rows)
    return f"{into}SELECT {', '.join([*columns, *also.values()])} FROM {given}", params


def rows_of(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """Many rows as a table `v` that PostgreSQL reads from one JSON parameter; columns as for `insert_of`."""
    json = {name for name, kind in columns.items() if kind == "jsonb"}
    records = [
        {name: orjson.Fragment(value) if name in json else value for name, value in zip(columns, values, strict=True)}
        for values in rows
    ]
    shape = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"json_to_recordset(%s::json) AS v ({shape})", [orjson.dumps(records).decode()]


_ENTRY = {
    "name": "text",
    "subject": "text",
    "rooms": "text",
    "actor": "text",
    "payload": "jsonb",
    "recorded_at": "timestamptz",
}


def insert_entries(rows: Sequence[EntryRow], subscribers: Iterable[tuple[str, str]], due_at: datetime) -> None:
    """Write entries, and one delivery for each pair (event name, subscriber) that matches."""
    wanted = {row[0] for row in rows}
    pairs = [pair for pair in subscribers if pair[0] in wanted]
    xid = "pg_current_xact_id()::text::bigint" if _is_postgres() else "0"
    insert, values = insert_of("journal_entry", _ENTRY, rows, {"xid": xid})
    with connection.cursor() as cursor:
        if not _is_postgres():
            cursor.execute(f"{insert} RETURNING id, name", values)
            written = cursor.fetchall()
            deliveries = [(entry_id, subscriber) for entry_id, name in written for event, subscriber in pairs if event == name]
            if deliveries:
                cursor.execute(
                    "INSERT INTO journal_delivery (entry_id, subscriber, due_at, tries, last_error) VALUES "
                    + _times(len(deliveries), "(%s, %s, %s, 0, '')"),
                    [value for delivery in deliveries for value in (*delivery, _when(due_at))],
                )
            return
        if not pairs:
            cursor.execute(insert, values)
            return
        cursor.execute(
            f"WITH e AS ({insert} RETURNING id, name), s (name, subscriber) AS (VALUES {_times(len(pairs), '(%s, %s)')}) "
            "INSERT INTO journal_delivery (entry_id, subscriber, due_at, tries, last_error) "
            "SELECT e.id, s.subscriber, %s, 0, '' FROM e JOIN s ON s.name = e.name ORDER BY e.id",
            [*values, *(value for pair in pairs for value in pair), due_at],
        )


def take_due(subscriber: str, at: datetime, limit: int, only: int | None = None) -> list[Fact]:
    """Remove up to `limit` due deliveries of a subscriber and return their facts, oldest first.

    Rows another worker holds are skipped. `only` narrows to one delivery. To be called inside
    the transaction of the effect: when that rolls back, the deliveries are there again.
    """
    narrow = " AND id = %s" if only else ""
    where = f"subscriber = %s AND parked_at IS NULL AND due_at <= %s{narrow} ORDER BY due_at, id LIMIT %s"
    args = [subscriber, _when(at), *([only] if only else []), limit]
    with connection.cursor() as cursor:
        if _is_postgres():
            cursor.execute(
                f"WITH due AS (SELECT id FROM journal_delivery WHERE {where} FOR UPDATE SKIP LOCKED), "
                "gone AS (DELETE FROM journal_delivery d USING due WHERE d.id = due.id RETURNING d.id, d.entry_id, d.tries) "
                f"SELECT {_FACT}, gone.id, gone.tries FROM gone JOIN journal_entry e ON e.id = gone.entry_id ORDER BY e.id",
                args,
            )
            return [_fact(row) for row in cursor.fetchall()]
        cursor.execute(
            f"DELETE FROM journal_delivery WHERE id IN (SELECT id FROM journal_delivery WHERE {where}) "
            "RETURNING id, entry_id, tries",
            args,
        )
        gone = {entry_id: (delivery_id, tries) for delivery_id, entry_id, tries in cursor.fetchall()}
        if not gone:
            return []
        marks = ", ".join(["%s"] * len(gone))
        cursor.execute(f"SELECT {_FACT} FROM journal_entry e WHERE e.id IN ({marks}) ORDER BY e.id", list(gone))
        return [_fact((*row, *gone[row[0]])) for row in cursor.fetchall()]


def lease_due(subscriber: str, at: datetime, until: datetime, limit: int) -> list[Fact]:
    """Move up to `limit` due deliveries of a subscriber to a later due time and return their facts.

    A worker that dies with a lease in hand loses nothing: the delivery is due again at `until`.
    """
    skip = " FOR UPDATE SKIP LOCKED" if _is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE journal_delivery SET due_at = %s, tries = tries + 1 WHERE id IN (SELECT id FROM journal_delivery "
            f"WHERE subscriber = %s AND parked_at IS NULL AND due_at <= %s ORDER BY due_at, id LIMIT %s{skip}) "
            "RETURNING id, entry_id, tries",
            [_when(until), subscriber, _when(at), limit],
        )
        leased = {entry_id: (delivery_id, tries - 1) for delivery_id, entry_id, tries in cursor.fetchall()}
        if not leased:
            return []
        marks = ", ".join(["%s"] * len(leased))
        cursor.execute(f"SELECT {_FACT} FROM journal_entry e WHERE e.id IN ({marks}) ORDER BY e.id", list(leased))
        return [_fact((*row, *leased[row[0]])) for row in cursor.fetchall()]


def _fact(row: Sequence[Any]) -> Fact:
    entry_id, name, subject, actor, payload, recorded_at, *delivery = row
    if isinstance(payload, str | bytes):
        payload = orjson.loads(payload)
    return Fact(entry_id, name, subject, actor, payload, read_time(recorded_at), *delivery)


def read_time(value: Any) -> datetime:
    """A time as a raw cursor returned it: aware on PostgreSQL, UTC text or naive on SQLite."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
