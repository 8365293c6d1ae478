"""What the tests of intake share: one shop, a few districts, two products, and the platform."""

import json
from pathlib import Path
from typing import Any

from django.test import Client
from django.urls import path

from dealers.divisions.gazetteer import Division as Place
from dealers.models import Division
from orders.intake.webhooks import doudian_push
from orders.models import ChannelAccount, Product, ProductPart
from tests.make import make_sku
from tests.platforms.doudian import DoudianPlatform

urlpatterns = [path("channels/doudian/push", doudian_push)]
DATA = Path(__file__).parent / "data"
PLACES = [
    ("110000", "北京市", 1), ("110100", "市辖区", 2), ("110108", "海淀区", 3),
    ("320000", "江苏省", 1), ("320100", "南京市", 2), ("320106", "鼓楼区", 3),
    ("320300", "徐州市", 2), ("320302", "鼓楼区", 3),
    ("320500", "苏州市", 2), ("320505", "虎丘区", 3), ("320506", "吴中区", 3),
    ("440000", "广东省", 1), ("441900", "东莞市", 3),
]  # fmt: skip


def sample(name: str) -> dict[str, Any]:
    return json.loads((DATA / name).read_text())


def places() -> list[Place]:
    """The districts with their parents; 东莞 is of county level, directly below its province."""
    parents = {1: "", 2: "{0}0000", 3: "{1}00"}
    return [
        Place(code, name, level, "440000" if code == "441900" else parents[level].format(code[:2], code[:4]))
        for code, name, level in PLACES
    ]


def make_divisions() -> None:
    for place in places():
        Division.objects.create(code=place.code, name=place.name, level=place.level, parent_id=place.parent or None)


def make_product(code: str, *parts: tuple[Any, int, int]) -> Product:
    product = Product.objects.create(code=code, name=f"商品 {code}")
    ProductPart.objects.bulk_create([ProductPart(product=product, sku=sku, quantity=n, weight=w) for sku, n, w in parts])
    return product


def make_account(platform: DoudianPlatform, **fields: Any) -> ChannelAccount:
    keys = {"shop": platform.shop, "app_key": platform.app_key, "app_secret": platform.app_secret, "api_base": platform.url}
    return ChannelAccount.objects.create(**{"channel": "doudian", "name": "旗舰店", "access_token": "token-1", **keys, **fields})


def shop_of(platform: DoudianPlatform) -> ChannelAccount:
    """The shop with its districts and the products SOFA and SET (sofa and lamp, money 9 to 1)."""
    make_divisions()
    sofa, lamp = make_sku("SKU-SOFA"), make_sku("SKU-LAMP", category="small")
    make_product("SOFA", (sofa, 1, 1))
    make_product("SET", (sofa, 1, 9), (lamp, 2, 1))
    return make_account(platform)


def deliver(body: bytes, headers: dict[str, str], **more: Any) -> Any:
    """Push to our door; returns the response."""
    return Client().generic("POST", "/channels/doudian/push", body, content_type="application/json", headers=headers, **more)
