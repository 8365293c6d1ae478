"""Facts become balanced entries, each once, and end in the same balances in whatever order they arrive."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from io import StringIO
from itertools import count, groupby
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dealers.models import Account, LedgerEntry, LedgerLine, SplitRule, WorkRefund
from dealers.settlement import actions as settlement
from dealers.settlement import guards, queries, rules
from dealers.settlement.rules import NewEntry, NewLine
from oms_project.journal.subscription import Fact, PermanentFailure
from oms_project.refusal import NotFound
from tests.dealers.settlement_world import (
    AFTERWARDS,
    NOVEMBER,
    OCTOBER,
    PAYABLE,
    books,
    complete,
    completed,
    component,
    draw,
    early,
    refund,
    refunded,
)
from tests.make import make_dealer, make_staff

pytestmark = pytest.mark.django_db
_numbers = count(1)


def entry(key: str, *lines: tuple[str, int], at: datetime = AFTERWARDS, **payload: Any) -> NewEntry:
    made = tuple(NewLine(account, fen, "service_fee") for account, fen in lines)
    return NewEntry(key, "accrual", "work:A", "DD-A", at, made, payload)


def pair(key: str, fen: int = 5) -> NewEntry:
    return entry(key, ("expense:service_fee", fen), (PAYABLE, -fen), fen=fen)


def test_a_completion_is_one_sealed_entry_of_two_lines_per_component() -> None:
    commission = component(50, payee="anchor:lulu", name="commission")
    complete(completed("A", when=early(OCTOBER), components=[component(300), commission]))
    made = LedgerEntry.objects.get()
    assert (made.key, made.kind, made.source, made.order_no) == ("work.completed:A", "accrual", "work:A", "DD-A")
    assert (made.effective_at, made.posted_at, made.made_by, made.seal_id) == (early(OCTOBER), AFTERWARDS, "staff:7", made.pk)
    assert list(made.lines.order_by("pk").values_list("account__code", "amount_fen", "component")) == [
        ("expense:service_fee", 300, "service_fee"),
        (PAYABLE, -300, "service_fee"),
        ("expense:commission", 50, "commission"),
        ("payable:anchor:lulu", -50, "commission"),
    ]
    assert list(Account.objects.order_by("code").values_list("code", "kind", "party")) == [
        ("expense:commission", "expense", ""),
        ("expense:service_fee", "expense", ""),
        ("payable:anchor:lulu", "liability", "anchor:lulu"),
        (PAYABLE, "liability", "dealer:D1"),
    ]
    assert made.lines.get(amount_fen=-300).explain["explain"] == "每单固定；规则 SVC v1，300 分"
    assert queries.faults() == []


def test_three_refunds_that_make_up_the_price_take_everything_back() -> None:
    complete(completed("A", 101))
    for refund_key, fen, left in (("r1", 3_333, -67), ("r2", 3_333, -34), ("r3", 3_334, 0)):
        refund(refunded("A", refund_key, fen))
        assert queries.balance_of(PAYABLE) == left
    assert LedgerEntry.objects.filter(kind="reversal", reverses__key="work.completed:A").count() == 3
    assert queries.faults() == []


def test_a_refund_before_the_completion_waits_for_it() -> None:
    refund(refunded("A", "r1", 3_333, early(OCTOBER)))
    assert (WorkRefund.objects.count(), LedgerEntry.objects.count()) == (1, 0)
    complete(completed("A", 101, early(NOVEMBER)))
    assert queries.balance_of(PAYABLE) == -101 + 34
    assert LedgerEntry.objects.get(kind="reversal").effective_at == early(NOVEMBER)


def test_a_refund_beyond_the_price_takes_back_no_more_than_was_accrued() -> None:
    complete(completed("A", 101))
    refund(refunded("A", "r1", 9_000), refunded("A", "r2", 9_000), refunded("A", "r3", 1))
    assert queries.balance_of(PAYABLE) == 0
    assert queries.faults() == []


def test_a_refund_of_nothing_is_nothing() -> None:
    before = books()
    refund(refunded("A", "r1", 0))
    assert books() == before


def test_work_that_earned_nothing_posts_nothing() -> None:
    before = books()
    complete(completed("A", 0))
    assert books() == before


@pytest.mark.parametrize(
    ("first", "again"),
    [
        pytest.param(completed("A", 100), completed("A", 900), id="completion"),
        pytest.param(refunded("A", "r1", 5_000), refunded("A", "r1", 7_000), id="refund"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_same_key_with_other_content_is_a_conflict_and_an_alarm(
    first: Fact, again: Fact, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tell = complete if first.name == "work.completed" else refund
    if not at_once:
        tell(first)
    before = books()
    with (
        caplog.at_level(logging.ERROR, "yipan.settlement"),
        pytest.raises(settlement.LedgerConflict, match="账目冲突") as refused,
        transaction.atomic(),
    ):
        tell(*([first, again] if at_once else [again, completed("B", 1)] if tell is complete else [again]))
    assert books() == before
    assert isinstance(refused.value, PermanentFailure)
    assert "ledger conflict" in caplog.text


def test_repetition_within_a_batch_and_after_it_changes_nothing() -> None:
    facts = [completed("A", 100), completed("A", 100), completed("B", 7)]
    complete(*facts)
    refund(refunded("A", "r1", 5_000), refunded("A", "r1", 5_000))
    before = books()
    complete(*facts)
    refund(refunded("A", "r1", 5_000))
    assert books() == before
    assert queries.balance_of(PAYABLE) == -57


def test_an_entry_that_does_not_balance_is_refused_with_all_of_its_batch() -> None:
    before = books()
    for wrong in (entry("W", ("expense:service_fee", 5), (PAYABLE, -4)), entry("W", (PAYABLE, -4)), entry("W")):
        with pytest.raises(IntegrityError), transaction.atomic():
            settlement.post(entries=[pair("P"), wrong], at=AFTERWARDS)
    with pytest.raises(ValueError, match="chart of accounts"), transaction.atomic():
        settlement.post(entries=[pair("P"), entry("W", ("wallet:x", 5), (PAYABLE, -5))], at=AFTERWARDS)
    assert books() == before


def test_a_batch_says_how_many_entries_were_new() -> None:
    assert settlement.post(entries=[], at=AFTERWARDS) == 0
    assert settlement.post(entries=[pair("A"), pair("B")], at=AFTERWARDS) == 2
    assert settlement.post(entries=[pair("B"), pair("C"), pair("C")], at=AFTERWARDS) == 1
    assert queries.balance_of(PAYABLE) == -15


def test_a_batch_beyond_one_statements_rows_is_written_whole(django_assert_max_num_queries: Callable[[int], Any]) -> None:
    with django_assert_max_num_queries(16):
        assert settlement.post(entries=[pair(f"E{n:04d}", n) for n in range(1, 1_202)], at=AFTERWARDS) == 1_201
    assert queries.balance_of(PAYABLE) == -1_201 * 1_202 // 2
    assert (LedgerLine.objects.count(), queries.faults()) == (2_402, [])


def test_large_sums_are_exact() -> None:
    settlement.post(entries=[pair("A", 9_007_199_254_740_993), pair("B", 1)], at=AFTERWARDS)
    assert queries.balance_of(PAYABLE) == -9_007_199_254_740_994


def test_balances_of_unknown_accounts_are_zero() -> None:
    assert (queries.balance_of("payable:dealer:nobody"), queries.trial_balance(), queries.balances()) == (0, 0, {})


Refunds = list[int]
works = st.lists(st.tuples(st.integers(1, 5_000), st.lists(st.integers(1, 9_000), max_size=4)), min_size=1, max_size=3)


def told_in(order: Sequence[Fact]) -> None:
    """Hand facts on as the journal would: neighbours of one kind in one batch."""
    for name, facts in groupby(order, key=lambda fact: fact.name):
        (complete if name == "work.completed" else refund)(*facts)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), works)
def test_any_order_of_completions_refunds_and_repetitions_ends_in_the_same_balances(
    data: st.DataObject, some: list[tuple[int, Refunds]]
) -> None:
    run = next(_numbers)
    facts, expected = [], {}
    for n, (amount_fen, parts) in enumerate(some):
        fo_no, dealer = f"W{run}-{n}", f"dealer:W{run}-{n}"
        facts.append(completed(fo_no, components=[component(amount_fen, payee=dealer)]))
        facts += [refunded(fo_no, f"r{k}", fen) for k, fen in enumerate(parts)]
        expected[f"payable:{dealer}"] = rules.refund_target(amount_fen, 10_000, sum(parts)) - amount_fen
    facts += data.draw(st.lists(st.sampled_from(facts), max_size=4))
    told_in(data.draw(st.permutations(facts)))
    assert {code: queries.balance_of(code) for code in expected} == expected
    assert queries.trial_balance() == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 10**6), st.lists(st.integers(1, 10**5), min_size=1, max_size=6))
def test_a_price_refunded_in_any_parts_leaves_nothing_and_never_less(amount_fen: int, parts: list[int]) -> None:
    run = next(_numbers)
    fo_no, dealer = f"P{run}", f"dealer:P{run}"
    complete(completed(fo_no, components=[component(amount_fen, payee=dealer, paid_fen=sum(parts))], paid_fen=sum(parts)))
    for n, fen in enumerate(parts):
        refund(refunded(fo_no, f"r{n}", fen))
        assert queries.balance_of(f"payable:{dealer}") <= 0
    assert queries.balance_of(f"payable:{dealer}") == 0


def test_income_is_net_per_component_and_period() -> None:
    complete(completed("A", 100, early(OCTOBER)), completed("B", 40, early(NOVEMBER)))
    complete(completed("C", components=[component(9, payee="dealer:D2")], when=early(OCTOBER)))
    refund(refunded("A", "r1", 5_000, early(NOVEMBER)))
    october, november = ({"since": since, "until": until} for since, until in (OCTOBER, NOVEMBER))
    assert queries.income_by_dealer(**october) == {"D1": {"service_fee": 100}, "D2": {"service_fee": 9}}
    assert queries.income_by_dealer(**november) == {"D1": {"service_fee": -10}}
    assert queries.income_by_dealer(**october, dealer_codes=["D2"]) == {"D2": {"service_fee": 9}}


def draft(version: int = 1, **fields: Any) -> SplitRule:
    made = {"name": "服务费", "component": "service_fee", "mode": "fixed", "amount_fen": 100, "effective_from": early(OCTOBER)}
    return SplitRule.objects.create(code="SVC", version=version, **{**made, **fields})


def fee(at: datetime = AFTERWARDS) -> list[int]:
    line = rules.PricedLine("KT-3300", "furniture", 1, 10_000, 0)
    work = rules.WorkToPrice("doudian", "320506", "D1", "gold", False, 10_000, "", (line,))
    return [found.amount_fen for found in rules.quote(work, queries.rules_in_force(at), at)]


def test_a_published_rule_counts_at_once_and_never_changes_again() -> None:
    finance = make_staff(role="finance")
    rule = draft()
    assert fee() == []
    settlement.publish_rule(rule=rule, staff=finance, at=AFTERWARDS)
    assert (fee(), fee(early(OCTOBER) - timedelta(microseconds=1))) == ([100], [])
    with pytest.raises(settlement.RuleUnfit, match="只有草稿可以发布"):
        settlement.publish_rule(rule=rule, staff=finance, at=AFTERWARDS)


def test_a_revision_is_a_draft_that_replaces_the_old_version_when_published() -> None:
    finance = make_staff(role="finance")
    old = settlement.publish_rule(rule=draft(), staff=finance, at=AFTERWARDS)
    new = settlement.revise_rule(rule=old, staff=finance, at=AFTERWARDS)
    assert (new.version, new.state, new.amount_fen, new.effective_from) == (2, "draft", 100, AFTERWARDS)
    with pytest.raises(settlement.RuleUnfit, match="已有草稿"):
        settlement.revise_rule(rule=old, staff=finance, at=AFTERWARDS)
    new.amount_fen = 200
    new.save()
    assert fee() == [100]
    settlement.publish_rule(rule=new, staff=finance, at=AFTERWARDS)
    assert (fee(), fee(AFTERWARDS - timedelta(days=1))) == ([200], [100])


def test_retiring_a_version_does_not_bring_back_the_one_it_replaced() -> None:
    draft(1, state="published")
    newest = draft(2, state="published", amount_fen=200)
    settlement.retire_rule(rule=newest, staff=make_staff(role="finance"), at=AFTERWARDS)
    assert fee() == []
    assert set(SplitRule.objects.values_list("state", flat=True)) == {"retired"}
    with pytest.raises(settlement.RuleUnfit, match="只有已发布"):
        settlement.retire_rule(rule=newest, staff=make_staff(role="finance"), at=AFTERWARDS)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"amount_fen": 0}, "固定金额须大于 0"),
        ({"amount_fen": -5}, "固定金额须大于 0"),
        ({"mode": "percent", "percent": "0"}, "不超过 100"),
        ({"mode": "percent", "percent": "100.000001"}, "不超过 100"),
        ({"mode": "percent", "percent": "六"}, "十进制数"),
        ({"mode": "percent", "percent": "0.0000001"}, "十进制数"),
        ({"mode": "price_diff", "percent": "50"}, "差价返还须用差价算法"),
        ({"component": "price_diff"}, "差价返还须用差价算法"),
        ({"effective_to": early(OCTOBER)}, "失效时间须晚于生效时间"),
    ],
)
def test_a_rule_that_cannot_be_computed_is_not_published(fields: dict[str, Any], why: str) -> None:
    rule, finance = draft(**fields), make_staff(role="finance")
    before = books()
    with pytest.raises(settlement.RuleUnfit, match=why):
        settlement.publish_rule(rule=rule, staff=finance, at=AFTERWARDS)
    assert books() == before


@pytest.mark.parametrize("role", ["operator", "owner", "clerk", "installer"])
@pytest.mark.parametrize("step", [settlement.publish_rule, settlement.retire_rule, settlement.revise_rule])
def test_rules_are_the_business_of_finance(role: str, step: Callable[..., SplitRule]) -> None:
    rule = draft(state="draft" if step is settlement.publish_rule else "published")
    staff = make_staff(None if role == "operator" else make_dealer("D1"), role=role)
    before = books()
    with pytest.raises(NotFound):
        step(rule=rule, staff=staff, at=AFTERWARDS)
    assert books() == before


def tamper(sql: str) -> None:
    """What somebody with the database's own password could do: take the guards down, change, put them up again."""
    with connection.cursor() as cursor:
        guards.remove(cursor)
        cursor.execute(sql)
        guards.install(cursor)


