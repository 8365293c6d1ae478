"""What operators ask of stock locks: how much is locked and sold, and how many more may safely be sold."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from inventory.locks import statements
from inventory.locks.rules import Lock, alarm
from inventory.models import NodeGroup
from inventory.reservations.models import Reservation, StockLock

STATEMENTS = 3  # what safe_to_sell costs, however many locks there are; one when there is none
HISTORY = 50


@dataclass(slots=True)
class Units:
    """`locked` now, `drawn` by the lock's buyers, `free` for everybody, and `safe`: what its buyers may still have."""

    locked: int = 0
    drawn: int = 0
    free: int = 0
    safe: int = 0


@dataclass(slots=True)
class SafeToSell:
    """One lock, in units: in all, and by province (the first two digits of the places' division codes)."""

    lock_no: str
    name: str
    claim: str
    sku_code: str
    sku_name: str
    total: Units = field(default_factory=Units)
    provinces: dict[str, Units] = field(default_factory=dict)

    @property
    def alarm(self) -> str:
        return alarm(self.total.safe, self.total.drawn)


def safe_to_sell(*, at: datetime, claim: str = "", lock_no: str = "", among: Collection[str] | None = None) -> list[SafeToSell]:
    """The active locks (of one claim, the one of this number, or those `among` some numbers), by claim and SKU.

    Not to be added up over locks: what is free for everybody is in each of them.
    """
    active = StockLock.objects.filter(state=StockLock.State.ACTIVE).order_by("claim", "sku__code", "id")
    if claim:
        active = active.filter(claim=claim)
    if lock_no:
        active = active.filter(lock_no=lock_no)
    if among is not None:
        active = active.filter(lock_no__in=among)
    columns = ("lock_no", "name", "claim", "sku__code", "sku__name")
    found = {row[0]: SafeToSell(*row) for row in active.values_list(*columns)}
    if not found:
        return []
    for number, province, locked, free, safe in statements.units_by_province(found, at):
        units = found[number].provinces.setdefault(province, Units())
        units.locked, units.free, units.safe = locked, free, safe
    for number, province, drawn in statements.drawn_by_province(found):
        found[number].provinces.setdefault(province, Units()).drawn = drawn
    for each in found.values():
        parts = each.provinces.values()
        each.total = Units(
            sum(part.locked for part in parts),
            sum(part.drawn for part in parts),
            sum(part.free for part in parts),
            sum(part.safe for part in parts),
        )
    return list(found.values())


def held_and_drawn(lock_nos: Collection[str]) -> dict[str, tuple[int, int]]:
    """(locked now, drawn) of some locks, ended ones too; one statement."""
    sums = dict.fromkeys(lock_nos, (0, 0))
    for (lock_no, _), standing in statements.read_standings(lock_nos).items():
        locked, drawn = sums[lock_no]
        sums[lock_no] = (locked + standing.locked, drawn + standing.drawn)
    return sums


def unfilled() -> QuerySet[StockLock]:
    """Active locks that could not be filled: fewer units held and drawn than a number asks for, or none at all of a ratio."""
    own = Reservation.objects.filter(bill=OuterRef("lock_no"), state="open", kind="lock", level__isnull=False)
    took = Reservation.objects.filter(lock_no=OuterRef("lock_no"), drawn__gt=0).exclude(lock_no="").exclude(state="released")
    counted = _sum_of(own, "bill", "quantity") + _sum_of(took, "lock_no", "drawn")
    active = StockLock.objects.filter(state=StockLock.State.ACTIVE).alias(counted=counted)
    return active.filter(Q(mode="number", counted__lt=F("amount")) | Q(mode="ratio", counted=0))


def _sum_of(rows: QuerySet[Reservation], key: str, units: str) -> Coalesce:
    total = rows.order_by().values(key).annotate(total=Sum(units)).values("total")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), 0)


def as_rules(locks: Collection[StockLock]) -> list[Lock]:
    """Locks as the rules take them, with the nodes of their groups; one statement when any has a group."""
    group_ids = {lock.group_id for lock in locks if lock.group_id}
    nodes: dict[int, set[int]] = {group_id: set() for group_id in group_ids}
    if group_ids:
        members = NodeGroup.nodes.through.objects.filter(nodegroup_id__in=group_ids)
        for group_id, node_id in members.values_list("nodegroup_id", "node_id"):
            nodes[group_id].add(node_id)
    return [
        Lock(
            lock.lock_no,
            lock.sku_id,
            lock.mode == StockLock.Mode.RATIO,
            lock.amount,
            lock.priority,
            lock.pk,
            frozenset(nodes[lock.group_id]) if lock.group_id else None,
        )
        for lock in locks
    ]


def history(lock_no: str) -> list[Reservation]:
    """The latest reservations that drew from a lock, and what it held itself."""
    drawn = Reservation.objects.filter(lock_no=lock_no)
    own = Reservation.objects.filter(bill=lock_no, kind=Reservation.Kind.LOCK)
    return list((drawn | own).select_related("level__node").order_by("-pk")[:HISTORY])
