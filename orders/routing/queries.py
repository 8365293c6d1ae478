"""What routing knows of places, areas and rules, read at most every five seconds."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dealers.acceptance import queries as acceptance
from dealers.directory.rules import day_of
from dealers.divisions import queries as divisions
from dealers.models import Division, ServiceArea, Skill, Staff
from inventory.models import Node
from oms_project.refusal import NotFound
from orders.routing import statements
from orders.routing.models import RoutingDecision
from orders.routing.rules import Area, NodeFacts, RoutingTable
from orders.routing.telling import explain_to_dealer, is_its_affair
from orders.rulesets import queries as rulesets
from orders.rulesets.rules import SHANGHAI, RuleBook

FRESH = timedelta(seconds=5)
SHARES_FRESH = timedelta(minutes=1)
AGEING_FRESH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Read:
    at: datetime
    about: Hashable
    what: Any


_kept: dict[str, _Read] = {}


def routing_table(at: datetime) -> RoutingTable:
    """Everything a decision needs, from this process's memory while it is fresh.

    Fourteen statements otherwise; one more for quotas, at most each minute, and one for what has lain
    long, at most every five minutes, where the rules ask for them.
    """
    table: RoutingTable = _fresh("table", None, at, FRESH, lambda: table_by(_book(), at))
    return table


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What a dealer may know of one decision."""

    decided_at: datetime
    round: int
    told: list[str]


def why_not_me(*, staff: Staff, order_no: str) -> list[WhyNot]:
    """为什么没派给我: each decision on an order that is the affair of a person's dealer, in its own words.

    That is an order of its own territory, or one that it was offered. Raises NotFound for all others.
    """
    decisions = RoutingDecision.objects.filter(order__order_no=order_no).order_by("id") if staff.dealer_id else ()
    dealer_id = staff.dealer_id or 0
    mine = [each for each in decisions if is_its_affair(each.trace, each.plan, dealer_id)]
    if not mine:
        raise NotFound
    return [WhyNot(each.decided_at, each.round, explain_to_dealer(each.trace, each.plan, dealer_id)) for each in mine]


def forget() -> None:
    """Read everything anew at the next question."""
    _kept.clear()


def _fresh(name: str, about: Hashable, at: datetime, age: timedelta, read: Callable[[], Any]) -> Any:
    """What was read of this name not longer ago than `age`, and about the same thing; read now otherwise."""
    kept = _kept.get(name)
    if kept is None or kept.about != about or abs(at - kept.at) > age:
        kept = _kept[name] = _Read(at, about, read())
    return kept.what


def table_by(book: RuleBook, at: datetime) -> RoutingTable:
    """The places, areas and answers of this moment under any book of rules; read anew each time."""
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
                dealer_code=dealer.code if dealer else "",
                tier=dealer.tier if dealer else "",
            )
        )
    areas = ServiceArea.objects.values_list("dealer_id", "division_code", "kind", "channel")
    centres = Division.objects.filter(lng__isnull=False, lat__isnull=False).values_list("code", "lng", "lat")
    return RoutingTable(
        nodes=nodes,
        areas=[
            Area(dealer_id, one, kind == ServiceArea.Kind.TERRITORY, channel)
            for dealer_id, code, kind, channel in areas
            for one in divisions.area_codes(code)
        ],
        book=book,
        centroids={code: (lng, lat) for code, lng, lat in centres if lng is not None and lat is not None},
        answers={dealer_id: (each.yes, each.no) for dealer_id, each in acceptance.answers_on(day_of(at)).items()},
        at=at,
        shares=_shares(book, at),
        ageing=_ageing(book, at),
    )


def _shares(book: RuleBook, at: datetime) -> Mapping[int, tuple[int, int]]:
    """By dealer, how many offers it accepted this month (in Shanghai), and how many all dealers did."""
    if not book.quotas:
        return {}
    month = at.astimezone(SHANGHAI).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    def read() -> dict[int, tuple[int, int]]:
        wins = statements.works_won(month)
        total = sum(wins.values())
        return {dealer_id: (count, total) for dealer_id, count in wins.items()}

    shares: Mapping[int, tuple[int, int]] = _fresh("shares", month, at, SHARES_FRESH, read)
    return shares


def _ageing(book: RuleBook, at: datetime) -> Mapping[tuple[int, int], int]:
    """By (node, SKU), the highest credit in fen per unit that any rule gives there."""
    if not book.credits:
        return {}

    def read() -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for number, node_id, sku_id in statements.lain_long(book.credits, at):
            fen = book.credits[number].fen_per_unit
            found[node_id, sku_id] = max(fen, found.get((node_id, sku_id), 0))
        return found

    ageing: Mapping[tuple[int, int], int] = _fresh("ageing", book.credits, at, AGEING_FRESH, read)
    return ageing


def _book() -> RuleBook:
    """The rules in force."""
    return rulesets.published_book()
