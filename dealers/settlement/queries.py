"""What is asked of the ledger: the rules in force, balances, statements, and whether the books are right."""

import time
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum

from dealers.directory.models import Staff
from dealers.settlement import guards
from dealers.settlement.models import Account, LedgerEntry, LedgerLine, Seal, SplitRule, Statement, WorkRefund
from dealers.settlement.rules import SHANGHAI, AccruedLine, RuleTerms, accrual_key, month_period, refund_target
from oms_project.refusal import NotFound

_RULE_SECONDS = 5.0
_kept: list[tuple[float, tuple[RuleTerms, ...]]] = []
_FINANCE_ROLES = ("admin", "finance")


def terms_of(rule: SplitRule) -> RuleTerms:
    return RuleTerms(**{name: getattr(rule, name) for name in RuleTerms.__dataclass_fields__})


def rules_in_force(at: datetime) -> tuple[RuleTerms, ...]:
    """The published rules in force at an instant; a change is seen at once here, and elsewhere within 5 seconds."""
    now = time.monotonic()
    if not _kept or now - _kept[0][0] >= _RULE_SECONDS:
        found = SplitRule.objects.filter(state=SplitRule.State.PUBLISHED).order_by("code", "version")
        _kept[:] = [(now, tuple(terms_of(rule) for rule in found))]
    return tuple(rule for rule in _kept[0][1] if rule.is_in_force(at))


def forget() -> None:
    """Read the rules anew at the next question."""
    _kept.clear()


def statements_for(staff: Staff) -> QuerySet[Statement]:
    """Finance and admins see all, an owner the own dealer's, everybody else none."""
    every = Statement.objects.select_related("dealer", "confirmed_by").order_by("-period_from", "statement_no")
    if staff.role in _FINANCE_ROLES:
        return every
    if staff.role == Staff.Role.OWNER and staff.dealer_id:
        return every.filter(dealer_id=staff.dealer_id)
    return every.none()


def statement_for(*, staff: Staff, statement_no: str) -> Statement:
    """Raises NotFound alike for one that does not exist and for one that is not yours."""
    found = statements_for(staff).filter(statement_no=statement_no).first()
    if found is None:
        raise NotFound("找不到这张结算单")
    return found


def next_period(at: datetime) -> tuple[datetime, datetime]:
    """What is not stated yet: from the end of the newest statement, or the begin of this month, until now."""
    newest = Statement.objects.order_by("-period_to").values_list("period_to", flat=True).first()
    day = at.astimezone(SHANGHAI)
    return newest or month_period(day.year, day.month)[0], at


def statement_lines(statement: Statement) -> QuerySet[LedgerLine]:
    """The ledger lines of a statement, oldest business first, with their entries."""
    lines = LedgerLine.objects.filter(statement_line__statement=statement).select_related("entry", "account")
    return lines.order_by("entry__effective_at", "id")


def balance_of(account_code: str) -> int:
    """The sum of an account's lines in fen: debit positive, credit (we owe) negative; 0 for an unknown account."""
    return LedgerLine.objects.filter(account__code=account_code).aggregate(total=Sum("amount_fen"))["total"] or 0


def balances() -> dict[str, int]:
    """Every account's balance in fen, by code."""
    totals = LedgerLine.objects.values("account_id").order_by().annotate(total=Sum("amount_fen"))
    by_id = {row["account_id"]: row["total"] for row in totals}
    return {code: by_id.get(account_id, 0) for account_id, code in Account.objects.order_by("code").values_list("id", "code")}


def trial_balance() -> int:
    """The sum of all lines, which is 0 or the books are wrong."""
    return LedgerLine.objects.aggregate(total=Sum("amount_fen"))["total"] or 0


