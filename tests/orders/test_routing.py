"""Where an order goes, to the fen, and why not elsewhere."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from dealers.divisions import queries as divisions
from dealers.models import Acceptance, Dealer, Division, ServiceArea
from inventory.models import Level, Movement, Node
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.models import RoutingDecision, RuleSet
from orders.routing import actions, queries
from orders.routing.admin import RoutingDecisionAdmin
from orders.routing.rules import Area, Decision, NodeFacts, RoutingTable, Rung, decide
from orders.routing.table import distance_km, risk_fen
from orders.routing.telling import explain
from orders.rulesets import actions as rulesets
from orders.rulesets.rules import AgeingCredit, FreightRate, InstallRate, OrderTerms, Quota, RuleBook, Where
from orders.work import queries as work_queries
from tests.conftest import NOON
from tests.make import make_dealer, make_level, make_node, make_offer, make_order, make_rules, make_sku, make_staff, make_work

urlpatterns = [path("admin/", admin.site.urls)]
AREA = "320506"
HERE = (120.63, 31.26)
SKILL = "install:furniture"
LADDER = (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 90, 2), Rung(3, "hq", 60, 1))
FREIGHT = FreightRate(Where(), 1200, step_fen=200, km_fen=3, km_per_day=300, max_km=2000)
TERMS = OrderTerms("标准")
BOOK = RuleBook("标准 v1", default=TERMS, freight=(FREIGHT,), installs=(InstallRate(Where(), "", 4000),))
COMPONENTS = {"freight", "install", "late", "risk", "cross_region", "fairness", "ageing", "scarcity"}


def node(number: int, **fields: Any) -> NodeFacts:
    """N1, N2 … belong to dealers 1, 2 …; dealer_id None makes it HQ's."""
    facts = {"kind": "dealer", "dealer_id": number, "lng": HERE[0], "lat": HERE[1], "skills": frozenset({SKILL}), **fields}
    if facts["dealer_id"] is None:
        facts |= {"kind": "hq", "skills": frozenset()}
    return NodeFacts(number, f"N{number}", f"发货点{number}", division_code=AREA, **facts)


def line(sku_id: int = 1, quantity: int = 1, **fields: Any) -> LineToRoute:
    values = {"weight_g": 1000, "is_counted": True, "install_skill": "", "category": "furniture", "supply_price_fen": 0, **fields}
    return LineToRoute(sku_id * 10, sku_id, f"S{sku_id}", f"商品{sku_id}", quantity, 10_000, **values)


def order(*lines: LineToRoute, **fields: Any) -> OrderToRoute:
    values = {"channel": "doudian", "division_code": AREA, "paid_at": NOON, **fields}
    return OrderToRoute(1, "DD1", shop="1", region="", paid_fen=10_000, anchor="", lines=lines, **values)


def table(*nodes: NodeFacts, neighbours: tuple[int, ...] = (), **fields: Any) -> RoutingTable:
    dealers = [each.dealer_id for each in nodes if each.dealer_id]
    values = {
        "areas": [Area(dealer_id, AREA, dealer_id not in neighbours) for dealer_id in dealers],
        "book": BOOK,
        "at": NOON,
        "centroids": {AREA: HERE},
        "answers": {},
        **fields,
    }
    return RoutingTable(nodes=nodes, **values)


def run(asked: OrderToRoute, known: RoutingTable, stock: Any = None, **fields: Any) -> Decision:
    if stock is None:
        stock = {(number, each.sku_id): 99 for number in range(1, 10) for each in asked.lines}
    return decide(asked, known, stock, **{"ladder": LADDER, "at": NOON, **fields})


def fences(decision: Decision) -> dict[str, str | None]:
    return {entry["node"]: entry.get("fence") for entry in decision.trace}


# What a package costs.


