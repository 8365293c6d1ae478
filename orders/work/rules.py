"""Pieces of work: what opens them, and from where to where they may move. No database."""

import zlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewWork:
    """A piece of work to open; lines are (order line id, sku id, quantity)."""

    fo_no: str
    order_id: int
    node_id: int
    dealer_id: int | None
    state: str
    needs_install: bool
    paid_fen: int
    summary: str
    lines: tuple[tuple[int, int, int], ...]
    accepted_at: datetime | None = None
    is_pinned: bool = False
    stuck_reason: str = ""


@dataclass(frozen=True, slots=True)
class NewPlace:
    """Where a piece of work goes instead, and in which state it is there."""

    work_id: int
    node_id: int
    dealer_id: int | None
    state: str


# From each state of a piece of work, the states it may enter.
WORK_TRANSITIONS: dict[str, frozenset[str]] = {
    "waiting": frozenset({"offered", "accepted", "stuck", "cancelled"}),
    "offered": frozenset({"offered", "accepted", "stuck", "cancelled"}),
    "stuck": frozenset({"offered", "accepted", "cancelled"}),
    "accepted": frozenset({"shipped", "cancel_requested"}),
    "cancel_requested": frozenset({"cancelled"}),
    "shipped": frozenset({"delivered", "completed"}),
    "delivered": frozenset({"installed", "completed"}),
    "installed": frozenset({"completed"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}
WORK_DONE = frozenset({"completed", "cancelled"})
WORK_UNANSWERED = frozenset({"waiting", "offered", "stuck"})


def work_actions(state: str, needs_install: bool, has_appointment: bool = False) -> tuple[str, ...]:
    """What the party that does the work may legally do next, in the order of use."""
    if state == "cancel_requested":
        return ("confirm_cancel",)
    steps = {
        "accepted": ("ship",),
        "shipped": ("deliver",),
        "delivered": ("install",) if needs_install else ("complete",),
        "installed": ("complete",),
    }.get(state, ())
    if steps == ("install",) and not has_appointment:
        steps = ()
    can_schedule = needs_install and state in {"accepted", "shipped", "delivered"}
    return (*steps, "schedule") if can_schedule else steps


def short_no(fo_no: str) -> int:
    """Four digits by which people name a piece of work in chat; not unique, so always scoped."""
    return zlib.crc32(fo_no.encode()) % 9000 + 1000
