"""How stock is taken apart so that every unit is somewhere, and what a shop may show of it. Plain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

KINDS = ("node", "pinned", "offer", "presale", "lock", "transfer", "block")  # Reservation.Kind of what stands on a level
CHANGE_SET = 500  # figures that share one version, and one fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Some stock taken apart, in units: of a SKU at a node, of a SKU everywhere, or of a whole node.

    Every unit on hand is in exactly one part: promised (by kind), at a place that is closed, not
    confirmed for too long (stale), kept as safety stock, withheld by the share rules, or sellable:

        on_hand = Σ kinds + unexplained + closed + stale + safety + withheld + sellable

    safety is what is really kept: where less is left than the rules ask for, all that is left.
    wanted is what the rules ask for. globally, incoming, promised and claimed stand beside on_hand:
    promised without a place, on the way, promised of what is on the way, and kept by the locks asked for (a part of lock).
    """

    on_hand: int = 0
    held: int = 0
    node: int = 0
    pinned: int = 0
    offer: int = 0
    presale: int = 0
    lock: int = 0
    transfer: int = 0
    block: int = 0
    closed: int = 0
    stale: int = 0
    safety: int = 0
    sellable: int = 0
    wanted: int = 0
    globally: int = 0
    incoming: int = 0
    promised: int = 0
    claimed: int = 0
    next_on: date | None = None

    @property
    def withheld(self) -> int:
        """Kept from the pool by share percentage, cap and keep-back."""
        return self.on_hand - self.held - self.closed - self.stale - self.safety - self.sellable

    @property
    def unexplained(self) -> int:
        """Held by nobody: not 0 only when the books are wrong (see the stock audit)."""
        return self.held - sum(getattr(self, kind) for kind in KINDS)

    @property
    def available(self) -> int:
        """可售 = 在库 − 全局预占 − all that is held; negative when more was sold than there is."""
        return self.on_hand - self.held - self.globally

    @property
    def oversold(self) -> int:
        return max(0, -self.available)

    @property
    def promisable(self) -> int:
        """What the next buyer may still be promised: 安全可售 and what is locked for them, less what waits for a place."""
        return max(0, self.sellable + self.claimed - self.globally)

    @property
    def is_low(self) -> bool:
        """Nothing left to promise, or 可售 has fallen to the safety stock."""
        return self.promisable == 0 or 0 < self.wanted >= self.available


COUNTED = tuple(field.name for field in fields(Parts) if field.name not in {"claimed", "next_on"})


def sum_of(some: Iterable[Parts]) -> Parts:
    """Parts added up; the next delivery is the first of all."""
    sums = dict.fromkeys((*COUNTED, "claimed"), 0)
    dates = []
    for parts in some:
        for name in sums:
            sums[name] += getattr(parts, name)
        if parts.next_on:
            dates.append(parts.next_on)
    return Parts(**sums, next_on=min(dates, default=None))


def claims_of(told: str) -> tuple[str, ...]:
    """The claims of a buyer as people write them: 渠道, 渠道/店铺, or a claim such as live:场次号; nothing for nothing."""
    told = told.strip()
    if told.startswith("shop:"):
        told = told.removeprefix("shop:")
    if not told or ":" in told:
        return (told,) if told else ()
    channel, _, shop = told.partition("/")
    return (f"shop:{channel}/{shop}", f"channel:{channel}") if shop else (f"channel:{channel}",)


@dataclass(frozen=True, slots=True)
class Terms:
    """How much of what may be sold a shop shows."""

    percent: int = 100
    plus: int = 0
    floor: int = 0
    ceiling: int | None = None

    def shown(self, sellable: int) -> int:
        """floor(可售 × percent / 100) + plus, within floor and ceiling, never negative."""
        figure = max(sellable * self.percent // 100 + self.plus, self.floor, 0)
        return figure if self.ceiling is None else min(figure, self.ceiling)


@dataclass(frozen=True, slots=True)
class Rule:
    """A publishing rule as it is applied: for one SKU, else for one category, else for the whole shop; None: all places."""

    terms: Terms
    sku_id: int | None = None
    category: str = ""
    group_id: int | None = None


class Narrowest:
    """Finds the rule of one shop that says what a SKU shows: its own, its category's, the shop's."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._of_sku: dict[int, Rule] = {}
        self._of_category: dict[str, Rule] = {}
        for rule in rules:
            if rule.sku_id is None:
                self._of_category[rule.category] = rule
            else:
                self._of_sku[rule.sku_id] = rule

    def of(self, sku_id: int, category: str) -> Rule | None:
        return self._of_sku.get(sku_id) or self._of_category.get(category) or self._of_category.get("")


@dataclass(frozen=True, slots=True)
class Figure:
    """What a shop shows of a SKU, and what could be sold there then."""

    quantity: int
    sellable: int

    @property
    def units(self) -> tuple[int, int]:
        return (self.quantity, self.sellable)

    def differs(self, shown: "Figure | None") -> bool:
        """Whether the channel must hear of it."""
        return shown is None or shown.quantity != self.quantity

    def changes_the_warning(self, shown: "Figure") -> bool:
        """Whether the same figure stands, or stood, above what could be sold, and that has changed."""
        return (
            shown.quantity == self.quantity
            and shown.sellable != self.sellable
            and self.quantity > min(shown.sellable, self.sellable)
        )


ZERO = Figure(0, 0)


def in_change_sets(changes: Sequence[Any]) -> list[Sequence[Any]]:
    return [changes[start : start + CHANGE_SET] for start in range(0, len(changes), CHANGE_SET)]


def day_ends(now_on_hand: int, days: Sequence[date], moved: Mapping[date, int]) -> list[int]:
    """What stood at the end of each day, counted back from now; `days` rise and the last one is today."""
    ends, standing = [], now_on_hand
    for day in reversed(days):
        ends.append(standing)
        standing -= moved.get(day, 0)
    return ends[::-1]