def test_a_package_costs_the_sum_of_its_parts() -> None:
    far = node(1, lng=HERE[0] + 10.5)
    asked = order(line(quantity=2, weight_g=1750, install_skill=SKILL))
    known = table(far, neighbours=(1,), answers={1: (6000, 2000)})
    decision = run(asked, known, scarcity={(1, 1): 70})
    assert distance_km(*HERE, far.lng, far.lat) == 998
    (package,) = decision.packages
    assert package.breakdown == {
        "freight": 1200 + 3 * 200 + 998 * 3,  # 3.5 kg: three started steps after the first kilogram
        "install": 2 * 4000,
        "late": 2 * 500,  # one day and four days on the road, three promised
        "risk": 1080,  # 3000 × (2 + 1.6) / (6 + 4)
        "cross_region": 2500,
        "fairness": 0,
        "ageing": 0,
        "scarcity": 140,
    }
    assert (package.cost_fen, package.days, decision.cost_fen) == (17_514, 5, 17_514)
    assert (decision.ladder_step, decision.runner_up_fen, decision.reasons, decision.policy) == (2, None, (), "标准 v1")


@pytest.mark.parametrize(("yes", "no", "expected"), [(0, 0, 1200), (6000, 2000, 1080), (0, 10_000, 8700), (996_000, 0, 5)])
def test_risk_is_the_cost_of_a_refusal_times_the_odds(yes: int, no: int, expected: int) -> None:
    assert risk_fen(3000, yes, no) == expected


def test_our_own_places_carry_no_risk_and_buy_installation() -> None:
    decision = run(order(line(install_skill=SKILL)), table(node(1, dealer_id=None)))
    assert decision.packages[0].breakdown == {
        "freight": 1200, "install": 4000, "late": 0, "risk": 0, "cross_region": 0, "fairness": 0, "ageing": 0, "scarcity": 0,
    }  # fmt: skip
    assert (decision.packages[0].dealer_id, decision.ladder_step) == (None, 3)


def test_the_centre_of_the_city_stands_in_for_a_district_nobody_has_measured() -> None:
    known = table(node(1, lng=HERE[0] + 1), centroids={"320500": HERE})
    assert known.considered(AREA, "doudian")[0].km == distance_km(*HERE, HERE[0] + 1, HERE[1]) == 96
    assert table(node(1, lng=0.0), centroids={}).considered(AREA, "doudian")[0].km == 0


# Who is a candidate.


def test_areas_match_by_prefix_and_channel_and_territory_wins() -> None:
    areas = [
        Area(1, "32", False), Area(1, "3205", True), Area(2, "320506", False), Area(3, "33", True), Area(4, "3205", True, "shop"),
    ]  # fmt: skip
    known = table(*(node(number) for number in (1, 2, 3, 4)), node(5, dealer_id=None), areas=areas)
    assert known.candidates(AREA, "doudian") == (1, 2, 5)
    assert known.candidates(AREA, "shop") == (1, 2, 4, 5)
    assert known.candidates("330102", "doudian") == (3, 5)
    assert known.candidates("", "doudian") == (5,)
    assert [each.target for each in known.considered(AREA, "shop")] == ["territory", "neighbour", "territory", "hq"]


FENCED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "AREA": ({}, {"areas": [Area(1, AREA, True, "shop")]}, {}, "不服务该渠道 ×1"),
    "PAUSED": ({"is_open": False}, {}, {}, "暂停接单 ×1"),
    "DISTANCE": ({"lng": HERE[0] + 30}, {}, {}, "超出最远配送距离 ×1"),
    "SKILL": ({"skills": frozenset()}, {}, {}, "没有所需安装技能 ×1"),
    "STOCK": ({}, {}, {"stock": {(1, 1): 0}}, "可售库存不足 ×1"),
    "CAPACITY": ({}, {}, {"remaining": {1: 0}}, "今日接单已满 ×1"),
    "REFUSED": ({}, {}, {"refused": frozenset({1})}, "已拒单或超时 ×1"),
    "LADDER": ({}, {}, {"ladder": LADDER[1:]}, "这一级阶梯不再询问 ×1"),
}


@pytest.mark.parametrize("fence", FENCED)
@pytest.mark.parametrize("lines", [1, 2])
def test_each_fence_keeps_a_place_out_and_says_why(fence: str, lines: int) -> None:
    of_node, of_table, of_question, reason = FENCED[fence]
    asked = order(*(line(install_skill=SKILL) for _ in range(lines)))
    decision = run(asked, table(node(1, **of_node), **of_table), **of_question)
    assert (decision.is_routable, decision.packages, decision.ladder_step) == (False, (), 0)
    assert fences(decision) == {"N1": fence}
    assert decision.reasons[-1] == reason
    assert f"为什么不是发货点1：{reason.removesuffix(' ×1')}" in explain(decision.trace, [])[0]


