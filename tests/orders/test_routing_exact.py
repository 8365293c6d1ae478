"""Every plan is the best of all plans to the fen, whatever the rules say; batches agree with single decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import time
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.batch import FIRST_COME, FULL, route_batch
from orders.routing.market import OpenOrder
from orders.routing.partition import UNREACHABLE, cheapest_partition, indexes_of
from orders.routing.rules import Area, Decision, NodeFacts, RoutingTable, Rung, decide, decided_as
from orders.routing.table import Candidate, risk_fen
from orders.routing.telling import COMPONENT_TEXT, explain, explain_to_dealer
from orders.rulesets.rules import (
    SHANGHAI,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderScope,
    OrderTerms,
    PromiseClass,
    Quota,
    RuleBook,
    ShipCalendar,
    Unroutable,
    Where,
)
from tests.conftest import NOON

AREA, HERE = "320506", (120.63, 31.26)
SKILLS = ("install:furniture", "install:appliance")
LADDER = (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 90, 2), Rung(3, "hq", 60, 1))


@dataclass(frozen=True)
class Question:
    """An order with all that a decision depends on."""

    order: OrderToRoute
    table: RoutingTable
    stock: dict[tuple[int, int], int]
    remaining: dict[int, int]
    scarcity: dict[tuple[int, int], int]

    @property
    def terms(self) -> OrderTerms:
        return self.table.terms_for(self.order)

    def decided(self) -> Decision:
        return decide(
            self.order, self.table, self.stock, ladder=LADDER, at=NOON, remaining=self.remaining, scarcity=self.scarcity
        )


def line(number: int, sku_id: int, quantity: int, **fields: Any) -> LineToRoute:
    values = {"weight_g": 1000, "is_counted": True, "install_skill": "", "category": "furniture", "supply_price_fen": 0} | fields
    return LineToRoute(number, sku_id, f"S{sku_id}", f"商品{sku_id}", quantity, 0, **values)


# The best of all plans, by trying them all, priced from the book alone.


def may(each: Candidate, terms: OrderTerms, book: RuleBook) -> bool:
    node, promise = each.node, terms.promise
    groups = book.groups_of(code=node.code, kind=node.kind, division_code=node.division_code, tier=node.tier)
    rate = book.freight_for(kind=node.kind, groups=groups, division_code=AREA)
    return not (
        rate is None
        or each.km > rate.max_km
        or (terms.max_km is not None and each.km > terms.max_km)
        or (terms.only_groups and not groups & terms.only_groups)
        or groups & terms.never_groups
        or (terms.same_province and not node.division_code.startswith(AREA[:2]))
        or (promise.kinds and node.kind not in promise.kinds)
        or (promise.max_km is not None and each.km > promise.max_km)
        or (promise.is_hard and days(each, book) > promise.days)
    )


def days(each: Candidate, book: RuleBook) -> int:
    node = each.node
    groups = book.groups_of(code=node.code, kind=node.kind, division_code=node.division_code, tier=node.tier)
    rate = book.freight_for(kind=node.kind, groups=groups, division_code=AREA)
    calendar = book.calendar_for(kind=node.kind, groups=groups, division_code=node.division_code)
    assert rate is not None
    return rate.base_days + (each.km + rate.km_per_day - 1) // rate.km_per_day + (calendar.wait_days(NOON) if calendar else 0)


def price(each: Candidate, mine: Sequence[LineToRoute], terms: OrderTerms, asked: Question) -> int | None:
    """What these lines cost in one package from there; None where the place cannot do them."""
    node, book, table = each.node, asked.table.book, asked.table
    groups = book.groups_of(code=node.code, kind=node.kind, division_code=node.division_code, tier=node.tier)
    rate = book.freight_for(kind=node.kind, groups=groups, division_code=AREA)
    assert rate is not None
    cost = 0
    for sku_id in {one.sku_id for one in mine if one.is_counted}:
        needed = sum(one.quantity for one in mine if one.sku_id == sku_id and one.is_counted)
        if needed > asked.stock.get((node.node_id, sku_id), 0):
            return None
        cost += needed * asked.scarcity.get((node.node_id, sku_id), 0) - needed * table.ageing.get((node.node_id, sku_id), 0)
    for one in mine:
        if one.install_skill:
            if node.dealer_id and one.install_skill not in node.skills:
                return None
            place: dict[str, Any] = {"kind": node.kind, "groups": groups, "division_code": AREA}
            cost += one.quantity * book.install_fen(**place, skill=one.install_skill)
    over = max(0, sum(one.weight_g * one.quantity for one in mine if one.is_counted) - rate.first_weight_g)
    cost += rate.first_fen + (over + rate.step_weight_g - 1) // rate.step_weight_g * rate.step_fen + each.km * rate.km_fen
    cost += terms.late_fen_per_day * max(0, days(each, book) - terms.promise.days)
    cost += terms.cross_region_fen if each.target == "neighbour" else 0
    if node.dealer_id:
        cost += risk_fen(terms.refusal_cost_fen, *table.answers.get(node.dealer_id, (0, 0)))
        cost += {"D1": 3 * 130, "D2": 0}.get(node.dealer_code, 0) if book.quotas else 0
    return cost


def in_one_place(lines: Sequence[LineToRoute], terms: OrderTerms) -> list[tuple[int, int]]:
    pairs = []
    for one, other in product(range(len(lines)), repeat=2):
        if lines[one].bundle and lines[one].bundle == lines[other].bundle:
            if terms.keeps_bundles:
                pairs.append((one, other))
            elif terms.keeps_installation and not lines[one].is_counted and lines[other].is_counted:
                goods = [at for at, each in enumerate(lines) if each.is_counted and each.bundle == lines[one].bundle]
                like = [at for at in goods if lines[at].category == lines[one].category]
                if other == (like or goods)[0]:
                    pairs.append((one, other))
    return pairs


def best_of_all(asked: Question, terms: OrderTerms, targets: Sequence[str] = ("territory", "neighbour", "hq")) -> Any:
    """(rung, cost) of the best of all ways to give every line to a place."""
    lines, table = asked.order.lines, asked.table
    pairs = in_one_place(lines, terms)
    for rung in range(1, len(targets) + 1):
        places = [
            each
            for each in table.considered(AREA, "doudian", terms)
            if each.target in targets[:rung]
            and may(each, terms, table.book)
            and asked.remaining.get(each.node.dealer_id or 0, 1) > 0
        ]
        prices: dict[tuple[int, tuple[int, ...]], int | None] = {}
        costs = []
        for choice in product(range(len(places)), repeat=len(lines)):
            used = sorted(set(choice))
            dealers = [places[number].node.dealer_id for number in used]
            if terms.max_packages and len(used) > terms.max_packages or any(choice[a] != choice[b] for a, b in pairs):
                continue
            if any(dealer and dealers.count(dealer) > asked.remaining.get(dealer, 9) for dealer in dealers):
                continue
            cost: int | None = terms.split_fee_fen * (len(used) - 1)
            for number in used:
                mine = tuple(index for index, where in enumerate(choice) if where == number)
                if (number, mine) not in prices:
                    prices[number, mine] = price(places[number], [lines[index] for index in mine], terms, asked)
                more = prices[number, mine]
                cost = None if cost is None or more is None else cost + more
            if cost is not None:
                costs.append(cost)
        if costs:
            return (rung if len(targets) > 1 else 3), min(costs)
    return None


def expected(asked: Question) -> Any:
    found = best_of_all(asked, asked.terms)
    if found is None and asked.terms.on_unroutable is Unroutable.SPLIT:
        return best_of_all(asked, replace(asked.terms, max_packages=None, keeps_bundles=False, keeps_installation=False))
    if found is None and asked.terms.on_unroutable is Unroutable.HQ:
        promise = replace(asked.terms.promise, is_hard=False, max_km=None, kinds=frozenset())
        free = replace(asked.terms, promise=promise, max_km=None, only_groups=frozenset(), never_groups=frozenset())
        return best_of_all(asked, replace(free, same_province=False), targets=("hq",))
    return found


# Questions of all kinds.

GROUPS = (NodeGroup("gold", "金牌", tiers=frozenset({"gold"})), NodeGroup("two", "二号", nodes=frozenset({"N2", "N3"})))
CALENDARS = (
    ShipCalendar(Where(kind="store"), cutoff=time(NOON.astimezone(SHANGHAI).hour)),
    ShipCalendar(Where(group="gold"), holidays=frozenset({NOON.astimezone(SHANGHAI).date()})),
)
PROMISES = (
    PromiseClass(),
    PromiseClass(days=1),
    PromiseClass("fast", "次日达", days=2, is_hard=True),
    PromiseClass("hour", "小时达", days=9, max_km=300, kinds=frozenset({"store", "hq"})),
)


@st.composite
def terms(draw: st.DrawFn, is_tight: bool) -> OrderTerms:
    fences: dict[str, Any] = {}
    if not is_tight:
        fences = draw(
            st.sampled_from(
                [
                    {},
                    {},
                    {"only_groups": frozenset({"gold"})},
                    {"never_groups": frozenset({"two"})},
                    {"same_province": True},
                    {"max_km": 500},
                ]
            )
        ) | {"promise": draw(st.sampled_from(PROMISES))}
    return OrderTerms(
        split_fee_fen=draw(st.integers(0, 4000)),
        max_packages=draw(st.sampled_from([None, None, 1, 2, 3])),
        keeps_bundles=draw(st.booleans()),
        keeps_installation=draw(st.booleans()),
        on_unroutable=draw(st.sampled_from(list(Unroutable))),
        **fences,
    )


@st.composite
def books(draw: st.DrawFn, is_tight: bool) -> RuleBook:
    step = draw(st.integers(0, 900))
    rates = [
        FreightRate(
            Where(kind=kind, group=group, division=division),
            step + draw(st.integers(0, 900)),
            draw(st.integers(0, 4000)),
            step_fen=step,
            km_fen=draw(st.integers(0, 4)),
            km_per_day=300,
            max_km=draw(st.sampled_from([5000] if is_tight else [600, 5000])),
        )
        for kind, group, division in (("", "", ""), ("hq", "", "32"), ("", "gold", "3205"))
    ]
    installs = [
        InstallRate(Where(), "", 4000),
        InstallRate(Where(division="32"), SKILLS[1], 900),
        InstallRate(Where("two"), "", 100),
    ]
    covers = OrderScope(channels=frozenset({draw(st.sampled_from(["doudian", "shop"]))}))
    return RuleBook(
        default=draw(terms(is_tight)),
        order_rules=((covers, draw(terms(is_tight))),),
        groups=GROUPS,
        freight=tuple(rates if draw(st.booleans()) else rates[:1]),
        installs=tuple(installs),
        calendars=CALENDARS if draw(st.booleans()) else (),
        quotas=(Quota("D1", 40, 130), Quota("D2", 60, 999)) if draw(st.booleans()) else (),
    )


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Half of them are tight: nobody is fenced, goods there or not, so that fees and limits decide."""
    is_tight = draw(st.booleans())
    count = draw(st.integers(3 if is_tight else 1, 4))
    nodes = []
    for number in range(1, count + 1):
        dealer_id = draw(st.sampled_from([1, 1, 2, number] if is_tight else [1, 2, number, None]))
        kind = draw(st.sampled_from(["dealer", "store"])) if dealer_id else "hq"
        skills = draw(
            st.sampled_from([frozenset(SKILLS)] if is_tight else [frozenset(SKILLS), frozenset(SKILLS[:1]), frozenset()])
        )
        home, tier = draw(st.sampled_from(["320506", "330102"])), draw(st.sampled_from(["gold", "silver"]))
        lng = HERE[0] + draw(st.integers(0, 8))
        place = (number, f"N{number}", f"发货点{number}", kind, dealer_id, home, lng, HERE[1], True, skills)
        nodes.append(NodeFacts(*place, dealer_code=f"D{dealer_id}", tier=tier))
    lines = tuple(
        line(
            number,
            number if is_tight else draw(st.integers(1, 4)),
            draw(st.integers(1, 3)),
            weight_g=draw(st.integers(0, 4000)),
            install_skill=draw(st.sampled_from(["", "", *SKILLS])),
            is_counted=draw(st.sampled_from([True, True, True, False])),
            bundle=draw(st.sampled_from(["", "a", "b"])),
            category=draw(st.sampled_from(["furniture", "appliance"])),
        )
        for number in range(1, 1 + draw(st.integers(3 if is_tight else 1, 4)))
    )
    neighbours = set() if is_tight else draw(st.sets(st.integers(1, 4)))
    places = st.tuples(st.integers(1, 4), st.integers(1, 4))
    table = RoutingTable(
        nodes=nodes,
        areas=[Area(dealer_id, AREA, dealer_id not in neighbours) for dealer_id in range(1, 5)],
        book=draw(books(is_tight)),
        centroids={AREA: HERE},
        answers={number: (draw(st.integers(0, 30_000)), draw(st.integers(0, 9000))) for number in range(1, 4)},
        at=NOON,
        shares={1: (43, 99), 2: (56, 99)},
        ageing=draw(st.dictionaries(places, st.integers(1, 3000), max_size=3)),
    )
    return Question(
        OrderToRoute(1, "DD1", "doudian", "1", AREA, "", 0, NOON, "", lines),
        table,
        {
            (node.node_id, sku): draw(st.sampled_from([0, 9, 9]) if is_tight else st.integers(0, 6))
            for node in nodes
            for sku in range(1, 5)
        },
        draw(
            st.sampled_from([{}, {1: 1}, {1: 2}, {1: 1, 2: 1}])
            if is_tight
            else st.dictionaries(st.integers(1, 4), st.integers(0, 2))
        ),
        draw(st.dictionaries(places, st.integers(0, 3000), max_size=3)),
    )


