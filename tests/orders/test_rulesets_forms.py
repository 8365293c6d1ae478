"""What people type into a set: amounts in 元, lists of codes by name or code, and what nobody knows is named."""

from datetime import date
from typing import Any

import pytest
from django import forms
from hypothesis import given
from hypothesis import strategies as st

from dealers.divisions import queries as divisions
from dealers.models import Division
from orders.rulesets.forms import CodeField, CodesField, YuanField
from orders.rulesets.models import AgeingCredit, FreightRate, OrderRule
from orders.rulesets.vocabulary import VOCABULARIES, items_of
from orders.rulesets.wording import Change, differences, tables_of
from tests.orders.rulesets_world import World, make_set, make_world


@given(st.integers(0, 10**11 - 1))
def test_an_amount_comes_back_as_it_was_shown(fen: int) -> None:
    field = YuanField()
    shown = field.prepare_value(fen)
    assert field.clean(shown) == fen
    assert not field.has_changed(fen, shown)


@pytest.mark.parametrize(
    ("text", "fen"),
    [("12", 1200), ("12.5", 1250), ("0.07", 7), (" 1,234.50 元 ", 123_450), ("0", 0), ("999999999.99", 99_999_999_999)],
)
def test_amounts_are_read_to_the_fen(text: str, fen: int) -> None:
    assert YuanField().clean(text) == fen


@pytest.mark.parametrize("text", ["-1", "1.234", "一元", "1e3", ".5", "1.", "１２", "NaN", "9999999999", "1 2", "1.2.3"])
def test_what_is_no_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(forms.ValidationError, match=f"“{text}”不是金额"):
        YuanField().clean(text)


def test_an_empty_amount_is_asked_for() -> None:
    with pytest.raises(forms.ValidationError):
        YuanField().clean(" ")
    assert YuanField(required=False).clean("") is None


def test_items_are_parted_by_any_comma_or_line() -> None:
    assert items_of("a,b，c、d;e；f\ng  h a") == list("abcdefgh")
    assert items_of("65（新疆维吾尔自治区）、3205（苏州市）") == ["65", "3205"]
    assert items_of(" ，\n") == []


@pytest.fixture
def world(db: None) -> World:
    made = make_world()
    province = Division.objects.create(code="110000", name="北京市", level=1)
    for code, parent in (("110105", province), ("220104", None)):
        Division.objects.create(code=code, name="朝阳区", level=3, parent=parent)
    divisions.forget()
    return made


READ: list[tuple[str, str, list[str]]] = [
    ("channels", "抖店", ["doudian"]),
    ("channels", "doudian，抖店", ["doudian"]),
    ("shops", "1001", ["1001"]),
    ("divisions", "江苏、苏州市\n吴中区 32", ["32", "3205", "320506"]),
    ("divisions", "32（江苏省）、320599", ["32", "320599"]),
    ("products", "SOFA", ["SOFA"]),
    ("categories", "furniture", ["furniture"]),
    ("tags", "VIP、小时达", ["VIP", "小时达"]),
    ("nodes", "N-S,N-HQ", ["N-S", "N-HQ"]),
    ("kinds", "门店、hq", ["store", "hq"]),
    ("tiers", "金牌", ["gold"]),
    ("holidays", "2026-10-01~2026/10/3、2027.1.1", ["2026-10-01", "2026-10-02", "2026-10-03", "2027-01-01"]),
    ("only_groups", "gold hq", ["gold", "hq"]),
    ("channels", "", []),
]


@pytest.mark.parametrize(("name", "text", "codes"), READ)
def test_lists_are_read_by_name_and_by_code(world: World, name: str, text: str, codes: list[str]) -> None:
    field = CodesField(vocabulary=VOCABULARIES[name], required=False)
    assert field.clean(text) == codes
    assert field.clean(field.prepare_value(codes)) == codes


UNKNOWN: list[tuple[str, str, str]] = [
    ("channels", "抖店、京东", "没有这样的渠道：京东"),
    ("shops", "1001、9", "没有这样的店铺：9"),
    ("divisions", "99、亚特兰蒂斯、320506", "没有这样的地区（有重名的请填代码）：99、亚特兰蒂斯"),
    ("divisions", "朝阳区", "没有这样的地区（有重名的请填代码）：朝阳区"),
    ("divisions", "旧区", "没有这样的地区（有重名的请填代码）：旧区"),
    ("products", "SOFA、X、Y", "没有这样的SKU：X、Y"),
    ("categories", "food", "没有这样的品类：food"),
    ("nodes", "N-X", "没有这样的发货点：N-X"),
    ("kinds", "仓", "没有这样的发货点类别：仓"),
    ("tiers", "铜牌", "没有这样的经销商等级：铜牌"),
    ("holidays", "2026-02-30、2026-10-07~2026-10-01", "没有这样的日期：2026-02-30、2026-10-07~2026-10-01"),
    ("holidays", "2026-01-01~2026-12-31", "没有这样的日期：2026-01-01~2026-12-31"),
    ("only_groups", "金牌", "没有这样的分组编码：金牌"),
    ("tags", "x" * 31, f"没有这样的标签：{'x' * 31}"),
]


