"""The ledger's SQL that the ORM has no words for; one named function per statement."""

from collections.abc import Iterable

from django.db import connection


def lock_works(fo_nos: Iterable[str]) -> None:
    """Serialise postings of the same pieces of work until the transaction ends.

    An accrual and a refund of one piece of work may arrive at the same time, and neither row exists
    yet to be locked. SQLite's transaction is exclusive anyway.
    """
    keys = sorted(set(fo_nos))
    if connection.vendor == "postgresql" and keys:
        locks = ", ".join(["pg_advisory_xact_lock(hashtextextended(%s, 7))"] * len(keys))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {locks}", keys)


def lock_statements() -> None:
    """One run of statements at a time."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('draw_statements', 7))")
