"""Move goods between our own places: ask, approve, send, receive; or take over that it has happened.

Every step is one transaction. Lock order: the transfer, deliveries by id, stock rows by id. A step
names the version it was decided on: when somebody else was faster it raises Stale, and the same
step repeated changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils.timezone import localdate

from inventory.arrivals import actions as arrivals
from inventory.arrivals.rules import NewIncoming, transfer_key
from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.models import Node, StockCheck
from inventory.ledger.rules import MOST_UNITS, NewMovement, RowResult
from inventory.models import Sku
from inventory.replenishment import statements
from inventory.replenishment.models import StockNeed, Transfer, TransferLine
from inventory.replenishment.rules import (
    MOST_COVER_DAYS,
    MOST_LINES,
    TRANSITIONS,
    Sending,
    number_problem,
    quantities_problem,
    sending_problem,
)
from inventory.reservations import actions as reservations
from inventory.reservations import queries as reservation_queries
from inventory.reservations.rules import Want
from oms_project.events import StockArrived, TransferMoved
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal, Stale

MOST_SENDINGS = 2_500
NEEDS_EVERY = timedelta(minutes=5)
State = Transfer.State
WORDS = {"approved": "批准", "rejected": "驳回", "shipped": "发出", "received": "收货", "cancelled": "取消"}


class BadTransfer(Refusal):
    """What is asked for makes no sense: quantities, places or SKUs."""


class NotNow(Refusal):
    """The transfer is not in a state in which this can be done."""


class NotEnough(Refusal):
    """So many units are not free at the source."""


@transaction.atomic
def request(
    *,
    transfer_no: str,
    source_id: int,
    target_id: int,
    quantities: Mapping[int, int],
    actor: str,
    at: datetime,
    note: str = "",
    expected_on: date | None = None,
) -> Transfer:
    """Ask for units per SKU to go from one place to another. The number is the key: the same again is a repetition."""
    wanted = dict(quantities)
    known = Transfer.objects.filter(transfer_no=transfer_no).first()
    if known is not None:
        return _same(known, source_id, target_id, wanted)
    if problem := number_problem(transfer_no) or _request_problem(source_id, target_id, wanted, expected_on, at):
        raise BadTransfer(problem)
    fields = {"source_id": source_id, "target_id": target_id, "note": note.strip()[:200], "expected_on": expected_on}
    transfer, is_new = Transfer.objects.get_or_create(
        transfer_no=transfer_no, defaults=fields | {"requested_by": actor[:80], "requested_at": at}
    )
    if not is_new:
        return _same(transfer, source_id, target_id, wanted)
    TransferLine.objects.bulk_create(
        TransferLine(transfer=transfer, sku_id=sku_id, requested=units) for sku_id, units in sorted(wanted.items())
    )
    _tell(transfer, "", actor, at, note.strip()[:200])
    return transfer


@transaction.atomic
def request_all(
    *, transfer_no: str, going: Mapping[tuple[int, int], Mapping[int, int]], note: str, actor: str, at: datetime
) -> list[Transfer]:
    """Ask for several transfers at once, units per SKU by source and target, all or none; numbered `<transfer_no>-1` onwards."""
    return [
        request(
            transfer_no=f"{transfer_no}-{number}", source_id=source_id, target_id=target_id, quantities=quantities,
            actor=actor, at=at, note=note,
        )
        for number, ((source_id, target_id), quantities) in enumerate(sorted(going.items()), start=1)
    ]  # fmt: skip


def _same(known: Transfer, source_id: int, target_id: int, wanted: Mapping[int, int]) -> Transfer:
    lines = dict(known.lines.values_list("sku_id", "requested"))
    if (known.source_id, known.target_id, lines) != (source_id, target_id, wanted):
        raise BadTransfer(f"调拨单号 {known.transfer_no} 已用于另一张调拨单")
    return known


def _request_problem(source_id: int, target_id: int, wanted: Mapping[int, int], expected_on: date | None, at: datetime) -> str:
    """Why this cannot be asked for; empty when it can."""
    if source_id == target_id:
        return "调出仓与调入仓不能相同"
    nodes = Node.objects.filter(pk__in=[source_id, target_id], is_active=True)
    if nodes.count() < 2:
        return "调出仓或调入仓不存在，或已停用"
    if not 1 <= len(wanted) <= MOST_LINES:
        return f"一张调拨单须有 1–{MOST_LINES} 行"
    skus = {sku.pk: sku for sku in Sku.objects.filter(pk__in=wanted)}
    for sku_id, units in wanted.items():
        if sku_id not in skus:
            return "SKU 不存在"
        if not skus[sku_id].is_counted:
            return f"{skus[sku_id].code} 不是实物，不计库存"
        if type(units) is not int or not 1 <= units <= MOST_UNITS:
            return f"{skus[sku_id].code} 的数量须为 1–{MOST_UNITS} 的整数"
    return f"预计到货日 {expected_on} 已过" if expected_on is not None and expected_on < localdate(at) else ""


@transaction.atomic
def approve(*, transfer_no: str, version: int, actor: str, at: datetime, quantities: Mapping[int, int] | None = None) -> Transfer:
    """Hold the goods at the source, all lines or none; `quantities` per SKU id may be lower than asked for, also 0.

    Raises BadTransfer, NotEnough (which names every line that does not fit, and what is free), NotNow and Stale.
    """
    transfer, lines = _locked(transfer_no)
    asked = {line.sku_id: line.requested for line in lines}
    given = asked | dict(quantities or {})
    _check(given, asked, lines, "批准")
    if _is_repeated(transfer, version, State.APPROVED):
        return _repeated(transfer, {line.sku_id: line.approved for line in lines}, given)
    _may_go(transfer, version, State.APPROVED)
    wants = [Want(transfer_no, transfer.source_id, sku_id, units, "transfer") for sku_id, units in given.items() if units]
    if not wants:
        raise BadTransfer("没有批准任何数量；不同意请驳回")
    if not reservations.hold(wants=wants, at=at, together=True):
        raise NotEnough(_what_lacks(transfer, lines, given, at))
    for line in lines:
        line.approved = given[line.sku_id]
    TransferLine.objects.bulk_update(lines, ["approved"])
    transfer.approved_at = at
    return _go(transfer, State.APPROVED, actor, at)


def _what_lacks(transfer: Transfer, lines: Sequence[TransferLine], given: Mapping[int, int], at: datetime) -> str:
    """Which lines do not fit, in words."""
    free = reservation_queries.sellable(node_ids=[transfer.source_id], sku_ids=list(given), at=at)
    lacking = [
        f"{line.sku.code} 可调 {free.get((transfer.source_id, line.sku_id), 0)} 件，不足 {given[line.sku_id]} 件"
        for line in lines
        if free.get((transfer.source_id, line.sku_id), 0) < given[line.sku_id]
    ]
    return f"{transfer.source.name}：{'；'.join(lacking) or '库存刚刚变化，请重试'}"


@transaction.atomic
def reject(*, transfer_no: str, version: int, reason: str, actor: str, at: datetime) -> Transfer:
    """Say no to a request, and why."""
    return _end(transfer_no, version, State.REJECTED, reason, actor, at)


@transaction.atomic
def cancel(*, transfer_no: str, version: int, reason: str, actor: str, at: datetime) -> Transfer:
    """Give a transfer up before it ships; what is held for it is free again, and waiting orders hear of it."""
    return _end(transfer_no, version, State.CANCELLED, reason, actor, at)


def _end(transfer_no: str, version: int, state: str, reason: str, actor: str, at: datetime) -> Transfer:
    transfer, lines = _locked(transfer_no)
    if _is_repeated(transfer, version, state):
        return transfer
    if not reason.strip():
        raise BadTransfer("请填写原因")
    _may_go(transfer, version, state)
    if reservations.release(bills=[transfer_no], at=at):
        _tell_freed(transfer, [line.sku_id for line in lines if line.approved], actor, at)
    transfer.closed_at = at
    return _go(transfer, state, actor, at, reason)


@transaction.atomic
def ship(
    *,
    transfer_no: str,
    version: int,
    actor: str,
    at: datetime,
    quantities: Mapping[int, int] | None = None,
    expected_on: date | None = None,
) -> Transfer:
    """Goods leave the source: all that is approved, or less per SKU id; what is not sent is free again.

    Announces them at the target for `expected_on` (by default as requested, at the earliest today).
    """
    transfer, lines = _locked(transfer_no)
    most = {line.sku_id: line.approved for line in lines}
    sent = most | dict(quantities or {})
    _check(sent, most, lines, "发出")
    if _is_repeated(transfer, version, State.SHIPPED):
        return _repeated(transfer, {line.sku_id: line.shipped for line in lines}, sent)
    _may_go(transfer, version, State.SHIPPED)
    if not any(sent.values()):
        raise BadTransfer("没有发出任何数量；不再发出请取消")
    due = expected_on or max(transfer.expected_on or localdate(at), localdate(at))
    going = [line for line in lines if sent[line.sku_id]]
    rows = [
        NewIncoming(transfer.target_id, line.sku_id, sent[line.sku_id], due, _key(transfer, line), f"调拨 {transfer_no}")
        for line in going
    ]
    for line, announced in zip(going, arrivals.expect(rows=rows, actor=actor, at=at, transfer_no=transfer_no), strict=True):
        if announced.problem:
            raise BadTransfer(f"{line.sku.code}：{announced.problem}")
    fewer = {sku_id: units for sku_id, units in sent.items() if units < most[sku_id]}
    if fewer:
        kept = {(transfer.source_id, sku_id): units for sku_id, units in fewer.items()}
        reservations.keep(bill=transfer_no, quantities=kept, at=at)
        _tell_freed(transfer, list(fewer), actor, at)
    if reservations.consume(bills=[transfer_no], actor=actor, at=at) < len(going):
        raise NotNow(f"{transfer_no} 的预占已不完整，不能发出，请取消后重新申请")
    for line in lines:
        line.shipped = sent[line.sku_id]
    TransferLine.objects.bulk_update(lines, ["shipped"])
    transfer.shipped_at, transfer.expected_on = at, due
    return _go(transfer, State.SHIPPED, actor, at)


@transaction.atomic
def receive(
    *,
    transfer_no: str,
    version: int,
    quantities: Mapping[int, int],
    key: str,
    actor: str,
    at: datetime,
    is_last: bool = False,
    reason: str = "",
) -> Transfer:
    """Goods have come to the target, all or a part of them per SKU id; with `is_last` the rest is lost, for a reason.

    Any number of times; the same `key` again changes nothing. Raises Refusal for more than is on its way.
    """
    transfer, lines = _locked(transfer_no)
    left = {line.sku_id: line.shipped - line.received - line.lost for line in lines}
    counts = {_key(transfer, line): quantities[line.sku_id] for line in lines if quantities.get(line.sku_id)}
    if not counts and _is_repeated(transfer, version, State.RECEIVED):
        return transfer
    if not counts and not is_last:
        raise BadTransfer("没有填写实收数量")
    if transfer.state not in {State.SHIPPED, State.RECEIVED}:
        raise NotNow(f"{transfer_no} {transfer.get_state_display()}，不能收货")
    _check(quantities, {sku_id: MOST_UNITS for sku_id in left}, lines, "收")
    never_sent = [line.sku.code for line in lines if quantities.get(line.sku_id) and not line.shipped]
    if never_sent:
        raise BadTransfer(f"{never_sent[0]} 没有发出，不能收货")
    missing = {line.sku_id: left[line.sku_id] - quantities.get(line.sku_id, 0) for line in lines} if is_last else {}
    short = [_key(transfer, line) for line in lines if missing.get(line.sku_id, 0) > 0]
    if short and not reason.strip():
        raise BadTransfer("收货短少，请填写原因")
    came = arrivals.receive_all(
        counts=counts, key=key, actor=actor, at=at, transfer_no=transfer_no, short=short, reason=reason.strip()
    )
    if counts and not came:
        return transfer
    _may_go(transfer, version, State.RECEIVED)
    for line in lines:
        line.received += quantities.get(line.sku_id, 0)
        line.lost += max(0, missing.get(line.sku_id, 0))
    TransferLine.objects.bulk_update(lines, ["received", "lost"])
    is_done = all(line.received + line.lost == line.shipped for line in lines)
    transfer.closed_at = at if is_done else None
    return _go(transfer, State.RECEIVED if is_done else State.SHIPPED, actor, at, reason)


@transaction.atomic
def transfer_now(*, rows: Sequence[Sending], actor: str, at: datetime) -> list[RowResult]:
    """Take over transfers that have happened: out and in at once, row by row; a bad row does not block the others.

    One posting for all rows, repeated without those that did not fit, so that no row is posted by
    half; goods of one call cannot be sent on in the same call. Up to 2,500 rows. Keys: `<source_key>:out` and `:in`.
    """
    if len(rows) > MOST_SENDINGS:
        raise Refusal(f"一次最多 {MOST_SENDINGS} 行")
    open_nodes = set(Node.objects.filter(pk__in=_numbers(rows), is_active=True).values_list("pk", flat=True))
    results: dict[int, RowResult] = {}
    first: dict[str, Sending] = {}
    for position, row in enumerate(rows):
        problem = sending_problem(row, first.setdefault(str(row.source_key), row) is row)
        if not problem and not {row.source_id, row.target_id} <= open_nodes:
            problem = "仓库不存在或已停用"
        if problem:
            results[position] = RowResult("refused", problem)
    while waiting := [position for position in range(len(rows)) if position not in results]:
        posted = dict(zip(waiting, _send([rows[position] for position in waiting], actor, at), strict=True))
        judged = {position: _pair(*pair) for position, pair in posted.items()}
        # What left for nothing may be why later rows did not fit, so these are set aside first.
        half = {position: judged[position] for position, (out, into) in posted.items() if out.is_good and not into.is_good}
        results |= half or {position: each for position, each in judged.items() if not each.is_good} or judged
    return [results[position] for position in range(len(rows))]


def _numbers(rows: Sequence[Sending]) -> set[int]:
    ids = {node_id for row in rows for node_id in (row.source_id, row.target_id)}
    return {node_id for node_id in ids if type(node_id) is int and 0 < node_id < 2**63}


class _Half(Exception):
    """Takes a posting back of which some rows do not fit."""


def _send(rows: Sequence[Sending], actor: str, at: datetime) -> list[tuple[RowResult, RowResult]]:
    """Post all pairs, or none when some do not fit; all that leaves is judged before anything comes."""
    leaving = [NewMovement(row.source_id, row.sku_id, "transfer_out", -row.quantity, f"{row.source_key}:out") for row in rows]
    coming = [NewMovement(row.target_id, row.sku_id, "transfer_in", row.quantity, f"{row.source_key}:in") for row in rows]
    pairs: list[tuple[RowResult, RowResult]] = []
    try:
        with transaction.atomic():
            posted = ledger.post_rows(movements=[*leaving, *coming], actor=actor, at=at)
            pairs = list(zip(posted[: len(rows)], posted[len(rows) :], strict=True))
            if not all(_pair(*pair).is_good for pair in pairs):
                raise _Half
    except _Half:
        return pairs
    return pairs


def _pair(out: RowResult, into: RowResult) -> RowResult:
    if not out.is_good or not into.is_good:
        return into if out.is_good else out
    if out.code != into.code:
        return RowResult("refused", "来源键已用于另一笔出入库", cause="key")
    return RowResult("done", f"已调拨 {into.units} 件", units=into.units) if into.code == "done" else into


def _locked(transfer_no: str) -> tuple[Transfer, list[TransferLine]]:
    """A transfer, locked, with its lines."""
    found = Transfer.objects.select_for_update(no_key=True, of=("self",)).select_related("source", "target")
    transfer = found.filter(transfer_no=transfer_no).first()
    if transfer is None:
        raise NotFound("找不到这张调拨单")
    return transfer, list(transfer.lines.select_related("sku").order_by("pk"))


def _key(transfer: Transfer, line: TransferLine) -> str:
    return transfer_key(transfer.transfer_no, line.sku.code)


def _check(units: Mapping[int, int], most: Mapping[int, int], lines: Sequence[TransferLine], word: str) -> None:
    if problem := quantities_problem(units, most, {line.sku_id: line.sku.code for line in lines}, word):
        raise BadTransfer(problem)


def _is_repeated(transfer: Transfer, version: int, state: str) -> bool:
    """Whether exactly this step was done on exactly this version before."""
    return transfer.state == state and transfer.version == version + 1


def _repeated(transfer: Transfer, were: Mapping[int, int], now: Mapping[int, int]) -> Transfer:
    """A repetition with other quantities is another decision, and comes too late."""
    if were != now:
        raise Stale
    return transfer


def _may_go(transfer: Transfer, version: int, state: str) -> None:
    if transfer.version != version:
        raise Stale
    if state not in TRANSITIONS[transfer.state]:
        raise NotNow(f"{transfer.transfer_no} {transfer.get_state_display()}，不能{WORDS[state]}")


def _go(transfer: Transfer, state: str, actor: str, at: datetime, reason: str = "") -> Transfer:
    """Write the step if nobody came between, and tell."""
    was, version = transfer.state, transfer.version
    transfer.state, transfer.version = state, version + 1
    names = ("state", "version", "expected_on", "approved_at", "shipped_at", "closed_at")
    same = Transfer.objects.filter(pk=transfer.pk, version=version, state=was)
    if not same.update(**{name: getattr(transfer, name) for name in names}):
        raise Stale
    _tell(transfer, was, actor, at, reason.strip()[:200])
    return transfer


def _tell(transfer: Transfer, was: str, actor: str, at: datetime, reason: str) -> None:
    fact = TransferMoved(
        transfer_no=transfer.transfer_no, source_node_id=transfer.source_id, target_node_id=transfer.target_id,
        was=was, state=transfer.state, reason=reason,
    )  # fmt: skip
    journal.record(fact, actor=actor, at=at)


def _tell_freed(transfer: Transfer, sku_ids: list[int], actor: str, at: datetime) -> None:
    """What was held is free again, so waiting orders may be routable now."""
    if sku_ids:
        journal.record(StockArrived(node_id=transfer.source_id, sku_ids=sorted(sku_ids)), actor=actor, at=at)


def find_needs(*, at: datetime) -> int:
    """Find what falls short and what is too much, every five minutes or when asked; returns how many changed. By the clock.

    Adding up the sales of every place takes longer than a page may. 100 SKUs per transaction, the
    1,000 most urgent places of each kind; only differences are written.
    """
    if not ledger.begin_check(name=StockCheck.Name.NEEDS, every=NEEDS_EVERY, at=at):
        return 0
    changed = sum(_find_needs(first, last, at) for first, last in ledger_queries.sku_ranges())
    ledger.end_check(name=StockCheck.Name.NEEDS, began_at=at)
    return changed


@transaction.atomic
def _find_needs(first: int, last: int, at: datetime) -> int:
    found = statements.read_needs(first, last, at, MOST_COVER_DAYS)
    kept, gone = dict[tuple[str, int], tuple[int, int]](), list[int]()
    rows = StockNeed.objects.filter(level__sku_id__gte=first, level__sku_id__lte=last)
    for pk, kind, level_id, *needs in rows.values_list("pk", "kind", "level_id", "rank", "lasts_days"):
        kept[(kind, level_id)] = (needs[0], needs[1])
        if (kind, level_id) not in found:
            gone.append(pk)
    changed = [
        StockNeed(kind=kind, level_id=level_id, rank=rank, lasts_days=lasts)
        for (kind, level_id), (rank, lasts) in sorted(found.items())
        if kept.get((kind, level_id)) != (rank, lasts)
    ]
    StockNeed.objects.filter(pk__in=gone).delete()
    StockNeed.objects.bulk_create(
        changed, update_conflicts=True, update_fields=["rank", "lasts_days"], unique_fields=["kind", "level"], batch_size=2_000
    )
    return len(changed) + len(gone)
