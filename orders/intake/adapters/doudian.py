"""抖店 (Doudian): the digest of its pushes, its signed API, and its order document in our terms.

Push: body is a JSON array of {tag, msg_id, data}, digest in header `event-sign` over the raw bytes
(vendor's Java SDK, DoudianOpMsgRequest). API: POST {base}/order/orderDetail, parameters in the
query, param_json as the body. Amounts are fen, times unix seconds, ids exceed 2^53 and are text.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import requests

from orders.catalogue.rules import Part
from orders.intake.models import ChannelAccount
from orders.intake.rules import BadPush, GiveUp, Message, Place, RetryLater
from orders.lifecycle.rules import ChannelLine, ChannelOrder, Finding, Receiver

CHANNEL = "doudian"
# Tags that change what we hold. 100 (created, unpaid) is not among them: an order is ours once paid.
ORDER_TAGS = frozenset({"101", "102", "103", "105", "106", "108", "109", "110", "113", "206"})
TAG_PAID, TAG_PENDING, TAG_REFUNDED = "101", "110", "206"

STATUSES = {
    "1": "WAIT_PAY",
    "103": "WAIT_PAY",
    "105": "WAIT_SHIP",
    "2": "WAIT_SHIP",
    "101": "PART_SHIPPED",
    "3": "SHIPPED",
    "5": "FINISHED",
    "4": "CLOSED",
    "21": "CLOSED",
    "22": "CLOSED",
    "39": "CLOSED",
}
_MOST_MESSAGES = 500
_TIMEOUT = (3, 5)
_PAUSES = (0.1, 0.3)
_BIGGEST_FEN = 10**13

PartsFor = Callable[[str], tuple[Part, ...] | None]
RegionFor = Callable[[Place, Place, Place], tuple[str, str]]


# --- Pushes -----------------------------------------------------------------------------------


def _md5_push(raw: bytes, app_key: str, app_secret: str) -> str:
    return hashlib.md5(app_key.encode() + raw + app_secret.encode(), usedforsecurity=False).hexdigest()


# By the optional header `sign-method`. Only MD5 is known for pushes; another method goes in here.
PUSH_DIGESTS: dict[str, Callable[[bytes, str, str], str]] = {"": _md5_push, "md5": _md5_push}


def is_genuine(raw: bytes, headers: Mapping[str, str], app_key: str, app_secret: str) -> bool:
    """Whether the platform signed exactly these bytes. An unknown sign-method is never genuine."""
    digest = PUSH_DIGESTS.get((headers.get("sign-method") or "").lower())
    if digest is None:
        return False
    given = (headers.get("event-sign") or "").encode("utf-8", "replace")
    return hmac.compare_digest(digest(raw, app_key, app_secret).encode(), given)


def split(raw: bytes) -> list[Message]:
    """The messages of a push. Raises BadPush when the envelope is not what the platform documents."""
    try:
        items = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadPush("not JSON") from error
    if not isinstance(items, list) or len(items) > _MOST_MESSAGES:
        raise BadPush("not an array of messages")
    return [_message(item) for item in items]


def _message(item: Any) -> Message:
    if not isinstance(item, dict):
        raise BadPush("a message is not an object")
    tag = _id(item.get("tag"))
    if not tag or len(tag) > 20:
        raise BadPush("a message without a tag")
    body = item.get("data")
    if not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False)
    body = _clean(body)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    fields = data if isinstance(data, dict) else {}
    digest = hashlib.sha256(body.encode()).hexdigest()
    key = _id(item.get("msg_id")) or f"{tag}:{digest}"
    if len(key) > 120:
        key = hashlib.sha256(key.encode()).hexdigest()
    external_id = _id(fields.get("p_id"))
    return Message(tag, key, _id(fields.get("shop_id")), external_id if len(external_id) <= 40 else "", body)


def _id(value: Any) -> str:
    """An id as text: exact, because Python's integers are; a float has lost digits and is no id."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return _clean(str(value)).strip()


def _clean(text: str) -> str:
    """Without what no database takes: NUL and half surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def refund_of(body: str) -> tuple[str, str, int]:
    """(after-sale id, sub-order id, amount in fen) of a 'refund succeeded' message. Raises GiveUp."""
    try:
        data = json.loads(body)
        amount = _fen(data.get("refund_amount"))
        aftersale_id = _id(data.get("aftersale_id"))
    except (ValueError, AttributeError) as error:
        raise GiveUp("退款消息无法读取") from error
    if not aftersale_id or len(aftersale_id) > 60:
        raise GiveUp("退款消息没有售后单号")
    return aftersale_id, _id(data.get("s_id"))[:40], amount


# --- API --------------------------------------------------------------------------------------


def canonical_json(value: Any) -> str:
    """param_json as it is signed: compact, keys sorted at every level."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sign_request(
    *, app_key: str, app_secret: str, method: str, param_json: str, timestamp: str, sign_method: str = "hmac-sha256"
) -> str:
    """The lower-hex signature of an API call, by MD5 or HMAC-SHA256."""
    fields = f"app_key{app_key}method{method}param_json{param_json}timestamp{timestamp}v2"
    text = f"{app_secret}{fields}{app_secret}".encode()
    if sign_method == "md5":
        return hashlib.md5(text, usedforsecurity=False).hexdigest()
    return hmac.new(app_secret.encode(), text, hashlib.sha256).hexdigest()


