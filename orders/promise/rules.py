"""What can be promised to a buyer who has not paid yet. Plain values."""

from dataclasses import dataclass
from datetime import date

MOST_UNITS, MOST_LINES = 9_999, 50


@dataclass(frozen=True, slots=True)
class Asked:
    """So many of something sold under a merchant code."""

    code: str
    quantity: int


@dataclass(frozen=True, slots=True)
class PromisedPackage:
    """Goods that would come from one place; lines are (SKU code, units)."""

    node: str
    name: str
    kind: str
    days: int
    by: date
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """One SKU that is asked for: how many units the places that serve the address could promise now, all and the best one.

    `incoming_by` is when enough of it is announced to arrive, for a presale promise; None when nobody knows.
    """

    sku: str
    wanted: int
    sellable: int
    at_one_place: int
    awaited: int
    incoming_by: date | None = None

    @property
    def is_enough(self) -> bool:
        return self.sellable - self.awaited >= self.wanted


@dataclass(frozen=True, slots=True)
class Promise:
    """The answer: from where and by when, or why not. Nothing is held by asking."""

    is_promised: bool
    by: date | None
    packages: tuple[PromisedPackage, ...]
    skus: tuple[Reach, ...]
    reasons: tuple[str, ...]


def shortages(skus: tuple[Reach, ...]) -> tuple[str, ...]:
    """In words, what is lacking of each SKU that is not there in sufficient number."""
    told = []
    for reach in skus:
        if reach.is_enough:
            continue
        waiting = f"，另有 {reach.awaited} 件已售待分配" if reach.awaited else ""
        later = f"；{reach.incoming_by:%Y-%m-%d} 到货后可预售" if reach.incoming_by else ""
        told.append(f"{reach.sku} 需要 {reach.wanted} 件，可服务该地址的库存可售 {reach.sellable} 件{waiting}{later}")
    return tuple(told)
