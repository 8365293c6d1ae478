"""The arithmetic of what a dealer earns: plain values in, exact fen out, and the sentence that explains it.

Every percentage is an exact rational and is rounded once, a half away from zero (oms_project.money).
Refunds reverse towards a cumulative target, so however a refund is cut into parts, nothing drifts and
a full refund takes back exactly what was accrued.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from oms_project.money import round_half_up, yuan

SHANGHAI = ZoneInfo("Asia/Shanghai")
COMPONENTS = {"service_fee": "服务费", "commission": "佣金", "price_diff": "差价返还"}
_KINDS = {
    "asset": "asset",
    "receivable": "asset",
    "clearing": "asset",
    "payable": "liability",
    "pending": "liability",
    "liability": "liability",
    "income": "income",
    "expense": "expense",
}


@dataclass(frozen=True, slots=True)
class PricedLine:
    """Goods of one SKU within a piece of work; the supply price is per unit."""

    sku_code: str
    category: str
    quantity: int
    paid_fen: int
    supply_price_fen: int


@dataclass(frozen=True, slots=True)
class WorkToPrice:
    """A piece of work as the rules see it. An empty dealer_code is HQ's own work and earns no dealer anything."""

    channel: str
    division_code: str
    dealer_code: str
    dealer_tier: str
    needs_install: bool
    paid_fen: int
    anchor: str
    lines: tuple[PricedLine, ...]


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """A published rule version. Empty conditions match everything; the interval is [from, to)."""

    code: str
    version: int
    component: str
    mode: str
    effective_from: datetime
    payee: str = "dealer"
    amount_fen: int = 0
    percent: str = "0"
    channel: str = ""
    category: str = ""
    dealer_tier: str = ""
    region_prefix: str = ""
    needs_install: bool = False
    group: str = ""
    priority: int = 0
    effective_to: datetime | None = None

    @property
    def label(self) -> str:
        return f"{self.code} v{self.version}"

    @property
    def dimensions(self) -> int:
        """How many conditions the rule states: the more, the more special it is."""
        return sum(map(bool, (self.channel, self.category, self.dealer_tier, self.region_prefix, self.needs_install)))

    def is_in_force(self, at: datetime) -> bool:
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)

    def lines_of(self, work: WorkToPrice) -> tuple[PricedLine, ...]:
        """The lines the rule looks at: all, or those of its category."""
        return tuple(line for line in work.lines if self.category in ("", line.category))

    def matches(self, work: WorkToPrice) -> bool:
        return (
            self.channel in ("", work.channel)
            and self.dealer_tier in ("", work.dealer_tier)
            and work.division_code.startswith(self.region_prefix)
            and (work.needs_install or not self.needs_install)
            and (not self.category or bool(self.lines_of(work)))
            and bool(payee_of(self, work))
        )


@dataclass(frozen=True, slots=True)
class Component:
    """One amount of one payee, frozen when the offer opens; base_fen is what the rule was applied to."""

    component: str
    payee: str
    amount_fen: int
    base_fen: int
    paid_fen: int
    rule: str
    explain: str

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def payee_of(rule: RuleTerms, work: WorkToPrice) -> str:
    """Who gets the rule's amount, as 'dealer:D001' or 'anchor:x'; empty when the work has no such party."""
    party = work.dealer_code if rule.payee == "dealer" else work.anchor
    return f"{rule.payee}:{party}" if party else ""


