"""What routing knows of places, areas and terms, priced beforehand for each area. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dealers.acceptance.rules import PRIOR_NO, PRIOR_YES

TERRITORY, NEIGHBOUR, HQ = "territory", "neighbour", "hq"


class Fence(StrEnum):
    """Why a place cannot have the work at all."""

    AREA = "AREA"
    PAUSED = "PAUSED"
    DISTANCE = "DISTANCE"
    REFUSED = "REFUSED"
    CAPACITY = "CAPACITY"
    SKILL = "SKILL"
    STOCK = "STOCK"
    LADDER = "LADDER"


FENCE_TEXT = {
    Fence.AREA: "不服务该渠道",
    Fence.PAUSED: "暂停接单",
    Fence.DISTANCE: "超出最远配送距离",
    Fence.REFUSED: "已拒单或超时",
    Fence.CAPACITY: "今日接单已满",
    Fence.SKILL: "没有所需安装技能",
    Fence.STOCK: "可售库存不足",
    Fence.LADDER: "还没轮到这一级阶梯",
}
NO_TEMPLATE = "没有运费模板"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A place that may ship. HQ's own places (no dealer) buy installation where they need it."""

    node_id: int
    code: str
    name: str
    kind: str
    dealer_id: int | None
    division_code: str
    lng: float
    lat: float
    is_open: bool = True
    skills: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Area:
    """A dealer serves a division (2, 4 or 6 digits); an empty channel means all channels."""

    dealer_id: int
    division_code: str
    is_territory: bool
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Freight:
    """What delivery costs from one kind of place; see FreightTemplate."""

    first_weight_g: int
    first_fen: int
    step_weight_g: int
    step_fen: int
    km_fen: int
    install_fen: int
    base_days: int
    km_per_day: int
    max_km: int


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """The money terms of the objective; see RoutingPolicy."""

    name: str = "默认"
    split_fee_fen: int = 600
    late_fen_per_day: int = 500
    refusal_cost_fen: int = 3000
    cross_region_fen: int = 2500
    promise_days: int = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place with everything about it that does not depend on the goods.

    base_fen holds all of the cost that one package has anyway: first weight, distance, lateness,
    risk and the cross-region fee. fence is set when no order of this area can go there.
    """

    node: NodeFacts
    target: str
    fence: Fence | None
    text: str
    km: int
    days: int
    first_fen: int
    late_fen: int
    risk_fen: int
    cross_fen: int
    base_fen: int
    first_weight_g: int
    step_weight_g: int
    step_fen: int
    install_fen: int

    def steps_fen(self, weight_g: int) -> int:
        """The price of what is heavier than the first weight, per started step."""
        extra = weight_g - self.first_weight_g
        return -(-extra // self.step_weight_g) * self.step_fen if extra > 0 else 0

    def goods_fen(self, weight_g: int, installs: int) -> int:
        """What the goods themselves add to the cost of one package from here."""
        return self.steps_fen(weight_g) + self.install_fen * installs

    def cost_fen(self, weight_g: int, installs: int, scarcity_fen: int = 0) -> int:
        """The whole cost of one package from here."""
        return self.base_fen + self.goods_fen(weight_g, installs) + scarcity_fen

    def breakdown(self, weight_g: int, installs: int, scarcity_fen: int = 0) -> dict[str, int]:
        """The same cost by component; the parts sum to the whole."""
        return {
            "freight": self.first_fen + self.steps_fen(weight_g),
            "install": self.install_fen * installs,
            "late": self.late_fen,
            "risk": self.risk_fen,
            "cross_region": self.cross_fen,
            "scarcity": scarcity_fen,
        }


def distance_km(lng: float, lat: float, other_lng: float, other_lat: float) -> int:
    """Great-circle distance, rounded up to whole kilometres."""
    phi, other_phi = math.radians(lat), math.radians(other_lat)
    half = (
        math.sin((other_phi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_lng - lng) / 2) ** 2
    )
    return math.ceil(round(12742 * math.asin(math.sqrt(min(1.0, half))), 3))


def risk_fen(refusal_cost_fen: int, yes: int, no: int) -> int:
    """What asking a dealer costs on average in refusals: cost × (1 − p) / p.

    yes and no are the weights of its answers in thousandths; with the prior p = (yes + 4) / (yes + no + 5.6), as
    dealers' acceptance has it. Exact integers, rounded half up.
    """
    odds_no, odds_yes = no + PRIOR_NO, yes + PRIOR_YES
    return (2 * refusal_cost_fen * odds_no + odds_yes) // (2 * odds_yes)


class RoutingTable:
    """All that routing knows of places and terms at one moment, with the candidates of each area kept."""

    def __init__(
        self,
        *,
        nodes: Iterable[NodeFacts],
        areas: Iterable[Area],
        freight: Mapping[str, Freight],
        policy: PolicyTerms,
        centroids: Mapping[str, tuple[float, float]],
        answers: Mapping[int, tuple[int, int]],
    ) -> None:
        """`answers` is (yes, no) per dealer in thousandths of an answer; `centroids` is (lng, lat) per division."""
        self.policy, self.freight, self.centroids, self.answers = policy, freight, centroids, answers
        self._own: list[NodeFacts] = []
        self._of_dealer: dict[int, list[NodeFacts]] = {}
        for node in nodes:
            (self._own if node.dealer_id is None else self._of_dealer.setdefault(node.dealer_id, [])).append(node)
        self._areas: dict[str, list[Area]] = {}
        for area in areas:
            self._areas.setdefault(area.division_code, []).append(area)
        self._kept: dict[tuple[str, str], tuple[Candidate, ...]] = {}

    def candidates(self, division_code: str, channel: str) -> tuple[int, ...]:
        """The places that may get an order of this area, by id: whose stock is worth asking for."""
        return tuple(found.node.node_id for found in self.considered(division_code, channel) if found.fence is None)

    def considered(self, division_code: str, channel: str) -> tuple[Candidate, ...]:
        """Every place with a claim to the area, fenced or not, by node code."""
        key = (division_code, channel)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._consider(division_code, channel)
        return found

    def _consider(self, division_code: str, channel: str) -> tuple[Candidate, ...]:
        here = self._centroid(division_code)
        targets: dict[int, str] = {}
        elsewhere: set[int] = set()
        for digits in (6, 4, 2) if len(division_code) == 6 else ():
            for area in self._areas.get(division_code[:digits], ()):
                if area.channel not in ("", channel):
                    elsewhere.add(area.dealer_id)
                elif area.is_territory:
                    targets[area.dealer_id] = TERRITORY
                else:
                    targets.setdefault(area.dealer_id, NEIGHBOUR)
        found = [self._candidate(node, HQ, here) for node in self._own]
        for dealer_id, target in targets.items():
            found += [self._candidate(node, target, here) for node in self._of_dealer.get(dealer_id, ())]
        for dealer_id in elsewhere - targets.keys():
            found += [self._candidate(node, NEIGHBOUR, here, Fence.AREA) for node in self._of_dealer.get(dealer_id, ())]
        return tuple(sorted(found, key=lambda candidate: candidate.node.code))

    def _centroid(self, division_code: str) -> tuple[float, float] | None:
        """Of the district, or else of its city or province."""
        for code in (division_code, f"{division_code[:4]}00", f"{division_code[:2]}0000"):
            if code in self.centroids:
                return self.centroids[code]
        return None

    def _candidate(self, node: NodeFacts, target: str, here: tuple[float, float] | None, fence: Fence | None = None) -> Candidate:
        """Price what is known beforehand. Where nobody knows the centre of an area, distance costs nothing."""
        terms, policy = self.freight.get(node.kind), self.policy
        km = distance_km(node.lng, node.lat, *here) if here else 0
        text = FENCE_TEXT[fence] if fence else ""
        if fence is None and not node.is_open:
            fence, text = Fence.PAUSED, FENCE_TEXT[Fence.PAUSED]
        if terms is None:
            terms = Freight(0, 0, 1, 0, 0, 0, 0, 1, 0)
            if fence is None:
                fence, text = Fence.DISTANCE, NO_TEMPLATE
        elif fence is None and km > terms.max_km:
            fence, text = Fence.DISTANCE, FENCE_TEXT[Fence.DISTANCE]
        days = terms.base_days + -(-km // terms.km_per_day)
        first = terms.first_fen + km * terms.km_fen
        late = policy.late_fen_per_day * max(0, days - policy.promise_days)
        risk = risk_fen(policy.refusal_cost_fen, *self.answers.get(node.dealer_id, (0, 0))) if node.dealer_id else 0
        cross = policy.cross_region_fen if target == NEIGHBOUR else 0
        return Candidate(
            node=node,
            target=target,
            fence=fence,
            text=text,
            km=km,
            days=days,
            first_fen=first,
            late_fen=late,
            risk_fen=risk,
            cross_fen=cross,
            base_fen=first + late + risk + cross,
            first_weight_g=terms.first_weight_g,
            step_weight_g=terms.step_weight_g,
            step_fen=terms.step_fen,
            install_fen=terms.install_fen,
        )
