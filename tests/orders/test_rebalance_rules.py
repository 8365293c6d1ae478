"""Moves that need each other stay together; every chain can be kept or dropped whatever becomes of the others."""

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.rebalance.rules import OpenCase, chains_of
from orders.routing.batch import Move
from orders.routing.market import Placement
from tests.conftest import NOON

SKU = 7
NOBODYS: dict[int, None] = dict.fromkeys(range(99))
Free = dict[tuple[int, int], int]


def case(order_id: int, units: int = 1) -> OpenCase:
    line = LineToRoute(order_id, SKU, "S", "沙发", units, 0, 1000, True, "", "", 0)
    order = OrderToRoute(order_id, f"DD{order_id}", "doudian", "1", "320506", "", 0, NOON, "", (line,))
    return OpenCase(order, 1, 0, (), frozenset(), ())


def move(order_id: int, before: int, after: int, **story: object) -> Move:
    return Move(order_id, (Placement(before, (0,)),), (Placement(after, (0,)),), 100, **story)  # type: ignore[arg-type]


def groups(
    moves: Sequence[Move],
    free: Free,
    units: dict[int, int] | None = None,
    dealers: dict[int, int] | None = None,
    room: dict[int, int] | None = None,
) -> list[list[int]]:
    cases = {each.order_id: case(each.order_id, (units or {}).get(each.order_id, 1)) for each in moves}
    return sorted(
        sorted(each.order_id for each in chain) for chain in chains_of(moves, cases, free, dealers or NOBODYS, room or {})
    )


def test_moves_to_what_is_free_need_nobody() -> None:
    assert groups([move(1, 10, 20), move(2, 10, 20), move(3, 20, 10)], {(20, SKU): 2, (10, SKU): 1}) == [[1], [2], [3]]


def test_who_takes_what_another_gives_up_goes_with_it() -> None:
    assert groups([move(1, 10, 20), move(2, 20, 30), move(3, 30, 40)], {(40, SKU): 1}) == [[1, 2, 3]]
    assert groups([move(1, 10, 20), move(2, 20, 30), move(3, 30, 40)], {(40, SKU): 1, (30, SKU): 1}) == [[1, 2], [3]]


def test_several_may_have_to_go_for_one() -> None:
    moves = [move(1, 10, 20), move(2, 20, 30), move(3, 20, 30), move(4, 20, 30)]
    assert groups(moves, {(30, SKU): 9}, {1: 2}) == [[1, 2, 3], [4]]


def test_who_takes_the_time_that_another_gives_up_goes_with_it() -> None:
    moves, dealers = [move(1, 10, 20), move(2, 20, 30), move(3, 10, 40)], {10: 1, 20: 2, 30: 3, 40: 4}
    much = {(node, SKU): 9 for node in dealers}
    assert groups(moves, much, dealers=dealers) == [[1], [2], [3]]
    assert groups(moves, much, dealers=dealers, room={2: 1}) == [[1], [2], [3]]
    assert groups(moves, much, dealers=dealers, room={2: 0}) == [[1, 2], [3]]


def test_who_displaced_whom_stays_together_even_where_stock_would_allow_otherwise() -> None:
    moves = [move(1, 10, 20, displaced=(2,)), move(2, 20, 30, made_way_for=1), move(3, 10, 30)]
    assert groups(moves, {(20, SKU): 9, (30, SKU): 9}) == [[1, 2], [3]]


def test_a_story_that_names_somebody_who_stays_is_no_matter() -> None:
    assert groups([move(1, 10, 20, displaced=(5,), made_way_for=6)], {(20, SKU): 1}) == [[1]]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=7),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_any_choice_of_chains_finds_its_stock(goes: list[tuple[int, int, int]], spare: list[int]) -> None:
    moves = [move(number, before, after) for number, (before, after, _) in enumerate(goes)]
    units = {number: quantity for number, (_, _, quantity) in enumerate(goes)}

    def net(chosen: Sequence[int], node: int) -> int:
        return sum(units[key] * ((goes[key][1] == node) - (goes[key][0] == node)) for key in chosen)

    free = {(node, SKU): max(0, net(range(len(goes)), node)) + spare[node] for node in range(4)}
    chains = groups(moves, free, units)
    assert sorted(key for chain in chains for key in chain) == list(range(len(goes)))
    for size in range(len(chains) + 1):
        for some in combinations(chains, size):
            chosen = [key for chain in some for key in chain]
            assert all(net(chosen, node) <= free[node, SKU] for node in range(4))
