"""Facts as other rooms tell them to the settlement, and the calendar the stories happen in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from dealers.models import Account, LedgerEntry, LedgerLine, Seal, SplitRule, Statement, StatementLine, WorkRefund
from dealers.settlement import actions as settlement
from dealers.settlement import rules
from oms_project.journal.models import Entry
from oms_project.journal.subscription import Fact

OCTOBER, NOVEMBER, DECEMBER = (rules.month_period(2026, month) for month in (10, 11, 12))
AFTERWARDS = datetime(2027, 2, 1, tzinfo=UTC)
PAYABLE = "payable:dealer:D1"
_numbers = count(1)


def early(period: tuple[datetime, datetime]) -> datetime:
    """The fourth day of a period."""
    return period[0] + timedelta(days=3)


def component(amount_fen: int, *, payee: str = "dealer:D1", paid_fen: int = 10_000, name: str = "service_fee") -> dict[str, Any]:
    return {
        "component": name,
        "payee": payee,
        "amount_fen": amount_fen,
        "base_fen": paid_fen,
        "paid_fen": paid_fen,
        "rule": "SVC v1",
        "explain": f"每单固定；规则 SVC v1，{amount_fen} 分",
    }


def completed(
    fo_no: str,
    amount_fen: int = 0,
    when: datetime = AFTERWARDS,
    *,
    components: Sequence[dict[str, Any]] = (),
    paid_fen: int = 10_000,
) -> Fact:
    """Work is done. One service fee for dealer D1, or the components given."""
    payload = {
        "fo_id": 1,
        "fo_no": fo_no,
        "order_no": f"DD-{fo_no}",
        "dealer_id": 1,
        "dealer_code": "D1",
        "shop": "12345",
        "channel": "doudian",
        "paid_fen": paid_fen,
        "completed_at": when.isoformat(),
        "components": list(components) or [component(amount_fen, paid_fen=paid_fen)],
    }
    return Fact(next(_numbers), "work.completed", f"order:{fo_no}", "staff:7", payload, when)


def refunded(fo_no: str, refund_key: str, amount_fen: int, when: datetime = AFTERWARDS) -> Fact:
    payload = {
        "fo_id": 1,
        "fo_no": fo_no,
        "order_no": f"DD-{fo_no}",
        "dealer_id": 1,
        "refund_key": refund_key,
        "amount_fen": amount_fen,
        "refunded_at": when.isoformat(),
    }
    return Fact(next(_numbers), "work.refunded", f"order:{fo_no}", "system", payload, when)


def complete(*facts: Fact) -> None:
    settlement.on_work_completed(facts, at=AFTERWARDS)


def refund(*facts: Fact) -> None:
    settlement.on_work_refunded(facts, at=AFTERWARDS)


def draw(period: tuple[datetime, datetime], at: datetime = AFTERWARDS) -> list[str]:
    return settlement.draw_statements(period_from=period[0], period_to=period[1], at=at, actor="test")


def books() -> dict[str, list[dict[str, Any]]]:
    """Every row of the settlement and the journal, to show that nothing changed."""
    tables = (Account, LedgerEntry, LedgerLine, Seal, WorkRefund, SplitRule, Statement, StatementLine, Entry)
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}
