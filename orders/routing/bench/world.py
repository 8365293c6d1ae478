"""A country to measure routing on: real districts, invented dealers, goods and orders; the same for the same seed.

Two places of HQ, eight regional warehouses, the rest dealers (60 %) and stores (40 %) where people
live. A district's nearest dealer has it as its territory, with the stores nearby; the next eight
within 800 km are neighbours. 300 SKUs, of which 20 hot ones make three quarters of a livestream.
"""

import csv
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random

from dealers.acceptance.rules import ONE
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.market import OpenOrder
from orders.routing.rules import Area, NodeFacts, RoutingTable, Rung
from orders.routing.table import distance_km
from orders.rulesets.rules import FreightRate, InstallRate, OrderTerms, PromiseClass, RuleBook, Where

DISTRICTS = Path(__file__).parent / "districts.csv"
LADDER = (Rung(1, "territory", 60, 3), Rung(2, "neighbour", 60, 3), Rung(3, "hq", 60, 1))
MIDNIGHT = datetime(2026, 11, 10, 16, tzinfo=UTC)
SKILL = "install:furniture"
LIVE, SHOP = "doudian", "shop"
HEADQUARTERS = ("440605", "330110")
WAREHOUSES = ("110112", "310114", "440111", "420112", "510114", "610112", "210114", "410122")
FREIGHT = {
    "hq": FreightRate(Where(kind="hq"), 600, step_fen=200, km_fen=1, max_km=6000),
    "region": FreightRate(Where(kind="region"), 600, step_fen=200, km_fen=1, max_km=6000),
    "dealer": FreightRate(Where(kind="dealer"), 1500, step_fen=40, km_fen=10, km_per_day=300, max_km=800),
    "store": FreightRate(Where(kind="store"), 1500, step_fen=40, km_fen=10, km_per_day=300, max_km=40),
}
INSTALL_FEN = {"hq": 12_000, "region": 12_000, "dealer": 6500, "store": 7500}
BOOK = RuleBook(
    "基准",
    default=OrderTerms("基准", refusal_cost_fen=1400, promise=PromiseClass(days=2)),
    freight=tuple(FREIGHT.values()),
    installs=tuple(InstallRate(Where(kind=kind), "", fen) for kind, fen in INSTALL_FEN.items()),
)
SKUS = 300
LINES_SHARE = {1: 66, 2: 20, 3: 9, 4: 3, 5: 2}
MEAN_UNITS = 1.55 * 1.12


@dataclass(frozen=True, slots=True)
class District:
    """demand is its share of all orders: people, those in towns counting more."""

    code: str
    lng: float
    lat: float
    demand: float


@dataclass(frozen=True, slots=True)
class World:
    """A network with its stock and capacity in the morning, and the orders of one day as they come in."""

    table: RoutingTable
    stock: dict[tuple[int, int], int]
    remaining: dict[int, int]
    orders: list[OpenOrder]
    other_days: list[list[OpenOrder]]


@dataclass(frozen=True, slots=True)
class Sku:
    sku_id: int
    weight_g: int
    install_skill: str
    share: float


def build(*, orders: int, nodes: int, rho: float, seed: int, other_days: int = 0) -> World:
    """`rho` is stock over expected demand: 2.5 is ample, 1.6 tight, 1.2 extreme shortage."""
    random = Random(f"network {seed}")
    districts = _districts()
    homes, places = _places(nodes, districts, random)
    areas, territory = _areas(districts, homes, places, random)
    answers = {
        node.dealer_id: (ONE * round(60 * yes), ONE * round(60 * (1 - yes)))
        for node in places
        if node.dealer_id and (yes := random.betavariate(8, 2) if node.kind == "dealer" else random.betavariate(6, 3))
    }
    table = RoutingTable(
        nodes=places,
        areas=areas,
        book=BOOK,
        at=MIDNIGHT,
        centroids={each.code: (each.lng, each.lat) for each in districts},
        answers=answers,
    )
    skus = _skus(random)
    weights = _weights(places, territory, {each.code: each.demand for each in districts})
    days = [_orders(orders, districts, skus, Random(f"day {day} of {seed}")) for day in range(1 + other_days)]
    return World(
        table=table,
        stock=_stock(places, weights, skus, orders * MEAN_UNITS * rho, random),
        remaining=_capacity(places, territory, weights, orders, random),
        orders=days[0],
        other_days=days[1:],
    )


