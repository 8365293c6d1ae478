"""A spreadsheet's way into the ledger: kept, read in chunks, confirmed by a person, applied in chunks, and taken back.

Every chunk is one transaction that first raises the file's version from the one it had seen (compare-and-swap), so two
workers never do the same chunk and a worker may be killed anywhere: what is not committed is done again from `read_to`,
or from the rows that still wait. Lock order: the file, then levels by id.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson
from django.db import InterfaceError, OperationalError, transaction
from django.utils.timezone import get_current_timezone, localtime

from inventory.exchange import queries, rules, statements
from inventory.exchange.adapters import any_file
from inventory.exchange.adapters.sheet import Row, Unreadable
from inventory.exchange.models import StockFile, StockFileRow
from inventory.exchange.rules import Bad, Balance, Item, Line, Reading
from inventory.exchange.statements import NewRow, Settled
from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement, Report, RowResult
from oms_project.refusal import Refusal, Stale

log = logging.getLogger("yipan.exchange")

CHUNK = 2_000
TRANSFER_CHUNK = 1_000  # two movements each
WORK_SECONDS = 15.0  # of one call; a file that takes longer is gone on with at the next
SAME_FILE_WITHIN = timedelta(days=1)
_NAME_KEPT = 200
_TITLE_SHOWN = 20

_State, _RowState = StockFile.State, StockFileRow.State
_KINDS = {StockFile.Purpose.STOCK.value: "report", StockFile.Purpose.COUNT.value: "count"}  # of what says how much there is


class AlreadyUploaded(Refusal):
    """The same bytes came for the same purpose within a day; the person has to say that it is meant."""


class WrongColumns(Refusal):
    """The columns that were chosen do not tell what the purpose needs."""


class NothingToDo(Refusal):
    """There is no row that could be applied or taken back."""


class _Overtaken(Exception):
    """Another worker, or a person, was faster with this file."""


@transaction.atomic
def upload(
    *, body: bytes, name: str, purpose: str, actor: str, at: datetime, counted_at: datetime | None = None, is_meant: bool = False
) -> StockFile:
    """Keep a file to be read. Raises Unreadable, and AlreadyUploaded unless `is_meant`.

    `counted_at` is when the figures were true, for rows that do not say so themselves; empty means now.
    """
    if purpose not in rules.COLUMNS:
        raise Refusal("请选择用途")
    if counted_at is not None and counted_at > at + rules.CLOCKS_DIFFER:
        raise Refusal("数据时间不能晚于现在")
    any_file.check(body)
    digest = hashlib.sha256(body).hexdigest()
    same = queries.same_file(digest=digest, purpose=purpose, since=at - SAME_FILE_WITHIN)
    if same and not is_meant:
        when = f"{localtime(same.uploaded_at):%m-%d %H:%M}"
        raise AlreadyUploaded(f"内容相同的文件已于 {when} 上传，导入单号 {same.file_no}；如确需再次导入，请勾选“内容相同也上传”")
    return StockFile.objects.create(
        file_no=f"DR{localtime(at):%Y%m%d%H%M%S}{uuid4().hex[:4].upper()}",
        purpose=purpose,
        name=name[-_NAME_KEPT:],
        digest=digest,
        body=body,
        counted_at=counted_at,
        actor=actor,
        uploaded_at=at,
    )


@transaction.atomic
def set_columns(*, file: StockFile, version: int, columns: Mapping[str, int]) -> None:
    """Read the file again with these columns (role → index). Raises WrongColumns and Stale."""
    if lacking := rules.missing(columns, file.purpose):
        raise WrongColumns(f"请选择这些列：{'、'.join(lacking)}")
    if len(set(columns.values())) < len(columns):
        raise WrongColumns("同一列不能用于两项")
    if any(not 0 <= index < len(file.header) for index in columns.values()):
        raise WrongColumns("选择的列不在文件中")
    known = {role for part in rules.COLUMNS[file.purpose] for role in part}
    kept = {role: index for role, index in columns.items() if role in known}
    _turn(file, version, (_State.READING, _State.READY), _State.READING, columns=kept, read_to=0, bad_rows=0, problem="")
    statements.delete_rows(file.pk)


@transaction.atomic
def apply_file(*, file: StockFile, version: int, actor: str) -> None:
    """A person has seen the preview: the good rows go to the ledger. Raises NothingToDo and Stale."""
    if not file.rows.filter(state=_RowState.READY).exists():
        raise NothingToDo("没有可以执行的行")
    _turn(file, version, (_State.READY,), _State.APPLYING, ordered_by=actor, done_rows=0)


@transaction.atomic
def drop_file(*, file: StockFile, version: int, actor: str) -> None:
    """Give up a file before it is applied; its content goes, that it was there stays. Raises Stale."""
    before = (_State.UPLOADED, _State.READING, _State.READY, _State.REFUSED)
    _turn(file, version, before, _State.DROPPED, ordered_by=actor, body=None)
    statements.delete_rows(file.pk)


@transaction.atomic
def undo_file(*, file: StockFile, version: int, actor: str) -> None:
    """Take back what the file changed, row by row, as far as the units are still free. Raises NothingToDo and Stale."""
    if not file.rows.filter(state=_RowState.DONE).exists():
        raise NothingToDo("没有可以撤销的行")
    _turn(file, version, (_State.APPLIED,), _State.UNDOING, ordered_by=actor)


def _turn(file: StockFile, version: int, before: Sequence[str], after: str, **changes: Any) -> None:
    """Move a file on if it is as the person saw it. Raises Stale."""
    seen = StockFile.objects.filter(pk=file.pk, version=version, state__in=before)
    if not seen.update(state=after, version=version + 1, **changes):
        raise Stale


def work_on_files(*, at: datetime) -> int:
    """Read, apply and take back what waits, for about WORK_SECONDS; returns how many rows were dealt with.

    The time counts from the first chunk: what it takes to find the row to go on from must not eat up the time for going on.
    One file that fails stops no other. What a killed worker had begun is gone on with.
    """
    ends, done = None, 0
    for file_id in queries.files_to_work_on():
        try:
            for count in _work_on(StockFile.objects.get(pk=file_id), at):
                done += count
                ends = ends or time.monotonic() + WORK_SECONDS
                if time.monotonic() >= ends:
                    return done
        except (_Overtaken, StockFile.DoesNotExist):
            continue
        except Exception:
            log.exception("file %s failed", file_id)
    return done


def _work_on(file: StockFile, at: datetime) -> Iterator[int]:
    """One chunk after the other until the file waits for a person; yields the rows of each."""
    if file.state in {_State.UPLOADED, _State.READING}:
        try:
            if file.state == _State.UPLOADED:
                _begin(file)
            if file.state == _State.READING:
                yield from _read(file)
        except Unreadable as refusal:
            _refuse(file, refusal.message)
        except (_Overtaken, OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("file %s cannot be read", file.file_no)
            file.refresh_from_db(fields=["version", "state"])
            _refuse(file, f"读取时出错（{type(error).__name__}），请联系管理员")
    step = _STEPS.get(file.state)
    while step and (count := step(file, at)):
        yield count


def _swap(file: StockFile, **changes: Any) -> None:
    """Change the file if nobody else did since it was read. Raises _Overtaken."""
    seen = StockFile.objects.filter(pk=file.pk, version=file.version, state=file.state)
    if not seen.update(version=file.version + 1, **changes):
        raise _Overtaken
    file.version += 1
    for name, value in changes.items():
        setattr(file, name, value)


@transaction.atomic
def _refuse(file: StockFile, why: str) -> None:
    _swap(file, state=_State.REFUSED, problem=why[:300], body=None)
    statements.delete_rows(file.pk)


def _begin(file: StockFile) -> None:
    """Measure the file and recognise its columns; one that lacks some waits for a person to say which they are.

    Nothing is locked meanwhile: to measure the largest files takes seconds.
    """
    body = bytes(file.body or b"")
    total = any_file.count_rows(body, rules.header_of)
    header = any_file.open_table(body, rules.header_of).header
    columns = rules.recognise(header, file.purpose)
    lacking = rules.missing(columns, file.purpose)
    _note(
        file,
        header=header,
        columns=columns,
        total_rows=total,
        state=_State.READY if lacking else _State.READING,
        problem=f"没有认出这些列：{'、'.join(lacking)}，请选择" if lacking else "",
    )


@transaction.atomic
def _note(file: StockFile, **changes: Any) -> None:
    _swap(file, **changes)


def _read(file: StockFile) -> Iterator[int]:
    """Understand and keep the rows below `read_to`."""
    table = any_file.open_table(bytes(file.body or b""), rules.header_of)
    titles = {role: rules.title_of(role, file.purpose) for role in rules.ROLES}
    titles |= {role: table.header[index][:_TITLE_SHOWN] for role, index in file.columns.items() if table.header[index]}
    reading = Reading(file.purpose, file.columns, titles, get_current_timezone(), file.uploaded_at)
    known = _Known({}, {}, queries.places_seen(file))
    rows = (row for row in table.rows if row[0] > file.read_to)
    while chunk := list(islice(rows, CHUNK)):
        _keep(file, _understand(file.pk, chunk, reading, known), chunk[-1][0])
        yield len(chunk)
    _finish_reading(file)


@dataclass(slots=True)
class _Known:
    """What was looked up so far while reading one file."""

    nodes: dict[str, int]
    items: dict[str, Item]
    seen: dict[int, int]


def _understand(file_id: int, chunk: Sequence[Row], reading: Reading, known: _Known) -> list[NewRow]:
    roles = ("node", "target") if reading.purpose == StockFile.Purpose.TRANSFER else ("node",)
    codes = {reading.cell(cells, role) for _, cells in chunk for role in roles}
    known.nodes |= queries.nodes_by_code(codes - known.nodes.keys())
    codes = {reading.cell(cells, "sku") for _, cells in chunk}
    known.items |= queries.items_by_code(codes - known.items.keys())
    rows: list[NewRow] = []
    for number, cells in chunk:
        text = orjson.dumps(cells).decode()
        try:
            line = reading.read(number, cells, known.nodes, known.items, known.seen)
        except Bad as bad:
            bad_row = (None, None, None, None, None, "", text, _RowState.BAD.value, bad.fault.value, bad.words)
            rows.append((file_id, number, *bad_row))
        else:
            rows.append((file_id, number, *_columns_of(line), text, _RowState.READY.value, "", ""))
    return rows


def _columns_of(line: Line) -> tuple[int, int | None, int, int, datetime | None, str]:
    return line.node_id, line.target_id, line.sku_id, line.quantity, line.measured_at, line.reason


@transaction.atomic
def _keep(file: StockFile, rows: Sequence[NewRow], read_to: int) -> None:
    bad = sum(row[-3] == _RowState.BAD for row in rows)
    _swap(file, read_to=read_to, bad_rows=file.bad_rows + bad)
    statements.insert_rows(rows)


@transaction.atomic
def _finish_reading(file: StockFile) -> None:
    total = file.rows.count()
    _swap(file, state=_State.READY, total_rows=total, problem="" if total else "表头下面没有数据")


@transaction.atomic
def _apply_chunk(file: StockFile, at: datetime) -> int:
    """The next rows that wait go to the ledger; after the last one the file itself is let go."""
    size = TRANSFER_CHUNK if file.purpose == StockFile.Purpose.TRANSFER else CHUNK
    rows = list(file.rows.filter(state=_RowState.READY).order_by("number").defer("cells")[:size])
    if not rows:
        _swap(file, state=_State.APPLIED, applied_at=at, body=None)
        return 0
    _swap(file, done_rows=file.done_rows + len(rows))
    kind = _KINDS.get(file.purpose)
    statements.settle_rows(_reported(file, rows, kind, at) if kind else _moved(file, rows, at))
    return len(rows)


def _reported(file: StockFile, rows: Sequence[StockFileRow], kind: str, at: datetime) -> list[Settled]:
    """What stands there becomes what the rows say was there when it was looked at."""
    when = file.counted_at or file.uploaded_at
    reports = [
        Report(
            row.node_id or 0, row.sku_id or 0, row.quantity or 0, row.measured_at or when, f"import:{file.file_no}:{row.number}"
        )
        for row in rows
    ]
    results = ledger.report(rows=reports, kind=kind, actor=file.ordered_by, at=at)
    return [(row.pk, *_became(result)) for row, result in zip(rows, results, strict=True)]


def _became(result: RowResult) -> tuple[str, int, str]:
    if not result.is_good:
        return _RowState.FAILED.value, 0, result.message[:200]
    if result.lacking:
        return _RowState.DONE.value, result.units, result.message[:200]
    return (_RowState.DONE if result.units else _RowState.SAME).value, result.units, ""


def _moved(file: StockFile, rows: Sequence[StockFileRow], at: datetime) -> list[Settled]:
    """The units of changes and transfers are moved, row by row."""
    refused = _post([_moves(file, row) for row in rows], file.ordered_by, at)
    return [
        (row.pk, _RowState.FAILED.value, 0, refused[position])
        if position in refused
        else (row.pk, _RowState.DONE.value, row.quantity or 0, "")
        for position, row in enumerate(rows)
    ]


def _moves(file: StockFile, row: StockFileRow, *, back: bool = False) -> list[NewMovement]:
    """What a row of a change or transfer posts, or with `back` what takes a row of any file back."""
    units, sku_id = row.change if back else row.quantity or 0, row.sku_id or 0
    key = f"{'undo' if back else 'import'}:{file.file_no}:{row.number}"
    reason = f"撤销导入 {file.file_no} 第 {row.number} 行" if back else row.reason or f"导入 {file.file_no} 第 {row.number} 行"
    if row.target_id is not None:
        source, target = (row.target_id, row.node_id) if back else (row.node_id, row.target_id)
        return [
            NewMovement(source or 0, sku_id, "transfer_out", -units, f"{key}:out", reason),
            NewMovement(target or 0, sku_id, "transfer_in", units, f"{key}:in", reason),
        ]
    kind = "adjustment" if back or units < 0 else "receipt"
    return [NewMovement(row.node_id or 0, sku_id, kind, -units if back else units, key, reason)]


def _post(groups: Sequence[Sequence[NewMovement]], actor: str, at: datetime) -> dict[int, str]:
    """Post each group as a whole or not at all, in their order; position → why not, of those that were refused."""
    if all(len(group) == 1 for group in groups):
        results = ledger.post_rows(movements=[group[0] for group in groups], actor=actor, at=at)
        return {position: result.message[:200] for position, result in enumerate(results) if not result.is_good}
    refused = _misfits(groups)
    fitting = [position for position in range(len(groups)) if position not in refused]
    try:
        if fitting:
            ledger.post(movements=[move for position in fitting for move in groups[position]], actor=actor, at=at)
    except Refusal:
        for position in fitting:
            try:
                ledger.post(movements=groups[position], actor=actor, at=at)
            except Refusal as refusal:
                refused[position] = refusal.message[:200]
    return refused


def _misfits(groups: Sequence[Sequence[NewMovement]]) -> dict[int, str]:
    """Lock all places, and say which groups do not fit when one is posted after the other."""
    places = sorted({move.place for group in groups for move in group})
    standing = {place: Balance(*figures) for place, figures in statements.lock_standing(places).items()} if places else {}
    refused: dict[int, str] = {}
    for position, group in enumerate(groups):
        balances = [standing.setdefault(move.place, Balance()) for move in group]
        reasons = [balance.why_not(move.quantity) for balance, move in zip(balances, group, strict=True)]
        if why := "；".join(filter(None, reasons)):
            refused[position] = why
            continue
        for balance, move in zip(balances, group, strict=True):
            balance.on_hand += move.quantity
    return refused


@transaction.atomic
def _undo_chunk(file: StockFile, at: datetime) -> int:
    """The next rows that were applied are taken back, or kept when their units are promised or gone."""
    size = TRANSFER_CHUNK if file.purpose == StockFile.Purpose.TRANSFER else CHUNK
    rows = list(file.rows.filter(state=_RowState.DONE).order_by("number").defer("cells")[:size])
    if not rows:
        kept = file.rows.filter(state=_RowState.KEPT).count()
        _swap(file, state=_State.UNDONE, problem=f"{kept:,} 行未能撤销" if kept else "")
        return 0
    _swap(file)
    moved = [row for row in rows if row.change]
    refused = _post([_moves(file, row, back=True) for row in moved], file.ordered_by, at)
    settled: list[Settled] = [(row.pk, _RowState.UNDONE.value, 0, "") for row in rows if not row.change]
    for position, row in enumerate(moved):
        if why := refused.get(position, ""):
            settled.append((row.pk, _RowState.KEPT.value, row.change, f"已被预占或已出库：{why}"[:200]))
        else:
            settled.append((row.pk, _RowState.UNDONE.value, row.change, ""))
    statements.settle_rows(settled)
    return len(rows)


_STEPS: dict[str, Callable[[StockFile, datetime], int]] = {_State.APPLYING: _apply_chunk, _State.UNDOING: _undo_chunk}
