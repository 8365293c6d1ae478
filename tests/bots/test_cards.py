"""Cards: what a dealer sees, to the character, and what WeCom is sent."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bots.cards import Card, OfferFacts, close, closed_text, offer_card, read_value
from bots.transports import wecom
from tests.platforms.wecom import check_card

SHANGHAI = ZoneInfo("Asia/Shanghai")
FACTS = OfferFacts(
    offer_no="DD48000001-1-1",
    label="1012",
    version=3,
    summary="沙发 KT-3300 ×1",
    region="江苏省苏州市吴中区",
    income_fen=12_880,
    income=(
        {"component": "service_fee", "payee": "dealer:D001", "amount_fen": 8_000},
        {"component": "commission", "payee": "dealer:D001", "amount_fen": 4_880},
        {"component": "commission", "payee": "anchor:a1", "amount_fen": 9_900},
    ),
    expires_at=datetime(2026, 11, 25, 18, 0, 30, tzinfo=SHANGHAI),
)


def test_an_open_offer() -> None:
    assert offer_card(FACTS).as_dict() == {
        "title": "新订单 1012",
        "rows": (
            ("商品", "沙发 KT-3300 ×1"),
            ("地区", "江苏省苏州市吴中区"),
            ("收入", "128.80 元（服务费 80.00 元 + 佣金 48.80 元）"),
            ("截止", "11-25 18:00:30"),
            ("单号", "DD48000001-1-1"),
        ),
        "buttons": (
            {"label": "接单", "action": "accept", "value": "accept|DD48000001-1-1|v3", "style": "primary"},
            {"label": "拒单", "action": "decline", "value": "decline|DD48000001-1-1|v3", "style": "danger"},
        ),
        "options": (("no_stock", "缺货"), ("damaged", "破损"), ("busy", "人手不足"), ("too_far", "太远"), ("other", "其他")),
        "state": "pending",
        "footer": "也可以回复：接单 1012 / 拒单 1012 缺货",
    }


def test_a_taken_offer_has_no_buttons() -> None:
    taken = replace(FACTS, state="accepted", answered_by="张三", answered_at=datetime(2026, 11, 25, 10, 32, tzinfo=SHANGHAI))
    card = offer_card(taken)
    assert (card.title, card.buttons, card.options, card.footer) == ("订单 1012", (), (), "已被张三接单 10:32")


@pytest.mark.parametrize(
    ("state", "fields", "text"),
    [
        ("accepted", {"by": "张三"}, "已被张三接单"),
        ("declined", {"by": "张三", "reason": "no_stock"}, "已被张三拒单（缺货）"),
        ("declined", {}, "已拒单"),
        ("expired", {}, "已超时"),
        ("withdrawn", {}, "已撤回"),
    ],
)
def test_endings(state: str, fields: dict[str, Any], text: str) -> None:
    assert closed_text(state, **fields) == text


def test_a_card_survives_json_and_is_closed() -> None:
    card = Card.from_dict(json.loads(json.dumps(offer_card(FACTS).as_dict())))
    assert card == offer_card(FACTS)
    assert close(card, "expired", "已超时 18:00").as_dict() == {
        **offer_card(FACTS).as_dict(),
        "title": "订单 1012",
        "buttons": (),
        "options": (),
        "state": "expired",
        "footer": "已超时 18:00",
    }


@pytest.mark.parametrize("value", ["", "accept", "accept|x", "accept|x|3", "ship|x|v1", "accept|x y|v1", "accept|x|v1\n"])
def test_a_strange_button_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a button"):
        read_value(value)


def test_the_wecom_card_keeps_the_limits() -> None:
    long = replace(FACTS, summary="沙发 " * 60, region="新疆维吾尔自治区伊犁哈萨克自治州察布查尔锡伯自治县" * 3)
    for facts in (FACTS, long):
        drawn = wecom.render(offer_card(facts), wecom.task_id(facts.offer_no, "zhangsan"))
        check_card(drawn)
    assert drawn["task_id"] == "DD48000001-1-1@zhangsan"
    assert [button["key"] for button in drawn["button_list"]] == ["accept|DD48000001-1-1|v3", "decline|DD48000001-1-1|v3"]
    assert drawn["button_selection"]["option_list"][0] == {"id": "no_stock", "text": "缺货"}


def test_a_strange_user_id_is_hashed_into_the_task_id() -> None:
    key = wecom.task_id("DD48000001-1-1", "corp/张.三")
    assert key.startswith("DD48000001-1-1@")
    assert key != wecom.task_id("DD48000001-1-1", "corp/李.四")
    assert key.isascii()
    assert "/" not in key
