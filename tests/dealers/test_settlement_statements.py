"""Statements: every line in exactly one, each opens where the last one closed, and only the right people see or sign them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dealers.models import LedgerLine, SplitRule, Staff, Statement, StatementLine
from dealers.settlement import actions as settlement
from dealers.settlement import queries, statements
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound
from tests.dealers.settlement_world import (
    AFTERWARDS,
    DECEMBER,
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

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at:UserWarning")]
RULES, STATEMENTS = "/admin/dealers/splitrule/", "/admin/dealers/statement/"


@pytest.fixture
def dealer(db: None) -> Any:
    return make_dealer("D1")


def figures() -> dict[str, tuple[int, int, int, int]]:
    """Number → opening, accrued, reversed, closing."""
    found = Statement.objects.order_by("period_from", "statement_no")
    return {one.statement_no: (one.opening_fen, one.accrued_fen, one.reversed_fen, one.closing_fen) for one in found}


def test_a_statement_holds_its_period_and_the_next_one_carries_on(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)), completed("B", 40, early(NOVEMBER)))
    refund(refunded("A", "r1", 5_000, early(NOVEMBER)))
    assert draw(OCTOBER) == ["JS202610-D1"]
    assert draw(NOVEMBER) == ["JS202611-D1"]
    assert figures() == {"JS202610-D1": (0, 100, 0, 100), "JS202611-D1": (100, 40, 50, 90)}
    assert queries.balance_of(PAYABLE) == -90
    lines = queries.statement_lines(Statement.objects.get(statement_no="JS202611-D1"))
    assert [(line.entry.key, line.amount_fen) for line in lines] == [("work.completed:B", -40), ("work.refunded:A:r1", 50)]
    assert queries.faults() == []


def test_a_period_is_half_open_in_shanghai(dealer: Any) -> None:
    instant = timedelta(microseconds=1)
    for number, when in enumerate((OCTOBER[0], OCTOBER[1] - instant, OCTOBER[1])):
        complete(completed(f"W{number}", 10**number, when))
    draw(OCTOBER)
    draw(NOVEMBER)
    assert figures() == {"JS202610-D1": (0, 11, 0, 11), "JS202611-D1": (11, 100, 0, 111)}


def test_drawing_twice_draws_nothing_twice(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    assert draw(OCTOBER) == ["JS202610-D1"]
    before = books()
    assert draw(OCTOBER) == []
    assert books() == before


def test_the_dealer_is_told_once(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    draw(OCTOBER)
    told = Entry.objects.get(name="statement.ready")
    assert told.payload == {"statement_no": "JS202610-D1", "dealer_id": dealer.pk, "closing_fen": 100}


def test_a_line_that_comes_late_goes_into_the_next_statement(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    draw(OCTOBER)
    complete(completed("LATE", 7, early(OCTOBER)))
    draw(NOVEMBER)
    assert figures() == {"JS202610-D1": (0, 100, 0, 100), "JS202611-D1": (100, 7, 0, 107)}


def test_an_older_period_after_a_newer_one_draws_nothing_and_loses_nothing(dealer: Any) -> None:
    complete(completed("A", 100, early(NOVEMBER)))
    draw(NOVEMBER)
    complete(completed("B", 40, early(OCTOBER)))
    assert draw(OCTOBER) == []
    complete(completed("C", 5, early(DECEMBER)))
    draw(DECEMBER)
    assert figures() == {"JS202611-D1": (0, 100, 0, 100), "JS202612-D1": (100, 45, 0, 145)}
    assert queries.balance_of(PAYABLE) == -145


def test_a_refund_in_october_of_work_done_in_november_is_stated_with_it(dealer: Any) -> None:
    refund(refunded("A", "r1", 5_000, early(OCTOBER)))
    complete(completed("A", 100, early(NOVEMBER)))
    assert draw(OCTOBER) == []
    draw(NOVEMBER)
    assert figures() == {"JS202611-D1": (0, 100, 50, 50)}


def test_the_totals_are_those_of_the_lines_even_if_something_is_posted_in_between(
    dealer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    put_in = statements.insert_statement_lines

    def and_then_post(statement_ids: list[int]) -> None:
        put_in(statement_ids)
        complete(completed("B", 40, early(OCTOBER)))

    monkeypatch.setattr(statements, "insert_statement_lines", and_then_post)
    draw(OCTOBER)
    assert figures() == {"JS202610-D1": (0, 100, 0, 100)}
    assert queries.faults() == []
    monkeypatch.undo()
    draw(NOVEMBER)
    assert figures()["JS202611-D1"] == (100, 40, 0, 140)


def test_a_debt_is_carried_as_a_negative_figure(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    draw(OCTOBER)
    refund(refunded("A", "r1", 10_000, early(NOVEMBER)))
    draw(NOVEMBER)
    assert figures()["JS202611-D1"] == (100, 0, 100, 0)
    assert draw(DECEMBER) == []


def test_a_balance_is_carried_through_a_month_without_business(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    for period in (OCTOBER, NOVEMBER):
        draw(period)
    assert figures()["JS202611-D1"] == (100, 0, 0, 100)


def test_each_dealer_has_a_statement_of_its_own_and_anchors_have_none(dealer: Any) -> None:
    make_dealer("D2")
    make_dealer("D3")
    anchor = component(9, payee="anchor:D1", name="commission")
    complete(completed("A", components=[component(100), component(30, payee="dealer:D2"), anchor], when=early(OCTOBER)))
    assert draw(OCTOBER) == ["JS202610-D1", "JS202610-D2"]
    assert figures() == {"JS202610-D1": (0, 100, 0, 100), "JS202610-D2": (0, 30, 0, 30)}


@pytest.mark.parametrize(
    ("period", "at", "why"),
    [
        (NOVEMBER, early(NOVEMBER), "尚未结束"),
        (NOVEMBER, NOVEMBER[1] - timedelta(microseconds=1), "尚未结束"),
        (NOVEMBER[::-1], AFTERWARDS, "开始须早于结束"),
        ((NOVEMBER[0], NOVEMBER[0]), AFTERWARDS, "开始须早于结束"),
    ],
)
def test_a_period_that_is_not_over_or_is_no_period_is_refused(
    dealer: Any, period: tuple[datetime, datetime], at: datetime, why: str
) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    before = books()
    with pytest.raises(settlement.PeriodUnfit, match=why):
        draw(period, at)
    assert books() == before


def test_several_drawings_on_one_day_each_have_a_number(dealer: Any) -> None:
    hours = [early(NOVEMBER) + timedelta(hours=n) for n in range(5)]
    for n, (begin, end) in enumerate(zip(hours, hours[1:], strict=False)):
        complete(completed(f"W{n}", 10**n, begin))
        assert len(draw((begin, end))) == 1
    assert [closing for *_, closing in figures().values()] == [1, 11, 111, 1_111]


MONTHS = (OCTOBER, NOVEMBER, DECEMBER, (DECEMBER[1], AFTERWARDS))
AMOUNTS = (101, 7, 2_500, 9_999)
steps = st.one_of(
    st.tuples(st.just("complete"), st.integers(0, 3), st.sampled_from(MONTHS[:2])),
    st.tuples(st.integers(1, 6_000), st.integers(0, 3), st.sampled_from(MONTHS[:3])),
    st.tuples(st.just("draw"), st.just(0), st.sampled_from(MONTHS)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=14))
def test_whatever_is_posted_refunded_and_drawn_in_between_the_last_statement_closes_with_the_balance(
    dealer: Any, told: list[tuple[str | int, int, tuple[datetime, datetime]]]
) -> None:
    """Works of fixed amounts are completed, refunded (a number is fen) and stated, in months that need not follow in order."""
    end = AFTERWARDS + timedelta(days=1)
    with transaction.atomic():
        for number, (what, work, month) in enumerate(told):
            if what == "complete":
                complete(completed(f"W{work}", AMOUNTS[work], early(month)))
            elif what == "draw":
                draw(month)
            else:
                refund(refunded(f"W{work}", f"r{number}", int(what), early(month)))
        draw((AFTERWARDS, end), end)
        last = Statement.objects.order_by("period_to").last()
        assert (last.closing_fen if last else 0) == -queries.balance_of(PAYABLE)
        assert StatementLine.objects.count() == LedgerLine.objects.filter(account__code=PAYABLE).count()
        assert queries.faults() == []
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        ("admin", ["JS202610-D1", "JS202610-D2"]),
        ("finance", ["JS202610-D1", "JS202610-D2"]),
        ("operator", []),
        ("owner", ["JS202610-D1"]),
        ("clerk", []),
        ("installer", []),
    ],
)
def test_who_sees_and_signs_which_statement(dealer: Any, role: str, sees: list[str]) -> None:
    make_dealer("D2")
    complete(completed("A", components=[component(100), component(30, payee="dealer:D2")], when=early(OCTOBER)))
    draw(OCTOBER)
    staff = make_staff(None if role in Staff.HQ_ROLES else dealer, role=role)
    assert sorted(one.statement_no for one in queries.statements_for(staff)) == sees
    for number in ("JS202610-D1", "JS202610-D2", "JS209901-D1"):
        if number in sees:
            signed = settlement.confirm_statement(statement_no=number, staff=staff, at=AFTERWARDS)
            assert (signed.state, signed.confirmed_by, signed.confirmed_at) == ("confirmed", staff, AFTERWARDS)
        else:
            before = books()
            with pytest.raises(NotFound, match="找不到这张结算单"):
                settlement.confirm_statement(statement_no=number, staff=staff, at=AFTERWARDS)
            assert books() == before


def test_the_first_confirmation_counts(dealer: Any) -> None:
    complete(completed("A", 100, early(OCTOBER)))
    draw(OCTOBER)
    owner, finance = make_staff(dealer), make_staff(role="finance")
    settlement.confirm_statement(statement_no="JS202610-D1", staff=owner, at=AFTERWARDS)
    again = settlement.confirm_statement(statement_no="JS202610-D1", staff=finance, at=AFTERWARDS + timedelta(days=1))
    assert (again.confirmed_by, again.confirmed_at) == (owner, AFTERWARDS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    return lambda at: monkeypatch.setattr(timezone, "now", lambda: at)


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("draw_statements", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_draws_last_month_a_named_month_or_until_now(dealer: Any, clock: Callable[[datetime], None]) -> None:
    complete(completed("A", 1, early(OCTOBER)), completed("B", 10, early(NOVEMBER)), completed("C", 100, early(DECEMBER)))
    clock(early(DECEMBER) + timedelta(hours=1))
    assert said("--month", "2026-10") == "已生成 1 张结算单"
    assert said("--month", "2026-10") == "已生成 0 张结算单"
    assert said() == "已生成 1 张结算单"
    assert said("--until-now") == "已生成 1 张结算单"
    assert figures() == {
        "JS202610-D1": (0, 1, 0, 1),
        "JS202611-D1": (1, 10, 0, 11),
        "JS20261201000000-20261204010000-D1": (11, 100, 0, 111),
    }
    for wrong, why in (("2026-12", "尚未结束"), ("2026-13", "2026-11"), ("december", "2026-11")):
        with pytest.raises(CommandError, match=why):
            said("--month", wrong)


@pytest.fixture
def finance(client: Client) -> Client:
    client.force_login(make_staff(role="finance"))
    Staff.objects.update(is_staff=True)
    return client


def press(client: Client, page: str, action: str, *chosen: Any) -> str:
    form = {"action": action, "_selected_action": [one.pk for one in chosen]}
    return client.post(page, form, follow=True).content.decode()


def draft(**fields: Any) -> SplitRule:
    made = {"name": "上门费", "component": "service_fee", "mode": "fixed", "amount_fen": 8_000, "effective_from": early(OCTOBER)}
    return SplitRule.objects.create(code="VISIT", **{**made, **fields})


def states() -> list[tuple[int, str]]:
    return list(SplitRule.objects.order_by("version").values_list("version", "state"))


def test_finance_publishes_revises_and_retires_rules_in_the_admin(finance: Client) -> None:
    rule = draft()
    assert "已发布" in press(finance, RULES, "publish", rule)
    assert "只有草稿可以发布" in press(finance, RULES, "publish", rule)
    assert "已生成新版本草稿" in press(finance, RULES, "copy_as_draft", rule)
    assert "已有草稿" in press(finance, RULES, "copy_as_draft", rule)
    assert states() == [(1, "published"), (2, "draft")]
    press(finance, RULES, "publish", SplitRule.objects.get(version=2))
    assert "已停用" in press(finance, RULES, "retire", SplitRule.objects.get(version=2))
    assert states() == [(1, "retired"), (2, "retired")]


def test_a_rule_that_does_not_compute_stays_a_draft_and_the_page_says_why(finance: Client) -> None:
    rule = draft(mode="percent", percent="six")
    assert "比例须为不小于 0" in press(finance, RULES, "publish", rule)
    assert states() == [(1, "draft")]


def test_only_drafts_can_be_edited(finance: Client) -> None:
    rule, published = draft(), draft(version=2, state="published")
    fields = {
        "code": "VISIT", "name": "上门费", "component": "service_fee", "payee": "dealer", "mode": "fixed", "percent": "0",
        "amount_fen": 9_000, "priority": 0, "effective_from_0": "2026-10-04", "effective_from_1": "00:00:00",
        "effective_to_0": "", "effective_to_1": "",
    }  # fmt: skip
    answers = [
        finance.post(f"{RULES}{one.pk}/change/", {**fields, "version": one.version}).status_code for one in (rule, published)
    ]
    assert answers == [302, 403]
    assert list(SplitRule.objects.order_by("version").values_list("amount_fen", flat=True)) == [9_000, 8_000]
    assert finance.post(f"{RULES}{published.pk}/delete/", {"post": "yes"}).status_code == 403


def test_finance_draws_and_confirms_statements_in_the_admin(
    finance: Client, dealer: Any, clock: Callable[[datetime], None]
) -> None:
    complete(completed("A", 123_456, early(NOVEMBER)))
    clock(datetime(2026, 11, 25, 4, tzinfo=UTC))
    assert "已生成 1 张结算单" in press(finance, STATEMENTS, "draw_until_now")
    clock(datetime(2026, 11, 25, 5, tzinfo=UTC))
    statement = Statement.objects.get()
    assert statement.closing_fen == 123_456
    assert "1,234.56 元" in press(finance, STATEMENTS, "confirm", statement)
    statement.refresh_from_db()
    assert (statement.state, statement.confirmed_by.role) == ("confirmed", "finance")
    complete(completed("B", 1, datetime(2026, 11, 25, 4, 30, tzinfo=UTC)))
    assert "已生成 1 张结算单" in press(finance, STATEMENTS, "draw_until_now", statement)
    assert StatementLine.objects.count() == 2


def test_the_clock_standing_still_is_told_in_words(finance: Client, dealer: Any, clock: Callable[[datetime], None]) -> None:
    complete(completed("A", 1, early(NOVEMBER)))
    clock(datetime(2026, 11, 25, 4, tzinfo=UTC))
    press(finance, STATEMENTS, "draw_until_now")
    before = books()
    assert "结算周期的开始须早于结束" in press(finance, STATEMENTS, "draw_until_now")
    assert books() == before


@pytest.mark.parametrize("role", ["operator", "owner", "clerk"])
def test_nobody_else_draws_confirms_or_publishes_in_the_admin(client: Client, dealer: Any, role: str) -> None:
    client.force_login(make_staff(None if role == "operator" else dealer, role=role))
    Staff.objects.update(is_staff=True)
    complete(completed("A", 100, early(OCTOBER)))
    draw(OCTOBER)
    complete(completed("B", 100, early(OCTOBER)))
    rule, statement = draft(), Statement.objects.get()
    before = books()
    for page, action, chosen in (
        (STATEMENTS, "draw_until_now", []),
        (STATEMENTS, "draw_until_now", [statement]),
        (STATEMENTS, "confirm", [statement]),
        (RULES, "publish", [rule]),
        (RULES, "retire", [rule]),
    ):
        answer = client.post(page, {"action": action, "_selected_action": [one.pk for one in chosen]})
        assert answer.status_code == 403
    assert books() == before


@pytest.mark.parametrize("table", ["account", "ledgerentry", "ledgerline", "statement"])
def test_the_ledger_is_read_and_never_written_in_the_admin(finance: Client, dealer: Any, table: str) -> None:
    complete(completed("A", 123_456, early(OCTOBER)))
    draw(OCTOBER)
    page = f"/admin/dealers/{table}/"
    assert finance.get(page).status_code == 200
    row = {"account": "Account", "ledgerentry": "LedgerEntry", "ledgerline": "LedgerLine", "statement": "Statement"}[table]
    some = books()[row][0]["id"]
    assert finance.get(f"{page}{some}/change/").status_code == 200
    before = books()
    statuses = [finance.post(f"{page}{way}").status_code for way in ("add/", f"{some}/change/", f"{some}/delete/")]
    assert statuses == [403, 403, 403]
    assert books() == before
