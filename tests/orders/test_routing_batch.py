"""Many orders at once: never infeasible, never dearer than first come, and priced as single decisions are."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.routing import batch
from orders.routing.bench import audit, world
from orders.routing.market import BatchTerms
from orders.routing.rules import decided_as

TIGHT = world.build(orders=150, nodes=60, rho=0.8, seed=3)
FREE = BatchTerms(rung_fen=0, is_whole=False)


@pytest.mark.parametrize("terms", [FREE, BatchTerms()])
@pytest.mark.parametrize("effort", [batch.FIRST_COME, batch.QUICK, batch.FULL])
def test_a_batch_is_feasible_and_no_dearer_than_first_come(terms: BatchTerms, effort: batch.Effort) -> None:
    done = batch.route_batch(TIGHT.orders, TIGHT.table, TIGHT.stock, remaining=TIGHT.remaining, terms=terms, effort=effort)
    assert audit.violations(TIGHT.orders, done.placed, TIGHT.table, TIGHT.stock, TIGHT.remaining) == []
    assert done.total_fen <= done.first_come_fen
    assert sum(move.gain_fen for move in done.moves) == done.first_come_fen - done.total_fen
    assert effort == batch.FIRST_COME or done.moves


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 900))
def test_stopping_at_any_point_leaves_a_feasible_plan(looks: int) -> None:
    left: Iterator[int] = iter(range(looks))
    done = batch.route_batch(
        TIGHT.orders, TIGHT.table, TIGHT.stock, remaining=TIGHT.remaining, terms=FREE,
        keeps_going=lambda: next(left, None) is not None,
    )  # fmt: skip
    assert audit.violations(TIGHT.orders, done.placed, TIGHT.table, TIGHT.stock, TIGHT.remaining) == []
    assert done.total_fen <= done.first_come_fen


def test_every_placement_costs_what_its_decision_explains() -> None:
    done = batch.route_batch(TIGHT.orders, TIGHT.table, TIGHT.stock, remaining=TIGHT.remaining, terms=FREE)
    for asked, placed in zip(TIGHT.orders, done.placed, strict=True):
        placements = {each.node_id: each.line_indexes for each in placed.placements}
        decision = decided_as(asked.order, TIGHT.table, TIGHT.stock, placements, ladder=asked.ladder)
        fee = TIGHT.table.book.default.split_fee_fen * max(0, len(decision.packages) - 1)
        assert placed.cost_fen == decision.cost_fen == fee + sum(sum(each.breakdown.values()) for each in decision.packages)
