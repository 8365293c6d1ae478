"""Keep stock for one kind of buyer for a while: plan, begin, fill up, change, give back, end.

Row locks are taken in this order: the SKU (only where the dates of its locks are compared), the
locks of the SKUs by id, stock rows by id. Whoever raises a lock holds its row, so what a lock holds
and its buyers took can only fall meanwhile, and a number is never exceeded. The figures of stock
are read again once the stock rows are locked: buyers who came first are not overruled.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from inventory.ledger import actions as ledger
from inventory.ledger import statements as ledger_statements
from inventory.ledger.models import Level, Movement
from inventory.ledger.rules import MOST_UNITS, NewMovement
from inventory.locks import queries, rules, statements
from inventory.locks.rules import Move
from inventory.models import NodeGroup, Sku
from inventory.reservations import actions as reservations
from inventory.reservations import queries as reservation_queries
from inventory.reservations.models import Reservation, StockLock
from oms_project.events import StockArrived, StockLockMoved
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound, Refusal

ACTOR = "system:locks"
MOST_LEVEL = 32_767
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_State = StockLock.State
Place = tuple[int, int]  # node_id, sku_id


class BadLock(Refusal):
    """The lock that is asked for makes no sense, or contradicts another one."""


class NotNow(Refusal):
    """The lock is not in a state in which this can be done."""


@transaction.atomic
def plan_lock(
    *,
    name: str,
    claim: str,
    sku_id: int,
    mode: str,
    amount: int,
    starts_at: datetime,
    ends_at: datetime,
    actor: str,
    at: datetime,
    group_id: int | None = None,
    priority: int = 10,
    release_order: int = 10,
) -> StockLock:
    """Plan a lock of one SKU for one kind of buyer; it begins by itself at `starts_at` (excluding `ends_at`).

    `amount` is units, or with mode "ratio" a percentage. Raises BadLock, also when a lock for the
    same buyers and SKU overlaps in time: who asks twice gets one lock.
    """
    name, claim = name.strip(), claim.strip()
    if not name or len(name) > 60:
        raise BadLock("名称需为 1–60 个字")
    if fault := rules.claim_fault(claim):
        raise BadLock(fault)
    _check_amount(mode, amount)
    if not all(0 <= level <= MOST_LEVEL for level in (priority, release_order)):
        raise BadLock(f"优先级与释放顺序需在 0–{MOST_LEVEL} 之间")
    if ends_at <= starts_at or ends_at <= at:
        raise BadLock("结束时间必须晚于开始时间，并且晚于现在")
    sku = _sku(sku_id)
    if sku.kind != Sku.Kind.PHYSICAL or not sku.is_active:
        raise BadLock(f"{sku.code} 不是启用中的实物 SKU，不能锁库")
    if group_id is not None and not NodeGroup.objects.filter(pk=group_id).exists():
        raise BadLock("仓库组不存在")
    _check_overlap(claim, sku, starts_at, ends_at)
    return StockLock.objects.create(
        lock_no=f"SK{at.astimezone(_SHANGHAI):%y%m%d}-{sku.pk}-{StockLock.objects.filter(sku=sku).count() + 1}",
        name=name,
        claim=claim,
        sku=sku,
        group_id=group_id,
        mode=mode,
        amount=amount,
        priority=priority,
        release_order=release_order,
        starts_at=starts_at,
        ends_at=ends_at,
        actor=actor,
    )


def _check_amount(mode: str, amount: int) -> None:
    if mode not in StockLock.Mode.values:
        raise BadLock("锁库方式只能是数量或比例")
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise BadLock("锁库数量必须是整数")
    if mode == StockLock.Mode.RATIO and not 1 <= amount <= 100:
        raise BadLock("锁库比例需在 1–100 之间")
    if not 1 <= amount <= MOST_UNITS:
        raise BadLock(f"锁库数量需在 1–{MOST_UNITS} 之间")


def _sku(sku_id: int) -> Sku:
    """The SKU, locked: comparing the dates of its locks and writing one is a step nobody comes between."""
    sku = Sku.objects.select_for_update(no_key=True).filter(pk=sku_id).first()
    if sku is None:
        raise BadLock("SKU 不存在")
    return sku


def _check_overlap(claim: str, sku: Sku, starts_at: datetime, ends_at: datetime, but: int = 0) -> None:
    others = StockLock.objects.filter(claim=claim, sku=sku, starts_at__lt=ends_at, ends_at__gt=starts_at)
    other = others.exclude(state=_State.ENDED).exclude(pk=but).order_by("starts_at").first()
    if other:
        raise BadLock(f"同一时段已有锁库 {other.lock_no}（{other.name}）把 {sku.code} 锁给 {claim}")


@transaction.atomic
def start_lock(*, lock_no: str, actor: str, at: datetime) -> None:
    """Begin a planned lock now, before its time if need be; nothing happens when it is active already."""
    lock, locks = _find(lock_no)
    if lock.state == _State.ACTIVE:
        return
    if lock.state == _State.ENDED or lock.ends_at <= at:
        raise NotNow(f"锁库 {lock_no} 已结束，不能再开始")
    if any(other.claim == lock.claim and other.state == _State.ACTIVE for other in locks):
        raise NotNow(f"{lock.claim} 对该 SKU 已有生效中的锁库，请先结束它")
    StockLock.objects.filter(pk=lock.pk).update(state=_State.ACTIVE)
    lock.state = _State.ACTIVE
    _fill(locks, actor, at, told=[lock])


@transaction.atomic
def start_due(*, at: datetime) -> int:
    """Begin the planned locks whose time has come; returns how many. Called by the clock."""
    due = StockLock.objects.filter(state=_State.PLANNED, starts_at__lte=at)
    locks = _locked(due.values_list("sku_id", flat=True))
    begun = [lock for lock in locks if lock.state == _State.PLANNED and lock.starts_at <= at < lock.ends_at]
    if not begun:
        return 0
    StockLock.objects.filter(pk__in=[lock.pk for lock in begun]).update(state=_State.ACTIVE)
    for lock in begun:
        lock.state = _State.ACTIVE
    _fill(locks, ACTOR, at, told=begun)
    return len(begun)


@transaction.atomic
def end_lock(*, lock_no: str, actor: str, at: datetime) -> None:
    """End a lock: what is left of it is free for everybody. A planned lock will never begin; an ended one stays as it is."""
    lock, _ = _find(lock_no)
    if lock.state != _State.ENDED:
        _end([lock], actor, at)


@transaction.atomic
def end_due(*, at: datetime) -> int:
    """End the locks whose time is over; returns how many. Called by the clock."""
    due = StockLock.objects.exclude(state=_State.ENDED).filter(ends_at__lte=at)
    over = [lock for lock in _locked(due.values_list("sku_id", flat=True)) if lock.ends_at <= at]
    if over:
        _end(over, ACTOR, at)
    return len(over)


def _end(locks: Sequence[StockLock], actor: str, at: datetime) -> None:
    """Close what these locks hold, and tell, so that waiting orders are tried again."""
    numbers = [lock.lock_no for lock in locks]
    StockLock.objects.filter(pk__in=[lock.pk for lock in locks]).update(state=_State.ENDED)
    held = Reservation.objects.filter(bill__in=numbers, state="open", kind="lock")
    places = sorted(set(held.values_list("level__node_id", "level__sku_id")))
    reservations.release(bills=numbers, at=at)
    for lock in locks:
        lock.state = _State.ENDED
    _tell(locks, actor, at, freed=places)


@transaction.atomic
def top_up(*, at: datetime, sku_ids: Collection[int] | None = None, actor: str = ACTOR) -> int:
    """Fill the active locks of some SKUs (None: of all) up to what they may have; returns how many gained.

    At most five statements while nothing is missing, one when no lock is active. Called by the clock.
    """
    active = StockLock.objects.filter(state=_State.ACTIVE)
    if sku_ids is not None:
        active = active.filter(sku_id__in=sku_ids)
    return _fill(_locked(active.values_list("sku_id", flat=True)), actor, at)


def on_stock_arrived(facts: Sequence[Fact], *, at: datetime) -> None:
    """Locks take their part of what arrived before it is sold to others."""
    top_up(at=at, sku_ids={sku_id for fact in facts for sku_id in fact.payload["sku_ids"]})


def _fill(locks: Sequence[StockLock], actor: str, at: datetime, told: Sequence[StockLock] = ()) -> int:
    """Fill the active ones of these locks (all open locks of their SKUs, locked); tells of those that changed and of `told`."""
    active = [lock for lock in locks if lock.state == _State.ACTIVE]
    gains: dict[Move, int] = {}
    standings = statements.read_standings([lock.lock_no for lock in active])
    if wanting := rules.wanting(queries.as_rules(active), standings):
        gains = rules.fill(wanting, statements.read_spots({lock.sku_id for lock in wanting}, at), standings)
    if gains:
        gains = rules.within(gains, statements.lock_free({level_id for _, level_id in gains}, at))
    if gains:
        statements.raise_locks(gains, at)
    gained = {lock_no for lock_no, _ in gains}
    _tell([lock for lock in locks if lock.lock_no in gained or lock in told], actor, at)
    return len(gained)


@transaction.atomic
def change_lock(
    *, lock_no: str, actor: str, at: datetime, amount: int | None = None, ends_at: datetime | None = None, name: str | None = None
) -> None:
    """Give a lock another amount, end or name; what it holds beyond a lower amount is free at once.

    What its buyers took counts: a lock of 50 of which 20 are sold, lowered to 30, keeps 10.
    Raises NotNow for an ended lock and BadLock as plan_lock does.
    """
    lock, locks = _find(lock_no, with_sku=ends_at is not None)
    if lock.state == _State.ENDED:
        raise NotNow(f"锁库 {lock_no} 已结束，不能再修改")
    if name is not None:
        lock.name = name.strip()
        if not lock.name or len(lock.name) > 60:
            raise BadLock("名称需为 1–60 个字")
    if ends_at is not None:
        if ends_at <= at or ends_at <= lock.starts_at:
            raise BadLock("结束时间必须晚于开始时间，并且晚于现在；要马上结束请用“立即结束”")
        _check_overlap(lock.claim, lock.sku, lock.starts_at, ends_at, but=lock.pk)
        lock.ends_at = ends_at
    if amount is not None:
        _check_amount(lock.mode, amount)
        lock.amount = amount
    StockLock.objects.filter(pk=lock.pk).update(name=lock.name, ends_at=lock.ends_at, amount=lock.amount)
    if amount is None or lock.state != _State.ACTIVE:
        return
    if not _trim(lock, locks, actor, at):
        _fill(locks, actor, at)


@transaction.atomic
def put_back(*, lock_no: str, units: int, actor: str, at: datetime) -> None:
    """Give units of a lock back to everybody for good: its amount falls with them.

    Raises NotNow when it holds fewer, or is a ratio (change the percentage instead).
    """
    lock, locks = _find(lock_no)
    if lock.state != _State.ACTIVE:
        raise NotNow(f"锁库 {lock_no} 不在生效中，没有可放回的库存")
    if lock.mode == StockLock.Mode.RATIO:
        raise NotNow(f"锁库 {lock_no} 按比例锁定，请修改比例")
    if units < 1:
        raise BadLock("放回数量必须大于 0")
    locked, drawn = queries.held_and_drawn([lock_no])[lock_no]
    if units > locked:
        raise NotNow(f"锁库 {lock_no} 现锁定 {locked} 件，不能放回 {units} 件")
    lock.amount = locked + drawn - units
    if lock.amount < 1:
        raise NotNow(f"锁库 {lock_no} 全部放回请用“立即结束”")
    StockLock.objects.filter(pk=lock.pk).update(amount=lock.amount)
    _trim(lock, locks, actor, at)


def _trim(lock: StockLock, locks: Sequence[StockLock], actor: str, at: datetime) -> bool:
    """Free what a lock holds beyond its amount; whether there was anything."""
    numbers = [each.lock_no for each in locks if each.state == _State.ACTIVE]
    mine = statements.read_standings([lock.lock_no])
    held = sorted(level_id for (_, level_id), standing in mine.items() if standing.locked)
    free = statements.lock_free(held, at) if held else {}
    [rule] = queries.as_rules([lock])
    over = rules.surplus(rule, free, statements.read_standings(numbers))
    if not over:
        return False
    statements.lower_locks({(lock.lock_no, level_id): units for level_id, units in over.items()}, at)
    _tell([lock], actor, at, freed=Level.objects.filter(pk__in=over).order_by("pk").values_list("node_id", "sku_id"))
    return True


@transaction.atomic
def give_back(*, sku_id: int, node_id: int, units: int, at: datetime, actor: str = ACTOR) -> int:
    """Take units from the locks at one place, the lowest release order first; returns how many were there to take.

    For a place that turned out to have less than is promised: held falls, and the caller corrects on_hand.
    """
    return _give_back({(node_id, sku_id): units}, actor, at).get((node_id, sku_id), 0) if units > 0 else 0


@transaction.atomic
def on_stock_short(facts: Sequence[Fact], *, at: datetime) -> None:
    """Where goods are missing, locks give up theirs first, and the units that do not exist leave the books with them."""
    keys = {fact.id: f"short:{fact.id}" for fact in facts}
    done = set(Movement.objects.filter(source_key__in=keys.values()).values_list("source_key", flat=True))
    lacking: dict[Place, int] = {}
    fresh = [fact for fact in facts if keys[fact.id] not in done and fact.payload["lacking"] > 0]
    for fact in fresh:
        place = (fact.payload["node_id"], fact.payload["sku_id"])
        lacking[place] = lacking.get(place, 0) + fact.payload["lacking"]
    given = _give_back(lacking, ACTOR, at) if lacking else {}
    movements = []
    for fact in fresh:
        place = (fact.payload["node_id"], fact.payload["sku_id"])
        units = min(fact.payload["lacking"], given.get(place, 0))
        if units:
            given[place] -= units
            movements.append(NewMovement(*place, "adjustment", -units, keys[fact.id], "实物不足，由锁库让出"))
    ledger.post(movements=movements, actor=ACTOR, at=at)


def _give_back(lacking: Mapping[Place, int], actor: str, at: datetime) -> dict[Place, int]:
    """Lower the locks at places where units are lacking; returns what they gave per place."""
    places = {standing.level_id: place for place, standing in ledger_statements.lock_places(sorted(lacking)).items()}
    if not places:
        return {}
    losses = rules.give_back({level_id: lacking[place] for level_id, place in places.items()}, statements.read_holdings(places))
    if not losses:
        return {}
    statements.lower_locks(losses, at)
    given: dict[Place, int] = {}
    for (_, level_id), units in losses.items():
        given[places[level_id]] = given.get(places[level_id], 0) + units
    _tell(StockLock.objects.filter(lock_no__in={lock_no for lock_no, _ in losses}).select_related("sku"), actor, at)
    return given


def _find(lock_no: str, *, with_sku: bool = False) -> tuple[StockLock, list[StockLock]]:
    """A lock and all open locks of its SKU, locked (an ended one is found alone); `with_sku` locks the SKU first."""
    row = StockLock.objects.filter(lock_no=lock_no).values_list("sku_id", flat=True).first()
    if row is None:
        raise NotFound(f"没有锁库 {lock_no}")
    if with_sku:
        _sku(row)
    locks = _locked([row])
    for lock in locks:
        if lock.lock_no == lock_no:
            return lock, locks
    return StockLock.objects.select_related("sku").get(lock_no=lock_no), locks


def _locked(sku_ids: Iterable[int]) -> list[StockLock]:
    """The open locks of some SKUs, locked in the order of their ids."""
    wanted = set(sku_ids)
    if not wanted:
        return []
    rows = StockLock.objects.select_for_update(of=("self",)).select_related("sku").filter(sku_id__in=wanted)
    return list(rows.exclude(state=_State.ENDED).order_by("pk"))


def _tell(locks: Iterable[StockLock], actor: str, at: datetime, freed: Iterable[Place] = ()) -> None:
    """Record how locks stand now, and where stock is free again; and let this process see its locks anew."""
    changed = list(locks)
    if not changed:
        return
    figures = queries.held_and_drawn([lock.lock_no for lock in changed])
    moved = [
        StockLockMoved(
            lock_no=lock.lock_no,
            claim=lock.claim,
            sku_code=lock.sku.code,
            state=lock.state,
            locked=figures[lock.lock_no][0],
            drawn=figures[lock.lock_no][1],
        )
        for lock in changed
    ]
    risen: dict[int, list[int]] = {}
    for node_id, sku_id in freed:
        risen.setdefault(node_id, []).append(sku_id)
    arrived = [StockArrived(node_id=node_id, sku_ids=skus) for node_id, skus in risen.items()]
    journal.record(*moved, *arrived, actor=actor, at=at)
    reservation_queries.forget()
