"""How a row of a spreadsheet is understood: which column is what, what a number is, and how to say what is wrong.

Pure: text in, values or Chinese sentences out. A message names the column as the file names it, and the value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from unicodedata import normalize

from inventory.ledger.rules import MOST_UNITS

ROLES = {
    "node": "仓库编码",
    "target": "调入仓",
    "sku": "SKU",
    "quantity": "数量",
    "measured_at": "数据时间",
    "reason": "备注",
}
_COUNTED = (("node", "sku", "quantity"), ("measured_at", "reason"))
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # purpose: needed, useful
    "stock": _COUNTED,
    "count": _COUNTED,
    "change": (("node", "sku", "quantity"), ("reason",)),
    "transfer": (("node", "target", "sku", "quantity"), ("reason",)),
}
_ALIASES: dict[str, str] = {
    "node": "仓库编码 仓库 仓库代码 仓库编号 仓库号 仓编码 仓 门店编码 门店 节点 节点编码 调出仓 调出仓库 调出仓编码 发货仓 源仓 "
    "node nodecode warehouse warehousecode location locationcode store storecode from fromnode source",
    "target": "调入仓 调入仓库 调入仓编码 目的仓 目标仓 收货仓 to tonode target destination",
    "sku": "sku sku编码 sku码 sku代码 skuid 商品编码 商品编号 商品代码 货号 物料编码 物料号 商家编码 产品编码 货品编码 "
    "skucode itemcode item productcode product",
    "quantity": "数量 库存 库存数量 库存数 在库 在库数量 在库数 实盘 实盘数量 实盘数 盘点数量 盘点数 可用库存 现有库存 件数 增减 "
    "增减数量 变动数量 出入库数量 调拨数量 调拨数 qty quantity stock onhand count units change",
    "measured_at": "数据时间 盘点时间 上报时间 更新时间 时间 日期 date time datetime measuredat reportedat updatedat asof",
    "reason": "备注 原因 说明 摘要 reason note notes remark remarks memo comment",
}
_ROLE_OF = {alias: role for role, aliases in _ALIASES.items() for alias in aliases.split()}
_NOT_TOLD = re.compile(r"[\s_\-*:：]|[(（\[【].*?[)）\]】]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_MOST_DIGITS = len(str(MOST_UNITS))
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d")
_HOURS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M", " %H点%M分", "%H:%M", "%H:%M:%S")
_SHOWN = 40  # characters of a value in a message
_LONGEST = 200
_LONGEST_REASON = 120
CLOCKS_DIFFER = timedelta(minutes=10)  # what a file may be ahead of us
UNREADABLE = "\ufffd"


class Fault(StrEnum):
    """What is wrong with a row, for counting; a row with several faults counts under its first."""

    TEXT = "text"
    NODE = "node"
    TARGET = "target"
    SKU = "sku"
    QUANTITY = "quantity"
    TIME = "time"
    REPEATED = "repeated"


FAULTS = {
    Fault.TEXT: "文字无法识别",
    Fault.NODE: "仓库有误",
    Fault.TARGET: "调入仓有误",
    Fault.SKU: "SKU 有误",
    Fault.QUANTITY: "数量有误",
    Fault.TIME: "数据时间有误",
    Fault.REPEATED: "重复",
}


class Bad(Exception):
    """A row cannot be used: its first fault, and all of them in words."""

    def __init__(self, faults: Sequence[tuple[Fault, str]]) -> None:
        super().__init__("；".join(words for _, words in faults))
        self.fault = faults[0][0]
        self.words = str(self)[:_LONGEST]


@dataclass(frozen=True, slots=True)
class Item:
    """A SKU as far as a row needs to know it; `kind` is a Sku.Kind value."""

    id: int
    kind: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A good row. `target_id` is for transfers only; `measured_at` None means the time of the file."""

    number: int
    node_id: int
    target_id: int | None
    sku_id: int
    quantity: int
    measured_at: datetime | None
    reason: str

    @property
    def place(self) -> int:
        """One number for what a file may name once: (from, to, SKU); ids are below 2^40."""
        return (self.node_id << 80) | ((self.target_id or 0) << 40) | self.sku_id


