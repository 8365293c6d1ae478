"""What is wrong with a set of rules is said in sentences; scopes that contain others cover all that these cover."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.rulesets.faults import Known, Place, faults_of, warnings_of
from orders.rulesets.rules import (
    AgeingCredit,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderScope,
    OrderTerms,
    PromiseClass,
    Quota,
    RuleBook,
    ShipCalendar,
    Where,
)
from tests.conftest import NOON

PLACES = (
    Place("N-S", "吴中店", "store", "320506", "gold"),
    Place("N-D", "苏州仓", "dealer", "320506", "gold"),
    Place("N-HQ", "总部仓", "hq", "440606"),
)
KNOWN = Known(
    channels={"doudian", "tmall"},
    shops={("doudian", "1001"), ("tmall", "2002")},
    divisions={"320000": True, "320506": True, "320599": False},
    skus={"SOFA"},
    categories={"furniture"},
    dealers={"D001", "D002"},
    promises={"hours"},
    kinds={"store": "门店", "dealer": "经销商仓", "hq": "总部仓"},
    places=PLACES,
)
HOURS = PromiseClass("hours", "小时达", 0, True, 5, frozenset({"store"}))
GOOD = RuleBook(freight=(FreightRate(Where(), 1000, step_fen=1000), FreightRate(Where(kind="store"), 500, base_days=0)))


def of_rule(scope: OrderScope | None = None, **terms: Any) -> dict[str, Any]:
    return {"order_rules": ((scope or OrderScope(), OrderTerms(name="甲", **terms)),)}


def only(*codes: str) -> frozenset[str]:
    return frozenset(codes)


def test_a_sound_set_has_no_faults() -> None:
    assert faults_of(GOOD, KNOWN) == []
    assert warnings_of(GOOD, KNOWN) == []
    promised = replace(GOOD, **of_rule(promise=HOURS), groups=(NodeGroup("g", "组", only("N-S")),))
    assert faults_of(promised, KNOWN) == []


NEVER = "订单规则「甲」永远不会命中"
GROUP = NodeGroup("stores", "门店组", kinds=only("store"))
ALL_OF_JANUARY = frozenset(date(2027, 1, 1) + timedelta(days=n) for n in range(31))
FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"freight": (FreightRate(Where(), 100, step_fen=101),)}, ["运费「全部」：首重费不能低于续重费，否则两个包裹可能比一个便宜"]),
    ({"freight": (FreightRate(Where(), 0, step_fen=-1),)}, ["运费「全部」：续重费和每公里不能为负"]),
    ({"freight": (FreightRate(Where(), 0, km_fen=-1),)}, ["运费「全部」：续重费和每公里不能为负"]),
    ({"freight": (FreightRate(Where(), 0, step_weight_g=0),)}, ["运费「全部」：续重单位和每天公里必须大于 0"]),
    ({"installs": (InstallRate(Where(kind="store"), "", -1),)}, ["安装费「store」：不能为负"]),
    (of_rule(split_fee_fen=-1), ["订单规则「甲」：拆单费不能为负"]),
    ({"default": OrderTerms(cross_region_fen=-1)}, ["其他订单：跨区费不能为负"]),
    (
        {"order_rules": ((OrderScope(), OrderTerms(name="甲")), (OrderScope(tags=only("VIP")), OrderTerms(name="乙")))},
        ["订单规则「乙」永远不会命中：它的订单都先被「甲」拿走"],
    ),
    (of_rule(OrderScope(channels=only("jd"))), [f"{NEVER}：没有这样的渠道：jd"]),
    (of_rule(OrderScope(shops=only("9"))), [f"{NEVER}：没有这样的店铺：9"]),
    (of_rule(OrderScope(products=only("X", "Y"))), [f"{NEVER}：没有这样的SKU：X、Y"]),
    (of_rule(OrderScope(categories=only("food"))), [f"{NEVER}：没有这样的品类：food"]),
    (of_rule(OrderScope(divisions=("99",))), [f"{NEVER}：没有这样的收货地区：99"]),
    (of_rule(OrderScope(channels=only("tmall"), shops=only("1001"))), [f"{NEVER}：所选店铺都不在所选渠道"]),
    (of_rule(promise=PromiseClass("soon")), ["订单规则「甲」：没有编码为 soon 的时效"]),
    (of_rule(only_groups=only("x")), ["订单规则「甲」：没有编码为 x 的分组"]),
    (
        {"groups": (GROUP,), **of_rule(only_groups=only("stores"), never_groups=only("stores"))},
        ["订单规则「甲」：分组和时效限制之下没有任何发货点"],
    ),
    (
        {"groups": (GROUP,), **of_rule(never_groups=only("stores"), promise=HOURS)},
        ["订单规则「甲」：分组和时效限制之下没有任何发货点"],
    ),
    (
        {"freight": (FreightRate(Where(), 1000, base_days=2),), "default": OrderTerms(promise=HOURS)},
        ["其他订单：时效「小时达」是 0 天，可用的运费最快也要 2 天，永远派不出"],
    ),
    ({"groups": (NodeGroup("g", "组", only("GONE")),)}, ["分组「组」里没有发货点"]),
    ({"groups": (NodeGroup("g", "组", only("N-S"), divisions=("88",)),)}, ["分组「组」：没有区划 88"]),
    ({"calendars": (ShipCalendar(Where(group="g")),)}, ["发货日历「g」：没有编码为 g 的分组"]),
    ({"calendars": (ShipCalendar(Where(), weekdays=""),)}, ["发货日历「全部」：有连续 30 天不发货"]),
    ({"calendars": (ShipCalendar(Where(), holidays=ALL_OF_JANUARY),)}, ["发货日历「全部」：有连续 30 天不发货"]),
    ({"quotas": (Quota("D001", 60, 1), Quota("D002", 41, 1))}, ["公平配额合计 101%，超过 100%"]),
    ({"quotas": (Quota("D009", 60, 1),)}, ["公平配额：没有经销商 D009"]),
    ({"credits": (AgeingCredit("furniture", 100),)}, ["库龄与积压抵减「furniture」：没有写明库龄或积压，永远不会用到"]),
    ({"credits": (AgeingCredit("food", 100, 30),)}, ["库龄与积压抵减「food」：没有这个品类"]),
    ({"credits": (AgeingCredit("", 1, 30), AgeingCredit("", 2, 30))}, ["库龄与积压抵减「全部」：同样的条件写了两次"]),
]


@pytest.mark.parametrize(("changed", "told"), FAULTS)
def test_each_fault_is_said_once_and_alone(changed: dict[str, Any], told: list[str]) -> None:
    assert faults_of(replace(GOOD, **changed), KNOWN) == told


def test_half_of_january_off_is_no_fault() -> None:
    off = frozenset(sorted(ALL_OF_JANUARY)[:29])
    assert faults_of(replace(GOOD, calendars=(ShipCalendar(Where(), holidays=off),)), KNOWN) == []


def test_warnings_do_not_forbid() -> None:
    book = replace(
        GOOD,
        freight=(FreightRate(Where(kind="hq"), 100), FreightRate(Where(group="g", division="32"), 100)),
        groups=(NodeGroup("g", "组", only("N-S", "GONE")),),
        **of_rule(OrderScope(products=only("SOFA", "GONE"), divisions=("320599",))),
    )
    assert faults_of(book, KNOWN) == []
    assert warnings_of(book, KNOWN) == [
        "订单规则「甲」：SKU里没有 GONE",
        "订单规则「甲」：区划 320599 已停用，新订单用的是新代码",
        "分组「组」：没有发货点 GONE",
        "经销商仓有 1 个发货点没有运费，不会派单：苏州仓",
    ]


def test_divisions_are_not_judged_before_they_are_loaded() -> None:
    book = replace(GOOD, **of_rule(OrderScope(divisions=("99",))))
    assert faults_of(book, replace(KNOWN, divisions={})) == []


CODES = st.frozensets(st.sampled_from("ab"), max_size=2)
DIVISIONS = st.sampled_from(["32", "3205", "320506", "320507", "65", "650104"])
SCOPES = st.builds(
    OrderScope,
    channels=CODES,
    shops=CODES,
    divisions=st.lists(DIVISIONS, max_size=2, unique=True).map(tuple),
    products=CODES,
    categories=CODES,
    tags=CODES,
    is_live=st.none() | st.booleans(),
)


def _line(sku: str, category: str) -> LineToRoute:
    return LineToRoute(1, 1, sku, "沙发", 1, 100, 1000, True, "", category, 50)


ORDERS = st.builds(
    lambda channel, shop, division, skus, tags, live: OrderToRoute(
        1, "DD1", channel, shop, division, "", 100, NOON, "", tuple(_line(*each) for each in skus), live_session=live, tags=tags
    ),
    st.sampled_from("abc"),
    st.sampled_from("abc"),
    st.sampled_from(["320506", "320507", "650104", "110101"]),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=2),
    CODES,
    st.sampled_from(["", "s1"]),
)


@given(wide=SCOPES, narrow=SCOPES, orders=st.lists(ORDERS, min_size=1, max_size=8))
def test_a_scope_covers_every_order_of_the_scopes_that_it_contains(
    wide: OrderScope, narrow: OrderScope, orders: list[OrderToRoute]
) -> None:
    assert wide.contains(wide)
    assert OrderScope().contains(wide)
    if wide.contains(narrow):
        assert all(wide.covers(order) for order in orders if narrow.covers(order))


@given(wide=SCOPES, more=SCOPES, order=ORDERS)
def test_a_scope_contains_what_is_asked_for_on_top_of_it(wide: OrderScope, more: OrderScope, order: OrderToRoute) -> None:
    """Adding conditions where there were none narrows a scope, so that the first contains the second."""
    narrow = replace(wide, **{
        name: getattr(wide, name) or getattr(more, name)
        for name in ("channels", "shops", "divisions", "products", "categories", "tags")
    }, is_live=more.is_live if wide.is_live is None else wide.is_live)  # fmt: skip
    assert wide.contains(narrow)
    assert wide.covers(order) or not narrow.covers(order)
