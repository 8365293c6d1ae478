"""The SQL by which merchant codes become parts, asked once for every batch of messages."""

from collections.abc import Collection

from django.db import connection


def read_parts(codes: Collection[str]) -> list[tuple[str, int, int, int]]:
    """(code, sku id, quantity, weight) of the active parts of active products, as they were entered."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.code, part.sku_id, part.quantity, part.weight FROM orders_product p "
            "JOIN orders_productpart part ON part.product_id = p.id JOIN inventory_sku s ON s.id = part.sku_id "
            f"WHERE p.is_active AND s.is_active AND p.code IN ({', '.join(['%s'] * len(codes))}) ORDER BY part.id",
            list(codes),
        )
        return list(cursor.fetchall())
