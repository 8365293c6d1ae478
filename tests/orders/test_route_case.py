"""A question in a file gets the whole answer, and every mistake in it is named."""

import copy
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.routing.case import read
from orders.routing.given import GivenError
from orders.routing.verdict import verdict

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "route_case.json"
CASE = json.loads(EXAMPLE.read_text(encoding="utf-8"))
LINE = {"sku": "SOFA", "weight_g": 1000}


def answer(value: Any) -> dict[str, Any]:
    return verdict(read(json.dumps(value).encode()))


def changed(path: str, value: Any) -> Any:
    """The example with another value at a path like orders.0.lines; None takes it away."""
    whole = copy.deepcopy(CASE)
    *way, last = path.split(".")
    place: Any = whole
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    key = int(last) if isinstance(place, list) else last
    if value is None:
        del place[key]
    else:
        place[key] = value
    return whole


def shape(told: dict[str, Any]) -> list[tuple[str, int, list[tuple[str, list[int], int]]]]:
    return [
        (one["order_no"], one["cost_fen"], [(each["node"], each["lines"], each["cost_fen"]) for each in one["packages"]])
        for one in told["orders"]
    ]


def test_the_example_of_the_paper_is_cheaper_together() -> None:
    out = io.StringIO()
    call_command("route_case", source=str(EXAMPLE), stdout=out)
    told = json.loads(out.getvalue())
    assert shape(told) == [("A", 13_900, [("WX-DEALER", [0], 13_900)]), ("B", 11_400, [("SZ-STORE", [0, 1], 11_400)])]
    assert told["cost_fen"] == 25_300
    assert [(each["order_no"], each["displaced"], each["made_way_for"], each["scarcity_fen"]) for each in told["moves"]] == [
        ("A", [], "B", 0), ("B", ["A"], None, 0),
    ]  # fmt: skip
    package = told["orders"][0]["packages"][0]
    assert (package["dealer"], package["days"]) == ("DLR-WX", 2)
    assert package["breakdown"] == {
        "freight": 1500 + 44 * 40 + 44 * 10, "install": 6500, "late": 0, "risk": 1200, "cross_region": 2500, "fairness": 0,
        "ageing": 0, "scarcity": 0,
    }  # fmt: skip
    assert {entry["node"]: entry.get("fence") for entry in told["orders"][0]["trace"]} == {
        "HQ-JX": "STOCK", "SZ-STORE": "STOCK", "WX-DEALER": None,
    }  # fmt: skip


def test_one_after_the_other_the_first_takes_what_the_second_needs_more() -> None:
    told = answer(changed("rules.method", "each"))
    assert shape(told) == [
        ("A", 11_040, [("SZ-STORE", [0], 11_040)]),
        ("B", 16_600, [("WX-DEALER", [0], 13_900), ("SZ-STORE", [1], 2_100)]),
    ]
    second = told["orders"][1]
    assert (second["split_fee_fen"], second["ladder_step"], second["unfilled"], second["reasons"]) == (600, 2, [], [])
    assert all(sum(each["breakdown"].values()) == each["cost_fen"] for each in second["packages"])
    assert second["told"][-1] == "为什么不是嘉兴总仓：还没轮到这一级阶梯（成本 22.59 元，只含第 2 行）"


def test_a_single_order_needs_no_rules_and_capacity_goes_down_from_order_to_order() -> None:
    whole = {name: CASE[name] for name in ("nodes", "freight")} | {"order": CASE["orders"][0]}
    assert shape(answer(whole)) == [("A", 11_040, [("SZ-STORE", [0], 11_040)])]
    full = changed("nodes.0.remaining", 0)
    full["rules"]["method"] = "each"
    told = answer(full)["orders"]
    assert told[0]["trace"][1]["fence"] == "CAPACITY"
    assert [each["packages"][0]["node"] for each in told] == ["WX-DEALER", "WX-DEALER"]


