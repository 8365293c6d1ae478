"""What a set of routing rules says, as plain values: which orders, which places, at what terms. Pure.

A set is read as a whole and never changed: routing, simulation and the benches get the same values.
An empty tuple or set in a condition means "any".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from orders.lifecycle.rules import OrderToRoute

SHANGHAI = ZoneInfo("Asia/Shanghai")
LONGEST_WAIT_DAYS = 30


class Unroutable(StrEnum):
    """What to do with an order that no plan serves."""

    WAIT = "wait"  # until stock, capacity or rules change
    SPLIT = "split"  # decide again without the limit of packages and without keeping goods together
    HQ = "hq"  # decide again with HQ's own places only, without fences of groups, distance and promise
    PERSON = "person"  # a person places it


@dataclass(frozen=True, slots=True)
class PromiseClass:
    """How soon the customer expects the goods. With `is_hard` whoever would be late is out.

    days: from the decision to the delivery. max_km and kinds limit the places (小时达: stores within 5 km).
    """

    code: str = "standard"
    name: str = "标准"
    days: int = 3
    is_hard: bool = False
    max_km: int | None = None
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OrderScope:
    """Which orders a rule is about: every condition that is given must hold.

    divisions: codes of 2, 4 or 6 digits. products: SKU codes, one line is enough; categories
    likewise. is_live: True only orders of a livestream, False only others, None any.
    """

    channels: frozenset[str] = frozenset()
    shops: frozenset[str] = frozenset()
    divisions: tuple[str, ...] = ()
    products: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    is_live: bool | None = None

    def covers(self, order: OrderToRoute) -> bool:
        """Whether the rule is about this order."""
        if self.channels and order.channel not in self.channels:
            return False
        if self.shops and order.shop not in self.shops:
            return False
        if self.is_live is not None and self.is_live != bool(order.live_session):
            return False
        if self.divisions and not order.division_code.startswith(self.divisions):
            return False
        if self.tags and not self.tags & order.tags:
            return False
        if self.products and all(line.sku_code not in self.products for line in order.lines):
            return False
        return not self.categories or any(line.category in self.categories for line in order.lines)

    def contains(self, other: "OrderScope") -> bool:
        """Whether everything that `other` covers is covered here too."""
        sets = (
            (self.channels, other.channels),
            (self.shops, other.shops),
            (self.products, other.products),
            (self.categories, other.categories),
            (self.tags, other.tags),
        )
        if any(mine and not (theirs and theirs <= mine) for mine, theirs in sets):
            return False
        if self.is_live is not None and self.is_live != other.is_live:
            return False
        return not self.divisions or (bool(other.divisions) and all(code.startswith(self.divisions) for code in other.divisions))


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """The terms of one order: money in fen, and the fences.

    late_fen_per_day: per day after the promise. refusal_cost_fen: what one refusal costs.
    unfilled_fen: the worth of one unit served (batches and simulation). max_packages None: any number.
    only_groups / never_groups: codes of node groups.
    """

    name: str = "默认"
    split_fee_fen: int = 600
    late_fen_per_day: int = 500
    refusal_cost_fen: int = 3000
    cross_region_fen: int = 2500
    unfilled_fen: int = 40_000
    promise: PromiseClass = PromiseClass()
    max_packages: int | None = None
    max_km: int | None = None
    same_province: bool = False
    only_groups: frozenset[str] = frozenset()
    never_groups: frozenset[str] = frozenset()
    keeps_bundles: bool = False
    keeps_installation: bool = True
    on_unroutable: Unroutable = Unroutable.WAIT
    cancel_after_hours: int | None = None


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Places under one name: a place belongs when it is named, or when it meets every other condition that is given."""

    code: str
    name: str
    nodes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    divisions: tuple[str, ...] = ()
    tiers: frozenset[str] = frozenset()

    def has(self, *, code: str, kind: str, division_code: str, tier: str) -> bool:
        if code in self.nodes:
            return True
        if not (self.kinds or self.divisions or self.tiers):
            return False
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.divisions or division_code.startswith(self.divisions))
            and (not self.tiers or tier in self.tiers)
        )


@dataclass(frozen=True, slots=True)
class Where:
    """For which places and destinations a rate holds; empty means any. The narrowest that holds is used."""

    group: str = ""
    kind: str = ""
    division: str = ""

    def holds(self, kind: str, groups: frozenset[str], division_code: str) -> bool:
        return (
            (not self.group or self.group in groups)
            and (not self.kind or self.kind == kind)
            and division_code.startswith(self.division)
        )

    @property
    def narrowness(self) -> tuple[bool, bool, int]:
        """A group beats a kind beats anybody; among these the longer division wins."""
        return bool(self.group), bool(self.kind), len(self.division)


