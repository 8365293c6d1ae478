"""What routing knows of places, areas and terms, read at most every five seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dealers.acceptance import queries as acceptance
from dealers.directory.rules import day_of
from dealers.divisions import queries as divisions
from dealers.models import Division, ServiceArea, Skill
from inventory.models import Node
from orders.routing.models import FreightTemplate, RoutingPolicy
from orders.routing.rules import Area, Freight, NodeFacts, PolicyTerms, RoutingTable

FRESH = timedelta(seconds=5)
_FREIGHT = (
    "first_weight_g",
    "first_fen",
    "step_weight_g",
    "step_fen",
    "km_fen",
    "install_fen",
    "base_days",
    "km_per_day",
    "max_km",
)
_POLICY = ("split_fee_fen", "late_fen_per_day", "refusal_cost_fen", "cross_region_fen", "promise_days")


@dataclass(frozen=True, slots=True)
class _Read:
    at: datetime
    table: RoutingTable


_kept: dict[str, _Read] = {}


def routing_table(at: datetime) -> RoutingTable:
    """Everything a decision needs, from this process's memory while it is fresh; seven statements otherwise."""
    kept = _kept.get("table")
    if kept is None or abs(at - kept.at) > FRESH:
        kept = _kept["table"] = _Read(at, _read_table(at))
    return kept.table


def forget() -> None:
    """Read everything anew at the next question."""
    _kept.clear()


def _read_table(at: datetime) -> RoutingTable:
    skills: dict[int, set[str]] = {}
    for dealer_id, code in Skill.objects.values_list("dealer_id", "code"):
        skills.setdefault(dealer_id, set()).add(code)
    able = {dealer_id: frozenset(codes) for dealer_id, codes in skills.items()}
    nodes = []
    for node in Node.objects.filter(is_active=True).select_related("dealer"):
        dealer = node.dealer
        if dealer and not dealer.is_active:
            continue
        nodes.append(
            NodeFacts(
                node_id=node.pk,
                code=node.code,
                name=node.name,
                kind=node.kind,
                dealer_id=node.dealer_id,
                division_code=node.division_code,
                lng=node.lng,
                lat=node.lat,
                is_open=not (node.is_paused or (dealer and dealer.is_paused)),
                skills=able.get(node.dealer_id or 0, frozenset()),
            )
        )
    areas = ServiceArea.objects.values_list("dealer_id", "division_code", "kind", "channel")
    templates = FreightTemplate.objects.values_list("node_kind", *_FREIGHT)
    centres = Division.objects.filter(lng__isnull=False, lat__isnull=False).values_list("code", "lng", "lat")
    return RoutingTable(
        nodes=nodes,
        areas=[
            Area(dealer_id, one, kind == ServiceArea.Kind.TERRITORY, channel)
            for dealer_id, code, kind, channel in areas
            for one in divisions.area_codes(code)
        ],
        freight={kind: Freight(*terms) for kind, *terms in templates},
        policy=_read_policy(),
        centroids={code: (lng, lat) for code, lng, lat in centres if lng is not None and lat is not None},
        answers={dealer_id: (each.yes, each.no) for dealer_id, each in acceptance.answers_on(day_of(at)).items()},
    )


def _read_policy() -> PolicyTerms:
    """The published policy; the defaults of the model until one is published."""
    policy = RoutingPolicy.objects.filter(is_published=True).first()
    if policy is None:
        return PolicyTerms()
    return PolicyTerms(str(policy), *(getattr(policy, name) for name in _POLICY))
