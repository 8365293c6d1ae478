"""The pool's tables as columns: for the screen and for files."""

from typing import Any

from inventory.pool.queries import Row
from inventory.pool.rules import Parts

# (title, attribute of Parts, what it says). Those between 在库 and 安全可售 say where the units are that cannot be sold.
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("在库", "on_hand", "各仓在库之和"),
    ("可售", "available", "在库 − 全局预占 − 各类预占；为负即超卖"),
    ("安全可售", "sellable", "现在还能预占的数量：有效库存 − 预占 − 安全库存，且在共享规则之内"),
    ("可承诺", "promisable", "安全可售 + 锁给该渠道 − 全局预占"),
    ("全局预占", "globally", "已付款、还没有分到仓的订单；按 SKU 扣减，不分仓"),
    ("仓库预占", "node", "已分到仓的履约单"),
    ("指定仓预占", "pinned", "指定从该仓发的履约单"),
    ("要约中", "offer", "等待经销商接单"),
    ("预售", "presale", "预售定金"),
    ("锁库", "lock", "为直播、店铺、渠道或活动保留"),
    ("锁给该渠道", "claimed", "锁库中所选渠道或场次可用的部分"),
    ("调拨", "transfer", "待调出"),
    ("暂不可用", "block", "破损、盘点等"),
    ("账差", "unexplained", "预占计数与预占明细之差，应为 0"),
    ("停用仓", "closed", "在停用、暂停的仓或经销商处"),
    ("失效", "stale", "超时未上报"),
    ("安全库存", "safety", "实际扣下的安全库存"),
    ("共享保留", "withheld", "共享比例、上限、自留之外"),
    ("在途", "incoming", "尚未到货"),
    ("在途已承诺", "promised", "在途中已预售"),
)
HEADERS = ("编码", "名称", "分类", *(title for title, _, _ in COLUMNS), "超卖", "最近到货")


def figures_of(parts: Parts) -> list[int]:
    return [getattr(parts, name) for _, name, _ in COLUMNS]


def cells_of(row: Row) -> list[Any]:
    return [row.code, row.name, row.note, *figures_of(row.parts), row.parts.oversold, row.parts.next_on]
