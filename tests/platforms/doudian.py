"""Plays 抖店: makes orders, signs pushes, answers order.orderDetail, and fails on request.

Signing is written here again with hashlib alone: nothing comes from the code under test. It
checks the client's signature as the platform does, so a wrong one is seen by every test.
"""

import hashlib
import hmac
import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

APP_KEY = "7000000000000000001"
APP_SECRET = "test-app-secret-0001"
SHOP = "12345"
FIRST_ORDER = 4781320682406083640  # above 2^53, as the real ones
PAID_AT = 1_764_043_200  # 2025-11-25 12:00 in Shanghai


def line(code: str, *, quantity: int = 1, paid_fen: int = 129_900, unit_fen: int | None = None, **more: Any) -> dict[str, Any]:
    """One sub-order in the platform's words; its number is given when the order is made."""
    return {
        "code": code,
        "product_name": f"商品 {code}",
        "item_num": str(quantity),
        "origin_amount": str(unit_fen if unit_fen is not None else paid_fen // quantity),
        "pay_amount": str(paid_fen),
        "room_id_str": "7300000000000000001",
        "author_id": "80010001",
        "author_name": "主播阿木",
        **more,
    }


@dataclass
class DoudianPlatform:
    """The platform's side. `faults` are answered before the truth: a status, "hang", "drop", "garbage" or an error answer."""

    app_key: str = APP_KEY
    app_secret: str = APP_SECRET
    shop: str = SHOP
    url: str = ""
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[str] = field(default_factory=list)
    bad_signatures: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)
    _numbers: int = FIRST_ORDER

    def order(self, *lines: dict[str, Any], status: str = "2", freight_fen: int = 0, **more: Any) -> str:
        """Make an order of these lines to 苏州市吴中区; returns its number. `more` overwrites fields."""
        self._numbers += 1
        number = str(self._numbers)
        sold = [{"order_id": f"{number[:-1]}{i}", "parent_order_id": number, **one} for i, one in enumerate(lines, start=1)]
        goods = sum(int(one["origin_amount"]) * int(one["item_num"]) for one in sold)
        paid = sum(int(one["pay_amount"]) for one in sold)
        self.orders[number] = {
            "order_id": number,
            "shop_id": self.shop,
            "order_status": status,
            "order_type": "0",
            "create_time": str(PAID_AT - 20),
            "pay_time": str(PAID_AT) if status != "1" else "0",
            "update_time": str(PAID_AT),
            "order_amount": str(goods),
            "pay_amount": str(paid + freight_fen),
            "post_amount": str(freight_fen),
            "promotion_amount": str(goods - paid),
            "buyer_words": "",
            "seller_words": "",
            "post_receiver": "张三丰",
            "post_tel": "13800000001",
            "post_addr": {
                "province": {"id": "320000", "name": "江苏省"},
                "city": {"id": "320500", "name": "苏州市"},
                "town": {"id": "320506", "name": "吴中区"},
                "street": {"id": "320506001", "name": "长桥街道"},
                "detail": "测试路1号",
            },
            "sku_order_list": sold,
            **more,
        }
        return number

    def change(self, number: str, **fields: Any) -> None:
        """Something happened to an order: its fields change, and its clock moves on by a minute."""
        order = self.orders[number]
        order.update({"update_time": str(int(order["update_time"]) + 60), **fields})

    def message(self, tag: str, number: str, **more: Any) -> dict[str, str]:
        """One message; the same happening has the same msg_id. Numbers go as JSON numbers, as on the wire."""
        facts = {"p_id": int(number), "s_ids": [int(number)], "shop_id": int(self.shop), "order_type": 0, "biz": 2, **more}
        key = more.get("aftersale_id", self.orders.get(number, {}).get("update_time", "0"))
        return {"tag": tag, "msg_id": f"{number}:{tag}:{key}", "data": json.dumps(facts, separators=(",", ":"))}

    def refund(self, number: str, amount_fen: int, *, key: str, line_id: str = "") -> dict[str, str]:
        """The message of a refund that succeeded."""
        facts = {"s_id": int(line_id or number), "aftersale_id": key, "aftersale_status": 6, "refund_amount": amount_fen}
        return self.message("206", number, **facts)

    def push(self, *messages: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a push of these messages."""
        return self.sign(json.dumps(list(messages), ensure_ascii=False, separators=(",", ":")).encode())

    def sign(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        digest = hashlib.md5(self.app_key.encode() + body + self.app_secret.encode()).hexdigest()
        return body, {"app-id": self.app_key, "event-sign": digest}

    def fail(self, number: str, *faults: Any) -> None:
        """Answer the next questions about an order so, one fault each."""
        self.faults[number].extend(faults)

    def is_signed(self, query: dict[str, str], param_json: str) -> bool:
        """Whether a request is signed as the open platform wants it."""
        text = (
            f"{self.app_secret}app_key{query.get('app_key')}method{query.get('method')}param_json{param_json}"
            f"timestamp{query.get('timestamp')}v{query.get('v')}{self.app_secret}"
        )
        if query.get("sign_method") == "hmac-sha256":
            return query.get("sign") == hmac.new(self.app_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return query.get("sign") == hashlib.md5(text.encode()).hexdigest()

    @contextmanager
    def serving(self) -> Iterator["DoudianPlatform"]:
        """The open API on a free port of loopback, as long as the block lasts."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (_Door,), {"platform": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.let_go.set()
            server.shutdown()
            server.server_close()
            thread.join(3)


class _Door(BaseHTTPRequestHandler):
    platform: DoudianPlatform

    def do_POST(self) -> None:
        platform, address = self.platform, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        param_json = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if address.path != "/order/orderDetail" or not platform.is_signed(query, param_json):
            platform.bad_signatures += 1
            return self._say({"code": 40003, "msg": "签名错误", "sub_code": "isv.sign-invalid"})
        number = json.loads(param_json)["shop_order_id"]
        platform.asked.append(number)
        fault = platform.faults[number].popleft() if platform.faults[number] else None
        if fault == "hang":
            platform.let_go.wait(30)
        if fault in ("hang", "drop"):
            self.close_connection = True
            return None
        if isinstance(fault, int):
            return self._say({"code": fault}, status=fault)
        if isinstance(fault, dict):
            return self._say(fault)
        if number not in platform.orders:
            return self._say({"code": 50002, "msg": "订单不存在", "sub_code": "isv.business-failed:order-not-found"})
        answer = {"code": 10000, "msg": "success", "err_no": 0, "data": {"shop_order_detail": platform.orders[number]}}
        return self._say(answer, garbage=fault == "garbage")

    def _say(self, answer: dict[str, Any], *, status: int = 200, garbage: bool = False) -> None:
        body = b"<html>busy</html>" if garbage else json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""
