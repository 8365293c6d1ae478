"""Plays 抖店 on a local port: order documents over its signed API, and pushes with its digest.

It signs and verifies by itself, with hashlib only, so that a mistake in the project's signing is
not repeated here. `faults` are served first, one per call: an HTTP status as int, "hang",
"garbage", or (code, sub_code) of a business answer.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

APP_KEY = "7000000000000000001"
APP_SECRET = "test-app-secret-0001"
SHOP = "12345"
PAID_AT = 1_764_043_200
WUZHONG = ("江苏省", "320000"), ("苏州市", "320500"), ("吴中区", "320506")
_numbers = count(1)


def hmac_sha256(key: bytes, text: bytes) -> str:
    """HMAC by its definition (RFC 2104)."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + text).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


def make_line(code: str = "SF-2001", pay_amount: int = 100_000, item_num: int = 1, **fields: Any) -> dict[str, Any]:
    """A sub-order; the order fills in its id when none is given."""
    line = {"code": code, "product_name": f"商品 {code}", "item_num": item_num, "pay_amount": pay_amount}
    return {**line, "ad_env_type": "other", **fields}


def make_detail(
    *lines: dict[str, Any], order_id: str = "", place: tuple[tuple[str, str], ...] = WUZHONG, **fields: Any
) -> dict[str, Any]:
    """A paid order whose totals agree, to a clear receiver in 苏州吴中."""
    order_id = order_id or f"47813206824060{next(_numbers):05d}"
    own = [{"order_id": f"{order_id[:-1]}{position}", **line} for position, line in enumerate(lines or (make_line(),), start=1)]
    post = int(fields.get("post_amount", 0))
    names = [{"name": name, "id": code} for name, code in place]
    return {
        "order_id": order_id,
        "shop_id": int(SHOP),
        "order_status": 2,
        "pay_time": PAID_AT,
        "update_time": PAID_AT,
        "create_time": PAID_AT - 60,
        "pay_amount": sum(int(line["pay_amount"]) for line in own) + post,
        "post_amount": post,
        "buyer_words": "",
        "post_receiver": "张三丰",
        "post_tel": "13800000001",
        "post_addr": {
            **dict(zip(("province", "city", "town"), names, strict=True)),
            "street": {"name": "长桥街道", "id": "320506003"},
            "detail": "测试路 1 号",
        },
        "sku_order_list": own,
        **fields,
    }


class DoudianPlatform:
    """The platform's side of one app. Use `running()` to give it a port."""

    def __init__(self, *, app_key: str = APP_KEY, app_secret: str = APP_SECRET, shop: str = SHOP) -> None:
        self.app_key, self.app_secret, self.shop = app_key, app_secret, shop
        self.orders: dict[str, dict[str, Any]] = {}
        self.faults: list[Any] = []
        self.calls: list[str] = []
        self.refused: list[str] = []
        self.base = ""
        self._lock = threading.Lock()
        self._release = threading.Event()

    def add(self, detail: dict[str, Any]) -> str:
        """Have an order; returns its id."""
        self.orders[detail["order_id"]] = detail
        return str(detail["order_id"])

    # --- pushes

    def message(self, tag: str, order_id: str, *, msg_id: str = "", **data: Any) -> dict[str, Any]:
        """One message as it is on the wire: data is JSON text, ids in it are numbers."""
        body = {"p_id": int(order_id), "s_ids": [int(order_id)], "shop_id": int(self.shop), **data}
        key = msg_id or f"{next(_numbers)}:{tag}:{PAID_AT}:{order_id}"
        return {"tag": tag, "msg_id": key, "data": json.dumps(body, separators=(",", ":"), ensure_ascii=False)}

    def push(self, *messages: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Body and headers of one push."""
        body = json.dumps(list(messages), separators=(",", ":"), ensure_ascii=False).encode()
        return body, self.headers(body)

    def headers(self, body: bytes) -> dict[str, str]:
        digest = hashlib.md5(self.app_key.encode() + body + self.app_secret.encode()).hexdigest()
        return {"app-id": self.app_key, "event-sign": digest}

    # --- the API

    @contextmanager
    def running(self) -> Iterator["DoudianPlatform"]:
        """Serve the API on a free local port."""
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = platform.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.block_on_close = False
        self.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._release.set()
            server.shutdown()
            server.server_close()
            thread.join(3)

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """What the platform answers to an API call; also for use without a port."""
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            self.calls.append(path)
        if fault == "hang":
            self._release.wait(10)
            return 200, b"{}"
        if fault == "garbage":
            return 200, b"<html>gateway</html>"
        if isinstance(fault, int):
            return fault, b"{}"
        if isinstance(fault, tuple):
            return 200, json.dumps({"code": fault[0], "sub_code": fault[1], "sub_msg": "", "data": None}).encode()
        wrong = self._wrong_with(path, body)
        if wrong:
            self.refused.append(wrong)
            return 200, json.dumps({"code": 40004, "sub_code": f"isv.{wrong}", "data": None}).encode()
        order = self.orders.get(json.loads(body)["shop_order_id"])
        if order is None:
            return 200, json.dumps({"code": 50002, "sub_code": "isv.business-failed:2100", "data": None}).encode()
        return 200, json.dumps(
            {"code": 10000, "msg": "success", "data": {"shop_order_detail": order}}, ensure_ascii=False
        ).encode()

    def _wrong_with(self, path: str, body: bytes) -> str:
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path != "/" + query.get("method", "").replace(".", "/"):
            return "path"
        param_json = body.decode()
        if json.dumps(json.loads(param_json), sort_keys=True, separators=(",", ":"), ensure_ascii=False) != param_json:
            return "param-json-not-canonical"
        text = "".join(f"{key}{query.get(key, '')}" for key in ("app_key", "method"))
        text += f"param_json{param_json}timestamp{query.get('timestamp', '')}v{query.get('v', '')}"
        signed = f"{self.app_secret}{text}{self.app_secret}".encode()
        by_md5 = query.get("sign_method", "md5") == "md5"
        expected = hashlib.md5(signed).hexdigest() if by_md5 else hmac_sha256(self.app_secret.encode(), signed)
        return "" if query.get("sign") == expected and query.get("app_key") == self.app_key else "sign"
