"""Every write of settlement: accrue done work, reverse refunds, draw and confirm statements, publish rules.

The ledger is append-only and sealed by the database. A posting has a key and a digest of its
content: the same again changes nothing, the same key with other content is a conflict.
"""

import hashlib
import logging
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Q, Sum

from dealers.directory.models import Dealer, Staff
from dealers.settlement import queries, rules, statements
from dealers.settlement.models import Account, LedgerEntry, LedgerLine, Seal, SplitRule, Statement, StatementLine, WorkRefund
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound, Refusal, Stale

log = logging.getLogger("yipan.settlement")
ACTOR = "settlement"


class LedgerConflict(Refusal):
    """The same posting key with other content: somebody tried to book a thing twice, differently."""


class NotPublishable(Refusal):
    """The rule would be wrong in force."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a posting in fen: debit positive, credit negative."""

    account: str
    amount_fen: int
    component: str
    explain: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posting:
    """A balanced entry to be. `reverses` is the key of the entry it takes back a part of."""

    key: str
    kind: str
    source: str
    order_no: str
    effective_at: datetime
    sides: tuple[Side, ...]
    reverses: str = ""

    @property
    def digest(self) -> str:
        content = [
            self.kind,
            self.source,
            self.order_no,
            [(side.account, side.amount_fen, side.component) for side in self.sides],
        ]
        return hashlib.sha256(orjson.dumps(content)).hexdigest()


@transaction.atomic
def post(*, postings: Sequence[Posting], made_by: str, at: datetime) -> int:
    """Write postings that are new, in a handful of statements for the whole batch; returns how many were.

    Raises LedgerConflict, with nothing written, when a key is known with other content.
    """
    wanted = {posting.key: posting for posting in postings if posting.sides}
    keys = [*wanted, *(posting.reverses for posting in wanted.values() if posting.reverses)]
    known = {key: (entry_id, digest) for key, entry_id, digest in _known(keys)}
    for key, posting in wanted.items():
        if key in known and known[key][1] != posting.digest:
            log.error("ledger conflict on %s", key)
            raise LedgerConflict(f"记账键 {key} 已有不同内容，未写入任何分录")
    new = [posting for key, posting in wanted.items() if key not in known]
    if not new:
        return 0
    accounts = _accounts({side.account for posting in new for side in posting.sides})
    ids = {posting.key: _uuid7() for posting in new}
    origin = {key: entry_id for key, (entry_id, _) in known.items()} | ids
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            id=ids[posting.key],
            seal_id=ids[posting.key],
            key=posting.key,
            payload_hash=posting.digest,
            kind=posting.kind,
            source=posting.source,
            order_no=posting.order_no,
            effective_at=posting.effective_at,
            posted_at=at,
            reverses_id=origin[posting.reverses] if posting.reverses else None,
            made_by=made_by,
        )
        for posting in new
    )
    LedgerLine.objects.bulk_create(
        LedgerLine(
            entry_id=ids[posting.key],
            account_id=accounts[side.account],
            amount_fen=side.amount_fen,
            component=side.component,
            explain=side.explain,
        )
        for posting in new
        for side in posting.sides
    )
    Seal.objects.bulk_create(Seal(id=entry_id) for entry_id in ids.values())
    return len(new)


def _known(keys: Iterable[str]) -> Iterable[tuple[str, uuid.UUID, str]]:
    return LedgerEntry.objects.filter(key__in=list(keys)).values_list("key", "id", "payload_hash")


def _accounts(codes: set[str]) -> dict[str, int]:
    """Account code → id; missing ones are opened, by whoever comes first."""
    found = dict(Account.objects.filter(code__in=codes).values_list("code", "id"))
    missing = [
        Account(code=code, kind=rules.account_kind(code), party=rules.account_party(code))
        for code in sorted(codes - found.keys())
    ]
    if missing:
        Account.objects.bulk_create(missing, ignore_conflicts=True)
        found = dict(Account.objects.filter(code__in=codes).values_list("code", "id"))
    return found


def _uuid7() -> uuid.UUID:
    """RFC 9562 version 7: milliseconds first, so that entries are written in index order."""
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = (raw[6] & 0x0F) | 0x70, (raw[8] & 0x3F) | 0x80
    return uuid.UUID(bytes=bytes(raw))