def test_a_kind_of_place_without_a_template_cannot_be_priced() -> None:
    assert run(order(line()), table(node(1), book=RuleBook())).reasons == ("没有运费模板 ×1",)


def test_reasons_count_places_and_name_the_goods_nobody_has() -> None:
    known = table(node(1), node(2), node(3, is_open=False))
    assert run(order(line()), known, {}).reasons == ("可售库存不足 ×2", "暂停接单 ×1")
    assert run(order(line(1), line(2)), known, {(1, 1): 5}).reasons == (
        "商品2：没有可用的发货点", "可售库存不足 ×1", "暂停接单 ×1",
    )  # fmt: skip
    assert run(order(line()), table()).reasons == ("没有发货点服务该地区",)
    assert run(order(), table(node(1))).reasons == ("没有待履约的商品行",)
    assert run(order(line()), table(node(1)), ladder=()).is_routable is False


# The ladder.


def test_the_first_rung_that_can_do_it_wins_whatever_later_ones_cost() -> None:
    known = table(node(1), node(2), node(3, dealer_id=None), neighbours=(2,), answers={1: (0, 50_000)})
    first = run(order(line()), known)
    assert (first.packages[0].node_id, first.ladder_step) == (1, 1)
    assert fences(first) == {"N1": None, "N2": "LADDER", "N3": "LADDER"}
    assert [entry["cost_fen"] for entry in first.trace] == [39_900, 4_900, 1_200]
    second = run(order(line()), known, refused=frozenset({1}))
    assert (second.packages[0].node_id, second.ladder_step) == (2, 2)
    assert fences(second) == {"N1": "REFUSED", "N2": None, "N3": "LADDER"}
    third = run(order(line()), known, refused=frozenset({1, 2}))
    assert (third.packages[0].node_id, third.ladder_step, third.runner_up_fen) == (3, 3, None)


def test_rungs_add_up_for_orders_that_need_several_places() -> None:
    known = table(node(1), node(2), node(3, dealer_id=None), neighbours=(2,))
    stock = {(1, 1): 1, (2, 2): 1, (3, 1): 1, (3, 2): 1}
    decision = run(order(line(1), line(2)), known, stock)
    assert [(each.node, each.line_indexes) for each in decision.packages] == [("N1", (0,)), ("N2", (1,))]
    assert (decision.ladder_step, decision.cost_fen) == (2, 2_400 + 4_900 + 600)
    assert fences(decision) == {"N1": None, "N2": None, "N3": "LADDER"}
    assert decision.trace[0]["missing"] == {"1": "可售库存不足"}
    told = explain(decision.trace, [package.as_dict() for package in decision.packages], decision.on_terms())
    assert told == [
        "为什么派给发货点1：第 1 行成本最低，合计 24.00 元（运费 12.00 元、拒单风险 12.00 元）",
        "为什么派给发货点2：第 2 行成本最低，合计 49.00 元（运费 12.00 元、拒单风险 12.00 元、跨区费 25.00 元）",
        "为什么拆单：没有一个可用的发货点能做整单，2 个包裹含拆单费共 79.00 元",
        "为什么不是发货点3：还没轮到这一级阶梯（成本 14.00 元）",
    ]


def test_a_later_place_that_can_do_only_a_part_says_for_which_lines_its_cost_is() -> None:
    known = table(node(1), node(2, dealer_id=None))
    decision = run(order(line(1), line(2)), known, {(1, 1): 1, (1, 2): 1, (2, 2): 1})
    later = decision.trace[1]
    assert (later["fence"], later["cost_fen"], later["lines"], later["missing"]) == ("LADDER", 1200, [1], {"0": "可售库存不足"})
    told = explain(decision.trace, [package.as_dict() for package in decision.packages], decision.on_terms())
    assert told[-1] == "为什么不是发货点2：还没轮到这一级阶梯（成本 12.00 元，只含第 2 行）"


# The plan.


def test_equal_costs_go_to_the_lower_code_whatever_the_order_of_the_places() -> None:
    places = [node(3), node(1), node(2)]
    for asked in (order(line()), order(line(1), line(2))):
        decision = run(asked, table(*places))
        assert decision == run(asked, table(*reversed(places))) == run(asked, table(*places))
        assert decision.packages[0].node == "N1"
        assert decision.runner_up_fen == decision.cost_fen


