"""What a merchant code sold on a channel consists of."""

from collections.abc import Collection

from orders.catalogue.models import ProductPart
from orders.catalogue.rules import Part


def parts_for(codes: Collection[str]) -> dict[str, tuple[Part, ...]]:
    """Merchant code → its parts, for the codes that are known. One statement."""
    found: dict[str, list[Part]] = {}
    parts = ProductPart.objects.filter(product__code__in=list(codes), product__is_active=True, sku__is_active=True)
    for code, sku_id, quantity, weight in parts.order_by("pk").values_list("product__code", "sku_id", "quantity", "weight"):
        found.setdefault(code, []).append(Part(sku_id, quantity, weight))
    return {code: tuple(parts) for code, parts in found.items()}
