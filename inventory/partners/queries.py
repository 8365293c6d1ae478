"""Whose key it is, which places and goods it names, and the stock it may see."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from inventory.items.models import Sku
from inventory.ledger.models import Level, Node, NodeGroup
from inventory.partners.models import ApiKey
from inventory.partners.rules import digest_of, prefix_of
from inventory.pool import queries as pool
from inventory.pool.rules import claims_of
from inventory.reservations.models import Reservation
from oms_project.refusal import NotFound

_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Stock:
    """One level taken apart; `held_by` are the open promises per kind, in units."""

    level: Level
    held_by: dict[str, int]
    sellable: int


def key_for(secret: str) -> ApiKey | None:
    """The live key with this secret; of a dealer, only while we work together.

    The digests are compared in constant time, also where no key has the prefix.
    """
    key = ApiKey.objects.select_related("dealer").filter(prefix=prefix_of(secret)).first()
    is_right = hmac.compare_digest(digest_of(secret), key.digest if key else _NOBODY)
    if key is None or not is_right or not key.is_active:
        return None
    return key if key.dealer is None or key.dealer.is_active else None


def nodes_for(key: ApiKey, codes: Collection[str]) -> dict[str, int]:
    """The ids of the places with these codes that the key may touch; another's place is as unknown as none."""
    nodes = Node.objects.filter(code__in=codes)
    if key.dealer_id is not None:
        nodes = nodes.filter(dealer_id=key.dealer_id)
    return dict(nodes.values_list("code", "id"))


def skus(codes: Collection[str]) -> dict[str, Sku]:
    """The goods with these codes."""
    return {sku.code: sku for sku in Sku.objects.filter(code__in=codes).only("code", "kind")}


def stock_page(key: ApiKey, *, node: str, sku: str, after: int, limit: int, at: datetime) -> tuple[list[Stock], int | None]:
    """Levels that the key may see by rising id, behind `after`; and where the next page begins, if there is one."""
    levels = Level.objects.filter(id__gt=after).select_related("node", "sku").order_by("id")
    if key.dealer_id is not None:
        levels = levels.filter(node__dealer_id=key.dealer_id)
    if node:
        levels = levels.filter(node__code=node)
    if sku:
        levels = levels.filter(sku__code=sku)
    found = list(levels[: limit + 1])
    page = found[:limit]
    held_by: dict[int | None, dict[str, int]] = {}
    opened = Reservation.objects.filter(level__in=[level.pk for level in page], state=Reservation.State.OPEN)
    for level_id, kind, units in (
        opened.values("level_id", "kind").annotate(units=Sum("quantity")).values_list("level_id", "kind", "units")
    ):
        held_by.setdefault(level_id, {})[kind] = units
    shown = [Stock(level, held_by.get(level.pk, {}), level.sellable(at)) for level in page]
    return shown, page[-1].pk if len(found) > limit else None


def pool_page(
    *, sku: Collection[str] | None, group: str, region: str, channel: str, page: int, limit: int, at: datetime
) -> pool.PoolPage:
    """The pool by SKU code, over all places or some; unknown SKUs are left out. Raises NotFound for an unknown group."""
    sku_ids = None if sku is None else [each.pk for each in skus(sku).values()]
    group_id = NodeGroup.objects.filter(code=group).values_list("pk", flat=True).first() if group else None
    if group and group_id is None:
        raise NotFound
    return pool.pool_view(
        at=at, sku_ids=sku_ids, group_id=group_id, region=region, claims=claims_of(channel), page=page, size=limit
    )
