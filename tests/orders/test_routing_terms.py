"""What each part of a book of rules does to a decision, and how operators and dealers are told."""

from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import pytest

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.batch import FIRST_COME, FULL, route_batch
from orders.routing.market import BatchTerms, OpenOrder
from orders.routing.rules import Area, Decision, NodeFacts, RoutingTable, Rung, decide, decided_as
from orders.routing.telling import explain, explain_to_dealer
from orders.rulesets.rules import (
    SHANGHAI,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderScope,
    OrderTerms,
    PromiseClass,
    Quota,
    RuleBook,
    ShipCalendar,
    Unroutable,
    Where,
)

AREA, HERE = "320506", (120.63, 31.26)
SKILL = "install:furniture"
TODAY = datetime(2026, 11, 25, 16, 0, tzinfo=SHANGHAI)  # a Wednesday
LADDER = (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 90, 2), Rung(3, "hq", 60, 1))
FREIGHT = FreightRate(Where(), 1000, step_fen=200, km_fen=1, km_per_day=300)
TERMS = OrderTerms("标准", refusal_cost_fen=0)
BOOK = RuleBook("规则 v7", default=TERMS, freight=(FREIGHT,), installs=(InstallRate(Where(), "", 4000),))
GROUPS = (NodeGroup("gold", "金牌", tiers=frozenset({"gold"})), NodeGroup("own", "自营", kinds=frozenset({"hq"})))


def node(number: int, km: int = 0, **fields: Any) -> NodeFacts:
    """N1, N2 … of dealers 1, 2 …, so many kilometres east; dealer_id None makes it HQ's."""
    facts = {"kind": "dealer", "dealer_id": number, "skills": frozenset({SKILL}), "dealer_code": f"D{number}"} | fields
    if facts["dealer_id"] is None:
        facts |= {"kind": "hq", "skills": frozenset(), "dealer_code": ""}
    place = {"lng": HERE[0] + km / 95.1, "lat": HERE[1], "division_code": AREA} | facts
    return NodeFacts(number, f"N{number}", f"发货点{number}", **place)


def table(*nodes: NodeFacts, book: RuleBook = BOOK, neighbours: tuple[int, ...] = (), **fields: Any) -> RoutingTable:
    areas = [Area(each.dealer_id, AREA, each.dealer_id not in neighbours) for each in nodes if each.dealer_id]
    return RoutingTable(nodes=nodes, areas=areas, book=book, centroids={AREA: HERE}, answers={}, **{"at": TODAY} | fields)


def on(**terms: Any) -> RuleBook:
    return replace(BOOK, default=replace(TERMS, **terms), groups=GROUPS)


def line(sku_id: int = 1, quantity: int = 1, **fields: Any) -> LineToRoute:
    values = {"weight_g": 1000, "is_counted": True, "install_skill": "", "category": "sofa", "supply_price_fen": 0} | fields
    return LineToRoute(sku_id * 10, sku_id, f"S{sku_id}", f"商品{sku_id}", quantity, 10_000, **values)


def order(*lines: LineToRoute, **fields: Any) -> OrderToRoute:
    values = {"channel": "doudian", "shop": "1", "division_code": AREA, "paid_at": TODAY} | fields
    return OrderToRoute(1, "DD1", region="", paid_fen=10_000, anchor="", lines=lines or (line(),), **values)


def run(asked: OrderToRoute, known: RoutingTable, stock: Any = None, **fields: Any) -> Decision:
    if stock is None:
        stock = {(number, each.sku_id): 99 for number in range(1, 10) for each in asked.lines}
    return decide(asked, known, stock, **{"ladder": LADDER, "at": TODAY} | fields)


def fences(decision: Decision) -> dict[str, str | None]:
    return {entry["node"]: entry.get("text") for entry in decision.trace}


def told(decision: Decision) -> list[str]:
    return explain(decision.trace, [package.as_dict() for package in decision.packages], decision.on_terms())


def packed(decision: Decision) -> list[tuple[str, tuple[int, ...]]]:
    return [(package.node, package.line_indexes) for package in decision.packages]


# Terms and fences.