@transaction.atomic
def on_work_completed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Accrue what the offers promised, and take back at once what was refunded before."""
    done = {fact.payload["fo_no"]: fact.payload for fact in facts}
    statements.lock_works(done)
    refunds = _refunds(done)
    postings = []
    for fo_no, payload in done.items():
        sides, effective_at = _accrual(payload["components"]), datetime.fromisoformat(payload["completed_at"])
        postings.append(Posting(_accrual_key(fo_no), "accrual", f"work:{fo_no}", payload["order_no"], effective_at, sides))
        if sides:
            postings += _reversals(fo_no, payload["components"], payload["paid_fen"], refunds.get(fo_no, []))
    post(postings=postings, made_by=ACTOR, at=at)


@transaction.atomic
def on_work_refunded(facts: Sequence[Fact], *, at: datetime) -> None:
    """Remember refunds, and reverse their part of what is accrued already."""
    told = {(fact.payload["fo_no"], fact.payload["refund_key"]): fact.payload for fact in facts}
    statements.lock_works(fo_no for fo_no, _ in told)
    WorkRefund.objects.bulk_create(
        (
            WorkRefund(
                fo_no=payload["fo_no"],
                refund_key=payload["refund_key"],
                order_no=payload["order_no"],
                amount_fen=payload["amount_fen"],
                refunded_at=datetime.fromisoformat(payload["refunded_at"]),
            )
            for payload in told.values()
        ),
        ignore_conflicts=True,
    )
    fo_nos = {fo_no for fo_no, _ in told}
    accrued = LedgerEntry.objects.filter(key__in=[_accrual_key(fo_no) for fo_no in fo_nos]).prefetch_related("lines__account")
    refunds = _refunds(fo_nos)
    postings: list[Posting] = []
    for entry in accrued:
        fo_no = entry.source.removeprefix("work:")
        components = [line.explain for line in entry.lines.all() if line.amount_fen < 0]
        postings += _reversals(fo_no, components, components[0]["paid_fen"], refunds[fo_no])
    post(postings=postings, made_by=ACTOR, at=at)


def _accrual_key(fo_no: str) -> str:
    return f"work.completed:{fo_no}"


def _accrual(components: Sequence[Mapping[str, Any]]) -> tuple[Side, ...]:
    """Debit the expense, credit the payee, for each component; the credit line keeps the whole explanation."""
    sides = []
    for part in components:
        sides.append(Side(f"expense:{part['component']}", part["amount_fen"], part["component"], {"rule": part["rule"]}))
        sides.append(Side(f"payable:{part['payee']}", -part["amount_fen"], part["component"], dict(part)))
    return tuple(sides)


def _refunds(fo_nos: Iterable[str]) -> dict[str, list[WorkRefund]]:
    found: dict[str, list[WorkRefund]] = defaultdict(list)
    for refund in WorkRefund.objects.filter(fo_no__in=list(fo_nos)).order_by("id"):
        found[refund.fo_no].append(refund)
    return found


def _reversals(
    fo_no: str, components: Sequence[Mapping[str, Any]], paid_fen: int, refunds: Sequence[WorkRefund]
) -> list[Posting]:
    """One reversing posting per refund, each up to the cumulative target, in the order they were remembered."""
    postings, before = [], 0
    for refund in refunds:
        sides = []
        for part in components:
            step = rules.refund_step(part["amount_fen"], paid_fen, before, refund.amount_fen)
            if step:
                note = {
                    "rule": part["rule"],
                    "refund": refund.refund_key,
                    "refunded_fen": refund.amount_fen,
                    "paid_fen": paid_fen,
                }
                sides.append(Side(f"expense:{part['component']}", -step, part["component"], note))
                sides.append(Side(f"payable:{part['payee']}", step, part["component"], note))
        before += refund.amount_fen
        postings.append(
            Posting(
                key=f"work.refunded:{fo_no}:{refund.refund_key}",
                kind="reversal",
                source=f"work:{fo_no}",
                order_no=refund.order_no,
                effective_at=refund.refunded_at,
                sides=tuple(sides),
                reverses=_accrual_key(fo_no),
            )
        )
    return postings


@transaction.atomic
def draw_statements(*, period_from: datetime, period_to: datetime, at: datetime, actor: str) -> list[str]:
    """A statement for every dealer with something to state, of all lines before the period's end that no
    statement has yet: what came late falls into the next one. Repeating it draws nothing more.

    Returns the numbers drawn. Raises Refusal for a period that has not begun or ends before it begins.
    """
    if period_to <= period_from or period_from > at:
        raise Refusal("账期不正确：结束必须晚于开始，且账期已经开始")
    statements.lock_statements()
    drawn = set(Statement.objects.filter(period_from=period_from).values_list("dealer_id", flat=True))
    open_lines = LedgerLine.objects.filter(
        account__code__startswith="payable:dealer:", entry__effective_at__lt=period_to, statement_line=None
    )
    totals: dict[str, dict[str, int]] = {
        row["account__code"].rpartition(":")[2]: row
        for row in open_lines.values("account__code").annotate(
            accrued=Sum("amount_fen", filter=Q(amount_fen__lt=0)), reversed=Sum("amount_fen", filter=Q(amount_fen__gt=0))
        )
    }
    numbers, facts = [], []
    for dealer in Dealer.objects.filter(code__in=totals).exclude(id__in=drawn).order_by("id"):
        statement = _draw(dealer, totals[dealer.code], period_from, period_to, at)
        lines = open_lines.filter(account__code=f"payable:dealer:{dealer.code}").order_by("id").values_list("id", flat=True)
        StatementLine.objects.bulk_create(StatementLine(statement=statement, ledger_line_id=line_id) for line_id in list(lines))
        numbers.append(statement.statement_no)
        facts.append(
            events.StatementReady(statement_no=statement.statement_no, dealer_id=dealer.pk, closing_fen=statement.closing_fen)
        )
    journal.record(*facts, actor=actor, at=at)
    return numbers


def _draw(dealer: Dealer, total: Mapping[str, Any], period_from: datetime, period_to: datetime, at: datetime) -> Statement:
    before = Statement.objects.filter(dealer=dealer, period_from__lt=period_from).order_by("-period_from").first()
    opening = before.closing_fen if before else 0
    accrued, reversed_fen = -(total["accrued"] or 0), total["reversed"] or 0
    return Statement.objects.create(
        statement_no=f"S-{dealer.code}-{rules.period_label(period_from, period_to)}",
        dealer=dealer,
        period_from=period_from,
        period_to=period_to,
        opening_fen=opening,
        accrued_fen=accrued,
        reversed_fen=reversed_fen,
        closing_fen=opening + accrued - reversed_fen,
        drawn_at=at,
    )


@transaction.atomic
def confirm_statement(*, statement_no: str, staff: Staff, at: datetime) -> None:
    """The dealer's owner (or finance for them) agrees. Confirming twice is one confirmation."""
    statement = queries.statement_for(staff=staff, statement_no=statement_no)
    ready = Statement.objects.filter(pk=statement.pk, state=Statement.State.READY)
    if not ready.update(state=Statement.State.CONFIRMED, confirmed_at=at, confirmed_by=staff):
        if not Statement.objects.filter(pk=statement.pk, state=Statement.State.CONFIRMED).exists():
            raise Stale
        return