@settings(max_examples=150, deadline=None)
@given(questions())
def test_the_plan_is_the_best_of_all_plans_to_the_fen(asked: Question) -> None:
    decision = asked.decided()
    assert ((decision.ladder_step, decision.cost_fen) if decision.is_routable else None) == expected(asked)
    assert decision == asked.decided()
    sums_up(asked, decision)


def sums_up(asked: Question, decision: Decision) -> None:
    """Components sum to the score, one row per candidate, each with a fence or a cost; sentences for all of them."""
    assert [entry["node"] for entry in decision.trace] == [
        each.node.code for each in asked.table.considered(AREA, "doudian", decision.terms)
    ]
    for entry in decision.trace:
        assert ("fence" in entry) or ("cost_fen" in entry)
        assert sum(entry.get("breakdown", {}).values()) == entry.get("cost_fen", 0)
        assert set(entry.get("breakdown", COMPONENT_TEXT)) == set(COMPONENT_TEXT)
    if decision.is_routable:
        lines = sorted(index for each in decision.packages for index in each.line_indexes)
        assert lines == list(range(len(asked.order.lines)))
        assert all(sum(each.breakdown.values()) == each.cost_fen for each in decision.packages)
        fee = decision.terms.split_fee_fen * (len(decision.packages) - 1)
        assert decision.cost_fen == sum(each.cost_fen for each in decision.packages) + fee
        assert len({each.node_id for each in decision.packages}) == len(decision.packages)
        whole = [
            entry["cost_fen"]
            for entry in decision.trace
            if "fence" not in entry and "missing" not in entry and [entry["node"]] != [each.node for each in decision.packages]
        ]
        assert decision.runner_up_fen == min(whole, default=None)
        assert bool(decision.reasons) == bool(decision.relaxed)
    else:
        assert decision.reasons
    plan = [each.as_dict() for each in decision.packages]
    assert len(explain(decision.trace, plan, decision.on_terms())) >= len(decision.trace)
    for dealer_id in (1, 2, 3, 4):
        told = "".join(explain_to_dealer(decision.trace, plan, dealer_id))
        others = [entry for entry in decision.trace if entry["dealer"] != dealer_id]
        assert not any(entry["name"] in told or entry["node"] in told for entry in others)
        assert "元" not in told


