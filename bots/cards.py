"""Cards as plain values: what a dealer sees of an offer and which buttons it has. Pure.

A card never carries personal data: it says what, which county, how much and until when. A button
value names the action, the offer and the version the person saw; it is a request, not authority.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from oms_project.money import yuan

COMPONENTS = {"service_fee": "服务费", "commission": "佣金", "price_diff": "差价返还"}
DECLINE_REASONS = {"no_stock": "缺货", "damaged": "破损", "busy": "人手不足", "too_far": "太远", "other": "其他"}
_VALUE = re.compile(r"(accept|decline)\|([0-9A-Za-z-]{1,52})\|v(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Button:
    """style: primary or danger."""

    label: str
    action: str
    value: str
    style: str = "primary"


@dataclass(frozen=True, slots=True)
class Card:
    """One card in a form every platform can draw. `options` feed the drop-down of the reason."""

    title: str
    rows: tuple[tuple[str, str], ...]
    buttons: tuple[Button, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    state: str = "pending"
    footer: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Card":
        """The card that `as_dict` wrote, also after a journey through JSON."""
        return cls(
            title=raw["title"],
            rows=tuple((key, value) for key, value in raw["rows"]),
            buttons=tuple(Button(**button) for button in raw["buttons"]),
            options=tuple((key, value) for key, value in raw["options"]),
            state=raw["state"],
            footer=raw["footer"],
        )


@dataclass(frozen=True, slots=True)
class OfferFacts:
    """What a card tells of an offer. Times are in the reader's zone; `income` as frozen on the offer."""

    offer_no: str
    label: str
    version: int
    summary: str
    region: str
    income_fen: int
    income: tuple[Mapping[str, Any], ...]
    expires_at: datetime
    state: str = "pending"
    reason: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None


def offer_card(facts: OfferFacts, note: str = "") -> Card:
    """The card of an offer as it stands: with live buttons while it is open, else closed."""
    if facts.state != "pending":
        return closed_card(facts)
    return Card(
        title=f"新订单 {facts.label}",
        rows=_rows(facts),
        buttons=(
            Button("接单", "accept", button_value("accept", facts.offer_no, facts.version)),
            Button("拒单", "decline", button_value("decline", facts.offer_no, facts.version), "danger"),
        ),
        options=tuple(DECLINE_REASONS.items()),
        footer=note or f"也可以回复：接单 {facts.label} / 拒单 {facts.label} 缺货",
    )


def closed_card(facts: OfferFacts) -> Card:
    """The same card after the end of the offer: no buttons, and who ended it."""
    ending = closed_text(facts.state, by=facts.answered_by, at=facts.answered_at, reason=facts.reason)
    return Card(title=f"订单 {facts.label}", rows=_rows(facts), state=facts.state, footer=ending)


def close(card: Card, state: str, ending: str) -> Card:
    """A card that was sent earlier, with its buttons taken away."""
    return Card(title=card.title.replace("新订单", "订单"), rows=card.rows, state=state, footer=ending)


def closed_text(state: str, *, by: str = "", at: datetime | None = None, reason: str = "") -> str:
    """Such as 已被张三接单 10:32; `at` in the reader's zone."""
    clock = f" {at:%H:%M}" if at else ""
    if state == "accepted":
        return f"已被{by}接单{clock}" if by else f"已接单{clock}"
    if state == "declined":
        why = f"（{DECLINE_REASONS.get(reason, reason)}）" if reason else ""
        return (f"已被{by}拒单" if by else "已拒单") + why + clock
    return {"expired": "已超时", "withdrawn": "已撤回"}.get(state, "已结束") + clock


def button_value(action: str, offer_no: str, version: int) -> str:
    return f"{action}|{offer_no}|v{version}"


def read_value(value: str) -> tuple[str, str, int]:
    """(action, offer_no, version) of a button. Raises ValueError for anything we did not make."""
    if not (found := _VALUE.fullmatch(value)):
        raise ValueError("not a button of ours")
    return found[1], found[2], int(found[3])


def income_parts(income: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """The dealer's own components, label and fen, in the order in which they were computed."""
    return [
        (COMPONENTS.get(str(part.get("component")), str(part.get("component"))), int(part.get("amount_fen", 0)))
        for part in income
        if str(part.get("payee", "dealer:")).startswith("dealer") and part.get("amount_fen")
    ]


def _rows(facts: OfferFacts) -> tuple[tuple[str, str], ...]:
    parts = income_parts(facts.income)
    split = f"（{' + '.join(f'{label} {yuan(fen)}' for label, fen in parts)}）" if len(parts) > 1 else ""
    single = f"（{parts[0][0]}）" if len(parts) == 1 else ""
    return (
        ("商品", facts.summary),
        ("地区", facts.region),
        ("收入", yuan(facts.income_fen) + split + single),
        ("截止", f"{facts.expires_at:%m-%d %H:%M:%S}"),
        ("单号", facts.offer_no),
    )
