"""Every write of the settlement: postings, rule versions, statements; last the subscribers.

A posting happens once per key: the same key with the same content changes nothing, with other
content it is refused and an alarm is logged. Lock order: works (by fo_no), accounts (by code), entries (by key).
"""

import hashlib
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Max

from dealers.directory.models import Staff
from dealers.settlement import queries, rules, statements
from dealers.settlement.models import LedgerEntry, SplitRule, Statement, WorkRefund
from dealers.settlement.rules import NewEntry
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact, PermanentFailure
from oms_project.refusal import NotFound, Refusal

log = logging.getLogger("yipan.settlement")
_FINANCE_ROLES = ("admin", "finance")


class LedgerConflict(Refusal, PermanentFailure):
    """The same key came with other content. Nothing was written; a person must look."""


class RuleUnfit(Refusal):
    """The rule cannot take this step, or says something that cannot be computed."""


class PeriodUnfit(Refusal):
    """Statements cannot be drawn for this period."""


@transaction.atomic
def post(*, entries: Sequence[NewEntry], at: datetime) -> int:
    """Write the entries whose keys are new, each balanced and sealed; returns how many were new.

    Raises LedgerConflict for a known key with other content, IntegrityError for an entry that does not balance.
    """
    hashes: dict[str, str] = {}
    wanted: dict[str, NewEntry] = {}
    for entry in sorted(entries, key=lambda entry: entry.key):
        digest = hashlib.sha256(orjson.dumps(entry.payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
        if hashes.setdefault(entry.key, digest) != digest:
            raise _conflict(entry.key)
        wanted[entry.key] = entry
    if not wanted:
        return 0
    ids = {key: _new_id(at) for key in wanted}
    new = statements.insert_entries(
        [
            (ids[key], key, hashes[key], e.kind, e.source, e.order_no, e.effective_at, at, e.reverses, e.made_by)
            for key, e in wanted.items()
        ]
    )
    if len(new) < len(wanted):
        known = statements.hashes_of([key for key in wanted if key not in new])
        for key, digest in known.items():
            if digest != hashes[key]:
                raise _conflict(key)
    fresh = [(ids[key], entry) for key, entry in wanted.items() if key in new]
    accounts = _accounts({line.account for _, entry in fresh for line in entry.lines})
    statements.insert_lines(
        [
            (entry_id, accounts[line.account], line.amount_fen, line.component, orjson.dumps(line.explain).decode())
            for entry_id, entry in fresh
            for line in entry.lines
        ]
    )
    statements.insert_seals([entry_id for entry_id, _ in fresh])
    return len(fresh)


def _conflict(key: str) -> LedgerConflict:
    log.error("ledger conflict: %s came again with other content", key)
    return LedgerConflict(f"账目冲突：{key} 已按不同内容入账，请财务核对")


def _new_id(at: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562): milliseconds first, so that keys grow with time."""
    raw = bytearray(int(at.timestamp() * 1000).to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


def _accounts(codes: Collection[str]) -> dict[str, int]:
    """The ids of accounts, opened where they do not exist; two posters may open the same one."""
    found = statements.account_ids(codes)
    absent = sorted(set(codes) - set(found))
    if absent:
        statements.insert_accounts([(code, rules.account_kind(code), rules.account_party(code)) for code in absent])
        found |= statements.account_ids(absent)
    return found


@transaction.atomic
def publish_rule(*, rule: SplitRule, staff: Staff, at: datetime) -> SplitRule:
    """Put a draft into force; from then on the version never changes.

    Raises RuleUnfit for anything but a draft and for numbers that do not compute, NotFound for other people than finance.
    """
    _finance_only(staff)
    if why := _why_unfit(rule):
        raise RuleUnfit(why)
    if not SplitRule.objects.filter(pk=rule.pk, state=SplitRule.State.DRAFT).update(state=SplitRule.State.PUBLISHED):
        raise RuleUnfit("只有草稿可以发布")
    log.info("rule %s v%s published by staff %s at %s", rule.code, rule.version, staff.pk, at.isoformat())
    return _reread(rule)


@transaction.atomic
def retire_rule(*, rule: SplitRule, staff: Staff, at: datetime) -> SplitRule:
    """Take a published version out of use, and the older ones that it replaced; amounts on offers stay as they are."""
    _finance_only(staff)
    if not SplitRule.objects.filter(pk=rule.pk, state=SplitRule.State.PUBLISHED).update(state=SplitRule.State.RETIRED):
        raise RuleUnfit("只有已发布的规则可以停用")
    replaced = SplitRule.objects.filter(code=rule.code, version__lt=rule.version, state=SplitRule.State.PUBLISHED)
    replaced.update(state=SplitRule.State.RETIRED)
    log.info("rule %s v%s retired by staff %s at %s", rule.code, rule.version, staff.pk, at.isoformat())
    return _reread(rule)


@transaction.atomic
def revise_rule(*, rule: SplitRule, staff: Staff, at: datetime) -> SplitRule:
    """A draft of the next version, in force from now unless edited. Raises RuleUnfit while a draft of the code exists."""
    _finance_only(staff)
    same = SplitRule.objects.filter(code=rule.code)
    if same.filter(state=SplitRule.State.DRAFT).exists():
        raise RuleUnfit(f"{rule.code} 已有草稿，请先编辑或发布它")
    copied = {f.name: getattr(rule, f.name) for f in SplitRule._meta.concrete_fields if not f.primary_key}
    highest = same.aggregate(highest=Max("version"))["highest"] or 0
    return SplitRule.objects.create(
        **{**copied, "version": highest + 1, "state": SplitRule.State.DRAFT, "effective_from": at, "effective_to": None}
    )


def _reread(rule: SplitRule) -> SplitRule:
    queries.forget()
    rule.refresh_from_db()
    return rule


def _finance_only(staff: Staff) -> None:
    if staff.role not in _FINANCE_ROLES:
        raise NotFound()


def _why_unfit(rule: SplitRule) -> str:
    """Why a rule cannot be computed, in Chinese; empty if it can."""
    try:
        percent = rules.percent_of(rule.percent)
    except ValueError:
        return "比例须为不小于 0、至多六位小数的十进制数"
    if rule.amount_fen < 0 or (rule.mode in ("fixed", "per_unit") and not rule.amount_fen):
        return "固定金额须大于 0"
    if rule.mode in ("percent", "price_diff") and not 0 < percent <= 100:
        return "比例须大于 0 且不超过 100"
    if (rule.component == "price_diff") != (rule.mode == "price_diff"):
        return "差价返还须用差价算法，其他分项不能用"
    if rule.effective_to is not None and rule.effective_to <= rule.effective_from:
        return "失效时间须晚于生效时间"
    return ""


@transaction.atomic
def draw_statements(*, period_from: datetime, period_to: datetime, at: datetime, actor: str) -> list[str]:
    """Draw every dealer's statement for [from, to); returns the numbers of the new ones.

    Lines that came late for an earlier period go into this one; a drawn statement is never touched
    again. Running it twice, or twice at once, draws nothing twice. Raises PeriodUnfit.
    """
    if period_from >= period_to:
        raise PeriodUnfit("结算周期的开始须早于结束")
    if period_to > at:
        raise PeriodUnfit("结算周期尚未结束，不能出结算单")
    statements.lock_drawing()
    prefix = f"JS{rules.period_label(period_from, period_to)}-"
    ids = statements.insert_statements(prefix, period_from, period_to, at)
    if not ids:
        return []
    statements.insert_statement_lines(ids)
    statements.total_statements(ids)
    drawn = list(
        Statement.objects.filter(pk__in=ids).order_by("statement_no").values_list("statement_no", "dealer_id", "closing_fen")
    )
    journal.record(
        *(events.StatementReady(statement_no=no, dealer_id=dealer_id, closing_fen=fen) for no, dealer_id, fen in drawn),
        actor=actor,
        at=at,
    )
    return [no for no, _, _ in drawn]


@transaction.atomic
def confirm_statement(*, statement_no: str, staff: Staff, at: datetime) -> Statement:
    """The dealer's owner (or finance) agrees; the first confirmation counts, repeating it changes nothing."""
    statement = queries.statement_for(staff=staff, statement_no=statement_no)
    waiting = Statement.objects.filter(pk=statement.pk, state=Statement.State.READY)
    waiting.update(state=Statement.State.CONFIRMED, confirmed_at=at, confirmed_by=staff)
    return queries.statement_for(staff=staff, statement_no=statement_no)


@transaction.atomic
def on_work_completed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Accrue what finished work earned, and take back what was refunded before it finished."""
    fo_nos = {fact.payload["fo_no"] for fact in facts}
    statements.lock_works(fo_nos)
    made = []
    for fact in facts:
        work = fact.payload
        lines = rules.accrual_lines(work["components"])
        if lines:
            made.append(
                NewEntry(
                    key=rules.accrual_key(work["fo_no"]),
                    kind="accrual",
                    source=f"work:{work['fo_no']}",
                    order_no=work["order_no"],
                    effective_at=datetime.fromisoformat(work["completed_at"]),
                    lines=lines,
                    payload={"paid_fen": work["paid_fen"], "components": work["components"]},
                    made_by=fact.actor or "system",
                )
            )
    post(entries=made, at=at)
    _reverse_refunded(fo_nos, at)


@transaction.atomic
def on_work_refunded(facts: Sequence[Fact], *, at: datetime) -> None:
    """Remember refunds, and reverse what their work was accrued with, if it was already.

    Raises LedgerConflict when a known refund comes with another amount.
    """
    found = {(f.payload["fo_no"], f.payload["refund_key"]): f.payload for f in reversed(facts) if f.payload["amount_fen"] > 0}
    for fact in facts:
        twin = found.get((fact.payload["fo_no"], fact.payload["refund_key"]))
        if twin and twin["amount_fen"] != fact.payload["amount_fen"]:
            raise _conflict(rules.refund_entry_key(twin["fo_no"], twin["refund_key"]))
    if not found:
        return
    fo_nos = {fo_no for fo_no, _ in found}
    statements.lock_works(fo_nos)
    rows = [
        (fo_no, key, p["order_no"], p["amount_fen"], datetime.fromisoformat(p["refunded_at"]))
        for (fo_no, key), p in reversed(found.items())
    ]
    new = statements.insert_refunds(rows)
    if len(new) < len(rows):
        for refund in WorkRefund.objects.filter(fo_no__in=fo_nos):
            told = found.get((refund.fo_no, refund.refund_key))
            if told and told["amount_fen"] != refund.amount_fen:
                raise _conflict(rules.refund_entry_key(refund.fo_no, refund.refund_key))
    _reverse_refunded(fo_nos, at)


def _reverse_refunded(fo_nos: Iterable[str], at: datetime) -> None:
    """Post the reversals that the remembered refunds of accrued works still lack; the caller holds the works."""
    accruals = {
        source.removeprefix("work:"): (entry_id, effective_at)
        for entry_id, source, effective_at in LedgerEntry.objects.filter(
            key__in=[rules.accrual_key(fo_no) for fo_no in fo_nos]
        ).values_list("id", "source", "effective_at")
    }
    refunds = list(WorkRefund.objects.filter(fo_no__in=list(accruals)).order_by("id")) if accruals else []
    if not refunds:
        return
    accrued = queries.accrued_lines(accruals[fo_no][0] for fo_no in {refund.fo_no for refund in refunds})
    before: dict[str, int] = {}
    made = []
    for refund in refunds:
        entry_id, effective_at = accruals[refund.fo_no]
        gone = before.get(refund.fo_no, 0)
        before[refund.fo_no] = gone + refund.amount_fen
        lines = rules.reversal_lines(accrued.get(entry_id, []), gone, refund.amount_fen)
        if lines:
            made.append(
                NewEntry(
                    key=rules.refund_entry_key(refund.fo_no, refund.refund_key),
                    kind="reversal",
                    source=f"refund:{refund.refund_key}"[:80],
                    order_no=refund.order_no,
                    effective_at=max(refund.refunded_at, effective_at),
                    lines=lines,
                    payload={"amount_fen": refund.amount_fen},
                    reverses=entry_id,
                )
            )
    post(entries=made, at=at)