@dataclass(frozen=True, slots=True)
class FreightRate:
    """What delivery costs: first_fen + started steps above the first weight × step_fen + km × km_fen.

    Days on the road = base_days + km / km_per_day, rounded up. Beyond max_km nobody delivers. One
    package is never dearer than two as long as first_fen ≥ step_fen.
    """

    where: Where
    first_fen: int
    first_weight_g: int = 1000
    step_weight_g: int = 1000
    step_fen: int = 0
    km_fen: int = 0
    base_days: int = 1
    km_per_day: int = 600
    max_km: int = 5000


@dataclass(frozen=True, slots=True)
class InstallRate:
    """The fee of installing one piece; an empty skill is any."""

    where: Where
    skill: str
    fee_fen: int


@dataclass(frozen=True, slots=True)
class ShipCalendar:
    """When places ship: on weekdays (1 is Monday) that are no holidays; after the cut-off, on the next such day."""

    where: Where
    weekdays: str = "1234567"
    cutoff: time | None = None
    holidays: frozenset[date] = frozenset()

    def wait_days(self, at: datetime) -> int:
        """Days from `at` until it ships, in Shanghai's time; at most 30 where it never would."""
        local = at.astimezone(SHANGHAI)
        first = 1 if self.cutoff is not None and local.time() >= self.cutoff else 0
        for days in range(LONGEST_WAIT_DAYS):
            day = local.date() + timedelta(days=days)
            is_open = str(day.isoweekday()) in self.weekdays and day not in self.holidays
            if is_open and days >= first:
                return days
        return LONGEST_WAIT_DAYS


@dataclass(frozen=True, slots=True)
class Quota:
    """A dealer's agreed share (percent of all work this month); each point above it makes the dealer dearer."""

    dealer_code: str
    percent: int
    fen_per_point: int


@dataclass(frozen=True, slots=True)
class AgeingCredit:
    """How much cheaper a unit is where it has lain `older_than_days` or stands above its maximum.

    An empty category means all goods.
    """

    category: str
    fen_per_unit: int
    older_than_days: int | None = None
    is_overstock: bool = False


@dataclass(frozen=True, slots=True)
class RuleBook:
    """One whole set of rules. The first order rule that covers an order gives its terms; else `default` does."""

    name: str = "默认"
    default: OrderTerms = OrderTerms()
    order_rules: tuple[tuple[OrderScope, OrderTerms], ...] = ()
    groups: tuple[NodeGroup, ...] = ()
    freight: tuple[FreightRate, ...] = ()
    installs: tuple[InstallRate, ...] = ()
    calendars: tuple[ShipCalendar, ...] = ()
    quotas: tuple[Quota, ...] = ()
    credits: tuple[AgeingCredit, ...] = field(default=())

    def terms_for(self, order: OrderToRoute) -> OrderTerms:
        """The terms of one order."""
        for scope, terms in self.order_rules:
            if scope.covers(order):
                return terms
        return self.default

    def groups_of(self, *, code: str, kind: str, division_code: str, tier: str) -> frozenset[str]:
        """The codes of the groups that a place belongs to."""
        return frozenset(
            group.code for group in self.groups if group.has(code=code, kind=kind, division_code=division_code, tier=tier)
        )

    def freight_for(self, *, kind: str, groups: frozenset[str], division_code: str) -> FreightRate | None:
        """The rate by which such a place delivers there; None where nobody has said."""
        holding = [rate for rate in self.freight if rate.where.holds(kind, groups, division_code)]
        return max(holding, key=lambda rate: rate.where.narrowness, default=None)

    def install_fen(self, *, kind: str, groups: frozenset[str], division_code: str, skill: str) -> int:
        """The fee for one piece to be installed from such a place there; nothing where nobody has said."""
        holding = [rate for rate in self.installs if rate.skill in ("", skill) and rate.where.holds(kind, groups, division_code)]
        rate = max(holding, key=lambda rate: (rate.where.narrowness, bool(rate.skill)), default=None)
        return rate.fee_fen if rate else 0

    def calendar_for(self, *, kind: str, groups: frozenset[str], division_code: str) -> ShipCalendar | None:
        """The calendar of such a place standing there; None ships at once, every day."""
        holding = [each for each in self.calendars if each.where.holds(kind, groups, division_code)]
        return max(holding, key=lambda each: each.where.narrowness, default=None)


def shadowed(order_rules: Sequence[tuple[OrderScope, OrderTerms]]) -> list[tuple[str, str]]:
    """Order rules that never apply, as (name, name of the earlier rule that covers all of it)."""
    found = []
    for index, (scope, terms) in enumerate(order_rules):
        earlier = next((before for wider, before in order_rules[:index] if wider.contains(scope)), None)
        if earlier is not None:
            found.append((terms.name, earlier.name))
    return found
