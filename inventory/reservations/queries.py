"""What may still be promised."""

import time
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Sum

from inventory.reservations import statements
from inventory.reservations.models import Reservation, StockLock
from inventory.reservations.rules import Shelf

_KEPT_SECONDS = 2.0
_kept: dict[str, tuple[float, dict[str, tuple[str, ...]]]] = {}


def sellable(*, node_ids: Collection[int], sku_ids: Collection[int], at: datetime) -> dict[tuple[int, int], int]:
    """安全可售 per (node, SKU) for everybody, never below 0; a place without stock, or with stale stock, is 0."""
    free = shelf(node_ids=node_ids, sku_ids=sku_ids, at=at).free
    return {(node_id, sku_id): max(0, free.get((node_id, sku_id), 0)) for node_id in node_ids for sku_id in sku_ids}


def shelf(*, node_ids: Collection[int], sku_ids: Collection[int], at: datetime, claims: Iterable[str] = ()) -> Shelf:
    """What may be promised at some nodes, with what is locked for these claims; one statement, two when a lock applies."""
    if not node_ids or not sku_ids:
        return Shelf({})
    locks = locks_for(claims)
    free = statements.read_free(node_ids, sku_ids, at)
    if not locks:
        return Shelf(free)
    lock_nos = {number for numbers in locks.values() for number in numbers}
    return Shelf(free, locks, statements.read_locked(node_ids, sku_ids, lock_nos, at))


def awaited(*, sku_ids: Collection[int]) -> dict[int, int]:
    """全局预占: units that paid orders without a place wait for, per SKU that has some."""
    waiting = Reservation.objects.filter(sku_id__in=sku_ids, state=Reservation.State.OPEN, kind=Reservation.Kind.GLOBAL)
    return dict(waiting.values_list("sku_id").annotate(units=Sum("quantity")))


def locks_for(claims: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The active locks of some claims, by claim, highest priority first; from memory for two seconds."""
    wanted = set(claims)
    if not wanted:
        return {}
    active = _active_locks()
    return {claim: active[claim] for claim in wanted if claim in active}


def _active_locks() -> dict[str, tuple[str, ...]]:
    kept = _kept.get("locks")
    if kept is None or time.monotonic() - kept[0] > _KEPT_SECONDS:
        found: dict[str, tuple[str, ...]] = {}
        active = StockLock.objects.filter(state=StockLock.State.ACTIVE).order_by("-priority", "id")
        for claim, lock_no in active.values_list("claim", "lock_no"):
            found[claim] = (*found.get(claim, ()), lock_no)
        kept = _kept["locks"] = (time.monotonic(), found)
    return kept[1]


def forget() -> None:
    """Read the locks anew at the next question."""
    _kept.clear()
