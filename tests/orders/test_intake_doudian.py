"""The dialect of 抖店: digests, messages, and the order document in our own terms."""

import contextlib
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealers.divisions.gazetteer import Gazetteer
from dealers.divisions.rules import Place, Region, match_region
from orders.catalogue.rules import Part
from orders.intake.adapters import doudian
from orders.intake.rules import BadOrder
from orders.lifecycle.rules import ChannelOrder
from tests.orders.intake_world import places, sample
from tests.platforms.doudian import PAID_AT, DoudianPlatform, line

VECTORS = sample("doudian_push_vectors.json")
TOWNS = [("320506001", "长桥街道", "320506")]
GAZETTEER = Gazetteer.of(places(), TOWNS)
PARTS = {"SOFA": (Part(1, 1, 1),), "SET": (Part(1, 1, 9), Part(2, 2, 1)), "LAMP": (Part(2, 1, 1),)}


def order_of(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    platform = DoudianPlatform()
    return platform.orders[platform.order(*(lines or (line("SOFA"),)), **fields)]


def translated(order: dict[str, Any], **more: Any) -> ChannelOrder:
    return doudian.translate(order, **{"shop": "12345", "gazetteer": GAZETTEER, "parts": PARTS, **more})


def reasons(order: ChannelOrder) -> list[str]:
    return [finding.reason for finding in order.findings]


def genuine(push: dict[str, Any], **changed: Any) -> bool:
    known = {"app_key": VECTORS["app_key"], "app_secret": VECTORS["app_secret"], "body": push["body"].encode()}
    return doudian.is_genuine(**{**known, "sign": push["headers"]["event-sign"], **changed})


@pytest.mark.parametrize("push", VECTORS["push"], ids=lambda push: push["case"])
def test_digests_fit_the_vectors(push: dict[str, Any]) -> None:
    assert genuine(push) is (push["expect"] != "reject")


def test_a_digest_is_exact() -> None:
    push = VECTORS["push"][0]
    body, sign = push["body"].encode(), push["headers"]["event-sign"]
    assert genuine(push, sign_method="MD5")
    assert not genuine(push, body=body[:-2] + b" ]")
    assert not genuine(push, sign=sign.upper())
    assert not genuine(push, sign="")
    assert not genuine(push, sign="签名")
    assert not genuine(push, app_secret="another")
    assert not genuine(push, sign_method="hmac-sha256")


@pytest.mark.parametrize("method", ["md5", "hmac-sha256"])
def test_api_requests_are_signed_as_the_platform_does(method: str) -> None:
    vector = VECTORS["api_request_sign"]
    signed = {name: vector[name] for name in ("app_key", "method", "param_json", "timestamp", "v")}
    expected = vector[f"sign_{method.replace('-', '_')}"]
    assert doudian.sign_request(secret=VECTORS["app_secret"], parameters=signed, method=method) == expected


def test_arguments_are_compact_and_sorted_at_every_level() -> None:
    assert doudian.compact({"b": {"d": 1, "c": "中"}, "a": [1]}) == '{"a":[1],"b":{"c":"中","d":1}}'


def test_ids_above_2_to_the_53_stay_exact() -> None:
    (message,) = doudian.split_push(VECTORS["push"][1]["body"].encode())
    assert (message.tag, message.key) == ("101", "6837374000000000002:0:1618990587:2")
    assert (message.external_id, message.shop) == ("4705288465508532862", "12345")


def test_a_push_may_mix_tags_and_a_url_check_is_no_message() -> None:
    mixed = next(push for push in VECTORS["push"] if push["case"].startswith("two"))
    assert [message.tag for message in doudian.split_push(mixed["body"].encode())] == ["101", "106"]
    assert doudian.split_push(b'[{"tag":"0","msg_id":"0","data":"{}"}]') == []
    assert doudian.split_push(b'[{"tag":0,"msg_id":"0"}]') == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}", b"null", b"[1]", b'"x"', b"\xff\xfe[]", b"[" * 100_000, b"[" + b"9" * 5000 + b"]"], ids=range(9)
)
def test_what_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(doudian.BadPush):
        doudian.split_push(body)


def test_odd_messages_are_kept_under_a_key_of_their_own() -> None:
    body = b'[{"tag":"101","data":"no json"},{"tag":["x"],"msg_id":"a\\u0000b","data":null},{"msg_id":"\\ud800","tag":"101"}]'
    first, second, third = doudian.split_push(body)
    assert (first.tag, first.external_id, second.tag, third.tag) == ("101", "", "?", "101")
    assert len({first.key, second.key, third.key}) == 3
    assert all(one.key.startswith("sha256:") and len(one.key) == 71 for one in (first, second, third))
    assert [one.key for one in doudian.split_push(body)] == [first.key, second.key, third.key]


