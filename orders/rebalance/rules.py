"""Which orders change places, which of them only together, and what becomes of their work. Plain values, no database."""

from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from inventory.reservations.rules import Place, Swap
from orders.dispatch.rules import RUNG_FEN, plan_works, why_moved
from orders.lifecycle.rules import OrderToRoute
from orders.offers.rules import Planned
from orders.routing.batch import Move
from orders.routing.chains import WORK
from orders.routing.market import OpenOrder, Placement
from orders.routing.rules import Decision, RoutingTable, Rung, decided_as
from orders.routing.shelves import ANY_NUMBER
from orders.rulesets.rules import SHANGHAI
from orders.scarcity.rules import Scarcity


@dataclass(frozen=True, slots=True)
class OpenWork:
    """A piece of work on offer, with the versions by which a later change shows; lines by their position in the order."""

    work_id: int
    fo_no: str
    node_id: int
    dealer_id: int | None
    version: int
    offer_id: int
    offer_version: int
    round: int
    opened_at: datetime
    line_indexes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenCase:
    """An order none of whose work was answered yet. refused: dealers that were asked before and are not asked now."""

    order: OrderToRoute
    version: int
    moves: int
    ladder: tuple[Rung, ...]
    refused: frozenset[int]
    works: tuple[OpenWork, ...]

    def as_open(self) -> OpenOrder:
        """The order as batches see it."""
        current = tuple(Placement(work.node_id, work.line_indexes) for work in self.works)
        return OpenOrder(self.order, self.ladder, self.refused, current=current, moves=self.moves)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an order that is moved: work that goes elsewhere, that ends, and that begins."""

    case: OpenCase
    move: Move
    decision: Decision
    rehomed: tuple[tuple[OpenWork, Planned], ...]
    ended: tuple[OpenWork, ...]
    begun: tuple[Planned, ...]

    @property
    def left(self) -> tuple[OpenWork, ...]:
        """The work that leaves its place: its offers are withdrawn."""
        return (*(work for work, _ in self.rehomed), *self.ended)

    @property
    def planned(self) -> tuple[Planned, ...]:
        return (*(planned for _, planned in self.rehomed), *self.begun)

    @property
    def money_fen(self) -> int:
        """What the move saves in money, without what the rungs of the ladder count."""
        return self.move.gain_fen - round(self.move.gain_fen / RUNG_FEN) * RUNG_FEN


Chain = tuple[Change, ...]


def is_past_cutoff(case: OpenCase, table: RoutingTable, at: datetime) -> bool:
    """Whether the day's work closed at one of the order's places since it was offered: it is among what ships today."""
    order = case.order
    considered = table.considered(order.division_code, order.channel, table.terms_for(order))
    nodes = {found.node.node_id: found.node for found in considered}
    for work in case.works:
        node = nodes.get(work.node_id)
        if node is None:
            continue
        groups = table.groups_of(node)
        calendar = table.book.calendar_for(kind=node.kind, groups=groups, division_code=node.division_code)
        if calendar is not None and calendar.cutoff is not None:
            closing = datetime.combine(at.astimezone(SHANGHAI), calendar.cutoff, SHANGHAI)
            if work.opened_at < (closing if closing <= at else closing - timedelta(days=1)):
                return True
    return False


def swap_of(chain: Chain) -> Swap:
    """What a chain gives up and takes of stock."""
    bills = (
        work.fo_no
        for change in chain
        for work in change.left
        if any(change.case.order.lines[index].is_counted for index in work.line_indexes)
    )
    return Swap(tuple(bills), tuple(want for change in chain for planned in change.planned for want in planned.wants))


def slots_of(changes: Iterable[Change]) -> dict[str, int]:
    """The places of dealers' days that these changes need, by number of the work."""
    return {each.fo_no: each.dealer_id for change in changes for each in change.planned if each.dealer_id}


def worthwhile(
    moves: Sequence[Move],
    cases: Mapping[int, OpenCase],
    table: RoutingTable,
    free: Mapping[Place, int],
    dealers: Mapping[int, int | None],
    scarce: Scarcity,
    room: Mapping[int, int],
    least_fen: int,
) -> list[Chain]:
    """The moves of a batch as chains that may be done each by itself, the most useful first.

    Left out are chains that save less than `least_fen` for each offer that is taken back, and those in
    which a dealer would be asked twice about the same order. `dealers` is whose each place is, `room` how
    much more work they may get.
    """
    numbers = {key: case.order.order_no for key, case in cases.items()}
    found: list[tuple[int, Chain]] = []
    for together in chains_of(moves, cases, free, dealers, room):
        changes = [plan_change(cases[move.order_id], move, table, free, dealers, scarce, room, numbers) for move in together]
        chain = tuple(change for change in changes if change is not None)
        gain = sum(move.gain_fen for move in together)
        if len(chain) == len(together) and gain >= max(1, least_fen * sum(len(change.left) for change in chain)):
            found.append((gain, chain))
    return [chain for _, chain in sorted(found, key=lambda each: -each[0])]


