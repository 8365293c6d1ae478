"""Chat lines: what is understood, what is asked, and what must never execute."""

from datetime import date, time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bots.grammar import EXAMPLES, Intent, Unclear, Unknown, Verb, Visit, normalise, parse

TODAY = date(2026, 11, 25)  # a Wednesday


def means(text: str) -> object:
    return parse(text, today=TODAY, own_names=("订单助手",))


@pytest.mark.parametrize(
    "text",
    [
        "接单 12",
        "接单12",
        "接12",
        "12接单",
        "12号单 我来接",
        "接单　１２",
        "接单:#12",
        "十二号单 我来接",
        "接单 12 吧",
        "@订单助手 接单 12",
        "＠订单助手\u2005接单\u00a012",
        "接\u200b单 12",
        "/接单 12。",
        "  接单 12 ！",
        "我来接 12",
        "订单12 接单了",
        "抢单 12",
    ],
)
def test_many_ways_to_accept(text: str) -> None:
    assert means(text) == Intent(Verb.ACCEPT, number="12")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("拒单 12 缺货", Intent(Verb.DECLINE, number="12", reason="no_stock")),
        ("12 拒单 破损", Intent(Verb.DECLINE, number="12", reason="damaged")),
        ("拒单 12 人手不足", Intent(Verb.DECLINE, number="12", reason="busy")),
        ("拒单 12，原因：太远", Intent(Verb.DECLINE, number="12", reason="too_far")),
        ("拒单 12 其他", Intent(Verb.DECLINE, number="12", reason="other")),
        ("发货 12 SF1234567890123", Intent(Verb.SHIP, number="12", carrier="sf", tracking_no="SF1234567890123")),
        ("发货 12 顺丰 sf1234567890123", Intent(Verb.SHIP, number="12", carrier="sf", tracking_no="SF1234567890123")),
        ("12 发货 中通快递 73123456789012", Intent(Verb.SHIP, number="12", carrier="zto", tracking_no="73123456789012")),
        ("发货 12 自送", Intent(Verb.SHIP, number="12", carrier="self")),
        ("已送达 12", Intent(Verb.DELIVER, number="12")),
        ("12 送到了", Intent(Verb.DELIVER, number="12")),
        ("安装 12", Intent(Verb.INSTALL, number="12")),
        ("12 装好了", Intent(Verb.INSTALL, number="12")),
        ("完工 12 核销码 832100", Intent(Verb.COMPLETE, number="12", code="832100")),
        ("完工 12 832100", Intent(Verb.COMPLETE, number="12", code="832100")),
        ("确认取消 12", Intent(Verb.CONFIRM_CANCEL, number="12")),
        ("接单 DD48000001-1", Intent(Verb.ACCEPT, number="DD48000001-1")),
        ("dd48000001-1-2 接单", Intent(Verb.ACCEPT, number="DD48000001-1-2")),
        ("我的订单", Intent(Verb.MINE)),
        ("待办", Intent(Verb.MINE)),
        ("查单 12", Intent(Verb.STATUS, number="12")),
        ("12 接单了吗？", Intent(Verb.STATUS, number="12")),
        ("接单 12？", Intent(Verb.STATUS, number="12")),
        ("帮助", Intent(Verb.HELP)),
        ("？", Intent(Verb.HELP)),
    ],
)
def test_each_verb(text: str, meaning: Intent) -> None:
    assert means(text) == meaning


@pytest.mark.parametrize(
    ("words", "visit"),
    [
        ("明天 14:00-16:00", Visit(date(2026, 11, 26), time(14), time(16))),
        ("今天下午", Visit(date(2026, 11, 25), time(14), time(18))),
        ("周五上午", Visit(date(2026, 11, 27), time(9), time(12))),
        ("周日晚上", Visit(date(2026, 11, 29), time(18), time(20))),
        ("11月28日 9点到11点半", Visit(date(2026, 11, 28), time(9), time(11, 30))),
        ("2026-12-01 09:30~10:30", Visit(date(2026, 12, 1), time(9, 30), time(10, 30))),
        ("1-5 上午", Visit(date(2027, 1, 5), time(9), time(12))),
    ],
)
def test_visits(words: str, visit: Visit) -> None:
    assert means(f"预约 12 {words}") == Intent(Verb.SCHEDULE, number="12", visit=visit)


