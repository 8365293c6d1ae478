"""Stock locks: what they keep for their buyers, what they leave to everybody, and how they end; with exact figures."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import NewMovement
from inventory.locks import actions as locks
from inventory.locks import queries
from inventory.locks.queries import Units
from inventory.models import Level, Movement, Node, NodeGroup, Reservation, Sku, StockLock
from inventory.reservations import actions as reservations
from inventory.reservations import queries as reservation_queries
from inventory.reservations.rules import Want
from oms_project.events import StockShort
from oms_project.journal.models import Entry
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound
from tests.conftest import NOON
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
LIVE = "live:S1"


def stock(node: Node, sku: Sku, quantity: int, key: str = "in") -> Level:
    place = (node.pk, sku.pk)
    ledger.post(movements=[NewMovement(*place, "receipt", quantity, f"{key}:{place}")], actor="test", at=NOON)
    return Level.objects.get(node=node, sku=sku)


def plan(sku: Sku, amount: int = 5, claim: str = LIVE, **more: Any) -> StockLock:
    asked = {"name": "专场", "mode": "number", "starts_at": NOON, "ends_at": NOON + HOUR, "actor": "test", "at": NOON, **more}
    return locks.plan_lock(claim=claim, sku_id=sku.pk, amount=amount, **asked)


def begun(sku: Sku, amount: int = 5, claim: str = LIVE, **more: Any) -> StockLock:
    lock = plan(sku, amount, claim, **more)
    locks.start_lock(lock_no=lock.lock_no, actor="test", at=NOON)
    return lock


def buy(bill: str, level: Level, units: int, *claims: str, at: datetime = NOON) -> bool:
    return bill in reservations.hold(wants=[Want(bill, level.node_id, level.sku_id, units, claims=claims)], at=at)


def locked(lock: StockLock) -> dict[int, int]:
    """What a lock holds, per level."""
    return dict(Reservation.objects.filter(bill=lock.lock_no, state="open").order_by("level").values_list("level", "quantity"))


def free(level: Level) -> int:
    level.refresh_from_db()
    assert ledger_queries.drift() == []
    return level.sellable(NOON)


def told(name: str = "stock.lock_moved", after: int = 0) -> list[dict[str, Any]]:
    return list(Entry.objects.filter(name=name).order_by("pk").values_list("payload", flat=True))[after:]


def short(level: Level, lacking: int, number: int = 1) -> Fact:
    event = StockShort(node_id=level.node_id, node="仓", sku_id=level.sku_id, sku_code="S", lacking=lacking, source="report")
    return Fact(number, event.name, event.subject, "test", event.payload(), NOON)


class TestFilling:
    def test_a_number_is_kept_for_its_buyers_and_the_rest_is_everybodys(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        lock = begun(level.sku)
        assert (locked(lock), free(level)) == ({level.pk: 5}, 3)
        assert not buy("A", level, 4)
        assert buy("A", level, 3)
        assert not buy("B", level, 1)
        assert buy("C", level, 5, LIVE)
        assert (locked(lock), free(level)) == ({}, 0)
        assert queries.held_and_drawn([lock.lock_no]) == {lock.lock_no: (0, 5)}

    def test_it_is_taken_where_most_is_free(self) -> None:
        sku = make_sku()
        rich, poor, middle = (stock(make_node(), sku, units) for units in (10, 2, 6))
        lock = begun(sku, 7)
        assert locked(lock) == {rich.pk: 6, middle.pk: 1}
        assert [free(level) for level in (rich, poor, middle)] == [4, 2, 5]

    def test_more_than_there_is_waits_for_the_next_delivery(self) -> None:
        level = stock(make_node(), make_sku(), 3)
        lock = begun(level.sku)
        assert (locked(lock), free(level)) == ({level.pk: 3}, 0)
        stock(Node.objects.get(), level.sku, 4, "more")
        locks.on_stock_arrived(
            [Fact(1, "stock.arrived", "", "", {"node_id": level.node_id, "sku_ids": [level.sku_id]}, NOON)], at=NOON
        )
        assert (locked(lock), free(level)) == ({level.pk: 5}, 2)
        assert [(fact["state"], fact["locked"], fact["drawn"]) for fact in told()] == [("active", 3, 0), ("active", 5, 0)]

    def test_a_ratio_is_a_part_of_every_place_rounded_down(self) -> None:
        sku = make_sku()
        ten, five, one = (stock(make_node(), sku, units) for units in (10, 5, 1))
        lock = begun(sku, 50, mode="ratio")
        assert locked(lock) == {ten.pk: 5, five.pk: 2}
        assert [free(level) for level in (ten, five, one)] == [5, 3, 1]

    def test_what_a_ratios_buyers_took_counts_as_its_part(self) -> None:
        level = stock(make_node(), make_sku(), 10)
        lock = begun(level.sku, 50, mode="ratio")
        assert buy("A", level, 2, LIVE)
        assert locks.top_up(at=NOON) == 0
        assert (locked(lock), free(level)) == ({level.pk: 3}, 5)
        stock(Node.objects.get(), level.sku, 4, "more")
        assert locks.top_up(at=NOON) == 1
        assert (locked(lock), free(level)) == ({level.pk: 5}, 7)

    def test_the_higher_priority_is_filled_first(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        low, high = plan(level.sku, 6, "channel:doudian", priority=1), plan(level.sku, 5, priority=9)
        assert locks.start_due(at=NOON) == 2
        assert (locked(high), locked(low), free(level)) == ({level.pk: 5}, {level.pk: 3}, 0)

    def test_two_ratios_count_each_other_in(self) -> None:
        level = stock(make_node(), make_sku(), 10)
        first, second = plan(level.sku, 30, mode="ratio"), plan(level.sku, 50, "channel:doudian", mode="ratio")
        locks.start_due(at=NOON)
        assert (locked(first), locked(second), free(level)) == ({level.pk: 3}, {level.pk: 5}, 2)

    def test_only_the_groups_open_and_fresh_places_are_locked(self) -> None:
        sku = make_sku()
        here, elsewhere, closed, paused, stale = (stock(make_node(), sku, 9) for _ in range(5))
        group = NodeGroup.objects.create(code="G", name="华东")
        group.nodes.set(level.node_id for level in (here, closed, paused, stale))
        Node.objects.filter(pk=closed.node_id).update(is_active=False)
        Node.objects.filter(pk=paused.node_id).update(is_paused=True)
        Level.objects.filter(pk=stale.pk).update(fresh_until=NOON)
        assert locked(begun(sku, 20, group_id=group.pk)) == {here.pk: 9}
        assert locked(begun(sku, 20, "channel:doudian")) == {elsewhere.pk: 9}

    def test_a_stale_place_that_has_most_does_not_attract_the_lock(self) -> None:
        sku = make_sku()
        rich, poor = stock(make_node(), sku, 20), stock(make_node(), sku, 6)
        Level.objects.filter(pk=rich.pk).update(fresh_until=NOON)
        assert locked(begun(sku, 4)) == {poor.pk: 4}

    def test_safety_stock_is_not_locked(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        ledger.set_safety_stock(level_ids=[level.pk], safety_stock=6, actor="staff:1", at=NOON)
        assert locked(begun(level.sku)) == {level.pk: 2}

    def test_repeated_ticks_change_and_tell_nothing(self) -> None:
        sku = make_sku()
        for units in (4, 9):
            stock(make_node(), sku, units)
        begun(sku, 30, mode="ratio")
        begun(sku, 5, "channel:doudian")
        before = list(Reservation.objects.order_by("pk").values()), Entry.objects.count()
        with CaptureQueriesContext(connection) as spent:
            assert (locks.start_due(at=NOON), locks.top_up(at=NOON), locks.end_due(at=NOON)) == (0, 0, 0)
        assert (list(Reservation.objects.order_by("pk").values()), Entry.objects.count()) == before
        assert not [query for query in spent.captured_queries if query["sql"].startswith(("UPDATE", "INSERT", "WITH"))]

    def test_ticks_cost_the_same_for_many_places_and_locks(self) -> None:
        def cost() -> int:
            with CaptureQueriesContext(connection) as spent:
                locks.top_up(at=NOON)
            return len([query for query in spent.captured_queries if "SAVEPOINT" not in query["sql"]])

        assert cost() == 1
        sku = make_sku()
        stock(make_node(), sku, 5)
        begun(sku, 9)
        few = cost()
        for _ in range(20):
            stock(make_node(), sku, 1)
        for number in range(5):
            stock(make_node(), other := make_sku(), 5)
            plan(other, 4 + number)
        locks.start_due(at=NOON)
        locks.top_up(at=NOON)
        assert (few, cost()) == (4, 4)
        for level in Level.objects.all():
            stock(level.node, level.sku, 3, "more")
        with CaptureQueriesContext(connection) as spent:
            assert locks.top_up(at=NOON) == 3
        assert len(spent) <= 14  # four to look, the rows, what is held, what is told


class TestDrawing:
    def test_live_before_shop_before_channel_and_the_lock_before_what_is_free(self) -> None:
        level = stock(make_node(), make_sku(), 12)
        claims = ("live:S1", "shop:doudian/1", "channel:doudian")
        live, shop, channel = (begun(level.sku, 2, claim) for claim in claims)
        for bill, units in (("A", 2), ("B", 2), ("C", 3)):
            assert buy(bill, level, units, *claims)
        drawn = list(Reservation.objects.filter(kind="node").order_by("bill").values_list("bill", "lock_no", "drawn", "quantity"))
        assert drawn == [("A", live.lock_no, 2, 2), ("B", shop.lock_no, 2, 2), ("C", channel.lock_no, 2, 3)]
        assert (locked(live), locked(shop), locked(channel), free(level)) == ({}, {}, {}, 5)

    def test_what_a_buyer_gives_up_is_everybodys_until_the_tick_fills_the_lock(self) -> None:
        level = stock(make_node(), make_sku(), 6)
        lock = begun(level.sku, 4)
        buy("A", level, 3, LIVE)
        assert (locked(lock), free(level)) == ({level.pk: 1}, 2)
        reservations.release(bills=["A"], at=NOON)
        assert (locked(lock), free(level)) == ({level.pk: 1}, 5)
        assert locks.top_up(at=NOON) == 1
        assert (locked(lock), free(level)) == ({level.pk: 4}, 2)

    def test_what_was_shipped_is_not_locked_again(self) -> None:
        level = stock(make_node(), make_sku(), 10)
        lock = begun(level.sku, 4)
        buy("A", level, 4, LIVE)
        reservations.consume(bills=["A"], actor="test", at=NOON)
        assert locks.top_up(at=NOON) == 0
        assert (locked(lock), free(level)) == ({}, 6)
        assert queries.held_and_drawn([lock.lock_no]) == {lock.lock_no: (0, 4)}

    def test_an_ended_lock_is_not_drawn_from(self) -> None:
        level = stock(make_node(), make_sku(), 6)
        lock = begun(level.sku, 4)
        assert buy("A", level, 1, LIVE)
        locks.end_lock(lock_no=lock.lock_no, actor="test", at=NOON)
        assert buy("B", level, 1, LIVE)
        assert Reservation.objects.get(bill="B").drawn == 0
        assert (locked(lock), free(level)) == ({}, 4)

    def test_a_process_that_still_remembers_an_ended_lock_draws_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        level = stock(make_node(), make_sku(), 6)
        lock = begun(level.sku, 4)
        reservation_queries.locks_for([LIVE])
        monkeypatch.setattr(locks.reservation_queries, "forget", lambda: None)
        locks.end_lock(lock_no=lock.lock_no, actor="test", at=NOON)
        assert reservation_queries.locks_for([LIVE]) == {LIVE: (lock.lock_no,)}
        assert not buy("A", level, 7, LIVE)
        assert buy("A", level, 6, LIVE)
        assert (Reservation.objects.get(bill="A").drawn, free(level)) == (0, 0)

    def test_a_stale_place_gives_nothing(self) -> None:
        level = stock(make_node(), make_sku(), 6)
        begun(level.sku, 4)
        Level.objects.update(fresh_until=NOON)
        assert not buy("A", level, 1, LIVE)
        [safe] = queries.safe_to_sell(at=NOON)
        assert safe.total == Units(locked=4, drawn=0, free=0, safe=0)


class TestEnding:
    def test_it_ends_by_itself_and_waiting_orders_are_told(self) -> None:
        level = stock(make_node(), make_sku(), 6)
        lock = begun(level.sku, 4)
        assert locks.end_due(at=NOON + HOUR - timedelta(seconds=1)) == 0
        assert locks.end_due(at=NOON + HOUR) == 1
        assert locks.end_due(at=NOON + HOUR) == 0
        assert (locked(lock), free(level)) == ({}, 6)
        assert told("stock.arrived", after=1) == [{"node_id": level.node_id, "sku_ids": [level.sku_id]}]
        assert [(fact["lock_no"], fact["state"], fact["locked"]) for fact in told(after=1)] == [(lock.lock_no, "ended", 0)]

    def test_a_lock_that_never_began_ends_without_having_begun(self) -> None:
        lock = plan(make_sku())
        assert (locks.start_due(at=NOON + HOUR), locks.end_due(at=NOON + HOUR)) == (0, 1)
        lock.refresh_from_db()
        assert lock.state == "ended"
        with pytest.raises(locks.NotNow, match="已结束"):
            locks.start_lock(lock_no=lock.lock_no, actor="test", at=NOON)

    def test_the_next_lock_takes_over_what_the_last_one_leaves(self) -> None:
        level = stock(make_node(), make_sku(), 6)
        first = begun(level.sku, 6)
        second = plan(level.sku, 4, starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR)
        with pytest.raises(locks.NotNow, match="请先结束它"):
            locks.start_lock(lock_no=second.lock_no, actor="test", at=NOON)
        locks.end_due(at=NOON + HOUR)
        assert locks.start_due(at=NOON + HOUR) == 1
        assert (locked(first), locked(second), free(level)) == ({}, {level.pk: 4}, 2)

    def test_starting_and_ending_twice_is_doing_it_once(self) -> None:
        level = stock(make_node(), make_sku(), 6)
        lock = begun(level.sku, 4)
        locks.start_lock(lock_no=lock.lock_no, actor="test", at=NOON)
        assert locked(lock) == {level.pk: 4}
        for _ in range(2):
            locks.end_lock(lock_no=lock.lock_no, actor="test", at=NOON)
        assert [fact["state"] for fact in told()] == ["active", "ended"]


class TestChanging:
    def test_a_lower_number_frees_the_difference_and_counts_what_is_sold(self) -> None:
        sku = make_sku()
        here, there = (stock(make_node(), sku, units) for units in (8, 4))
        lock = begun(sku, 8)
        assert locked(lock) == {here.pk: 6, there.pk: 2}
        buy("A", here, 2, LIVE)
        locks.change_lock(lock_no=lock.lock_no, amount=5, actor="test", at=NOON)
        assert locked(lock) == {here.pk: 1, there.pk: 2}
        assert (free(here), free(there)) == (5, 2)
        assert [(fact["locked"], fact["drawn"]) for fact in told(after=1)] == [(3, 2)]
        assert {fact["node_id"] for fact in told("stock.arrived", after=2)} == {here.node_id}
        assert locks.top_up(at=NOON) == 0

    def test_a_higher_number_takes_more_at_once(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        lock = begun(level.sku, 4)
        locks.change_lock(lock_no=lock.lock_no, amount=6, ends_at=NOON + 2 * HOUR, name="加场", actor="test", at=NOON)
        lock.refresh_from_db()
        assert (locked(lock), lock.amount, lock.ends_at, lock.name) == ({level.pk: 6}, 6, NOON + 2 * HOUR, "加场")

    def test_a_lower_ratio_frees_its_part_of_every_place(self) -> None:
        sku = make_sku()
        ten, five = (stock(make_node(), sku, units) for units in (10, 5))
        lock = begun(sku, 50, mode="ratio")
        buy("A", ten, 1, LIVE)
        locks.change_lock(lock_no=lock.lock_no, amount=20, actor="test", at=NOON)
        assert locked(lock) == {ten.pk: 1, five.pk: 1}
        assert locks.top_up(at=NOON) == 0

    def test_units_put_back_stay_everybodys(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        lock = begun(level.sku, 5)
        buy("A", level, 1, LIVE)
        locks.put_back(lock_no=lock.lock_no, units=3, actor="test", at=NOON)
        assert locks.top_up(at=NOON) == 0
        lock.refresh_from_db()
        assert (locked(lock), free(level), lock.amount) == ({level.pk: 1}, 6, 2)

    def test_a_planned_lock_is_changed_without_taking_anything(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        lock = plan(level.sku, 5)
        locks.change_lock(lock_no=lock.lock_no, amount=7, actor="test", at=NOON)
        assert (locked(lock), free(level)) == ({}, 8)


class TestShortage:
    def test_the_lowest_release_order_gives_back_first(self) -> None:
        level = stock(make_node(), make_sku(), 9)
        keeps = begun(level.sku, 4, "channel:doudian", release_order=20)
        gives = begun(level.sku, 3, release_order=5)
        assert locks.give_back(sku_id=level.sku_id, node_id=level.node_id, units=2, at=NOON) == 2
        assert (locked(gives), locked(keeps)) == ({level.pk: 1}, {level.pk: 4})
        assert locks.give_back(sku_id=level.sku_id, node_id=level.node_id, units=99, at=NOON) == 5
        assert (locked(gives), locked(keeps), free(level)) == ({}, {}, 9)
        assert locks.give_back(sku_id=level.sku_id, node_id=level.node_id, units=1, at=NOON) == 0

    def test_missing_goods_leave_the_locks_and_the_books_once(self) -> None:
        level = stock(make_node(), make_sku(), 9)
        lock = begun(level.sku, 6)
        buy("A", level, 3)
        for _ in range(2):
            locks.on_stock_short([short(level, 2, 1), short(level, 1, 2)], at=NOON)
        assert (locked(lock), free(level)) == ({level.pk: 3}, 0)
        assert (level.on_hand, level.held) == (6, 6)
        assert list(Movement.objects.filter(kind="adjustment").order_by("pk").values_list("source_key", "quantity")) == [
            ("short:1", -2), ("short:2", -1),
        ]  # fmt: skip
        assert locks.top_up(at=NOON) == 0

    def test_where_no_lock_holds_anything_nothing_happens(self) -> None:
        level = stock(make_node(), make_sku(), 3)
        buy("A", level, 3)
        locks.on_stock_short([short(level, 2)], at=NOON)
        assert (free(level), level.on_hand, level.held) == (0, 3, 3)
        assert told() == []


class TestSafeToSell:
    def test_locked_drawn_and_free_by_province(self) -> None:
        sku, other = make_sku("SOFA"), make_sku("LAMP")
        suzhou = stock(make_node(), sku, 10)
        guangzhou = stock(make_node(division_code="440106"), sku, 6)
        paused = stock(make_node(is_paused=True), sku, 7)
        stock(make_node(), other, 3)
        lock = begun(sku, 8)
        begun(other, 1, "channel:doudian")
        assert locked(lock) == {suzhou.pk: 6, guangzhou.pk: 2}
        buy("A", suzhou, 4, LIVE)
        buy("B", guangzhou, 1)
        assert free(paused) == 7
        with CaptureQueriesContext(connection) as spent:
            lamp, sofa = queries.safe_to_sell(at=NOON)
        assert len(spent) == queries.STATEMENTS
        assert (sofa.sku_code, sofa.claim, sofa.total, sofa.alarm) == ("SOFA", LIVE, Units(4, 4, 7, 11), "ok")
        assert sofa.provinces == {"32": Units(2, 4, 4, 6), "44": Units(2, 0, 3, 5)}
        assert (lamp.sku_code, lamp.total) == ("LAMP", Units(1, 0, 2, 3))
        assert queries.safe_to_sell(at=NOON, claim=LIVE) == [sofa] == queries.safe_to_sell(at=NOON, lock_no=lock.lock_no)

    def test_nothing_is_asked_further_when_no_lock_is_active(self, django_assert_num_queries: Any) -> None:
        plan(make_sku())
        with django_assert_num_queries(1):
            assert queries.safe_to_sell(at=NOON) == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"claim": "radio:1"}, "写法不对"),
    ({"claim": "shop:doudian"}, "shop:渠道/店铺"),
    ({"claim": "live:"}, "live:场次号"),
    ({"claim": "live:" + "x" * 90}, "80"),
    ({"claim": ""}, "写法不对"),
    ({"name": " "}, "名称"),
    ({"amount": 0}, "数量"),
    ({"amount": -3}, "数量"),
    ({"amount": 10**12}, "数量"),
    ({"amount": 2.5}, "整数"),
    ({"amount": 101, "mode": "ratio"}, "1–100"),
    ({"mode": "all"}, "方式"),
    ({"priority": -1}, "优先级"),
    ({"release_order": 99_999}, "释放顺序"),
    ({"ends_at": NOON}, "晚于"),
    ({"starts_at": NOON - 3 * HOUR, "ends_at": NOON - HOUR}, "晚于现在"),
    ({"group_id": 999}, "仓库组"),
]


class TestRefusals:
    @pytest.mark.parametrize(("wrong", "said"), BAD)
    def test_a_senseless_lock_is_refused(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(locks.BadLock, match=said):
            plan(make_sku(), **wrong)
        assert (StockLock.objects.count(), Entry.objects.count()) == (0, 0)

    @pytest.mark.parametrize("fields", [{"kind": "virtual"}, {"kind": "service"}, {"is_active": False}])
    def test_only_goods_in_use_are_locked(self, fields: dict[str, Any]) -> None:
        with pytest.raises(locks.BadLock, match="实物"):
            plan(make_sku(**fields))
        with pytest.raises(locks.BadLock, match="SKU 不存在"):
            plan(Sku(pk=999))
        assert StockLock.objects.count() == 0

    def test_the_same_buyers_and_goods_are_not_locked_twice_at_a_time(self) -> None:
        sku = make_sku()
        first = plan(sku)
        with pytest.raises(locks.BadLock, match=first.lock_no):
            plan(sku, starts_at=NOON + HOUR / 2, ends_at=NOON + 2 * HOUR)
        later = plan(sku, starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR)
        plan(sku, claim="live:S2")
        plan(make_sku())
        with pytest.raises(locks.BadLock, match=later.lock_no):
            locks.change_lock(lock_no=first.lock_no, ends_at=NOON + 2 * HOUR, actor="test", at=NOON)
        first.refresh_from_db()
        assert (first.ends_at, StockLock.objects.count()) == (NOON + HOUR, 4)
        locks.end_lock(lock_no=first.lock_no, actor="test", at=NOON)
        plan(sku)

    @pytest.mark.parametrize(
        "change",
        [
            lambda number: locks.change_lock(lock_no=number, amount=0, actor="test", at=NOON),
            lambda number: locks.change_lock(lock_no=number, ends_at=NOON, actor="test", at=NOON),
            lambda number: locks.change_lock(lock_no=number, name="", amount=3, actor="test", at=NOON),
            lambda number: locks.put_back(lock_no=number, units=0, actor="test", at=NOON),
            lambda number: locks.put_back(lock_no=number, units=6, actor="test", at=NOON),
            lambda number: locks.put_back(lock_no=number, units=5, actor="test", at=NOON),
        ],
    )
    def test_a_refused_change_changes_nothing(self, change: Callable[[str], None]) -> None:
        level = stock(make_node(), make_sku(), 8)
        lock = begun(level.sku, 5)
        before = StockLock.objects.values().get(), Entry.objects.count()
        with pytest.raises((locks.BadLock, locks.NotNow)):
            change(lock.lock_no)
        assert (StockLock.objects.values().get(), Entry.objects.count()) == before
        assert (locked(lock), free(level)) == ({level.pk: 5}, 3)

    def test_an_ended_or_unknown_lock_is_not_changed(self) -> None:
        lock = plan(make_sku())
        locks.end_lock(lock_no=lock.lock_no, actor="test", at=NOON)
        with pytest.raises(locks.NotNow, match="已结束"):
            locks.change_lock(lock_no=lock.lock_no, amount=3, actor="test", at=NOON)
        with pytest.raises(locks.NotNow, match="不在生效中"):
            locks.put_back(lock_no=lock.lock_no, units=1, actor="test", at=NOON)
        for call in (locks.start_lock, locks.end_lock, locks.change_lock):
            with pytest.raises(NotFound, match="没有锁库"):
                call(lock_no="SK0", actor="test", at=NOON)

    def test_a_ratio_has_no_units_to_put_back(self) -> None:
        level = stock(make_node(), make_sku(), 8)
        lock = begun(level.sku, 50, mode="ratio")
        with pytest.raises(locks.NotNow, match="比例"):
            locks.put_back(lock_no=lock.lock_no, units=1, actor="test", at=NOON)
        assert locked(lock) == {level.pk: 4}
