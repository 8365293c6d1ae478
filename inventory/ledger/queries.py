"""What stands where, taken apart as operators reconcile it."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import F

from inventory.ledger import statements
from inventory.ledger.models import Level
from inventory.ledger.rules import free_units

_COLUMNS = (
    "node_id", "node__name", "sku_id", "sku__code", "on_hand", "held", "safety_stock", "share_percent", "share_cap", "keep_back",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decomposition:
    """在库, 预占, 安全库存 and 可售 of one SKU at one node, in units; what the pool may use of the stock is counted in."""

    node_id: int
    node: str
    sku_id: int
    sku_code: str
    on_hand: int
    held: int
    safety_stock: int
    share_percent: int = 100
    share_cap: int | None = None
    keep_back: int = 0

    @property
    def sellable(self) -> int:
        held = (self.on_hand, self.held, self.safety_stock)
        return max(0, free_units(*held, self.share_percent, self.share_cap, self.keep_back))


@dataclass(frozen=True, slots=True)
class Drift:
    """A stock row whose figures are not the sums of the rows that explain them."""

    node_id: int
    sku_id: int
    on_hand: int
    moved: int
    held: int
    promised: int


def decomposition(*, node_ids: Collection[int] | None = None, sku_ids: Collection[int] | None = None) -> list[Decomposition]:
    """The stock of some nodes and SKUs (None means all), by node and SKU code."""
    levels = Level.objects.order_by("node__code", "sku__code")
    if node_ids is not None:
        levels = levels.filter(node_id__in=node_ids)
    if sku_ids is not None:
        levels = levels.filter(sku_id__in=sku_ids)
    return [Decomposition(*row) for row in levels.values_list(*_COLUMNS)]


def drift() -> list[Drift]:
    """Every place where on_hand ≠ Σ movements or held ≠ Σ open reservations; empty when the books agree."""
    return [Drift(*row) for row in statements.read_drift()]


def stock_alarms(*, limit: int) -> list[Decomposition]:
    """Places where what is free has fallen to the safety stock or below it, the worst first.

    Places without a safety stock give no alarm: nobody asked to be warned of them.
    """
    short = Level.objects.filter(safety_stock__gt=0, on_hand__lte=F("held") + F("safety_stock"), node__is_active=True)
    worst = short.order_by(F("on_hand") - F("held") - F("safety_stock"), "id")
    return [Decomposition(*row) for row in worst.values_list(*_COLUMNS)[:limit]]
