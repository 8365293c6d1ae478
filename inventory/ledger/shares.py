"""Which StockRule decides what of a place's stock the pool may use; pure, for one place or for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Spot:
    """What the rules ask about the place of one SKU, and how people call it."""

    node_id: int
    sku_id: int
    node_kind: str
    dealer_id: int | None
    category: str
    node: str = ""
    sku: str = ""
    is_counted: bool = True


Key = tuple[int | None, int | None, int | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a rule holds: everything that is named must agree; what is not named does not matter."""

    sku_id: int | None = None
    node_id: int | None = None
    dealer_id: int | None = None
    category: str = ""
    node_kind: str = ""

    @property
    def key(self) -> Key:
        """Strongest first, so that of two keys the one that names the stronger thing comes first."""
        return (self.sku_id, self.node_id, self.dealer_id, self.category or None, self.node_kind or None)

    def __str__(self) -> str:
        """As StockRulesChanged tells it: "sku=3 node=7", or "all"; the category comes last, as it may contain anything."""
        named = (
            ("sku", self.sku_id), ("node", self.node_id), ("dealer", self.dealer_id), ("kind", self.node_kind),
            ("category", self.category),
        )  # fmt: skip
        return " ".join(f"{name}={value}" for name, value in named if value) or "all"

    @classmethod
    def read(cls, text: str) -> "Scope | None":
        """The scope that was told; None for what is no scope of levels (a group of nodes)."""
        rest, _, category = text.partition("category=")
        try:
            named = dict(word.split("=", 1) for word in rest.split() if word != "all")
            known = {
                "sku_id": int(named.pop("sku", 0)) or None,
                "node_id": int(named.pop("node", 0)) or None,
                "dealer_id": int(named.pop("dealer", 0)) or None,
            }
        except ValueError:
            return None
        scope = cls(**known, node_kind=named.pop("kind", ""), category=category)
        return None if named else scope


@dataclass(frozen=True, slots=True)
class Rule:
    """One StockRule as plain values; None (and an empty ownership) leave a column to the next rule."""

    id: int
    scope: Scope
    safety_stock: int | None = None
    share_percent: int | None = None
    share_cap: int | None = None
    keep_back: int | None = None
    fresh_hours: int | None = None
    max_stock: int | None = None
    ownership: str = ""


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds at a place when every rule has spoken. No rule: all of the stock is shared, for ever, and it is HQ's."""

    safety_stock: int = 0
    share_percent: int = 100
    share_cap: int | None = None
    keep_back: int = 0
    fresh_hours: int | None = None
    max_stock: int | None = None
    ownership: str = "hq"

    def fresh_until(self, reported_at: datetime | None) -> datetime | None:
        """When the stock stops being sold unless somebody confirms it.

        None: no limit. A place that was never reported has none either: its clock starts with its
        first report, so that a new rule does not take the stock of everybody who has not reported yet out of sale.
        """
        if not self.fresh_hours or reported_at is None:
            return None
        return reported_at + timedelta(hours=self.fresh_hours)

    def columns(self, reported_at: datetime | None) -> tuple[Any, ...]:
        """As they stand in a Level: safety_stock, share_percent, share_cap, keep_back, max_stock, ownership, fresh_until."""
        return (
            self.safety_stock, self.share_percent, self.share_cap, self.keep_back, self.max_stock, self.ownership,
            self.fresh_until(reported_at),
        )  # fmt: skip


FIELDS = tuple(column.name for column in fields(Effective))  # the columns of a rule, in the order of Rule
_NOTHING = Effective()


@dataclass(slots=True)
class RuleBook:
    """Rules by what they name, so that a place finds its own in as many look-ups as there are kinds of scope."""

    by_key: dict[Key, tuple[Rule, ...]] = field(default_factory=dict)
    shapes: tuple[tuple[bool, ...], ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "RuleBook":
        found: dict[Key, list[Rule]] = {}
        for rule in sorted(rules, key=lambda rule: -rule.id):  # of equals the newest speaks first
            found.setdefault(rule.scope.key, []).append(rule)
        shapes = {tuple(part is not None for part in key) for key in found}
        return cls({key: tuple(rules) for key, rules in found.items()}, tuple(sorted(shapes, reverse=True)))

    def __or__(self, other: "RuleBook") -> "RuleBook":
        """Both books as one; no scope may be spoken of in both."""
        return RuleBook(self.by_key | other.by_key, tuple(sorted({*self.shapes, *other.shapes}, reverse=True)))

    def rules_for(self, spot: Spot) -> list[Rule]:
        """The rules that hold at a place, the most specific first."""
        named = (spot.sku_id, spot.node_id, spot.dealer_id, spot.category or None, spot.node_kind or None)
        found: list[Rule] = []
        for shape in self.shapes:
            key: Any = tuple([part if asked else None for part, asked in zip(named, shape, strict=True)])
            if [part is not None for part in key] == list(shape):  # what the place does not have, no rule can name
                found += self.by_key.get(key, ())
        return found

    def effective(self, spot: Spot) -> Effective:
        """Each column as the most specific rule that fills it says. 0 hours and a maximum of 0 say: no limit."""
        rules = self.rules_for(spot)
        if not rules:
            return _NOTHING
        said: dict[str, Any] = {}
        for rule in rules:
            for name in FIELDS:
                value = getattr(rule, name)
                if value is not None and value != "":
                    said.setdefault(name, value)
        for name in ("fresh_hours", "max_stock"):
            if said.get(name) == 0:
                said[name] = None
        return Effective(**said)
