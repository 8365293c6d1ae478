"""Announce goods, promise them before they are there, and let them arrive: in full, in part, late or not at all.

Every function is one transaction. Lock order: deliveries by id, then levels by id.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import localdate

from inventory.arrivals import statements
from inventory.arrivals.rules import Announced, Delivery, NewIncoming, allot, choose, transfer_of
from inventory.items.models import Sku
from inventory.ledger import actions as ledger
from inventory.ledger.models import Incoming, Level, Node
from inventory.ledger.rules import MOST_UNITS, NewMovement
from inventory.reservations.models import Reservation
from oms_project.events import IncomingMoved, StockShort
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal

MOST_ROWS = 5_000
LONGEST_KEY, LONGEST_MOVEMENT_KEY = 80, 120
State = Incoming.State
Shelf = dict[tuple[int, int], Level]  # locked stock rows by (node_id, sku_id)


class NotComing(Refusal):
    """So many units cannot be promised by then."""


class NotExpected(Refusal):
    """The delivery is not open, belongs to a transfer, or does not have so many units left."""


@transaction.atomic
def expect(*, rows: Sequence[NewIncoming], actor: str, at: datetime, transfer_no: str = "") -> list[Announced]:
    """Announce goods on their way; one result per row, in order. A bad row changes nothing, the others stand.

    The same key with the same content is a repetition; with other content it is refused. Only the
    transfer itself (`transfer_no`) announces what it sends. Up to 5,000 rows, four statements and one per 1,000 facts.
    """
    if len(rows) > MOST_ROWS:
        raise Refusal(f"一次最多 {MOST_ROWS} 行")
    nodes = set(Node.objects.filter(pk__in={row.node_id for row in rows}, is_active=True).values_list("pk", flat=True))
    skus = {sku.pk: sku for sku in Sku.objects.filter(pk__in={row.sku_id for row in rows})}
    known = _contents(rows)
    fresh: dict[str, NewIncoming] = {}
    results = []
    for row in rows:
        stored = fresh[row.source_key].content if row.source_key in fresh else known.get(row.source_key)
        if stored is not None:
            problem = "" if stored == row.content else f"来源键 {row.source_key} 已用于另一批在途"
        else:
            problem = _row_problem(row, nodes, skus, localdate(at), transfer_no)
            if not problem:
                fresh[row.source_key] = row
        results.append(Announced(row.source_key, stored is None and not problem, problem))
    new = [Incoming(state=State.OPEN, received=0, promised=0, **_columns(row)) for row in fresh.values()]
    Incoming.objects.bulk_create(new, ignore_conflicts=True, batch_size=1000)
    written = _contents(list(fresh.values()))
    if lost := [key for key, row in fresh.items() if written[key] != row.content]:
        raise NotExpected(f"来源键 {lost[0]} 已被同时用于另一批在途，请重试")
    journal.record(*(_moved(each) for each in new), actor=actor, at=at)
    return results


def _columns(row: NewIncoming) -> dict[str, object]:
    names = ("node_id", "sku_id", "quantity", "expected_on", "source_key")
    return {name: getattr(row, name) for name in names} | {"note": row.note[:120]}


def _contents(rows: Sequence[NewIncoming]) -> dict[str, tuple[int, int, int, date]]:
    stored = Incoming.objects.filter(source_key__in=[row.source_key for row in rows])
    return {each.source_key: (each.node_id, each.sku_id, each.quantity, each.expected_on) for each in stored}


def _row_problem(row: NewIncoming, nodes: set[int], skus: Mapping[int, Sku], today: date, transfer_no: str) -> str:
    """Why a row cannot be announced; empty when it can."""
    if not row.source_key.strip() or len(row.source_key) > LONGEST_KEY:
        return f"来源键须为 1–{LONGEST_KEY} 个字符"
    if transfer_of(row.source_key) != transfer_no:
        return "以 transfer: 开头的来源键由调拨单使用"
    if type(row.quantity) is not int or not 1 <= row.quantity <= MOST_UNITS:
        return f"数量须为 1–{MOST_UNITS} 的整数"
    if row.node_id not in nodes:
        return "仓库不存在或已停用"
    if row.sku_id not in skus:
        return "SKU 不存在"
    if not skus[row.sku_id].is_counted:
        return f"{skus[row.sku_id].code} 不是实物，不计库存"
    if type(row.expected_on) is not date:
        return "预计到货日不正确"
    return f"预计到货日 {row.expected_on} 已过" if row.expected_on < today else ""


def _moved(delivery: Incoming, reason: str = "", lacking: int = 0) -> IncomingMoved:
    names = ("source_key", "node_id", "sku_id", "state", "quantity", "received", "promised")
    told = {name: getattr(delivery, name) for name in names}
    return IncomingMoved(**told, expected_on=delivery.expected_on.isoformat(), reason=reason, lacking=lacking)


@transaction.atomic
def promise_presale(
    *, bill: str, sku_id: int, quantity: int, by: date | None, at: datetime, node_ids: Collection[int] | None = None
) -> date:
    """Promise units that are not there yet, all or nothing, from the earliest open deliveries; returns the promised day.

    A bill that has its presale promise already gets the same answer again (today, when its goods are
    there). Overdue deliveries promise nothing. Raises NotComing, which says how many come by then.
    """
    sku = Sku.objects.filter(pk=sku_id).first()
    if sku is None:
        raise NotFound("找不到这个 SKU")
    if type(quantity) is not int or not 1 <= quantity <= MOST_UNITS:
        raise NotComing(f"预售数量须为 1–{MOST_UNITS} 的整数")
    locked = statements.lock_promisable(sku_id, localdate(at), by, node_ids)
    mine = Reservation.objects.filter(
        Q(incoming__sku_id=sku_id) | Q(level__sku_id=sku_id), bill=bill, kind="presale", state="open"
    )
    if promised := list(mine.values_list("quantity", "incoming__expected_on")):
        if (units := sum(row[0] for row in promised)) != quantity:
            raise NotComing(f"单据 {bill} 已有 {sku.code} 预售承诺 {units} 件，不能再承诺 {quantity} 件")
        return max((day for _, day in promised if day is not None), default=localdate(at))
    deliveries = [Delivery(row.pk, row.expected_on, row.quantity - row.received - row.promised) for row in locked]
    taken = choose(deliveries, quantity)
    if not taken:
        until = f"{by} 前" if by else ""
        raise NotComing(f"{sku.code} {until}在途可承诺 {sum(each.free for each in deliveries)} 件，不足 {quantity} 件")
    for delivery, units in taken:
        if not statements.raise_promised(delivery.id, units):
            raise NotComing(f"{sku.code} 在途数量刚刚变化，请重试")
    Reservation.objects.bulk_create(
        Reservation(incoming_id=delivery.id, bill=bill, kind="presale", quantity=units, held_at=at) for delivery, units in taken
    )
    return taken[-1][0].expected_on


@transaction.atomic
def receive(*, source_key: str, quantity: int, key: str, actor: str, at: datetime) -> int:
    """Goods of one delivery have come, all or a part of them; returns how many were new. Repeating `key` changes nothing."""
    return receive_all(counts={source_key: quantity}, key=key, actor=actor, at=at)


@transaction.atomic
def receive_all(
    *,
    counts: Mapping[str, int],
    key: str,
    actor: str,
    at: datetime,
    transfer_no: str = "",
    short: Collection[str] = (),
    reason: str = "",
) -> int:
    """Goods of several deliveries have come, and of those in `short` no more comes; returns how many units were new.

    Posts the movements, lets presale promises stand on what has arrived, first come first served, and closes
    deliveries that are complete. A repeated `key` changes nothing. Raises NotFound, NotExpected and the
    ledger's KeyReused.
    """
    deliveries = {each.source_key: each for each in _locked({*counts, *short}, transfer_no)}
    shelf = statements.lock_levels(deliveries)
    if counts and not _post(deliveries, counts, key, actor, at, bool(transfer_no)):
        return 0
    shelf |= statements.lock_levels(counts)  # with what has arrived, and new ones
    for delivery in deliveries.values():
        left = delivery.quantity - delivery.received
        if delivery.state != State.OPEN or counts.get(delivery.source_key, 0) > left:
            was = f"只差 {left} 件" if delivery.state == State.OPEN else delivery.get_state_display()
            raise NotExpected(f"{delivery.sku.code}（{delivery.source_key}）{was}，不能收货")
    _hand_out([(deliveries[each], units) for each, units in counts.items()], shelf, at)
    lacking = _end([deliveries[each] for each in sorted(short)], shelf, at)
    _tell(deliveries.values(), lacking, reason, actor, at)
    return sum(counts.values())


def _locked(source_keys: Collection[str], transfer_no: str) -> list[Incoming]:
    found = statements.lock_deliveries(source_keys)
    if len(found) < len(source_keys):
        raise NotFound("找不到这批在途")
    for delivery in found:
        if transfer_of(delivery.source_key) != transfer_no:
            raise NotExpected(f"{delivery.source_key} 属于调拨单，请在调拨单上操作")
    return found


def _post(
    deliveries: Mapping[str, Incoming], counts: Mapping[str, int], key: str, actor: str, at: datetime, is_transfer: bool
) -> bool:
    """Write the movements; False when exactly they were written before."""
    kind = "transfer_in" if is_transfer else "receipt"
    movements = []
    for source_key, quantity in counts.items():
        if type(quantity) is not int or not 1 <= quantity <= MOST_UNITS:
            raise NotExpected(f"到货数量须为 1–{MOST_UNITS} 的整数")
        name, delivery = f"arrive:{source_key}:{key}", deliveries[source_key]
        if not key.strip() or len(name) > LONGEST_MOVEMENT_KEY:
            raise NotExpected("收货键为空或过长")
        movements.append(NewMovement(delivery.node_id, delivery.sku_id, kind, quantity, name))
    posted = ledger.post(movements=movements, actor=actor, at=at)
    if 0 < posted < len(movements):
        raise ledger.KeyReused(f"收货键 {key} 已用于另一次收货")
    return posted > 0


def _hand_out(arrived: Sequence[tuple[Incoming, int]], shelf: Shelf, at: datetime) -> None:
    """Count what has arrived and give it to those it was promised to."""
    queues = statements.read_queues([delivery.pk for delivery, _ in arrived]) if arrived else {}
    for delivery, units in arrived:
        delivery.received += units
        level, queue = shelf[(delivery.node_id, delivery.sku_id)], queues[delivery.pk]
        given = allot([quantity for _, quantity in queue], units, delivery.quantity - delivery.received)
        if given.count:
            statements.stand_on_level(delivery.pk, queue[given.count - 1][0], level.pk, at)
        if given.part:
            statements.stand_in_part(queue[given.count][0], given.part, level.pk)
        delivery.promised -= given.units + given.part
        level.held += given.units + given.part
        level.save(update_fields=["held"])
        if delivery.received == delivery.quantity:
            delivery.state = State.RECEIVED
        delivery.save(update_fields=["received", "promised", "state"])


def _end(deliveries: Sequence[Incoming], shelf: Shelf, at: datetime) -> dict[str, int]:
    """No more comes of these. Promises left on them take what is free there, whole and in order, or wait for any stock.

    Returns the units that nothing covers now, by source key.
    """
    queues = statements.read_queues([delivery.pk for delivery in deliveries]) if deliveries else {}
    lacking = {}
    for delivery in deliveries:
        queue, level = queues[delivery.pk], shelf.get((delivery.node_id, delivery.sku_id))
        free = level.sellable(at) if level else 0
        given = allot([quantity for _, quantity in queue], free, delivery.promised)
        if level and given.count:
            statements.stand_on_level(delivery.pk, queue[given.count - 1][0], level.pk, at)
            level.held += given.units
            level.save(update_fields=["held"])
        if given.count < len(queue):
            statements.stand_nowhere(delivery.pk, queue[-1][0], delivery.sku_id, at)
        lacking[delivery.source_key] = delivery.promised - given.units
        delivery.promised = 0
        delivery.state = State.RECEIVED if delivery.received else State.CANCELLED
        delivery.save(update_fields=["promised", "state"])
    return lacking


def _tell(deliveries: Collection[Incoming], lacking: Mapping[str, int], reason: str, actor: str, at: datetime) -> None:
    """Record what happened, and an alarm wherever promised goods do not come."""
    alarms = [
        StockShort(
            node_id=each.node_id, node=each.node.name, sku_id=each.sku_id, sku_code=each.sku.code,
            lacking=lacking[each.source_key], source=f"incoming:{each.source_key}",
        )
        for each in deliveries
        if lacking.get(each.source_key)
    ]  # fmt: skip
    told = [_moved(each, reason, lacking.get(each.source_key, 0)) for each in deliveries]
    journal.record(*told, *alarms, actor=actor, at=at)


@transaction.atomic
def close_short(*, source_key: str, reason: str, actor: str, at: datetime) -> int:
    """No more comes of a delivery; returns how many promised units nothing covers now.

    Promises that what is free there covers stand on the level; the others become promises without
    a place (kind global), so that they still count, and an alarm is recorded.
    """
    delivery = _open(source_key, reason)
    lacking = _end([delivery], statements.lock_levels([source_key]), at)
    _tell([delivery], lacking, reason, actor, at)
    return lacking[source_key]


@transaction.atomic
def cancel(*, source_key: str, reason: str, actor: str, at: datetime) -> int:
    """Nothing comes of a delivery, as `close_short`; refused when a part of it has come."""
    delivery = _open(source_key, reason)
    if delivery.received:
        raise NotExpected(f"{source_key} 已收 {delivery.received} 件，不能取消，请按短少结案")
    lacking = _end([delivery], statements.lock_levels([source_key]), at)
    _tell([delivery], lacking, reason, actor, at)
    return lacking[source_key]


@transaction.atomic
def reschedule(*, source_key: str, expected_on: date, reason: str, actor: str, at: datetime) -> None:
    """Goods come on another day; what was promised on them stays promised. Who and why stands in the journal."""
    if expected_on < localdate(at):
        raise NotExpected(f"预计到货日 {expected_on} 已过")
    delivery = _open(source_key, reason, transfer_no=transfer_of(source_key))
    if delivery.expected_on == expected_on:
        return
    was, delivery.expected_on = delivery.expected_on, expected_on
    delivery.save(update_fields=["expected_on"])
    _tell([delivery], {}, f"{was} 改为 {expected_on}：{reason}", actor, at)


def _open(source_key: str, reason: str, transfer_no: str = "") -> Incoming:
    if not reason.strip():
        raise NotExpected("请填写原因")
    [delivery] = _locked([source_key], transfer_no)
    if delivery.state != State.OPEN:
        raise NotExpected(f"{source_key} {delivery.get_state_display()}，不能再改")
    return delivery