@pytest.mark.parametrize(("name", "text", "told"), UNKNOWN)
def test_what_nobody_knows_is_named(world: World, name: str, text: str, told: str) -> None:
    with pytest.raises(forms.ValidationError) as refused:
        CodesField(vocabulary=VOCABULARIES[name], required=False).clean(text)
    assert refused.value.messages == [told]


def test_one_code_is_one(world: World) -> None:
    field = CodeField(vocabulary=VOCABULARIES["division"], required=False)
    assert field.clean("吴中区") == "320506"
    assert field.prepare_value("3205") == "3205（苏州市）"
    assert not field.has_changed("3205", "3205（苏州市）")
    assert field.has_changed("3205", "32")
    with pytest.raises(forms.ValidationError, match="这里只能填一个"):
        field.clean("32、3205")
    with pytest.raises(forms.ValidationError, match="没有这样的经销商：D009"):
        CodeField(vocabulary=VOCABULARIES["dealer_code"]).clean("D009")


@given(st.sets(st.dates(date(2026, 1, 1), date(2026, 3, 1))))
def test_days_come_back_from_runs(days: set[date]) -> None:
    field = CodesField(vocabulary=VOCABULARIES["holidays"], required=False)
    codes = [day.isoformat() for day in sorted(days)]
    assert field.clean(field.prepare_value(codes)) == codes


def test_what_was_not_touched_is_not_looked_up(world: World, django_assert_num_queries: Any) -> None:
    field = CodesField(vocabulary=VOCABULARIES["products"], required=False)
    with django_assert_num_queries(0):
        assert not field.has_changed(["GONE", "SOFA"], "GONE、SOFA")
    assert field.has_changed(["SOFA"], "")


def test_a_set_is_told_in_tables(world: World) -> None:
    tables = {table["title"]: table for table in tables_of(world.draft)}
    assert list(tables) == [
        "其他订单", "订单规则", "时效", "发货点分组", "运费与时效", "安装费", "发货日历", "公平配额", "库龄与积压抵减",
    ]  # fmt: skip
    assert tables["其他订单"]["rows"][0] == ["拆单费（每多一个包裹）", "7.00 元"]
    assert [row[:3] for row in tables["订单规则"]["rows"]] == [
        [
            "10",
            "苏州小时达",
            "渠道 抖店；店铺 1001；收货地区 3205（苏州市）；SKU SOFA；品类 furniture；订单标签 VIP；直播 不含直播订单",
        ],
        ["20", "直播", "直播 只限直播订单"],
    ]
    assert tables["发货日历"] == {
        "title": "发货日历",
        "headers": ["发货点类别", "发货日", "截单时间", "不发货的日子"],
        "rows": [["总部仓", "12345", "16:00", "2026-10-01~2026-10-02"]],
    }
    assert tables["公平配额"]["rows"] == [["D001", "30", "1.50 元"]]
    empty = {table["title"]: table["rows"] for table in tables_of(make_set(2))}
    assert [title for title, rows in empty.items() if rows] == ["其他订单"]


HOURS = "编码 hours；名称 小时达；承诺天数 0；赶不上就不派 是；最远公里 5；发货点类别 门店"


def test_differences_are_told_field_by_field(world: World) -> None:
    after = make_set(2, split_fee_fen=800)
    OrderRule.objects.create(rule_set=after, position=20, name="直播", is_live=True, never_groups=["hq"], tags=["VIP"])
    FreightRate.objects.create(rule_set=after, first_fen=1300, step_fen=200, base_days=1)
    AgeingCredit.objects.create(rule_set=after, is_overstock=True, fen_per_unit=500)
    changes = differences(world.draft, after)
    assert changes[:6] == [
        Change("其他订单", "修改", "其他订单", "拆单费（每多一个包裹）", "7.00 元", "8.00 元"),
        Change("订单规则", "删除", "苏州小时达", "", changes[1].before, "—"),
        Change("订单规则", "修改", "直播", "套装不拆", "是", "否"),
        Change("订单规则", "修改", "直播", "无法派单时", "放宽拆单：不限包裹数，可拆套装", "等待：有货、有产能或规则变动时再派"),
        Change("订单规则", "修改", "直播", "订单标签", "—", "VIP"),
        Change(
            "时效",
            "删除",
            "小时达（hours）",
            "",
            "编码 hours；名称 小时达；承诺天数 0；赶不上就不派 是；最远公里 5；发货点类别 门店",
            "—",
        ),
    ]
    assert [(each.verb, each.row, each.field, each.before, each.after) for each in changes if each.section == "运费与时效"][
        2:
    ] == [("修改", "全部", "首重费", "12.00 元", "13.00 元")]
    assert [(each.verb, each.row) for each in changes if each.section == "库龄与积压抵减"] == [("删除", "furniture 超过 90 天")]
    assert differences(world.draft, world.draft) == []


def test_a_row_written_twice_in_a_draft_is_two_rows(world: World) -> None:
    after = make_set(2)
    for _ in range(2):
        AgeingCredit.objects.create(rule_set=after, is_overstock=True, fen_per_unit=500)
    told = [(each.verb, each.row) for each in differences(make_set(3), after)]
    assert told == [("新增", "全部 积压")] * 2
