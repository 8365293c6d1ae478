"""抖店 (Doudian): verify and open its pushes, ask its API, read its order document.

Push digest: lower hex MD5(app_key + raw body + app_secret), as three independent clients have it;
an optional `sign-method` header was seen in one, so digests stand in a table. API: every
parameter between two secrets, MD5 or HMAC-SHA256. Tags and fields are those of the platform's
trade messages and of order.orderDetail. Amounts are fen, times unix seconds, numbers often text.
"""

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import requests

from dealers.divisions.gazetteer import Gazetteer
from dealers.divisions.rules import Place, Reading, Region, locate
from oms_project.money import yuan
from orders.catalogue.rules import Part
from orders.intake.rules import BadOrder, LastingFailure, Message, PassingFailure, RefundNotice
from orders.lifecycle.rules import LONGEST_TAG, ChannelLine, ChannelOrder, Finding, Receiver, all_tags

CHANNEL = "doudian"
TAG_URL_CHECK = "0"
TAG_CONFIRMED = "101"
TAG_RISK = "110"
TAG_REFUNDED = "206"
# created, paid, shipped, done, receiver, cancelled, part shipped, price, risk, address, remark, refund success
TELLING_TAGS = frozenset(["100", "101", "102", "103", "105", "106", "108", "109", "110", "111", "113", "206"])
STATUS = {
    "1": "WAIT_PAY", "103": "WAIT_PAY", "105": "WAIT_SHIP", "2": "WAIT_SHIP", "101": "PART_SHIPPED", "3": "SHIPPED",
    "5": "FINISHED", "4": "CLOSED", "21": "CLOSED", "22": "CLOSED", "39": "CLOSED",
}  # fmt: skip
TIMEOUT = (3.0, 5.0)
PAUSES = (0.2, 0.5)  # between attempts of one fetch, seconds
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_ID = re.compile(r"[0-9A-Za-z_-]{1,40}")
_KEY = re.compile(r"[\x21-\x7e]{1,120}")
_local = threading.local()


class Account(Protocol):
    """The keys of one shop, wherever they are kept."""

    shop: str
    app_key: str
    app_secret: str
    access_token: str
    api_base: str


class BadPush(ValueError):
    """The body is not an array of messages."""


def _md5(app_key: bytes, body: bytes, secret: bytes) -> str:
    return hashlib.md5(app_key + body + secret, usedforsecurity=False).hexdigest()


PUSH_DIGESTS: dict[str, Callable[[bytes, bytes, bytes], str]] = {"": _md5, "md5": _md5}


def is_genuine(*, app_key: str, app_secret: str, body: bytes, sign: str, sign_method: str = "") -> bool:
    """Whether a push's digest fits its raw bytes; an unknown sign-method never fits."""
    digest = PUSH_DIGESTS.get(sign_method.lower())
    if digest is None:
        return False
    expected = digest(app_key.encode(), body, app_secret.encode())
    return hmac.compare_digest(expected.encode(), sign.encode(errors="replace"))


def split_push(body: bytes) -> list[Message]:
    """The messages of a push, without URL checks. Raises BadPush for anything else than the known shape.

    Ids stay exact: they exceed what a double holds. A message whose data cannot be read still
    counts as a message, without an order.
    """
    try:
        messages = json.loads(body.decode())
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise BadPush("the body must be an array of messages")
        return [_message(message) for message in messages if str(message.get("tag")) != TAG_URL_CHECK]
    except (ValueError, RecursionError) as error:
        raise BadPush(f"not a push: {type(error).__name__}") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _message(message: Mapping[str, Any]) -> Message:
    tag = str(message.get("tag", ""))
    if not _ID.fullmatch(tag) or len(tag) > 20:
        tag = "?"
    facts = data_of(message)
    body = json.dumps(message, separators=(",", ":"))
    key = message.get("msg_id")
    if not (isinstance(key, str) and _KEY.fullmatch(key)):
        key = f"sha256:{hashlib.sha256(body.encode()).hexdigest()}"
    return Message(key, tag, _id(facts.get("shop_id")), _id(facts.get("p_id")), body)


