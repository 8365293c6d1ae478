"""What is posted to the stock ledger, as plain values."""

from dataclasses import dataclass

MOST_UNITS = 1_000_000_000  # more than this at one place is a typing error


def free_units(
    on_hand: int, held: int, safety_stock: int, share_percent: int = 100, share_cap: int | None = None, keep_back: int = 0
) -> int:
    """What may still be promised at one place; negative when more is promised than the rules allow now.

    The shared part of the stock, min(在库 × 共享比例, 共享上限, 在库 − 自留), less 预占 and 安全库存.
    The same formula stands as SQL in statements.FREE.
    """
    shared = min(on_hand * share_percent // 100, on_hand - keep_back)
    if share_cap is not None:
        shared = min(shared, share_cap)
    return shared - held - safety_stock


@dataclass(frozen=True, slots=True)
class NewMovement:
    """One change of on_hand: positive in, negative out. `kind` is a Movement.Kind value."""

    node_id: int
    sku_id: int
    kind: str
    quantity: int
    source_key: str
    reason: str = ""

    @property
    def place(self) -> tuple[int, int]:
        return (self.node_id, self.sku_id)

    @property
    def content(self) -> tuple[int, int, str, int]:
        """What a repetition under the same key must repeat."""
        return (self.node_id, self.sku_id, self.kind, self.quantity)
