"""Keys and calls, as the systems of HQ and of two dealers make them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.test import Client

from dealers.models import Dealer
from inventory.models import Node, Sku
from inventory.partners import actions as partners
from tests.conftest import NOON
from tests.make import make_dealer, make_node, make_sku

MEASURED = "2026-11-25T12:00:00+08:00"


def make_key(
    dealer: Dealer | None = None, *, may_read: bool = True, may_write: bool = True, at: datetime = NOON
) -> partners.NewKey:
    return partners.make_key(name="仓储系统", dealer=dealer, may_read=may_read, may_write=may_write, actor="test", at=at)


def call(secret: str | None, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
    if secret is not None:
        headers["Authorization"] = f"Bearer {secret}"
    data = raw if raw is not None else orjson.dumps(body) if body is not None else b""
    client = Client(raise_request_exception=False)
    return client.generic(method, f"/api/stock/{path}", data, content_type="application/json", headers=headers)


def figure(quantity: Any, key: str = "k1", **more: Any) -> dict[str, Any]:
    return {"node": "N001", "sku": "KT-3300", "quantity": quantity, "measured_at": MEASURED, "key": key, **more}


def movement(quantity: Any, key: str = "k1", kind: str = "receipt", **more: Any) -> dict[str, Any]:
    return {"node": "N001", "sku": "KT-3300", "kind": kind, "quantity": quantity, "key": key, **more}


def told(answer: Any) -> list[tuple[str, str, int | None]]:
    """What the answer says of each row."""
    results = answer.json()["results"]
    assert [row["row"] for row in results] == list(range(1, len(results) + 1))
    return [(row["status"], row["message"], row["on_hand"]) for row in results]


def problem_of(answer: Any) -> tuple[int, str, str]:
    """Status, code and words of an error in the one shape."""
    assert answer["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    return answer.status_code, told["code"], told["detail"]


@dataclass
class World:
    """N001 is of HQ, N101 of 华南经销商, N201 of 华北经销商; KT-3300 is counted, KT-VIP is not."""

    south: Dealer
    north: Dealer
    nodes: dict[str, Node]
    sku: Sku
    hq: str

    def post(self, path: str, rows: Sequence[Any], secret: str | None = None) -> Any:
        return call(secret or self.hq, "POST", path, {"rows": list(rows)})


def make_world() -> World:
    south, north = make_dealer("D101", name="华南经销商"), make_dealer("D201", name="华北经销商")
    nodes = {code: make_node(dealer, code=code) for code, dealer in (("N001", None), ("N101", south), ("N201", north))}
    make_sku("KT-VIP", kind="virtual")
    return World(south, north, nodes, make_sku("KT-3300"), make_key().secret)
