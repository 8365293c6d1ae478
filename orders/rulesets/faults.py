"""What is wrong with a set of rules: what would break the arithmetic, and what could never apply. Pure.

`faults_of` forbids publishing; `warnings_of` is only said. Sentences are Chinese and name the row.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time

from orders.rulesets.rules import (
    LONGEST_WAIT_DAYS,
    SHANGHAI,
    NodeGroup,
    OrderScope,
    OrderTerms,
    RuleBook,
    ShipCalendar,
    Where,
    shadowed,
)

NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A place as far as groups and rates ask."""

    code: str
    name: str
    kind: str
    division_code: str
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What exists outside of the set, and the promise classes in it.

    divisions: 6-digit codes, True where current; empty means that nobody has loaded any. shops:
    (channel, shop). kinds: Chinese names of the kinds of places. skus and categories need only
    hold those that the set names.
    """

    channels: Collection[str] = ()
    shops: Collection[tuple[str, str]] = ()
    divisions: Mapping[str, bool] = field(default_factory=dict)
    skus: Collection[str] = ()
    categories: Collection[str] = ()
    dealers: Collection[str] = ()
    promises: Collection[str] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    places: Collection[Place] = ()

    def has_division(self, code: str) -> bool:
        return not self.divisions or code.ljust(6, "0") in self.divisions


def faults_of(book: RuleBook, known: Known) -> list[str]:
    """Every reason why a set must not be published, at once."""
    return list(
        dict.fromkeys(
            [
                *_inexact(book),
                *_never_matching(book, known),
                *(fault for title, terms in _all_terms(book) for fault in _terms_faults(title, terms, book, known)),
                *_group_faults(book, known),
                *_where_faults(book, known),
                *_calendar_faults(book),
                *_quota_faults(book, known),
                *_credit_faults(book, known),
            ]
        )
    )


def warnings_of(book: RuleBook, known: Known) -> list[str]:
    """What is probably not meant, though it can be published."""
    told = []
    for scope, terms in book.order_rules:
        for noun, codes, missing in _named(scope, known):
            if missing and len(missing) < len(codes):
                told.append(f"订单规则「{terms.name}」：{noun}里没有 {_some(missing)}")
        if closed := sorted(code for code in scope.divisions if known.divisions.get(code.ljust(6, "0")) is False):
            told.append(f"订单规则「{terms.name}」：区划 {_some(closed)} 已停用，新订单用的是新代码")
    for group in book.groups:
        if missing := sorted(group.nodes - {place.code for place in known.places}):
            told.append(f"分组「{group.name}」：没有发货点 {_some(missing)}")
    lacking = [place for place in known.places if not _has_freight(book, place)]
    for kind in dict.fromkeys(place.kind for place in lacking):
        of_kind = [place.name for place in lacking if place.kind == kind]
        told.append(f"{known.kinds.get(kind, kind)}有 {len(of_kind)} 个发货点没有运费，不会派单：{_some(of_kind)}")
    return told


def _all_terms(book: RuleBook) -> list[tuple[str, OrderTerms]]:
    rules = [(f"订单规则「{terms.name}」", terms) for _, terms in book.order_rules]
    return [*rules, ("其他订单", book.default)]


def _inexact(book: RuleBook) -> Iterator[str]:
    """Amounts under which the cheapest split would no longer be found exactly."""
    for title, terms in _all_terms(book):
        amounts = {
            "拆单费": terms.split_fee_fen,
            "超时效成本": terms.late_fen_per_day,
            "拒单代价": terms.refusal_cost_fen,
            "跨区费": terms.cross_region_fen,
            "没派出的损失": terms.unfilled_fen,
        }
        for name in (name for name, amount in amounts.items() if amount < 0):
            yield f"{title}：{name}不能为负"
    for rate in book.freight:
        title = f"运费「{_told(rate.where)}」"
        if rate.first_fen < rate.step_fen:
            yield f"{title}：首重费不能低于续重费，否则两个包裹可能比一个便宜"
        if min(rate.step_fen, rate.km_fen) < 0:
            yield f"{title}：续重费和每公里不能为负"
        if rate.step_weight_g <= 0 or rate.km_per_day <= 0:
            yield f"{title}：续重单位和每天公里必须大于 0"
    for install in book.installs:
        if install.fee_fen < 0:
            yield f"安装费「{_told(install.where)}」：不能为负"


def _named(scope: OrderScope, known: Known) -> Iterator[tuple[str, Collection[str], list[str]]]:
    """(noun, codes, those of them that do not exist) of each condition that names something that exists or not."""
    conditions: list[tuple[str, Collection[str], Collection[str]]] = [
        ("渠道", scope.channels, known.channels),
        ("店铺", scope.shops, {shop for _, shop in known.shops}),
        ("SKU", scope.products, known.skus),
        ("品类", scope.categories, known.categories),
        ("收货地区", scope.divisions, [code for code in scope.divisions if known.has_division(code)]),
    ]
    for noun, codes, existing in conditions:
        if codes:
            yield noun, codes, sorted(set(codes) - set(existing))


def _never_matching(book: RuleBook, known: Known) -> Iterator[str]:
    for name, earlier in shadowed(book.order_rules):
        yield f"订单规则「{name}」永远不会命中：它的订单都先被「{earlier}」拿走"
    for scope, terms in book.order_rules:
        title = f"订单规则「{terms.name}」永远不会命中"
        missing_all = [(noun, missing) for noun, codes, missing in _named(scope, known) if len(missing) == len(codes)]
        for noun, missing in missing_all:
            yield f"{title}：没有这样的{noun}：{_some(missing)}"
        pairs = {shop for channel, shop in known.shops if channel in scope.channels}
        if not missing_all and scope.channels and scope.shops and not scope.shops & pairs:
            yield f"{title}：所选店铺都不在所选渠道"


def _terms_faults(title: str, terms: OrderTerms, book: RuleBook, known: Known) -> Iterator[str]:
    if terms.promise.code not in known.promises and terms.promise.code != "standard":
        yield f"{title}：没有编码为 {terms.promise.code} 的时效"
    groups = {group.code for group in book.groups}
    if missing := sorted((terms.only_groups | terms.never_groups) - groups):
        yield f"{title}：没有编码为 {_some(missing)} 的分组"
    elif known.places and not any(_is_allowed(place, terms, book) for place in known.places):
        yield f"{title}：分组和时效限制之下没有任何发货点"
    kinds = terms.promise.kinds
    days = [rate.base_days for rate in book.freight if not (kinds and rate.where.kind) or rate.where.kind in kinds]
    if terms.promise.is_hard and days and min(days) > terms.promise.days:
        yield f"{title}：时效「{terms.promise.name}」是 {terms.promise.days} 天，可用的运费最快也要 {min(days)} 天，永远派不出"


def _is_allowed(place: Place, terms: OrderTerms, book: RuleBook) -> bool:
    groups = _groups_of(book, place)
    return (
        (not terms.only_groups or bool(terms.only_groups & groups))
        and not terms.never_groups & groups
        and (not terms.promise.kinds or place.kind in terms.promise.kinds)
    )


def _group_faults(book: RuleBook, known: Known) -> Iterator[str]:
    for group in book.groups:
        if missing := sorted(code for code in group.divisions if not known.has_division(code)):
            yield f"分组「{group.name}」：没有区划 {_some(missing)}"
        if not any(_is_in(group, place) for place in known.places):
            yield f"分组「{group.name}」里没有发货点"


def _where_faults(book: RuleBook, known: Known) -> Iterator[str]:
    groups = {group.code for group in book.groups}
    rows = [("运费", rate.where) for rate in book.freight]
    rows += [("安装费", rate.where) for rate in book.installs]
    rows += [("发货日历", calendar.where) for calendar in book.calendars]
    for section, where in rows:
        if where.group and where.group not in groups:
            yield f"{section}「{_told(where)}」：没有编码为 {where.group} 的分组"
        if where.division and not known.has_division(where.division):
            yield f"{section}「{_told(where)}」：没有区划 {where.division}"


def _calendar_faults(book: RuleBook) -> Iterator[str]:
    for calendar in book.calendars:
        if _never_ships(calendar):
            yield f"发货日历「{_told(calendar.where)}」：有连续 {LONGEST_WAIT_DAYS} 天不发货"


def _never_ships(calendar: ShipCalendar) -> bool:
    """Whether some day, as the holidays stand, is followed by nothing but closed days."""
    if not set("1234567") & set(calendar.weekdays):
        return True
    mornings = (datetime.combine(day, time.min, SHANGHAI) for day in calendar.holidays)
    return any(calendar.wait_days(morning) >= LONGEST_WAIT_DAYS for morning in mornings)


def _quota_faults(book: RuleBook, known: Known) -> Iterator[str]:
    if missing := sorted(quota.dealer_code for quota in book.quotas if quota.dealer_code not in known.dealers):
        yield f"公平配额：没有经销商 {_some(missing)}"
    if (total := sum(quota.percent for quota in book.quotas)) > 100:
        yield f"公平配额合计 {total}%，超过 100%"
    for quota in book.quotas:
        if quota.percent < 0 or quota.fen_per_point < 0:
            yield f"公平配额「{quota.dealer_code}」：不能为负"


def _credit_faults(book: RuleBook, known: Known) -> Iterator[str]:
    cases = [(each.category, each.older_than_days, each.is_overstock) for each in book.credits]
    for credit in book.credits:
        title = f"库龄与积压抵减「{credit.category or '全部'}」"
        if credit.category and credit.category not in known.categories:
            yield f"{title}：没有这个品类"
        if credit.older_than_days is None and not credit.is_overstock:
            yield f"{title}：没有写明库龄或积压，永远不会用到"
        if credit.fen_per_unit < 0:
            yield f"{title}：不能为负"
        if cases.count((credit.category, credit.older_than_days, credit.is_overstock)) > 1:
            yield f"{title}：同样的条件写了两次"


def _has_freight(book: RuleBook, place: Place) -> bool:
    groups = _groups_of(book, place)
    return any(rate.where.holds(place.kind, groups, rate.where.division) for rate in book.freight)


def _groups_of(book: RuleBook, place: Place) -> frozenset[str]:
    return frozenset(group.code for group in book.groups if _is_in(group, place))


def _is_in(group: NodeGroup, place: Place) -> bool:
    return group.has(code=place.code, kind=place.kind, division_code=place.division_code, tier=place.tier)


def _told(where: Where) -> str:
    return " · ".join(part for part in (where.group, where.kind, where.division) if part) or "全部"


def _some(codes: Collection[str]) -> str:
    shown = list(codes)[:NAMED_AT_MOST]
    return "、".join(shown) + (f" 等 {len(codes)} 个" if len(codes) > len(shown) else "")
