"""The one statement that other systems' batches need beside the ledger's, for PostgreSQL and for SQLite."""

from collections.abc import Collection

import orjson
from django.db import connection

Place = tuple[int, int]


def read_on_hand(places: Collection[Place]) -> dict[Place, int]:
    """What stands at these (node_id, sku_id); a place without a stock row is left out. One text for any number of places."""
    if connection.vendor == "postgresql":
        wanted = "SELECT (p ->> 0)::bigint AS node_id, (p ->> 1)::bigint AS sku_id FROM jsonb_array_elements(%s::jsonb) AS t (p)"
    else:
        wanted = "SELECT json_extract(value, '$[0]') AS node_id, json_extract(value, '$[1]') AS sku_id FROM json_each(%s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT l.node_id, l.sku_id, l.on_hand FROM ({wanted}) w "
            "JOIN inventory_level l ON l.node_id = w.node_id AND l.sku_id = w.sku_id",
            [orjson.dumps(list(places)).decode()],
        )
        return {(node_id, sku_id): on_hand for node_id, sku_id, on_hand in cursor.fetchall()}