def data_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a message tells: `data` is JSON text (an object in the documentation's samples)."""
    told = message.get("data")
    if isinstance(told, str):
        told = _parsed(told)
    return told if isinstance(told, dict) else {}


def _id(value: Any) -> str:
    """An id as text, or '' when it is none."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else ""


def refund_told(body: str) -> RefundNotice | None:
    """The refund that a message of TAG_REFUNDED tells of; refund_amount includes refunded freight.

    Raises BadOrder for an unreadable amount or a refund without a number; None for nothing paid back.
    """
    facts = data_of(json.loads(body))
    amount = _whole(facts, "refund_amount")
    if amount <= 0:
        return None
    key = _id(facts.get("aftersale_id"))
    if not key:
        raise BadOrder("aftersale_id 缺失")
    return RefundNotice(key, _id(facts.get("s_id")), amount)


def sign_request(*, secret: str, parameters: Mapping[str, str], method: str = "hmac-sha256") -> str:
    """The digest of an API request: sorted name-value pairs between two secrets, lower hex."""
    text = secret + "".join(f"{name}{parameters[name]}" for name in sorted(parameters)) + secret
    if method == "md5":
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def compact(arguments: Any) -> str:
    """Arguments as the platform signs them: compact JSON with keys sorted at every level."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fetch_order(account: Account, external_id: str) -> dict[str, Any]:
    """Ask order.orderDetail for one order. Raises PassingFailure or LastingFailure.

    Server errors, throttling, time-outs and broken answers pass; they are tried again here a few
    times, then by the queue. A refused request does not pass.
    """
    for pause in PAUSES:
        try:
            return _ask(account, external_id)
        except PassingFailure:
            time.sleep(pause)
    return _ask(account, external_id)


def _ask(account: Account, external_id: str) -> dict[str, Any]:
    method, param_json = "order.orderDetail", compact({"shop_order_id": external_id})
    signed = {
        "app_key": account.app_key,
        "method": method,
        "param_json": param_json,
        "timestamp": str(int(time.time())),
        "v": "2",
    }
    query = {name: value for name, value in signed.items() if name != "param_json"}
    query |= {"sign": sign_request(secret=account.app_secret, parameters=signed), "sign_method": "hmac-sha256"}
    if account.access_token:
        query["access_token"] = account.access_token
    try:
        answer = _session().post(
            f"{account.api_base.rstrip('/')}/{method.replace('.', '/')}",
            params=query,
            data=param_json.encode(),
            headers={"Content-Type": "application/json;charset=UTF-8"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        status, told = answer.status_code, _parsed(answer.text)
    except requests.RequestException as error:
        raise PassingFailure(f"平台接口不通：{type(error).__name__}") from None  # its text holds the token
    if status >= 500 or status == 429:
        raise PassingFailure(f"平台接口 HTTP {status}")
    if status != 200:
        raise LastingFailure(f"平台接口 HTTP {status}")
    return _order_in(told, external_id)


def _session() -> requests.Session:
    """A session of this thread's own: sessions are not made for sharing."""
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


def _order_in(told: Any, external_id: str) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise PassingFailure("平台接口的回答不是 JSON")
    code, sub_code = str(told.get("code", told.get("err_no", ""))), str(told.get("sub_code", ""))
    if code not in {"10000", "0"}:
        failure = PassingFailure if may_pass(code, sub_code) else LastingFailure
        raise failure(f"平台接口 {code} {sub_code} {_text(told.get('msg'), 100)}".strip())
    found = told.get("data")
    order = found.get("shop_order_detail") if isinstance(found, dict) else None
    if not isinstance(order, dict):
        raise PassingFailure("平台接口的回答里没有订单")
    if _id(order.get("order_id")) != external_id:
        raise BadOrder("order_id 与所问的订单不同")
    return order


def may_pass(code: str, sub_code: str) -> bool:
    """Whether an API error may go away: the platform's own (isp.), throttling, a token to be renewed.

    The list of codes is not published in one place, so unknown ones count as lasting.
    """
    return (
        code == "20000" or sub_code.startswith("isp.") or any(word in sub_code for word in ("limit", "access-token", "timeout"))
    )


def codes_in(order: Mapping[str, Any]) -> set[str]:
    """Every merchant code that an order document mentions."""
    codes: set[str] = set()
    for line in _dicts(order.get("sku_order_list")):
        codes |= {_text(line.get(name), 40) for name in ("code", "out_sku_id")}
        codes |= {_text(part.get("code"), 40) for part in _dicts(line.get("bundle_sku_info"))}
    return codes - {""}


def translate(
    order: Mapping[str, Any],
    *,
    shop: str,
    gazetteer: Gazetteer,
    parts: Mapping[str, tuple[Part, ...]],
    is_risky: bool = False,
) -> ChannelOrder:
    """An order document in canonical form, with what a person must look at as findings.

    `is_risky`: the platform said by tag 110 that it is paid but must not be shipped. Raises
    BadOrder naming the field when something needed is missing or unreadable.
    """
    external_id = _id(order.get("order_id"))
    if not external_id:
        raise BadOrder("order_id 缺失")
    status = STATUS.get(str(order.get("order_status", "")))
    if status is None:
        raise BadOrder(f"order_status 未知：{_text(order.get('order_status'), 20)}")
    sold = [(f"sku_order_list[{index}].", line) for index, line in enumerate(_dicts(order.get("sku_order_list")))]
    region = Region(*(_place(order, kind) for kind in ("province", "city", "town", "street")))
    receiver = _receiver(order)
    risky = is_risky and status in {"WAIT_SHIP", "WAIT_PAY"}
    reading = locate(gazetteer, region, receiver.detail.removeprefix(region.town.name))
    contradiction = _contradiction(order, sold)
    found = [
        Finding("totals", contradiction) if contradiction else None,
        Finding("risk", "平台提示已付款但暂不可发货") if risky else None,
        Finding("remark", "买家有留言，请查看后放行") if receiver.note else None,
        Finding("address", reading.explained(region.text)[:200]) if not reading.is_sure else None,
    ]
    return ChannelOrder(
        channel=CHANNEL,
        shop=shop,
        external_id=external_id,
        channel_status="PAID_HOLD" if risky else status,
        source_updated_at=max([_whole(order, "update_time"), *(_whole(line, "update_time", at) for at, line in sold)]),
        paid_at=_moment(order, "pay_time"),
        goods_fen=_goods(order, sold),
        freight_fen=_whole(order, "post_amount"),
        paid_fen=_whole(order, "pay_amount", needed=True),
        division_code=reading.code if reading.is_sure else "",
        region=_region(region, reading)[:60],
        receiver=receiver,
        live_session=_first(sold, "room_id_str", "room_id"),
        anchor=_first(sold, "author_id"),
        lines=tuple(_line(line, at, parts) for at, line in sold),
        findings=tuple(finding for finding in found if finding),
        tags=_tags(order, sold),
    )


def _tags(order: Mapping[str, Any], sold: Collection[tuple[str, Mapping[str, Any]]]) -> tuple[str, ...]:
    """What the platform writes on the order and on its lines for people to see: 推荐音尊达, 全款预售."""
    shown = [*_dicts(order.get("shop_order_tag_ui")), *(tag for _, line in sold for tag in _dicts(line.get("sku_order_tag_ui")))]
    return tuple(all_tags(_text(tag.get("text"), LONGEST_TAG) for tag in shown))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _whole(source: Mapping[str, Any], name: str, at: str = "", *, needed: bool = False) -> int:
    """An integer that may be text; nothing is 0 unless it is needed. Never a float, never guessed."""
    value = source.get(name)
    if (value is None or value == "") and not needed:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | str) or not _WHOLE.fullmatch(str(value)):
        raise BadOrder(f"{at}{name} 不是整数：{_text(value, 30) or '空'}")
    return int(value)


def _moment(source: Mapping[str, Any], name: str) -> datetime | None:
    seconds = _whole(source, name)
    if not 0 <= seconds < 4_102_444_800:  # 2100
        raise BadOrder(f"{name} 不是时间：{seconds}")
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _text(value: Any, longest: int) -> str:
    """Text without what a database or a screen cannot hold."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return "".join(letter for letter in text if letter.isprintable()).strip()[:longest]


def _first(sold: Collection[tuple[str, Mapping[str, Any]]], *names: str) -> str:
    """The first id of these names on any line; the platform writes 0 for none."""
    found = (_text(line.get(name), 40) for _, line in sold for name in names)
    return next((text for text in found if text not in {"", "0"}), "")


def _place(order: Mapping[str, Any], kind: str) -> Place:
    address = order.get("post_addr")
    unit = address.get(kind) if isinstance(address, dict) else None
    return Place(_text(unit.get("id"), 12), _text(unit.get("name"), 40)) if isinstance(unit, dict) else Place("", "")


def _region(region: Region, reading: Reading) -> str:
    """The region as the platform words it; as it was read where the platform names no district."""
    return reading.region if reading.is_sure and not region.district.name else region.text


def _receiver(order: Mapping[str, Any]) -> Receiver:
    """Clear data where the shop gets it, else the platform's mask; ciphertext stays in the source document."""
    address = order.get("post_addr")
    address = address if isinstance(address, dict) else {}

    def clear_or_masked(source: Mapping[str, Any], longest: int, *names: str) -> str:
        return next((text for name in names if (text := _text(source.get(name), longest))), "")

    detail = clear_or_masked(address, 200, "detail", "mask_detail")
    return Receiver(
        name=clear_or_masked(order, 30, "post_receiver", "mask_post_receiver"),
        phone=clear_or_masked(order, 25, "post_tel", "mask_post_tel"),
        detail=f"{_place(order, 'street').name}{detail}",
        note=_text(order.get("buyer_words"), 500),
    )


def _goods(order: Mapping[str, Any], sold: Collection[tuple[str, Mapping[str, Any]]]) -> int:
    """Goods at list price: unit price (origin_amount) times quantity, else the order's own figure."""
    listed = sum(_whole(line, "origin_amount", at) * _whole(line, "item_num", at) for at, line in sold)
    return listed or _whole(order, "order_amount")


def _contradiction(order: Mapping[str, Any], sold: Collection[tuple[str, Mapping[str, Any]]]) -> str:
    """What does not add up, or ''. Only what must hold however the platform counts its discounts."""
    paid, freight, discount = (_whole(order, name) for name in ("pay_amount", "post_amount", "promotion_amount"))
    of_lines = sum(_whole(line, "pay_amount", at) for at, line in sold)
    gross = max(_whole(order, "order_amount"), _goods(order, sold)) + max(freight, _whole(order, "post_origin_amount"))
    if min([paid, freight, *(_whole(line, "pay_amount", at) for at, line in sold)]) < 0:
        return "金额为负"
    if sold and paid not in {of_lines, of_lines + freight}:
        return f"实付 {yuan(paid)}，子订单合计 {yuan(of_lines)}，运费 {yuan(freight)}"
    if paid > gross:
        return f"实付 {yuan(paid)}，大于应付 {yuan(gross)}"
    if discount > gross:
        return f"优惠 {yuan(discount)}，大于应付 {yuan(gross)}"
    return ""


def _line(line: Mapping[str, Any], at: str, parts: Mapping[str, tuple[Part, ...]]) -> ChannelLine:
    quantity = _whole(line, "item_num", at, needed=True)
    if not 0 < quantity < 100_000:
        raise BadOrder(f"{at}item_num 不是数量：{quantity}")
    external_line_id = _id(line.get("order_id"))
    if not external_line_id:
        raise BadOrder(f"{at}order_id 缺失")
    code, known = _matched(line, at, parts)
    paid = _whole(line, "pay_amount", at)
    return ChannelLine(external_line_id, code, _text(line.get("product_name"), 120), quantity, paid, known)


def _matched(line: Mapping[str, Any], at: str, parts: Mapping[str, tuple[Part, ...]]) -> tuple[str, tuple[Part, ...]]:
    """The merchant code of a line and what it consists of: code, else out_sku_id, else the combo's own list.

    A combo lists its components with their number per combo (item_num); one that nobody knows
    leaves the whole line unmatched.
    """
    own = [code for name in ("code", "out_sku_id") if (code := _text(line.get(name), 40))]
    for code in own:
        if code in parts:
            return code, parts[code]
    bundle = [
        (_text(item.get("code"), 40), _whole(item, "item_num", f"{at}bundle_sku_info.") or 1)
        for item in _dicts(line.get("bundle_sku_info"))
    ]
    named = own[0] if own else "+".join(code for code, _ in bundle)[:40]
    if not bundle or not all(code in parts for code, _ in bundle):
        return named, ()
    return named, tuple(
        Part(part.sku_id, part.quantity * number, part.weight * number) for code, number in bundle for part in parts[code]
    )
