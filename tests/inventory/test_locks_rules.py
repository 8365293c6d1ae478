"""How units are shared over places and locks, for any figures."""

from hypothesis import given
from hypothesis import strategies as st

from inventory.locks import rules
from inventory.locks.rules import Holding, Lock, Move, Spot, Standing

SKU = 1
_places = st.dictionaries(st.integers(1, 9), st.integers(-5, 40), max_size=8)
_standings = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(1, 9)),
    st.builds(Standing, st.integers(0, 20), st.integers(0, 20)),
    max_size=8,
)


@st.composite
def _locks(draw: st.DrawFn) -> list[Lock]:
    return [
        Lock(
            name,
            draw(st.integers(SKU, SKU + 1)),
            ratio := draw(st.booleans()),
            draw(st.integers(1, 100 if ratio else 120)),
            draw(st.integers(0, 3)),
            number,
            draw(st.none() | st.frozensets(st.integers(1, 9), max_size=5)),
        )
        for number, name in enumerate("ABC")
    ]


@given(st.integers(-3, 200), _places)
def test_a_spread_is_exact_within_what_is_there_and_leaves_an_even_rest(units: int, available: dict[int, int]) -> None:
    there = {place: most for place, most in available.items() if most > 0}
    taken = rules.spread(units, available)
    assert sum(taken.values()) == min(max(0, units), sum(there.values()))
    assert all(0 < took <= there[place] for place, took in taken.items())
    rest = {place: most - taken.get(place, 0) for place, most in there.items()}
    assert all(rest[place] >= max(rest.values()) - 1 for place in taken)
    assert taken == rules.spread(units, dict(reversed(available.items())))


@given(_locks(), _places, _standings)
def test_locks_never_take_more_than_is_free_nor_than_they_may(
    locks: list[Lock], free: dict[int, int], standings: dict[Move, Standing]
) -> None:
    spots = {level_id: Spot(level_id, SKU, units) for level_id, units in free.items()}
    gains = rules.fill(locks, spots, standings)
    assert gains == rules.fill(locks[::-1], dict(reversed(spots.items())), dict(reversed(standings.items())))
    for level_id, there in free.items():
        assert sum(units for (_, at), units in gains.items() if at == level_id) <= max(0, there)
    for lock in locks:
        mine = {level_id: units for (lock_no, level_id), units in gains.items() if lock_no == lock.lock_no}
        before = sum(standing.counted for (lock_no, _), standing in standings.items() if lock_no == lock.lock_no)
        assert all(units > 0 for units in mine.values())
        assert not mine or lock.sku_id == SKU
        assert lock.node_ids is None or mine.keys() <= lock.node_ids
        assert lock.is_ratio or not mine or sum(mine.values()) <= lock.amount - before
    after = {move: Standing(standing.locked + gains.get(move, 0), standing.drawn) for move, standing in standings.items()}
    after |= {move: Standing(units) for move, units in gains.items() if move not in after}
    left = {level_id: units - sum(n for (_, at), n in gains.items() if at == level_id) for level_id, units in free.items()}
    again = rules.fill(locks, {level_id: Spot(level_id, SKU, units) for level_id, units in left.items()}, after)
    assert again == {}, "a second look finds nothing to do"


@given(_locks(), _places, _standings)
def test_a_surplus_leaves_a_lock_with_what_it_may_have(
    locks: list[Lock], free: dict[int, int], standings: dict[Move, Standing]
) -> None:
    for lock in locks:
        over = rules.surplus(lock, free, standings)
        mine = {level_id: each for (lock_no, level_id), each in standings.items() if lock_no == lock.lock_no}
        assert all(0 < units <= mine[level_id].locked for level_id, units in over.items())
        if not lock.is_ratio:
            counted, locked = (sum(getattr(each, name) for each in mine.values()) for name in ("counted", "locked"))
            assert sum(over.values()) == min(locked, max(0, counted - lock.amount))


@given(_standings, _places, st.integers(0, 60))
def test_gains_are_cut_to_what_is_left(standings: dict[Move, Standing], free: dict[int, int], most: int) -> None:
    gains = {move: standing.locked for move, standing in standings.items() if standing.locked}
    kept = rules.within(gains, free)
    for level_id in {level_id for _, level_id in gains}:
        wanted = sum(units for (_, at), units in gains.items() if at == level_id)
        got = sum(units for (_, at), units in kept.items() if at == level_id)
        assert got == min(wanted, max(0, free.get(level_id, 0)))


@given(
    st.dictionaries(st.integers(1, 4), st.integers(0, 30)),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(0, 3), st.integers(0, 3)), max_size=8),
)
def test_shortages_are_met_as_far_as_locks_reach(lacking: dict[int, int], rows: list[tuple[int, int, int, int]]) -> None:
    holdings = [Holding(f"L{n}", level, units, order, priority, n) for n, (level, units, order, priority) in enumerate(rows)]
    given_back = rules.give_back(lacking, holdings)
    assert given_back == rules.give_back(lacking, holdings[::-1])
    for level_id, units in lacking.items():
        here = [each for each in holdings if each.level_id == level_id]
        assert sum(n for (_, at), n in given_back.items() if at == level_id) == min(units, sum(each.units for each in here))
        for each in here:
            spared = given_back.get((each.lock_no, level_id), 0) < each.units
            later = [other for other in here if other.release_order > each.release_order]
            assert not (spared and any((other.lock_no, level_id) in given_back for other in later))


def test_the_rest_turns_low_under_a_fifth_and_is_out_at_nothing() -> None:
    assert [rules.alarm(*figures) for figures in ((20, 80), (19, 81), (1, 0), (0, 0), (-1, 9))] == [
        "ok", "low", "ok", "out", "out",
    ]  # fmt: skip


def test_the_most_free_place_is_not_stripped() -> None:
    assert rules.spread(7, {1: 10, 2: 2, 3: 6}) == {1: 6, 3: 1}
    assert rules.spread(3, {5: 4, 4: 4, 9: 4}) == {4: 1, 5: 1, 9: 1}
    assert rules.spread(1, {5: 4, 4: 4}) == {4: 1}
