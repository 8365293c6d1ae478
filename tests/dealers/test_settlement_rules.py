"""What a piece of work earns, to the fen and worked by hand; and that no cutting of refunds leaves a stray fen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealers.settlement import rules
from dealers.settlement.rules import AccruedLine, PricedLine, RuleTerms, WorkToPrice
from tests.conftest import NOON

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
SOFA = PricedLine("KT-3300", "furniture", 1, 60_000, 40_000)
FRIDGES = PricedLine("BCD-500", "appliance", 3, 40_000, 10_000)


def work(*lines: PricedLine, **fields: object) -> WorkToPrice:
    """Gold dealer D1 in Suzhou, with installation, sold live by one anchor on Doudian."""
    paid = sum(line.paid_fen for line in lines)
    return replace(WorkToPrice("doudian", "320506", "D1", "gold", True, paid, "lulu", lines), **fields)


def paid(fen: int, supply: int = 0, quantity: int = 1) -> WorkToPrice:
    return work(PricedLine("KT-3300", "furniture", quantity, fen, supply))


def rule(code: str = "SVC", mode: str = "percent", component: str = "service_fee", **fields: object) -> RuleTerms:
    return replace(RuleTerms(code, 1, component, mode, LONG_AGO), **fields)


def amounts(some: WorkToPrice, *terms: RuleTerms, at: datetime = NOON) -> list[tuple[str, int]]:
    """The quote as (rule, fen)."""
    return [(found.rule, found.amount_fen) for found in rules.quote(some, terms, at)]


@pytest.mark.parametrize(
    ("paid_fen", "percent", "expected"),
    [
        (87_777, "6", 5_267),  # 5266.62
        (50, "1", 1),  # 0.5 goes up
        (150, "1", 2),  # 1.5 goes up, and 2.5 too: not to the even neighbour
        (250, "1", 3),
        (149, "1", 1),  # 1.49
        (1_020, "2.5", 26),  # 25.5
        (1_019, "2.5", 25),  # 25.475
        (101_500, "1.15", 1_167),  # 1167.25
        (100, "28.5", 29),  # 28.5, which a float takes for 28.499999999999996
        (1_000_000, "0.333333", 3_333),  # 3333.33
        (150_000_000, "0.000001", 2),  # 1.5
        (123_456, "100", 123_456),
        (9_007_199_254_740_993, "100", 9_007_199_254_740_993),  # beyond what a float can count
    ],
)
def test_a_percentage_is_rounded_once_and_half_up(paid_fen: int, percent: str, expected: int) -> None:
    assert amounts(paid(paid_fen), rule(percent=percent)) == [("SVC v1", expected)]


@pytest.mark.parametrize(("paid_fen", "percent"), [(49, "1"), (0, "100")])
def test_a_result_of_zero_is_no_component(paid_fen: int, percent: str) -> None:
    assert amounts(paid(paid_fen), rule(percent=percent)) == []


def test_a_fixed_fee_is_due_once_per_work_even_if_the_buyer_paid_nothing() -> None:
    fixed = rule(mode="fixed", amount_fen=8_000)
    assert amounts(work(SOFA, FRIDGES), fixed) == [("SVC v1", 8_000)]
    assert amounts(paid(0), fixed) == [("SVC v1", 8_000)]


def test_a_fee_per_unit_counts_the_units_of_its_category() -> None:
    each = rule(mode="per_unit", amount_fen=1_500)
    assert amounts(work(SOFA, FRIDGES), each) == [("SVC v1", 6_000)]
    assert amounts(work(SOFA, FRIDGES), replace(each, category="appliance")) == [("SVC v1", 4_500)]


def test_a_category_limits_the_base_to_its_lines() -> None:
    assert amounts(work(SOFA, FRIDGES), rule(percent="6", category="furniture")) == [("SVC v1", 3_600)]
    assert amounts(work(SOFA), rule(percent="6", category="appliance")) == []


@pytest.mark.parametrize(
    ("paid_fen", "supply_fen", "quantity", "expected"),
    [
        (300_000, 120_000, 2, [("DIFF v1", 30_000)]),  # (3000 − 2 × 1200) × 50 %
        (240_001, 120_000, 2, [("DIFF v1", 1)]),  # half a fen
        (240_000, 120_000, 2, []),
        (239_999, 120_000, 2, []),  # below zero the dealer owes nothing
        (0, 120_000, 2, []),
    ],
)
def test_the_price_difference_is_shared_and_never_below_zero(
    paid_fen: int, supply_fen: int, quantity: int, expected: list[tuple[str, int]]
) -> None:
    difference = rule("DIFF", "price_diff", "price_diff", percent="50")
    assert amounts(paid(paid_fen, supply_fen, quantity), difference) == expected


def test_a_loss_on_one_line_lessens_the_difference_of_the_others() -> None:
    difference = rule("DIFF", "price_diff", "price_diff", percent="100")
    lossy = PricedLine("X", "furniture", 1, 10_000, 15_000)
    assert amounts(work(SOFA, lossy), difference) == [("DIFF v1", 15_000)]


def test_an_anchor_is_paid_where_there_is_one() -> None:
    commission = rule("LIVE", component="commission", percent="5", payee="anchor")
    found = rules.quote(work(SOFA), (commission,), NOON)
    assert [(one.payee, one.amount_fen) for one in found] == [("anchor:lulu", 3_000)]
    assert amounts(work(SOFA, anchor=""), commission) == []


def test_work_of_the_headquarters_earns_no_dealer_anything() -> None:
    own = work(SOFA, dealer_code="", dealer_tier="")
    commission = rule("LIVE", component="commission", percent="5", payee="anchor")
    found = rules.quote(own, (rule(percent="6"), commission), NOON)
    assert [(one.payee, one.amount_fen) for one in found] == [("anchor:lulu", 3_000)]
    assert rules.income_of(found, "D1") == rules.income_of(found, "") == 0


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ({"channel": "doudian"}, {"channel": "kuaishou"}),
        ({"dealer_tier": "gold"}, {"dealer_tier": "silver"}),
        ({"region_prefix": "3205"}, {"division_code": "320602"}),
        ({"region_prefix": "32"}, {"division_code": "330106"}),
        ({"needs_install": True}, {"needs_install": False}),
    ],
)
def test_every_condition_keeps_other_work_out(condition: dict[str, object], fields: dict[str, object]) -> None:
    fee = rule(mode="fixed", amount_fen=100, **condition)
    assert amounts(work(SOFA), fee) == [("SVC v1", 100)]
    assert amounts(work(SOFA, **fields), fee) == []


def group(code: str, amount_fen: int, **fields: object) -> RuleTerms:
    return rule(code, "fixed", amount_fen=amount_fen, **{"group": "fee", **fields})


def test_of_an_exclusive_group_the_highest_priority_counts_however_special_the_others() -> None:
    special = group("A", 500, channel="doudian", dealer_tier="gold", region_prefix="3205", needs_install=True)
    assert amounts(work(SOFA), special, group("B", 100, priority=1)) == [("B v1", 100)]


def test_of_equal_priority_the_rule_with_more_conditions_counts() -> None:
    terms = (group("A", 100), group("B", 200, channel="doudian"), group("C", 300, channel="doudian", category="furniture"))
    assert amounts(work(SOFA), *terms) == [("C v1", 300)]
    assert amounts(work(FRIDGES), *terms) == [("B v1", 200)]
    assert amounts(work(FRIDGES, channel="kuaishou"), *terms) == [("A v1", 100)]


def test_of_equal_conditions_the_first_code_counts_in_whatever_order_the_rules_come() -> None:
    terms = (group("B", 200), group("A", 100))
    assert amounts(work(SOFA), *terms) == amounts(work(SOFA), *reversed(terms)) == [("A v1", 100)]


def test_rules_without_a_group_add_up_and_groups_do_not_meet() -> None:
    terms = (rule("A", "fixed", amount_fen=1), rule("B", "fixed", amount_fen=2), group("C", 4), group("D", 8, group="visit"))
    assert amounts(work(SOFA), *terms) == [("A v1", 1), ("B v1", 2), ("C v1", 4), ("D v1", 8)]


def test_a_winner_that_yields_nothing_still_keeps_the_others_of_its_group_out() -> None:
    difference = rule("A", "price_diff", "price_diff", percent="50", group="fee", priority=1)
    assert amounts(paid(100, supply=100), difference, group("B", 100)) == []


def test_a_rule_is_in_force_from_its_begin_until_just_before_its_end() -> None:
    end = NOON + timedelta(days=1)
    dated = rule(mode="fixed", amount_fen=100, effective_from=NOON, effective_to=end)
    found = {at: bool(amounts(work(SOFA), dated, at=at)) for at in (NOON - INSTANT, NOON, end - INSTANT, end)}
    assert list(found.values()) == [False, True, True, False]


def test_the_newest_version_in_force_counts_alone() -> None:
    old = rule(mode="fixed", amount_fen=900)
    new = replace(old, version=2, amount_fen=100, effective_from=NOON, effective_to=NOON + timedelta(days=1))
    assert amounts(work(SOFA), new, old, at=NOON - INSTANT) == [("SVC v1", 900)]
    assert amounts(work(SOFA), new, old) == amounts(work(SOFA), old, new) == [("SVC v2", 100)]
    assert amounts(work(SOFA), old, new, at=NOON + timedelta(days=1)) == [("SVC v1", 900)]


def test_a_newer_version_replaces_the_older_even_where_it_does_not_match() -> None:
    old = rule(mode="fixed", amount_fen=900)
    assert amounts(work(SOFA), old, replace(old, version=2, channel="kuaishou")) == []


def test_a_whole_quote_with_its_sentences() -> None:
    terms = (
        rule("DIFF", "price_diff", "price_diff", percent="30"),
        rule("LIVE", component="commission", percent="2.5", payee="anchor"),
        rule("SVC", percent="6", category="furniture"),
        rule("VISIT", "per_unit", amount_fen=1_500, category="appliance"),
        rule("DOOR", "fixed", amount_fen=123_456),
    )
    found = rules.quote(work(replace(SOFA, paid_fen=87_777), FRIDGES), terms, NOON)
    assert [(one.rule, one.payee, one.amount_fen, one.base_fen, one.paid_fen, one.explain) for one in found] == [
        ("DOOR v1", "dealer:D1", 123_456, 127_777, 127_777, "每单固定 1,234.56 元；规则 DOOR v1"),
        ("SVC v1", "dealer:D1", 5_267, 87_777, 127_777,
         "品类 furniture 实付 877.77 元 × 6% = 52.6662，四舍五入 52.67 元；规则 SVC v1"),
        ("VISIT v1", "dealer:D1", 4_500, 40_000, 127_777, "品类 appliance 3 件 × 15.00 元 = 45.00 元；规则 VISIT v1"),
        ("LIVE v1", "anchor:lulu", 3_194, 127_777, 127_777,
         "实付 1,277.77 元 × 2.5% = 31.94425，四舍五入 31.94 元；规则 LIVE v1"),
        ("DIFF v1", "dealer:D1", 17_333, 57_777, 127_777,
         "（实付 1,277.77 元 − 供货价 700.00 元） × 30% = 173.331，四舍五入 173.33 元；规则 DIFF v1"),
    ]  # fmt: skip
    assert rules.income_of(found, "D1") == 123_456 + 5_267 + 4_500 + 17_333
    assert found[0].as_dict()["payee"] == "dealer:D1"


def test_an_unknown_mode_is_a_bug_not_a_zero() -> None:
    with pytest.raises(ValueError, match="unknown mode"):
        rules.quote(work(SOFA), (rule(mode="formula"),), NOON)


@pytest.mark.parametrize("text", ["", "six", "6%", "-1", "NaN", "Infinity", "0.0000001"])
def test_nonsense_is_no_percentage(text: str) -> None:
    with pytest.raises(ValueError, match="percentage|decimal"):
        rules.percent_of(text)


def test_a_percentage_is_exact() -> None:
    assert rules.percent_of(" 0.1 ") == Fraction(1, 10)
    assert rules.percent_of("33.333333") == Fraction(33_333_333, 1_000_000)


@given(st.integers(0, 10**9), st.integers(0, 10**8))
def test_a_quote_is_the_nearest_fen_to_the_exact_share(paid_fen: int, millionths: int) -> None:
    percent = f"{millionths // 10**6}.{millionths % 10**6:06d}"
    found = sum(fen for _, fen in amounts(paid(paid_fen), rule(percent=percent)))
    assert -Fraction(1, 2) < found - Fraction(paid_fen * millionths, 10**8) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("amount", "paid_fen", "refunded", "expected"),
    [
        (101, 10_000, 0, 0),
        (101, 10_000, 3_333, 34),  # 33.66
        (101, 10_000, 6_666, 67),  # 67.33
        (101, 10_000, 9_999, 101),  # 100.99
        (1, 2, 1, 1),  # a half goes up
        (101, 10_000, 10_000, 101),
        (101, 10_000, 99_999, 101),  # never more than the amount
        (101, 0, 1, 101),  # work that cost the buyer nothing
    ],
)
def test_a_refund_reverses_towards_its_share(amount: int, paid_fen: int, refunded: int, expected: int) -> None:
    assert rules.refund_target(amount, paid_fen, refunded) == expected


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=12), st.lists(st.integers(1, 10**8), min_size=1, max_size=5))
def test_a_refund_in_any_parts_takes_back_exactly_what_was_accrued(parts: list[int], accrued: list[int]) -> None:
    lines = [AccruedLine(f"payable:dealer:D{n}", "service_fee", fen, sum(parts), "SVC v1") for n, fen in enumerate(accrued)]
    held = {line.account: line.amount_fen for line in lines}
    before = 0
    for part in parts:
        made = rules.reversal_lines(lines, before, part)
        assert sum(line.amount_fen for line in made) == 0
        for line in made:
            if line.account in held:
                assert line.amount_fen > 0
                held[line.account] -= line.amount_fen
                assert held[line.account] >= 0
        before += part
    assert set(held.values()) == {0}


@given(st.integers(1, 10**8), st.integers(0, 10**7), st.lists(st.integers(1, 10**7), max_size=8))
def test_steps_never_overdraw_and_add_up_to_the_target(amount: int, paid_fen: int, parts: list[int]) -> None:
    steps = [rules.refund_step(amount, paid_fen, sum(parts[:n]), part) for n, part in enumerate(parts)]
    assert min(steps, default=0) >= 0
    assert sum(steps) == rules.refund_target(amount, paid_fen, sum(parts)) <= amount


def test_a_reversal_says_what_it_did() -> None:
    line = AccruedLine("payable:dealer:D1", "service_fee", 101, 10_000, "SVC v1")
    made = rules.reversal_lines([line], 3_333, 3_333)
    assert [(one.account, one.amount_fen) for one in made] == [("expense:service_fee", -33), ("payable:dealer:D1", 33)]
    assert made[1].explain["explain"] == (
        "退款 33.33 元，累计退 66.66 元 / 实付 100.00 元，1.01 元 应冲 0.67 元，已冲 0.34 元，本次冲 0.33 元；规则 SVC v1"
    )


def test_an_accrual_leaves_out_what_is_zero() -> None:
    nothing = {"component": "service_fee", "payee": "dealer:D1", "amount_fen": 0}
    some = {**nothing, "amount_fen": 7, "paid_fen": 100, "rule": "SVC v1"}
    made = rules.accrual_lines([nothing, some])
    assert [(one.account, one.amount_fen) for one in made] == [("expense:service_fee", 7), ("payable:dealer:D1", -7)]


def test_the_chart_of_accounts_is_closed() -> None:
    assert rules.account_kind("payable:dealer:D1") == "liability"
    assert rules.account_kind("expense:commission") == "expense"
    assert rules.account_party("payable:anchor:lulu") == "anchor:lulu"
    assert rules.account_party("expense:commission") == ""
    for code in ("payable", "payable:", "wallet:dealer:D1", ""):
        with pytest.raises(ValueError, match="not in the chart"):
            rules.account_kind(code)


def test_a_month_begins_and_ends_at_midnight_in_shanghai() -> None:
    begin, end = rules.month_period(2026, 12)
    assert (begin.astimezone(UTC), end.astimezone(UTC)) == (
        datetime(2026, 11, 30, 16, tzinfo=UTC),
        datetime(2026, 12, 31, 16, tzinfo=UTC),
    )
    assert rules.last_month(begin) == rules.month_period(2026, 11)
    assert rules.last_month(begin - INSTANT) == rules.month_period(2026, 10)
    assert rules.last_month(datetime(2026, 1, 15, tzinfo=UTC)) == rules.month_period(2025, 12)


def test_periods_that_follow_one_another_have_labels_of_their_own() -> None:
    begin, end = rules.month_period(2026, 11)
    assert rules.period_label(begin, end) == "202611"
    assert rules.period_label(begin, begin + timedelta(days=10)) == "20261101-20261110"
    same_day = [NOON + timedelta(hours=hours) for hours in range(4)]
    labels = [rules.period_label(*pair) for pair in zip(same_day, same_day[1:], strict=False)]
    assert labels[0] == "20261125120000-20261125130000"
    assert len(set(labels)) == 3