def _districts() -> list[District]:
    with DISTRICTS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    demand = [float(row["pop"]) * (0.4 + 0.6 * float(row["urb"] or 0.5)) for row in rows]
    total = sum(demand)
    return [
        District(row["code"], float(row["lng"]), float(row["lat"]), share / total)
        for row, share in zip(rows, demand, strict=True)
    ]


def _places(nodes: int, districts: Sequence[District], random: Random) -> tuple[list[District], list[NodeFacts]]:
    """All places, HQ's own first, then a dealer for each of the homes, then stores; each of those is a dealer of its own."""
    by_code = {each.code: each for each in districts}
    dealers = round((nodes - len(HEADQUARTERS) - len(WAREHOUSES)) * 0.6)
    drawn = sorted(districts, key=lambda each: math.log(1 - random.random()) / each.demand, reverse=True)
    homes = drawn[:dealers]
    stores = random.choices(districts, [each.demand for each in districts], k=nodes - 10 - dealers)
    found = []
    sited = [("hq", by_code[code]) for code in HEADQUARTERS] + [("region", by_code[code]) for code in WAREHOUSES]
    sited += [("dealer", home) for home in homes] + [("store", home) for home in stores]
    for number, (kind, home) in enumerate(sited, start=1):
        is_ours = kind in ("hq", "region")
        skills = frozenset({SKILL}) if not is_ours and random.random() < 0.95 else frozenset[str]()
        at = (home.lng + random.gauss(0, 0.05), home.lat + random.gauss(0, 0.05))
        found.append(
            NodeFacts(
                number, f"N{number:05d}", f"发货点{number}", kind, None if is_ours else number, home.code, *at, True, skills
            )
        )
    return homes, found


def _areas(
    districts: Sequence[District], homes: Sequence[District], places: Sequence[NodeFacts], random: Random
) -> tuple[list[Area], dict[int, float]]:
    """Who serves which district, and the share of demand in each dealer's territory."""
    dealers = [node for node in places if node.kind == "dealer"]
    stores = [node for node in places if node.kind == "store"]
    only_live = {node.node_id: random.random() >= 0.7 for node in (*dealers, *stores)}
    near = {district.code: _nearest(district, dealers) for district in districts}
    mine: dict[int, list[NodeFacts]] = {}
    for store in stores:
        mine.setdefault(near[store.division_code][0].node_id, []).append(store)
    areas, territory = [], dict.fromkeys((node.node_id for node in dealers), 0.0)

    def serve(node: NodeFacts, district: District, *, is_home: bool) -> None:
        areas.append(Area(node.node_id, district.code, is_home, LIVE if only_live[node.node_id] else ""))

    for district in districts:
        first, *others = near[district.code]
        territory[first.node_id] += district.demand
        serve(first, district, is_home=True)
        around = [(distance_km(district.lng, district.lat, store.lng, store.lat), store) for store in mine.get(first.node_id, ())]
        for _, store in heapq.nsmallest(6, ((km, store) for km, store in around if km < 40), key=lambda each: each[0]):
            serve(store, district, is_home=True)
        for node in others:
            if distance_km(district.lng, district.lat, node.lng, node.lat) < 800:
                serve(node, district, is_home=False)
    return areas, territory


def _nearest(district: District, dealers: Sequence[NodeFacts]) -> list[NodeFacts]:
    """The nine nearest dealers; another province counts as 60 km more."""
    lng, lat, province, narrow = district.lng, district.lat, district.code[:2], math.cos(math.radians(district.lat))

    def far(node: NodeFacts) -> float:
        km = 111.2 * math.hypot((node.lng - lng) * narrow, node.lat - lat)
        return km if node.division_code.startswith(province) else km + 60

    return heapq.nsmallest(9, dealers, key=far)


