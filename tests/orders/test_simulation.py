"""A replay gives what dispatch would have done on the stock as it was, writes nothing but itself, and survives kills."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps

from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Reservation, StockLock
from inventory.reservations import actions as reservations
from inventory.reservations import queries as reservation_queries
from inventory.reservations.rules import Want
from oms_project.refusal import NotFound, Refusal, Stale
from orders.models import Simulation, SimulationDifference
from orders.routing import queries as routing
from orders.routing.rules import RoutingTable
from orders.rulesets.models import AgeingCredit
from orders.rulesets.rules import RuleBook
from orders.simulation import actions as simulation
from orders.simulation import past, queries
from orders.simulation.files import WrongFile
from tests.make import make_order, make_staff
from tests.orders.dispatch_world import World
from tests.orders.simulation_world import make_days, make_draft, sell

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_days()


def ask(world: World, at: datetime, **more: Any) -> Simulation:
    more = {"ruleset_id": 0, "since": at - DAY, "until": at, "has_refusals": False, "name": "试", **more}
    more["ruleset_id"] = more["ruleset_id"] or make_draft(at).pk
    return simulation.simulate_past(staff=world.operator, at=at, **more)


def run(found: Simulation, at: datetime) -> Simulation:
    simulation.work_on_simulations(at=at)
    found.refresh_from_db()
    return found


def side(found: Simulation, name: str) -> dict[str, Any]:
    told: dict[str, Any] = found.result["sides"][name]
    return told


def counts() -> dict[str, int]:
    mine = {"orders.Simulation", "orders.SimulationDifference"}
    models = (model for model in apps.get_models() if model._meta.label not in mine)
    return {model._meta.label: model._default_manager.count() for model in models}


def test_the_same_rules_move_nothing(world: World, at: datetime) -> None:
    sell(world, at - DAY, 3)
    found = run(ask(world, at), at)
    assert (found.state, found.done, found.total, found.checkpoint) == ("done", 3, 3, {})
    assert found.result["comparisons"]["draft"] == {"moved": 0, "both": 3, "more_fen": 0}
    for name in ("draft", "live", "nearest", "first_come"):
        told = side(found, name)
        assert (told["orders"], told["filled"], told["packages"], told["unfilled"]) == (3, 3, 3, 0), name
        assert told["dealers"] == {str(world.home.pk): [3, told["cost_fen"]]}
    assert not SimulationDifference.objects.exists()


def test_a_draft_that_prefers_hq_moves_orders_and_both_are_priced_by_the_rules_in_force(world: World, at: datetime) -> None:
    [order] = sell(world, at - DAY, 1)
    draft = make_draft(at)
    draft.never_groups = ["ours"]
    draft.save()
    draft_group(draft)
    found = run(ask(world, at, ruleset_id=draft.pk), at)
    difference = SimulationDifference.objects.get()
    assert (difference.order_no, difference.before) == (order.order_no, "经销商仓N-D001")
    assert difference.after == "总部仓N-HQ"
    assert found.result["comparisons"]["draft"]["moved"] == 1
    assert difference.before_fen is not None
    assert difference.after_fen is not None
    assert found.result["comparisons"]["draft"]["more_fen"] == difference.after_fen - difference.before_fen
    assert side(found, "live")["compared_fen"] == side(found, "live")["cost_fen"] == difference.before_fen


def draft_group(draft: Any) -> None:
    from_kinds = {"rule_set": draft, "code": "ours", "name": "经销商仓", "kinds": ["dealer"]}
    draft._meta.apps.get_model("orders", "NodeGroup").objects.create(**from_kinds)


def test_nothing_is_written_to_stock_or_orders(world: World, at: datetime) -> None:
    sell(world, at - DAY, 2)
    found = ask(world, at)
    before, held = counts(), world.held()
    stock = list(Level.objects.order_by("pk").values_list("on_hand", "held"))
    assert run(found, at).state == "done"
    assert (counts(), world.held()) == (before, held)
    assert list(Level.objects.order_by("pk").values_list("on_hand", "held")) == stock


def test_the_stock_is_as_it_was_when_the_first_order_came(world: World, at: datetime) -> None:
    """Ten sofas at the dealer; three came in between, one order held one, another bill two; one was promised before."""
    first = at - DAY
    reservations.hold(wants=[Want("OLD-1", world.home_node.pk, world.sofa.pk, 1)], at=first - DAY)
    [order] = sell(world, first, 1)
    reservations.hold(wants=[Want(f"{order.order_no}-1", world.home_node.pk, world.sofa.pk, 1)], at=first)
    reservations.hold(wants=[Want("OTHER-1", world.home_node.pk, world.sofa.pk, 2)], at=first + timedelta(hours=1))
    ledger.post(
        movements=[NewMovement(world.home_node.pk, world.sofa.pk, "receipt", 3, "in:1", "")],
        actor="test",
        at=first + timedelta(hours=2),
    )
    reservations.release(bills=["OLD-1"], at=first + timedelta(hours=3))
    reservations.consume(bills=[f"{order.order_no}-1"], actor="test", at=first + timedelta(hours=4))
    opening = past.opening(sku_ids=[world.sofa.pk], order_nos=[order.order_no], since=first, until=at)
    place = world.home_node.pk, world.sofa.pk
    assert opening.shelf.free[place] == 9
    hours = [(change.at - first).total_seconds() / 3600 for change in opening.changes]
    assert [(hour, change.place, change.units) for hour, change in zip(hours, opening.changes, strict=True)] == [
        (1.0, place, -2),
        (2.0, place, 3),
        (3.0, place, 1),
    ]


def make_lock(world: World, at: datetime, units: int) -> None:
    """Sofas at the dealer, kept for a livestream for days."""
    lock = {"lock_no": "SK1", "name": "直播", "claim": "live:L1", "sku": world.sofa, "amount": units, "state": "active"}
    StockLock.objects.create(**lock, starts_at=at - 3 * DAY, ends_at=at + DAY)
    reservations.hold(wants=[Want("SK1", world.home_node.pk, world.sofa.pk, units, kind="lock")], at=at - 2 * DAY)
    reservation_queries.forget()


def test_what_a_lock_keeps_is_for_its_buyers_only_and_drawn_units_are_put_back(world: World, at: datetime) -> None:
    first, place = at - DAY, (world.home_node.pk, world.sofa.pk)
    make_lock(world, at, units=4)
    [order] = sell(world, first, 1, live_session="L1")
    mine = Want(f"{order.order_no}-1", *place, 3, kind="offer", claims=("live:L1",))
    reservations.hold(wants=[mine], at=first + timedelta(minutes=1))
    assert Reservation.objects.get(bill=mine.bill).drawn == 3
    opening = past.opening(sku_ids=[world.sofa.pk], order_nos=[order.order_no], since=first, until=at)
    assert (opening.shelf.free[place], opening.shelf.locked, opening.shelf.locks) == (
        6,
        {"SK1": {place: 4}},
        {"live:L1": ("SK1",)},
    )


def test_refusals_are_drawn_by_the_seed_alike_on_every_side_and_the_next_is_asked(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(world, at - DAY, 9)
    read = routing.table_by

    def of_no_sayers(book: RuleBook, at: datetime) -> RoutingTable:
        table = read(book, at)
        table.answers = {world.home.pk: (0, 10**12)}
        return table

    monkeypatch.setattr(routing, "table_by", of_no_sayers)
    found = run(ask(world, at, has_refusals=True), at)
    for name in ("draft", "live", "nearest", "first_come"):
        told = side(found, name)
        assert told["filled"] == 9
        assert told["refusals"] >= 9
        assert str(world.home.pk) not in told["dealers"]
    again = run(ask(world, at, has_refusals=True, ruleset_id=found.rule_set_id), at)
    assert again.result == found.result


def test_an_order_that_nobody_can_serve_is_unfilled(world: World, at: datetime) -> None:
    sell(world, at - DAY, 2, apart=timedelta(hours=1))
    Level.objects.exclude(node=world.home_node).update(on_hand=0)
    Level.objects.filter(node=world.home_node).update(on_hand=1)
    told = side(run(ask(world, at), at), "live")
    assert (told["filled"], told["unfilled"], told["on_time"]) == (1, 1, 1)


def test_a_killed_worker_loses_nothing_and_the_result_is_the_same(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    Level.objects.update(on_hand=3)
    make_lock(world, at, units=1)
    sell(world, at - DAY, 6)
    sell(world, at - DAY / 2, 1, live_session="L1")
    draft = make_draft(at, dealer_fen=900)
    straight = run(ask(world, at, ruleset_id=draft.pk, has_refusals=True), at)
    found = ask(world, at, ruleset_id=draft.pk, has_refusals=True)
    monkeypatch.setattr(simulation, "CHUNK", 2)
    monkeypatch.setattr(simulation, "WORK_SECONDS", 0.0)
    seen = []
    for _ in range(4):
        assert simulation.work_on_simulations(at=at) in (1, 2)
        found.refresh_from_db()
        seen.append((found.state, found.done, found.leased_until))
    assert seen == [("running", 2, None), ("running", 4, None), ("running", 6, None), ("done", 7, None)]
    assert found.result == straight.result

    class Killed(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Killed

    third = ask(world, at, ruleset_id=draft.pk, has_refusals=True)
    simulation.work_on_simulations(at=at)
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "_keep", die)
        with pytest.raises(Killed):
            simulation.work_on_simulations(at=at)
    third.refresh_from_db()
    assert (third.done, simulation.work_on_simulations(at=at)) == (2, 0)  # the dead one's lease still runs
    for minutes in (2, 4, 6):
        simulation.work_on_simulations(at=at + timedelta(minutes=minutes))
    third.refresh_from_db()
    assert (third.state, third.result) == ("done", straight.result)


def test_a_draft_that_is_edited_on_the_way_ends_the_simulation(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(world, at - DAY, 5)
    found = ask(world, at)
    monkeypatch.setattr(simulation, "CHUNK", 2)
    monkeypatch.setattr(simulation, "WORK_SECONDS", 0.0)
    assert run(found, at).done == 2
    type(found.rule_set).objects.filter(pk=found.rule_set_id).update(split_fee_fen=1)
    assert (run(found, at).state, found.problem) == ("failed", "规则在模拟期间被修改，请重新模拟")


def test_two_workers_do_not_do_the_same_step(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    sell(world, at - DAY, 2)
    found = ask(world, at)
    before = queries.run_of

    def overtaken(seen: Simulation) -> Any:
        Simulation.objects.filter(pk=seen.pk).update(version=seen.version + 1)
        return before(seen)

    monkeypatch.setattr(queries, "run_of", overtaken)
    assert simulation.work_on_simulations(at=at) == 0
    found.refresh_from_db()
    assert (found.state, found.done, found.result) == ("running", 0, {})


def test_one_that_is_called_off_stops_and_stays_so(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    sell(world, at - DAY, 2)
    found = ask(world, at)
    before = queries.run_of

    def called_off(seen: Simulation) -> Any:
        simulation.cancel(simulation_id=seen.pk, staff=world.operator, at=at)
        return before(seen)

    monkeypatch.setattr(queries, "run_of", called_off)
    assert run(found, at).state == "cancelled"
    assert (found.done, found.result, simulation.work_on_simulations(at=at)) == (0, {}, 0)
    for staff in (world.owner, make_staff(role="finance")):
        with pytest.raises(NotFound):
            simulation.cancel(simulation_id=found.pk, staff=staff, at=at)
    with pytest.raises(Stale):
        simulation.cancel(simulation_id=found.pk, staff=world.operator, at=at)


def test_one_that_fails_says_so_and_stops_no_other(world: World, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    sell(world, at - DAY, 1)
    bad = ask(world, at)
    good = ask(world, at, ruleset_id=bad.rule_set_id)
    before = queries.run_of
    monkeypatch.setattr(queries, "run_of", lambda seen: before(seen) if seen.pk == good.pk else 1 / 0)
    run(good, at)
    bad.refresh_from_db()
    assert (bad.state, good.state) == ("failed", "done")
    assert bad.problem == "模拟时出错（ZeroDivisionError），请联系管理员"


def test_only_headquarters_asks_and_nonsense_is_refused(world: World, at: datetime) -> None:
    draft = make_draft(at)
    asked = {"name": "", "ruleset_id": draft.pk, "since": at - DAY, "until": at, "at": at}
    for staff in (world.owner, make_staff(role="finance")):
        with pytest.raises(NotFound):
            simulation.simulate_past(staff=staff, **asked)
    for wrong in ({"since": at}, {"until": at + DAY}, {"most_orders": 0}, {"most_orders": 20_001}):
        with pytest.raises(Refusal):
            simulation.simulate_past(staff=world.operator, **{**asked, **wrong})
    with pytest.raises(NotFound):
        simulation.simulate_past(staff=world.operator, **{**asked, "ruleset_id": draft.pk + 9})
    assert not Simulation.objects.exists()
    nothing = simulation.simulate_past(staff=world.operator, **asked)
    assert run(nothing, at).problem == "没有符合条件的订单"


FILE = "单号,地址,渠道,商品编码,数量\n甲,江苏省苏州市吴中区,抖店,KT-3300,2\n甲,320506,doudian,KT-3300,1\n,320506,,KT-3300,\n"


def test_a_what_if_file_is_routed_on_the_stock_of_now(world: World, at: datetime) -> None:
    draft = make_draft(at)
    asked = {"name": "大促", "ruleset_id": draft.pk, "staff": world.operator, "at": at, "has_refusals": False}
    found = simulation.simulate_file(body=FILE.encode(), **asked)
    assert found.wanted == [
        ["甲", "320506", "doudian", "", [["KT-3300", 2], ["KT-3300", 1]]],
        ["假设4", "320506", "doudian", "", [["KT-3300", 1]]],
    ]
    told = side(run(found, at), "live")
    assert (told["orders"], told["filled"], told["packages"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("地址,数量\n320506,1", "表头缺少这些列：商品"),
        ("地址,商品\n320506,NIX\n999999,KT-3300", "第 2 行：没有商品或 SKU NIX；第 3 行：没有区划代码 999999"),
        ("地址,商品,数量\n320506,KT-3300,0", "第 2 行：数量“0”应为 1 到 9999 的整数"),
        ("地址,商品,渠道\n320506,KT-3300,火星", "第 2 行：没有渠道 火星"),
        ("地址,商品", "文件里没有订单"),
    ],
)
def test_a_wrong_file_is_refused_by_its_rows(world: World, at: datetime, text: str, words: str) -> None:
    with pytest.raises(WrongFile) as refused:
        simulation.simulate_file(name="", ruleset_id=make_draft(at).pk, body=text.encode(), staff=world.operator, at=at)
    assert refused.value.message.startswith(words)
    assert not Simulation.objects.exists()


def test_orders_that_come_at_once_are_decided_together(world: World, at: datetime) -> None:
    sell(world, at - DAY, 12, apart=timedelta())
    told = run(ask(world, at), at).result["sides"]
    assert told["live"]["filled"] == told["first_come"]["filled"] == 12
    assert told["live"]["cost_fen"] <= told["first_come"]["cost_fen"]


def test_credits_for_old_goods_count_on_every_side(world: World, at: datetime) -> None:
    sell(world, at - DAY, 1)
    found = ask(world, at)
    AgeingCredit.objects.create(rule_set=found.live_set, category="", fen_per_unit=300, is_overstock=True)
    Level.objects.filter(node=world.home_node).update(max_stock=1)
    told = run(found, at).result["sides"]
    assert [told[name]["parts"].get("ageing") for name in ("live", "nearest", "first_come", "draft")] == [-300, -300, -300, None]


def test_held_and_cancelled_orders_are_left_out(world: World, at: datetime) -> None:
    for state in ("held", "cancelled", "completed"):
        make_order(world.sofa, state=state, at=at - timedelta(hours=1))
    assert run(ask(world, at), at).total == 1