def test_refunds_are_told_in_fen() -> None:
    push = next(push for push in VECTORS["push"] if push["case"] == "Refund/RefundSuccessEvent")
    notice = doudian.refund_told(doudian.split_push(push["body"].encode())[0].body)
    assert notice is not None
    assert (notice.key, notice.external_line_id, notice.amount_fen) == ("xxxxxx", "4705288465508532862", 13_200)


def test_an_order_in_our_own_terms() -> None:
    order = translated(order_of(line("SET", quantity=2, paid_fen=250_001, unit_fen=130_000), freight_fen=500))
    assert (order.channel, order.shop, order.external_id) == ("doudian", "12345", "4781320682406083641")
    assert (order.channel_status, order.source_updated_at) == ("WAIT_SHIP", PAID_AT)
    assert order.paid_at == datetime.fromtimestamp(PAID_AT, UTC)
    assert (order.goods_fen, order.freight_fen, order.paid_fen) == (260_000, 500, 250_501)
    assert (order.division_code, order.region) == ("320506", "江苏省苏州市吴中区")
    assert order.receiver is not None
    assert (order.receiver.name, order.receiver.phone, order.receiver.detail) == ("张三丰", "13800000001", "长桥街道测试路1号")
    assert (order.live_session, order.anchor) == ("7300000000000000001", "80010001")
    (sold,) = order.lines
    assert (sold.sold_code, sold.quantity, sold.paid_fen, sold.parts) == ("SET", 2, 250_001, PARTS["SET"])
    assert order.findings == ()


@pytest.mark.parametrize(("theirs", "ours"), list(doudian.STATUS.items()))
def test_every_status_is_mapped(theirs: str, ours: str) -> None:
    assert translated(order_of(status=theirs)).channel_status == ours


def test_the_vendors_sample_is_held_for_its_totals_and_the_buyers_words() -> None:
    order = translated(sample("doudian_order_detail.json")["payload"]["data"]["shop_order_detail"])
    assert reasons(order) == ["totals", "remark"]
    assert (order.external_id, order.lines[0].external_line_id) == ("4781320682406083640", "4781320682406083640")
    assert (order.division_code, order.region) == ("110108", "北京市海淀区")
    assert (order.lines[0].sold_code, order.lines[0].parts) == ("ahgldjj", ())


def test_contradictory_totals_are_found() -> None:
    assert reasons(translated(order_of(pay_amount="129901"))) == ["totals"]
    assert reasons(translated(order_of(pay_amount="-1"))) == ["totals"]
    assert reasons(translated(order_of(promotion_amount="129901"))) == ["totals"]
    assert reasons(translated(order_of(line("SOFA", paid_fen=200, unit_fen=100)))) == ["totals"]
    assert reasons(translated(order_of(pay_amount=129_900, order_amount=129_900))) == []


def test_a_risk_keeps_a_paid_order_back_but_not_a_closed_one() -> None:
    risky = translated(order_of(), is_risky=True)
    assert (risky.channel_status, reasons(risky)) == ("PAID_HOLD", ["risk"])
    closed = translated(order_of(status="4"), is_risky=True)
    assert (closed.channel_status, reasons(closed)) == ("CLOSED", [])


def test_the_buyers_words_are_sealed_with_the_receiver_and_not_in_the_finding() -> None:
    order = translated(order_of(buyer_words="请打 13900000000"))
    assert [(finding.reason, finding.detail) for finding in order.findings] == [("remark", "买家有留言，请查看后放行")]
    assert order.receiver is not None
    assert order.receiver.note == "请打 13900000000"


def test_codes_are_tried_in_order_and_a_combo_is_taken_apart() -> None:
    by_outer = translated(order_of(line("", out_sku_id="SOFA"))).lines[0]
    assert (by_outer.sold_code, by_outer.parts) == ("SOFA", PARTS["SOFA"])
    combo = line("NEW-SET", bundle_sku_info=[{"code": "SOFA", "item_num": "1"}, {"code": "LAMP", "item_num": "3"}])
    order = order_of(combo)
    assert doudian.codes_in(order) == {"NEW-SET", "SOFA", "LAMP"}
    assert translated(order).lines[0].parts == (Part(1, 1, 1), Part(2, 3, 3))
    half_known = line("NEW-SET", bundle_sku_info=[{"code": "SOFA", "item_num": "1"}, {"code": "WHAT", "item_num": "1"}])
    assert translated(order_of(half_known)).lines[0].parts == ()


