"""The stock pool as it is looked at: every figure taken apart so that it adds up, live or as counted last."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Substr
from django.utils.timezone import localdate

from dealers.models import Division
from inventory.items.models import Sku
from inventory.ledger.models import Level, Movement, Node
from inventory.ledger.rules import MOST_UNITS
from inventory.pool import statements
from inventory.pool.models import PoolCount, PoolTotal, PublishedStock, PublishRule
from inventory.pool.rules import COUNTED, Figure, Narrowest, Parts, Rule, Terms, claims_of, day_ends, sum_of
from inventory.pool.statements import LEVEL_SUMS, Key, Scope
from inventory.reservations.models import Reservation, StockLock

OLDEST_COUNT = timedelta(seconds=60)  # totals counted longer ago are not shown: everything is added up anew
ONLY = {"oversold": "超卖", "low": "低库存"}
_SKU_COLUMNS = ("pk", "code", "name", "category")
_NODE_COLUMNS = ("pk", "code", "name", "division_code")
_LEFT = F("on_hand") - F("held") - F("globally")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a pool table: a SKU, or a place (then `note` is its division, else the category)."""

    pk: int
    code: str
    name: str
    note: str
    parts: Parts


@dataclass(frozen=True, slots=True)
class PoolPage:
    """Some SKUs of the pool with the total of all that match; counted_at None means that the figures are of this moment."""

    rows: list[Row]
    total: Parts
    count: int
    counted_at: datetime | None = None


def _row(columns: tuple[Any, ...], parts: Parts | None) -> Row:
    pk, code, name, note = columns
    return Row(pk, code, name, note, parts or Parts())


def goods(*, search: str = "", category: str = "", sku_ids: Collection[int] | None = None) -> QuerySet[Sku]:
    """The countable SKUs that match, by code; inactive ones too, for their stock is there."""
    found = Sku.objects.filter(kind=Sku.Kind.PHYSICAL).order_by("code")
    if search:
        found = found.filter(Q(code__icontains=search) | Q(name__icontains=search))
    if category:
        found = found.filter(category=category)
    return found if sku_ids is None else found.filter(pk__in=sku_ids)


def pool_view(
    *,
    at: datetime,
    sku_ids: Collection[int] | None = None,
    search: str = "",
    category: str = "",
    group_id: int | None = None,
    region: str = "",
    claims: Sequence[str] = (),
    only: str = "",
    page: int = 1,
    size: int = 50,
) -> PoolPage:
    """A page of SKUs over all places, or over a group or region of them; at most six statements.

    Over all places the figures are those of the last count (PoolTotal, at most a minute old; counted_at says when), so that
    rows and total agree; for some places, for `sku_ids`, or when the count is too old, everything is added up now. `claims`
    add what locks hold for such a buyer to what may be promised. `only` is a key of ONLY.
    """
    scope, first = Scope(sku_ids=sku_ids, group_id=group_id, region=region), max(0, page - 1) * size
    matching = goods(search=search, category=category, sku_ids=sku_ids)
    if scope.is_everywhere and sku_ids is None and not (claims and only):
        counts = PoolTotal.objects.filter(sku__in=matching.order_by()) if search or category else PoolTotal.objects.all()
        if (counted := _counted(_only(counts, only), at)) is not None:
            rows = _counted_rows(_only(counts, only), first, size)
            claimed = (
                statements.read_claimed(("sku_id",), claims, replace(scope, sku_ids=[row.pk for row in rows]), at)
                if claims
                else {}
            )
            rows = (
                [replace(row, parts=replace(row.parts, claimed=claimed.get((row.pk,), 0))) for row in rows] if claimed else rows
            )
            return replace(counted, rows=rows)
    skus = list(matching.values_list(*_SKU_COLUMNS))
    parts = _parts_of(("sku_id",), replace(scope, sku_ids=[sku[0] for sku in skus]) if search or category else scope, claims, at)
    rows = [row for sku in skus if _is_wanted((row := _row(sku, parts.get((sku[0],)))).parts, only)]
    return PoolPage(rows[first : first + size], sum_of(row.parts for row in rows), len(rows))


def _is_wanted(parts: Parts, only: str) -> bool:
    return parts.oversold > 0 if only == "oversold" else parts.is_low if only == "low" else True


