"""The plan of one order is the true optimum: five hundred random orders against a solver of integer programmes."""

from collections.abc import Sequence
from random import Random

import pytest

from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.routing.batch import route_batch
from orders.routing.market import OpenOrder
from orders.routing.rules import Area, NodeFacts, RoutingTable, Rung, decide
from orders.routing.shelves import Prices
from orders.routing.table import Candidate
from orders.rulesets.rules import FreightRate, InstallRate, OrderTerms, PromiseClass, RuleBook, Where
from tests.conftest import NOON

highspy = pytest.importorskip("highspy")
numpy = pytest.importorskip("numpy")
AREA, CHANNEL = "320506", "doudian"
SKILLS = ("install:furniture", "install:appliance")
LADDER = (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 60, 2), Rung(3, "hq", 60, 1))
KINDS = ("hq", "dealer", "store")


class Question:
    """A random order with all that a decision of it depends on; the same for the same number."""

    def __init__(self, number: int) -> None:
        random = Random(number)
        count = random.randint(2, 7)
        skus = range(1, random.randint(2, 8))  # fewer than lines: some lines share one
        nodes, areas = [], []
        for node_id in range(1, count + 1):
            dealer_id = None if random.random() < 0.2 else random.randint(1, count)  # some have several places
            skills = frozenset(skill for skill in SKILLS if random.random() < 0.7)
            place = (120 + random.random() * 4, 30 + random.random() * 3)
            kind = random.choice(KINDS[1:]) if dealer_id else "hq"
            nodes.append(NodeFacts(node_id, f"N{node_id}", f"N{node_id}", kind, dealer_id, AREA, *place, True, skills))
            if dealer_id and random.random() < 0.9:
                areas.append(Area(dealer_id, AREA, random.random() < 0.5))
        freight = tuple(self._freight(random, kind) for kind in KINDS)
        fees = [(kind, random.choice(("", *SKILLS)), random.randrange(9000)) for kind in KINDS * 2]
        installs = tuple(InstallRate(Where(kind=kind), skill, fee_fen) for kind, skill, fee_fen in fees)
        self.terms = OrderTerms(
            split_fee_fen=random.choice((0, 50, 600, 3000)),
            promise=PromiseClass(days=random.randint(1, 3)),
            max_packages=random.choice((None, None, 1, 2, 3)),
        )
        answers = {number: (random.randrange(50), random.randrange(20)) for number in range(1, count)}
        self.table = RoutingTable(
            nodes=nodes,
            areas=areas,
            book=RuleBook(default=self.terms, freight=freight, installs=installs),
            centroids={AREA: (122, 31)},
            answers=answers,
            at=NOON,
            ageing={key: random.randrange(900) for key in ((1, 1), (2, 2), (3, 1)) if random.random() < 0.5},
        )
        lines = tuple(self._line(random, index, random.choice(skus)) for index in range(random.randint(1, 8)))
        self.order = OrderToRoute(number, "DD", CHANNEL, "1", AREA, "", 0, NOON, "", lines)
        self.stock = {
            (node.node_id, sku): random.choice((0, 1, 2, 4, 9)) for node in nodes for sku in skus if random.random() < 0.85
        }
        self.refused = frozenset(random.sample(range(1, count + 1), random.choice((0, 0, 1))))
        self.remaining = {random.randint(1, count): random.choice((0, 9))}
        is_priced = random.random() < 0.5
        self.scarcity = {key: random.randrange(3000) for key in self.stock if is_priced and random.random() < 0.3}
        self.works = {number: random.randrange(2000) for number in range(1, count) if is_priced and random.random() < 0.5}
        self.ladder = LADDER[random.choice((0, 0, 0, 1)) :]

    @staticmethod
    def _freight(random: Random, kind: str) -> FreightRate:
        step_fen = random.randrange(900)
        return FreightRate(
            Where(kind=kind),
            first_fen=step_fen + random.randrange(1500),
            first_weight_g=random.choice((500, 1000, 3000)),
            step_weight_g=random.choice((500, 1000)),
            step_fen=step_fen,
            km_fen=random.randint(0, 5),
            base_days=random.randint(0, 2),
            km_per_day=random.choice((100, 300)),
            max_km=random.choice((200, 2000, 2000)),
        )

    @staticmethod
    def _line(random: Random, index: int, sku_id: int) -> LineToRoute:
        skill = random.choice(("", "", *SKILLS))
        quantity, weight_g = random.choice((1, 1, 1, 2, 3)), random.randrange(10, 20_000, 10)
        return LineToRoute(index, sku_id, f"S{sku_id}", f"S{sku_id}", quantity, 0, weight_g, random.random() < 0.9, skill, "", 0)

    def open_places(self) -> dict[int, list[Candidate]]:
        """Who may have anything at all, by rung."""
        found: dict[int, list[Candidate]] = {}
        for place in self.table.considered(AREA, CHANNEL):
            dealer_id = place.node.dealer_id
            rung = next((rung.position for rung in self.ladder if rung.target == place.target), 0)
            is_out = dealer_id is not None and (dealer_id in self.refused or self.remaining.get(dealer_id, 1) <= 0)
            if rung and place.fence is None and not is_out:
                found.setdefault(rung, []).append(place)
        return found

    def optimum(self) -> tuple[int, int] | None:
        """(position of the rung, cost in fen) by integer programming; the first rung that can do it all."""
        by_rung, allowed = self.open_places(), []
        for rung in sorted(by_rung):
            allowed += by_rung[rung]
            cost = Programme(self, allowed).solve()
            if cost is not None:
                return rung, cost
        return None


