"""The SQL of dispatch: one named function per statement, the same on PostgreSQL and SQLite."""

from collections.abc import Collection

from django.db import connection


def lock_levels(places: Collection[tuple[int, int]]) -> None:
    """Lock the stock rows of (node id, sku id) in key order. SQLite has one writer, so nothing needs locking there."""
    if not places or connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM inventory_level WHERE (node_id, sku_id) IN ({', '.join(['(%s, %s)'] * len(places))}) "
            "ORDER BY id FOR UPDATE",
            [value for place in places for value in place],
        )
