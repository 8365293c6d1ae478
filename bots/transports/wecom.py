"""企业微信 (WeCom): open what it sends, send what we say. The only importer of wechatpy.enterprise.

Protocol: developer.work.weixin.qq.com/document/path/90968 (crypto), 90236 (send), 94888 (update),
90240 (click), 90241 (passive reply). wechatpy's own token retry recurses without end, its token
call has no timeout and its signature check is not constant in time; all three are done here.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

import requests
import xmltodict
from django.conf import settings
from django.core.cache import cache
from wechatpy.enterprise import WeChatClient
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.exceptions import WeChatClientException
from wechatpy.session import SessionStorage

from bots.cards import Card
from bots.transports.inbound import Forged, Inbound, TransportError
from oms_project.journal.subscription import PermanentFailure

PLATFORM = "wecom"
TIMEOUT = (3.05, 5)  # seconds to connect, to read
WINDOW = timedelta(minutes=10)
_STALE_TOKEN = frozenset({40014, 42001})
_TRY_LATER = frozenset({-1, 40001, 40014, 42001, 45009, 45033, 60020})
_TASK_ID_REPEATED = 42014
_REASON_KEY = "reason"


# -- what comes in ---------------------------------------------------------------------------------


def is_configured() -> bool:
    return bool(settings.WECOM_CORP_ID and settings.WECOM_TOKEN and settings.WECOM_AES_KEY)


def can_send() -> bool:
    return bool(settings.WECOM_CORP_ID and settings.WECOM_SECRET and settings.WECOM_AGENT_ID)


def _crypto() -> WeChatCrypto:
    return WeChatCrypto(settings.WECOM_TOKEN, settings.WECOM_AES_KEY, settings.WECOM_CORP_ID)


def open_echo(query: Mapping[str, str], *, at: datetime) -> str:
    """The plain echostr of the URL check. Raises Forged."""
    return _open(query, query.get("echostr", ""), at)


def open_message(query: Mapping[str, str], body: bytes, *, at: datetime) -> Inbound:
    """The message inside a call-back. Raises Forged for whatever is not signed, fresh and well formed."""
    message = _parse(_open(query, str(_parse(body).get("Encrypt") or ""), at))
    try:
        return _inbound(message)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        raise Forged from None


def _open(query: Mapping[str, str], encrypted: str, at: datetime) -> str:
    timestamp, nonce, signature = query.get("timestamp", ""), query.get("nonce", ""), query.get("msg_signature", "")
    parts = sorted([settings.WECOM_TOKEN, timestamp, nonce, encrypted])
    expected = hashlib.sha1("".join(parts).encode()).hexdigest()
    if not (encrypted and hmac.compare_digest(expected.encode(), signature.encode())):
        raise Forged
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
        raise Forged
    if abs(at.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        raise Forged
    try:
        return str(_crypto().decrypt_message({"Encrypt": encrypted}, signature, timestamp, nonce))
    except Exception:  # wechatpy raises a dozen kinds for damaged input; all mean the same here
        raise Forged from None


def _parse(xml: str | bytes) -> dict[str, Any]:
    try:
        root = xmltodict.parse(xml, disable_entities=True)["xml"]
    except Exception:  # ExpatError, ValueError for entities, KeyError, TypeError, UnicodeError
        raise Forged from None
    if not isinstance(root, dict):
        raise Forged
    return root


def _inbound(raw: Mapping[str, Any]) -> Inbound:
    sender, created = str(raw["FromUserName"])[:64], int(raw["CreateTime"])
    event, task_id, value = str(raw.get("Event") or ""), str(raw.get("TaskId") or ""), str(raw.get("EventKey") or "")
    kind = "other"
    if raw.get("MsgType") == "text":
        kind = "text"
    elif event in {"template_card_event", "template_card_menu_event"}:
        kind = "click"
    event_id = str(raw.get("MsgId") or f"{sender}:{created}:{task_id}:{value}")
    if len(event_id) > 160:
        event_id = hashlib.sha256(event_id.encode()).hexdigest()
    return Inbound(
        platform=PLATFORM,
        tenant=settings.WECOM_CORP_ID,
        event_id=event_id,
        sender_id=sender,
        kind=kind,
        sent_at=datetime.fromtimestamp(created, UTC),
        text=str(raw.get("Content") or ""),
        value=value,
        task_id=task_id,
        response_code=str(raw.get("ResponseCode") or ""),
        selected=_selected(raw.get("SelectedItems")),
    )


def _selected(raw: Any) -> dict[str, str]:
    """{question: first option}; one item parses as a dict, several as a list."""
    items = raw.get("SelectedItem") if isinstance(raw, dict) else None
    picked: dict[str, str] = {}
    for item in items if isinstance(items, list) else [items]:
        if not isinstance(item, dict):
            continue
        options = item.get("OptionIds")
        option = options.get("OptionId") if isinstance(options, dict) else None
        option = option[0] if isinstance(option, list) and option else option
        if isinstance(option, str):
            picked[str(item.get("QuestionKey"))] = option
    return picked


# -- what is answered in the same breath -----------------------------------------------------------


def seal_reply(xml: str, *, at: datetime) -> str:
    """A passive reply, encrypted and signed."""
    return str(_crypto().encrypt_message(xml, secrets.token_hex(8), str(int(at.timestamp()))))


def button_xml(inbound: Inbound, replace: str) -> str:
    """Grey the clicker's buttons and write this on them."""
    root = _reply_root(inbound, "update_button")
    ET.SubElement(ET.SubElement(root, "Button"), "ReplaceName").text = replace[:60]
    return ET.tostring(root, encoding="unicode")


