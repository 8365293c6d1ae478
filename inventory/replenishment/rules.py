"""How a transfer order moves, who may move it, and what its quantities may be: plain values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from inventory.ledger.rules import MOST_UNITS, Place

TRANSITIONS: dict[str, frozenset[str]] = {
    "requested": frozenset({"approved", "rejected", "cancelled"}),
    "approved": frozenset({"shipped", "cancelled"}),
    "shipped": frozenset({"shipped", "received"}),  # goods may come in parts
    "received": frozenset(),
    "rejected": frozenset(),
    "cancelled": frozenset(),
}
STEPS = {
    "approve": ("requested",),
    "reject": ("requested",),
    "ship": ("approved",),
    "receive": ("shipped",),
    "cancel": ("requested", "approved"),
}
SALES_DAYS = 14  # how long back sales are counted
MOST_COVER_DAYS = 90
BELOW_SAFETY = -1  # lasts for fewer than no days: nothing is free above the safety stock
MOST_LINES = 500
_LONGEST_NO = 24  # its keys name the SKU and the receipt too


@dataclass(frozen=True, slots=True)
class Sending:
    """One row of a transfer that has already happened: so many units left one place and came to another."""

    source_id: int
    target_id: int
    sku_id: int
    quantity: int
    source_key: str


def transfer_no(day: date, token: str) -> str:
    """A number for a new transfer; the same form, sent twice, gives the same number."""
    return f"DB{day:%y%m%d}-{token[:10].upper()}"


def number_of_key(whose: str, key: str) -> str:
    """The number of a transfer asked for under a key of one's own: the same again, whenever it comes, is the same."""
    return f"DB-{sha256(f'{whose}:{key}'.encode()).hexdigest()[:16].upper()}"


def number_problem(number: str) -> str:
    """Why this cannot be the number of a transfer: a colon would split the keys of its goods."""
    is_fit = 0 < len(number) <= _LONGEST_NO and number.isascii() and number.replace("-", "").isalnum()
    return "" if is_fit else f"调拨单号须为 1–{_LONGEST_NO} 个字母、数字或短横"


def may_step(step: str, *, owns_source: bool, owns_target: bool) -> bool:
    """What a dealer may do with a transfer at its own places; HQ may do everything and is not asked here."""
    if step == "ship":
        return owns_source
    if step in {"request", "receive"}:
        return owns_target
    return step == "see" and (owns_source or owns_target)


def quantities_problem(quantities: Mapping[int, int], most: Mapping[int, int], codes: Mapping[int, str], word: str) -> str:
    """Why these units per SKU cannot be taken where at most `most` are; empty when they can. 0 is allowed, but not only 0."""
    for sku_id, units in quantities.items():
        if sku_id not in most:
            return "调拨单上没有这个 SKU"
        if type(units) is not int or not 0 <= units <= MOST_UNITS:
            return f"{codes[sku_id]} 的数量须为 0–{MOST_UNITS} 的整数"
        if units > most[sku_id]:
            return f"{codes[sku_id]} 最多{word} {most[sku_id]} 件，不能{word} {units} 件"
    return ""


def sending_problem(row: Sending, is_new_key: bool) -> str:
    """What is wrong with a row before any stock is looked at; the ledger judges the rest."""
    if type(row.quantity) is not int or not 1 <= row.quantity <= MOST_UNITS:
        return f"调拨数量须为 1–{MOST_UNITS} 的整数"
    if row.source_id == row.target_id:
        return "调出仓与调入仓不能相同"
    if not isinstance(row.source_key, str) or not 0 < len(row.source_key.strip()) <= 100:
        return "来源键须为 1–100 个字符"
    return "" if is_new_key else f"来源键 {row.source_key} 在本次中重复"


@dataclass(frozen=True, slots=True)
class Row:
    """A stock row that falls short or has too much; `shipped` in the last 14 days, `coming` on its way or asked for."""

    level_id: int
    node_id: int
    node: str
    sku_id: int
    sku: str
    on_hand: int
    held: int
    free: int
    safety_stock: int
    max_stock: int | None
    shipped: int
    coming: int

    @property
    def place(self) -> Place:
        return (self.node_id, self.sku_id)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The parent of a place, or a place under the same parent, with its stock of the same SKU."""

    node_id: int
    node: str
    is_parent: bool
    free: int
    shipped: int


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do in words, and the transfer that does it (0 units: none)."""

    why: str
    source_id: int = 0
    target_id: int = 0
    units: int = 0