def percent_of(text: str) -> Fraction:
    """A percentage from decimal text. Raises ValueError for nonsense, a negative, or more than 6 decimals."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError("not a decimal number") from None
    if not value.is_finite() or value < 0 or value != round(value, 6):
        raise ValueError("a percentage is finite, not negative, and has at most 6 decimals")
    return Fraction(value)


def choose(rules: Iterable[RuleTerms], work: WorkToPrice, at: datetime) -> list[RuleTerms]:
    """The rules that apply: of each code the newest version in force, of each exclusive group one.

    A group is won by the highest priority, then the most conditions, then the oldest rule (its code).
    A newer version replaces its older ones even where it does not match: it is the same rule.
    """
    newest: dict[str, RuleTerms] = {}
    for rule in rules:
        if rule.is_in_force(at) and (rule.code not in newest or newest[rule.code].version < rule.version):
            newest[rule.code] = rule
    ranked = sorted(
        (rule for rule in newest.values() if rule.matches(work)),
        key=lambda rule: (-rule.priority, -rule.dimensions, rule.code),
    )
    taken: set[str] = set()
    chosen = []
    for rule in ranked:
        if rule.group and rule.group in taken:
            continue
        taken.add(rule.group)
        chosen.append(rule)
    order = list(COMPONENTS)
    return sorted(chosen, key=lambda rule: (order.index(rule.component) if rule.component in order else 99, rule.code))


def quote(work: WorkToPrice, rules: Sequence[RuleTerms], at: datetime) -> tuple[Component, ...]:
    """What a piece of work earns, each component with its explanation; results of zero are left out."""
    found = []
    for rule in choose(rules, work, at):
        amount_fen, base_fen, sentence = _price(rule, rule.lines_of(work))
        if amount_fen > 0:
            explain = f"{sentence}；规则 {rule.label}"
            payee = payee_of(rule, work)
            found.append(Component(rule.component, payee, amount_fen, base_fen, work.paid_fen, rule.label, explain))
    return tuple(found)


def income_of(components: Iterable[Component], dealer_code: str) -> int:
    """The part of a quote that one dealer gets, in fen: the figure shown on its offer."""
    return sum(c.amount_fen for c in components if c.payee == f"dealer:{dealer_code}")


def _price(rule: RuleTerms, lines: Sequence[PricedLine]) -> tuple[int, int, str]:
    """Amount, base and sentence of one rule over its lines, in fen."""
    scope = f"品类 {rule.category} " if rule.category else ""
    paid = sum(line.paid_fen for line in lines)
    if rule.mode == "fixed":
        return rule.amount_fen, paid, f"每单固定 {yuan(rule.amount_fen)}"
    if rule.mode == "per_unit":
        units = sum(line.quantity for line in lines)
        amount = rule.amount_fen * units
        return amount, paid, f"{scope}{units} 件 × {yuan(rule.amount_fen)} = {yuan(amount)}"
    supply = sum(line.supply_price_fen * line.quantity for line in lines)
    if rule.mode == "percent":
        base, named = paid, f"{scope}实付 {yuan(paid)}"
    elif rule.mode == "price_diff":
        base, named = paid - supply, f"（{scope}实付 {yuan(paid)} − 供货价 {yuan(supply)}）"
    else:
        raise ValueError(f"unknown mode {rule.mode}")
    rate = percent_of(rule.percent)
    exact = max(Fraction(0), Fraction(base) * rate / 100)
    amount = round_half_up(exact)
    result = f"{yuan(amount)}" if exact == amount else f"{_plain(exact / 100)}，四舍五入 {yuan(amount)}"
    return amount, base, f"{named} × {_plain(rate)}% = {result}"


def _plain(value: Fraction) -> str:
    """A terminating decimal without an exponent or trailing zeros."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    return f"{Decimal((value * 10**digits).numerator).scaleb(-digits):f}"


def refund_target(amount_fen: int, paid_fen: int, refunded_fen: int) -> int:
    """How much of an accrued amount is to be reversed in all, once `refunded_fen` of `paid_fen` went back.

    round(amount · refunded / paid), never more than the amount; any refund of work that cost the buyer
    nothing takes back everything.
    """
    if refunded_fen <= 0:
        return 0
    if refunded_fen >= paid_fen:
        return amount_fen
    return round_half_up(Fraction(amount_fen * refunded_fen, paid_fen))


def refund_step(amount_fen: int, paid_fen: int, refunded_before_fen: int, refund_fen: int) -> int:
    """What one more refund reverses: the new cumulative target less the old one."""
    return refund_target(amount_fen, paid_fen, refunded_before_fen + refund_fen) - refund_target(
        amount_fen, paid_fen, refunded_before_fen
    )


def account_kind(code: str) -> str:
    """The kind of an account by the chart of accounts. Raises ValueError for a code outside the chart."""
    head, _, rest = code.partition(":")
    if head not in _KINDS or not rest:
        raise ValueError(f"{code} is not in the chart of accounts")
    return _KINDS[head]


