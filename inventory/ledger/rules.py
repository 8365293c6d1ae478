"""What is posted to the stock ledger, as plain values."""

from dataclasses import dataclass


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
