"""Count the pool, and tell shops what they may show: two ticks; and the rules by which shops show it."""

from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction

from inventory.items.models import Sku
from inventory.pool import queries, statements
from inventory.pool.models import PoolCount, PoolTotal, PublishedStock, PublishRule
from inventory.pool.queries import Shop
from inventory.pool.rules import COUNTED, ZERO, Figure, Parts, in_change_sets
from oms_project.events import StockPublished
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal

ACTOR = "system:pool"
_COLUMNS = (*COUNTED, "next_on")


class BadRule(Refusal):
    """A publishing rule that cannot be followed, or says again what another one says."""


@transaction.atomic
def count_pool(*, at: datetime) -> int:
    """Add up every SKU's parts over all places and keep them for pages; returns how many SKUs changed. Called by the clock.

    One worker counts at a time; one that comes late leaves without counting.
    """
    PoolCount.objects.get_or_create(pk=1)
    counting = PoolCount.objects.select_for_update(skip_locked=True).filter(pk=1).first()
    if counting is None or (counting.counted_at and counting.counted_at >= at):
        return 0
    found, nothing = queries.count_all(at=at), Parts()
    before = {row[0]: row[1:] for row in PoolTotal.objects.values_list("pk", *_COLUMNS)}
    changed = []
    for sku_id in Sku.objects.filter(kind=Sku.Kind.PHYSICAL).values_list("pk", flat=True):
        parts = found.get(sku_id, nothing)
        values = tuple(getattr(parts, name) for name in _COLUMNS)
        if before.get(sku_id) != values:
            changed.append(PoolTotal(sku_id=sku_id, **dict(zip(_COLUMNS, values, strict=True))))
    PoolTotal.objects.bulk_create(changed, update_conflicts=True, update_fields=_COLUMNS, unique_fields=["sku"], batch_size=500)
    PoolCount.objects.filter(pk=1).update(counted_at=at)
    return len(changed)


@transaction.atomic
def publish_due(*, at: datetime) -> int:
    """Bring what shops show up to date with stock and rules; returns how many figures changed. Called by the clock.

    Each shop's counter row is locked first (in the order of ids); a shop that another worker publishes now is left to it.
    Only differences are written: up to 500 figures share one version of the shop and one StockPublished. A SKU
    that lost its rule or is not active any more goes to 0, once. Killed anywhere, nothing is written and the next tick does all.
    """
    rules = queries.active_rules()
    left = PublishedStock.objects.filter(quantity__gt=0).order_by().values_list("channel", "shop").distinct()
    shops = sorted({*rules, *left})
    locked = statements.lock_shops(shops) if shops else {}
    if not locked:
        return 0
    wanted = queries.figures(rules={shop: rules.get(shop, []) for shop in locked}, at=at)
    shown = _shown()
    codes = dict(Sku.objects.values_list("pk", "code"))
    changed, facts = 0, list[StockPublished]()
    for shop, (shop_id, version) in sorted(locked.items(), key=lambda each: each[1]):
        was, target = shown.get(shop, {}), wanted[shop]
        for sku_id, row in was.items():
            if sku_id not in target and row.figure.quantity > 0:
                target[sku_id] = ZERO
        told = sorted(
            sku_id for sku_id, figure in target.items() if figure.differs(was[sku_id].figure if sku_id in was else None)
        )
        _follow(shop, was, target)
        for part in in_change_sets(told):
            version += 1
            statements.write_shown([(*shop, sku_id, *target[sku_id].units, version, at) for sku_id in part])
            changes = [{"sku": codes[sku_id], "quantity": target[sku_id].quantity} for sku_id in part]
            facts.append(StockPublished(channel=shop[0], shop=shop[1], version=version, changes=changes))
        if told:
            statements.raise_version(shop_id, version)
            changed += len(told)
    if facts:
        journal.record(*facts, actor=ACTOR, at=at)
    return changed


class _Shown(NamedTuple):
    """A figure as it is stored."""

    figure: Figure
    version: int
    changed_at: datetime


def _shown() -> dict[Shop, dict[int, _Shown]]:
    found: dict[Shop, dict[int, _Shown]] = {}
    columns = ("channel", "shop", "sku_id", "quantity", "sellable", "version", "changed_at")
    for channel, shop, sku_id, quantity, sellable, version, changed_at in PublishedStock.objects.values_list(*columns):
        found.setdefault((channel, shop), {})[sku_id] = _Shown(Figure(quantity, sellable), version, changed_at)
    return found


def _follow(shop: Shop, was: dict[int, _Shown], target: dict[int, Figure]) -> None:
    """Keep 当时可售 right where the same figure is, or was, above it: nobody is told, but the warning is of now."""
    rows = [
        (*shop, sku_id, *target[sku_id].units, row.version, row.changed_at)
        for sku_id, row in sorted(was.items())
        if sku_id in target and target[sku_id].changes_the_warning(row.figure)
    ]
    for part in in_change_sets(rows):
        statements.write_shown(part)


@transaction.atomic
def save_rule(*, rule: PublishRule) -> None:
    """Save a publishing rule; shops follow at the next tick. Raises BadRule, with nothing changed."""
    rule.channel, rule.shop, rule.category = rule.channel.strip(), rule.shop.strip(), rule.category.strip()
    for problem in queries.problems_of(rule):
        raise BadRule(problem)
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:
        raise BadRule("另一条规则刚刚被保存，请刷新后再试") from error


@transaction.atomic
def remove_rule(*, rule_id: int) -> None:
    """Take a publishing rule away; what no other rule of the shop names goes to 0 at the next tick. Raises NotFound."""
    if not PublishRule.objects.filter(pk=rule_id).delete()[0]:
        raise NotFound
