"""Shops show what the pool can sell, by the narrowest rule; only differences are told, each once."""

from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from inventory.ledger.rules import MOST_UNITS
from inventory.models import Level, Node, NodeGroup, PublishedShop, PublishedStock, PublishRule, Reservation, Sku, StockLock
from inventory.pool import actions, queries
from inventory.pool.rules import Figure, Terms
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound
from tests.make import make_level, make_node, make_sku

pytestmark = pytest.mark.django_db


def rule(shop: str = "1", **fields: Any) -> PublishRule:
    return PublishRule.objects.create(channel="doudian", shop=shop, **fields)


def shown(shop: str = "1") -> dict[str, tuple[int, int, int]]:
    """(quantity, sellable, version) by SKU code."""
    rows = PublishedStock.objects.filter(channel="doudian", shop=shop).order_by("sku__code")
    return {row[0]: row[1:] for row in rows.values_list("sku__code", "quantity", "sellable", "version")}


def told() -> list[tuple[str, int, dict[str, int]]]:
    facts = Entry.objects.filter(name="stock.published").order_by("pk")
    return [
        (fact.payload["shop"], fact.payload["version"], {each["sku"]: each["quantity"] for each in fact.payload["changes"]})
        for fact in facts
    ]


@pytest.fixture
def node() -> Node:
    return make_node(code="MAIN")


@pytest.fixture
def sofa(node: Node) -> Sku:
    """100 on hand, 10 safety: 90 may be sold."""
    sku = make_sku("SOFA", category="furniture")
    make_level(node, sku, 100, safety_stock=10)
    return sku


@pytest.mark.parametrize(
    ("terms", "sellable", "figure"),
    [
        (Terms(), 90, 90),
        (Terms(percent=33), 10, 3),
        (Terms(percent=0), 90, 0),
        (Terms(percent=150, plus=5), 10, 20),
        (Terms(percent=50, plus=-6), 10, 0),
        (Terms(percent=50, plus=-6, floor=2), 10, 2),
        (Terms(ceiling=40), 90, 40),
        (Terms(ceiling=40, floor=40), 0, 40),
        (Terms(percent=1000, ceiling=0), 90, 0),
    ],
)
def test_a_figure_is_percent_plus_number_within_bounds(terms: Terms, sellable: int, figure: int) -> None:
    assert terms.shown(sellable) == figure


@given(
    st.integers(0, 1000), st.integers(-100, 100), st.integers(0, 50), st.none() | st.integers(50, 200), st.integers(0, 10**9)
)  # fmt: skip
def test_a_figure_is_never_negative_and_never_out_of_bounds(
    percent: int, plus: int, floor: int, ceiling: int | None, sellable: int
) -> None:
    figure = Terms(percent, plus, floor, ceiling).shown(sellable)
    assert figure >= floor >= 0
    assert ceiling is None or figure <= ceiling
    assert Terms(percent, plus, floor, ceiling).shown(sellable + 1) >= figure


def test_what_a_shop_may_sell_is_free_stock_and_its_locks_less_what_waits(node: Node, sofa: Sku, at: datetime) -> None:
    stale = make_node(code="STALE")
    make_level(stale, sofa, 50, fresh_until=at)
    make_level(make_node(code="PAUSED", is_paused=True), sofa, 50)
    make_level(make_node(code="LESS"), sofa, 20, safety_stock=30)  # −10 free counts as 0
    level = Level.objects.get(node=node)
    for lock_no, claim, units in (("L1", "shop:doudian/1", 7), ("L2", "channel:doudian", 4), ("L3", "shop:doudian/2", 9)):
        StockLock.objects.create(
            lock_no=lock_no, name=lock_no, claim=claim, sku=sofa, amount=units, state="active",
            starts_at=at - timedelta(hours=1), ends_at=at + timedelta(hours=1),
        )  # fmt: skip
        Reservation.objects.create(level=level, kind="lock", bill=lock_no, quantity=units, held_at=at)
    Level.objects.filter(pk=level.pk).update(held=20)
    reservations.hold_globally(demands=[("DD1", sofa.pk, 6)], at=at)
    for shop in ("1", "2", "3"):
        rule(shop)
    assert actions.publish_due(at=at) == 3
    free = 100 - 20 - 10
    for shop, locked in (("1", 7 + 4), ("2", 9 + 4), ("3", 4)):
        assert shown(shop) == {"SOFA": (free + locked - 6, free + locked - 6, 1)}
    reservations.hold_globally(demands=[("DD2", sofa.pk, 5000)], at=at)
    actions.publish_due(at=at)
    assert shown() == {"SOFA": (0, 0, 2)}