def role_of(title: str) -> str:
    """What a column's title says it is; '' when it says nothing to us."""
    return _ROLE_OF.get(_NOT_TOLD.sub("", normalize("NFKC", title)).lower(), "")


def recognise(header: Sequence[str], purpose: str) -> dict[str, int]:
    """Role → index of its column; of two columns with one role the first is taken."""
    needed, useful = COLUMNS[purpose]
    found: dict[str, int] = {}
    for index, title in enumerate(header):
        role = role_of(title)
        if role in needed or role in useful:
            found.setdefault(role, index)
    return found


def header_of(rows: Sequence[Sequence[str]]) -> int:
    """Which of the first rows is the header: the one with most titles that we know, else the first."""
    known = [len({role_of(cell) for cell in cells} - {""}) for cells in rows]
    return known.index(max(known))


def missing(columns: Mapping[str, int], purpose: str) -> list[str]:
    """The Chinese names of the columns that a file of this purpose cannot do without and has not."""
    return [title_of(role, purpose) for role in COLUMNS[purpose][0] if role not in columns]


def title_of(role: str, purpose: str) -> str:
    if purpose == "transfer" and role == "node":
        return "调出仓"
    return "增减数量" if purpose == "change" and role == "quantity" else ROLES[role]


def whole_units(text: str, title: str) -> int:
    """A whole number of units, exactly as written. Raises ValueError with the Chinese sentence."""
    told = normalize("NFKC", text).replace("−", "-").strip()
    if told.isascii() and told.isdigit() and len(told) < _MOST_DIGITS:
        return int(told)
    if not told:
        raise ValueError(f"{title}为空")
    if _GROUPED.fullmatch(told):
        told = told.replace(",", "")
    if not _NUMBER.fullmatch(told):
        raise ValueError(f"{title}{_quoted(text)}不是数字")
    value = Decimal(told)
    if value and (value.adjusted() > _MOST_DIGITS or abs(value) > MOST_UNITS):
        raise ValueError(f"{title}{_quoted(text)}超过上限 {MOST_UNITS:,}")
    if value != value.to_integral_value():
        raise ValueError(f"{title}{_quoted(text)}不是整数")
    return int(value)


def moment(text: str, title: str, zone: tzinfo, latest: datetime) -> datetime | None:
    """A day or a time as people write it, in `zone` unless it says otherwise; None when empty. Raises ValueError."""
    told = " ".join(normalize("NFKC", text).split())
    if not told:
        return None
    value = _moment(told)
    if value is None:
        raise ValueError(f"{title}{_quoted(text)}不是时间，请写成 2026-11-25 08:00")
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    if value > latest + CLOCKS_DIFFER:
        raise ValueError(f"{title}{_quoted(text)}晚于上传时间")
    return value


def _moment(told: str) -> datetime | None:
    for form in (day + hour for day in _DATES for hour in _HOURS):
        try:
            return datetime.strptime(told, form)  # noqa: DTZ007 - the zone is added by who asks
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(told) if len(told) > len("2026-11-25") else None
    except ValueError:
        return None


def _quoted(text: str) -> str:
    told = " ".join(text.split())
    return f"“{told[:_SHOWN]}…”" if len(told) > _SHOWN else f"“{told}”"