class Programme:
    """min Σ (base + fee) y + step s + Σ (installation + scarcity) x, each line once, as stock and skills allow."""

    def __init__(self, question: Question, places: Sequence[Candidate]) -> None:
        self.question, self.places = question, places
        self.costs: list[float] = []
        self.tops: list[float] = []
        self.rows: list[tuple[float, float, dict[int, float]]] = []
        self.uses = [self._column(self._opening_fen(place), 1) for place in places]
        self.steps = [self._column(place.tariff.step_fen, highspy.kHighsInf) for place in places]
        self.given: dict[tuple[int, int], int] = {}
        for number, place in enumerate(places):
            self._goods(number, place)
        if question.terms.max_packages is not None:
            self.rows.append((-highspy.kHighsInf, question.terms.max_packages, dict.fromkeys(self.uses, 1.0)))
        for index in range(len(question.order.lines)):
            mine = {column: 1.0 for (_, line), column in self.given.items() if line == index}
            self.rows.append((1, 1, mine))

    def _column(self, cost: float, top: float) -> int:
        self.costs.append(cost)
        self.tops.append(top)
        return len(self.costs) - 1

    def _opening_fen(self, place: Candidate) -> int:
        return place.base_fen + self.question.works.get(place.node.dealer_id or 0, 0) + self.question.terms.split_fee_fen

    def _goods(self, number: int, place: Candidate) -> None:
        question, node = self.question, place.node
        weighs: dict[int, float] = {self.steps[number]: -place.tariff.step_weight_g}
        takes: dict[int, dict[int, float]] = {}
        for index, line in enumerate(question.order.lines):
            if line.install_skill and node.dealer_id is not None and line.install_skill not in node.skills:
                continue
            tariff, key = place.tariff, (node.node_id, line.sku_id)
            price = tariff.fees.get(line.install_skill, tariff.install_fen) * line.quantity if line.install_skill else 0
            if line.is_counted:
                price += (question.scarcity.get(key, 0) - question.table.ageing.get(key, 0)) * line.quantity
            column = self.given[number, index] = self._column(price, 1)
            self.rows.append((-highspy.kHighsInf, 0, {column: 1, self.uses[number]: -1}))
            if line.is_counted:
                weighs[column] = line.weight_g * line.quantity
                takes.setdefault(line.sku_id, {})[column] = line.quantity
        self.rows.append((-highspy.kHighsInf, place.tariff.first_weight_g, weighs))
        for sku_id, units in takes.items():
            self.rows.append((-highspy.kHighsInf, question.stock.get((node.node_id, sku_id), 0), units))

    def solve(self) -> int | None:
        """The least cost in fen, counted again in whole numbers; None when it cannot be done."""
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.costs), len(self.rows)
        model.col_cost_ = numpy.array(self.costs, float)
        model.col_lower_, model.col_upper_ = numpy.zeros(len(self.costs)), numpy.array(self.tops, float)
        model.row_lower_ = numpy.array([row[0] for row in self.rows], float)
        model.row_upper_ = numpy.array([row[1] for row in self.rows], float)
        model.integrality_ = [highspy.HighsVarType.kInteger] * len(self.costs)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = numpy.cumsum([0] + [len(row[2]) for row in self.rows], dtype=numpy.int32)
        model.a_matrix_.index_ = numpy.array([column for row in self.rows for column in row[2]], numpy.int32)
        model.a_matrix_.value_ = numpy.array([value for row in self.rows for value in row[2].values()], float)
        solver = highspy.Highs()
        solver.silent()
        for option, value in (("threads", 1), ("mip_rel_gap", 0.0), ("mip_abs_gap", 0.4)):
            solver.setOptionValue(option, value)
        solver.passModel(model)
        solver.run()
        if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return None
        assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        values = [round(value) for value in solver.getSolution().col_value]
        assert all(low <= sum(factor * values[column] for column, factor in row.items()) <= high for low, high, row in self.rows)
        total = sum(round(cost) * value for cost, value in zip(self.costs, values, strict=True))
        return total - self.question.terms.split_fee_fen


def cost_of_a_batch_of_one(asked: Question) -> int | None:
    units: dict[int, dict[int, int]] = {}
    for (node_id, sku_id), price in asked.scarcity.items():
        units.setdefault(sku_id, {})[node_id] = price
    prices = Prices(units, asked.works) if units or asked.works else None
    alone = [OpenOrder(asked.order, asked.ladder, asked.refused)]
    (placed,) = route_batch(alone, asked.table, asked.stock, remaining=asked.remaining, prices=prices).placed
    return placed.cost_fen if placed.placements else None


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_no_plan_is_cheaper_than_the_one_that_is_chosen(first: int) -> None:
    split = routed = 0
    for number in range(first, first + 100):
        asked = Question(number)
        decision = decide(
            asked.order, asked.table, asked.stock, ladder=asked.ladder, refused=asked.refused, at=NOON,
            remaining=asked.remaining, scarcity=asked.scarcity, work_prices=asked.works,
        )  # fmt: skip
        found = (decision.ladder_step, decision.cost_fen) if decision.is_routable else None
        assert found == asked.optimum(), f"question {number}"
        assert cost_of_a_batch_of_one(asked) == (decision.cost_fen if decision.is_routable else None), f"question {number}"
        parts = sum(sum(package.breakdown.values()) for package in decision.packages)
        fees = asked.terms.split_fee_fen * max(0, len(decision.packages) - 1)
        assert decision.cost_fen == parts + fees
        routed, split = routed + decision.is_routable, split + (len(decision.packages) > 1)
    assert routed >= 30
    assert split >= 8