def test_prices_of_scarcity_change_the_plan_and_stand_in_the_breakdown() -> None:
    priced = changed("rules.scarcity", [{"node": "SZ-STORE", "sku": "SOFA", "fen": 70}])
    priced["rules"] |= {"work_prices": {"DLR-SZ": 5}, "method": "each"}
    (package,) = answer(priced)["orders"][0]["packages"]
    assert (package["node"], package["breakdown"]["scarcity"], package["cost_fen"]) == ("SZ-STORE", 75, 11_115)
    priced["rules"]["method"] = "batch"
    assert [each["breakdown"]["scarcity"] for one in answer(priced)["orders"] for each in one["packages"]] == [0, 75]


def test_orders_that_have_a_place_keep_it_when_accepted_and_say_so_when_it_is_gone() -> None:
    stays = changed("orders.0.current", [{"node": "SZ-STORE", "lines": [0]}])
    stays["nodes"][0]["stock"] = {"TABLE": 1}
    assert [each[2][0][0] for each in shape(answer(stays))] == ["WX-DEALER", "SZ-STORE"]
    stays["orders"][0]["is_accepted"] = True
    assert [each[2][0][0] for each in shape(answer(stays))] == ["SZ-STORE", "WX-DEALER"]
    stays["nodes"][0]["is_open"] = False
    kept = answer(stays)["orders"][0]
    assert (kept["cost_fen"], kept["packages"]) == (None, [{"node": "SZ-STORE", "lines": [0]}])
    assert kept["reasons"] == ["现有安排今天已不可行，保持不动"]


def test_what_nobody_has_goes_nowhere_or_alone_stays_behind() -> None:
    none = changed("nodes.2.stock", {})
    none["nodes"][0]["stock"] = {}
    second = answer(none)["orders"][1]
    assert (second["is_routable"], second["cost_fen"], second["unfilled"]) == (False, 0, [0, 1])
    assert second["reasons"][0] == "茶几：没有可用的发货点"
    none["rules"]["terms"] = {"is_whole": False}
    second = answer(none)["orders"][1]
    assert (second["is_routable"], second["cost_fen"], second["unfilled"]) == (True, 13_900, [1])


def test_the_whole_language_of_rules_can_be_written() -> None:
    whole = changed("rules.method", "each")
    whole["rules"] |= {
        "at": "2026-11-25T18:30:00+08:00",  # a Wednesday, after the cut-off
        "groups": [{"code": "east", "name": "华东", "divisions": ["3205"]}],
        "order_rules": [{"scope": {"tags": ["vip"]}, "terms": {"name": "贵宾", "never_groups": ["east"], "max_packages": 1}}],
        "rates": [{"where": {"group": "east", "division": "3205"}, "first_fen": 900, "max_km": 30}],
        "installs": [{"where": {"kind": "store"}, "skill": "install:furniture", "fee_fen": 7000}],
        "calendars": [{"where": {"kind": "store"}, "weekdays": "12345", "cutoff": "18:00", "holidays": ["2026-11-26"]}],
        "quotas": [{"dealer_code": "DLR-SZ", "percent": 20, "fen_per_point": 10}],
        "ageing": [{"node": "SZ-STORE", "sku": "SOFA", "fen": 50}],
    }
    whole["nodes"][0]["share"] = {"works": 30, "of": 100}
    whole["orders"][1]["tags"] = ["vip"]
    first, second = answer(whole)["orders"]
    (package,) = first["packages"]
    assert (package["node"], package["days"], package["cost_fen"]) == ("SZ-STORE", 3, 900 + 7000 + 280 + 100 - 50)
    assert package["breakdown"] == {
        "freight": 900, "install": 7000, "late": 0, "risk": 280, "cross_region": 0, "fairness": 100, "ageing": -50, "scarcity": 0,
    }  # fmt: skip
    assert first["trace"][1]["why_wait"] == "已过 18:00 截单"
    assert second["terms"]["terms"] == "贵宾"
    assert second["trace"][1]["fence"] == "GROUP"
    assert second["trace"][1]["dealer"] == "DLR-SZ"