def test_masked_receivers_are_shown_masked_and_ciphertext_is_left_where_it_is() -> None:
    hidden = order_of(
        post_receiver="", post_tel="", encrypt_post_receiver="#cipher#", mask_post_receiver="张**", mask_post_tel="138****0001"
    )
    receiver = translated(hidden).receiver
    assert receiver is not None
    assert (receiver.name, receiver.phone) == ("张**", "138****0001")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"order_id": ""}, "order_id"),
        ({"order_status": "77"}, "order_status"),
        ({"pay_amount": None}, "pay_amount"),
        ({"pay_amount": "12.5"}, "pay_amount"),
        ({"pay_amount": 12.0}, "pay_amount"),
        ({"pay_amount": True}, "pay_amount"),
        ({"pay_amount": "9" * 30}, "pay_amount"),
        ({"pay_time": "yesterday"}, "pay_time"),
        ({"pay_time": "99999999999999"}, "pay_time"),
        ({"sku_order_list": [{**line("SOFA"), "order_id": "1", "item_num": "0"}]}, "sku_order_list[0].item_num"),
        ({"sku_order_list": [{**line("SOFA"), "order_id": "1", "pay_amount": "１"}]}, "sku_order_list[0].pay_amount"),
        ({"sku_order_list": [line("SOFA")]}, "sku_order_list[0].order_id"),
    ],
)
def test_an_unreadable_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(BadOrder) as caught:
        translated({**order_of(), **change})
    assert str(caught.value).startswith(named)


def region_of(text: str) -> Region:
    return Region(*(Place(*unit.split(":")) for unit in text.split(" ")))


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("320000:江苏省 320500:苏州市 320506:吴中区", "320506"),
        (":江苏 :苏州 :吴中区", "320506"),
        (":江苏省 :苏州市 320506:", "320506"),
        ("110000:北京市 110000:市辖区 110000:海淀区", "110108"),
        (":江苏省 :徐州市 :鼓楼区", "320302"),
        (":江苏省 :南京市 :鼓楼区", "320106"),
        (":江苏省 : :鼓楼区", ""),
        (":江苏省 :苏州市 :鼓楼区", ""),
        (":江苏省 :苏州市 320505:吴中区", ""),
        (":江苏省 :苏州市 320571:工业园区", ""),
        (":广东省 :东莞市 441900103:虎门镇", "441900"),
        (": : :", ""),
    ],
)
def test_an_address_becomes_a_district_only_when_it_is_sure(address: str, code: str) -> None:
    reading = match_region(GAZETTEER, region_of(address))
    assert (reading.code if reading.is_sure else "") == code


def test_free_text_helps_where_the_structure_does_not_suffice() -> None:
    """The town in the text tells the district; nothing is guessed from a typing error."""
    address = {"province": {"name": "江苏省"}, "city": {"name": "苏州市"}, "detail": "长桥街道测试路1号"}
    order = translated({**order_of(), "post_addr": address})
    assert (order.division_code, order.region, reasons(order)) == ("320506", "江苏省苏州市吴中区", [])
    wrong = {**address, "town": {"name": "吴钟区"}}
    order = translated({**order_of(), "post_addr": wrong})
    assert (order.division_code, order.region, reasons(order)) == ("", "江苏省苏州市吴钟区", ["address"])
    assert order.findings[0].detail == "“江苏省苏州市吴钟区”无法确认地区，读作江苏省苏州市吴中区长桥街道：“吴钟区”无法识别"


def test_structure_beats_text_and_a_contradiction_is_not_decided_by_text() -> None:
    known = order_of()["post_addr"]
    order = translated({**order_of(), "post_addr": {**known, "detail": "江苏省苏州市虎丘区测试路1号"}})
    assert (order.division_code, reasons(order)) == ("320506", [])
    contrary = {**known, "town": {"id": "320505", "name": "吴中区"}}
    order = translated({**order_of(), "post_addr": contrary})
    assert (order.division_code, reasons(order)) == ("", ["address"])
    assert order.findings[0].detail == "“江苏省苏州市吴中区”无法确认地区：代码 320505 是虎丘区，名称却是吴中区"


_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_any_junk_in_any_field_is_read_or_refused_by_one_error(data: st.DataObject) -> None:
    order = copy.deepcopy(order_of(line("SOFA"), line("SET")))
    target = data.draw(st.sampled_from([order, order["post_addr"], order["sku_order_list"][0]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(_junk)
    doudian.codes_in(order)
    with contextlib.suppress(BadOrder):
        translated(order)
