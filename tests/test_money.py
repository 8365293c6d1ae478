"""The arithmetic contract: one rounding, exact sums."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_project.money import allocate, round_half_up, share_of, yuan

AMOUNTS = st.integers(-(10**13), 10**13)


@pytest.mark.parametrize(
    ("value", "rounded"), [("0.5", 1), ("-0.5", -1), ("2.5", 3), ("2.4999", 2), ("-2.5", -3), ("0", 0), ("1/3", 0)]
)
def test_a_half_goes_away_from_zero(value, rounded):
    assert round_half_up(Fraction(value)) == rounded


def test_six_percent_of_877_77_yuan():
    assert share_of(87777, 6) == 5267


@given(AMOUNTS, st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_parts_sum_to_the_total_and_stay_within_one_fen_of_fair(total, weights):
    parts = allocate(total, weights)
    assert sum(parts) == total
    fair_weights = weights if any(weights) else [1] * len(weights)
    for part, weight in zip(parts, fair_weights, strict=True):
        assert abs(Fraction(part) - Fraction(total * weight, sum(fair_weights))) < 1


def test_spare_fen_go_to_the_largest_remainders_then_to_the_first():
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(-100, [1, 1, 1]) == [-34, -33, -33]
    assert allocate(5, [6, 6, 2]) == [2, 2, 1]


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_nonsense_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        allocate(1, weights)


def test_people_read_yuan():
    assert (yuan(123456), yuan(-5), yuan(0)) == ("1,234.56 元", "-0.05 元", "0.00 元")
