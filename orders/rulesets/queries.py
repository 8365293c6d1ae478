"""What others ask of rule sets: the one in force, any of them as plain values, what is wrong with one, what changed."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from dealers.divisions import queries as divisions
from dealers.models import Dealer
from inventory.models import Node, Sku
from oms_project.refusal import NotFound
from orders.intake.models import ChannelAccount
from orders.rulesets import faults, rules
from orders.rulesets.faults import Known, Place
from orders.rulesets.models import (
    AgeingCredit,
    DealerQuota,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderRule,
    PromiseClass,
    RuleSet,
    ShipCalendar,
    Somewhere,
    Terms,
)
from orders.rulesets.rules import RuleBook

_PLAIN_TERMS = (
    "split_fee_fen",
    "late_fen_per_day",
    "refusal_cost_fen",
    "cross_region_fen",
    "unfilled_fen",
    "max_packages",
    "max_km",
    "same_province",
    "keeps_bundles",
    "keeps_installation",
    "cancel_after_hours",
)
_FREIGHT = ("first_fen", "first_weight_g", "step_weight_g", "step_fen", "km_fen", "base_days", "km_per_day", "max_km")
STANDARD = "standard"


def published_book() -> RuleBook:
    """The rules in force; the defaults while nothing is published. Nine statements, nothing is kept."""
    found = in_force()
    return _book(found) if found else RuleBook()


def book_of(ruleset_id: int) -> RuleBook:
    """Any set as plain values. Raises NotFound."""
    return _book(ruleset(ruleset_id))


def ruleset(ruleset_id: int) -> RuleSet:
    """One set. Raises NotFound."""
    found = RuleSet.objects.filter(pk=ruleset_id).first()
    if found is None:
        raise NotFound
    return found


def in_force() -> RuleSet | None:
    """The published set."""
    return RuleSet.objects.filter(state=RuleSet.State.PUBLISHED).first()


def history() -> list[RuleSet]:
    """Every set with who made and who published it, the newest first."""
    return list(RuleSet.objects.select_related("created_by", "published_by", "based_on").order_by("-version"))


def faults_of(ruleset_id: int) -> tuple[list[str], list[str]]:
    """(what forbids publishing a set, what should be looked at). Raises NotFound."""
    book = book_of(ruleset_id)
    known = known_to(book, promises=PromiseClass.objects.filter(rule_set_id=ruleset_id).values_list("code", flat=True))
    return faults.faults_of(book, known), faults.warnings_of(book, known)


def known_to(book: RuleBook, promises: Iterable[str]) -> Known:
    """What exists of all that a set may name."""
    scopes = [scope for scope, _ in book.order_rules]
    skus = {code for scope in scopes for code in scope.products}
    shops = list(ChannelAccount.objects.values_list("channel", "shop"))
    places = Node.objects.filter(is_active=True).order_by("code")
    facts = places.values_list("code", "name", "kind", "division_code", "dealer__tier")
    return Known(
        channels=set(ChannelAccount.Channel.values),
        shops=set(shops),
        divisions={code: unit.is_current for code, unit in divisions.gazetteer().units.items()},
        skus=set(Sku.objects.filter(code__in=skus).values_list("code", flat=True)) if skus else (),
        categories=set(Sku.objects.order_by().values_list("category", flat=True).distinct()) - {""},
        dealers=set(Dealer.objects.values_list("code", flat=True)) if book.quotas else (),
        promises=set(promises),
        kinds=dict(Node.Kind.choices),
        places=[Place(code, name, kind, division, tier or "") for code, name, kind, division, tier in facts],
    )


def _book(found: RuleSet) -> RuleBook:
    promises = {row.code: _promise(row) for row in PromiseClass.objects.filter(rule_set=found).order_by("id")}
    return RuleBook(
        name=str(found),
        default=_terms(found, "默认", promises),
        order_rules=tuple(
            (_scope(row), _terms(row, row.name, promises))
            for row in OrderRule.objects.filter(rule_set=found).order_by("position", "id")
        ),
        groups=tuple(_group(row) for row in NodeGroup.objects.filter(rule_set=found).order_by("id")),
        freight=tuple(
            rules.FreightRate(where=_where(row), **{name: getattr(row, name) for name in _FREIGHT})
            for row in FreightRate.objects.filter(rule_set=found).order_by("id")
        ),
        installs=tuple(
            rules.InstallRate(_where(row), row.skill, row.fee_fen)
            for row in InstallRate.objects.filter(rule_set=found).order_by("id")
        ),
        calendars=tuple(
            rules.ShipCalendar(_where(row), row.weekdays, row.cutoff, frozenset(map(date.fromisoformat, row.holidays)))
            for row in ShipCalendar.objects.filter(rule_set=found).order_by("id")
        ),
        quotas=tuple(
            rules.Quota(row.dealer_code, row.percent, row.fen_per_point)
            for row in DealerQuota.objects.filter(rule_set=found).order_by("id")
        ),
        credits=tuple(
            rules.AgeingCredit(row.category, row.fen_per_unit, row.older_than_days, row.is_overstock)
            for row in AgeingCredit.objects.filter(rule_set=found).order_by("id")
        ),
    )


def _promise(row: PromiseClass) -> rules.PromiseClass:
    return rules.PromiseClass(row.code, row.name, row.days, row.is_hard, row.max_km, frozenset(row.kinds))


def _terms(row: Terms, name: str, promises: Mapping[str, rules.PromiseClass]) -> rules.OrderTerms:
    """A promise class that the set lacks keeps its code, so that it can be named as a fault."""
    code = row.promise or STANDARD
    values: dict[str, Any] = {name: getattr(row, name) for name in _PLAIN_TERMS}
    return rules.OrderTerms(
        name=name,
        promise=promises.get(code) or (rules.PromiseClass() if code == STANDARD else rules.PromiseClass(code=code, name=code)),
        only_groups=frozenset(row.only_groups),
        never_groups=frozenset(row.never_groups),
        on_unroutable=rules.Unroutable(row.on_unroutable),
        **values,
    )


def _scope(row: OrderRule) -> rules.OrderScope:
    return rules.OrderScope(
        channels=frozenset(row.channels),
        shops=frozenset(row.shops),
        divisions=tuple(row.divisions),
        products=frozenset(row.products),
        categories=frozenset(row.categories),
        tags=frozenset(row.tags),
        is_live=row.is_live,
    )


def _group(row: NodeGroup) -> rules.NodeGroup:
    return rules.NodeGroup(
        row.code, row.name, frozenset(row.nodes), frozenset(row.kinds), tuple(row.divisions), frozenset(row.tiers)
    )


def _where(row: Somewhere) -> rules.Where:
    return rules.Where(row.group, row.kind, row.division)