def test_the_first_rule_that_covers_an_order_gives_its_terms() -> None:
    live = OrderScope(is_live=True)
    book = replace(BOOK, order_rules=((live, replace(TERMS, name="直播", late_fen_per_day=0, promise=PromiseClass(days=0))),))
    known = table(node(1, km=290), book=book)
    quiet, loud = run(order(), known), run(order(live_session="L1"), known)
    assert (quiet.terms.name, quiet.packages[0].breakdown["late"], quiet.packages[0].days) == ("标准", 0, 2)
    assert (loud.terms.name, loud.packages[0].breakdown["late"], loud.policy) == ("直播", 0, "规则 v7")
    assert known.considered(AREA, "doudian", quiet.terms) is known.considered(AREA, "doudian")


FENCED: dict[str, tuple[dict[str, Any], str]] = {
    "only groups": ({"only_groups": frozenset({"gold"})}, "不在可用分组"),
    "never groups": ({"never_groups": frozenset({"own"}), "only_groups": frozenset({"gold", "own"})}, "不在可用分组"),
    "province": ({"same_province": True}, "限同省"),
    "distance": ({"max_km": 99}, "超出最远配送距离"),
    "class by distance": ({"promise": PromiseClass(max_km=99)}, "不适用该时效"),
    "class by kind": ({"promise": PromiseClass(kinds=frozenset({"store"}))}, "不适用该时效"),
    "promise": ({"promise": PromiseClass(days=1, is_hard=True)}, "赶不上承诺时效"),
}


@pytest.mark.parametrize("fence", FENCED)
def test_each_fence_of_the_terms_keeps_a_place_out_and_says_why(fence: str) -> None:
    terms, text = FENCED[fence]
    out = node(1, km=100, division_code="330102", tier="silver")
    inside = node(2, kind="store", tier="gold")
    decision = run(order(), table(out, inside, book=on(**terms)))
    assert (packed(decision), fences(decision)) == ([("N2", (0,))], {"N1": text, "N2": None})
    assert decision.runner_up_fen is None
    assert f"为什么不是发货点1：{text}" in told(decision)
    assert packed(run(order(), table(out, inside, book=on())))[0][0] == "N2"


def test_freight_and_installation_go_by_the_narrowest_rate_for_the_destination() -> None:
    book = replace(
        on(),
        freight=(FREIGHT, FreightRate(Where(division="32"), 900), FreightRate(Where(group="gold", division="3205"), 700)),
        installs=(
            InstallRate(Where(), "", 4000),
            InstallRate(Where(division="32"), SKILL, 2500),
            InstallRate(Where(kind="hq"), "", 1),
        ),
    )
    asked = order(line(install_skill=SKILL, quantity=2))
    decision = run(asked, table(node(1), node(2, tier="gold"), node(3, dealer_id=None), book=book))
    parts = {entry["node"]: (entry["breakdown"]["freight"], entry["breakdown"]["install"]) for entry in decision.trace}
    assert parts == {"N1": (900, 5000), "N2": (700, 5000), "N3": (900, 2)}
    elsewhere = run(replace(asked, division_code="330102"), table(node(3, dealer_id=None), book=book))
    assert elsewhere.packages[0].breakdown["freight"] == 1000 + 200


def test_a_dealer_above_its_share_pays_for_each_whole_point() -> None:
    book = replace(on(), quotas=(Quota("D1", 40, 150), Quota("D2", 40, 150)))
    known = table(node(1), node(2), node(3), book=book, shares={1: (449, 1000), 2: (409, 1000), 3: (142, 1000)})
    decision = run(order(), known)
    assert [entry["breakdown"]["fairness"] for entry in decision.trace] == [600, 0, 0]
    assert packed(decision) == [("N2", (0,))]
    assert run(order(), table(node(1), book=book)).packages[0].breakdown["fairness"] == 0


def test_what_has_lain_long_is_cheaper_there_and_the_credit_is_told() -> None:
    known = table(node(1), node(2), ageing={(2, 1): 300})
    decision = run(order(line(quantity=2)), known, scarcity={(2, 1): 50})
    (package,) = decision.packages
    assert (package.node, package.cost_fen, decision.runner_up_fen) == ("N2", 1200 - 600 + 100, 1200)
    assert (package.breakdown["ageing"], package.breakdown["scarcity"]) == (-600, 100)
    assert "积压抵扣 -6.00 元" in told(decision)[0]


# Days.


