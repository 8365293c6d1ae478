"""Every unit of the pool is in exactly one part, at each place and in total."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement, free_units
from inventory.models import Incoming, Level, Node, NodeGroup, PoolTotal, Reservation, Sku, StockLock
from inventory.pool import actions, queries
from inventory.pool.rules import KINDS, Parts, claims_of, day_ends, sum_of
from tests.conftest import NOON
from tests.make import make_dealer, make_level, make_node, make_sku

pytestmark = pytest.mark.django_db

UNITS = {"node": 5, "pinned": 4, "offer": 3, "presale": 2, "lock": 6, "transfer": 7, "block": 1}  # 28 together


def hold(level: Level, kind: str, units: int, bill: str = "", at: datetime = NOON, **fields: Any) -> Reservation:
    """An open reservation that the level's counter knows of."""
    Level.objects.filter(pk=level.pk).update(held=Level.objects.get(pk=level.pk).held + units)
    bill = bill or f"{kind}-{level.pk}"
    return Reservation.objects.create(level=level, kind=kind, bill=bill, quantity=units, held_at=at, **fields)


def lock_for(claim: str, sku: Sku, lock_no: str, state: str = "active") -> StockLock:
    return StockLock.objects.create(
        lock_no=lock_no, name=lock_no, claim=claim, sku=sku, amount=6, state=state,
        starts_at=NOON - timedelta(hours=1), ends_at=NOON + timedelta(hours=1),
    )  # fmt: skip


def adds_up(parts: Parts) -> bool:
    kinds = sum(getattr(parts, kind) for kind in KINDS)
    beside = parts.unexplained + parts.closed + parts.stale + parts.safety + parts.withheld + parts.sellable
    return parts.on_hand == kinds + beside


class World:
    """One SKU at five places: 总仓 with a promise of each kind, 区仓 under share rules, a stale, a paused and a closed one."""

    def __init__(self) -> None:
        self.sku = make_sku("SOFA", name="三人沙发")
        self.main = make_node(code="A-MAIN", division_code="320506")
        self.shared = make_node(code="B-SHARED", kind="region", division_code="320102")
        self.stale = make_node(code="C-STALE", kind="region", division_code="440106")
        self.paused = make_node(code="D-PAUSED", kind="region", division_code="440106", is_paused=True)
        self.dealers = make_node(make_dealer("D9", is_paused=True), code="E-DEALER", division_code="440106")
        self.levels = [
            make_level(self.main, self.sku, 100, safety_stock=10),
            make_level(self.shared, self.sku, 51, share_percent=50, share_cap=20, keep_back=3, safety_stock=4),
            make_level(self.stale, self.sku, 30, fresh_until=NOON, safety_stock=2),
            make_level(self.paused, self.sku, 8, safety_stock=5),
            make_level(self.dealers, self.sku, 9),
        ]
        for kind, units in UNITS.items():
            hold(self.levels[0], kind, units, bill="LOCK-1" if kind == "lock" else "")
        hold(self.levels[2], "node", 12)
        Reservation.objects.create(sku=self.sku, kind="global", bill="DD1", quantity=11, held_at=NOON)
        Reservation.objects.create(sku=self.sku, kind="global", bill="DD0", quantity=99, held_at=NOON, state="released")
        for units, received, promised, day in ((40, 15, 5, 3), (10, 0, 0, 1)):
            Incoming.objects.create(
                node=self.main, sku=self.sku, quantity=units, received=received, promised=promised,
                expected_on=date(2026, 12, day), source_key=f"in:{day}",
            )  # fmt: skip
        Incoming.objects.create(
            node=self.main, sku=self.sku, quantity=7, expected_on=date(2026, 11, 1), source_key="gone", state="cancelled"
        )
        lock_for("live:S1", self.sku, "LOCK-1")


@pytest.fixture
def world() -> World:
    return World()


