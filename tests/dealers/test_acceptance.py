"""A dealer's answers weigh half as much after thirty days, to the thousandth and in exact integers."""

from datetime import date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from dealers.acceptance import actions, queries
from dealers.acceptance.rules import Answers, decayed
from dealers.models import Acceptance
from tests.make import make_dealer

TODAY = date(2026, 11, 25)
weights, days = st.integers(0, 10**9), st.integers(0, 400)


@given(weights, days)
def test_a_weight_is_what_the_formula_says(weight: int, passed: int) -> None:
    assert abs(decayed(weight, passed) - weight * 2 ** (-passed / 30)) <= 0.5 + weight * 2**-32


@given(weights, days)
def test_thirty_days_halve(weight: int, passed: int) -> None:
    assert abs(2 * decayed(weight, passed + 30) - decayed(weight, passed)) <= 2
    assert decayed(weight, 30) == (weight + 1) // 2
    assert decayed(weight, 0) == decayed(weight, -3) == weight


@given(weights, days, days)
def test_it_only_falls_and_in_two_steps_as_in_one(weight: int, first: int, second: int) -> None:
    once = decayed(weight, first + second)
    assert 0 <= once <= decayed(weight, first) <= weight
    assert abs(decayed(decayed(weight, first), second) - once) <= 1


@given(weights, weights, days)
def test_heavier_stays_heavier(one: int, other: int, passed: int) -> None:
    assert decayed(min(one, other), passed) <= decayed(max(one, other), passed)


@given(st.integers(0, 10**6), st.integers(0, 10**6), days)
def test_a_probability_fades_towards_the_prior(yes: int, no: int, passed: int) -> None:
    before, after = Answers(yes, no, TODAY), Answers(yes, no, TODAY).on(TODAY + timedelta(days=passed))
    assert 0 < before.permille <= 1000
    low, high = sorted((before.permille, 714))
    assert low - 1 <= after.permille <= high + 1


def test_a_dealer_nobody_knows_says_yes_five_times_in_seven() -> None:
    assert Answers(0, 0, TODAY).permille == 714
    assert Answers(6000, 2000, TODAY).permille == 735
    assert Answers(0, 50_000, TODAY).permille == 72


@pytest.mark.django_db
def test_answers_are_counted_in_three_statements_and_age(at: datetime) -> None:
    first, second = make_dealer(), make_dealer()
    with CaptureQueriesContext(connection) as asked:
        actions.count_answers(accepted={first.pk: 3}, refused={first.pk: 1, second.pk: 2}, at=at)
    assert len(asked) == 3
    month = at + timedelta(days=30)
    actions.count_answers(accepted={first.pk: 1}, refused={}, at=month)
    actions.count_answers(accepted={second.pk: 1}, refused={}, at=at - timedelta(days=5))  # told late
    columns = ("yes_weight", "no_weight", "as_of", "accepted_count", "refused_count")
    assert list(Acceptance.objects.order_by("dealer").values_list(*columns)) == [
        (2500, 500, TODAY + timedelta(days=30), 4, 1),
        (1000, 2000, TODAY, 1, 2),
    ]
    assert queries.answers_on(TODAY + timedelta(days=30))[second.pk] == Answers(500, 1000, TODAY + timedelta(days=30))
    with CaptureQueriesContext(connection) as asked:
        actions.count_answers(accepted={}, refused={}, at=at)
    assert len(asked) == 0
