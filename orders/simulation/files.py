"""A what-if file read: which orders it describes, or what is wrong with it. Pure but for what it is given."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from oms_project.refusal import Refusal

COLUMNS = {
    "address": ("地址", "收货地址", "区划", "区划代码", "地区", "address", "division"),
    "code": ("商品", "商品编码", "商家编码", "sku", "sku编码", "编码", "code", "item"),
    "quantity": ("数量", "件数", "quantity", "qty"),
    "order": ("单号", "订单号", "order", "orderno"),
    "channel": ("渠道", "channel"),
    "live": ("直播场次", "场次", "live", "livesession"),
}
NEEDED = ("address", "code")
TITLES = ("单号", "地址", "渠道", "商品编码", "数量", "直播场次")
MOST_TOLD = 20
_SPACES = re.compile(r"[\s_\-*:：]|[(（].*?[)）]")
_ROLE_OF = {alias: role for role, aliases in COLUMNS.items() for alias in aliases}
Wanted = list[list[object]]  # [order no, division, channel, live session, [[code, quantity], …]]


class WrongFile(Refusal):
    """The file cannot be taken; the message names the rows."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a file may name: codes for sale, channels by code and by name, and a reader of addresses (raises Refusal)."""

    codes: Collection[str]
    channels: dict[str, str]
    division_of: Callable[[str], str]


def role_of(title: str) -> str:
    return _ROLE_OF.get(_SPACES.sub("", normalize("NFKC", title)).lower(), "")


def header_of(rows: Sequence[Sequence[str]]) -> int:
    """Which row is the header: the one that says most to us."""
    return max(range(len(rows)), key=lambda index: (sum(bool(role_of(cell)) for cell in rows[index]), -index))


def columns_of(header: Sequence[str]) -> dict[str, int]:
    """Role → column. Raises WrongFile when what is needed is missing."""
    found: dict[str, int] = {}
    for index, title in enumerate(header):
        if role := role_of(title):
            found.setdefault(role, index)
    if lacking := [COLUMNS[role][0] for role in NEEDED if role not in found]:
        raise WrongFile(f"表头缺少这些列：{'、'.join(lacking)}")
    return found


def codes_of(rows: Sequence[tuple[int, list[str]]], columns: dict[str, int]) -> set[str]:
    return {cells[columns["code"]].strip() for _, cells in rows} - {""}


def wanted_of(rows: Sequence[tuple[int, list[str]]], columns: dict[str, int], known: Known, most_orders: int) -> Wanted:
    """The orders in the order of the rows; rows with one number are one order. Raises WrongFile, naming rows."""
    orders: dict[str, list[object]] = {}
    wrong: list[str] = []
    divisions: dict[str, str] = {}
    for number, cells in rows:
        told = {role: cells[index].strip() for role, index in columns.items()}
        key = told.get("order") or f"假设{number}"
        try:
            order = orders.get(key)
            if order is None:
                address = told["address"]
                if address not in divisions:
                    divisions[address] = known.division_of(address)
                order = orders[key] = [key[:40], divisions[address], _channel(told, known), told.get("live", "")[:40], []]
            lines = order[4]
            assert isinstance(lines, list)
            lines.append([_code(told, known), _quantity(told)])
        except Refusal as refusal:
            wrong.append(f"第 {number} 行：{refusal.message}")
            if len(wrong) == MOST_TOLD:
                break
    if wrong:
        raise WrongFile("；".join(wrong))
    if not orders:
        raise WrongFile("文件里没有订单")
    if len(orders) > most_orders:
        raise WrongFile(f"文件有 {len(orders):,} 单，最多 {most_orders:,} 单")
    return list(orders.values())


def _code(told: dict[str, str], known: Known) -> str:
    if told["code"] not in known.codes:
        raise WrongFile(f"没有商品或 SKU {told['code'][:40] or '（空）'}")
    return told["code"]


def _quantity(told: dict[str, str]) -> int:
    text = normalize("NFKC", told.get("quantity", "")) or "1"
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise WrongFile(f"数量“{text[:20]}”应为 1 到 9999 的整数")
    return int(text)


def _channel(told: dict[str, str], known: Known) -> str:
    name = told.get("channel", "")
    if not name:
        return next(iter(known.channels.values()))
    if name not in known.channels:
        raise WrongFile(f"没有渠道 {name[:20]}")
    return known.channels[name]