def test_a_cut_off_and_a_holiday_cost_days_and_say_so() -> None:
    eve = ShipCalendar(Where(kind="dealer"), cutoff=time(15), holidays=frozenset({date(2026, 11, 26)}))
    book = replace(on(promise=PromiseClass(days=2)), calendars=(eve,))
    decision = run(order(), table(node(1), node(2, dealer_id=None), book=book))
    assert [(entry["days"], entry.get("wait")) for entry in decision.trace] == [(3, 2), (1, None)]
    assert decision.packages[0].breakdown["late"] == 500
    assert told(decision) == [
        "为什么派给发货点1：第 1 行成本最低，合计 15.00 元（运费 10.00 元、超时效 5.00 元）",
        "为什么晚到：发货点1 需 3 天，承诺 2 天，已过 15:00 截单，等 2 天发出；路程 0 公里需 1 天；没有更早送达的发货点",
        "为什么不是发货点2：还没轮到这一级阶梯（成本 10.00 元）",
    ]
    morning = table(node(1), book=book, at=TODAY.replace(hour=14))
    assert run(order(), morning).packages[0].days == 1
    closed = table(node(1), book=book, at=TODAY.replace(day=26))
    assert run(order(), closed).trace[0]["why_wait"] == "今天休息或放假"


def test_why_late_names_the_earliest_place_and_what_it_would_cost() -> None:
    near_but_dear = node(2, kind="store")
    freight = (FREIGHT, FreightRate(Where(kind="store"), 9000))
    book = replace(on(promise=PromiseClass(days=2)), freight=freight)
    decision = run(order(), table(node(1, km=650), near_but_dear, book=book))
    km = decision.trace[0]["km"]
    assert decision.packages[0].days == 4
    assert told(decision)[1] == (
        f"为什么晚到：发货点1 需 4 天，承诺 2 天，路程 {km} 公里需 4 天；最早是发货点2，1 天，成本 90.00 元"
    )


# Together and in how many packages.


def test_a_bundle_and_a_service_with_its_goods_stay_together_as_the_terms_say() -> None:
    asked = order(
        line(1, bundle="a"),
        line(2, bundle="a", category="lamp"),
        line(3, bundle="a", category="lamp", is_counted=False, install_skill=SKILL),
        line(4),
    )
    stock = {(1, 1): 1, (2, 2): 1, (2, 4): 1, (3, 1): 1, (3, 2): 1}
    places = node(1), node(2), node(3, km=500)
    apart = run(asked, table(*places, book=on(split_fee_fen=0)), stock)
    assert packed(apart) == [("N1", (0,)), ("N2", (1, 2, 3))]
    free = run(asked, table(*places, book=on(split_fee_fen=0, keeps_installation=False)), stock)
    assert free.cost_fen == apart.cost_fen
    whole = run(asked, table(*places, book=on(split_fee_fen=0, keeps_bundles=True)), stock)
    assert packed(whole) == [("N3", (0, 1, 2)), ("N2", (3,))]
    assert whole.trace[0]["fence"] == "STOCK"
    assert whole.trace[1]["missing"] == {"0": "可售库存不足", "1": "须同仓的商品不全", "2": "须同仓的商品不全"}


def test_no_more_packages_than_allowed() -> None:
    asked = order(line(1), line(2), line(3))
    stock = {(1, 1): 1, (2, 2): 1, (3, 3): 1, (4, 2): 1, (4, 3): 1}
    places = node(1), node(2), node(3), node(4, km=900)
    assert len(run(asked, table(*places, book=on(split_fee_fen=0)), stock).packages) == 3
    two = run(asked, table(*places, book=on(split_fee_fen=0, max_packages=2)), stock)
    assert packed(two) == [("N1", (0,)), ("N4", (1, 2))]
    none = run(asked, table(*places, book=on(max_packages=1)), stock)
    assert none.packages == ()
    assert none.reasons == ("各商品都有发货点，但凑不成整单（最多 1 个包裹）",)
    many = order(*(line(sku_id) for sku_id in range(1, 11)))
    spread = {(1 + sku_id % 3, sku_id): 1 for sku_id in range(1, 11)}
    spread |= {(4, sku_id): 1 for sku_id in range(1, 11) if sku_id % 3 != 1}
    assert len(run(many, table(*places, book=on(max_packages=3)), spread).packages) <= 3
    assert sorted(each.node for each in run(many, table(*places, book=on(max_packages=2)), spread).packages) == ["N2", "N4"]