def chains_of(
    moves: Sequence[Move],
    cases: Mapping[int, OpenCase],
    free: Mapping[Place, int],
    dealers: Mapping[int, int | None],
    room: Mapping[int, int],
) -> list[list[Move]]:
    """Moves that need each other: who displaced whom, and who takes the units, or the dealer's time, that another gives up.

    What is `free` anyway (or `room`: work that a dealer may still get; missing: any) needs nobody; it
    is shared out first. So each chain can be kept or dropped as a whole.
    """
    leader = {move.order_id: move.order_id for move in moves}

    def lead(key: int) -> int:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for move in moves:
        for other in (*move.displaced, *(() if move.made_way_for is None else (move.made_way_for,))):
            if other in leader:
                leader[lead(other)] = lead(move.order_id)
    net: dict[Place, dict[int, int]] = {}
    for move in moves:
        for place, units in _net(cases[move.order_id].order, move, dealers).items():
            net.setdefault(place, {})[move.order_id] = units
    for place in sorted(net):
        sums: dict[int, int] = {}
        for key, units in net[place].items():
            sums[lead(key)] = sums.get(lead(key), 0) + units
        there = room.get(place[0], ANY_NUMBER) if place[1] == WORK else free.get(place, 0)
        spare, givers = max(0, there), [[key, -units] for key, units in sums.items() if units < 0]
        for key, lacking in sums.items():
            if lacking <= 0:
                continue
            lacking, spare = max(0, lacking - spare), max(0, spare - lacking)
            while lacking and givers:
                used = min(lacking, givers[0][1])
                leader[lead(givers[0][0])] = lead(key)
                lacking -= used
                givers[0][1] -= used
                if not givers[0][1]:
                    givers.pop(0)
    chains: dict[int, list[Move]] = {}
    for move in moves:
        chains.setdefault(lead(move.order_id), []).append(move)
    return list(chains.values())


def _net(order: OrderToRoute, move: Move, dealers: Mapping[int, int | None]) -> dict[Place, int]:
    """Units that an order takes more (or less, negative) at each place by its move; work of a dealer as (dealer, WORK)."""
    net: dict[Place, int] = {}
    for placements, sign in ((move.before, -1), (move.after, 1)):
        works = {(dealer_id, WORK): count for dealer_id, count in _works(placements, dealers).items()}
        for place, units in (_needs(order, placements) | works).items():
            net[place] = net.get(place, 0) + sign * units
    return {place: units for place, units in net.items() if units}


def _needs(order: OrderToRoute, placements: Iterable[Placement]) -> dict[Place, int]:
    needs: dict[Place, int] = {}
    for placement in placements:
        for line in (order.lines[index] for index in placement.line_indexes):
            if line.is_counted:
                place = (placement.node_id, line.sku_id)
                needs[place] = needs.get(place, 0) + line.quantity
    return needs


def _works(placements: Iterable[Placement], dealers: Mapping[int, int | None]) -> Counter[int]:
    return Counter(dealer_id for placement in placements if (dealer_id := dealers[placement.node_id]) is not None)


def plan_change(
    case: OpenCase,
    move: Move,
    table: RoutingTable,
    free: Mapping[Place, int],
    dealers: Mapping[int, int | None],
    scarce: Scarcity,
    room: Mapping[int, int],
    numbers: Mapping[int, str],
) -> Change | None:
    """What a move means for the order's work; None when it would have no place on its terms, or a dealer be asked twice.

    Work that keeps its lines keeps its number and its reservation; where lines are shared out anew,
    work ends and other work begins.
    """
    placements = {placement.node_id: placement.line_indexes for placement in move.after}
    standing = [work for work in case.works if placements.get(work.node_id) == work.line_indexes]
    left = [work for work in case.works if work not in standing]
    stay = {work.node_id for work in standing}
    asked = case.refused | {work.dealer_id for work in case.works if work.dealer_id}
    newly = [dealers[node_id] for node_id in placements if node_id not in stay]
    if not placements or move.is_relaxed or asked & {*newly} or len({*newly}) < len(newly):
        return None
    order = case.order
    seen = ChainMap({place: free.get(place, 0) + units for place, units in _needs(order, move.after).items()}, dict(free))
    may = {**room, **{dealer_id: room.get(dealer_id, ANY_NUMBER) + n for dealer_id, n in _works(move.after, dealers).items()}}
    decision = decided_as(
        order,
        table,
        seen,
        placements,
        ladder=case.ladder,
        refused=case.refused,
        remaining=may,
        scarcity=scarce.units,
        work_prices=scarce.works,
    )
    decision = replace(decision, reasons=(why_moved(move, numbers),))
    rehomed: list[tuple[OpenWork, Planned]] = []
    begun: list[Planned] = []
    for package, planned in zip(decision.packages, plan_works(order, decision, case.ladder), strict=True):
        if package.node_id in stay:
            continue
        work = next((work for work in left if work.line_indexes == package.line_indexes), None)
        if work is None:
            begun.append(planned)
        else:
            left.remove(work)
            rehomed.append((work, replace(planned, fo_no=work.fo_no)))
    return Change(case, move, decision, tuple(rehomed), tuple(left), tuple(begun))