def test_a_place_is_taken_apart_to_the_unit(world: World, at: datetime) -> None:
    rows = {row.code: row.parts for row in queries.sku_view(sku_id=world.sku.pk, at=at).rows}
    assert rows["A-MAIN"] == Parts(
        on_hand=100, held=28, **UNITS, safety=10, sellable=62, wanted=10, incoming=35, promised=5, next_on=date(2026, 12, 1)
    )
    # min(51 × 50 % = 25, cap 20, 51 − 3) − safety 4 = 16 may be sold, 31 are withheld
    assert rows["B-SHARED"] == Parts(on_hand=51, safety=4, sellable=16, wanted=4)
    assert rows["B-SHARED"].withheld == 31
    assert rows["C-STALE"] == Parts(on_hand=30, held=12, node=12, stale=18, wanted=2)
    assert rows["D-PAUSED"] == Parts(on_hand=8, closed=8)
    assert rows["E-DEALER"] == Parts(on_hand=9, closed=9)


def test_a_sku_is_the_sum_of_its_places_and_what_waits_for_one(world: World, at: datetime) -> None:
    seen = queries.sku_view(sku_id=world.sku.pk, at=at, claims=("live:S1",))
    total = Parts(
        on_hand=198, held=40, **{**UNITS, "node": 17}, closed=17, stale=18, safety=14, sellable=78, wanted=16, globally=11,
        incoming=35, promised=5, claimed=6, next_on=date(2026, 12, 1),
    )  # fmt: skip
    assert seen.total == total == queries.pool_view(at=at, claims=("live:S1",)).rows[0].parts
    assert (total.withheld, total.unexplained, total.available, total.oversold) == (31, 0, 147, 0)
    assert total.promisable == 78 + 6 - 11
    assert queries.node_view(node_id=world.main.pk, at=at).total == replace(seen.rows[0].parts, claimed=0)


def test_more_sold_than_there_is_is_said(world: World, at: datetime) -> None:
    Reservation.objects.create(sku=world.sku, kind="global", bill="DD2", quantity=150, held_at=NOON)
    parts = queries.sku_view(sku_id=world.sku.pk, at=at).total
    assert (parts.available, parts.oversold, parts.promisable) == (-3, 3, 0)
    make_level(world.main, make_sku("PLENTY"), 5)
    actions.count_pool(at=at)
    for group_id in (None, _group_of(world)):
        assert [row.code for row in queries.pool_view(at=at, only="oversold", group_id=group_id).rows] == ["SOFA"]
        assert [row.code for row in queries.pool_view(at=at, group_id=group_id).rows] == ["PLENTY", "SOFA"]


def _group_of(world: World) -> int:
    group = NodeGroup.objects.create(code="ALL", name="全部")
    group.nodes.set(Node.objects.all())
    return group.pk


def test_a_group_or_a_region_counts_its_places_only(world: World, at: datetime) -> None:
    group = NodeGroup.objects.create(code="G", name="两仓")
    group.nodes.set([world.main, world.stale])
    [row] = queries.pool_view(at=at, group_id=group.pk).rows
    assert (row.parts.on_hand, row.parts.stale, row.parts.sellable, row.parts.globally) == (130, 18, 62, 11)
    [row] = queries.pool_view(at=at, region="32").rows
    assert (row.parts.on_hand, row.parts.sellable, row.parts.incoming) == (151, 78, 35)
    [row] = queries.pool_view(at=at, region="44", claims=("live:S1",)).rows
    assert (row.parts.on_hand, row.parts.closed, row.parts.incoming, row.parts.claimed) == (47, 17, 0, 0)


def test_locks_of_others_and_locks_that_ended_add_nothing(world: World, at: datetime) -> None:
    hold(world.levels[1], "lock", 5, bill="LOCK-2")
    lock_for("shop:doudian/1", world.sku, "LOCK-2", state="ended")
    for claims, units in ((("live:S1",), 6), (("live:S2",), 0), (claims_of("doudian/1"), 0), (("live:S1", "live:S2"), 6)):
        assert queries.pool_view(at=at, claims=claims).rows[0].parts.claimed == units
    Level.objects.filter(pk=world.levels[0].pk).update(safety_stock=74)  # 2 more promised than the rules allow now
    assert queries.pool_view(at=at, claims=("live:S1",)).rows[0].parts.claimed == 4


