"""How a row is understood: exact numbers, exact sentences about what is wrong."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.exchange import rules
from inventory.exchange.rules import Bad, Balance, Fault, Item, Line, Reading
from inventory.ledger.rules import MOST_UNITS

SHANGHAI = timezone(timedelta(hours=8))
LATEST = datetime(2026, 11, 25, 4, tzinfo=UTC)
NODES = {"N1": 1, "N2": 2}
ITEMS = {
    "S1": Item(1, "physical", True),
    "S2": Item(2, "physical", True),
    "CARD": Item(3, "virtual", True),
    "FIX": Item(4, "service", True),
    "OLD": Item(5, "physical", False),
}


def reading(purpose: str = "stock") -> Reading:
    header = ["仓库", "调入仓", "SKU", "数量", "数据时间", "备注"]
    columns = rules.recognise(header, purpose)
    return Reading(purpose, columns, dict(zip(rules.ROLES, header, strict=True)), SHANGHAI, LATEST)


def read(*cells: str, purpose: str = "stock", seen: dict[int, int] | None = None, number: int = 2) -> Line:
    return reading(purpose).read(number, cells, NODES, ITEMS, {} if seen is None else seen)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0),
        ("12", 12),
        (" 12 ", 12),
        ("1,000", 1000),
        ("1,234,567", 1234567),
        ("１２３", 123),
        ("１，０００", 1000),
        ("+5", 5),
        ("-5", -5),
        ("－5", -5),
        ("−5", -5),
        ("12.0", 12),
        ("12.", 12),
        ("1.2E+3", 1200),
        ("5e0", 5),
        ("1500e-2", 15),
        ("1,000.00", 1000),
        ("1e9", MOST_UNITS),
        ("0e999", 0),
    ],
)
def test_a_number_is_taken_exactly_as_written(text: str, units: int) -> None:
    assert rules.whole_units(text, "数量") == units


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "数量为空"),
        ("  ", "数量为空"),
        ("1.5", "数量“1.5”不是整数"),
        ("1.23E+1", "数量“1.23E+1”不是整数"),
        ("1e-1", "数量“1e-1”不是整数"),
        ("1e-999", "数量“1e-999”不是整数"),
        ("十二", "数量“十二”不是数字"),
        ("12件", "数量“12件”不是数字"),
        ("1,00", "数量“1,00”不是数字"),
        ("1 000", "数量“1 000”不是数字"),
        ("nan", "数量“nan”不是数字"),
        ("inf", "数量“inf”不是数字"),
        ("0x10", "数量“0x10”不是数字"),
        ("1e9999", "数量“1e9999”不是数字"),
        ("=1+1", "数量“=1+1”不是数字"),
        ("1000000000000", "数量“1000000000000”超过上限 1,000,000,000"),
        ("1000000001", "数量“1000000001”超过上限 1,000,000,000"),
        ("-1000000001", "数量“-1000000001”超过上限 1,000,000,000"),
        ("1e999", "数量“1e999”超过上限 1,000,000,000"),
        ("9" * 60, f"数量“{'9' * 40}…”超过上限 1,000,000,000"),
    ],
)
def test_what_is_no_number_of_units_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=".") as error:
        rules.whole_units(text, "数量")
    assert str(error.value) == said


@given(st.integers(-MOST_UNITS, MOST_UNITS), st.sampled_from(["{}", "{:,}", "{}.0", "{}.00", " {} ", "{}e0", "{:+}"]))
def test_every_way_of_writing_a_whole_number_is_that_number(units: int, form: str) -> None:
    assert rules.whole_units(form.format(units), "数量") == units


@given(st.text(max_size=60))
def test_any_text_is_a_number_within_bounds_or_a_short_sentence(text: str) -> None:
    try:
        assert -MOST_UNITS <= rules.whole_units(text, "数量") <= MOST_UNITS
    except ValueError as error:
        assert str(error).startswith("数量")  # noqa: PT017
        assert len(str(error)) <= 80  # noqa: PT017


@pytest.mark.parametrize(
    ("cells", "purpose", "fault", "said"),
    [
        (["N9", "", "S1", "1", "", ""], "stock", Fault.NODE, "仓库“N9”不存在"),
        (["", "", "S1", "1", "", ""], "stock", Fault.NODE, "仓库为空"),
        (["N1", "", "S9", "1", "", ""], "stock", Fault.SKU, "SKU“S9”不存在"),
        (["N1", "", "", "1", "", ""], "stock", Fault.SKU, "SKU为空"),
        (["N1", "", "CARD", "1", "", ""], "stock", Fault.SKU, "SKU“CARD”是虚拟商品，没有库存"),
        (["N1", "", "FIX", "1", "", ""], "stock", Fault.SKU, "SKU“FIX”是服务，没有库存"),
        (["N1", "", "OLD", "1", "", ""], "stock", Fault.SKU, "SKU“OLD”已停用"),
        (["N1", "", "S1", "-1", "", ""], "stock", Fault.QUANTITY, "数量“-1”不能为负数"),
        (["N1", "", "S1", "-1", "", ""], "count", Fault.QUANTITY, "数量“-1”不能为负数"),
        (["N1", "", "S1", "0", "", ""], "change", Fault.QUANTITY, "数量“0”不能为 0"),
        (["N1", "N2", "S1", "0", "", ""], "transfer", Fault.QUANTITY, "数量“0”不能为 0"),
        (["N1", "N2", "S1", "-3", "", ""], "transfer", Fault.QUANTITY, "数量“-3”不能为负数"),
        (["N1", "N9", "S1", "1", "", ""], "transfer", Fault.TARGET, "调入仓“N9”不存在"),
        (["N1", "", "S1", "1", "", ""], "transfer", Fault.TARGET, "调入仓为空"),
        (["N1", "N1", "S1", "1", "", ""], "transfer", Fault.TARGET, "调入仓“N1”与调出仓相同"),
        (["N1", "", "S1", "1", "昨天", ""], "stock", Fault.TIME, "数据时间“昨天”不是时间，请写成 2026-11-25 08:00"),
        (["N1", "", "S1", "1", "2026-11-25 13:00", ""], "stock", Fault.TIME, "数据时间“2026-11-25 13:00”晚于上传时间"),
        (["N9", "", "S9", "x", "", ""], "stock", Fault.NODE, "仓库“N9”不存在；SKU“S9”不存在；数量“x”不是数字"),
        (
            ["N1", "", "S1", "1", "", "破\ufffd损"],
            "stock",
            Fault.TEXT,
            "“破\ufffd损”中有无法识别的文字，请把文件另存为 UTF-8 编码的 CSV",
        ),
    ],
)
def test_a_bad_row_says_every_fault_with_column_and_value(cells: list[str], purpose: str, fault: Fault, said: str) -> None:
    seen: dict[int, int] = {}
    with pytest.raises(Bad) as bad:
        read(*cells, purpose=purpose, seen=seen)
    assert (bad.value.fault, bad.value.words) == (fault, said)
    assert seen == {}


def test_messages_are_short_whatever_the_cells() -> None:
    with pytest.raises(Bad) as bad:
        read(*["长" * 500] * 6, purpose="transfer")
    assert len(bad.value.words) <= 200
    assert bad.value.words.startswith(f"仓库“{'长' * 40}…”不存在；调入仓“")


def test_a_place_may_be_named_once_in_a_file() -> None:
    seen: dict[int, int] = {}
    assert read("N1", "", "S1", "1", "", "", seen=seen, number=2).quantity == 1
    assert read("N1", "", "S2", "1", "", "", seen=seen, number=3).sku_id == 2
    assert read("N2", "", "S1", "1", "", "", seen=seen, number=4).node_id == 2
    with pytest.raises(Bad) as bad:
        read("N1", "", "S1", "7", "", "", seen=seen, number=5)
    assert (bad.value.fault, bad.value.words) == (Fault.REPEATED, "仓库“N1”、SKU“S1”与第 2 行重复")


def test_a_transfer_is_repeated_only_between_the_same_places() -> None:
    seen: dict[int, int] = {}
    read("N1", "N2", "S1", "1", "", "", purpose="transfer", seen=seen, number=2)
    back = read("N2", "N1", "S1", "1", "", "", purpose="transfer", seen=seen, number=3)
    assert (back.node_id, back.target_id, back.quantity) == (2, 1, 1)
    with pytest.raises(Bad, match="与第 2 行重复"):
        read("N1", "N2", "S1", "9", "", "", purpose="transfer", seen=seen, number=4)


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [
        ("2026-11-25", 0, 0),
        ("2026/11/25 8:05", 8, 5),
        ("2026年11月25日", 0, 0),
        ("2026年11月25日 8点05分", 8, 5),
        ("２０２６-11-25 08:05:00", 8, 5),
        ("2026-11-25T00:05:00+00:00", 8, 5),
        ("20261125", 0, 0),
    ],
)
def test_times_are_read_as_people_write_them(text: str, hour: int, minute: int) -> None:
    value = rules.moment(text, "数据时间", SHANGHAI, LATEST)
    assert value == datetime(2026, 11, 25, hour, minute, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("header", "purpose", "columns"),
    [
        (["仓库编码", "SKU", "数量"], "stock", {"node": 0, "sku": 1, "quantity": 2}),
        (["商品编码", "库存（件）", "仓库"], "count", {"sku": 0, "quantity": 1, "node": 2}),
        (["Node Code", "sku_code", "On-Hand", "As of"], "stock", {"node": 0, "sku": 1, "quantity": 2, "measured_at": 3}),
        (["序号", "仓库*", "货号", "增减数量", "原因"], "change", {"node": 1, "sku": 2, "quantity": 3, "reason": 4}),
        (["调出仓", "调入仓", "sku", "qty"], "transfer", {"node": 0, "target": 1, "sku": 2, "quantity": 3}),
        (["ＳＫＵ", "数量", "数量"], "stock", {"sku": 0, "quantity": 1}),
        (["甲", "乙"], "stock", {}),
    ],
)
def test_columns_are_recognised_by_their_titles(header: list[str], purpose: str, columns: dict[str, int]) -> None:
    assert rules.recognise(header, purpose) == columns


def test_what_is_missing_is_named_as_the_purpose_calls_it() -> None:
    assert rules.missing({"sku": 0}, "transfer") == ["调出仓", "调入仓", "数量"]
    assert rules.missing({"node": 0, "sku": 1}, "change") == ["增减数量"]
    assert rules.missing({"node": 0, "sku": 1, "quantity": 2}, "stock") == []


def test_a_title_above_the_header_is_passed_over() -> None:
    assert rules.header_of([["2026 年 11 月库存表"], ["仓库", "SKU", "数量"], ["N1", "S1", "3"]]) == 1
    assert rules.header_of([["a", "b"], ["c", "d"]]) == 0


def test_a_balance_never_falls_below_what_is_promised() -> None:
    balance = Balance(on_hand=10, held=4)
    assert balance.why_not(-6) == ""
    assert balance.why_not(-7) == "在库 10，已预占 4，不能减少 7"
    assert balance.why_not(MOST_UNITS - 10) == ""
    assert balance.why_not(MOST_UNITS) == "在库将达到 1,000,000,010，超过上限 1,000,000,000"
