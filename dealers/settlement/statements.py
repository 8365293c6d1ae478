"""The ledger's SQL: one named function per statement, for PostgreSQL and for SQLite, always set-based."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

EntryRow = tuple[UUID, str, str, str, str, str, datetime, datetime, UUID | None, str]
LineRow = tuple[UUID, int, int, str, str]  # entry, account id, fen, component, explain JSON
RefundRow = tuple[str, str, str, int, datetime]  # fo_no, refund_key, order_no, fen, refunded_at

_CHUNK = 500
_UNDRAWN = "NOT EXISTS (SELECT 1 FROM dealers_statementline sl WHERE sl.ledger_line_id = l.id)"


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _raw(value: Any) -> Any:
    """A time or a UUID as this database takes it through a raw cursor."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, UUID) and not _is_postgres():
        return value.hex
    return value


def _insert(table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]], after: str = "") -> list[tuple[Any, ...]]:
    """Insert rows, columns given with their PostgreSQL types; what the statement returns, if `after` says so.

    PostgreSQL takes one array per column, for thousands of placeholders cost the driver more than the
    database; SQLite takes multi-row VALUES, at most 500 rows a statement.
    """
    if not rows:
        return []
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    returned: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        if _is_postgres():
            arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
            cursor.execute(f"{into} SELECT * FROM unnest({arrays}){after}", [list(values) for values in zip(*rows, strict=True)])
            return cursor.fetchall() if "RETURNING" in after else []
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            values = ", ".join([f"({_marks(columns)})"] * len(chunk))
            cursor.execute(f"{into} VALUES {values}{after}", [_raw(value) for one in chunk for value in one])
            if "RETURNING" in after:
                returned += cursor.fetchall()
    return returned


def _marks(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def lock_works(fo_nos: Iterable[str]) -> None:
    """Hold these pieces of work until commit, in a fixed order, so that their refunds are counted one after another.

    PostgreSQL: transaction-level advisory locks. SQLite writers already exclude each other.
    """
    if _is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT hashtextextended('settlement:' || f, 0) AS k "
                "FROM unnest(%s::text[]) AS f ORDER BY k) AS ordered",
                [list(fo_nos)],
            )


def lock_drawing() -> None:
    """One drawing of statements at a time."""
    if _is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('settlement drawing', 0))")


def account_ids(codes: Collection[str]) -> dict[str, int]:
    if not codes:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT code, id FROM dealers_account WHERE code IN ({_marks(codes)})", list(codes))
        return dict(cursor.fetchall())


def insert_accounts(rows: Sequence[tuple[str, str, str]]) -> None:
    """Accounts (code, kind, party) that another poster may be opening at the same moment."""
    columns = {"code": "text", "kind": "text", "party": "text"}
    _insert("dealers_account", columns, rows, " ON CONFLICT (code) DO NOTHING")


def insert_entries(rows: Sequence[EntryRow]) -> set[str]:
    """Write the entries whose key is new; returns those keys."""
    columns = {
        **{"id": "uuid", "seal_id": "uuid", "key": "text", "payload_hash": "text", "kind": "text", "source": "text"},
        **{
            "order_no": "text",
            "effective_at": "timestamptz",
            "posted_at": "timestamptz",
            "reverses_id": "uuid",
            "made_by": "text",
        },
    }
    doubled = [(row[0], *row) for row in rows]
    after = " ON CONFLICT (key) DO NOTHING RETURNING key"
    return {key for (key,) in _insert("dealers_ledgerentry", columns, doubled, after)}