@transaction.atomic
def publish_rule(*, rule: SplitRule, staff: Staff, at: datetime) -> None:
    """Put a draft into force; older versions of the same code end where it begins. Raises NotPublishable."""
    try:
        rules.percent_of(rule.percent)
    except ValueError:
        raise NotPublishable(f"比例「{rule.percent}」不是有效的十进制数") from None
    if rule.effective_to and rule.effective_to <= rule.effective_from:
        raise NotPublishable("失效时间必须晚于生效时间")
    if rule.amount_fen < 0:
        raise NotPublishable("金额不能为负")
    changed = SplitRule.objects.filter(pk=rule.pk, state=SplitRule.State.DRAFT).update(state=SplitRule.State.PUBLISHED)
    if not changed:
        raise Stale("这条规则已不是草稿")
    queries.forget()


@transaction.atomic
def new_version(*, rule: SplitRule, staff: Staff) -> SplitRule:
    """A draft that begins as a copy of a rule; what is published is never edited."""
    newest = SplitRule.objects.filter(code=rule.code).order_by("-version").first()
    if newest is None:
        raise NotFound
    draft = SplitRule.objects.get(pk=rule.pk)
    draft.pk, draft.version, draft.state = None, newest.version + 1, SplitRule.State.DRAFT
    draft.save(force_insert=True)
    return draft


@transaction.atomic
def retire_rule(*, rule: SplitRule, staff: Staff, at: datetime) -> None:
    """End a published rule now; what was frozen on offers stays as it was."""
    live = SplitRule.objects.filter(pk=rule.pk, state=SplitRule.State.PUBLISHED).filter(
        Q(effective_to=None) | Q(effective_to__gt=at)
    )
    if not live.update(state=SplitRule.State.RETIRED, effective_to=at):
        raise Stale("这条规则没有在生效")
    queries.forget()
