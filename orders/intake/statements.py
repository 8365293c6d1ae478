"""The SQL of intake: storing, claiming and marking messages, each one statement, both databases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from orders.intake.rules import Message
from orders.lifecycle.statements import as_time


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in hand until its lease ends."""

    id: int
    account_id: int
    tag: str
    external_id: str
    body_sealed: str
    tries: int


def insert_messages(account_id: int, rows: Sequence[tuple[Message, str, bool]], at: datetime) -> int:
    """Store (message, sealed body, whether there is work to do); known keys are left alone. Returns how many are new."""
    when = as_time(at)
    row = "(%s, %s, %s, %s, %s, '', %s, %s, %s, %s, 0, '')"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_sourcemessage (account_id, message_key, tag, external_id, body_sealed, detail_sealed, "
            f"received_at, due_at, done_at, outcome, tries, last_error) VALUES {', '.join([row] * len(rows))} "
            "ON CONFLICT (account_id, message_key) DO NOTHING",
            [
                value
                for message, sealed, is_work in rows
                for value in (
                    account_id,
                    message.msg_id,
                    message.tag,
                    message.external_id,
                    sealed,
                    when,
                    when if is_work else None,
                    None if is_work else when,
                    "" if is_work else "ignored",
                )
            ],
        )
        return cursor.rowcount


def claim_due(at: datetime, until: datetime, limit: int) -> list[Claimed]:
    """Lease up to `limit` due messages, oldest first; what another worker holds is skipped."""
    skip = " FOR UPDATE SKIP LOCKED" if _is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_sourcemessage SET due_at = %s, tries = tries + 1 WHERE id IN (SELECT id FROM orders_sourcemessage "
            f"WHERE done_at IS NULL AND due_at <= %s ORDER BY due_at, id LIMIT %s{skip}) "
            "RETURNING id, account_id, tag, external_id, body_sealed, tries",
            [as_time(until), as_time(at), limit],
        )
        return sorted((Claimed(*row) for row in cursor.fetchall()), key=lambda claimed: claimed.id)


def mark_done(rows: Sequence[tuple[int, str, str]], at: datetime) -> None:
    """Finish messages: (id, outcome, sealed order document)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH v (id, outcome, detail) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(rows))}) "
            "UPDATE orders_sourcemessage SET done_at = %s, due_at = NULL, last_error = '', outcome = v.outcome, "
            "detail_sealed = v.detail FROM v WHERE orders_sourcemessage.id = v.id AND orders_sourcemessage.done_at IS NULL",
            [*(value for row in rows for value in row), as_time(at)],
        )


def mark_failed(rows: Sequence[tuple[int, str, str, datetime | None]]) -> None:
    """Put messages back, or park them: (id, outcome, error, next due time or None to park)."""
    cast = "::timestamptz" if _is_postgres() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH v (id, outcome, error, due) AS (VALUES {', '.join(['(%s, %s, %s, %s)'] * len(rows))}) "
            f"UPDATE orders_sourcemessage SET due_at = v.due{cast}, outcome = v.outcome, last_error = v.error "
            "FROM v WHERE orders_sourcemessage.id = v.id AND orders_sourcemessage.done_at IS NULL",
            [value for id_, outcome, error, due in rows for value in (id_, outcome, error, as_time(due))],
        )