@settings(max_examples=150, deadline=None)
@given(questions())
def test_a_batch_of_one_and_a_plan_made_elsewhere_cost_what_the_decision_says(asked: Question) -> None:
    asked = replace(asked, scarcity={})
    decision = asked.decided()
    for effort in (FIRST_COME, FULL):
        (placed,) = route_batch(
            [OpenOrder(asked.order, LADDER)], asked.table, asked.stock, remaining=asked.remaining, effort=effort
        ).placed
        assert (bool(placed.placements), placed.is_relaxed) == (decision.is_routable, bool(decision.relaxed))
        assert placed.cost_fen == decision.cost_fen
        again = decided_as(
            asked.order, asked.table, asked.stock, {each.node_id: each.line_indexes for each in placed.placements},
            ladder=LADDER, remaining=asked.remaining, is_relaxed=placed.is_relaxed,
        )  # fmt: skip
        assert (again.cost_fen, again.ladder_step, again.relaxed) == (decision.cost_fen, decision.ladder_step, decision.relaxed)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_eight_units_in_so_many_packages_are_still_exact(data: st.DataObject) -> None:
    """Three places and eight lines: 6,561 ways to share them."""
    asked = data.draw(questions())
    most = data.draw(st.sampled_from([1, 2, 3]))
    nodes = [
        NodeFacts(
            number, f"N{number}", f"发货点{number}", "dealer", number, AREA, HERE[0] + number, HERE[1], skills=frozenset(SKILLS)
        )
        for number in (1, 2, 3)
    ]
    weights = data.draw(st.lists(st.integers(0, 3000), min_size=8, max_size=8))
    stock = {(number, sku): data.draw(st.sampled_from([0, 3, 3])) for number in (1, 2, 3) for sku in range(1, 9)}
    lines = tuple(line(number, number, 1, weight_g=weight) for number, weight in enumerate(weights, start=1))
    book = replace(
        asked.table.book, default=OrderTerms(split_fee_fen=300, max_packages=most), order_rules=(), groups=(), calendars=()
    )
    table = RoutingTable(
        nodes=nodes,
        areas=[Area(number, AREA, True) for number in (1, 2, 3)],
        book=book,
        centroids={AREA: HERE},
        answers={},
        at=NOON,
    )
    wide = Question(replace(asked.order, lines=lines), table, stock, {}, {})
    decision = wide.decided()
    assert (decision.cost_fen if decision.is_routable else None) == ((best_of_all(wide, wide.terms) or (0, None))[1])