def test_search_category_and_pages(at: datetime) -> None:
    node = make_node()
    for n in range(7):
        sku = make_sku(f"P{n}", name=f"灯{n}", category="small" if n < 5 else "furniture")
        make_level(node, sku, n, safety_stock=1)
    make_sku("CARD", kind="virtual")
    for counted in (False, True):
        if counted:
            actions.count_pool(at=at)
        page = queries.pool_view(at=at, category="small", page=2, size=2)
        assert ([row.code for row in page.rows], page.count, page.total.on_hand) == (["P2", "P3"], 5, 10)
        assert (page.counted_at is not None) == counted
        assert [row.code for row in queries.pool_view(at=at, search="灯6").rows] == ["P6"]
        low = queries.pool_view(at=at, only="low")
        assert ([row.code for row in low.rows], low.count, low.total.on_hand) == (["P0", "P1"], 2, 1)
        assert [row.code for row in queries.pool_view(at=at, only="low", claims=("live:x",)).rows] == ["P0", "P1"]
        assert queries.pool_view(at=at, page=9).rows == queries.pool_view(at=at, search="没有").rows == []


def test_the_count_is_kept_told_with_its_age_and_not_used_when_old(world: World, at: datetime) -> None:
    assert actions.count_pool(at=at) == 1
    assert actions.count_pool(at=at) == 0
    assert actions.count_pool(at=at + timedelta(seconds=5)) == 0
    PoolTotal.objects.update(on_hand=0)
    seen = queries.pool_view(at=at + timedelta(seconds=65))
    assert (seen.total.on_hand, seen.counted_at) == (0, at + timedelta(seconds=5))
    live = queries.pool_view(at=at + timedelta(seconds=66))
    assert (live.total.on_hand, live.counted_at) == (198, None)
    assert actions.count_pool(at=at + timedelta(seconds=66)) == 1
    assert queries.pool_view(at=at + timedelta(seconds=66)) == queries.PoolPage(
        live.rows, live.total, 1, at + timedelta(seconds=66)
    )


def test_every_view_takes_few_statements_whatever_it_shows(world: World, at: datetime) -> None:
    def asked() -> list[int]:
        found = []
        for ask in (
            lambda: queries.pool_view(at=at, claims=("live:S1",), search="O", category="furniture"),
            lambda: queries.pool_view(at=at, region="32", claims=("live:S1",), only="low"),
            lambda: queries.pool_view(at=at, sku_ids=[world.sku.pk], claims=("live:S1",)),
            lambda: queries.sku_view(sku_id=world.sku.pk, at=at, claims=("live:S1",)),
            lambda: queries.node_view(node_id=world.main.pk, at=at),
            lambda: queries.open_bills(sku_id=world.sku.pk),
            lambda: queries.last_movements(sku_id=world.sku.pk),
            lambda: queries.history(sku_id=world.sku.pk, at=at),
        ):
            with CaptureQueriesContext(connection) as statements:
                ask()
            found.append(len(statements))
        return found

    actions.count_pool(at=at)
    ledger.post(movements=[NewMovement(world.main.pk, world.sku.pk, "receipt", 1, "k")], actor="test", at=at)
    few = asked()
    for n in range(20):
        level = make_level(make_node(), make_sku(f"MORE-{n}"), 9)
        hold(level, "node", 2)
        hold(make_level(make_node(), world.sku, 5), "offer", 1)
    actions.count_pool(at=at + timedelta(seconds=1))
    assert asked() == few == [3, 5, 5, 6, 4, 2, 2, 2]