def card_xml(inbound: Inbound, card: Card) -> str:
    """Draw the clicker's card anew, with live buttons."""
    root = _reply_root(inbound, "update_template_card")
    _to_xml(ET.SubElement(root, "TemplateCard"), render(card, inbound.task_id))
    return ET.tostring(root, encoding="unicode")


def _reply_root(inbound: Inbound, kind: str) -> ET.Element:
    root = ET.Element("xml")
    ET.SubElement(root, "ToUserName").text = inbound.sender_id
    ET.SubElement(root, "FromUserName").text = inbound.tenant
    ET.SubElement(root, "CreateTime").text = str(int(inbound.sent_at.timestamp()))
    ET.SubElement(root, "MsgType").text = kind
    return root


def _to_xml(parent: ET.Element, value: Mapping[str, Any]) -> None:
    """JSON keys of the send interface in the CamelCase of the passive reply: main_title is MainTitle."""
    for key, item in value.items():
        name = "KeyName" if key == "keyname" else "".join(word.capitalize() for word in key.split("_"))
        for one in item if isinstance(item, list) else [item]:
            child = ET.SubElement(parent, name)
            if isinstance(one, dict):
                _to_xml(child, one)
            else:
                child.text = str(one)


# -- what goes out ---------------------------------------------------------------------------------


def task_id(offer_no: str, user_id: str) -> str:
    """The card's key: allowed characters are [0-9A-Za-z_@-], at most 128."""
    safe = all(sign.isascii() and (sign.isalnum() or sign in "_@-") for sign in user_id)
    return f"{offer_no}@{user_id if safe else hashlib.sha256(user_id.encode()).hexdigest()[:32]}"


def render(card: Card, key: str) -> dict[str, Any]:
    """A button_interaction card within WeCom's limits (title 36, six rows of 5 and 30 characters)."""
    drawn: dict[str, Any] = {
        "card_type": "button_interaction",
        "main_title": {"title": card.title[:36], "desc": dict(card.rows).get("商品", "")[:44]},
        "sub_title_text": card.footer[:160],
        "horizontal_content_list": [{"keyname": name[:5], "value": value[:60]} for name, value in card.rows[:6]],
        "task_id": key,
    }
    if settings.PUBLIC_URL.startswith("https://"):
        drawn["card_action"] = {"type": 1, "url": settings.PUBLIC_URL}
    if card.options:
        drawn["button_selection"] = {
            "question_key": _REASON_KEY,
            "title": "拒单原因",
            "option_list": [{"id": option, "text": text[:10]} for option, text in card.options[:10]],
        }
    styles = {"primary": 1, "danger": 3}
    drawn["button_list"] = [
        {"text": button.label[:10], "style": styles.get(button.style, 1), "key": button.value} for button in card.buttons[:6]
    ]
    return drawn


