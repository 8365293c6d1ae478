"""Plain functions that make one thing each, with believable defaults; personas 总部, 华南经销商, 华北经销商."""

from datetime import datetime
from itertools import count
from typing import Any

from dealers.models import Dealer, ServiceArea, Skill, Staff
from inventory.models import Level, Node, Sku
from orders.models import (
    FreightRate,
    FulfillmentLine,
    FulfillmentOrder,
    InstallRate,
    Offer,
    Order,
    OrderLine,
    RuleSet,
)
from tests.conftest import NOON

_numbers = count(1)
SUZHOU_WUZHONG = "320506"


def make_dealer(
    code: str = "",
    *,
    division_code: str = SUZHOU_WUZHONG,
    skills: tuple[str, ...] = ("deliver", "install:furniture"),
    territory: tuple[str, ...] = (SUZHOU_WUZHONG,),
    **fields: Any,
) -> Dealer:
    code = code or f"D{next(_numbers):03d}"
    fields.setdefault("name", f"经销商 {code}")
    dealer = Dealer.objects.create(code=code, division_code=division_code, **fields)
    Skill.objects.bulk_create([Skill(dealer=dealer, code=skill) for skill in skills])
    ServiceArea.objects.bulk_create([ServiceArea(dealer=dealer, division_code=area) for area in territory])
    return dealer


def make_staff(dealer: Dealer | None = None, *, role: str = "", password: str | None = None, **fields: Any) -> Staff:
    role = role or ("owner" if dealer else "admin")
    fields.setdefault("name", f"{Staff.Role(role).label}{next(_numbers)}")
    fields.setdefault("phone", f"139{next(_numbers):08d}")
    return Staff.objects.create_user(
        password=password, dealer=dealer, role=role, is_staff=dealer is None, is_superuser=role == "admin", **fields
    )


def make_sku(code: str = "", **fields: Any) -> Sku:
    code = code or f"SKU-{next(_numbers):04d}"
    fields = {"name": f"商品 {code}", "category": "furniture", "weight_g": 20_000, "supply_price_fen": 80_000, **fields}
    return Sku.objects.create(code=code, **fields)


def make_node(dealer: Dealer | None = None, *, kind: str = "", division_code: str = SUZHOU_WUZHONG, **fields: Any) -> Node:
    kind = kind or ("dealer" if dealer else "hq")
    fields = {"code": f"N{next(_numbers):03d}", "lng": 120.63, "lat": 31.26, **fields}
    fields.setdefault("name", f"{Node.Kind(kind).label}{fields['code']}")
    return Node.objects.create(kind=kind, dealer=dealer, division_code=division_code, **fields)


def make_level(node: Node, sku: Sku, on_hand: int = 10, **fields: Any) -> Level:
    return Level.objects.create(node=node, sku=sku, on_hand=on_hand, **fields)


def make_rules(
    *, kinds: tuple[str, ...] = ("dealer", "store", "hq", "region"), install_fen: int = 0, at: datetime = NOON, **freight: Any
) -> RuleSet:
    """The rules in force: the default terms, and for each kind of place one freight rate and one fee of installing."""
    rules = RuleSet.objects.create(name="标准", version=1, state="published", created_at=at, published_at=at)
    for kind in kinds:
        FreightRate.objects.create(rule_set=rules, kind=kind, **freight)
        InstallRate.objects.create(rule_set=rules, kind=kind, fee_fen=install_fen)
    return rules


def make_order(
    *skus: Sku, state: str = "placed", paid_fen: int = 100_000, quantity: int = 1, at: datetime = NOON, **fields: Any
) -> Order:
    """An order with one line per SKU, the money shared equally by hand (the last line takes the rest)."""
    number = next(_numbers)
    fields = {
        "order_no": f"DD{number:06d}",
        "channel": "doudian",
        "shop": "12345",
        "external_id": f"48{number:06d}",
        "channel_status": "WAIT_SHIP",
        "source_updated_at": int(at.timestamp()),
        "paid_at": at,
        "placed_at": at,
        "goods_fen": paid_fen,
        "division_code": SUZHOU_WUZHONG,
        "region": "江苏省苏州市吴中区",
        **fields,
    }
    order = Order.objects.create(state=state, paid_fen=paid_fen, **fields)
    share = paid_fen // max(1, len(skus))
    for position, sku in enumerate(skus, start=1):
        last = position == len(skus)
        OrderLine.objects.create(
            order=order,
            position=position,
            external_line_id=f"{order.external_id}-{position}",
            sold_code=sku.code,
            title=sku.name,
            sku=sku,
            quantity=quantity,
            paid_fen=paid_fen - share * (len(skus) - 1) if last else share,
        )
    return order


def make_work(order: Order, node: Node, *, state: str = "offered", at: datetime = NOON, **fields: Any) -> FulfillmentOrder:
    """All lines of an order as one piece of work at a node. Holds no stock; hold it yourself if the test needs it."""
    number = order.work.count() + 1
    fields = {
        "summary": "沙发 ×1",
        "paid_fen": order.paid_fen,
        "short_no": 1000 + number,
        "opened_at": at,
        "moved_at": at,
        **fields,
    }
    work = FulfillmentOrder.objects.create(
        fo_no=f"{order.order_no}-{number}", order=order, node=node, dealer=node.dealer, state=state, **fields
    )
    for line in order.lines.all():
        FulfillmentLine.objects.create(work=work, order_line=line, sku=line.sku, quantity=line.quantity)
    return work


def make_offer(work: FulfillmentOrder, *, expires_at: datetime, at: datetime = NOON, **fields: Any) -> Offer:
    fields = {"income_fen": 6_000, "income": [], "round": 1, **fields}
    return Offer.objects.create(
        offer_no=f"{work.fo_no}-{fields['round']}",
        work=work,
        dealer=work.dealer,
        node=work.node,
        opened_at=at,
        expires_at=expires_at,
        **fields,
    )