def test_uncounted_goods_never_wait_for_stock_but_services_need_the_skill() -> None:
    visit = line(2, is_counted=False, install_skill=SKILL, weight_g=9000)
    known = table(node(1, skills=frozenset()), node(2))
    decision = run(order(line(1), visit), known, {(1, 1): 1})
    assert [(each.node, each.line_indexes, each.cost_fen) for each in decision.packages] == [
        ("N1", (0,), 2400), ("N2", (1,), 6400),
    ]  # fmt: skip
    whole = run(order(line(1), visit), known, {(1, 1): 1, (2, 1): 1})
    assert [(each.node, each.line_indexes, each.cost_fen) for each in whole.packages] == [("N2", (0, 1), 6400)]
    assert run(order(replace(visit, install_skill="")), known, {}).packages[0].cost_fen == 2400


def test_the_same_units_are_not_promised_twice() -> None:
    asked = order(line(1, 5), line(1, 5))
    known = table(node(1), node(2, lng=HERE[0] + 1))
    assert {each.node for each in run(asked, known, {(1, 1): 6, (2, 1): 6}).packages} == {"N1", "N2"}
    assert [each.node for each in run(asked, known, {(1, 1): 10}).packages] == ["N1"]
    assert not run(asked, known, {(1, 1): 6}).is_routable


@pytest.mark.parametrize("skus", [(1, 2), (1, 1)])
@pytest.mark.parametrize(("split_fee_fen", "places", "cost_fen"), [(4349, {"N1", "N2"}, 9149), (4351, {"N3"}, 9150)])
def test_the_split_fee_decides_to_the_fen(skus: tuple[int, int], split_fee_fen: int, places: set[str], cost_fen: int) -> None:
    """Two cheap places with one line each, 24.00 yuan apiece, or one at 91.50 with both."""
    asked = order(*(line(sku_id, 5, weight_g=0) for sku_id in skus))
    stock = {(1, skus[0]): 5, (2, skus[1]): 5, (3, 1): 10, (3, 2): 10}
    book = replace(BOOK, default=replace(TERMS, split_fee_fen=split_fee_fen))
    decision = run(asked, table(node(1), node(2), node(3), book=book, answers={3: (0, 9000)}), stock)
    assert ({each.node for each in decision.packages}, decision.cost_fen) == (places, cost_fen)


def test_many_lines_are_placed_without_looking_at_every_partition() -> None:
    asked = order(*(line(sku_id) for sku_id in range(1, 13)))
    known = table(node(1), node(2), node(3))
    stock = {(1 + sku_id % 2, sku_id): 1 for sku_id in range(1, 13)}
    split = run(asked, known, stock)
    assert [(each.node, len(each.line_indexes)) for each in split.packages] == [("N2", 6), ("N1", 6)]
    assert split.cost_fen == 2 * (2400 + 5 * 200) + 600
    whole = run(asked, known, stock | {(3, sku_id): 1 for sku_id in range(1, 13)})
    assert [(each.node, each.cost_fen) for each in whole.packages] == [("N3", 4600)]
    assert not run(asked, known, {key: 1 for key in stock if key[1] != 7}).is_routable


# Reading and writing.


@pytest.fixture
def world(db: None) -> Iterator[Dealer]:
    """One dealer at home, paused HQ, an ended place, and what it costs."""
    queries.forget()
    Division.objects.create(code=AREA, name="吴中区", level=3, lng=HERE[0], lat=HERE[1])
    dealer = make_dealer("D001")
    Acceptance.objects.create(dealer=dealer, yes_weight=6000, no_weight=2000, as_of=NOON.date())
    make_node(dealer, code="N1", lng=HERE[0], lat=HERE[1])
    make_node(code="N2", is_paused=True)
    make_node(code="N3", is_active=False)
    make_node(make_dealer("D009", is_active=False), code="N4")
    make_rules(kinds=("dealer", "hq"), first_fen=1200, step_fen=200, km_fen=3, install_fen=4000)
    yield dealer
    queries.forget()


