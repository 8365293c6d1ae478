"""What stands where, taken apart as operators reconcile it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, Count, Min, Q, QuerySet, Sum
from django.db.models.expressions import RawSQL

from inventory.items.models import Sku
from inventory.ledger import statements
from inventory.ledger.models import Level, Node, StockCheck, StockDrift, StockRule
from inventory.ledger.rules import Place, free_units
from inventory.ledger.shares import FIELDS, Rule, RuleBook, Scope

RANGE = 100  # SKUs
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
    node_code: str = field(default="", compare=False)
    sku_code: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PromiseDrift:
    """A delivery on its way whose promised units are not the sum of its open presale reservations."""

    incoming_id: int
    source_key: str
    promised: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """One stock row with the rows that explain it: (kind, rows, units) of movements and of open reservations."""

    level: Level
    moved: list[tuple[str, int, int]]
    promised: list[tuple[str, int, int]]

    @property
    def moved_units(self) -> int:
        return sum(units for _, _, units in self.moved)

    @property
    def promised_units(self) -> int:
        return sum(units for _, _, units in self.promised)

    @property
    def agrees(self) -> bool:
        return (self.level.on_hand, self.level.held) == (self.moved_units, self.promised_units)


@dataclass(frozen=True, slots=True)
class StaleNode:
    """A node with stock that nobody has confirmed for too long, and that is therefore not sold."""

    node_id: int
    node: str
    levels: int
    units: int
    since: datetime


def decomposition(*, node_ids: Collection[int] | None = None, sku_ids: Collection[int] | None = None) -> list[Decomposition]:
    """The stock of some nodes and SKUs (None means all), by node and SKU code."""
    levels = Level.objects.order_by("node__code", "sku__code")
    if node_ids is not None:
        levels = levels.filter(node_id__in=node_ids)
    if sku_ids is not None:
        levels = levels.filter(sku_id__in=sku_ids)
    return [Decomposition(*row) for row in levels.values_list(*_COLUMNS)]


def sku_ranges() -> list[tuple[int, int]]:
    """All SKUs as (first id, last id), 100 at a time: what is looked at in one statement by whoever looks at everything."""
    ids = list(Sku.objects.order_by("pk").values_list("pk", flat=True))
    return [(ids[start], ids[min(start + RANGE, len(ids)) - 1]) for start in range(0, len(ids), RANGE)]


def drift() -> list[Drift]:
    """Every place where on_hand ≠ Σ movements or held ≠ Σ open reservations; empty when the books agree.

    Reads all movements; pages show what the last check found (`found_drift`).
    """
    rows = [row for first, last in sku_ranges() for row in statements.read_drift(first, last)]
    return [Drift(*row) for row in sorted(rows, key=lambda row: row[:2])]


def differing(*, level_ids: Sequence[int]) -> set[int]:
    """Those of some stock rows that do not agree with their movements and reservations now."""
    return statements.read_differing(level_ids) if level_ids else set()


def last_check(name: str) -> StockCheck:
    """When a list was made last; one that was never made is waiting."""
    return StockCheck.objects.filter(name=name).first() or StockCheck(name=name)


def found_drift() -> QuerySet[StockDrift]:
    """What the last check found, and was not repaired since."""
    return StockDrift.objects.select_related("node", "sku", "incoming").order_by("node__code", "sku__code", "id")


def promise_drift() -> list[PromiseDrift]:
    """Every delivery on its way that promises other than its open presale reservations; empty when the books agree."""
    return [PromiseDrift(*row) for row in statements.read_promise_drift()]


def explain(*, level: Level) -> Explanation:
    """Why so many units stand and are promised there, by kind."""
    place = (level.node_id, level.sku_id)
    return Explanation(level, statements.sum_movements(place), statements.sum_reservations(place))


def level_at(*, node_code: str, sku_code: str) -> Level | None:
    """One stock row by what people call it."""
    return Level.objects.select_related("node", "sku").filter(node__code=node_code, sku__code=sku_code).first()


def with_free(levels: QuerySet[Level]) -> QuerySet[Any]:
    """Levels with `free`: what may still be promised under the rules (see rules.free_units)."""
    return levels.annotate(free=RawSQL(statements.free_sql("inventory_level."), [], output_field=BigIntegerField()))


def below_safety(levels: QuerySet[Level]) -> QuerySet[Any]:
    """Levels with a safety stock where nothing is free any more.

    Places without a safety stock are left out: nobody asked to be warned of them.
    """
    return with_free(levels).filter(safety_stock__gt=0, free__lte=0)


def low_as_found(levels: QuerySet[Level]) -> QuerySet[Any]:
    """Levels below their safety stock among those that were so at the last check; before the first one, among all."""
    if last_check(StockCheck.Name.NEEDS).checked_at is not None:
        levels = levels.filter(needs__kind="short", needs__lasts_days__lt=0)
    return below_safety(levels)


def stale_levels(*, at: datetime) -> QuerySet[Level]:
    """Levels that are not sold because nobody confirmed them in time."""
    return Level.objects.filter(fresh_until__isnull=False, fresh_until__lte=at)


def stale_at_dealers(*, at: datetime) -> QuerySet[Level]:
    """Stock of dealers and stores that is not sold because they did not report it in time."""
    return stale_levels(at=at).filter(on_hand__gt=0, node__is_active=True, node__dealer__isnull=False)


def stock_alarms(*, limit: int, level_ids: Collection[int] | None = None) -> list[Decomposition]:
    """Places where what the rules leave free has fallen to the safety stock or below it, the worst first.

    Without `level_ids`, which say where to look, every stock row is.
    """
    levels = Level.objects.filter(node__is_active=True)
    short = below_safety(levels if level_ids is None else levels.filter(pk__in=level_ids)).order_by("free", "id")
    return [Decomposition(*row) for row in short.values_list(*_COLUMNS)[:limit]]


def stale_alarms(*, at: datetime, limit: int) -> list[StaleNode]:
    """Active nodes with stock that has not been reported in time, the most units first."""
    stale = stale_levels(at=at).filter(node__is_active=True, on_hand__gt=0).values("node_id", "node__name")
    worst = stale.annotate(levels=Count("id"), units=Sum("on_hand"), since=Min("fresh_until")).order_by("-units", "node_id")
    return [StaleNode(*row) for row in worst.values_list("node_id", "node__name", "levels", "units", "since")[:limit]]


def descendants(node: Node) -> list[int]:
    """The ids of all nodes under a node."""
    return statements.nodes_below(node.pk)


_RULE = ("id", "sku_id", "node_id", "dealer_id", "category", "node_kind", *FIELDS)


def broad_rules() -> RuleBook:
    """The active rules that do not name one SKU at one node: few enough to keep all of them at hand."""
    rows = StockRule.objects.filter(Q(node=None) | Q(sku=None), is_active=True).values_list(*_RULE)
    return RuleBook.of(Rule(rule_id, Scope(*row[:5]), *row[5:]) for rule_id, *row in rows)


def narrow_rules(places: Collection[Place]) -> RuleBook:
    """The active rules that name the SKU and the node of one of these places."""
    return RuleBook.of(statements.read_narrow_rules(places))


def rules_at(places: Collection[Place]) -> RuleBook:
    """All active rules that may speak of some places; two statements."""
    return broad_rules() | narrow_rules(places)


def scope_of(rule: StockRule) -> Scope:
    """Where a rule holds."""
    return Scope(rule.sku_id, rule.node_id, rule.dealer_id, rule.category, rule.node_kind)
