"""What routing knows of places, areas and rules, priced beforehand for each area and set of terms. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from dealers.acceptance.rules import PRIOR_NO, PRIOR_YES
from orders.lifecycle.rules import OrderToRoute
from orders.rulesets.rules import FreightRate, OrderTerms, RuleBook, Unroutable, Where

TERRITORY, NEIGHBOUR, HQ = "territory", "neighbour", "hq"
Installs = tuple[tuple[str, int], ...]  # (skill, units)


class Fence(StrEnum):
    """Why a place cannot have the work at all."""

    AREA = "AREA"
    PAUSED = "PAUSED"
    DISTANCE = "DISTANCE"
    GROUP = "GROUP"
    PROVINCE = "PROVINCE"
    CLASS = "CLASS"
    PROMISE = "PROMISE"
    REFUSED = "REFUSED"
    CAPACITY = "CAPACITY"
    SKILL = "SKILL"
    STOCK = "STOCK"
    TOGETHER = "TOGETHER"
    LADDER = "LADDER"


FENCE_TEXT = {
    Fence.AREA: "不服务该渠道",
    Fence.PAUSED: "暂停接单",
    Fence.DISTANCE: "超出最远配送距离",
    Fence.GROUP: "不在可用分组",
    Fence.PROVINCE: "限同省",
    Fence.CLASS: "不适用该时效",
    Fence.PROMISE: "赶不上承诺时效",
    Fence.REFUSED: "已拒单或超时",
    Fence.CAPACITY: "今日接单已满",
    Fence.SKILL: "没有所需安装技能",
    Fence.STOCK: "可售库存不足",
    Fence.TOGETHER: "须同仓的商品不全",
    Fence.LADDER: "还没轮到这一级阶梯",
}
NO_TEMPLATE = "没有运费模板"
NO_RATE = FreightRate(Where(), first_fen=0, base_days=0)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A place that may ship. HQ's own places (no dealer) buy installation where they need it.

    dealer_code and tier are of its dealer, for quotas and groups.
    """

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
    dealer_code: str = ""
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """A dealer serves a division (2, 4 or 6 digits); an empty channel means all channels."""

    dealer_id: int
    division_code: str
    is_territory: bool
    channel: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """What goods add to the cost of a package; one for all places that deliver on the same rates.

    install_fen is the fee for a piece, fees the other ones that hold for some skills.
    """

    first_weight_g: int
    step_weight_g: int
    step_fen: int
    install_fen: int
    fees: Mapping[str, int] = field(default_factory=dict)

    def goods_fen(self, weight_g: int, installs: Sequence[tuple[str, int]] = ()) -> tuple[int, int]:
        """The price of what is heavier than the first weight, per started step; and the fees of installing."""
        extra = weight_g - self.first_weight_g
        steps_fen = -(-extra // self.step_weight_g) * self.step_fen if extra > 0 else 0
        return steps_fen, sum([self.fees.get(skill, self.install_fen) * units for skill, units in installs])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place with everything about it that does not depend on the goods.

    base_fen holds all of the cost that one package has anyway, parts the same by component: first
    weight, distance, lateness, risk, the cross-region fee and what exceeds the dealer's share.
    days: until the delivery, `wait` of them before it ships. fence is set when no order on these
    terms can go there. seen is how it begins in the trace of a decision.
    """

    node: NodeFacts
    target: str
    fence: Fence | None
    text: str
    km: int
    days: int
    base_fen: int
    parts: dict[str, int]
    tariff: Tariff
    seen: dict[str, Any]

    def cost_fen(self, weight_g: int, installs: Installs = ()) -> int:
        """The whole cost of one package from here, but for scarcity and ageing."""
        return self.base_fen + sum(self.tariff.goods_fen(weight_g, installs))

    def breakdown(self, goods_fen: tuple[int, int], scarcity_fen: int = 0, ageing_fen: int = 0) -> dict[str, int]:
        """The whole cost by component; `goods_fen` as the tariff says, `ageing_fen` is a credit."""
        parts = self.parts.copy()
        parts["freight"] += goods_fen[0]
        parts["install"] = goods_fen[1]
        if scarcity_fen or ageing_fen:
            parts["ageing"], parts["scarcity"] = -ageing_fen, scarcity_fen
        return parts


@dataclass(frozen=True, slots=True)
class _Claim:
    """A place with a claim to an area, whatever the terms; `is_elsewhere`: on other channels only."""

    node: NodeFacts
    target: str
    km: int
    is_elsewhere: bool


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


def loosened(terms: OrderTerms) -> OrderTerms:
    """The terms by which an order that nobody can serve is decided again: see Unroutable.

    SPLIT drops the limit of packages and what keeps goods together; HQ drops the fences of groups,
    distance, province and promise, while a rate's own longest way still holds.
    """
    if terms.on_unroutable is Unroutable.SPLIT:
        return replace(terms, max_packages=None, keeps_bundles=False, keeps_installation=False)
    promise = replace(terms.promise, is_hard=False, max_km=None, kinds=frozenset())
    return replace(terms, promise=promise, max_km=None, same_province=False, only_groups=frozenset(), never_groups=frozenset())


class RoutingTable:
    """All that routing knows at one moment, with the candidates of each area and set of terms kept."""

    def __init__(
        self,
        *,
        nodes: Iterable[NodeFacts],
        areas: Iterable[Area],
        book: RuleBook,
        centroids: Mapping[str, tuple[float, float]],
        answers: Mapping[int, tuple[int, int]],
        at: datetime,
        shares: Mapping[int, tuple[int, int]] | None = None,
        ageing: Mapping[tuple[int, int], int] | None = None,
    ) -> None:
        """`answers` is (yes, no) in thousandths of an answer, `shares` (its work, all work) this month; both by id.

        `centroids` is (lng, lat) per division; `ageing` the credit in fen per unit, by (node, SKU).
        """
        self.book, self.centroids, self.answers, self.at = book, centroids, answers, at
        self.ageing = ageing or {}
        self._shares = shares or {}
        self._quotas = {quota.dealer_code: quota for quota in book.quotas}
        self.nodes = tuple(nodes)
        self._own: list[NodeFacts] = []
        self._of_dealer: dict[int, list[NodeFacts]] = {}
        for node in self.nodes:
            (self._own if node.dealer_id is None else self._of_dealer.setdefault(node.dealer_id, [])).append(node)
        self._areas: dict[str, list[Area]] = {}
        self.areas = tuple(areas)
        for area in self.areas:
            self._areas.setdefault(area.division_code, []).append(area)
        self._claims: dict[tuple[str, str], tuple[_Claim, ...]] = {}
        self._kept: dict[tuple[str, str, int], tuple[Candidate, ...]] = {}
        self._known_terms: dict[int, OrderTerms] = {}  # keeps the terms alive whose id is a key
        self._loosened: dict[int, OrderTerms] = {}
        self._groups: dict[int, frozenset[str]] = {}
        self._waits: dict[int, tuple[int, str]] = {}
        self._local: dict[str, RuleBook] = {}
        self._tariffs: dict[tuple[Any, ...], Tariff] = {}
        self._rates: dict[tuple[str, frozenset[str], str], tuple[FreightRate | None, Tariff]] = {}

    def terms_for(self, order: OrderToRoute) -> OrderTerms:
        """The terms of one order."""
        return self.book.terms_for(order)

    def moved_to(self, at: datetime, shares: Mapping[int, tuple[int, int]]) -> "RoutingTable":
        """The same places and rules at another moment, when other shares were done; what depends on neither is kept."""
        other = copy(self)
        other.at, other._shares = at, shares
        other._kept, other._waits = {}, {}
        return other

    def loosened(self, terms: OrderTerms) -> OrderTerms:
        """What the terms become for an order that nobody can serve, the same object each time."""
        found = self._loosened.get(id(terms))
        if found is None:
            self._known_terms[id(terms)] = terms
            found = self._loosened[id(terms)] = loosened(terms)
        return found

    def candidates(self, division_code: str, channel: str, terms: OrderTerms | None = None) -> tuple[int, ...]:
        """The places that may get an order of this area, by id: on these terms, or else on any."""
        if terms is not None:
            return tuple(found.node.node_id for found in self.considered(division_code, channel, terms) if found.fence is None)
        claims = self._claiming(division_code, channel)
        return tuple(claim.node.node_id for claim in claims if claim.node.is_open and not claim.is_elsewhere)

    def considered(self, division_code: str, channel: str, terms: OrderTerms | None = None) -> tuple[Candidate, ...]:
        """Every place with a claim to the area, fenced or not, by node code; on the default terms if none are given."""
        terms = terms or self.book.default
        key = (division_code, channel, id(terms))
        found = self._kept.get(key)
        if found is None:
            self._known_terms[id(terms)] = terms
            claims = self._claiming(division_code, channel)
            found = self._kept[key] = tuple(self._candidate(claim, division_code, terms) for claim in claims)
        return found

    def groups_of(self, node: NodeFacts) -> frozenset[str]:
        """The codes of the groups that a place belongs to."""
        found = self._groups.get(node.node_id)
        if found is None:
            place = {"code": node.code, "kind": node.kind, "division_code": node.division_code, "tier": node.tier}
            found = self._groups[node.node_id] = self.book.groups_of(**place)
        return found

    def _claiming(self, division_code: str, channel: str) -> tuple[_Claim, ...]:
        found = self._claims.get((division_code, channel))
        if found is None:
            found = self._claims[division_code, channel] = self._claim(division_code, channel)
        return found

    def _claim(self, division_code: str, channel: str) -> tuple[_Claim, ...]:
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
        here = self._centroid(division_code)

        def claims(nodes: Iterable[NodeFacts], target: str, is_elsewhere: bool = False) -> list[_Claim]:
            return [_Claim(node, target, distance_km(node.lng, node.lat, *here) if here else 0, is_elsewhere) for node in nodes]

        found = claims(self._own, HQ)
        for dealer_id, target in targets.items():
            found += claims(self._of_dealer.get(dealer_id, ()), target)
        for dealer_id in elsewhere - targets.keys():
            found += claims(self._of_dealer.get(dealer_id, ()), NEIGHBOUR, is_elsewhere=True)
        return tuple(sorted(found, key=lambda claim: claim.node.code))

    def _centroid(self, division_code: str) -> tuple[float, float] | None:
        """Of the district, or else of its city or province."""
        for code in (division_code, f"{division_code[:4]}00", f"{division_code[:2]}0000"):
            if code in self.centroids:
                return self.centroids[code]
        return None

    def _candidate(self, claim: _Claim, division_code: str, terms: OrderTerms) -> Candidate:
        """Price what is known beforehand. Where nobody knows the centre of an area, distance costs nothing."""
        node, km = claim.node, claim.km
        rate, tariff = self._rate(node, division_code)
        wait, why_wait = self._wait(node)
        road = rate or NO_RATE
        days = wait + road.base_days + -(-km // road.km_per_day)
        fence, text = self._fence(claim, rate, days, division_code, terms)
        parts = {
            "freight": road.first_fen + km * road.km_fen,
            "install": 0,
            "late": terms.late_fen_per_day * max(0, days - terms.promise.days),
            "risk": risk_fen(terms.refusal_cost_fen, *self.answers.get(node.dealer_id, (0, 0))) if node.dealer_id else 0,
            "cross_region": terms.cross_region_fen if claim.target == NEIGHBOUR else 0,
            "fairness": self._fairness_fen(node),
            "ageing": 0,
            "scarcity": 0,
        }
        seen: dict[str, Any] = {"node": node.code, "name": node.name, "kind": node.kind, "dealer": node.dealer_id}
        seen |= {"target": claim.target, "step": None, "km": km, "days": days}
        if wait:
            seen |= {"wait": wait, "why_wait": why_wait}
        return Candidate(node, claim.target, fence, text, km, days, sum(parts.values()), parts, tariff, seen)

    def _fence(
        self, claim: _Claim, rate: FreightRate | None, days: int, division_code: str, terms: OrderTerms
    ) -> tuple[Fence | None, str]:
        """Why no order on these terms can go there, whatever the goods."""
        node, promise = claim.node, terms.promise
        if rate is None and not claim.is_elsewhere and node.is_open:
            return Fence.DISTANCE, NO_TEMPLATE
        groups = self.groups_of(node) if terms.only_groups or terms.never_groups else frozenset[str]()
        limits = [limit for limit in (rate.max_km if rate else None, terms.max_km) if limit is not None]
        checks = (
            (Fence.AREA, claim.is_elsewhere),
            (Fence.PAUSED, not node.is_open),
            (Fence.DISTANCE, any(claim.km > limit for limit in limits)),
            (Fence.GROUP, bool(terms.only_groups and not terms.only_groups & groups) or bool(terms.never_groups & groups)),
            (Fence.PROVINCE, terms.same_province and node.division_code[:2] != division_code[:2]),
            (Fence.CLASS, bool(promise.kinds) and node.kind not in promise.kinds),
            (Fence.CLASS, promise.max_km is not None and claim.km > promise.max_km),
            (Fence.PROMISE, promise.is_hard and days > promise.days),
        )
        fence = next((each for each, holds in checks if holds), None)
        return fence, FENCE_TEXT[fence] if fence else ""

    def _rate(self, node: NodeFacts, division_code: str) -> tuple[FreightRate | None, Tariff]:
        """By what a place delivers there; None where nobody has said."""
        key = (node.kind, self.groups_of(node), division_code)
        found = self._rates.get(key)
        if found is None:
            book = self._book_there(division_code)
            place: dict[str, Any] = {"kind": node.kind, "groups": key[1], "division_code": division_code}
            rate = book.freight_for(**place)
            fees = {rate.skill: book.install_fen(**place, skill=rate.skill) for rate in book.installs if rate.skill}
            road = rate or NO_RATE
            other_fen = book.install_fen(**place, skill="")
            goods = (road.first_weight_g, road.step_weight_g, road.step_fen, other_fen)
            tariff = self._tariffs.setdefault((*goods, *sorted(fees.items())), Tariff(*goods, fees))
            found = self._rates[key] = (rate, tariff)
        return found

    def _book_there(self, division_code: str) -> RuleBook:
        """The book with only the rates that may hold for a destination, so that a country of rates costs nothing."""
        found = self._local.get(division_code)
        if found is None:
            freight = tuple(rate for rate in self.book.freight if division_code.startswith(rate.where.division))
            installs = tuple(rate for rate in self.book.installs if division_code.startswith(rate.where.division))
            found = self._local[division_code] = replace(self.book, freight=freight, installs=installs)
        return found

    def _wait(self, node: NodeFacts) -> tuple[int, str]:
        """Days until a place ships what it gets now, and why it does not ship today."""
        found = self._waits.get(node.node_id)
        if found is None:
            groups = self.groups_of(node)
            calendar = self.book.calendar_for(kind=node.kind, groups=groups, division_code=node.division_code)
            days, why = calendar.wait_days(self.at) if calendar else 0, ""
            if calendar and days:
                is_closed = calendar.cutoff is None or replace(calendar, cutoff=None).wait_days(self.at) > 0
                why = "今天休息或放假" if is_closed else f"已过 {calendar.cutoff:%H:%M} 截单"
            found = self._waits[node.node_id] = days, why
        return found

    def _fairness_fen(self, node: NodeFacts) -> int:
        """What a dealer pays for each whole point of this month's work above its agreed share."""
        quota = self._quotas.get(node.dealer_code) if node.dealer_id else None
        wins, total = self._shares.get(node.dealer_id or 0, (0, 0))
        if quota is None or not total:
            return 0
        return quota.fen_per_point * max(0, 100 * wins // total - quota.percent)