@dataclass(frozen=True, slots=True)
class Reading:
    """All that rows of one file are read by. Titles are those of the file; codes are looked up beforehand."""

    purpose: str
    columns: Mapping[str, int]
    titles: Mapping[str, str]
    zone: tzinfo
    latest: datetime

    def cell(self, cells: Sequence[str], role: str) -> str:
        index = self.columns.get(role)
        return cells[index].strip() if index is not None and index < len(cells) else ""

    def read(
        self, number: int, cells: Sequence[str], nodes: Mapping[str, int], items: Mapping[str, Item], seen: dict[int, int]
    ) -> Line:
        """The row as a Line; its place is put into `seen` (place → number of the row). Raises Bad."""
        if any(UNREADABLE in cell for cell in cells):
            broken = next(cell for cell in cells if UNREADABLE in cell)
            raise Bad([(Fault.TEXT, f"{_quoted(broken)}中有无法识别的文字，请把文件另存为 UTF-8 编码的 CSV")])
        faults: list[tuple[Fault, str]] = []
        node_id = self._node(cells, "node", nodes, faults)
        target_id = self._node(cells, "target", nodes, faults) if self.purpose == "transfer" else None
        if node_id is not None and node_id == target_id:
            faults.append((Fault.TARGET, f"{self.titles['target']}{_quoted(self.cell(cells, 'target'))}与调出仓相同"))
        sku_id = self._sku(cells, items, faults)
        quantity = self._quantity(cells, faults)
        measured_at = None
        try:
            if text := self.cell(cells, "measured_at"):
                measured_at = moment(text, self.titles["measured_at"], self.zone, self.latest)
        except ValueError as error:
            faults.append((Fault.TIME, str(error)))
        if faults or node_id is None or sku_id is None:
            raise Bad(faults)
        reason = self.cell(cells, "reason")[:_LONGEST_REASON]
        line = Line(number, node_id, target_id, sku_id, quantity, measured_at, reason)
        first = seen.setdefault(line.place, number)
        if first != number:
            what = f"{self.titles['node']}{_quoted(self.cell(cells, 'node'))}、SKU{_quoted(self.cell(cells, 'sku'))}"
            raise Bad([(Fault.REPEATED, f"{what}与第 {first} 行重复")])
        return line

    def _node(self, cells: Sequence[str], role: str, nodes: Mapping[str, int], faults: list[tuple[Fault, str]]) -> int | None:
        code = self.cell(cells, role)
        node_id = nodes.get(code)
        if node_id is None:
            words = f"{self.titles[role]}{_quoted(code)}不存在" if code else f"{self.titles[role]}为空"
            faults.append((Fault(role), words))
        return node_id

    def _sku(self, cells: Sequence[str], items: Mapping[str, Item], faults: list[tuple[Fault, str]]) -> int | None:
        code, title = self.cell(cells, "sku"), self.titles["sku"]
        item = items.get(code)
        wrong = ""
        if item is None:
            wrong = f"{title}{_quoted(code)}不存在" if code else f"{title}为空"
        elif item.kind != "physical":
            wrong = f"{title}{_quoted(code)}是{'虚拟商品' if item.kind == 'virtual' else '服务'}，没有库存"
        elif not item.is_active:
            wrong = f"{title}{_quoted(code)}已停用"
        if wrong:
            faults.append((Fault.SKU, wrong))
        return item.id if item else None

    def _quantity(self, cells: Sequence[str], faults: list[tuple[Fault, str]]) -> int:
        text, title = self.cell(cells, "quantity"), self.titles["quantity"]
        try:
            units = whole_units(text, title)
        except ValueError as error:
            faults.append((Fault.QUANTITY, str(error)))
            return 0
        if units < 0 and self.purpose != "change":
            faults.append((Fault.QUANTITY, f"{title}{_quoted(text)}不能为负数"))
        elif units == 0 and self.purpose in {"change", "transfer"}:
            faults.append((Fault.QUANTITY, f"{title}{_quoted(text)}不能为 0"))
        return units


@dataclass(slots=True)
class Balance:
    """What stands at a place while the rows of a chunk are tried one after the other."""

    on_hand: int = 0
    held: int = 0

    def why_not(self, units: int) -> str:
        """Why `units` cannot be added (negative: taken); '' when they can."""
        after = self.on_hand + units
        if after > MOST_UNITS:
            return f"在库将达到 {after:,}，超过上限 {MOST_UNITS:,}"
        if units < 0 and after < self.held:
            return f"在库 {self.on_hand}，已预占 {self.held}，不能减少 {-units}"
        return ""