def test_the_table_is_read_in_fourteen_statements_and_kept_for_five_seconds(world: Dealer) -> None:
    divisions.gazetteer()
    with CaptureQueriesContext(connection) as captured:
        known = queries.routing_table(NOON)
        assert queries.routing_table(NOON + timedelta(seconds=5)) is known
    assert len(captured) == 14
    considered = known.considered(AREA, "doudian")
    assert [(each.node.code, each.target, each.fence) for each in considered] == [
        ("N1", "territory", None), ("N2", "hq", "PAUSED"),
    ]  # fmt: skip
    assert (considered[0].parts["risk"], considered[0].base_fen, known.book.name) == (1080, 2280, "标准 v1")
    assert considered[0].node.skills == {"deliver", SKILL}
    assert queries.routing_table(NOON + timedelta(seconds=5.1)) is not known
    ServiceArea.objects.all().delete()
    queries.forget()
    assert queries.routing_table(NOON).candidates(AREA, "doudian") == ()


def test_a_paused_dealer_closes_all_its_places(world: Dealer) -> None:
    Dealer.objects.update(is_paused=True)
    assert queries.routing_table(NOON).considered(AREA, "doudian")[0].fence == "PAUSED"


CREDITS = (
    AgeingCredit("furniture", 300, older_than_days=30),
    AgeingCredit("", 500, is_overstock=True),
    AgeingCredit("lamp", 900, older_than_days=99, is_overstock=True),
)