def test_a_dealer_gets_no_more_packages_of_one_order_than_it_takes_today() -> None:
    asked = order(line(1), line(2))
    known = table(node(1), node(2, dealer_id=1), node(3, km=900), book=on(split_fee_fen=0))
    stock = {(1, 1): 1, (2, 2): 1, (3, 1): 1, (3, 2): 1}
    assert packed(run(asked, known, stock, remaining={1: 2})) == [("N1", (0,)), ("N2", (1,))]
    assert packed(run(asked, known, stock, remaining={1: 1})) == [("N3", (0, 1))]


def test_why_split_tells_what_the_whole_would_cost() -> None:
    asked = order(line(1), line(2))
    known = table(node(1), node(2), node(3, km=1500, kind="store"))
    stock = {(1, 1): 1, (2, 2): 1, (3, 1): 1, (3, 2): 1}
    decision = run(asked, known, stock)
    whole = decision.runner_up_fen
    assert whole is not None
    assert told(decision)[2] == (
        f"为什么拆单：整单最低是发货点3的 {whole / 100:.2f} 元，2 个包裹含拆单费共 26.00 元，拆单省 {(whole - 2600) / 100:.2f} 元"
    )


# Where nobody can serve.


def relaxing(how: Unroutable) -> tuple[OrderToRoute, RoutingTable, dict[tuple[int, int], int]]:
    """Only N1 may be used and has the first line; N2 of HQ has both, N3 the second."""
    terms = {"on_unroutable": how, "max_packages": 1, "never_groups": frozenset({"own"})}
    known = table(node(1), node(2, dealer_id=None), node(3), book=on(**terms))
    return order(line(1), line(2)), known, {(1, 1): 1, (2, 1): 1, (2, 2): 1, (3, 2): 1}


@pytest.mark.parametrize("how", [Unroutable.WAIT, Unroutable.PERSON])
def test_an_order_that_nobody_can_serve_waits(how: Unroutable) -> None:
    asked, known, stock = relaxing(how)
    decision = run(asked, known, stock)
    assert (decision.packages, decision.relaxed) == ((), "")
    assert decision.reasons == ("各商品都有发货点，但凑不成整单（最多 1 个包裹）", "不在可用分组 ×1")


def test_it_is_split_or_goes_to_hq_when_the_terms_say_so_and_tells_it() -> None:
    asked, known, stock = relaxing(Unroutable.SPLIT)
    split = run(asked, known, stock)
    assert (packed(split), split.relaxed) == ([("N1", (0,)), ("N3", (1,))], "split")
    assert split.reasons[0] == told(split)[0] == "已放宽规则：不限包裹数，商品不必同仓"
    asked, known, stock = relaxing(Unroutable.HQ)
    own = run(asked, known, stock)
    assert (packed(own), own.relaxed, own.ladder_step) == ([("N2", (0, 1))], "hq", 3)
    assert told(own)[0] == "已放宽规则：只用总部发货点，不限分组、省份、距离与时效"
    assert [entry["node"] for entry in own.trace] == ["N1", "N2", "N3"]
    assert own.on_terms()["relaxed"] == "hq"
    assert own.trace[0]["missing"] == {"1": "可售库存不足"}
    assert run(asked, known, stock, ladder=LADDER[:2]).ladder_step == 3
    nobody = run(asked, known, {})
    assert (nobody.packages, nobody.reasons[-1], nobody.relaxed) == ((), "放宽规则后仍无法派出", "")


@pytest.mark.parametrize("effort", [FIRST_COME, FULL])
@pytest.mark.parametrize("how", [Unroutable.SPLIT, Unroutable.HQ, Unroutable.WAIT])
def test_a_batch_relaxes_likewise_on_what_is_left(effort: Any, how: Unroutable) -> None:
    asked, known, stock = relaxing(how)
    asks = [OpenOrder(replace(asked, order_id=number), LADDER) for number in (1, 2)]
    done = route_batch(asks, known, stock, effort=effort)
    decision = run(asked, known, stock)
    first, second = done.placed
    assert (first.is_relaxed, first.cost_fen) == (decision.is_routable, decision.cost_fen)
    assert (second.placements, second.is_relaxed) == ((), False)
    if how is not Unroutable.WAIT:
        (move,) = done.moves
        assert (move.reason, move.before) == ("放宽规则后派出", ())
        assert done.first_come_fen - done.total_fen == move.gain_fen
        placements = {each.node_id: each.line_indexes for each in first.placements}
        again = decided_as(asked, known, stock, placements, ladder=LADDER, is_relaxed=True)
        assert again == decision
        with pytest.raises(ValueError, match="cannot do lines"):
            decided_as(asked, known, stock, {2: (0, 1)}, ladder=LADDER)