@pytest.mark.parametrize(
    "text",
    [
        "接单 12 明天发",
        "接单 12 拒单 13",
        "接单 12、13",
        "接单 12 13",
        "接单",
        "接单 13800138000",
        "不接 12",
        "12 接不了",
        "12 先不接",
        "别接单 12",
        "拒单 12",
        "拒单 12 心情",
        "退单 12",
        "发货 12",
        "发货 SF1234567890123",
        "SF1234567890123",
        "发货 12 73123456789012",
        "发货 12 中通 SF1234567890123",
        "完工 832100",
        "核销码 832100",
        "完工 12",
        "预约 12",
        "预约 12 2-30 上午",
        "预约 12 明天 16:00-14:00",
        "预约 12 昨天上午",
        "预约 12 明天 25:00-26:00",
        "接单 12\n接单 13",
    ],
)
def test_asks_rather_than_guesses(text: str) -> None:
    assert isinstance(means(text), Unclear)


@pytest.mark.parametrize(
    "text",
    [
        "接下来怎么办",
        "接到客户电话了",
        "好的",
        "12",
        "老板在吗",
        "货到了，明天我来拉",
        "下单 12 了",
        "接单助手真好用 12 个人",
        "",
    ],
)
def test_talk_is_not_a_command(text: str) -> None:
    assert isinstance(means(text), Unknown)


def test_a_line_to_somebody_else_is_not_for_us() -> None:
    assert means("@张三 接单 12") == Unknown(to_others=True)
    assert means("@订单助手小李 接单 12") == Unknown(to_others=True)


def test_what_is_asked_is_helpful() -> None:
    assert means("拒单 12") == Unclear("12 没有执行，请写明原因：拒单 12 缺货 / 破损 / 人手不足 / 太远 / 其他")
    assert means("接单") == Unclear("请写明单号，例如：接单 1012", Verb.ACCEPT)
    assert means("接单 12 明天发") == Unclear("像是「接单 12」，但没有完全看懂，没有执行。请发：接单 1012")


def test_a_redeem_code_is_never_echoed() -> None:
    for text in ("完工 832100", "完工 12 832100 谢谢", "核销码 832100", "完工 12 码 832100"):
        answer = means(text)
        assert isinstance(answer, Unclear)
        assert "832100" not in answer.ask.replace(EXAMPLES[Verb.COMPLETE], "")


_WORDS = [
    "接单",
    "接",
    "我来接",
    "拒单",
    "发货",
    "送达",
    "已送达",
    "安装",
    "完工",
    "预约",
    "12",
    "13",
    "十二",
    "#12",
    "号单",
    "了",
    "吧",
    "缺货",
    "破损",
    "太远",
    "其他",
    "SF1234567890123",
    "832100",
    "核销码",
    "明天",
    "14:00-16:00",
    "上午",
    "确认取消",
    "，",
    "。",
    "客户",
] + [" "]
_NEGATIONS = ["不", "没", "别", "未", "无法", "先不", "不了", "没有"]
_QUESTIONS = ["？", "?", "吗", "怎么", "什么", "谁", "能否"]


@settings(max_examples=1500, deadline=None)
@given(
    before=st.lists(st.sampled_from(_WORDS), max_size=5),
    bad=st.sampled_from(_NEGATIONS + _QUESTIONS),
    after=st.lists(st.sampled_from(_WORDS), max_size=5),
)
@example(before=["接单", "12"], bad="吗", after=[])
@example(before=[], bad="不", after=["接单", "12"])
def test_negation_or_question_never_executes(before: list[str], bad: str, after: list[str]) -> None:
    meaning = means("".join([*before, bad, *after]))
    assert not (isinstance(meaning, Intent) and meaning.executes)


@settings(max_examples=1500, deadline=None)
@given(st.text(alphabet="接拒单发货送达完工预约安装号我来了吧不没别吗?？12十#- 、,@\u200b\nSF", max_size=24))
def test_random_lines_never_execute_by_accident(text: str) -> None:
    """Whatever executes is one verb and one number, without negation, question or address."""
    meaning = means(text)
    if isinstance(meaning, Intent) and meaning.executes:
        line = normalise(text)
        assert meaning.number
        assert not set(line) & set("不没别吗?@\n")
        assert sum(line.count(verb) for verb in ("拒", "送达", "完工", "预约", "安装", "发货")) <= 1


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_survived_and_normalising_is_stable(text: str) -> None:
    means(text)
    assert normalise(normalise(text)) == normalise(text) or "/" in text
