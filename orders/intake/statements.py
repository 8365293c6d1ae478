"""The SQL of the message queue: one named function per statement, for PostgreSQL and for SQLite."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message taken on until its lease ends; `tries` counts this one."""

    id: int
    account_id: int
    tag: str
    external_id: str
    body_sealed: str
    tries: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claimed message: done (`done_at`), due again (`due_at`), or parked (neither)."""

    id: int
    due_at: datetime | None
    done_at: datetime | None
    outcome: str
    tries: int
    last_error: str = ""
    detail_sealed: str = ""


def _when(value: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if value else None


def insert_messages(rows: Sequence[tuple[Any, ...]]) -> int:
    """Store messages that are not stored yet; returns how many were new.

    A row is (account id, key, tag, external id, sealed body, received, due, done, outcome, last error).
    """
    row = "(%s, %s, %s, %s, %s, '', %s, %s, %s, %s, 0, %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_sourcemessage (account_id, message_key, tag, external_id, body_sealed, detail_sealed, "
            f"received_at, due_at, done_at, outcome, tries, last_error) VALUES {', '.join([row] * len(rows))} "
            "ON CONFLICT (account_id, message_key) DO NOTHING RETURNING id",
            [_when(value) if isinstance(value, datetime) else value for values in rows for value in values],
        )
        return len(cursor.fetchall())


def claim_messages(at: datetime, until: datetime, limit: int) -> list[Claimed]:
    """Take up to `limit` due messages on until a later time, oldest first; others skip them.

    A worker that dies loses nothing: the messages are due again at `until`.
    """
    skip = " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    # A claim lost in a crash is a message that is due again: nothing waits for it to reach the disk.
    unhurried = ", set_config('synchronous_commit', 'off', true)" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_sourcemessage SET due_at = %s, tries = tries + 1 WHERE id IN (SELECT id FROM orders_sourcemessage "
            f"WHERE done_at IS NULL AND due_at <= %s ORDER BY due_at, id LIMIT %s{skip}) "
            f"RETURNING id, account_id, tag, external_id, body_sealed, tries{unhurried}",
            [_when(until), _when(at), limit],
        )
        return sorted((Claimed(*row[:6]) for row in cursor.fetchall()), key=lambda claimed: claimed.id)


def settle_messages(verdicts: Sequence[Verdict]) -> None:
    """Write what became of claimed messages; one that another worker finished meanwhile stays as it is."""
    cast = "::timestamptz" if connection.vendor == "postgresql" else ""
    row = "(%s, %s, %s, %s, %s, %s, %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH v (id, due_at, done_at, outcome, tries, last_error, detail_sealed) AS "
            f"(VALUES {', '.join([row] * len(verdicts))}) "
            f"UPDATE orders_sourcemessage SET due_at = v.due_at{cast}, done_at = v.done_at{cast}, outcome = v.outcome, "
            "tries = v.tries, last_error = v.last_error, detail_sealed = v.detail_sealed "
            "FROM v WHERE orders_sourcemessage.id = v.id AND orders_sourcemessage.done_at IS NULL",
            [
                value
                for verdict in verdicts
                for value in (
                    verdict.id,
                    _when(verdict.due_at),
                    _when(verdict.done_at),
                    verdict.outcome,
                    verdict.tries,
                    verdict.last_error,
                    verdict.detail_sealed,
                )
            ],
        )
