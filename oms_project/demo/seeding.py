"""Fills an empty database with the demo brand. Run twice, it changes nothing the second time."""

import random
from datetime import datetime, time
from typing import Any

from django.db import transaction

from bots.models import ChatIdentity
from dealers.acceptance.rules import ONE
from dealers.directory.rules import day_of
from dealers.models import Acceptance, Dealer, Division, ServiceArea, Skill, SplitRule, Staff
from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.models import Node, Sku, StockRule
from oms_project.demo import brand, routing
from orders.models import (
    AgeingCredit,
    ChannelAccount,
    DealerQuota,
    FreightRate,
    InstallRate,
    LadderPolicy,
    LadderStep,
    NodeGroup,
    OrderRule,
    Product,
    ProductPart,
    PromiseClass,
    RuleSet,
    ShipCalendar,
)
from orders.rulesets import actions as rulesets

SEED = 20261125
ALL_SKILLS = ("deliver", "install:furniture", "install:appliance")


def is_seeded() -> bool:
    return Dealer.objects.exists()


@transaction.atomic
def seed_everything(*, at: datetime) -> None:
    """The whole demo in one transaction; the caller has loaded the divisions."""
    _goods()
    dealers = _dealers()
    _answers(dealers, at)
    nodes = _nodes(dealers)
    _staff(dealers)
    _rules(at)
    _stock(nodes, at)
    _routing_rules(at)
    ChannelAccount.objects.create(
        channel="doudian",
        shop=brand.SHOP,
        name=brand.SHOP_NAME,
        app_key=brand.APP_KEY,
        app_secret=brand.APP_SECRET,
        access_token="demo-token",
        api_base="http://127.0.0.1:9",  # the demo platform puts its own address here when it starts
    )


def _goods() -> None:
    skus = [
        Sku(code=code, name=name, category=category, weight_g=weight, supply_price_fen=supply, install_skill=skill)
        for code, name, category, weight, _, supply, skill in brand.GOODS
    ]
    skus += [
        Sku(code=code, name=name, category=category, kind=kind, supply_price_fen=supply)
        for code, name, category, kind, supply in brand.INTANGIBLES
    ]
    by_code = {sku.code: sku for sku in Sku.objects.bulk_create(skus)}
    singles = [Product(code=sku.code, name=sku.name) for sku in by_code.values()]
    combos = [Product(code=code, name=name) for code, name, _, _ in brand.COMBOS]
    products = {product.code: product for product in Product.objects.bulk_create([*singles, *combos])}
    parts = [ProductPart(product=products[code], sku=sku) for code, sku in by_code.items()]
    parts += [
        ProductPart(product=products[code], sku=by_code[sku_code], quantity=quantity, weight=weight)
        for code, _, components, _ in brand.COMBOS
        for sku_code, quantity, weight in components
    ]
    ProductPart.objects.bulk_create(parts)


def _dealers() -> list[Dealer]:
    dealers = Dealer.objects.bulk_create(
        Dealer(
            code=f"D{number:03d}",
            name=name,
            tier=tier,
            division_code=home,
            opens_at=time(0, 0) if number == 1 else time(8, 0),
            closes_at=time(23, 59),
            capacity_per_day=2000,
        )
        for number, (name, home, _, tier) in enumerate(brand.DEALERS, start=1)
    )
    skills = [Skill(dealer=dealer, code=code) for dealer in dealers for code in ALL_SKILLS]
    Skill.objects.bulk_create(skills)
    areas = {}
    for dealer in dealers:
        areas[(dealer.pk, dealer.division_code[:4])] = ServiceArea.Kind.TERRITORY
        areas.setdefault((dealer.pk, dealer.division_code[:2]), ServiceArea.Kind.NEIGHBOUR)
    ServiceArea.objects.bulk_create(
        ServiceArea(dealer_id=dealer_id, division_code=code, kind=kind) for (dealer_id, code), kind in areas.items()
    )
    return dealers


def _answers(dealers: list[Dealer], at: datetime) -> None:
    luck, today = random.Random(SEED), day_of(at)
    counts = [(asked := luck.randint(40, 400), int(asked * luck.uniform(0.05, 0.35))) for _ in dealers]
    Acceptance.objects.bulk_create(
        Acceptance(dealer=dealer, yes_weight=ONE * yes, no_weight=ONE * no, as_of=today, accepted_count=yes, refused_count=no)
        for dealer, (yes, no) in zip(dealers, counts, strict=True)
    )


def _nodes(dealers: list[Dealer]) -> list[Node]:
    rows: list[tuple[str, str, str, str, Dealer | None]] = [(*own, None) for own in brand.OWN_NODES]
    for dealer, (_, home, second, _) in zip(dealers, brand.DEALERS, strict=True):
        rows.append((f"{dealer.code}-W", f"{dealer.name}仓", "dealer", home, dealer))
        if second:
            rows.append((f"{dealer.code}-S", f"{dealer.name}体验店", "store", second, dealer))
    places = Division.objects.in_bulk([row[3] for row in rows])
    return Node.objects.bulk_create(
        Node(
            code=code,
            name=name,
            kind=kind,
            division_code=division,
            dealer=dealer,
            lng=places[division].lng or 0.0,
            lat=places[division].lat or 0.0,
        )
        for code, name, kind, division, dealer in rows
    )


