"""What the page of an imported file shows: how far it is, what it would do, and what became of it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from inventory.exchange import queries, rules
from inventory.exchange.models import StockFile, StockFileRow
from inventory.exchange.queries import Preview

_State, _RowState = StockFile.State, StockFileRow.State


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its name, and where its rows are listed."""

    name: str
    count: int
    link: str


@dataclass(frozen=True, slots=True)
class Column:
    """A thing that a row tells, and which column of the file was taken for it (None: none)."""

    role: str
    title: str
    is_needed: bool
    index: int | None


@dataclass(frozen=True, slots=True)
class Button:
    """A step that a person may take now."""

    step: str
    words: str
    variant: str
    question: str


def progress_of(file: StockFile) -> dict[str, Any]:
    """How many rows of how many, and per cent, of the work that goes on."""
    if file.state == _State.APPLYING:
        done, of = file.done_rows, file.total_rows - file.bad_rows
    elif file.state == _State.UNDOING:
        counts = queries.rows_by_state(file)
        done = counts.get(_RowState.UNDONE, 0) + counts.get(_RowState.KEPT, 0)
        of = done + counts.get(_RowState.DONE, 0)
    else:
        done, of = file.read_to, file.total_rows
    done = min(done, of)
    return {"done": done, "of": of, "percent": 100 * done // of if of else 0}


def faults_of(file: StockFile) -> list[Figure]:
    """Bad rows by what is wrong with them, the most frequent first."""
    counts = queries.rows_by_fault(file)
    return [Figure(rules.FAULTS[rules.Fault(fault)], count, _rows_with(file, fault=fault)) for fault, count in counts.items()]


def results_of(file: StockFile) -> list[Figure]:
    """Rows by what became of them, in the order of the states."""
    counts = queries.rows_by_state(file)
    return [Figure(state.label, counts[state], _rows_with(file, state=state)) for state in _RowState if state in counts]


def _rows_with(file: StockFile, **what: str) -> str:
    wanted = {"file__id__exact": file.pk, **{f"{name}__exact": value for name, value in what.items()}}
    return f"{reverse('admin:inventory_stockfilerow_changelist')}?{urlencode(wanted)}"


def columns_of(file: StockFile) -> list[Column]:
    needed, useful = rules.COLUMNS[file.purpose]
    return [
        Column(role, rules.title_of(role, file.purpose), role in needed, file.columns.get(role)) for role in (*needed, *useful)
    ]


def buttons_of(file: StockFile) -> list[Button]:
    """The steps that are open to a person now, the one most likely meant first."""
    if file.state == _State.APPLIED:
        return [Button("undo", "撤销", "danger", "确定撤销这次导入？已被预占或已出库的不会撤销。")]
    drop = Button("drop", "放弃", "default", "确定放弃这个文件？")
    if file.state in {_State.UPLOADED, _State.READING}:
        return [drop]
    if file.state != _State.READY:
        return []
    good = file.total_rows - file.bad_rows if file.read_to else 0
    apply = Button("apply", f"执行 {good:,} 行（仅正确行）", "primary", f"确定执行 {good:,} 行？")
    return [apply, drop] if good > 0 else [drop]


def preview_of(file: StockFile, limit: int) -> dict[str, Any]:
    """The first rows as a table: the cells that count, as they were given, and what they would do."""
    columns = [column for column in columns_of(file) if column.index is not None]
    rows = [
        [
            shown.row.number,
            *(_cell(shown.row.cells, column.index) for column in columns),
            _both(shown.now, shown.target_now),
            _both(shown.after, shown.target_after),
            _verdict(shown),
        ]
        for shown in queries.preview(file, limit)
    ]
    both = "（调出 / 调入）" if file.purpose == StockFile.Purpose.TRANSFER else ""
    return {"headers": ["行号", *(column.title for column in columns), f"现有库存{both}", f"执行后{both}", "说明"], "rows": rows}


def _cell(cells: list[str], index: int | None) -> str:
    return cells[index] if index is not None and index < len(cells) else ""


def _both(here: int | None, there: int | None) -> str:
    if here is None:
        return "—"
    return f"{here:,}" if there is None else f"{here:,} / {there:,}"


def _verdict(shown: Preview) -> str:
    """What is wrong with the row, also when it could not be done as things stand now."""
    if shown.row.problem:
        return shown.row.problem
    return "现有库存不够" if shown.after is not None and shown.after < 0 else "正确"