def account_party(code: str) -> str:
    """'dealer:D001' of 'payable:dealer:D001'; empty for accounts without a counterparty."""
    head, _, rest = code.partition(":")
    return rest if head in ("payable", "pending") else ""


def month_period(year: int, month: int) -> tuple[datetime, datetime]:
    """A calendar month in Shanghai as [from, to)."""
    following = (year + month // 12, month % 12 + 1)
    return datetime(year, month, 1, tzinfo=SHANGHAI), datetime(*following, 1, tzinfo=SHANGHAI)


def last_month(at: datetime) -> tuple[datetime, datetime]:
    """The last calendar month that is over at an instant, in Shanghai."""
    day = at.astimezone(SHANGHAI).replace(day=1) - timedelta(days=1)
    return month_period(day.year, day.month)


def period_label(period_from: datetime, period_to: datetime) -> str:
    """'202611' for a whole month in Shanghai, '20261101-20261125' for whole days (the last included), else to the second.

    Two periods that follow one another never share a label.
    """
    first, end = period_from.astimezone(SHANGHAI), period_to.astimezone(SHANGHAI)
    if (first, end) == month_period(first.year, first.month):
        return f"{first:%Y%m}"
    if first.time() == end.time() == time.min:
        return f"{first:%Y%m%d}-{end - timedelta(days=1):%Y%m%d}"
    return f"{first:%Y%m%d%H%M%S}-{end:%Y%m%d%H%M%S}"


@dataclass(frozen=True, slots=True)
class NewLine:
    """One side of an entry to be posted: debit positive, credit negative, never zero."""

    account: str
    amount_fen: int
    component: str
    explain: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be posted once per key; `payload` is the content that a repetition must repeat."""

    key: str
    kind: str
    source: str
    order_no: str
    effective_at: datetime
    lines: tuple[NewLine, ...]
    payload: dict[str, Any]
    made_by: str = "system"
    reverses: UUID | None = None


@dataclass(frozen=True, slots=True)
class AccruedLine:
    """What one component of a piece of work was accrued with; the amount is what we owed, positive."""

    account: str
    component: str
    amount_fen: int
    paid_fen: int
    rule: str


def accrual_key(fo_no: str) -> str:
    return f"work.completed:{fo_no}"


def refund_entry_key(fo_no: str, refund_key: str) -> str:
    return f"work.refunded:{fo_no}:{refund_key}"


def accrual_lines(components: Iterable[Mapping[str, Any]]) -> tuple[NewLine, ...]:
    """Dr expense:<component> / Cr payable:<payee> for each component, amounts exactly as they stand."""
    made: list[NewLine] = []
    for c in components:
        if c["amount_fen"]:
            path = {name: c[name] for name in ("payee", "base_fen", "paid_fen", "rule", "explain") if name in c}
            made.append(NewLine(f"expense:{c['component']}", c["amount_fen"], c["component"]))
            made.append(NewLine(f"payable:{c['payee']}", -c["amount_fen"], c["component"], path))
    return tuple(made)


def reversal_lines(accrued: Iterable[AccruedLine], before_fen: int, refund_fen: int) -> tuple[NewLine, ...]:
    """What one more refund takes back, after `before_fen` went back already; empty if it moves no fen."""
    made: list[NewLine] = []
    for line in accrued:
        step = refund_step(line.amount_fen, line.paid_fen, before_fen, refund_fen)
        if step:
            target = refund_target(line.amount_fen, line.paid_fen, before_fen + refund_fen)
            sentence = (
                f"退款 {yuan(refund_fen)}，累计退 {yuan(before_fen + refund_fen)} / 实付 {yuan(line.paid_fen)}，"
                f"{yuan(line.amount_fen)} 应冲 {yuan(target)}，已冲 {yuan(target - step)}，本次冲 {yuan(step)}；规则 {line.rule}"
            )
            path = {"rule": line.rule, "paid_fen": line.paid_fen, "refund_fen": refund_fen, "explain": sentence}
            made.append(NewLine(f"expense:{line.component}", -step, line.component))
            made.append(NewLine(line.account, step, line.component, path))
    return tuple(made)