def _only(counts: QuerySet[PoolTotal], only: str) -> QuerySet[PoolTotal]:
    """The counts that are oversold or low: rules.Parts.oversold and is_low as SQL."""
    if only == "oversold":
        return counts.alias(left=_LEFT).filter(left__lt=0)
    if only == "low":
        return counts.alias(left=_LEFT).filter(Q(sellable__lte=F("globally")) | Q(wanted__gt=0, wanted__gte=F("left")))
    return counts


def _counted(counts: QuerySet[PoolTotal], at: datetime) -> PoolPage | None:
    """Total and number of some counts; None when they are too old or there are none."""
    sums: dict[str, Any] = {name: Coalesce(Sum(name), 0) for name in COUNTED}
    counted_at = Max(Subquery(PoolCount.objects.values("counted_at")[:1]))
    found = counts.aggregate(**sums, next_on=Min("next_on"), number=Count("pk"), counted_at=counted_at)
    number, moment = found.pop("number"), found.pop("counted_at")
    return None if moment is None or at - moment > OLDEST_COUNT else PoolPage([], Parts(**found), number, moment)


def _counted_rows(counts: QuerySet[PoolTotal], first: int, size: int) -> list[Row]:
    columns = ("pk", *(f"sku__{name}" for name in _SKU_COLUMNS[1:]), "next_on", *COUNTED)
    return [
        Row(pk, code, name, category, Parts(**dict(zip(COUNTED, units, strict=True)), next_on=next_on))
        for pk, code, name, category, next_on, *units in counts.order_by("sku__code").values_list(*columns)[first : first + size]
    ]


def sku_view(*, sku_id: int, at: datetime, claims: Sequence[str] = ()) -> PoolPage:
    """One SKU, place by place, with its total; what is promised without a place stands in the total only."""
    parts = _parts_of(("node_id",), Scope(sku_ids=[sku_id]), claims, at)
    nodes = Node.objects.filter(pk__in=[node_id for (node_id,) in parts]).order_by("code")
    rows = [_row(node, parts[(node[0],)]) for node in nodes.values_list(*_NODE_COLUMNS)]
    total = replace(sum_of(parts.values()), globally=_unplaced(sku_id))
    return PoolPage(rows, total, len(rows))


def node_view(*, node_id: int, at: datetime) -> PoolPage:
    """One place, SKU by SKU, with its total."""
    parts = _parts_of(("sku_id", "node_id"), Scope(node_id=node_id), (), at)
    by_sku = {sku_id: each for (sku_id, _), each in parts.items()}
    rows = [_row(sku, by_sku[sku[0]]) for sku in goods().values_list(*_SKU_COLUMNS) if sku[0] in by_sku]
    return PoolPage(rows, sum_of(row.parts for row in rows), len(rows))


def count_all(*, at: datetime) -> dict[int, Parts]:
    """The parts of every SKU that has some, over all places, of this moment."""
    return {sku_id: parts for (sku_id,), parts in _parts_of(("sku_id",), Scope(), (), at).items()}


def _unplaced(sku_id: int) -> int:
    waiting = Reservation.objects.filter(sku_id=sku_id, state=Reservation.State.OPEN)
    return waiting.aggregate(units=Coalesce(Sum("quantity"), 0))["units"]


def _parts_of(by: Sequence[str], scope: Scope, claims: Sequence[str], at: datetime) -> dict[Key, Parts]:
    """Parts per key (columns of the level); three statements, four with claims."""
    fields: dict[Key, dict[str, Any]] = {
        key: dict(zip(LEVEL_SUMS, sums, strict=True)) for key, sums in statements.read_levels(by, scope, at).items()
    }
    for *key, kind, units in statements.read_kinds(by, scope):
        if tuple(key) in fields:
            fields[tuple(key)][kind] = units
    for *key, globally, incoming, promised, next_on in statements.read_beside(by, scope):
        beside = fields.setdefault(tuple(key), {})
        for name, units in (("globally", globally), ("incoming", incoming), ("promised", promised)):
            beside[name] = beside.get(name, 0) + units
        if next_on:
            beside["next_on"] = next_on
    if claims:
        for claimed_key, units in statements.read_claimed(by, claims, scope, at).items():
            if claimed_key in fields:
                fields[claimed_key]["claimed"] = units
    return {key: Parts(**each) for key, each in fields.items()}