def _skus(random: Random) -> list[Sku]:
    shares = [1 / rank**1.05 for rank in range(1, SKUS + 1)]
    random.shuffle(shares)
    hot = random.sample(range(SKUS), 20)
    heat = [1 / rank**1.1 for rank in range(1, 21)]
    quiet, loud = sum(shares), sum(heat)
    wanted = [0.25 * share / quiet for share in shares]
    for sku, share in zip(hot, heat, strict=True):
        wanted[sku] += 0.75 * share / loud
    found = []
    for number, share in enumerate(wanted, start=1):
        kg = min(50.0, max(0.3, random.lognormvariate(math.log(7), 0.9)))
        skill = SKILL if kg > 4 and random.random() < 0.75 else ""
        found.append(Sku(number, round(kg * 1000), skill, share))
    return found


def _orders(count: int, districts: Sequence[District], skus: Sequence[Sku], random: Random) -> list[OpenOrder]:
    towns = random.choices(districts, [each.demand for each in districts], k=count)
    lengths = random.choices(list(LINES_SHARE), list(LINES_SHARE.values()), k=count)
    odds = list(accumulate(sku.share for sku in skus))
    found = []
    for number, (town, length) in enumerate(zip(towns, lengths, strict=True), start=1):
        goods: dict[int, Sku] = {}
        while len(goods) < length:
            (sku,) = random.choices(skus, cum_weights=odds)
            goods.setdefault(sku.sku_id, sku)
        lines = []
        for index, sku in enumerate(goods.values()):
            (units,) = random.choices((1, 2, 3), (90, 8, 2))
            lines.append(
                LineToRoute(
                    number * 10 + index, sku.sku_id, f"S{sku.sku_id}", f"商品{sku.sku_id}", units, 0, sku.weight_g, True,
                    sku.install_skill, "", 0,
                )
            )  # fmt: skip
        channel = SHOP if random.random() < 0.1 else LIVE
        order = OrderToRoute(
            number, f"B{number}", channel, "1", town.code, "", 0, MIDNIGHT + timedelta(seconds=number), "", tuple(lines)
        )
        found.append(OpenOrder(order, LADDER))
    return found


def _weights(places: Sequence[NodeFacts], territory: dict[int, float], demand: dict[str, float]) -> dict[int, float]:
    """How stock is spread before chance: 48 % at our own places, 42 % at dealers, 10 % at stores."""
    stores = sum(demand[node.division_code] for node in places if node.kind == "store")
    return {
        node.node_id: {
            "hq": 0.10,
            "region": 0.28 / len(WAREHOUSES),
            "dealer": 0.42 * territory.get(node.node_id, 0.0),
            "store": 0.10 * demand[node.division_code] / (stores or 1),
        }[node.kind]
        for node in places
    }


def _stock(
    places: Sequence[NodeFacts], weights: dict[int, float], skus: Sequence[Sku], units: float, random: Random
) -> dict[tuple[int, int], int]:
    stock: dict[tuple[int, int], int] = {}
    for sku in skus:
        total = math.ceil(sku.share * units * random.lognormvariate(0, 0.15) + 2 + 4 * random.random())
        odds = []
        for node in places:
            carried, spread = (0.9, 0.4) if node.dealer_id is None else (0.6, 0.9)
            odds.append(weights[node.node_id] * random.lognormvariate(0, spread) if random.random() < carried else 0.0)
        for node in random.choices(places, odds, k=total):
            key = (node.node_id, sku.sku_id)
            stock[key] = stock.get(key, 0) + 1
    return stock


def _capacity(
    places: Sequence[NodeFacts], territory: dict[int, float], weights: dict[int, float], orders: int, random: Random
) -> dict[int, int]:
    """Pieces of work per dealer and day: a third more than expected, with luck; our own places take any number."""
    found = {}
    for node in places:
        if node.dealer_id is not None:
            share = territory[node.node_id] * 0.6 if node.kind == "dealer" else weights[node.node_id] / 0.10 * 0.25
            found[node.dealer_id] = max(2, math.ceil(share * orders * 1.35 * random.lognormvariate(0, 0.4)))
    return found
