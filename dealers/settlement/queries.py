"""What others may ask about rules, balances and statements."""

import time
from datetime import datetime

from django.db.models import QuerySet, Sum

from dealers.directory.models import Staff
from dealers.settlement.models import LedgerLine, SplitRule, Statement
from dealers.settlement.rules import RuleTerms
from oms_project.refusal import NotFound

_CACHE_SECONDS = 5.0
_cache: list[tuple[float, tuple[RuleTerms, ...]]] = []


def rules_in_force(at: datetime) -> tuple[RuleTerms, ...]:
    """Every published or retired rule version; `rules.choose` picks those in force at an instant.

    Kept in the process for five seconds: a newly published rule acts within that time.
    """
    now = time.monotonic()
    if _cache and now - _cache[0][0] < _CACHE_SECONDS:
        return _cache[0][1]
    fields = [name for name in RuleTerms.__dataclass_fields__]
    published = SplitRule.objects.exclude(state=SplitRule.State.DRAFT).order_by("code", "version")
    terms = tuple(RuleTerms(**row) for row in published.values(*fields))
    _cache[:] = [(now, terms)]
    return terms


def forget() -> None:
    """Drop the cached rules of this process."""
    _cache.clear()


def statements_for(staff: Staff) -> QuerySet[Statement]:
    """The statements a person may see: an owner the dealer's own, finance and administrators all, others none."""
    statements = Statement.objects.select_related("dealer")
    if staff.role in (Staff.Role.ADMIN, Staff.Role.FINANCE):
        return statements
    if staff.role == Staff.Role.OWNER:
        return statements.filter(dealer_id=staff.dealer_id)
    return statements.none()


def statement_for(*, staff: Staff, statement_no: str) -> Statement:
    """One statement, if the person may see it. Raises NotFound."""
    statement = statements_for(staff).filter(statement_no=statement_no).first()
    if statement is None:
        raise NotFound
    return statement


def balance_of(account_code: str) -> int:
    """Sum of an account in fen, debit positive; a negative payable is what we owe."""
    return LedgerLine.objects.filter(account__code=account_code).aggregate(total=Sum("amount_fen"))["total"] or 0


def trial_balance() -> dict[str, int]:
    """Every account's balance in fen; they sum to zero."""
    rows = LedgerLine.objects.values("account__code").annotate(total=Sum("amount_fen")).order_by("account__code")
    return {row["account__code"]: row["total"] for row in rows}