def hashes_of(keys: Collection[str]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT key, payload_hash FROM dealers_ledgerentry WHERE key IN ({_marks(keys)})", list(keys))
        return dict(cursor.fetchall())


def insert_lines(rows: Sequence[LineRow]) -> None:
    columns = {"entry_id": "uuid", "account_id": "bigint", "amount_fen": "bigint", "component": "text", "explain": "jsonb"}
    _insert("dealers_ledgerline", columns, rows)


def insert_seals(ids: Sequence[UUID]) -> None:
    """Close the entries; the database checks here that each of them balances."""
    _insert("dealers_seal", {"id": "uuid"}, [(one,) for one in ids])


def insert_refunds(rows: Sequence[RefundRow]) -> set[tuple[str, str]]:
    """Remember the refunds that are new; returns their (fo_no, refund_key)."""
    columns = {"fo_no": "text", "refund_key": "text", "order_no": "text", "amount_fen": "bigint", "refunded_at": "timestamptz"}
    after = " ON CONFLICT (fo_no, refund_key) DO NOTHING RETURNING fo_no, refund_key"
    return {(fo_no, key) for fo_no, key in _insert("dealers_workrefund", columns, rows, after)}


def insert_statements(prefix: str, period_from: datetime, period_to: datetime, at: datetime) -> list[int]:
    """Open a statement for every dealer with a balance carried or with lines not drawn yet; returns the new ids.

    A dealer that has a statement reaching into the period, or behind it, is left alone: time only moves on.
    """
    opening = (
        "COALESCE((SELECT closing_fen FROM dealers_statement p WHERE p.dealer_id = d.id ORDER BY period_to DESC LIMIT 1), 0)"
    )
    waiting = (
        "EXISTS (SELECT 1 FROM dealers_ledgerline l JOIN dealers_ledgerentry e ON e.id = l.entry_id "
        f"WHERE l.account_id = a.id AND e.effective_at < %s AND {_UNDRAWN})"
    )
    ends = _raw(period_to)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dealers_statement (statement_no, dealer_id, period_from, period_to, opening_fen, accrued_fen, "
            "reversed_fen, closing_fen, state, drawn_at) "
            f"SELECT %s || d.code, d.id, %s, %s, {opening}, 0, 0, {opening}, 'ready', %s FROM dealers_dealer d "
            "LEFT JOIN dealers_account a ON a.code = 'payable:dealer:' || d.code "
            "WHERE NOT EXISTS (SELECT 1 FROM dealers_statement s WHERE s.dealer_id = d.id AND s.period_to > %s) "
            f"AND ({opening} <> 0 OR {waiting}) ORDER BY d.id ON CONFLICT DO NOTHING RETURNING id",
            [prefix, _raw(period_from), ends, _raw(at), _raw(period_from), ends],
        )
        return [statement_id for (statement_id,) in cursor.fetchall()]


def insert_statement_lines(statement_ids: Sequence[int]) -> None:
    """Put every line not drawn yet, effective before the end of the period, into its dealer's new statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dealers_statementline (statement_id, ledger_line_id) SELECT s.id, l.id FROM dealers_statement s "
            "JOIN dealers_dealer d ON d.id = s.dealer_id JOIN dealers_account a ON a.code = 'payable:dealer:' || d.code "
            "JOIN dealers_ledgerline l ON l.account_id = a.id JOIN dealers_ledgerentry e ON e.id = l.entry_id "
            f"WHERE s.id IN ({_marks(statement_ids)}) AND e.effective_at < s.period_to AND {_UNDRAWN} ORDER BY l.id",
            list(statement_ids),
        )


def total_statements(statement_ids: Sequence[int]) -> None:
    """Add up the statements just opened from the lines they really hold (credit is what we owe)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE dealers_statement SET accrued_fen = t.accrued, reversed_fen = t.reversed, "
            "closing_fen = opening_fen + t.accrued - t.reversed FROM (SELECT sl.statement_id, "
            "SUM(CASE WHEN l.amount_fen < 0 THEN -l.amount_fen ELSE 0 END) AS accrued, "
            "SUM(CASE WHEN l.amount_fen > 0 THEN l.amount_fen ELSE 0 END) AS reversed "
            "FROM dealers_statementline sl JOIN dealers_ledgerline l ON l.id = sl.ledger_line_id "
            f"WHERE sl.statement_id IN ({_marks(statement_ids)}) GROUP BY sl.statement_id) t "
            "WHERE dealers_statement.id = t.statement_id",
            list(statement_ids),
        )
