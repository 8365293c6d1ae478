"""What a sold thing consists of. Plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One component of something sold; `weight` shares the money."""

    sku_id: int
    quantity: int
    weight: int
