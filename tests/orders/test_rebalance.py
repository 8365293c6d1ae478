"""Orders that nobody has accepted yet make way for each other; what was accepted stays where it is."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Sum
from django.test.utils import CaptureQueriesContext

from dealers.acceptance import actions as acceptance
from dealers.capacity import actions as capacity
from dealers.capacity.queries import days_of
from dealers.models import Dealer
from inventory.ledger import queries as ledger
from inventory.locks import actions as locks
from inventory.models import Level
from inventory.reservations import actions as reservations
from inventory.reservations import queries as promises
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from orders.models import FulfillmentOrder, Offer, Order, RebalancePass, RoutingDecision, RuleSet, ShipCalendar
from orders.offers import actions as offers
from orders.offers.actions import OfferGone
from orders.placing import actions as placing
from orders.rebalance import actions as rebalance
from orders.rebalance import rules
from tests.inventory.test_stock_machine import Crash, ends_after
from tests.make import make_level, make_node, make_order, make_sku
from tests.orders.dispatch_world import forget, subscribed
from tests.orders.rebalance_world import FAR, NEAR, Town, make_town, offer_of, places, route

pytestmark = pytest.mark.django_db
Relay = Callable[[datetime], int]


@pytest.fixture
def town(db: None) -> Iterator[Town]:
    with subscribed():
        yield make_town()


def everything() -> list[object]:
    """All that a pass could change, to say that it changed nothing."""
    return [
        list(Order.objects.order_by("pk").values_list("pk", "state", "version", "moves")),
        list(FulfillmentOrder.objects.order_by("pk").values_list("pk", "state", "node_id", "dealer_id", "version")),
        list(Offer.objects.order_by("pk").values_list("pk", "state", "version", "dealer_id")),
        list(Level.objects.order_by("pk").values_list("pk", "on_hand", "held")),
        RoutingDecision.objects.count(),
        Entry.objects.count(),
    ]


def books_agree() -> bool:
    return ledger.promise_drift() == [] and all(0 <= level.held <= level.on_hand for level in Level.objects.all())


def test_who_can_go_elsewhere_makes_way_for_who_cannot(town: Town, relay_all: Relay, at: datetime) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    assert places(near, far) == [["N-D001"], ["N-D002"]]
    first, second = offer_of(near), offer_of(far)
    relay_all(at)
    soon = at + timedelta(seconds=20)

    assert rebalance.redecide(at=soon) == 2
    relay_all(soon)
    assert places(near, far) == [["N-D003"], ["N-D001"]]
    assert set(Order.objects.values_list("state", "moves")) == {("routed", 1)}
    for old, order, dealer, no in ((first, near, town.second, "2"), (second, far, town.world.home, "2")):
        old.refresh_from_db()
        assert (old.state, old.note, old.answered_at) == ("withdrawn", "统筹调整", soon)
        new = offer_of(order)
        assert (new.work_id, new.dealer, new.offer_no) == (old.work_id, dealer, f"{old.work.fo_no}-{no}")
        assert (new.ladder_step, new.expires_at, new.income_fen) == (1, soon + timedelta(seconds=60), 12_000)
    assert Offer.objects.count() == 4
    told = Entry.objects.filter(name="offer.closed").order_by("id").values_list("payload", flat=True)
    assert [(each["state"], each["reason"], each["waited_seconds"]) for each in told] == [("withdrawn", "统筹调整", 20)] * 2
    assert Entry.objects.filter(name="work.moved", payload__note="统筹调整").count() == 2
    assert books_agree()
    assert [town.world.held(), Level.objects.get(node=town.second_node).held] == [[1, 0, 0], 1]
    decisions = RoutingDecision.objects.filter(round=2).order_by("order_id")
    assert [(each.order_id, each.is_routable, each.terms["reasons"]) for each in decisions] == [
        (near.pk, True, [f"整批统筹：让位给订单 {far.order_no}，成本不变"]),
        (far.pk, True, [f"整批统筹：请订单 {near.order_no} 让位，早 1 级阶梯，少花 25.00 元"]),
    ]
    kept = RebalancePass.objects.get()
    assert (kept.looked, kept.moved, kept.dropped, kept.saved_fen, kept.is_running) == (2, 2, 0, 2_500, False)


def test_a_second_look_finds_nothing_more(town: Town, at: datetime) -> None:
    route(town.near(), town.far(), at=at)
    assert rebalance.redecide(at=at) == 2
    before = everything()
    assert rebalance.redecide(at=at) == 0
    assert (everything(), RebalancePass.objects.count()) == (before, 1)


def test_nothing_open_is_nothing_to_do(town: Town, at: datetime) -> None:
    assert rebalance.redecide(at=at) == 0
    assert RebalancePass.objects.count() == 0


def accept(town: Town, at: datetime, order: Order) -> None:
    offers.accept_offer(offer_no=offer_of(order).offer_no, staff=town.world.owner, at=at)


def pin(town: Town, at: datetime, order: Order) -> None:
    work = offer_of(order).work
    placing.place_by_hand(fo_no=work.fo_no, node_id=work.node_id, staff=town.world.operator, at=at)


def move_twice(town: Town, at: datetime, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(moves=2)


def run_out(town: Town, at: datetime, order: Order) -> None:
    Offer.objects.filter(work__order=order).update(expires_at=at)


@pytest.mark.parametrize("deed", [accept, pin, move_twice, run_out])
def test_who_may_not_be_moved_makes_way_for_nobody(
    town: Town, at: datetime, deed: Callable[[Town, datetime, Order], None]
) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    deed(town, at, near)
    before = everything()
    assert rebalance.redecide(at=at) == 0
    assert everything() == before


def test_a_dealer_that_was_asked_is_not_asked_again(town: Town, relay_all: Relay, at: datetime) -> None:
    near, far = town.near(), town.far()
    Level.objects.filter(node=town.world.home_node).update(on_hand=0)
    route(near, at=at)
    offers.decline_offer(offer_no=offer_of(near).offer_no, staff=town.second_owner, reason="busy", at=at)
    Level.objects.filter(node=town.world.home_node).update(on_hand=1)
    relay_all(at)
    route(far, at=at)
    assert places(near, far) == [["N-D001"], ["N-D002"]]
    before = everything()
    assert rebalance.redecide(at=at) == 0
    assert everything() == before


@pytest.mark.parametrize(("least_fen", "moved"), [(1_500, 2), (1_501, 0)])
def test_a_move_must_save_enough_for_each_offer_taken_back(
    town: Town, at: datetime, settings: Any, least_fen: int, moved: int
) -> None:
    settings.REBALANCE_LEAST_FEN = least_fen
    dealer = Dealer.objects.create(code="D009", name="D009", division_code=FAR)
    acceptance.count_answers(accepted={}, refused={dealer.pk: 4}, at=at)  # 30 yuan more in refusals
    dealer.skills.create(code="install:furniture")
    dealer.areas.create(division_code=FAR)
    make_level(make_node(dealer, code="N-D009"), town.sofa, 5)
    forget()
    near, far = town.near(), town.far()
    route(near, far, at=at)
    assert places(near, far) == [["N-D001"], ["N-D009"]]
    before = everything()
    assert rebalance.redecide(at=at) == moved
    assert moved or everything() == before


@pytest.mark.parametrize(("minutes", "moved"), [(9, 2), (10, 0), (60, 0)])
def test_after_the_cut_off_of_its_place_an_order_stays(town: Town, at: datetime, minutes: int, moved: int) -> None:
    ShipCalendar.objects.create(rule_set=RuleSet.objects.get(), kind="dealer", cutoff=time(12, 10))
    forget()
    near, far = town.near(), town.far()
    route(near, far, at=at)
    Offer.objects.update(expires_at=at + timedelta(hours=2))
    before = everything()
    assert rebalance.redecide(at=at + timedelta(minutes=minutes)) == moved
    assert moved or everything() == before


def test_what_came_after_the_cut_off_may_move_until_the_next(town: Town, at: datetime) -> None:
    ShipCalendar.objects.create(rule_set=RuleSet.objects.get(), kind="dealer", cutoff=time(11, 50))
    forget()
    route(town.near(), town.far(), at=at)
    assert rebalance.redecide(at=at + timedelta(seconds=30)) == 2


@pytest.mark.parametrize(("session", "moved"), [("", 0), ("S1", 2)])
def test_what_a_livestream_keeps_is_for_its_own_orders(town: Town, at: datetime, session: str, moved: int) -> None:
    Level.objects.filter(node=town.second_node).update(on_hand=1)
    near, far = town.near(live_session=session), town.far(live_session=session)
    route(near, far, at=at)
    assert places(near, far) == [["N-D001"], ["N-D002"]]
    every = Level.objects.aggregate(free=Sum("on_hand") - Sum("held"))["free"]
    span = {"starts_at": at, "ends_at": at + timedelta(hours=5), "actor": "", "at": at}
    lock = locks.plan_lock(name="专场", claim="live:S1", sku_id=town.sofa.pk, mode="number", amount=every, **span)
    locks.start_lock(lock_no=lock.lock_no, actor="", at=at)
    promises.forget()
    assert rebalance.redecide(at=at) == moved
    assert places(near, far) == ([["N-D003"], ["N-D001"]] if moved else [["N-D001"], ["N-D002"]])
    assert books_agree()


def test_lines_that_come_together_are_one_piece_of_work(town: Town, relay_all: Relay, at: datetime) -> None:
    lamp = make_sku("LAMP")
    whole = make_level(town.second_node, lamp, 0)
    make_level(town.world.home_node, lamp, 5)
    Level.objects.filter(node=town.world.home_node, sku=town.sofa).update(on_hand=0)
    order = make_order(town.sofa, lamp)
    route(order, at=at)
    assert places(order) == [["N-D003", "N-D001"]]
    third = make_level(make_node(make_third(town), code="N-D004"), town.sofa, 1).node
    make_level(third, lamp, 1)
    forget()

    assert rebalance.redecide(at=at) == 1
    relay_all(at)
    assert places(order) == [["N-D004"]]
    work = FulfillmentOrder.objects.exclude(state="cancelled").get()
    assert (work.fo_no, work.state, work.lines.count(), work.paid_fen) == (f"{order.order_no}-3", "offered", 2, 100_000)
    assert offer_of(order).offer_no == f"{work.fo_no}-1"
    assert sorted(Offer.objects.values_list("state", flat=True)) == ["pending", "withdrawn", "withdrawn"]
    assert list(order.lines.values_list("cancelled_quantity", flat=True)) == [0, 0]
    assert (whole.held, books_agree()) == (0, True)


def test_a_dealer_is_not_asked_twice_for_other_lines(town: Town, at: datetime) -> None:
    lamp = make_sku("LAMP")
    make_level(town.world.home_node, lamp, 5)
    Level.objects.filter(node=town.world.home_node, sku=town.sofa).update(on_hand=0)
    order = make_order(town.sofa, lamp)
    route(order, at=at)
    make_level(town.second_node, lamp, 5)
    before = everything()
    assert rebalance.redecide(at=at) == 0
    assert everything() == before


def make_third(town: Town) -> Dealer:
    dealer = Dealer.objects.create(code="D004", name="D004", division_code=NEAR)
    dealer.skills.create(code="install:furniture")
    dealer.areas.create(division_code=NEAR)
    return dealer


def between(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Do something after the places were worked out and before anything is locked."""
    real = rules.worthwhile

    def work_out(*args: object) -> object:
        found = real(*args)
        deed()
        return found

    monkeypatch.setattr(rules, "worthwhile", work_out)