def verify() -> str:
    """What the command says; faults are followed by the exit code."""
    out, err = StringIO(), StringIO()
    try:
        call_command("ledger_verify", stdout=out, stderr=err)
    except CommandError as error:
        return f"{err.getvalue()}{error}\nexit {error.returncode}"
    return out.getvalue()


@pytest.fixture
def kept_books() -> None:
    """One work half refunded and stated, in books that are right."""
    make_dealer("D1")
    complete(completed("A", 100, early(OCTOBER)))
    refund(refunded("A", "r1", 5_000, early(OCTOBER)))
    draw(OCTOBER)
    assert verify() == f"expense:service_fee\t50\n{PAYABLE}\t-50\n账本无误：2 个科目，试算平衡。\n"


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE dealers_ledgerline SET amount_fen = -99 WHERE amount_fen = -100", "试算不平：1 分"),
        (
            "UPDATE dealers_ledgerline SET amount_fen = -99 WHERE amount_fen = -100",
            "分录不平：work.completed:A（2 行，合计 1 分）",
        ),
        ("UPDATE dealers_ledgerline SET amount_fen = amount_fen * 2 WHERE amount_fen IN (100, -100)", "结算单与明细不符"),
        ("UPDATE dealers_ledgerline SET amount_fen = amount_fen * 2 WHERE amount_fen IN (50, -50)", "冲正与退款不符：A"),
        ("UPDATE dealers_workrefund SET amount_fen = 4000", "冲正与退款不符：A（应 40 分，实 50 分）"),
        ("UPDATE dealers_statement SET closing_fen = closing_fen + 1", "结算单与明细不符：JS202610-D1"),
        ("UPDATE dealers_statement SET opening_fen = 1, closing_fen = closing_fen + 1", "结算单与明细不符：JS202610-D1"),
    ],
)
def test_the_books_are_verified_by_adding_everything_up_again(kept_books: None, sql: str, fault: str) -> None:
    tamper(sql)
    assert guards.missing() == []
    said = verify()
    assert fault in said
    assert said.endswith("处错误\nexit 1")


def test_missing_guards_are_a_fault(kept_books: None) -> None:
    with connection.cursor() as cursor:
        guards.remove(cursor)
        assert "没有这道保护：ledger_balances" in verify()
        guards.install(cursor)
    assert "账本无误" in verify()
