"""What is posted to the stock ledger, as plain values, and what may be posted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from inventory.ledger.shares import Spot

MOST_UNITS = 1_000_000_000  # more than this at one place is a typing error
MOST_ROWS = 5_000  # of one call
MOST_AHEAD = timedelta(minutes=5)  # how far the clock of somebody else may be ahead of ours
_MOST_ID = 2**63 - 1
_LONGEST = 120  # of a key and of a reason
_CHINA = timezone(timedelta(hours=8))

Place = tuple[int, int]
WAYS = ("movement", "counter", "held")  # in which the figures of a stock row can be repaired
Content = tuple[int, int, str, int]  # node_id, sku_id, kind, quantity


def free_units(
    on_hand: int, held: int, safety_stock: int, share_percent: int = 100, share_cap: int | None = None, keep_back: int = 0
) -> int:
    """What may still be promised at one place; negative when more is promised than the rules allow now.

    The shared part of the stock, min(在库 × 共享比例, 共享上限, 在库 − 自留), less 预占 and 安全库存.
    The same formula stands as SQL in statements.FREE.
    """
    shared = min(on_hand * share_percent // 100, on_hand - keep_back)
    if share_cap is not None:
        shared = min(shared, share_cap)
    return shared - held - safety_stock


@dataclass(frozen=True, slots=True)
class NewMovement:
    """One change of on_hand: positive in, negative out. `kind` is a Movement.Kind value."""

    node_id: int
    sku_id: int
    kind: str
    quantity: int
    source_key: str
    reason: str = ""

    @property
    def place(self) -> Place:
        return (self.node_id, self.sku_id)

    @property
    def content(self) -> Content:
        """What a repetition under the same key must repeat."""
        return (self.node_id, self.sku_id, self.kind, self.quantity)


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody counted: so many units stood there at `measured_at`."""

    node_id: int
    sku_id: int
    quantity: int
    measured_at: datetime
    source_key: str

    @property
    def place(self) -> Place:
        return (self.node_id, self.sku_id)

    @property
    def told(self) -> str:
        """The figure and its time as the movement's reason keeps them; a repetition must say the same."""
        return f"实数 {self.quantity}，{shown(self.measured_at)}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A locked stock row: what stands there, what of it is promised, and when somebody last confirmed it."""

    spot: Spot
    level_id: int
    on_hand: int
    held: int
    reported_at: datetime | None
    fresh_until: datetime | None


Shelf = Mapping[Place, Standing]


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row: done, same (said before), short (done, but promised units are lacking), stale or refused.

    `units` is the change of on_hand, `lacking` the promised units that do not exist; `cause` tells
    a program why a row was refused: key, stock, or nothing in particular.
    """

    code: str
    message: str
    units: int = 0
    lacking: int = 0
    cause: str = ""

    @property
    def is_good(self) -> bool:
        return self.code in {"done", "same", "short"}


SAME = RowResult("same", "已处理过，未重复记账")


def shown(moment: datetime) -> str:
    """A moment as people in China read it."""
    return f"{moment.astimezone(_CHINA):%Y-%m-%d %H:%M:%S}"


def printable(text: str) -> str:
    """A reason as it can be stored: one line of 120 characters without control characters."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST]).strip()


def judge_movements(
    movements: Sequence[NewMovement], kinds: Collection[str], shelf: Shelf, posted: Mapping[str, Content], *, together: bool
) -> list[RowResult]:
    """What becomes of each movement, in the order given.

    Alone, a row that does not fit is refused and the next one may fit; together, only the net change
    of a place has to fit, and the last row of a place that does not is the one refused.
    """
    on_hand = {place: standing.on_hand for place, standing in shelf.items()}
    seen = dict(posted)
    results: list[RowResult] = []
    last: dict[Place, int] = {}
    for position, row in enumerate(movements):
        result = _judge(row, kinds, shelf, seen, None if together else on_hand)
        if result.code == "done":
            on_hand[row.place] += row.quantity
            seen[row.source_key] = row.content
            last[row.place] = position
        results.append(result)
    if together:
        for place, position in last.items():
            start = shelf[place].on_hand
            if problem := _misfit(shelf[place], start, on_hand[place] - start):
                results[position] = RowResult("refused", problem, cause="stock")
    return results


def _judge(
    row: NewMovement, kinds: Collection[str], shelf: Shelf, seen: Mapping[str, Content], on_hand: Mapping[Place, int] | None
) -> RowResult:
    if problem := movement_problem(row, kinds) or _place_problem(row.place, shelf):
        return RowResult("refused", problem)
    if row.source_key in seen:
        if tuple(seen[row.source_key]) == row.content:
            return SAME
        return RowResult("refused", f"来源键 {row.source_key} 已用于另一笔出入库", cause="key")
    if on_hand is not None and (problem := _misfit(shelf[row.place], on_hand[row.place], row.quantity)):
        return RowResult("refused", problem, cause="stock")
    return RowResult("done", f"已记账 {row.quantity:+d}", units=row.quantity)


def movement_problem(row: NewMovement, kinds: Collection[str]) -> str:
    """What is wrong with a movement before any stock is looked at; empty when nothing is."""
    if row.kind not in kinds:
        return f"未知的出入库类别：{row.kind}"
    if not _is_whole(row.quantity):
        return f"出入库数量必须是整数：{row.quantity}"
    if not row.quantity:
        return "出入库数量不能为 0"
    if abs(row.quantity) > MOST_UNITS:
        return f"出入库数量 {row.quantity} 超出上限 {MOST_UNITS:,}"
    return _address_problem(row.node_id, row.sku_id, row.source_key)


