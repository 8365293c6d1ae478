"""Plays 抖店 for the demo: signs pushes with its own code and answers order.orderDetail.

It remembers nothing: everything about an order is drawn from its number, which holds the second
in which it was paid, so a restarted demo tells the same story. Nothing here imports the intake.
"""

import hashlib
import hmac
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oms_project.demo import brand

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = [
    "子涵",
    "雨桐",
    "浩然",
    "欣怡",
    "梓轩",
    "思远",
    "佳琪",
    "俊杰",
    "晓彤",
    "明哲",
    "若曦",
    "嘉豪",
    "雅静",
    "志强",
    "丽华",
    "海燕",
]
_STREETS = ["人民路", "解放路", "中山路", "建设路", "滨河路", "学府路", "长江路", "文化路", "东风路", "迎宾大道"]
_ESTATES = ["锦绣花园", "阳光城", "翡翠湾", "万和府", "江南里", "书香苑", "云锦天章"]
_NOTES = ["周末再送，工作日家里没人", "请先电话联系", "小区需登记车牌", "旧家电麻烦一起带走"]
_NEAR_HOME_PERCENT = 12  # of the orders go to districts of the dealer whom the newcomer plays

Region = tuple[str, str, str, str, str, str]  # province code, name, city code, name, district code, name