@lru_cache(maxsize=2)
def _session(process_id: int) -> requests.Session:
    """One pool of connections per process; a forked process must not share its parent's."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=16))
    return session


def fetch_order(account: ChannelAccount, external_id: str) -> dict[str, Any]:
    """Ask the platform for an order's document. Raises RetryLater or GiveUp.

    Timeouts and 5xx are tried again at once, at most twice.
    """
    for pause in (*_PAUSES, None):
        try:
            return _ask(account, "order.orderDetail", {"shop_order_id": external_id})
        except RetryLater as error:
            if pause is None or not isinstance(error.__cause__, requests.RequestException):
                raise
        time.sleep(pause)
    raise RetryLater("平台无应答")


def _ask(account: ChannelAccount, method: str, params: dict[str, Any]) -> dict[str, Any]:
    param_json, timestamp = canonical_json(params), str(int(time.time()))
    query = {
        "app_key": account.app_key,
        "method": method,
        "access_token": account.access_token,
        "timestamp": timestamp,
        "v": "2",
        "sign_method": "hmac-sha256",
        "sign": sign_request(
            app_key=account.app_key, app_secret=account.app_secret, method=method, param_json=param_json, timestamp=timestamp
        ),
    }
    address = f"{account.api_base.rstrip('/')}/{method.replace('.', '/')}"
    try:
        answer = _session(os.getpid()).post(
            address,
            params=query,
            data=param_json.encode(),
            headers={"Content-Type": "application/json;charset=UTF-8"},
            timeout=_TIMEOUT,
            allow_redirects=False,
        )
        if answer.status_code >= 500:
            answer.raise_for_status()
    except requests.RequestException as error:
        raise RetryLater(f"平台无应答（{type(error).__name__}）") from error
    if answer.status_code == 429:
        raise RetryLater("平台限流")
    if answer.status_code != 200:
        raise GiveUp(f"平台拒绝（HTTP {answer.status_code}）")
    try:
        return _document(json.loads(answer.content))
    except (ValueError, AttributeError, RecursionError):
        # Not chained: garbage comes from something between us and the platform, so give it time.
        raise RetryLater("平台应答无法读取") from None


def _document(answer: dict[str, Any]) -> dict[str, Any]:
    """The order of an answer. Codes are only partly documented: 4… and 5… are our or the order's fault."""
    code, sub_code = str(answer.get("code", "")), str(answer.get("sub_code") or "")
    if code != "10000":
        told = f"平台返回 {code} {sub_code}"[:120]
        if code[:1] in {"4", "5"} and not sub_code.startswith("isp."):
            raise GiveUp(told)
        raise RetryLater(told)
    detail = (answer.get("data") or {}).get("shop_order_detail")
    if not isinstance(detail, dict):
        raise GiveUp("平台没有返回订单")
    return detail


# --- The order document -----------------------------------------------------------------------


def codes_of(detail: Mapping[str, Any]) -> set[str]:
    """Every merchant code by which the lines of an order might be known."""
    lines = [line for line in detail.get("sku_order_list") or [] if isinstance(line, dict)]
    return {code for line in lines for code in _codes(line)}


def translate(
    detail: Mapping[str, Any], shop: str, parts_for: PartsFor, region_for: RegionFor, *, is_pending: bool = False
) -> ChannelOrder:
    """The platform's document as a canonical order. Raises GiveUp when it cannot be read at all.

    What is only odd (totals that contradict each other, an unknown place or status, words of the
    buyer) becomes a finding, by which the order waits for a person. `is_pending` tells that the
    platform pushed "paid but pending": such a version counts as a second older than the confirmed one.
    """
    try:
        return _translate(detail, shop, parts_for, region_for, is_pending)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise GiveUp(f"平台订单无法读取（{type(error).__name__}）") from error