def send_card(user_id: str, key: str, card: Card) -> list[str]:
    """Send one card to one member; returns the codes by which it can be changed (may be none).

    Sending the same key again is harmless: WeCom refuses a repeated task id, which counts as sent.
    """
    body = {
        "touser": user_id,
        "agentid": settings.WECOM_AGENT_ID,
        "msgtype": "template_card",
        "template_card": render(card, key),
        "enable_duplicate_check": 1,
    }
    try:
        result = _client().call("message/send", body)
    except PermanentFailure as failure:
        if failure.args[1:] == (_TASK_ID_REPEATED,):
            return []
        raise
    return [result["response_code"]] if result.get("response_code") else []


def send_text(user_id: str, text: str) -> None:
    body = {"touser": user_id, "agentid": settings.WECOM_AGENT_ID, "msgtype": "text", "text": {"content": text[:2000]}}
    _client().call("message/send", body)


def close_card(user_id: str, response_code: str, ending: str) -> None:
    """Grey the buttons of a member's card. The code is spent by this, whatever the outcome."""
    body = {
        "userids": [user_id],
        "agentid": settings.WECOM_AGENT_ID,
        "response_code": response_code,
        "button": {"replace_name": ending[:60]},
    }
    _client().call("message/update_template_card", body)


class _SharedTokens(SessionStorage):
    """Tokens in the Django cache, so that every process uses the same one."""

    def get(self, key: str, default: Any = None) -> Any:
        return cache.get(f"wecom:{key}", default)

    def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        cache.set(f"wecom:{key}", value, ttl)

    def delete(self, key: str) -> None:
        cache.delete(f"wecom:{key}")


class _Client(WeChatClient):
    """wechatpy's client with one token refresh under a lock, and a timeout on every call."""

    def __init__(self, base: str, corp_id: str, secret: str) -> None:
        self.API_BASE_URL = base
        self._refreshing = threading.Lock()
        super().__init__(corp_id, secret, session=_SharedTokens(), timeout=TIMEOUT, auto_retry=False)

    @property
    def access_token_key(self) -> str:
        return hashlib.sha256(f"{self.corp_id}:{self.secret}".encode()).hexdigest()[:32]

    @property
    def access_token(self) -> str:
        return str(self.session.get(self.access_token_key) or self._refresh(stale=None))

    def _refresh(self, stale: str | None) -> str:
        """A token other than the stale one; of many threads only the first asks the platform."""
        with self._refreshing:
            kept = self.session.get(self.access_token_key)
            if kept and kept != stale:
                return str(kept)
            params = {"corpid": self.corp_id, "corpsecret": self.secret}
            reply = self._http.get(f"{self.API_BASE_URL}gettoken", params=params, timeout=TIMEOUT)
            result = reply.json() if reply.ok else {"errcode": -1}
            if result.get("errcode"):
                raise WeChatClientException(result["errcode"], "gettoken")
            self.session.set(self.access_token_key, result["access_token"], max(60, int(result.get("expires_in", 7200)) - 300))
            return str(result["access_token"])

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises TransportError when later may be better, PermanentFailure when it cannot be.

        Error texts carry no address: WeCom's addresses contain the access token.
        """
        try:
            token = self.access_token
            try:
                result = self.post(path, data=body, params={"access_token": token})
            except WeChatClientException as error:
                if error.errcode not in _STALE_TOKEN:
                    raise
                result = self.post(path, data=body, params={"access_token": self._refresh(stale=token)})
        except WeChatClientException as error:
            if error.errcode is None or error.errcode in _TRY_LATER:
                raise TransportError(f"企业微信 {path} 返回 {error.errcode}", error.errcode) from None
            raise PermanentFailure(f"企业微信 {path} 返回 {error.errcode}", error.errcode) from None
        except (requests.RequestException, ValueError, KeyError) as error:
            raise TransportError(f"企业微信 {path} 无应答（{type(error).__name__}）") from None
        if not isinstance(result, dict):
            raise TransportError(f"企业微信 {path} 的应答无法识别")
        return result


@lru_cache(maxsize=4)
def _client_for(base: str, corp_id: str, secret: str) -> _Client:
    return _Client(base, corp_id, secret)


def _client() -> _Client:
    return _client_for(settings.WECOM_API_BASE, settings.WECOM_CORP_ID, settings.WECOM_SECRET)