WRONG = [
    ("nodes", [], "nodes：应有 1 至 3000 项，现有 0 项"),
    ("nodes", None, "nodes：缺少此字段"),
    ("nodes.0.code", "HQ-JX", "nodes[2].code：HQ-JX 重复"),
    ("nodes.0.lng", "120", "nodes[0].lng：应为数字"),
    ("nodes.0.lat", 91, "nodes[0].lat：应在 -90 与 90 之间"),
    ("nodes.0.colour", "red", "nodes[0].colour：未知字段"),
    ("nodes.0.stock.SOFA", 1.5, "nodes[0].stock.SOFA：应为整数"),
    ("nodes.0.stock.SOFA", -1, "nodes[0].stock.SOFA：应在 0 与 1000000000 之间"),
    ("nodes.0.is_open", 1, "nodes[0].is_open：应为 true 或 false"),
    ("nodes.0.division", "32050", "nodes[0].division：应为 6 位区划代码"),
    ("nodes.0.areas.0.division", "32050", "nodes[0].areas[0].division：应为 2、4 或 6 位区划代码"),
    ("nodes.2.remaining", 3, "nodes[2].remaining：没有 dealer 的发货点不能有此字段"),
    ("freight", None, "freight：缺少此字段"),
    ("freight.hq.step_fen", 601, "freight.hq.first_fen：不得小于 step_fen"),
    ("freight.hq.km_per_day", 0, "freight.hq.km_per_day：应在 1 与 1000000000 之间"),
    ("freight.hq.first_fen", None, "freight.hq.first_fen：缺少此字段"),
    ("order", {}, "order、orders：须有且只有一个"),
    ("orders.1.order_no", "A", "orders：订单号 A 重复"),
    ("orders.1.lines", [], "orders[1].lines：应有 1 至 50 项，现有 0 项"),
    ("orders.1.lines.0.quantity", True, "orders[1].lines[0].quantity：应为整数"),
    ("orders.1.lines.0.sku", " SOFA", "orders[1].lines[0].sku：应为 1 至 64 个字符、首尾没有空白的文本"),
    ("orders.1.refused", ["DLR-XX"], "orders[1].refused[0]：没有 DLR-XX"),
    ("orders.1.together", [[0, 2]], "orders[1].together[0][1]：应在 0 与 1 之间"),
    ("orders.1.current", [{"node": "X", "lines": [0]}], "orders[1].current[0].node：没有 X"),
    ("orders.1.current", [{"node": "HQ-JX", "lines": [0]}] * 2, "orders[1].current[1]：发货点或商品行重复"),
    ("rules.method", "all", "rules.method：只能是 each、batch"),
    ("rules.policy.split_fee_fen", "6", "rules.policy.split_fee_fen：应为整数"),
    ("rules.ladder.0.target", "moon", "rules.ladder[0].target：只能是 territory、neighbour、hq"),
    ("rules.centroids.320506", [1], "rules.centroids.320506：应为 [经度, 纬度]"),
    ("rules.scarcity", [{"node": "HQ-JX", "sku": "BED", "fen": 1}], "rules.scarcity[0].sku：没有 BED"),
    ("rules.at", "2026-01-01", "rules.at：应为带时区的 ISO 8601 时间"),
    ("rules.terms", [], "rules.terms：应为对象"),
    ("rules.policy.max_packages", 0, "rules.policy.max_packages：应在 1 与 1000000000 之间"),
    ("rules.policy.on_unroutable", "pray", "rules.policy.on_unroutable：只能是 wait、split、hq、person"),
    ("rules.policy.promise.hours", 2, "rules.policy.promise.hours：未知字段"),
    ("rules.policy.only_groups", "east", "rules.policy.only_groups：应为数组"),
    (
        "rules.order_rules",
        [{"scope": {"divisions": ["3"]}}],
        "rules.order_rules[0].scope.divisions[0]：应为 2、4 或 6 位区划代码",
    ),
    ("rules.rates", [{"where": {}, "first_fen": 1, "step_fen": 2}], "rules.rates[0].first_fen：不得小于 step_fen"),
    ("rules.calendars", [{"where": {}, "cutoff": "25:00"}], "rules.calendars[0].cutoff：应为 HH:MM"),
    ("rules.calendars", [{"where": {}, "holidays": ["10-01"]}], "rules.calendars[0].holidays[0]：应为 YYYY-MM-DD"),
    ("rules.calendars", [{"where": {}, "weekdays": "8"}], "rules.calendars[0].weekdays：应为 1（周一）至 7（周日）的数字"),
    ("rules.ageing", [{"node": "HQ-JX", "sku": "TABLE"}], "rules.ageing[0].fen：缺少此字段"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_every_mistake_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(GivenError) as caught:
        answer(changed(path, value))
    assert str(caught.value) == message


def test_what_only_batches_know_is_refused_where_each_goes_alone() -> None:
    alone = changed("orders.0.together", [[0]])
    alone["rules"]["method"] = "each"
    with pytest.raises(GivenError, match="^orders：订单 A 的 together、current、moves、is_accepted 只用于 rules.method = batch$"):
        answer(alone)


def test_two_places_of_a_dealer_may_not_contradict_each_other() -> None:
    torn = changed("nodes.1.dealer", "DLR-SZ")
    torn["nodes"][1]["remaining"] = 6
    with pytest.raises(GivenError, match=r"^nodes\[1\].remaining：与同一经销商的另一发货点不一致$"):
        answer(torn)


def test_size_is_bounded() -> None:
    crowd = {"nodes": [CASE["nodes"][2] | {"code": f"N{number}"} for number in range(2001)], "freight": CASE["freight"]}
    crowd["orders"] = [{"channel": "x", "division": "320506", "lines": [LINE]}] * 100
    with pytest.raises(GivenError, match="^orders：发货点数 × 订单数不得超过 200000$"):
        answer(crowd)


RAW = [
    (b"{", "不是有效的 JSON：第 1 行第 2 列"),
    (b'{"a": NaN}', "不是有效的 JSON：第 1 行第 7 列"),
    (b"\xff", "不是有效的 JSON：第 1 行第 1 列"),
    (b'{"a": 1, "a": 2}', "a：字段重复"),
    (b"[]", "文件：应为对象"),
    (b"[" * 1000 + b"]" * 1000, "嵌套过深"),
    (b" " * (4 << 20) + b"{}", "文件超过 4 MB"),
]


@pytest.mark.parametrize(("raw", "message"), RAW, ids=range(len(RAW)))
def test_what_is_not_a_case_at_all_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(GivenError) as caught:
        read(raw)
    assert str(caught.value) == message


def paths(value: Any, path: str = "") -> list[str]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path.strip(".")] * bool(path) + [found for key, child in children for found in paths(child, f"{path}.{key}")]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(paths(CASE)),
    st.recursive(
        st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_whatever_stands_in_a_field_it_is_answered_or_refused(path: str, value: Any) -> None:
    try:
        told = answer(changed(path, value))
    except GivenError:
        return
    for one in told["orders"]:
        parts = [sum(package["breakdown"].values()) for package in one["packages"]]
        assert parts == [package["cost_fen"] for package in one["packages"]]
        assert one["cost_fen"] == sum(parts) + one["split_fee_fen"]


def test_the_command_ends_with_two_and_names_the_mistake(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="^无法读取 .*nowhere.json：") as missing:
        call_command("route_case", source=str(tmp_path / "nowhere.json"))
    assert missing.value.returncode == 2
    command = [sys.executable, str(ROOT / "manage.py"), "route_case", "--in", "-"]
    done = subprocess.run(command, input=b'{"nodes": 1}', capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", "CommandError: nodes：应为数组\n")
