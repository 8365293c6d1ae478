"""What to do about places that fall short or have too much, decided with plain values and said in words."""

import math
from collections.abc import Sequence

from inventory.replenishment.rules import SALES_DAYS, Advice, Neighbour, Row


def days_of(shipped: int, days: int) -> int:
    """How many units go in so many days when it goes on as in the last two weeks."""
    return math.ceil(shipped * days / SALES_DAYS)


def lacking(row: Row, cover_days: int) -> int:
    """Units that bring a place above its safety stock by the sales of so many days, beside what is coming."""
    wanted = row.safety_stock + max(1, days_of(row.shipped, cover_days))
    return max(0, wanted - (row.on_hand - row.held) - row.coming)


def spare(other: Neighbour, cover_days: int) -> int:
    """Units that a place can give away and still sell for so many days."""
    return max(0, other.free - days_of(other.shipped, cover_days))


def refill(row: Row, others: Sequence[Neighbour], cover_days: int) -> Advice:
    """From where to fill a place up: its parent if it can give anything, or else the place beside it with most to spare."""
    need = lacking(row, cover_days)
    if not need:
        return Advice("在途与已申请的已够")
    givers = [(other.is_parent, spare(other, cover_days), other) for other in others if spare(other, cover_days)]
    if not givers:
        return Advice(f"缺 {need} 件，上级仓与同级仓都没有富余，请向厂家补货")
    _, units, giver = max(givers, key=lambda each: (each[0], each[1], -each[2].node_id))
    where = "上级仓" if giver.is_parent else "同级仓"
    given = min(need, units)
    why = f"缺 {need} 件，{where}{giver.node}可调 {units} 件，建议调入 {given} 件"
    return Advice(why, giver.node_id, row.node_id, given)


def relieve(row: Row, others: Sequence[Neighbour], cover_days: int) -> Advice:
    """Where to send what a place has too much of: beside it, where it sells and runs out first, or back to its parent."""
    over = row.on_hand - row.max_stock if row.max_stock else 0
    too_much = min(over, row.free) if over > 0 else row.free
    if too_much <= 0:
        return Advice("多出的都已被预占或留作安全库存，暂不调拨")
    told = f"超出上限 {over} 件" if over > 0 else "30 天没有出库"
    wanting = [(days_of(other.shipped, cover_days) - other.free, other) for other in others]
    takers = [(units, other) for units, other in wanting if units > 0]
    if takers:
        units, taker = max(takers, key=lambda each: (each[0], -each[1].node_id))
        given = min(too_much, units)
        return Advice(f"{told}，{taker.node}还缺 {units} 件，建议调出 {given} 件", row.node_id, taker.node_id, given)
    parent = next((other for other in others if other.is_parent), None)
    if parent is None:
        return Advice(f"{told}，没有上级仓可退，建议促销")
    return Advice(f"{told}，建议退回上级仓{parent.node} {too_much} 件", row.node_id, parent.node_id, too_much)