@dataclass(frozen=True, slots=True)
class Bills:
    """The open reservations of one kind: how many, of how many units, and the latest of them."""

    kind: str
    label: str
    count: int
    units: int
    latest: list[Reservation]


def open_bills(*, sku_id: int, limit: int = 10) -> list[Bills]:
    """What is promised of a SKU anywhere (on levels, on the way, without a place), by kind; two statements."""
    found = statements.read_open_bills(sku_id, limit)
    rows = Reservation.objects.select_related("level__node", "incoming__node").in_bulk([row[0] for row in found])
    bills: dict[str, Bills] = {}
    for pk, kind, count, units in found:
        mine = bills.setdefault(kind, Bills(kind, str(Reservation.Kind(kind).label), count, units, []))
        if pk in rows:
            mine.latest.append(rows[pk])
    return [bills[kind] for kind in Reservation.Kind.values if kind in bills]


def last_movements(*, sku_id: int, limit: int = 50) -> list[Movement]:
    """A SKU's latest movements at all places, the newest first."""
    ids = statements.last_movements(sku_id, limit)
    return list(Movement.objects.filter(pk__in=ids).select_related("node").order_by("-moved_at", "-id"))


def history(*, sku_id: int, at: datetime, days: int = 14) -> list[tuple[date, int]]:
    """What stood of a SKU everywhere at the end of each of the last days (local days, today as of now)."""
    today = localdate(at)
    some = [today - timedelta(days=ago) for ago in reversed(range(days))]
    places = Level.objects.filter(sku_id=sku_id)
    since = at - timedelta(days=days)
    moved: dict[date, int] = {}
    recent = Movement.objects.filter(sku_id=sku_id, node_id__in=places.values("node_id"), moved_at__gte=since)
    for moment, units in recent.values_list("moved_at", "quantity"):
        moved[localdate(moment)] = moved.get(localdate(moment), 0) + units
    now = places.aggregate(units=Coalesce(Sum("on_hand"), 0))["units"]
    return list(zip(some, day_ends(now, some, moved), strict=True))


def claims_in_use() -> list[str]:
    """For whom stock is locked now."""
    active = StockLock.objects.filter(state=StockLock.State.ACTIVE)
    return list(active.order_by("claim").values_list("claim", flat=True).distinct()[:200])


def provinces() -> list[tuple[str, str]]:
    """(first two digits, name) of the provinces in which some place stands."""
    codes = sorted(set(Node.objects.annotate(start=Substr("division_code", 1, 2)).values_list("start", flat=True)))
    names = dict(Division.objects.filter(code__in=[f"{code}0000" for code in codes]).values_list("code", "name"))
    return [(code, names.get(f"{code}0000", code)) for code in codes]


def categories() -> list[str]:
    return list(goods().exclude(category="").order_by("category").values_list("category", flat=True).distinct())


Shop = tuple[str, str]  # channel, shop


def active_rules() -> dict[Shop, list[Rule]]:
    """The publishing rules that apply, by shop."""
    found: dict[Shop, list[Rule]] = {}
    for rule in PublishRule.objects.filter(is_active=True).order_by("channel", "shop", "pk"):
        found.setdefault((rule.channel, rule.shop), []).append(as_applied(rule))
    return found


def as_applied(rule: PublishRule) -> Rule:
    terms = Terms(rule.percent, rule.plus, rule.floor, rule.ceiling)
    return Rule(terms, rule.sku_id, rule.category, rule.group_id)


