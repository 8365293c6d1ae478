"""What may still be promised."""

from collections.abc import Collection

from inventory.reservations import statements


def sellable(*, node_ids: Collection[int], sku_ids: Collection[int]) -> dict[tuple[int, int], int]:
    """安全可售 per (node, SKU): max(0, 在库 − 预占 − 安全库存), read in one statement; a place without stock is 0."""
    if not node_ids or not sku_ids:
        return {}
    found = statements.read_sellable(node_ids, sku_ids)
    return {(node_id, sku_id): found.get((node_id, sku_id), 0) for node_id in node_ids for sku_id in sku_ids}