def test_an_accept_that_comes_first_drops_the_whole_chain(
    town: Town, relay_all: Relay, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    between(monkeypatch, lambda: accept(town, at, near))
    assert rebalance.redecide(at=at) == 0
    relay_all(at)
    assert places(near, far) == [["N-D001"], ["N-D002"]]
    assert sorted(Offer.objects.values_list("state", flat=True)) == ["accepted", "pending"]
    kept = RebalancePass.objects.get()
    assert (kept.moved, kept.dropped, kept.saved_fen, books_agree()) == (0, 2, 0, True)


def test_an_accept_that_comes_second_is_told_that_the_offer_was_withdrawn(town: Town, at: datetime) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    old = offer_of(near)
    assert rebalance.redecide(at=at) == 2
    before = everything()
    with pytest.raises(OfferGone, match="已撤回"):
        offers.accept_offer(offer_no=old.offer_no, staff=town.world.owner, at=at)
    assert everything() == before


@pytest.mark.parametrize("deed", ["amended", "stock taken", "expired"])
def test_whatever_changes_meanwhile_drops_its_chain_and_no_other(
    at: datetime, monkeypatch: pytest.MonkeyPatch, deed: str, db: None
) -> None:
    with subscribed():
        town = make_town(home_units=2)
        Level.objects.filter(node=town.second_node).update(on_hand=2)
        pairs = [(town.near(), town.far()) for _ in range(2)]
        route(*(near for near, _ in pairs), *(far for _, far in pairs), at=at)

        def change() -> None:
            if deed == "amended":
                Order.objects.filter(pk=pairs[0][0].pk).update(version=9)
            elif deed == "stock taken":
                reservations.hold(wants=[Want("OTHER", town.second_node.pk, town.sofa.pk, 1)], at=at)
            else:
                Offer.objects.filter(work__order=pairs[0][1]).update(state="expired", version=2)

        between(monkeypatch, change)
        assert rebalance.redecide(at=at) == 2
        kept = RebalancePass.objects.get()
        assert (kept.moved, kept.dropped, books_agree()) == (2, 2, True)
        assert sorted(place for [place] in places(*(order for pair in pairs for order in pair))) == [
            "N-D001",
            "N-D001",
            "N-D002",
            "N-D003",
        ]


def taken(*dealers: Dealer, at: datetime) -> list[int]:
    """How much of the day of each dealer is taken."""
    days = days_of([dealer.pk for dealer in dealers], at)
    return [days[dealer.pk].taken for dealer in dealers]


def test_the_places_of_dealers_days_move_along(town: Town, at: datetime) -> None:
    dealers = (town.world.home, town.world.neighbour, town.second)
    Dealer.objects.filter(pk__in=[town.world.home.pk, town.second.pk]).update(capacity_per_day=1)
    forget()
    near, far = town.near(), town.far()
    route(near, far, at=at)
    assert taken(*dealers, at=at) == [1, 1, 0]
    assert rebalance.redecide(at=at) == 2
    assert places(near, far) == [["N-D003"], ["N-D001"]]
    assert taken(*dealers, at=at) == [1, 0, 1]


def test_nobody_gets_more_than_the_day_allows(town: Town, at: datetime) -> None:
    Dealer.objects.filter(pk=town.second.pk).update(capacity_per_day=0)
    forget()
    route(town.near(), town.far(), at=at)
    before = everything()
    assert rebalance.redecide(at=at) == 0
    assert everything() == before


def test_a_day_that_fills_up_meanwhile_takes_its_chain_back(town: Town, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    Dealer.objects.filter(pk=town.second.pk).update(capacity_per_day=1)
    forget()
    near, far = town.near(), town.far()
    route(near, far, at=at)

    def fill() -> None:
        capacity.take(slots={"OTHER": town.second.pk}, days=days_of([town.second.pk], at), at=at)

    between(monkeypatch, fill)
    before = everything()
    assert rebalance.redecide(at=at) == 0
    assert (everything(), books_agree()) == (before, True)
    assert taken(town.world.home, town.world.neighbour, town.second, at=at) == [1, 1, 1]
    assert RebalancePass.objects.get().dropped == 2


def test_one_pass_runs_at_a_time_and_a_killed_one_is_forgotten(town: Town, at: datetime) -> None:
    route(town.near(), town.far(), at=at)
    RebalancePass.objects.create(started_at=at)
    assert rebalance.redecide(at=at + timedelta(seconds=119)) == 0
    Offer.objects.update(expires_at=at + timedelta(hours=1))
    assert rebalance.redecide(at=at + timedelta(seconds=120)) == 2
    assert list(RebalancePass.objects.order_by("pk").values_list("is_running", "moved")) == [(False, 0), (False, 2)]


def test_however_many_are_moved_it_takes_the_same_statements(at: datetime, db: None) -> None:
    counts = []
    with subscribed():
        town = make_town(home_units=0)
        for size in (2, 20):
            Level.objects.filter(node=town.world.home_node).update(
                on_hand=Level.objects.get(node=town.world.home_node).held + size
            )
            near, far = [town.near() for _ in range(size)], [town.far() for _ in range(size)]
            route(*near, *far, at=at)
            with CaptureQueriesContext(connection) as captured:
                assert rebalance.redecide(at=at) == 2 * size
            counts.append(len(captured))
    assert counts[0] == counts[1] <= 45


def test_a_crash_between_any_two_statements_leaves_all_or_nothing(town: Town, at: datetime) -> None:
    near, far = town.near(), town.far()
    route(near, far, at=at)
    moment, before = at, everything()
    for statements in count():
        moment += timedelta(minutes=3)
        Offer.objects.filter(state="pending").update(expires_at=moment + timedelta(minutes=6))
        try:
            with ends_after(statements):
                rebalance.redecide(at=moment)
        except Crash:
            assert books_agree()
            if everything() == before:
                continue
        break
    assert statements > 20
    assert places(near, far) == [["N-D003"], ["N-D001"]]
    assert set(Order.objects.values_list("moves", flat=True)) == {1}
    assert sorted(Offer.objects.values_list("state", flat=True)) == ["pending", "pending", "withdrawn", "withdrawn"]
    assert rebalance.redecide(at=moment + timedelta(minutes=3)) == 0


@pytest.mark.parametrize("seed", [1, 3, 4, 7])
def test_through_any_history_nothing_accepted_moves_and_nothing_gets_dearer(
    relay_all: Relay, at: datetime, seed: int, db: None
) -> None:
    luck, moment = random.Random(seed), at
    with subscribed():
        town = make_town()
        Level.objects.filter(node=town.world.home_node).update(on_hand=luck.randint(2, 4))
        owners = {town.world.home.pk: town.world.owner, town.second.pk: town.second_owner}
        owners[town.world.neighbour.pk] = town.world.neighbour_owner
        accepted: dict[int, int] = {}
        total_moved = 0
        for _ in range(40):
            moment += timedelta(seconds=luck.randint(1, 8))
            deed = luck.choice(["near", "near", "far", "far", "answer", "expire", "arrive", "look", "look"])
            pending = list(Offer.objects.filter(state="pending", expires_at__gt=moment).order_by("pk"))
            if deed in ("near", "far"):
                route(getattr(town, deed)(), at=moment)
            elif deed == "answer" and pending:
                offer = luck.choice(pending)
                say = {"staff": owners[offer.dealer_id], "offer_no": offer.offer_no, "at": moment}
                if luck.random() < 0.5:
                    accepted[offer.work_id] = offers.accept_offer(**say).node_id
                else:
                    offers.decline_offer(reason="busy", **say)
            elif deed == "expire":
                offers.expire_due(at=moment)
            elif deed == "arrive":
                Level.objects.filter(node=town.world.home_node).update(on_hand=F("on_hand") + 1)
            elif deed == "look":
                before = cost()
                total_moved += rebalance.redecide(at=moment)
                assert cost() <= before
            relay_all(moment)
            assert dict(FulfillmentOrder.objects.filter(pk__in=accepted).values_list("pk", "node_id")) == accepted
            assert all(moves <= 2 for moves in Order.objects.values_list("moves", flat=True))
            assert books_agree()
        asked = Offer.objects.values_list("work__order_id", "dealer_id")
        assert len(set(asked)) == len(asked)
        assert (bool(accepted), total_moved > 0) == (True, True)


def cost() -> int:
    """What all orders cost by their latest decisions, with the rungs climbed."""
    latest = {each.order_id: each for each in RoutingDecision.objects.filter(is_routable=True).order_by("pk")}
    return sum(each.cost_fen + 1_000_000 * each.ladder_step for each in latest.values())