def _translate(
    detail: Mapping[str, Any], shop: str, parts_for: PartsFor, region_for: RegionFor, is_pending: bool
) -> ChannelOrder:
    lines = tuple(_line(line, parts_for) for line in detail.get("sku_order_list") or [])
    freight, paid = _fen(detail.get("post_amount")), _fen(detail.get("pay_amount"))
    goods = sum(line.paid_fen for line in lines)
    findings = []
    if goods + freight != paid or min(paid, freight, *(line.paid_fen for line in lines)) < 0:
        findings.append(Finding("totals", f"商品 {goods} 分＋运费 {freight} 分，与实付 {paid} 分不一致"))
    raw_status = _id(detail.get("order_status"))
    status = STATUSES.get(raw_status, "PAID_HOLD")
    if raw_status not in STATUSES:
        findings.append(Finding("risk", f"未知的平台状态 {raw_status}"[:200]))
    is_pending = is_pending and status == "WAIT_SHIP"
    if is_pending:
        status = "PAID_HOLD"
        findings.append(Finding("risk", "平台提示暂不可发货"))
    words = _text(detail.get("buyer_words"))
    if words:
        findings.append(Finding("remark", "买家有留言"))
    places = _places(detail)
    division, region = region_for(*places)
    live_session, anchor = _live(detail)
    external_id = _id(detail.get("order_id"))
    if not external_id or len(external_id) > 40:
        raise ValueError("an order without an id")
    return ChannelOrder(
        channel=CHANNEL,
        shop=shop,
        external_id=external_id,
        channel_status=status,
        source_updated_at=_seconds(detail.get("update_time")) - is_pending,
        paid_at=_time(detail.get("pay_time")),
        goods_fen=goods,
        freight_fen=freight,
        paid_fen=paid,
        division_code=division,
        region=region[:60],
        receiver=_receiver(detail, words),
        live_session=live_session,
        anchor=anchor,
        lines=lines,
        findings=tuple(findings),
    )


def _line(line: Mapping[str, Any], parts_for: PartsFor) -> ChannelLine:
    """A sub-order. A combo is known by its own code: bundle_sku_info does not tell how money is shared."""
    codes = _codes(line)
    code = next((code for code in codes if parts_for(code)), codes[0] if codes else "")
    quantity = int(line.get("item_num") or 0)
    if not 1 <= quantity <= 100_000:
        raise ValueError("a quantity out of range")
    return ChannelLine(
        external_line_id=_id(line.get("order_id"))[:40],
        sold_code=code,
        title=_text(line.get("product_name"))[:120],
        quantity=quantity,
        paid_fen=_fen(line.get("pay_amount")),
        parts=parts_for(code) or () if code else (),
    )


def _codes(line: Mapping[str, Any]) -> list[str]:
    return [code for key in ("code", "out_sku_id") if (code := _id(line.get(key))[:40])]


def _places(detail: Mapping[str, Any]) -> tuple[Place, Place, Place]:
    """Province, city and county; the platform calls the county `town`, and what is below it `street`."""
    address = detail.get("post_addr") or {}
    levels = (address.get(key) or {} for key in ("province", "city", "town"))
    province, city, county = (Place(_id(level.get("id")), _text(level.get("name"))) for level in levels)
    return province, city, county


def _receiver(detail: Mapping[str, Any], words: str) -> Receiver:
    """Clear text when the platform gives it, else its mask, else its ciphertext as it is."""
    address, masked = detail.get("post_addr") or {}, detail.get("mask_post_addr") or {}
    street = _text((address.get("street") or {}).get("name"))
    place = _first(address.get("detail"), masked.get("detail"), address.get("encrypt_detail"))
    return Receiver(
        name=_first(detail.get("post_receiver"), detail.get("mask_post_receiver"), detail.get("encrypt_post_receiver")),
        phone=_first(detail.get("post_tel"), detail.get("mask_post_tel"), detail.get("encrypt_post_tel")),
        detail=place if place.startswith(street) else f"{street}{place}",
        note=words,
    )


def _first(*values: Any) -> str:
    return next((text for value in values if (text := _text(value))), "")


def _live(detail: Mapping[str, Any]) -> tuple[str, str]:
    """(room, anchor) of the first line that was sold in a live room."""
    for line in detail.get("sku_order_list") or []:
        if _id(line.get("ad_env_type")).lower() == "live" or "直播" in _text(line.get("theme_type_desc")):
            room = _id(line.get("room_id_str")) or _id(line.get("room_id"))
            return room[:40].strip("0") and room[:40], (_text(line.get("author_name")) or _id(line.get("author_id")))[:40]
    return "", ""


def _text(value: Any) -> str:
    return _clean(value).strip() if isinstance(value, str) else ""


def _fen(value: Any) -> int:
    """An amount in fen, sent as a number or as text; nothing sent is nothing."""
    if isinstance(value, float):
        raise ValueError("an amount that is not whole fen")
    amount = int(value or 0)
    if abs(amount) > _BIGGEST_FEN:
        raise ValueError("an amount out of range")
    return amount


def _seconds(value: Any) -> int:
    seconds = int(value or 0)
    if not 0 <= seconds < 10**11:
        raise ValueError("a time out of range")
    return seconds


def _time(value: Any) -> datetime | None:
    seconds = _seconds(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