def income_by_dealer(*, since: datetime, until: datetime, dealer_codes: Iterable[str] | None = None) -> dict[str, dict[str, int]]:
    """Net income in fen of [since, until): dealer code → component → fen. Payouts are no income and are not in it."""
    lines = LedgerLine.objects.filter(
        account__code__startswith="payable:dealer:",
        entry__effective_at__gte=since,
        entry__effective_at__lt=until,
        entry__kind__in=["accrual", "reversal"],
    )
    if dealer_codes is not None:
        lines = lines.filter(account__code__in=[f"payable:dealer:{code}" for code in dealer_codes])
    found: dict[str, dict[str, int]] = {}
    for code, component, total in (
        lines.values_list("account__code", "component").order_by("account__code", "component").annotate(total=Sum("amount_fen"))
    ):
        found.setdefault(code.removeprefix("payable:dealer:"), {})[component] = -total
    return found


def accrued_lines(entry_ids: Iterable[UUID]) -> dict[UUID, list[AccruedLine]]:
    """What accrual entries owe to whom, by entry, in the order in which it was posted."""
    lines = LedgerLine.objects.filter(entry_id__in=list(entry_ids), account__code__startswith="payable:").order_by("id")
    found: dict[UUID, list[AccruedLine]] = {}
    for entry_id, account, component, amount_fen, path in lines.values_list(
        "entry_id", "account__code", "component", "amount_fen", "explain"
    ):
        line = AccruedLine(account, component, -amount_fen, path.get("paid_fen", 0), path.get("rule", ""))
        found.setdefault(entry_id, []).append(line)
    return found


def faults() -> list[str]:
    """Everything that is wrong with the books, re-added from the lines up; empty when they are right."""
    found = [f"没有这道保护：{name}" for name in guards.missing()]
    if total := trial_balance():
        found.append(f"试算不平：{total} 分")
    sealed = Seal.objects.values("id")
    found += [f"分录没有封签：{key}" for key in LedgerEntry.objects.exclude(id__in=sealed).values_list("key", flat=True)]
    sums = LedgerEntry.objects.annotate(total=Sum("lines__amount_fen"), count=Count("lines"))
    wrong = sums.filter(Q(count__lt=2) | ~Q(total=0)).values_list("key", "total", "count")
    found += [f"分录不平：{key}（{count} 行，合计 {total or 0} 分）" for key, total, count in wrong]
    return found + _statement_faults() + _refund_faults()


def _statement_faults() -> list[str]:
    """Statements whose figures are not the sum of their lines, or that do not open where the last one closed."""
    found = []
    closing: dict[int, int] = {}
    credit, debit = Q(lines__ledger_line__amount_fen__lt=0), Q(lines__ledger_line__amount_fen__gt=0)
    rows = Statement.objects.annotate(
        credit=Sum("lines__ledger_line__amount_fen", filter=credit, default=0),
        debit=Sum("lines__ledger_line__amount_fen", filter=debit, default=0),
    ).order_by("dealer_id", "period_to")
    for row in rows:
        expected = (closing.get(row.dealer_id, 0), -row.credit, row.debit, row.opening_fen - row.credit - row.debit)
        if (row.opening_fen, row.accrued_fen, row.reversed_fen, row.closing_fen) != expected:
            found.append(f"结算单与明细不符：{row.statement_no}")
        closing[row.dealer_id] = row.closing_fen
    return found


def _refund_faults() -> list[str]:
    """Works whose reversals are not what their refunds ask for."""
    refunded = dict(WorkRefund.objects.values_list("fo_no").order_by().annotate(total=Sum("amount_fen")))
    keys = {accrual_key(fo_no): fo_no for fo_no in refunded}
    accruals = dict(LedgerEntry.objects.filter(key__in=list(keys)).values_list("id", "key"))
    reversed_fen = dict(
        LedgerLine.objects.filter(entry__reverses_id__in=list(accruals), account__code__startswith="payable:")
        .values_list("entry__reverses_id")
        .order_by()
        .annotate(total=Sum(F("amount_fen")))
    )
    found = []
    for entry_id, lines in accrued_lines(accruals).items():
        fo_no = keys[accruals[entry_id]]
        expected = sum(refund_target(line.amount_fen, line.paid_fen, refunded[fo_no]) for line in lines)
        if expected != reversed_fen.get(entry_id, 0):
            found.append(f"冲正与退款不符：{fo_no}（应 {expected} 分，实 {reversed_fen.get(entry_id, 0)} 分）")
    return found