def report_problem(row: Report, at: datetime) -> str:
    """What is wrong with a report before any stock is looked at; empty when nothing is."""
    if not _is_whole(row.quantity):
        return f"上报数量必须是整数：{row.quantity}"
    if row.quantity < 0:
        return f"上报数量不能为负：{row.quantity}"
    if row.quantity > MOST_UNITS:
        return f"上报数量 {row.quantity} 超出上限 {MOST_UNITS:,}"
    if not isinstance(row.measured_at, datetime) or row.measured_at.tzinfo is None:
        return "上报时间缺失或缺少时区"
    if row.measured_at > at + MOST_AHEAD:
        return f"上报时间 {shown(row.measured_at)} 在未来，请检查时钟"
    return _address_problem(row.node_id, row.sku_id, row.source_key)


def _address_problem(node_id: Any, sku_id: Any, source_key: Any) -> str:
    if not all(_is_whole(number) and 0 < number <= _MOST_ID for number in (node_id, sku_id)):
        return "未知的仓库或 SKU"
    if not isinstance(source_key, str) or not source_key.strip() or len(source_key) > _LONGEST or not source_key.isprintable():
        return f"来源键必须是 1 至 {_LONGEST} 个可见字符"
    return ""


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _place_problem(place: Place, shelf: Shelf) -> str:
    if place not in shelf:
        return "未知的仓库或 SKU"
    spot = shelf[place].spot
    return "" if spot.is_counted else f"{spot.sku} 是虚拟或服务类商品，不计库存"


def _misfit(standing: Standing, on_hand: int, units: int) -> str:
    """Why a change cannot be: below what is promised, or more than a place can hold."""
    spot, held = standing.spot, standing.held
    if units < 0 and on_hand + units < held:
        return f"库存不足：{spot.node} 的 {spot.sku} 在库 {on_hand}，已预占 {held}，不能减少 {-units}"
    if on_hand + units > MOST_UNITS:
        return f"{spot.node} 的 {spot.sku} 在库将达 {on_hand + units}，超出上限 {MOST_UNITS:,}"
    return ""


def judge_reports(
    reports: Sequence[Report],
    kind: str,
    shelf: Shelf,
    posted: Mapping[str, tuple[int, int, str, str]],
    later: Mapping[int, int],
    at: datetime,
) -> list[RowResult]:
    """What becomes of each report, in the order given.

    The figure was true at `measured_at`; `later` (per position) is what moved since then and is kept:
    在库 := 上报数 + 之后的出入库, but never below what is promised (the rest is lacking). `posted` is
    (node_id, sku_id, kind, reason) of keys that are in the books. A report that changes nothing leaves
    no movement; repeated, it is judged anew and changes nothing again.
    """
    on_hand = {place: standing.on_hand for place, standing in shelf.items()}
    reported = {place: standing.reported_at for place, standing in shelf.items()}
    seen = dict(posted)
    results = []
    for position, row in enumerate(reports):
        result = _judge_report(row, kind, shelf, seen, on_hand, reported, later.get(position, 0), at)
        if result.code in {"done", "short"}:
            on_hand[row.place] += result.units
            reported[row.place] = min(row.measured_at, at)
            seen[row.source_key] = (*row.place, kind, row.told)
        results.append(result)
    return results


def _judge_report(
    row: Report,
    kind: str,
    shelf: Shelf,
    seen: Mapping[str, tuple[int, int, str, str]],
    on_hand: Mapping[Place, int],
    reported: Mapping[Place, datetime | None],
    later: int,
    at: datetime,
) -> RowResult:
    if problem := report_problem(row, at) or _place_problem(row.place, shelf):
        return RowResult("refused", problem)
    if row.source_key in seen:
        if tuple(seen[row.source_key]) == (*row.place, kind, row.told):
            return SAME
        return RowResult("refused", f"来源键 {row.source_key} 已用于另一笔上报", cause="key")
    last, measured_at = reported[row.place], min(row.measured_at, at)
    if last is not None and measured_at < last:
        return RowResult("stale", f"晚于 {shown(measured_at)} 的上报已生效")
    stands, held = on_hand[row.place], shelf[row.place].held
    if row.quantity + later > MOST_UNITS:
        return RowResult("refused", f"在库将达 {row.quantity + later}，超出上限 {MOST_UNITS:,}", cause="stock")
    true = max(0, row.quantity + later)
    units, lacking = max(true, held) - stands, max(0, held - true)
    if not units and last == measured_at:
        return SAME
    if lacking:
        return RowResult("short", f"实有 {true}，少于已预占的 {held}，缺 {lacking} 件，请改派", units, lacking)
    return RowResult("done", f"在库 {stands} → {stands + units}", units)


def judge_repair(way: str, on_hand: int, held: int, moved: int, promised: int) -> tuple[int, int, str]:
    """What a repair would change: the figure before and after, and why it may not be done (empty when it may).

    movement: Σ 流水 becomes 在库; counter: 在库 becomes Σ 流水; held: 预占 becomes Σ 未结预占.
    """
    if way == "movement":
        return moved, on_hand, ""
    if way == "held":
        problem = f"未结预占 {promised} 多于在库 {on_hand}，请先修正在库或改派" if promised > on_hand else ""
        return held, promised, problem
    if moved < held:
        return on_hand, moved, f"流水合计 {moved} 少于预占 {held}，请先修正预占或改派"
    return on_hand, moved, f"流水合计 {moved} 超出上限 {MOST_UNITS:,}" if moved > MOST_UNITS else ""