def test_the_narrowest_rule_wins_and_a_group_counts_its_places(node: Node, sofa: Sku, at: datetime) -> None:
    south = make_node(code="SOUTH")
    group = NodeGroup.objects.create(code="S", name="华南")
    group.nodes.add(south)
    make_level(south, sofa, 8)
    lamp, chair = make_sku("LAMP", category="small"), make_sku("CHAIR", category="furniture")
    for sku in (lamp, chair):
        make_level(node, sku, 40)
    make_sku("CARD", kind="virtual")
    rule(percent=50)
    rule(category="furniture", percent=10)
    rule(sku=sofa, group=group)
    rule("2", sku=sofa, is_active=False)
    assert actions.publish_due(at=at) == 3
    assert shown() == {"CHAIR": (4, 40, 1), "LAMP": (20, 40, 1), "SOFA": (8, 8, 1)}
    assert shown("2") == {}
    assert told() == [("1", 1, {"SOFA": 8, "LAMP": 20, "CHAIR": 4})]


def test_a_repeated_tick_tells_nothing_and_each_change_once(node: Node, sofa: Sku, at: datetime) -> None:
    rule(percent=50)
    assert actions.publish_due(at=at) == 1
    before = PublishedStock.objects.values().get()
    assert actions.publish_due(at=at + timedelta(seconds=10)) == 0
    assert PublishedStock.objects.values().get() == before
    reservations.hold(wants=[Want("W1", node.pk, sofa.pk, 10)], at=at)
    later = at + timedelta(seconds=20)
    assert actions.publish_due(at=later) == 1
    assert PublishedStock.objects.get().changed_at == later
    reservations.release(bills=["W1"], at=at)
    assert actions.publish_due(at=at + timedelta(seconds=30)) == 1
    assert told() == [("1", 1, {"SOFA": 45}), ("1", 2, {"SOFA": 40}), ("1", 3, {"SOFA": 45})]
    assert PublishedShop.objects.get().version == 3


def test_what_loses_its_rule_or_is_no_longer_sold_goes_to_zero_once(node: Node, sofa: Sku, at: datetime) -> None:
    lamp = make_sku("LAMP", category="small")
    make_level(node, lamp, 40)
    mine = rule()
    rule("2", sku=lamp)
    actions.publish_due(at=at)
    Sku.objects.filter(pk=lamp.pk).update(is_active=False)
    assert actions.publish_due(at=at) == 2
    assert (shown()["LAMP"], shown("2")) == ((0, 0, 2), {"LAMP": (0, 0, 2)})
    actions.remove_rule(rule_id=mine.pk)
    assert actions.publish_due(at=at) == 1
    assert shown() == {"LAMP": (0, 0, 2), "SOFA": (0, 0, 3)}
    assert actions.publish_due(at=at) == 0
    with pytest.raises(NotFound):
        actions.remove_rule(rule_id=mine.pk)


def test_figures_above_what_can_be_sold_are_warned_of_as_long_as_they_are(node: Node, sofa: Sku, at: datetime) -> None:
    rule("over", percent=120)
    rule("plus", plus=1)
    rule("floor", floor=91)
    rule("fine", ceiling=1000)
    actions.publish_due(at=at)
    warned = {row.shop: (row.quantity, row.sellable) for row in queries.over_published()}
    assert warned == {"over": (108, 90), "plus": (91, 90), "floor": (91, 90)}
    reservations.hold(wants=[Want("W1", node.pk, sofa.pk, 30)], at=at)
    assert actions.publish_due(at=at) == 3
    assert shown("floor") == {"SOFA": (91, 60, 1)}  # nobody is told again, but the warning is of now
    Level.objects.update(on_hand=500)
    actions.publish_due(at=at)
    assert {row.shop for row in queries.over_published()} == {"over", "plus"}