def test_credits_are_for_what_lies_above_its_maximum_or_came_in_before_and_has_not_left(
    world: Dealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First in, first out: 5 of the 10 sofas at N1 came in 40 days ago, the 10 at N5 are all of this month."""
    divisions.gazetteer()
    monkeypatch.setattr(queries, "_book", lambda: RuleBook(credits=CREDITS))
    old, new = Node.objects.get(code="N1"), make_node(world, code="N5")
    sofa, lamp, gone = (make_sku(category=category) for category in ("furniture", "lamp", "furniture"))
    for place, sku, units, most in (
        (old, sofa, 10, None), (new, sofa, 10, 10), (old, lamp, 8, 7), (new, lamp, 0, 7), (old, gone, 0, None),
    ):  # fmt: skip
        make_level(place, sku, units, max_stock=most)
    for place, units, days in ((old, 9, 40), (old, -4, 20), (old, 5, 10), (new, 12, 10), (new, -2, 5)):
        kind = Movement.Kind.RECEIPT if units > 0 else Movement.Kind.SHIPMENT
        Movement.objects.create(
            node=place, sku=sofa, kind=kind, quantity=units, source_key=f"{place.pk}/{days}", moved_at=NOON - timedelta(days=days)
        )
    with CaptureQueriesContext(connection) as captured:
        known = queries.routing_table(NOON)
    assert known.ageing == {(old.pk, sofa.pk): 300, (old.pk, lamp.pk): 900}
    assert len([each for each in captured if "inventory_movement" in each["sql"]]) == 1
    assert len(captured) == 6
    later = NOON + timedelta(minutes=5)
    Level.objects.update(max_stock=1)
    with CaptureQueriesContext(connection) as captured:
        assert queries.routing_table(later).ageing == known.ageing
    assert len(captured) == 5
    assert queries.routing_table(later + timedelta(seconds=6)).ageing[new.pk, sofa.pk] == 500


def test_shares_are_of_the_offers_accepted_this_month_and_read_once_a_minute(
    world: Dealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    divisions.gazetteer()
    monkeypatch.setattr(queries, "_book", lambda: RuleBook(freight=BOOK.freight, quotas=(Quota("D001", 50, 200),)))
    other = make_dealer("D002")
    month = datetime(2026, 10, 31, 16, tzinfo=UTC)  # midnight in Shanghai
    for dealer, state, at in (
        (world, "accepted", NOON), (world, "accepted", month), (other, "accepted", NOON),
        (world, "accepted", month - timedelta(seconds=1)), (world, "declined", NOON), (other, "expired", NOON),
    ):  # fmt: skip
        work = make_work(make_order(make_sku()), make_node(dealer))
        make_offer(work, state=state, answered_at=at, expires_at=NOON)
    with CaptureQueriesContext(connection) as captured:
        known = queries.routing_table(NOON)
        again = queries.routing_table(NOON + timedelta(minutes=1))
    assert len([each for each in captured if "orders_offer" in each["sql"]]) == 1
    assert len(captured) == 5 + 1 + 5
    for each in (known, again):
        assert {one.node.dealer_code: one.parts["fairness"] for one in each.considered(AREA, "doudian")}["D001"] == 16 * 200
    assert queries.routing_table(NOON + timedelta(days=31)).considered(AREA, "doudian")[0].parts["fairness"] == 0


def saved(world: Dealer, count: int = 1) -> Decision:
    known, asked = queries.routing_table(NOON), order(line(install_skill=SKILL))
    decision = run(asked, known, {(Node.objects.get(code="N1").pk, 1): 9})
    orders = [replace(asked, order_id=make_order(make_sku()).pk) for _ in range(count)]
    with CaptureQueriesContext(connection) as captured:
        actions.save_decisions(decisions=[(each, decision, "", 1) for each in orders], at=NOON)
    assert len([each for each in captured if "SAVEPOINT" not in each["sql"]]) == 1
    return decision


@pytest.mark.parametrize("count", [1, 100])
def test_decisions_are_saved_whole_in_one_statement(world: Dealer, count: int) -> None:
    decision = saved(world, count)
    assert RoutingDecision.objects.count() == count
    kept = RoutingDecision.objects.first()
    assert kept is not None
    assert (kept.policy, kept.ladder_step, kept.is_routable, kept.cost_fen, kept.round) == ("标准 v1", 1, True, 6280, 1)
    assert (kept.decided_at, kept.fo_no, kept.runner_up_fen) == (NOON, "", None)
    assert kept.plan == [package.as_dict() for package in decision.packages]
    assert kept.trace == decision.trace
    assert kept.terms == {
        "terms": "默认", "promise": "标准", "promise_days": 3, "split_fee_fen": 600, "reasons": [],
    }  # fmt: skip
    actions.save_decisions(decisions=[], at=NOON)


def test_publishing_other_rules_reaches_the_next_table_once_it_is_told(world: Dealer) -> None:
    before = queries.routing_table(NOON)
    boss = make_staff()
    strict = rulesets.new_draft(based_on=RuleSet.objects.get().pk, name="严格", staff=boss, at=NOON)
    RuleSet.objects.filter(pk=strict.pk).update(split_fee_fen=9000)
    rulesets.publish(ruleset_id=strict.pk, staff=boss, at=NOON)
    assert queries.routing_table(NOON) is before
    queries.forget()
    after = queries.routing_table(NOON)
    assert (after.book.name, after.book.default.split_fee_fen) == ("严格 v2", 9000)


# What people see.


@pytest.fixture
def boss(client: Client, world: Dealer) -> Client:
    if not admin.site.is_registered(RoutingDecision):
        admin.site.register(RoutingDecision, RoutingDecisionAdmin)
    client.force_login(make_staff(role="admin"))
    return client


@pytest.mark.urls(__name__)
@pytest.mark.filterwarnings("ignore:No directory at:UserWarning")
def test_a_decision_shows_every_candidate_and_cannot_be_changed(world: Dealer, boss: Client) -> None:
    saved(world)
    Node.objects.filter(code="N1").update(name="<b>")
    kept = RoutingDecision.objects.get()
    kept.trace[1]["name"] = "<script>"
    RoutingDecision.objects.update(trace=kept.trace)
    assert "62.80 元" in boss.get("/admin/orders/routingdecision/").content.decode()
    page = boss.get(f"/admin/orders/routingdecision/{kept.pk}/change/").content.decode()
    assert all(
        text in page
        for text in (
            "默认；标准 3 天；拆单费 6.00 元",
            "派给这里",
            "安装 40.00 元",
            "暂停接单",
            "为什么派给经销商仓N1",
            "&lt;script&gt;（N2）",
        )
    )
    assert boss.post(f"/admin/orders/routingdecision/{kept.pk}/change/", {}).status_code == 403
    assert boss.get("/admin/orders/routingdecision/add/").status_code == 403


def test_lines_know_the_sold_line_that_they_are_a_part_of(world: Dealer) -> None:
    order_there = make_order(make_sku(), make_sku())
    order_there.lines.update(external_line_id="L-1")
    (taken,) = lifecycle.take_for_routing(order_ids=[order_there.pk], at=NOON)
    again = work_queries.as_orders([make_work(order_there, Node.objects.get(code="N1"))])
    for known in (taken, *again.values()):
        assert [each.bundle for each in known.lines] == ["L-1", "L-1"]