@settings(max_examples=60, deadline=None)
@given(questions(), st.data())
def test_batches_grow_large_orders_as_single_decisions_do(asked: Question, data: st.DataObject) -> None:
    """Above eight units nobody looks at every partition, but both do the same."""
    lines = tuple(line(number, number, 1, weight_g=data.draw(st.integers(0, 4000))) for number in range(1, 11))
    stock = {(number, sku): data.draw(st.sampled_from([0, 1])) for number in range(1, 5) for sku in range(1, 11)}
    wide = replace(asked, order=replace(asked.order, lines=lines), stock=stock, scarcity={})
    decision = wide.decided()
    (placed,) = route_batch(
        [OpenOrder(wide.order, LADDER)], wide.table, stock, remaining=wide.remaining, effort=FIRST_COME
    ).placed  # fmt: skip
    assert (bool(placed.placements), placed.cost_fen) == (decision.is_routable, decision.cost_fen)
    sums_up(wide, decision)


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 4), st.data())
def test_the_cheapest_partition_is_the_cheapest_of_all_partitions(units: int, data: st.DataObject) -> None:
    """With units left out at a price, and with a limit of packages."""
    size = 1 << units
    best = [0, *data.draw(st.lists(st.one_of(st.integers(-50, 500), st.just(UNREACHABLE)), min_size=size - 1, max_size=size - 1))]
    waived = data.draw(st.lists(st.integers(0, 300), min_size=units, max_size=units))
    fee, most = data.draw(st.integers(0, 60)), data.draw(st.sampled_from([None, 1, 2, 3]))

    def ways(left: int, packages: int) -> Any:
        """(packages, cost) of every way to share what is left."""
        if not left:
            yield packages, 0
            return
        low = left & -left
        yield from ((count, cost + waived[low.bit_length() - 1]) for count, cost in ways(left ^ low, packages))
        for sub in range(1, left + 1):
            if sub & low and sub & left == sub and packages != most:
                for count, cost in ways(left ^ sub, packages + 1):
                    yield count, cost + best[sub]

    cheapest = min(cost + fee * max(0, count - 1) for count, cost in ways(size - 1, 0))
    total, packages = cheapest_partition(best, fee, waived, most)
    left_out = [unit for unit in range(units) if not any(unit in indexes_of(mask) for mask in packages)]
    assert total == cheapest
    assert total == sum(best[mask] for mask in packages) + fee * max(0, len(packages) - 1) + sum(
        waived[unit] for unit in left_out
    )
    assert most is None or len(packages) <= most
