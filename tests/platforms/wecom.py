"""Plays 企业微信: its own crypto (hashlib and cryptography), its call-backs, its API with faults.

Nothing here comes from the code under test or from wechatpy. Formats: developer.work.weixin.qq.com
/document/path/90968 (crypto), 90236 (send), 94888 (update), 90240 (click), 90241 (reply).
"""

import base64
import hashlib
import json
import os
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

CORP_ID = "wx5823bf96d3bd56c7"  # the sample values of the documentation
TOKEN = "QDG6eK"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


@dataclass
class WeCom:
    """The platform's side of the call-back: encrypts, signs, and opens our replies."""

    corp_id: str = CORP_ID
    token: str = TOKEN
    aes_key: str = AES_KEY

    @property
    def key(self) -> bytes:
        return base64.b64decode(self.aes_key + "=")

    def sign(self, timestamp: str, nonce: str, encrypted: str) -> str:
        return hashlib.sha1("".join(sorted([self.token, timestamp, nonce, encrypted])).encode()).hexdigest()

    def encrypt(self, text: str, *, corp_id: str | None = None, pad: int | None = None) -> str:
        """`pad` overrides the last byte, to make wrong padding."""
        content = text.encode()
        plain = os.urandom(16) + struct.pack(">I", len(content)) + content + (corp_id or self.corp_id).encode()
        size = 32 - len(plain) % 32
        plain += bytes([size]) * size
        if pad is not None:
            plain = plain[:-1] + bytes([pad])
        cipher = Cipher(algorithms.AES(self.key), modes.CBC(self.key[:16])).encryptor()
        return base64.b64encode(cipher.update(plain) + cipher.finalize()).decode()

    def decrypt(self, encrypted: str) -> str:
        cipher = Cipher(algorithms.AES(self.key), modes.CBC(self.key[:16])).decryptor()
        plain = cipher.update(base64.b64decode(encrypted)) + cipher.finalize()
        size = plain[-1]
        assert 1 <= size <= 32, "padding out of range"
        assert plain[-size:] == bytes([size]) * size, "padding not uniform"
        plain = plain[:-size]
        length = struct.unpack(">I", plain[16:20])[0]
        assert plain[20 + length :].decode() == self.corp_id
        return plain[20 : 20 + length].decode()

    def query(self, encrypted: str, *, at: int, nonce: str = "263014780") -> dict[str, str]:
        return {"msg_signature": self.sign(str(at), nonce, encrypted), "timestamp": str(at), "nonce": nonce}

    def envelope(self, encrypted: str) -> str:
        return (
            f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName>"
            f"<AgentID>1000002</AgentID><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )

    def deliver(self, client: Any, message: str, *, at: int, path: str = "/callbacks/wecom/") -> Any:
        """POST one message as the platform does; `client` is a Django test client."""
        encrypted = self.encrypt(message)
        return self.post(client, self.envelope(encrypted), self.query(encrypted, at=at), path)

    @staticmethod
    def post(client: Any, body: str | bytes, query: dict[str, str], path: str = "/callbacks/wecom/") -> Any:
        return client.post(path, data=body, content_type="text/xml", query_params=query)

    def open_reply(self, body: bytes) -> ET.Element:
        """Our encrypted answer, checked as the platform checks it."""
        reply = {child.tag: child.text or "" for child in ET.fromstring(body.decode())}
        assert self.sign(reply["TimeStamp"], reply["Nonce"], reply["Encrypt"]) == reply["MsgSignature"]
        return ET.fromstring(self.decrypt(reply["Encrypt"]))

    def text(self, sender: str, content: str, *, msg_id: str, at: int) -> str:
        return (
            f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName><FromUserName><![CDATA[{sender}]]></FromUserName>"
            f"<CreateTime>{at}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{content}]]></Content>"
            f"<MsgId>{msg_id}</MsgId><AgentID>1000002</AgentID></xml>"
        )

    def click(
        self,
        sender: str,
        key: str,
        *,
        task_id: str,
        at: int,
        reason: str = "",
        code: str = "code-of-click",
        more: dict[str, str] | None = None,
    ) -> str:
        picked = {"reason": reason, **(more or {})} if reason or more else {}
        items = "".join(
            f"<SelectedItem><QuestionKey><![CDATA[{question}]]></QuestionKey>"
            f"<OptionIds><OptionId><![CDATA[{option}]]></OptionId></OptionIds></SelectedItem>"
            for question, option in picked.items()
        )
        return (
            f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName><FromUserName><![CDATA[{sender}]]></FromUserName>"
            f"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_event]]></Event><CreateTime>{at}</CreateTime>"
            f"<EventKey><![CDATA[{key}]]></EventKey><TaskId><![CDATA[{task_id}]]></TaskId>"
            f"<CardType><![CDATA[button_interaction]]></CardType><ResponseCode><![CDATA[{code}]]></ResponseCode>"
            f"<AgentID>1000002</AgentID><SelectedItems>{items}</SelectedItems></xml>"
        )


@dataclass
class Api:
    """What our side called, and which faults come next: errors[path] is a list of codes, "hang" or an HTTP status."""

    base: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    errors: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    task_ids: set[str] = field(default_factory=set)
    spent: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, path: str) -> int:
        return sum(1 for called, _ in self.calls if called == path)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for called, body in self.calls if called == path]

    def answer(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.calls.append((path, body))
            fault = self.errors[path].pop(0) if self.errors[path] else self.always.get(path)
        if fault == "hang":
            self.released.wait(20)
            return 200, {"errcode": 0}
        if isinstance(fault, tuple):
            return fault[0], {}
        if fault:
            return 200, {"errcode": fault, "errmsg": "injected"}
        with self.lock:
            if path == "gettoken":
                self.tokens += 1
                return 200, {"errcode": 0, "access_token": f"token-{self.tokens}", "expires_in": 7200}
            if query.get("access_token") != [f"token-{self.tokens}"]:
                return 200, {"errcode": 40014, "errmsg": "invalid access_token"}
            return 200, self._effect(path, body)

    def _effect(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "message/update_template_card":
            if body["response_code"] in self.spent:
                return {"errcode": 41000, "errmsg": "response code was used"}
            self.spent.add(body["response_code"])
            return {"errcode": 0}
        if body.get("msgtype") != "template_card":
            return {"errcode": 0, "msgid": f"m{len(self.calls)}"}
        card = body["template_card"]
        check_card(card)
        if card["task_id"] in self.task_ids:
            return {"errcode": 42014, "errmsg": "task id repeated"}
        self.task_ids.add(card["task_id"])
        return {"errcode": 0, "msgid": f"m{len(self.calls)}", "response_code": f"code-{len(self.task_ids)}"}


def check_card(card: dict[str, Any]) -> None:
    """The documented limits of a button card."""
    assert card["card_type"] == "button_interaction"
    assert 1 <= len(card["button_list"]) <= 6
    assert len(card.get("horizontal_content_list", [])) <= 6
    assert all(len(button["key"].encode()) <= 1024 and button["text"] for button in card["button_list"])
    assert len(card["task_id"].encode()) <= 128
    assert set(card["task_id"]) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_@-")
    assert len(card.get("button_selection", {}).get("option_list", [])) <= 10
    assert len(card["main_title"]["title"]) <= 36


@contextmanager
def serve() -> Iterator[Api]:
    """The API on a free local port, until the end of the block."""
    api = Api()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: dict[str, Any]) -> None:
            address = urlsplit(self.path)
            status, answer = api.answer(address.path.removeprefix("/cgi-bin/"), parse_qs(address.query), body)
            payload = json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                pass  # the other side gave up waiting

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    api.base = f"http://127.0.0.1:{server.server_port}/cgi-bin/"
    try:
        yield api
    finally:
        api.released.set()
        server.shutdown()
        thread.join(3)
        server.server_close()
