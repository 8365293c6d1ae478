"""Deadlines in working hours, the ladder, and how goods are named."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.dispatch.rules import DEFAULT_LADDER, LadderTerms, choose_ladder, next_rung
from orders.lifecycle.rules import LineToRoute
from orders.offers.rules import SHANGHAI, deadline, offer_actions, summarise
from orders.routing.rules import Rung

NINE, NINE_PM = time(9), time(21)
EVERY_DAY = "1234567"


def shanghai(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026; the 25th is a Wednesday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("opened", "seconds", "weekdays", "expected"),
    [
        (shanghai(25, 12), 60, EVERY_DAY, shanghai(25, 12, 1)),
        (shanghai(25, 7), 60, EVERY_DAY, shanghai(25, 9, 1)),
        (shanghai(25, 21), 60, EVERY_DAY, shanghai(26, 9, 1)),
        (shanghai(25, 20, 59), 60, EVERY_DAY, shanghai(25, 21)),
        (shanghai(25, 20, 50), 1200, EVERY_DAY, shanghai(26, 9, 10)),
        (shanghai(27, 20, 50), 1200, "12345", shanghai(30, 9, 10)),
        (shanghai(28, 12), 60, "12345", shanghai(30, 9, 1)),
        (shanghai(25, 3), 60, "", shanghai(25, 3, 1)),
        (shanghai(25, 12), 12 * 3600 * 2, EVERY_DAY, shanghai(27, 12)),
    ],
)
def test_only_working_time_counts(opened: datetime, seconds: int, weekdays: str, expected: datetime) -> None:
    assert deadline(opened, seconds, NINE, NINE_PM, weekdays) == expected


def test_a_shop_that_closes_after_midnight_belongs_to_the_day_it_opened() -> None:
    assert deadline(shanghai(26, 1), 60, time(18), time(2), "3") == shanghai(26, 1, 1)
    assert deadline(shanghai(26, 2), 60, time(18), time(2), "3") == datetime(2026, 12, 2, 18, 1, tzinfo=SHANGHAI)
    assert deadline(shanghai(26, 2), 60, time(0), time(0), EVERY_DAY) == shanghai(26, 2, 1)


minutes = st.integers(0, 24 * 60 - 1).map(lambda m: time(m // 60, m % 60))
moments = st.integers(0, 14 * 24 * 60).map(lambda m: datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=m))


def is_open(moment: datetime, opens_at: time, closes_at: time, weekdays: str) -> bool:
    here = moment.astimezone(SHANGHAI)
    today, yesterday = str(here.isoweekday()) in weekdays, str((here - timedelta(days=1)).isoweekday()) in weekdays
    if opens_at < closes_at:
        return today and opens_at <= here.time() < closes_at
    return (today and here.time() >= opens_at) or (yesterday and here.time() < closes_at)


@given(moments, st.integers(1, 2000), minutes, minutes, st.sets(st.sampled_from(EVERY_DAY), min_size=1))
def test_exactly_the_given_time_is_open_until_the_deadline(
    opened: datetime, length: int, opens_at: time, closes_at: time, days: set[str]
) -> None:
    weekdays = "".join(sorted(days))
    until = deadline(opened, 60, opens_at, closes_at, weekdays)
    later = deadline(opened, 60 * length, opens_at, closes_at, weekdays)
    assert opened < until <= later
    assert is_open(until - timedelta(minutes=1), opens_at, closes_at, weekdays)
    span = int((later - opened).total_seconds()) // 60
    if span <= 3 * 24 * 60:
        counted = sum(is_open(opened + timedelta(minutes=m), opens_at, closes_at, weekdays) for m in range(span))
        assert counted == length


def test_the_ladder_of_the_channel_comes_first_and_the_usual_one_is_the_net() -> None:
    mine, all_channels = (Rung(1, "hq", 60, 1),), (Rung(1, "territory", 30, 1),)
    policies = [LadderTerms("", 0, all_channels), LadderTerms("doudian", 0, mine)]
    assert choose_ladder(policies, "doudian") == mine
    assert choose_ladder(policies, "tmall") == all_channels
    assert choose_ladder([LadderTerms("", 5, all_channels), LadderTerms("doudian", 0, mine)], "doudian") == all_channels
    assert choose_ladder([], "doudian") == DEFAULT_LADDER


def test_a_rung_is_left_when_enough_dealers_were_asked_on_it() -> None:
    first, second, hq = DEFAULT_LADDER
    assert next_rung(DEFAULT_LADDER, {}) == DEFAULT_LADDER
    assert next_rung(DEFAULT_LADDER, {1: 1}) == DEFAULT_LADDER
    assert next_rung(DEFAULT_LADDER, {1: 2}) == (second, hq)
    assert next_rung(DEFAULT_LADDER, {1: 2, 2: 2, 3: 9}) == (hq,)


def line(name: str, quantity: int) -> LineToRoute:
    return LineToRoute(1, 1, "KT", name, quantity, 100, 1, True, "", "furniture", 1)


def test_goods_are_named_in_one_line() -> None:
    assert summarise([line("沙发 KT-3300", 1)]) == "沙发 KT-3300 ×1"
    assert summarise([line("沙发 KT-3300", 1), line("抱枕", 1)]) == "沙发 KT-3300 ×1 等2件"
    assert summarise([]) == ""
    assert len(summarise([line("很" * 200, 1), line("长", 9)])) <= 160


def test_only_a_pending_offer_can_be_answered() -> None:
    assert offer_actions("pending") == ("accept", "decline")
    assert [offer_actions(state) for state in ("accepted", "declined", "expired", "withdrawn")] == [()] * 4