def test_open_reservations_are_told_by_kind_wherever_they_stand(world: World) -> None:
    incoming = Incoming.objects.get(source_key="in:3")
    Reservation.objects.create(incoming=incoming, kind="presale", bill="PRE", quantity=5, held_at=NOON + timedelta(hours=1))
    bills = {
        each.kind: (each.count, each.units, [row.bill for row in each.latest])
        for each in queries.open_bills(sku_id=world.sku.pk, limit=1)
    }
    assert bills["global"] == (1, 11, ["DD1"])
    assert bills["node"] == (2, 17, [f"node-{world.levels[2].pk}"])
    assert bills["presale"] == (2, 7, ["PRE"])
    assert list(bills) == ["global", *KINDS]


def test_history_is_counted_back_from_now(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    for days, units in ((20, 10), (2, 5), (1, -3), (0, 7)):
        moment = at - timedelta(days=days)
        ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", units, f"k:{days}")], actor="test", at=moment)
    days = queries.history(sku_id=sku.pk, at=at, days=4)
    assert days == [(date(2026, 11, 22), 10), (date(2026, 11, 23), 15), (date(2026, 11, 24), 12), (date(2026, 11, 25), 19)]
    assert [move.quantity for move in queries.last_movements(sku_id=sku.pk, limit=2)] == [7, -3]


LEVELS = st.tuples(
    st.integers(0, 60), st.integers(0, 100), st.none() | st.integers(0, 60), st.integers(0, 70), st.integers(0, 70),
    st.booleans(), st.booleans(), st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 25)), max_size=4),
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LEVELS, min_size=1, max_size=6), st.integers(0, 90))
def test_parts_always_sum_to_what_stands_there(shape: list[Any], waiting: int) -> None:
    for model in (Reservation, Level, Incoming, PoolTotal):
        model.objects.all().delete()
    sku, nodes = make_sku(), []
    for on_hand, percent, cap, keep_back, safety, is_stale, is_paused, promises in shape:
        node = make_node(is_paused=is_paused)
        level = make_level(
            node, sku, on_hand, share_percent=percent, share_cap=cap, keep_back=keep_back, safety_stock=safety,
            fresh_until=NOON - timedelta(seconds=1) if is_stale else NOON + timedelta(seconds=1),
        )  # fmt: skip
        held = 0
        for number, (kind, units) in enumerate(promises):
            if held + units <= on_hand:
                hold(level, kind, units, bill=f"{number}")
                held += units
        free = free_units(on_hand, held, safety, percent, cap, keep_back)
        nodes.append((node.pk, held, 0 if is_stale or is_paused else max(0, free)))
    if waiting:
        Reservation.objects.create(sku=sku, kind="global", bill="W", quantity=waiting, held_at=NOON)
    seen = queries.sku_view(sku_id=sku.pk, at=NOON)
    by_node = {row.pk: row.parts for row in seen.rows}
    for node_pk, held, sellable in nodes:
        parts = by_node[node_pk]
        assert (parts.held, parts.sellable, parts.unexplained) == (held, sellable, 0)
        assert adds_up(parts)
        assert min(parts.closed, parts.stale, parts.safety, parts.withheld, parts.sellable) >= 0
    assert adds_up(seen.total)
    assert seen.total.sellable == sum(sellable for _, _, sellable in nodes)
    assert seen.total.available == sum(shape_[0] for shape_ in shape) - sum(held for _, held, _ in nodes) - waiting
    assert seen.total == sum_of([*by_node.values(), Parts(globally=waiting)])
    assert actions.count_pool(at=NOON) >= 0


@pytest.mark.parametrize(
    ("told", "claims"),
    [
        ("", ()),
        ("doudian", ("channel:doudian",)),
        (" doudian/123 ", ("shop:doudian/123", "channel:doudian")),
        ("shop:doudian/123", ("shop:doudian/123", "channel:doudian")),
        ("live:S1", ("live:S1",)),
        ("campaign:11", ("campaign:11",)),
    ],
)
def test_buyers_are_named_as_people_write_them(told: str, claims: tuple[str, ...]) -> None:
    assert claims_of(told) == claims


def test_the_last_day_ends_with_what_stands_now() -> None:
    days = [date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3)]
    assert day_ends(10, days, {days[2]: 4, days[1]: -2, date(2026, 10, 1): 9}) == [8, 6, 10]
