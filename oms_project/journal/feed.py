"""The gap-free tail of the journal, by which every web process feeds its sockets.

A cursor is the place of an entry in feed order, written "xid-id". On PostgreSQL ids can commit
out of order, so a tail by id alone loses rows; entries are read in (xid, id) order and only below
the oldest running transaction (pg_snapshot_xmin), which no later commit can slip under. SQLite
has one writer at a time, so xid is 0 and the id alone is the order.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from oms_project.journal.statements import read_time

_SETTLED = " AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the feed; the next entry is the first one above it."""

    xid: int
    id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises ValueError for anything that is not 'number-number'."""
        xid, _, entry_id = text.partition("-")
        if not (xid.isascii() and xid.isdigit() and entry_id.isascii() and entry_id.isdigit()) or len(text) > 40:
            raise ValueError("not a feed cursor")
        return cls(int(xid), int(entry_id))


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry as the feed carries it."""

    cursor: Cursor
    name: str
    rooms: frozenset[str]
    payload: dict[str, Any]
    recorded_at: datetime


def _settled() -> str:
    return _SETTLED if connection.vendor == "postgresql" else ""


def latest() -> Cursor:
    """The cursor of the newest entry that a reader may see."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT xid, id FROM journal_entry WHERE 1 = 1{_settled()} ORDER BY xid DESC, id DESC LIMIT 1")
        row = cursor.fetchone()
    return Cursor(*row) if row else Cursor(0, 0)


def read_after(after: Cursor, *, room: str | None = None, limit: int = 500) -> list[FeedEntry]:
    """Up to `limit` entries above a cursor in feed order; only those of one room if given."""
    narrow, args = (" AND rooms LIKE %s", [f"% {room} %"]) if room else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xid, id, name, rooms, payload, recorded_at FROM journal_entry "
            f"WHERE (xid, id) > (%s, %s){_settled()}{narrow} ORDER BY xid, id LIMIT %s",
            [after.xid, after.id, *args, limit],
        )
        rows = cursor.fetchall()
    return [
        FeedEntry(
            Cursor(xid, entry_id),
            name,
            frozenset(rooms.split()),
            orjson.loads(payload) if isinstance(payload, str | bytes) else payload,
            read_time(recorded_at),
        )
        for xid, entry_id, name, rooms, payload, recorded_at in rows
    ]
