"""Scarcity prices as batches and single decisions read them. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orders.routing.shelves import Prices

Place = tuple[int, int]  # node, SKU


@dataclass(frozen=True, slots=True)
class Scarcity:
    """What taking a unit costs by place, and a piece of work by dealer, in fen; what is missing costs nothing."""

    units: Mapping[Place, int] = field(default_factory=dict)
    works: Mapping[int, int] = field(default_factory=dict)
    prices: Prices | None = None  # the same for batches


NOTHING_SCARCE = Scarcity()


def scarcity_of(prices: Prices) -> Scarcity:
    """Prices for every use; None for batches where nothing is scarce, which is faster."""
    units = {(node_id, sku_id): fen for sku_id, here in prices.units.items() for node_id, fen in here.items()}
    return Scarcity(units, prices.works, prices) if units or prices.works else NOTHING_SCARCE