def figures(*, rules: Mapping[Shop, Sequence[Rule]], at: datetime) -> dict[Shop, dict[int, Figure]]:
    """What each shop should show of each active SKU that a rule of it names; four statements, whatever the shops.

    可售 there = Σ max(0, free) over the rule's places + what locks hold for the shop or its channel − 全局预占, never below 0.
    """
    if not any(rules.values()):
        return {shop: {} for shop in rules}
    skus = list(goods().filter(is_active=True).values_list("pk", "category"))
    claims = {shop: claims_of("/".join(shop)) for shop in rules}
    group_ids = {rule.group_id for some in rules.values() for rule in some}
    for_sale = statements.read_for_sale(group_ids, at)
    locked = statements.read_locked_for(sorted({claim for some in claims.values() for claim in some}), group_ids, at)
    unplaced = _all_unplaced()
    found: dict[Shop, dict[int, Figure]] = {}
    for shop, some in rules.items():
        narrowest, mine = Narrowest(some), found.setdefault(shop, {})
        for sku_id, category in skus:
            if rule := narrowest.of(sku_id, category):
                group = rule.group_id
                kept = sum(locked.get((claim, group, sku_id), 0) for claim in claims[shop]) if locked else 0
                sellable = max(0, for_sale.get((group, sku_id), 0) + kept - unplaced.get(sku_id, 0))
                mine[sku_id] = Figure(rule.terms.shown(sellable), sellable)
    return found


def _all_unplaced() -> dict[int, int]:
    waiting = Reservation.objects.filter(sku_id__isnull=False, state=Reservation.State.OPEN)
    return dict(waiting.order_by().values_list("sku_id").annotate(Sum("quantity")))


def preview(*, rule: PublishRule, at: datetime) -> dict[int, Figure]:
    """What this rule, saved or not, would show of each SKU for which it is the narrowest of its shop."""
    shop = (rule.channel, rule.shop)
    others = PublishRule.objects.filter(channel=rule.channel, shop=rule.shop, is_active=True).exclude(pk=rule.pk)
    mine = as_applied(rule)
    some = [*(as_applied(other) for other in others), mine]
    narrowest, shown = Narrowest(some), figures(rules={shop: some}, at=at)[shop]
    skus = goods(sku_ids=list(shown)).values_list("pk", "category")
    return {sku_id: shown[sku_id] for sku_id, category in skus if narrowest.of(sku_id, category) is mine}


def problems_of(rule: PublishRule) -> Iterator[str]:
    """Why a publishing rule cannot be followed, or which other one it repeats, in words; nothing when it is fine."""
    if not rule.channel or not rule.shop:
        yield "请填写渠道和店铺"
    if not 0 <= rule.percent <= 1000:
        yield "比例应在 0 到 1000 之间"
    if not -MOST_UNITS <= rule.plus <= MOST_UNITS:
        yield f"加减数量应在 ±{MOST_UNITS} 之间"
    if not 0 <= rule.floor <= MOST_UNITS:
        yield f"最少发布应在 0 到 {MOST_UNITS} 之间"
    if rule.ceiling is not None and not rule.floor <= rule.ceiling <= MOST_UNITS:
        yield f"最多发布不能小于最少发布，也不能大于 {MOST_UNITS}"
    if rule.sku_id and rule.category:
        yield "SKU 和品类只能填一个"
    if rule.sku_id and not Sku.objects.filter(pk=rule.sku_id, kind=Sku.Kind.PHYSICAL).exists():
        yield "只有实物 SKU 才有库存可发布"
    others = PublishRule.objects.filter(channel=rule.channel, shop=rule.shop).exclude(pk=rule.pk)
    same = others.filter(sku_id=rule.sku_id) if rule.sku_id else others.filter(sku=None, category=rule.category)
    if same.exists():
        subject = "这个 SKU" if rule.sku_id else f"品类 {rule.category}" if rule.category else "整个店铺"
        yield f"{rule} 已有一条针对{subject}的规则，请直接修改那一条"


def published_since(*, channel: str, shop: str, version: int, limit: int = 500) -> list[PublishedStock]:
    """What a shop must hear of after a version, in the order of versions; ask again with the last row's version.

    A change set is never cut: when the limit falls inside of one, the rest of it (fewer than 500 figures) comes too.
    """
    newer = PublishedStock.objects.filter(channel=channel, shop=shop, version__gt=version).select_related("sku")
    rows = list(newer.order_by("version", "pk")[: max(1, limit)])
    if rows and len(rows) >= limit:
        rest = newer.filter(version=rows[-1].version, pk__gt=rows[-1].pk)
        rows += rest.order_by("pk")
    return rows


def over_published() -> QuerySet[PublishedStock]:
    """Figures above what could be sold when they were computed: more may be sold there than can be delivered."""
    return PublishedStock.objects.filter(quantity__gt=F("sellable"))
