"""What other systems may send: each row is read on its own, and says in Chinese everything that is wrong with it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from inventory.ledger.rules import MOST_UNITS

MOST_ROWS = 5_000
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_NAMED = 3  # unknown fields that a complaint names

# Movement.Kind → its name, and whether its units come in (1), go out (−1) or either. What our own
# documents post (counts, reports, transfers, repairs) is not for other systems to post.
KINDS: dict[str, tuple[str, int]] = {
    "receipt": ("入库", 1),
    "return": ("退货入库", 1),
    "shipment": ("出库", -1),
    "write_off": ("报损", -1),
    "adjustment": ("调整", 0),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One row as it was sent: codes not looked up yet. `kind` is a Movement.Kind; measured_at only with figures."""

    node: str
    sku: str
    quantity: int
    key: str
    kind: str = "report"
    reason: str = ""
    measured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row; on_hand is None where nothing stands or may be told."""

    status: str
    message: str = ""
    on_hand: int | None = None


class _Wrong(ValueError):
    """What is wrong with one value; reads on after the field's name."""


def digest_of(secret: str) -> str:
    """What is kept of a key.

    A fast digest is right here: the key holds 256 random bits, so that nobody can find it by trying,
    however fast; slow digests are for passwords, which people choose.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def prefix_of(secret: str) -> str:
    """The public part of "yp_<prefix>_<random>", or an empty text."""
    brand, _, rest = secret.partition("_")
    prefix, _, random = rest.partition("_")
    return prefix if brand == "yp" and random and prefix.isascii() and prefix.isalnum() and len(prefix) <= 12 else ""


def source_key(prefix: str, key: str) -> str:
    """A sender's key as the ledger knows it; two senders cannot collide."""
    return f"api:{prefix}:{key}"


def read_figure(row: Any) -> Asked | Answer:
    """One absolute figure, or why it is refused."""
    return _read(row, {**_PLACE, "quantity": _figure, "measured_at": _moment})


def read_movement(row: Any) -> Asked | Answer:
    """One movement, or why it is refused."""
    asked = _read(row, {**_PLACE, "kind": _kind, "quantity": _change, "reason": partial(_text, most=120)}, {"reason": ""})
    if isinstance(asked, Asked):
        name, sign = KINDS[asked.kind]
        if asked.quantity * sign < 0:
            return Answer("refused", f"{name}（{asked.kind}）的 quantity 应为{'正' if sign > 0 else '负'}数")
    return asked


def _read(row: Any, readers: Mapping[str, Callable[[Any], Any]], defaults: Mapping[str, Any] | None = None) -> Asked | Answer:
    if not isinstance(row, dict):
        return Answer("refused", "每行应为一个对象")
    unknown = [name for name in row if name not in readers]
    complaints = [f"未知字段 {name[:40]}" for name in unknown[:_NAMED]]
    values = dict(defaults or {})
    for name, reader in readers.items():
        if name in row:
            try:
                values[name] = reader(row[name])
            except _Wrong as wrong:
                complaints.append(f"{name} {wrong}")
        elif name not in values:
            complaints.append(f"缺少 {name}")
    return Answer("refused", "；".join(complaints)) if complaints else Asked(**values)


def _text(value: Any, *, most: int) -> str:
    if not isinstance(value, str):
        raise _Wrong("应为文本")
    if len(value) > most:
        raise _Wrong(f"不能超过 {most} 字")
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in value):
        raise _Wrong("含有控制字符")
    return value


def _code(value: Any, *, most: int) -> str:
    if not _text(value, most=most).strip():
        raise _Wrong("不能为空")
    return value


def _units(value: Any) -> int:
    if type(value) is not int:  # True is an int, and 3.0 may have been 2.9999999999999999
        raise _Wrong("应为整数")
    return value


def _figure(value: Any) -> int:
    if not 0 <= _units(value) <= MOST_UNITS:
        raise _Wrong(f"应在 0 到 {MOST_UNITS} 之间")
    return value


def _change(value: Any) -> int:
    if not _units(value):
        raise _Wrong("不能为 0")
    if abs(value) > MOST_UNITS:
        raise _Wrong(f"应在 -{MOST_UNITS} 到 {MOST_UNITS} 之间")
    return value


def _kind(value: Any) -> str:
    if not isinstance(value, str) or value not in KINDS:
        raise _Wrong(f"应为 {'、'.join(KINDS)} 之一")
    return value


def _moment(value: Any) -> datetime:
    """A moment in UTC; it must name its time zone, or nobody knows which moment it is."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.utcoffset() is None:
            raise ValueError("no time zone")
        moment = moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise _Wrong("应为带时区的时间，如 2026-11-25T12:00:00+08:00") from None
    if moment < _EARLIEST:
        raise _Wrong("过早")
    return moment


_PLACE: dict[str, Callable[[Any], Any]] = {
    "node": partial(_code, most=30),
    "sku": partial(_code, most=40),
    "key": partial(_code, most=100),
}
