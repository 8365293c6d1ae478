"""The plain values of an order's life, and what may happen next. No database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from oms_project.money import allocate
from orders.catalogue.rules import Part


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who gets the goods: personal data, sealed at rest."""

    name: str
    phone: str
    detail: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """A sold line as the channel knows it. No parts means that nobody knows the code."""

    external_line_id: str
    sold_code: str
    title: str
    quantity: int
    paid_fen: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person must look at before the order goes on; reason is an OrderHold.Reason."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """An order in canonical form, whatever channel it came from. Amounts in fen."""

    channel: str
    shop: str
    external_id: str
    channel_status: str
    source_updated_at: int
    paid_at: datetime | None
    goods_fen: int
    freight_fen: int
    paid_fen: int
    division_code: str
    region: str
    receiver: Receiver | None
    live_session: str
    anchor: str
    lines: tuple[ChannelLine, ...]
    findings: tuple[Finding, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CountableLine:
    """A sold line exploded to one SKU: a row of OrderLine. sku_id None is an unmatched code."""

    position: int
    external_line_id: str
    sold_code: str
    title: str
    sku_id: int | None
    quantity: int
    paid_fen: int


@dataclass(frozen=True, slots=True)
class LineToRoute:
    """What routing and pricing need to know of one order line. bundle: the sold line that it is a part of."""

    line_id: int
    sku_id: int
    sku_code: str
    name: str
    quantity: int
    paid_fen: int
    weight_g: int
    is_counted: bool
    install_skill: str
    category: str
    supply_price_fen: int
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class OrderToRoute:
    """What routing needs to know of one order. is_awaited: its goods are promised without a place meanwhile."""

    order_id: int
    order_no: str
    channel: str
    shop: str
    division_code: str
    region: str
    paid_fen: int
    paid_at: datetime
    anchor: str
    lines: tuple[LineToRoute, ...]
    works_before: int = 0
    live_session: str = ""
    is_awaited: bool = False
    tags: frozenset[str] = frozenset()

    @property
    def claims(self) -> tuple[str, ...]:
        """The stock locks that this order's buyer may draw from, the narrowest first."""
        live = (f"live:{self.live_session}",) if self.live_session else ()
        return (*live, f"shop:{self.channel}/{self.shop}", f"channel:{self.channel}")


MOST_TAGS, LONGEST_TAG = 20, 30
ORDER_PREFIX = {"doudian": "DD"}


def all_tags(*sources: Iterable[str]) -> list[str]:
    """The words of several sources once each, in the order in which they came, without what is too long or too many."""
    words = dict.fromkeys(word for source in sources for word in source if 0 < len(word) <= LONGEST_TAG)
    return list(words)[:MOST_TAGS]


def order_no(channel: str, external_id: str) -> str:
    """Our number of a channel's order: derived, so that a repeated message makes the same one."""
    return f"{ORDER_PREFIX.get(channel, channel[:2].upper())}{external_id}"


def mask_name(name: str) -> str:
    """张三丰 is shown as 张**."""
    return name[:1] + "*" * (len(name) - 1) if name else ""


def mask_phone(phone: str) -> str:
    """13800000001 is shown as 138****0001; anything short is hidden whole."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 9 else "*" * len(phone)


def explode(lines: Sequence[ChannelLine]) -> list[CountableLine]:
    """Sold lines as countable lines; a combo's money is shared by part weights and sums exactly."""
    exploded: list[CountableLine] = []
    for line in lines:
        parts = line.parts or (None,)
        shares = allocate(line.paid_fen, [part.weight for part in parts if part]) if line.parts else [line.paid_fen]
        for part, share in zip(parts, shares, strict=True):
            exploded.append(
                CountableLine(
                    position=len(exploded) + 1,
                    external_line_id=line.external_line_id,
                    sold_code=line.sold_code,
                    title=line.title,
                    sku_id=part.sku_id if part else None,
                    quantity=line.quantity * (part.quantity if part else 1),
                    paid_fen=share,
                )
            )
    return exploded


def first_state(order: ChannelOrder) -> str:
    """The state in which an order from a channel begins its life here."""
    if order.channel_status == "CLOSED":
        return "cancelled"
    return "held" if findings_of(order) else "placed"


def findings_of(order: ChannelOrder) -> tuple[Finding, ...]:
    """Every reason to hold an order at once: the adapter's findings and what is seen here."""
    found = list(order.findings)
    reasons = {finding.reason for finding in found}
    unmatched = sorted({line.sold_code or line.title for line in order.lines if not line.parts})
    if (unmatched or not order.lines) and "sku" not in reasons:
        found.append(Finding("sku", f"未匹配的商家编码：{'、'.join(unmatched) or '没有商品行'}"[:200]))
    if not order.division_code and "address" not in reasons:
        found.append(Finding("address", f"无法识别的地区：{order.region or '空'}"[:200]))
    if order.channel_status == "PAID_HOLD" and "risk" not in reasons:
        found.append(Finding("risk", "平台提示暂不可发货"))
    if order.channel_status in {"PART_SHIPPED", "SHIPPED", "FINISHED"}:
        found.append(Finding("amended", "进单时平台已发货，请核对"))
    return tuple(found)
