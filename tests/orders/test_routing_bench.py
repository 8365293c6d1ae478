"""The benchmark measures what it says: better methods cost less, nothing is below the bound, and the audit bites."""

import io
import time
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from orders.routing import batch
from orders.routing.bench import audit, bound, day, methods, world
from orders.routing.market import Placement, prepare
from orders.routing.shelves import fill

TINY = world.build(orders=60, nodes=30, rho=1.2, seed=1, other_days=2)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, methods.Outcome]:
    """Every method on the tiny world; a day of it has six steps, the last 30 orders being open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(day, "STEP", 10)
        patch.setattr(methods, "OPEN_ORDERS", 30)
        return {name: methods.outcome_of(method, TINY, time.process_time) for name, method in methods.METHODS.items()}


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_is_feasible_and_explained_to_the_fen(outcomes: dict[str, methods.Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert outcome.faults == []
    assert sorted(each.order_id for each in outcome.run.placed) == list(range(1, 61))
    assert outcome.run.seconds >= 0


def test_more_effort_costs_less(outcomes: dict[str, methods.Outcome]) -> None:
    total = {name: outcome.total_fen for name, outcome in outcomes.items()}
    assert total["full"] <= total["quick"] < total["first"] == total["day"]
    assert total["first"] < min(total["nearest"], total["fewest"])
    assert total["day-again"] < total["day"]
    assert total["day-both"] < total["day-priced"]
    assert outcomes["day-again"].run.moves > 0
    assert outcomes["day"].run.moves == 0
    assert total["first"] < total["single"]


def test_fewest_packages_means_fewest(outcomes: dict[str, methods.Outcome]) -> None:
    split = {name: sum(len(each.placements) > 1 for each in outcome.run.placed) for name, outcome in outcomes.items()}
    assert split["fewest"] == min(split.values())
    assert split["nearest"] == max(split.values())


def test_nothing_is_cheaper_than_the_bound(outcomes: dict[str, methods.Outcome]) -> None:
    if not bound.IS_THERE:
        pytest.skip("needs highspy")
    lots = prepare(TINY.orders, TINY.table, methods.TERMS)
    shelves = fill(lots, TINY.stock, TINY.remaining, rung_fen=0)
    floor_fen, slack = bound.lower_bound(lots, shelves, clock=time.process_time, seconds=20)
    assert 0 < floor_fen <= outcomes["full"].total_fen
    assert slack < 0.001
    assert outcomes["full"].total_fen < floor_fen * 1.05


def test_the_same_seed_makes_the_same_world_and_the_same_plans(outcomes: dict[str, methods.Outcome]) -> None:
    again = world.build(orders=60, nodes=30, rho=1.2, seed=1)
    assert (again.orders, again.stock, again.remaining) == (TINY.orders, TINY.stock, TINY.remaining)
    full = methods.outcome_of(methods.METHODS["full"], again, time.process_time)
    assert full.run.placed == outcomes["full"].run.placed
    assert world.build(orders=60, nodes=30, rho=1.2, seed=2).orders != TINY.orders


def faults(placed: list[batch.Placed], **fields: object) -> list[str]:
    orders = [replace(TINY.orders[0], **fields), *TINY.orders[1:]]  # type: ignore[arg-type]
    return audit.violations(orders, placed, TINY.table, TINY.stock, TINY.remaining)


def test_the_audit_bites(outcomes: dict[str, methods.Outcome]) -> None:
    placed = sorted(outcomes["first"].run.placed, key=lambda each: each.order_id)
    first = placed[0]
    (at, *_) = first.placements
    assert faults(placed) == []
    assert faults(placed, is_accepted=True) == ["order 1 was accepted, but moved"]
    assert faults(placed, ladder=()) == [f"order 1: node {each.node_id} is on no rung" for each in first.placements]
    assert faults(placed, refused=frozenset({None, at.node_id})) != []
    twice = replace(first, placements=(at, Placement(at.node_id, at.line_indexes)))
    assert {"order 1: a line goes twice", "order 1: a place packs twice"} <= set(faults([twice, *placed[1:]]))
    crowd = [replace(each, placements=(Placement(1, (0,)),)) for each in placed]
    assert any(fault.startswith("node 1 gives ") for fault in faults(crowd))
    dear = replace(first, cost_fen=first.cost_fen + 1)
    assert audit.unexplained(TINY.orders, [dear], TINY.table, TINY.stock, None) == [
        f"order 1 costs {dear.cost_fen}, explained are {first.cost_fen}"
    ]


def test_the_command_tells_a_line_per_method(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    asked = {"orders": 60, "nodes": 30, "rho": 1.2, "seed": 1, "bound_seconds": 0}
    call_command("routing_bench", method="nearest,full", stdout=out, **asked)
    head, bounded, nearest, full = out.getvalue().splitlines()
    assert head.startswith("60 单，30 个发货点，每单候选平均 ")
    assert bounded == "未求下界"
    assert nearest.split("\t")[0] == "nearest"
    assert nearest.endswith("违规 0")
    assert full.startswith("full\t每单 ")
    monkeypatch.setattr(audit, "unexplained", lambda *_: ["order 1 costs 2, explained are 1"])
    with pytest.raises(CommandError, match="^审计发现 1 处违规$") as found:
        call_command("routing_bench", method="full", stdout=out, stderr=io.StringIO(), **asked)
    assert found.value.returncode == 1
    with pytest.raises(CommandError, match="^没有这种方法：best"):
        call_command("routing_bench", method="best", stdout=out, **asked)
    with pytest.raises(CommandError, match="^--orders 至少 1"):
        call_command("routing_bench", stdout=out, **(asked | {"nodes": 3}))
