"""What routing would do with an order that nobody has placed, under any set of rules: asked, told, written nowhere."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q

from dealers.capacity.rules import left_of
from dealers.divisions import queries as divisions
from inventory.models import Sku
from orders.catalogue import queries as catalogue
from orders.catalogue.rules import Part
from orders.dispatch import queries as dispatch
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.promise.queries import CannotAsk, division_of, line_of
from orders.promise.rules import MOST_LINES, MOST_UNITS, Asked
from orders.routing import queries as routing
from orders.routing.models import RoutingDecision
from orders.routing.rules import Decision, RoutingTable, decide
from orders.routing.telling import explain
from orders.rulesets import queries as rulesets
from orders.rulesets.rules import SHANGHAI, RuleBook
from orders.scarcity import queries as scarcity
from orders.scarcity.rules import NOTHING_SCARCE
from orders.simulation import past
from orders.simulation.models import Simulation
from orders.simulation.rules import Due, Side, Stage, bursts
from orders.simulation.run import Run, print_of
from orders.simulation.savings import Saved, distance_first_fen
from orders.simulation.sketch import Sketch, Spot, sketch_of

UNDER_WAY = (Simulation.State.QUEUED, Simulation.State.RUNNING)


@dataclass(frozen=True, slots=True)
class Question:
    """One order as a person describes it; ruleset_id None asks the rules in force."""

    address: str
    channel: str
    lines: Sequence[Asked]
    shop: str = ""
    live_session: str = ""
    tags: frozenset[str] = frozenset()
    ruleset_id: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """The decision as it would be made, with all that is told about it."""

    rules: str
    region: str
    moment: datetime
    order: OrderToRoute
    decision: Decision
    told: list[str]
    sketch: Sketch | None


def trial(*, question: Question, at: datetime, moment: datetime | None = None) -> Trial:
    """Decide an order on the stock and the dealers' room of now as if it came at a moment (None: now); nothing is kept.

    Raises CannotAsk (what the question names is not known) and NotFound (the rule set).
    """
    moment = moment or at
    code = division_of(question.address, at)
    items = items_of({line.code for line in question.lines})
    order = order_of(question.lines, items, code, question.channel, moment, question.shop, question.live_session, question.tags)
    book = rulesets.published_book() if question.ruleset_id is None else rulesets.book_of(question.ruleset_id)
    table = routing.table_by(book, moment)
    stock = dispatch.stock_for([order], table, at)
    ladder, scarce = dispatch.ladder_for(order.channel), scarcity.scarcity(at)
    left = left_of(dispatch.days_for([order], table, at).values())
    decision = decide(
        order,
        table,
        stock.view(order.claims),
        ladder=ladder,
        at=moment,
        remaining=left,
        scarcity=scarce.units,
        work_prices=scarce.works,
    )
    told = explain(decision.trace, [package.as_dict() for package in decision.packages], decision.on_terms())
    return Trial(book.name, region_of(code), moment, order, decision, told, _sketch(order, table, decision))


def region_of(division_code: str) -> str:
    """A district by its names, the province first; its code where nobody knows it."""
    units = divisions.gazetteer().units
    codes = (f"{division_code[:2]}0000", f"{division_code[:4]}00", division_code)
    return "".join(units[code].name for code in dict.fromkeys(codes) if code in units) or division_code


def _sketch(order: OrderToRoute, table: RoutingTable, decision: Decision) -> Sketch | None:
    """Every place of the trace around the district; None where nobody knows where the district lies."""
    here = table.centroids.get(order.division_code)
    if here is None:
        return None
    terms = table.terms_for(order)
    nodes = {each.node.code: each.node for each in table.considered(order.division_code, order.channel, terms)}
    chosen = {package.node for package in decision.packages}
    spots = []
    for entry in decision.trace:
        look = "chosen" if entry["node"] in chosen else "fenced" if "fence" in entry else "able"
        spots.append(Spot(entry["name"], nodes[entry["node"]].lng, nodes[entry["node"]].lat, look))
    return sketch_of(here, spots)


@dataclass(frozen=True, slots=True)
class Items:
    """What some codes stand for: parts of something sold, or one SKU by its own code."""

    parts: dict[str, tuple[Part, ...]]
    skus: dict[int, Sku]


def items_of(codes: Collection[str]) -> Items:
    """Merchant codes as the catalogue knows them; other codes are taken for SKU codes. At most three statements."""
    parts = catalogue.parts_for(codes)
    own = {sku.code: sku for sku in Sku.objects.filter(code__in=set(codes) - parts.keys(), is_active=True)}
    parts |= {code: (Part(sku.pk, 1, 1),) for code, sku in own.items()}
    skus = Sku.objects.in_bulk({part.sku_id for some in parts.values() for part in some})
    return Items(parts, skus)


def order_of(
    lines: Sequence[Asked],
    items: Items,
    division_code: str,
    channel: str,
    at: datetime,
    shop: str = "",
    live_session: str = "",
    tags: frozenset[str] = frozenset(),
    number: int = 0,
    order_no: str = "",
) -> OrderToRoute:
    """An order that exists nowhere, combos taken apart. Raises CannotAsk, naming the line."""
    if not 1 <= len(lines) <= MOST_LINES:
        raise CannotAsk(f"请填写 1 到 {MOST_LINES} 行商品")
    wanted: list[LineToRoute] = []
    for sold, line in enumerate(lines, start=1):
        if not 1 <= line.quantity <= MOST_UNITS:
            raise CannotAsk(f"第 {sold} 行：数量应为 1 到 {MOST_UNITS} 的整数")
        if line.code not in items.parts:
            raise CannotAsk(f"第 {sold} 行：没有商品或 SKU {line.code[:40]}")
        for part in items.parts[line.code]:
            wanted.append(line_of(len(wanted), items.skus[part.sku_id], line.quantity * part.quantity, str(sold)))
    return OrderToRoute(
        number, order_no, channel, shop, division_code, "", 0, at, "", tuple(wanted), live_session=live_session, tags=tags
    )


def simulations_to_run(at: datetime) -> list[int]:
    """Ids of simulations that wait for a worker, or whose worker was not heard of any more; the oldest first."""
    waiting = Simulation.objects.filter(state__in=UNDER_WAY).filter(Q(leased_until=None) | Q(leased_until__lte=at))
    return list(waiting.order_by("id").values_list("id", flat=True))


def run_of(simulation: Simulation) -> Run:
    """A simulation as it stands after its last checkpoint; the same questions give the same run again.

    Raises RulesChanged for a draft that was edited since the last checkpoint.
    """
    dues = _dues(simulation)
    since = dues[0].at if dues else simulation.created_at
    until = dues[-1].at if dues else since
    skus = {line.sku_id for due in dues for line in due.order.lines if line.is_counted}
    numbers = {due.order.order_no for due in dues}
    opening = past.opening(sku_ids=skus, order_nos=numbers, since=since, until=until)
    live = routing.table_by(rulesets.book_of(simulation.live_set_id) if simulation.live_set_id else RuleBook(), since)
    draft = routing.table_by(rulesets.book_of(simulation.rule_set_id), since)
    capacity, won, scarce = past.days_of_all(since), past.won_before(since), scarcity.scarcity(since)
    ladders = {channel: dispatch.ladder_for(channel) for channel in {due.order.channel for due in dues}}
    stages = {
        side: Stage(
            side=side,
            base=draft if side is Side.DRAFT else live,
            opening=opening.shelf,
            capacity=capacity,
            ladder_for=ladders.__getitem__,
            seed=simulation.seed,
            has_refusals=simulation.has_refusals,
            won=won,
            scarce=scarce if side in (Side.DRAFT, Side.LIVE) else NOTHING_SCARCE,
        )
        for side in Side
    }
    names = {node.node_id: node.name for node in live.nodes}
    run = Run(list(bursts(dues)), stages, opening.changes, names, print_of(live.book, draft.book))
    run.restore(simulation.checkpoint, simulation.done)
    return run


def _dues(simulation: Simulation) -> list[Due]:
    if simulation.source == Simulation.Source.FILE:
        return _wanted(simulation)
    return past.orders_placed(
        since=simulation.placed_from or simulation.created_at,
        until=simulation.placed_to or simulation.created_at,
        channel=simulation.channel,
        limit=simulation.most_orders,
    )


def _wanted(simulation: Simulation) -> list[Due]:
    """The orders of a file, all at the moment at which it came."""
    items = items_of({code for _, _, _, _, lines in simulation.wanted for code, _ in lines})
    at, dues = simulation.created_at, []
    for number, (order_no, division, channel, session, lines) in enumerate(simulation.wanted, start=1):
        asked = [Asked(code, quantity) for code, quantity in lines]
        try:
            order = order_of(asked, items, division, channel, at, live_session=session, number=number, order_no=order_no)
        except CannotAsk:  # what was known when the file came is not sold any more
            continue
        dues.append(Due(order, at, region_of(division)))
    return dues


def savings(*, since: datetime, most_orders: int) -> dict[tuple[date, str], Saved]:
    """By day (Shanghai) and channel, what was decided against the nearest place first; the last orders, one statement."""
    routed = RoutingDecision.objects.filter(order__placed_at__gte=since, is_routable=True, fo_no="")
    columns = ("order_id", "order__placed_at", "order__channel", "cost_fen", "plan", "trace", "terms")
    found: dict[tuple[date, str], Saved] = {}
    seen: set[int] = set()
    for order_id, at, channel, cost_fen, plan, trace, terms in (
        routed.order_by("-order__placed_at", "-id").values_list(*columns)[:most_orders].iterator(500)
    ):
        if order_id in seen:  # decided again since: only the last decision stands
            continue
        seen.add(order_id)
        day = found.setdefault((at.astimezone(SHANGHAI).date(), channel), Saved())
        day.add(cost_fen, distance_first_fen(trace, plan, terms.get("split_fee_fen", 0)))
    return found