def test_a_large_change_is_cut_into_sets_of_500_with_a_version_each(node: Node, at: datetime) -> None:
    Sku.objects.bulk_create([Sku(code=f"M{n:04d}", name="x") for n in range(1001)])
    rule(floor=3)
    with CaptureQueriesContext(connection) as asked:
        assert actions.publish_due(at=at) == 1001
    assert len(asked) <= 18
    assert [(version, len(changes)) for _, version, changes in told()] == [(1, 500), (2, 500), (3, 1)]
    first = queries.published_since(channel="doudian", shop="1", version=0, limit=10)
    assert (len(first), {row.version for row in first}) == (500, {1})
    rest = queries.published_since(channel="doudian", shop="1", version=1, limit=501)
    assert [row.version for row in rest] == [2] * 500 + [3]
    assert queries.published_since(channel="doudian", shop="1", version=3) == []
    with CaptureQueriesContext(connection) as asked:
        actions.publish_due(at=at)
    assert len(asked) <= 12


def test_a_tick_that_is_killed_leaves_nothing_and_the_next_does_all(sofa: Sku, at: datetime) -> None:
    rule()
    rule("2")

    class Killed(Exception):
        pass

    def killed() -> None:
        with transaction.atomic():
            actions.publish_due(at=at)
            raise Killed

    with pytest.raises(Killed):
        killed()
    assert (PublishedStock.objects.count(), PublishedShop.objects.count(), told()) == (0, 0, [])
    assert actions.publish_due(at=at) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_two_workers_at_once_tell_each_change_once(at: datetime) -> None:
    make_level(make_node(), make_sku("SOFA"), 100)
    rule()
    barrier, changed = Barrier(2), list[int]()

    def work() -> None:
        barrier.wait()
        changed.append(actions.publish_due(at=at))
        actions.count_pool(at=at)
        connections.close_all()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed) == [0, 1]
    assert (told(), PublishedShop.objects.get().version) == ([("1", 1, {"SOFA": 100})], 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channel": " "}, "请填写渠道和店铺"),
        ({"shop": ""}, "请填写渠道和店铺"),
        ({"percent": 1001}, "比例"),
        ({"percent": -1}, "比例"),
        ({"plus": MOST_UNITS + 1}, "加减数量"),
        ({"floor": -1}, "最少发布"),
        ({"floor": 5, "ceiling": 4}, "最多发布"),
        ({"ceiling": 10**12}, "最多发布"),
        ({"category": "small", "sku": "SOFA"}, "只能填一个"),
        ({"sku": "CARD"}, "实物"),
        ({"shop": "taken"}, "整个店铺"),
        ({"shop": "taken", "category": "small"}, "品类 small"),
        ({"shop": "taken", "sku": "SOFA"}, "这个 SKU"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_in_words(sofa: Sku, fields: dict[str, Any], words: str) -> None:
    make_sku("CARD", kind="virtual")
    for more in ({}, {"category": "small"}, {"sku": sofa}):
        rule("taken", **more)
    if "sku" in fields:
        fields = {**fields, "sku": Sku.objects.get(code=fields["sku"])}
    with pytest.raises(actions.BadRule, match=words):
        actions.save_rule(rule=PublishRule(**{"channel": "doudian", "shop": "1", **fields}))
    assert PublishRule.objects.count() == 3


def test_a_preview_says_what_a_rule_would_show_where_it_is_the_narrowest(node: Node, sofa: Sku, at: datetime) -> None:
    lamp = make_sku("LAMP", category="small")
    make_level(node, lamp, 40)
    saved = rule(category="small", percent=50)
    draft = PublishRule(channel="doudian", shop="1", percent=10)
    assert queries.preview(rule=draft, at=at) == {sofa.pk: Figure(9, 90)}
    saved.percent = 25
    assert queries.preview(rule=saved, at=at) == {lamp.pk: Figure(10, 40)}
    assert PublishedStock.objects.count() == 0
    actions.save_rule(rule=saved)
    assert PublishRule.objects.get().percent == 25
