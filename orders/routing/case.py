"""A routing question written down as one JSON object: read strictly, so that nobody's typing error is a rule. Pure.

Schema and example: docs/route_case.md. Every error is a GivenError that names the field.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dealers.acceptance.rules import ONE
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing import batch
from orders.routing.given import CODE_OR_NONE, DISTRICT, DIVISION, Given, GivenError, load, number, text, whole
from orders.routing.market import BatchTerms, OpenOrder, Placement
from orders.routing.rules import Rung
from orders.routing.shelves import Prices
from orders.routing.table import HQ, NEIGHBOUR, TERRITORY, Area, NodeFacts, RoutingTable
from orders.routing.written import BOOK, MOST_FEN, book, rule

MOST_BYTES = 4 << 20
MOST_NODES, MOST_ORDERS, MOST_LINES = 3000, 2000, 50
MOST_PAIRS = 200_000  # nodes × orders: each pair is an entry of the trace
AT = "2026-01-01T12:00:00+08:00"
EACH, BATCH = "each", "batch"
EFFORTS = {"first": batch.FIRST_COME, "quick": batch.QUICK, "redecide": batch.REDECIDE, "full": batch.FULL}


@dataclass(frozen=True, slots=True)
class Case:
    """The question in the words of routing, and the codes by which people know its numbers."""

    places: tuple[NodeFacts, ...]
    table: RoutingTable
    stock: dict[tuple[int, int], int]
    remaining: dict[int, int]
    orders: tuple[OpenOrder, ...]
    prices: Prices
    method: str
    terms: BatchTerms
    effort: batch.Effort
    at: datetime
    nodes: dict[int, str]
    dealers: dict[int, str]


def read(raw: bytes) -> Case:
    """The case of a file. Raises GivenError."""
    return _case(Given(load(raw, MOST_BYTES), "", {"nodes", "freight", "order", "orders", "rules"}))


class Numbers(dict[str, int]):
    """Codes of one kind and the numbers they get, from 1."""

    def __missing__(self, code: str) -> int:
        self[code] = len(self) + 1
        return self[code]


class Reading:
    """What has been read so far of a case; each step needs the ones before."""

    def __init__(self) -> None:
        self.nodes, self.dealers, self.skus = Numbers(), Numbers(), Numbers()
        self.places: list[NodeFacts] = []
        self.areas: list[Area] = []
        self.stock: dict[tuple[int, int], int] = {}
        self.remaining: dict[int, int] = {}
        self.answers: dict[int, tuple[int, int]] = {}
        self.shares: dict[int, tuple[int, int]] = {}

    def node(self, value: Any, path: str) -> None:
        """One place, and what is said there of its dealer."""
        known = ("code", "name", "kind", "dealer", "division", "lng", "lat", "is_open", "skills", "stock", *OF_DEALERS)
        given = Given(value, path, known)
        code = given.text("code")
        if code in self.nodes:
            raise GivenError(f"{given.at('code')}：{code} 重复")
        dealer = given.text("dealer") if given.has("dealer") else ""
        dealer_id = self.dealers[dealer] if dealer else None
        place = NodeFacts(
            node_id=self.nodes[code],
            code=code,
            name=given.text("name", default=code),
            kind=given.text("kind"),
            dealer_id=dealer_id,
            division_code=given.text("division", DISTRICT),
            lng=given.number("lng", -180, 180),
            lat=given.number("lat", -90, 90),
            is_open=given.flag("is_open", default=True),
            skills=frozenset(text(*row) for row in given.rows("skills", 100)),
            dealer_code=dealer,
            tier=given.text("tier", CODE_OR_NONE, ""),
        )
        self.places.append(place)
        for sku, units, at in given.pairs("stock"):
            self.stock[place.node_id, self.skus[text(sku, at)]] = whole(units, at, 0, MOST_FEN)
        if dealer_id is not None:
            self._dealer(dealer_id, given)
        elif said := next((name for name in OF_DEALERS if given.has(name)), ""):
            raise GivenError(f"{given.at(said)}：没有 dealer 的发货点不能有此字段")

    def _dealer(self, dealer_id: int, given: Given) -> None:
        for row in given.rows("areas", 5000):
            area = Given(*row, {"division", "is_territory", "channel"})
            territory, channel = area.flag("is_territory", default=True), area.text("channel", CODE_OR_NONE, "")
            self.areas.append(Area(dealer_id, area.text("division", DIVISION), territory, channel))
        if given.has("remaining"):
            self._say_once(self.remaining, dealer_id, given.whole("remaining", 0, MOST_FEN), given.at("remaining"))
        if given.has("answers"):
            answers = Given(given.of("answers"), given.at("answers"), {"accepted", "refused"})
            counts = answers.whole("accepted", 0, MOST_FEN), answers.whole("refused", 0, MOST_FEN)
            self._say_once(self.answers, dealer_id, counts, answers.path)
        if given.has("share"):
            share = Given(given.of("share"), given.at("share"), {"works", "of"})
            counts = share.whole("works", 0, MOST_FEN), share.whole("of", 0, MOST_FEN)
            self._say_once(self.shares, dealer_id, counts, share.path)

    @staticmethod
    def _say_once(said: dict[int, Any], dealer_id: int, value: Any, path: str) -> None:
        if said.setdefault(dealer_id, value) != value:
            raise GivenError(f"{path}：与同一经销商的另一发货点不一致")

    def order(self, number: int, ladder: tuple[Rung, ...], at: datetime, value: Any, path: str) -> OpenOrder:
        known = {"order_no", "channel", "shop", "live_session", "tags", "division", "lines", "refused", *ONLY_IN_BATCHES}
        given = Given(value, path, known)
        lines = tuple(self._line(index, *row) for index, row in enumerate(given.rows("lines", MOST_LINES, 1)))
        order = OrderToRoute(
            order_id=number,
            order_no=given.text("order_no", default=f"ORDER-{number}"),
            channel=given.text("channel"),
            shop=given.text("shop", CODE_OR_NONE, ""),
            division_code=given.text("division", DISTRICT),
            region="",
            paid_fen=0,
            paid_at=at,
            anchor="",
            lines=lines,
            live_session=given.text("live_session", CODE_OR_NONE, ""),
            tags=frozenset(text(*row) for row in given.rows("tags", 100)),
        )
        return OpenOrder(
            order=order,
            ladder=ladder,
            refused=frozenset(_known(self.dealers, *row) for row in given.rows("refused", MOST_NODES)),
            together=tuple(self._lines(group, where, len(lines)) for group, where in given.rows("together", MOST_LINES)),
            current=self._current(given, len(lines)),
            moves=given.whole("moves", 0, MOST_FEN, 0),
            is_accepted=given.flag("is_accepted", default=False),
        )

    def _line(self, index: int, value: Any, path: str) -> LineToRoute:
        given = Given(value, path, {"sku", "name", "quantity", "weight_g", "is_counted", "install_skill", "category", "bundle"})
        sku = given.text("sku")
        return LineToRoute(
            line_id=index,
            sku_id=self.skus[sku],
            sku_code=sku,
            name=given.text("name", default=sku),
            quantity=given.whole("quantity", 1, 100_000, 1),
            paid_fen=0,
            weight_g=given.whole("weight_g", 0, 10_000_000),
            is_counted=given.flag("is_counted", default=True),
            install_skill=given.text("install_skill", CODE_OR_NONE, ""),
            category=given.text("category", CODE_OR_NONE, ""),
            supply_price_fen=0,
            bundle=given.text("bundle", CODE_OR_NONE, ""),
        )

    def _current(self, given: Given, count: int) -> tuple[Placement, ...]:
        found: list[Placement] = []
        for row in given.rows("current", MOST_LINES):
            placed = Given(*row, {"node", "lines"})
            node_id = _known(self.nodes, placed.of("node"), placed.at("node"))
            lines = self._lines(placed.of("lines"), placed.at("lines"), count)
            if any(node_id == other.node_id or set(lines) & set(other.line_indexes) for other in found):
                raise GivenError(f"{placed.path}：发货点或商品行重复")
            found.append(Placement(node_id, lines))
        return tuple(found)

    @staticmethod
    def _lines(value: Any, path: str, count: int) -> tuple[int, ...]:
        """Positions of lines, from 0."""
        if not isinstance(value, list) or not value:
            raise GivenError(f"{path}：应为商品行位置（从 0 起）的数组")
        found = {whole(index, f"{path}[{number}]", 0, count - 1) for number, index in enumerate(value)}
        if len(found) < len(value):
            raise GivenError(f"{path}：商品行重复")
        return tuple(sorted(found))


OF_DEALERS = ("areas", "remaining", "answers", "share", "tier")
ONLY_IN_BATCHES = ("together", "current", "moves", "is_accepted")
RULES = (*BOOK, "ageing", "ladder", "centroids", "method", "terms", "effort", "scarcity", "work_prices", "at")


def _case(given: Given) -> Case:
    reading = Reading()
    for value, path in given.rows("nodes", MOST_NODES, 1):
        reading.node(value, path)
    rules = Given(given.value.get("rules", {}), "rules", RULES)
    method, at, ladder = rules.one_of("method", (EACH, BATCH), EACH), _time(rules), _ladder(rules)
    orders = tuple(reading.order(number, ladder, at, value, path) for number, (value, path) in enumerate(_asked(given), start=1))
    _check_orders(orders, len(reading.places), method)
    table = RoutingTable(
        nodes=reading.places,
        areas=reading.areas,
        book=book(given, rules),
        at=at,
        centroids={text(code, path, DIVISION): _point(value, path) for code, value, path in rules.pairs("centroids")},
        answers={dealer_id: (ONE * yes, ONE * no) for dealer_id, (yes, no) in reading.answers.items()},
        shares=reading.shares,
        ageing={
            (node_id, sku_id): fen for sku_id, here in _fen(rules, "ageing", reading).items() for node_id, fen in here.items()
        },
    )
    return Case(
        places=tuple(reading.places),
        table=table,
        stock=reading.stock,
        remaining=reading.remaining,
        orders=orders,
        prices=_prices(rules, reading),
        method=method,
        terms=rule(BatchTerms, rules.value.get("terms", {}), "rules.terms"),
        effort=EFFORTS[rules.one_of("effort", EFFORTS, "full")],
        at=at,
        nodes={number: code for code, number in reading.nodes.items()},
        dealers={number: code for code, number in reading.dealers.items()},
    )


def _asked(given: Given) -> Iterator[tuple[Any, str]]:
    if given.has("order") == given.has("orders"):
        raise GivenError("order、orders：须有且只有一个")
    return iter([(given.of("order"), "order")]) if given.has("order") else given.rows("orders", MOST_ORDERS, 1)


def _check_orders(orders: tuple[OpenOrder, ...], places: int, method: str) -> None:
    if len(orders) * places > MOST_PAIRS:
        raise GivenError(f"orders：发货点数 × 订单数不得超过 {MOST_PAIRS}")
    numbers: set[str] = set()
    for asked in orders:
        if asked.order.order_no in numbers:
            raise GivenError(f"orders：订单号 {asked.order.order_no} 重复")
        numbers.add(asked.order.order_no)
        if method == EACH and (asked.together or asked.current or asked.moves or asked.is_accepted):
            raise GivenError(f"orders：订单 {asked.order.order_no} 的 {'、'.join(ONLY_IN_BATCHES)} 只用于 rules.method = {BATCH}")


def _ladder(rules: Given) -> tuple[Rung, ...]:
    if not rules.has("ladder"):
        return tuple(Rung(position, target, 60, 3) for position, target in enumerate((TERRITORY, NEIGHBOUR, HQ), start=1))
    found = []
    for position, row in enumerate(rules.rows("ladder", 10), start=1):
        rung = Given(*row, {"target", "seconds", "max_offers"})
        target = rung.one_of("target", (TERRITORY, NEIGHBOUR, HQ), "")
        found.append(Rung(position, target, rung.whole("seconds", 1, 86_400, 60), rung.whole("max_offers", 1, 1000, 3)))
    return tuple(found)


def _time(rules: Given) -> datetime:
    said = rules.text("at", default=AT)
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        at = datetime.min  # noqa: DTZ901 - has no zone, so it is refused below
    if at.tzinfo is None:
        raise GivenError(f"{rules.at('at')}：应为带时区的 ISO 8601 时间")
    return at


def _point(value: Any, path: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise GivenError(f"{path}：应为 [经度, 纬度]")
    return number(value[0], f"{path}[0]", -180, 180), number(value[1], f"{path}[1]", -90, 90)


def _prices(rules: Given, reading: Reading) -> Prices:
    works = {
        _known(reading.dealers, dealer, path): whole(value, path, 0, MOST_FEN)
        for dealer, value, path in rules.pairs("work_prices")
    }
    return Prices(_fen(rules, "scarcity", reading), works)


def _fen(rules: Given, name: str, reading: Reading) -> dict[int, dict[int, int]]:
    """Fen per unit, by SKU and node."""
    found: dict[int, dict[int, int]] = {}
    for row in rules.rows(name, MOST_PAIRS):
        given = Given(*row, {"node", "sku", "fen"})
        here = found.setdefault(_known(reading.skus, given.of("sku"), given.at("sku")), {})
        node_id = _known(reading.nodes, given.of("node"), given.at("node"))
        if node_id in here:
            raise GivenError(f"{given.path}：重复")
        here[node_id] = given.whole("fen", 0, MOST_FEN)
    return found


def _known(numbers: Numbers, value: Any, path: str) -> int:
    code = text(value, path)
    if code not in numbers:
        raise GivenError(f"{path}：没有 {code}")
    return numbers[code]