def _staff(dealers: list[Dealer]) -> None:
    def add(phone: str, name: str, role: str, dealer: Dealer | None = None) -> Staff:
        is_hq = dealer is None
        return Staff.objects.create_user(
            phone, brand.DEMO_PASSWORD, name=name, role=role, dealer=dealer, is_staff=is_hq, is_superuser=role == "admin"
        )

    add(brand.BOSS_PHONE, "林总", "admin")
    add("13800000002", "小鹿（运营）", "operator")
    add("13800000003", "周会计", "finance")
    played = dealers[0]
    people = [
        add("13900010001", "陈老板", "owner", played),
        add("13900010002", "小王", "clerk", played),
        add("13900010003", "李师傅", "installer", played),
    ]
    ChatIdentity.objects.bulk_create(
        ChatIdentity(platform="local", tenant="demo", user_id=person.phone, staff=person) for person in people
    )
    owner = Staff.objects.get(phone="13900010001")
    roles = (("owner", "老板"), ("clerk", "店员"), ("installer", "师傅"))
    Staff.objects.bulk_create(
        # One password for all demo people: hashing it once keeps the first start short.
        Staff(
            phone=f"139{number:04d}{place:04d}",
            name=f"{dealer.name[:2]}{label}",
            role=role,
            dealer=dealer,
            password=owner.password,
        )
        for number, dealer in enumerate(dealers[1:], start=2)
        for place, (role, label) in enumerate(roles, start=1)
    )


def _rules(at: datetime) -> None:
    ladder = LadderPolicy.objects.create(name="默认派单阶梯", priority=10)
    LadderStep.objects.bulk_create(
        [
            LadderStep(policy=ladder, position=1, target="territory", seconds=90, max_offers=2),
            LadderStep(policy=ladder, position=2, target="neighbour", seconds=60, max_offers=2),
            LadderStep(policy=ladder, position=3, target="hq", seconds=60, max_offers=1),
        ]
    )
    dealer_rules: list[tuple[str, str, str, str, int, str, dict[str, Any]]] = [
        ("SVC-BASE", "基础服务费", "service_fee", "fixed", 2000, "0", {}),
        ("SVC-INST", "安装服务费", "service_fee", "per_unit", 6000, "0", {"needs_install": True}),
        ("COM-STD", "标准佣金", "commission", "percent", 0, "6", {"group": "commission", "priority": 1}),
        ("COM-GOLD", "金牌佣金", "commission", "percent", 0, "8", {"group": "commission", "priority": 5, "dealer_tier": "gold"}),
        ("DIFF-STD", "差价返还", "price_diff", "price_diff", 0, "30", {}),
    ]
    published: dict[str, Any] = {"effective_from": at.replace(month=1, day=1, hour=0, minute=0), "state": "published"}
    SplitRule.objects.bulk_create(
        SplitRule(code=code, name=name, component=component, mode=mode, amount_fen=amount, percent=percent, **extra, **published)
        for code, name, component, mode, amount, percent, extra in dealer_rules
    )
    SplitRule.objects.create(
        code="ANCHOR", name="主播佣金", component="commission", payee="anchor", mode="percent", percent="3", **published
    )


def _routing_rules(at: datetime) -> None:
    """The brand's rules, published as its administrator would."""
    boss = Staff.objects.get(phone=brand.BOSS_PHONE)
    draft = rulesets.new_draft(based_on=None, name=routing.NAME, staff=boss, at=at)
    RuleSet.objects.filter(pk=draft.pk).update(note=routing.NOTE, **routing.TERMS)
    sections: list[tuple[Any, list[dict[str, Any]]]] = [
        (PromiseClass, routing.PROMISES),
        (NodeGroup, routing.GROUPS),
        (OrderRule, routing.ORDER_RULES),
        (FreightRate, routing.FREIGHT),
        (InstallRate, routing.INSTALLS),
        (ShipCalendar, routing.CALENDARS),
        (DealerQuota, routing.QUOTAS),
        (AgeingCredit, routing.CREDITS),
    ]
    for section, rows in sections:
        section.objects.bulk_create(section(rule_set=draft, **row) for row in rows)
    rulesets.publish(ruleset_id=draft.pk, staff=boss, at=at)


def _stock(nodes: list[Node], at: datetime) -> None:
    """Believable imbalance: HQ has everything, dealers carry a part, some shelves are nearly empty."""
    for kind, safety_stock, ownership in (("hq", 5, "hq"), ("region", 5, "hq"), ("dealer", 1, "dealer"), ("store", 0, "dealer")):
        label = Node.Kind(kind).label
        StockRule.objects.create(name=f"{label}通则", node_kind=kind, safety_stock=safety_stock, ownership=ownership)
    luck = random.Random(SEED)
    goods = list(Sku.objects.filter(kind=Sku.Kind.PHYSICAL).order_by("code"))
    carry = {"hq": 1.0, "region": 0.85, "dealer": 0.6, "store": 0.35}
    scale = {"hq": 900, "region": 220, "dealer": 40, "store": 8}
    movements = [
        NewMovement(
            node.pk,
            sku.pk,
            "receipt",
            max(1, int(scale[node.kind] * luck.lognormvariate(-0.3, 0.9))),
            f"seed:{node.code}:{sku.code}",
            "期初",
        )
        for node in nodes
        for sku in goods
        if luck.random() < carry[node.kind]
    ]
    ledger.post(movements=movements, actor="demo", at=at)