class Storyteller:
    """What the platform knows of an order, given its number."""

    def __init__(self, regions: list[Region], weights: list[int], home: list[Region]) -> None:
        self._regions, self._weights, self._home = regions, weights, home
        self._prices = {code: price for code, _, _, _, price, _, _ in brand.GOODS}
        self._prices |= {code: price for code, _, _, price in brand.COMBOS}
        self._names = {code: name for code, name, *_ in brand.GOODS} | {code: name for code, name, *_ in brand.COMBOS}
        self._hot = [*[code for code, *_ in brand.COMBOS] * 5, *[code for code, *_ in brand.GOODS]]

    def fate(self, order_id: str) -> str:
        """What becomes of the order: most are plain, a few need a person or change their mind."""
        roll = random.Random(f"fate{order_id}").random()
        for share, fate in ((0.02, "bad_sku"), (0.035, "bad_address"), (0.045, "bad_totals"), (0.10, "note"), (0.14, "cancel")):
            if roll < share:
                return fate
        return "plain"

    def detail(self, order_id: str, now: int) -> dict[str, Any]:
        """The answer of order.orderDetail at a time (unix seconds), in the platform's field names."""
        luck, paid_at, fate = random.Random(order_id), int(order_id[:10]), self.fate(order_id)
        lines = self._lines(luck, order_id, fate)
        total = sum(int(line["pay_amount"]) for line in lines)
        listed = sum(int(line["origin_amount"]) * int(line["item_num"]) for line in lines)
        cancelled = fate == "cancel" and now >= paid_at + 60
        order: dict[str, Any] = {
            "order_id": order_id,
            "shop_id": brand.SHOP,
            "order_status": "4" if cancelled else "2",
            "order_type": "0",
            "trade_type": "0",
            "create_time": str(paid_at - 20),
            "pay_time": str(paid_at),
            "update_time": str(paid_at + 60 if cancelled else paid_at),
            "order_amount": str(listed),
            "pay_amount": str(total + 100 if fate == "bad_totals" else total),
            "post_amount": "0",
            "promotion_amount": str(listed - total),
            "buyer_words": luck.choice(_NOTES) if fate == "note" else "",
            "seller_words": "",
            "shop_order_tag_ui": self._tags(order_id),
            "sku_order_list": lines,
        }
        return {**order, **self._receiver(luck, fate)}

    def _tags(self, order_id: str) -> list[dict[str, str]]:
        """A few buyers are members, and very few want it within hours."""
        roll = random.Random(f"tags{order_id}").random()
        return [{"key": "member", "text": "VIP"}] * (roll < 0.08) + [{"key": "instant", "text": "小时达"}] * (roll > 0.99)

    def _lines(self, luck: random.Random, order_id: str, fate: str) -> list[dict[str, Any]]:
        lines = []
        for position in range(1, luck.choices([1, 2, 3], [80, 16, 4])[0] + 1):
            code = luck.choice(self._hot)
            quantity = luck.choices([1, 2], [94, 6])[0]
            lines.append(
                {
                    "order_id": f"{order_id}{position}",
                    "parent_order_id": order_id,
                    "code": "UNKNOWN-9" if fate == "bad_sku" else code,
                    "product_name": self._names[code],
                    "item_num": str(quantity),
                    "origin_amount": str(self._prices[code]),
                    "pay_amount": str(self._prices[code] * quantity * luck.randint(85, 100) // 100),
                    "ad_env_type": "live",
                    "room_id_str": f"LIVE-{order_id[:5]}",
                    "author_id": "80010001",
                    "author_name": "主播阿木",
                }
            )
        return lines

    def _receiver(self, luck: random.Random, fate: str) -> dict[str, Any]:
        near_home = luck.randrange(100) < _NEAR_HOME_PERCENT
        region = luck.choice(self._home) if near_home else luck.choices(self._regions, self._weights)[0]
        names = [{"id": region[i], "name": region[i + 1]} for i in (0, 2, 4)]
        if fate == "bad_address":
            names[2] = {"id": "", "name": "经济开发新区"}
        name = luck.choice(_SURNAMES) + luck.choice(_GIVEN)
        estate = f"{luck.choice(_ESTATES)}{luck.randint(1, 30)}幢{luck.randint(101, 3204)}"
        street = f"{luck.choice(_STREETS)}{luck.randint(1, 299)}号{estate}"
        return {
            "post_receiver": name,
            "post_tel": f"1{luck.choice('3578')}{luck.randint(0, 999_999_999):09d}",
            "post_addr": {
                "province": names[0],
                "city": names[1],
                "town": names[2],
                "street": {"id": "", "name": ""},
                "detail": street,
            },
        }


def sign_push(body: bytes) -> dict[str, str]:
    """The headers by which the platform vouches for a push: lower hex MD5 over key, raw body, secret."""
    digest = hashlib.md5(brand.APP_KEY.encode() + body + brand.APP_SECRET.encode()).hexdigest()
    return {"app-id": brand.APP_KEY, "event-sign": digest, "Content-Type": "application/json"}


def message(tag: str, order_id: str, **more: Any) -> dict[str, str]:
    """One message of a push. The key is the same whenever the same thing is told again."""
    body = {"p_id": int(order_id), "s_ids": [int(order_id)], "shop_id": int(brand.SHOP), "order_type": 0, "biz": 2, **more}
    return {"tag": tag, "msg_id": f"{order_id}:{tag}", "data": json.dumps(body, separators=(",", ":"))}


class DetailServer(ThreadingHTTPServer):
    """The platform's open API on a free port of loopback."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, storyteller: Storyteller) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.storyteller = storyteller
        self.url = f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, name="demo-platform", daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: DetailServer

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = raw.decode() or query.get("param_json", "{}")
        if address.path != "/order/orderDetail" or not _is_signed(query, text):
            self._say({"code": 40003, "msg": "签名错误", "sub_code": "isv.sign-invalid"})
            return
        order_id = str(json.loads(text).get("shop_order_id", ""))
        if not (order_id.isdigit() and len(order_id) == 19):
            self._say({"code": 40004, "msg": "订单不存在", "sub_code": "isv.order-not-found"})
            return
        detail = self.server.storyteller.detail(order_id, int(time.time()))
        self._say({"code": 10000, "msg": "success", "err_no": 0, "message": "success", "data": {"shop_order_detail": detail}})

    def _say(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Addresses hold signatures: nothing is logged."""


def _is_signed(query: dict[str, str], param_json: str) -> bool:
    text = "".join(
        [
            brand.APP_SECRET, "app_key", query.get("app_key", ""), "method", query.get("method", ""), "param_json", param_json,
            "timestamp", query.get("timestamp", ""), "v", query.get("v", ""), brand.APP_SECRET,
        ]
    )  # fmt: skip
    if query.get("sign_method") == "hmac-sha256":
        return query.get("sign") == hmac.new(brand.APP_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return query.get("sign") == hashlib.md5(text.encode()).hexdigest()