def test_each_order_of_a_batch_pays_its_own_split_fee() -> None:
    cheap = OrderScope(tags=frozenset({"cheap"}))
    book = replace(on(split_fee_fen=5000), order_rules=((cheap, replace(TERMS, split_fee_fen=0)),))
    known = table(node(1), node(2), node(3, km=1500), book=book)
    stock = {(1, 1): 9, (2, 2): 9, (3, 1): 9, (3, 2): 9}
    asked = order(line(1), line(2))
    asks = [OpenOrder(asked, LADDER), OpenOrder(replace(asked, order_id=2, tags=frozenset({"cheap"})), LADDER)]
    dear, free = route_batch(asks, known, stock, effort=FIRST_COME).placed
    assert [len(each.placements) for each in (dear, free)] == [1, 2]
    assert [dear.cost_fen, free.cost_fen] == [run(each.order, known, stock).cost_fen for each in asks]


def test_a_batch_leaves_out_what_its_own_terms_call_worthless() -> None:
    asked = [OpenOrder(order(), LADDER)]
    for worth, places in ((999, 0), (1001, 1)):
        known = table(node(1), book=on(unfilled_fen=worth))
        done = route_batch(asked, known, {(1, 1): 1}, terms=BatchTerms(rung_fen=0, is_whole=False))
        assert len(done.placed[0].placements) == places


# What a dealer is told.


def test_a_dealer_is_told_of_its_own_places_only_and_no_amounts() -> None:
    book = replace(on(promise=PromiseClass(days=1)), quotas=(Quota("D2", 1, 10),))
    places = node(1), node(2, km=350), node(3, is_open=False), node(4)
    known = table(*places, book=book, neighbours=(2,), shares={2: (9, 10)})
    decision = run(order(line(1), line(2)), known, {(1, 1): 1, (1, 2): 1, (2, 1): 1, (2, 2): 1, (4, 2): 1})
    plan = [package.as_dict() for package in decision.packages]
    assert explain_to_dealer(decision.trace, plan, 1) == ["发货点1：已派给您：第 1、2 行"]
    assert explain_to_dealer(decision.trace, plan, 2) == ["发货点2：还没轮到这一级阶梯"]
    assert explain_to_dealer(decision.trace, plan, 3) == ["发货点3：暂停接单"]
    assert explain_to_dealer(decision.trace, plan, 4) == ["发货点4：第 1 行可售库存不足"]
    assert explain_to_dealer(decision.trace, plan, 9) == ["您的发货点不服务该地区"]
    alone = run(order(), known, {(1, 1): 1, (2, 1): 1}, ladder=LADDER[1:])
    assert explain_to_dealer(alone.trace, [], 2) == ["发货点2：本单暂时没有完整的方案"]
    both = (replace(LADDER[0], target="territory"), replace(LADDER[1], position=1))
    lost = run(order(), table(*places, book=book, neighbours=(), shares={2: (9, 10)}), {(1, 1): 1, (2, 1): 1}, ladder=both)
    assert explain_to_dealer(lost.trace, [each.as_dict() for each in lost.packages], 2) == [
        "发货点2：可以承接，但本次综合成本不是最低；影响您排序的有：送达晚于承诺、本月已超出协议份额"
    ]


def test_decisions_of_before_are_still_told() -> None:
    decision = run(order(), table(node(1), node(2)))
    plan = [package.as_dict() for package in decision.packages]
    assert explain(decision.trace, plan) == told(decision)


def test_a_credit_never_makes_a_part_of_an_order_look_like_the_whole() -> None:
    """One package only, no place has everything: a credit larger than all costs does not leave a line behind."""
    known = table(node(1), node(2), book=on(max_packages=1, split_fee_fen=0), ageing={(1, 1): 10_000_000})
    decision = run(order(line(1), line(2)), known, {(1, 1): 9, (2, 2): 9})
    assert not decision.is_routable
    assert decision.reasons
