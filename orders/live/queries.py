"""What the livestream's operators look at: today in numbers, the latest orders, and what may still be sold of locked stock.

Amounts are fen, times ISO 8601 in UTC, days and minutes those of Shanghai. No personal data.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from inventory.locks import queries as stock_locks
from inventory.locks.queries import SafeToSell
from oms_project.journal import feed
from orders.live import rules, statements
from orders.models import Order

STATEMENTS = 8  # what figures() costs, however many orders there are
LOCK_STATEMENTS = stock_locks.STATEMENTS  # what locks() costs, however many there are; one when none is active


class Kept:
    """An answer that is told again while it is young; one thread computes while the others wait for it."""

    def __init__(self, compute: Callable[[datetime], Any], young: timedelta) -> None:
        self._compute, self._young = compute, young
        self._lock = threading.Lock()
        self._kept: list[tuple[datetime, Any]] = []

    def read(self, at: datetime) -> tuple[datetime, Any]:
        """The answer, and the moment it is of."""
        with self._lock:
            if not self._kept or not timedelta(0) <= at - self._kept[0][0] < self._young:
                self._kept[:] = [(at, self._compute(at))]
            return self._kept[0]

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


def recent_figures(at: datetime) -> dict[str, Any]:
    """figures(at), at most one second old."""
    answer: dict[str, Any] = _figures.read(at)[1]
    return answer


def recent_locks(at: datetime) -> dict[str, Any]:
    """locks(at), at most two seconds old; `age_ms` tells how old."""
    since, answer = _locks.read(at)
    return {"age_ms": (at - since) // timedelta(milliseconds=1), "locks": answer}


def forget() -> None:
    """Drop what is kept."""
    _figures.forget()
    _locks.forget()


def figures(at: datetime) -> dict[str, Any]:
    """Everything on the board at a moment.

    `cursor` is read first, so a fact above it may already be counted but none below it is
    missing; `newest_order` is the highest order id that is counted, which settles it for orders.
    """
    cursor = feed.latest()
    newest = statements.newest_order()
    since = rules.day_start(at)
    return {
        "cursor": str(cursor),
        "newest_order": newest,
        "at": at.isoformat(),
        "day": since.date().isoformat(),
        **_today(since, newest),
        "minutes": _minutes(at, newest),
        "waiting": {"placed": 0, "unroutable": 0, "held": 0, **statements.orders_waiting(newest)},
        "offers": _offers(since),
        "ticker": _ticker(newest),
    }


def _today(since: datetime, newest: int) -> dict[str, Any]:
    """Totals, provinces and sessions from one pass; a cancelled order counts in `cancelled` only."""
    orders = amount_fen = cancelled = 0
    provinces: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    sessions: dict[tuple[str, str], list[int]] = {}
    for province, session, anchor, state, count, fen in statements.orders_since(since, newest):
        if state == Order.State.CANCELLED:
            cancelled += count
            continue
        orders += count
        amount_fen += int(fen)
        provinces[province] += count
        amounts[province] += int(fen)
        if session:
            known = sessions.setdefault((session, anchor), [0, 0])
            known[0] += count
            known[1] += int(fen)
    best = sorted(sessions.items(), key=lambda item: (-item[1][1], item[0]))[: rules.SESSIONS]
    return {
        "orders": orders,
        "amount_fen": amount_fen,
        "cancelled": cancelled,
        "provinces": [
            {"code": code, "name": name, "orders": provinces[code], "amount_fen": amounts[code]}
            for code, name in rules.PROVINCES.items()
        ],
        "sessions": [
            {"session": session, "anchor": anchor, "orders": count, "amount_fen": fen} for (session, anchor), (count, fen) in best
        ],
    }


def _minutes(at: datetime, newest: int) -> dict[str, Any]:
    """Orders in each of the last 30 minutes, oldest first; `last` numbers the last one since 1970."""
    counted = statements.orders_by_minute(rules.minutes_start(at), newest)
    last = rules.minute_of(at)
    return {"last": last, "orders": [counted.get(minute, 0) for minute in range(last - rules.MINUTES + 1, last + 1)]}


def _offers(since: datetime) -> dict[str, Any]:
    """The funnel: what dealers are asked now, and how today's offers ended. Mean is None before the first."""
    pending = statements.offers_pending()
    ended = statements.offers_answered(since)
    accepted, waited = ended.get("accepted", (0, 0.0))
    return {
        "pending": pending,
        "accepted": accepted,
        "declined": ended.get("declined", (0, 0.0))[0],
        "expired": ended.get("expired", (0, 0.0))[0],
        "withdrawn": ended.get("withdrawn", (0, 0.0))[0],
        "mean_accept_seconds": round(waited / accepted, 1) if accepted else None,
    }


def _ticker(newest: int) -> list[dict[str, Any]]:
    return [
        {
            "order_no": order_no,
            "region": region,
            "amount_fen": paid_fen,
            "state": state,
            "state_label": Order.State(state).label,
            "at": placed_at.isoformat(),
        }
        for _, order_no, region, paid_fen, state, placed_at in statements.latest_orders(newest, rules.TICKER)
    ]


def locks(at: datetime) -> list[dict[str, Any]]:
    """The active stock locks, the most urgent first: what each holds, sold, and may safely sell, in units."""
    active = stock_locks.safe_to_sell(at=at)
    return [_lock(each) for each in sorted(active, key=lambda each: (rules.URGENCY[each.alarm], each.total.safe, each.lock_no))]


def _lock(lock: SafeToSell) -> dict[str, Any]:
    best = sorted(lock.provinces.items(), key=lambda item: (-item[1].safe, item[0]))[: rules.LOCK_PROVINCES]
    return {
        "lock_no": lock.lock_no,
        "name": lock.name,
        "sku_code": lock.sku_code,
        "sku_name": lock.sku_name,
        "locked": lock.total.locked,
        "drawn": lock.total.drawn,
        "safe": lock.total.safe,
        "alarm": lock.alarm,
        "provinces": [
            {"name": rules.PROVINCES.get(code, rules.ELSEWHERE), "safe": units.safe} for code, units in best if units.safe > 0
        ],
    }


_figures = Kept(figures, timedelta(seconds=1))
_locks = Kept(locks, timedelta(seconds=2))
