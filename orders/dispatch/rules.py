"""Who is asked next, and what a decision becomes. Plain values, no database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from inventory.reservations.rules import Shelf, Want, demands_of
from oms_project.money import yuan
from orders.lifecycle.rules import OrderToRoute
from orders.offers.rules import Planned
from orders.routing.batch import QUICK, Move, route_batch
from orders.routing.market import BatchTerms, OpenOrder
from orders.routing.rules import Decision, Package, RoutingTable, Rung, decide, decided_as
from orders.rulesets.rules import Unroutable
from orders.scarcity.rules import Scarcity

HQ = "hq"
Ladders = Mapping[str, tuple[Rung, ...]]  # by channel
Decided = tuple[Decision, list[Planned]]
DEFAULT_LADDER = (Rung(1, "territory", 60, 2), Rung(2, "neighbour", 60, 2), Rung(3, HQ, 60, 1))
RUNG_FEN = BatchTerms().rung_fen
TAKEN_MEANWHILE = "库存被同时下单的订单占用"
BY_HAND = "人工派单"
FULL_MEANWHILE = "接单名额被同时下单的订单占用"


@dataclass(frozen=True, slots=True)
class NodeTerms:
    """A place that may get work; dealer_id None is HQ's own."""

    node_id: int
    code: str
    dealer_id: int | None


@dataclass(frozen=True, slots=True)
class LadderTerms:
    """A ladder policy: an empty channel means every channel."""

    channel: str
    priority: int
    rungs: tuple[Rung, ...]


def plan_works(order: OrderToRoute, decision: Decision, ladder: Sequence[Rung], fo_no: str = "") -> list[Planned]:
    """A decision's packages as pieces of work; `fo_no` names the one that is given to somebody else."""
    seconds = next((rung.seconds for rung in ladder if rung.position == decision.ladder_step), 60)
    return [
        Planned(
            order=order,
            fo_no=fo_no or f"{order.order_no}-{order.works_before + number}",
            node_id=package.node_id,
            dealer_id=package.dealer_id,
            lines=tuple(order.lines[index] for index in package.line_indexes),
            ladder_step=decision.ladder_step,
            seconds=seconds,
        )
        for number, package in enumerate(decision.packages, start=1)
    ]


def choose_ladder(policies: Iterable[LadderTerms], channel: str) -> tuple[Rung, ...]:
    """The rungs of the first matching policy: higher priority first, then the one made for the channel."""
    matching = [policy for policy in policies if policy.channel in ("", channel) and policy.rungs]
    if not matching:
        return DEFAULT_LADDER
    return min(matching, key=lambda policy: (-policy.priority, policy.channel == "")).rungs


def next_rung(ladder: Sequence[Rung], asked: Mapping[int, int]) -> tuple[Rung, ...]:
    """The ladder from the first rung on which somebody may still be asked.

    `asked` counts the offers made so far per rung position. HQ's own rung is never used up.
    """
    return tuple(rung for rung in ladder if rung.target == HQ or asked.get(rung.position, 0) < rung.max_offers)


def decide_in_turn(
    orders: Iterable[OrderToRoute],
    table: RoutingTable,
    shelves: Shelf,
    ladders: Ladders,
    scarce: Scarcity,
    room: dict[int, int],
    at: datetime,
) -> dict[int, Decided]:
    """What becomes of each order when one after another chooses.

    What they want is counted off the shelves, and off `room`, how much more work dealers may get.
    """
    found: dict[int, Decided] = {}
    for order in orders:
        ladder = ladders[order.channel]
        decision = decide(
            order,
            table,
            shelves.view(order.claims),
            ladder=ladder,
            at=at,
            remaining=room,
            scarcity=scarce.units,
            work_prices=scarce.works,
        )
        found[order.order_id] = decision, plan_works(order, decision, ladder)
        take(shelves, found[order.order_id][1])
        count_off(room, found[order.order_id][1])
    return found


def decide_together(
    orders: Iterable[OrderToRoute],
    table: RoutingTable,
    shelves: Shelf,
    ladders: Ladders,
    scarce: Scarcity,
    room: dict[int, int],
    keeps_going: Callable[[], bool],
) -> dict[int, Decided]:
    """The same for orders that make way for each other while that makes all of them cheaper.

    Buyers who may draw from the same locks see the same stock, so they are one batch; batches
    choose one after another. Each decision has the whole trace, and why it is not the first choice.
    """
    batches: dict[tuple[str, ...], list[OrderToRoute]] = {}
    for order in orders:
        batches.setdefault(shelves.lock_nos(order.claims), []).append(order)
    found: dict[int, Decided] = {}
    for members in batches.values():
        seen = shelves.view(members[0].claims)
        stock = {place: seen.get(place, 0) for place in shelves.free}
        asked = [OpenOrder(order, ladders[order.channel]) for order in members]
        batch = route_batch(asked, table, stock, remaining=room, effort=QUICK, prices=scarce.prices, keeps_going=keeps_going)
        numbers = {order.order_id: order.order_no for order in members}
        moves = {move.order_id: why_moved(move, numbers) for move in batch.moves}
        places = {placed.order_id: placed for placed in batch.placed}
        for order in members:
            ladder, mine = ladders[order.channel], places[order.order_id]
            decision = decided_as(
                order,
                table,
                shelves.view(order.claims),
                {each.node_id: each.line_indexes for each in mine.placements},
                ladder=ladder,
                remaining=room,
                scarcity=scarce.units,
                work_prices=scarce.works,
                is_relaxed=mine.is_relaxed,
            )
            if decision.is_routable and order.order_id in moves and not mine.is_relaxed:
                decision = replace(decision, reasons=(*decision.reasons, moves[order.order_id]))
            found[order.order_id] = decision, plan_works(order, decision, ladder)
            take(shelves, found[order.order_id][1])
            count_off(room, found[order.order_id][1])
    return found


def why_moved(move: Move, numbers: Mapping[int, str]) -> str:
    """Why an order does not get its first choice, or loses the place it had; orders by their numbers."""
    told = []
    if move.made_way_for is not None:
        told.append(f"让位给订单 {numbers[move.made_way_for]}")
    if move.displaced:
        told.append(f"请订单 {'、'.join(numbers[order_id] for order_id in move.displaced)} 让位")
    if move.scarcity_fen:
        told.append(f"稀缺价 {yuan(move.scarcity_fen)}")
    return f"整批统筹：{'，'.join([*told, *_saved(move)])}"


def _saved(move: Move) -> list[str]:
    """What the move means for this order: rungs of the ladder, and money."""
    if not move.before:
        return ["否则无处可派"]
    rungs = round(move.gain_fen / RUNG_FEN)
    money = move.gain_fen - rungs * RUNG_FEN
    told = [f"{'早' if rungs > 0 else '晚'} {abs(rungs)} 级阶梯"] if rungs else []
    return [*told, f"{'少花' if money > 0 else '多花'} {yuan(abs(money))}" if money else "成本不变"]


def decide_whole(
    order: OrderToRoute,
    table: RoutingTable,
    shelves: Shelf,
    ladder: tuple[Rung, ...],
    refused: frozenset[int],
    scarce: Scarcity,
    left: Mapping[int, int],
    at: datetime,
) -> Decision:
    """The best plan that keeps one piece of work in one place, climbing the ladder until there is one."""

    def on(rungs: tuple[Rung, ...]) -> Decision:
        stock = shelves.view(order.claims)
        return decide(
            order,
            table,
            stock,
            ladder=rungs,
            refused=refused,
            at=at,
            remaining=left,
            scarcity=scarce.units,
            work_prices=scarce.works,
        )

    whole = None
    for start in range(len(ladder)):
        decision = on(ladder[start:])
        if len(decision.packages) == 1:
            return decision
        whole = whole or decision
    whole = whole or on(ladder)
    return whole if not whole.packages else replace(whole, packages=(), reasons=("没有一个发货点能独自完成",))


def decided_by_hand(order: OrderToRoute, works: Iterable[Planned], nodes: Mapping[int, NodeTerms]) -> Decision:
    """What a person decided, in the form in which decisions are kept; nobody asked what it costs."""
    packages = tuple(
        Package(
            node_id=work.node_id,
            dealer_id=work.dealer_id,
            line_indexes=tuple(order.lines.index(line) for line in work.lines),
            cost_fen=0,
            breakdown={},
            days=0,
            node=nodes[work.node_id].code,
        )
        for work in works
    )
    return Decision(packages, 1, 0, None, [], (), BY_HAND)


def waits_of(decisions: Mapping[int, Decision]) -> dict[int, timedelta]:
    """How long orders that nobody can serve may wait in all, where their terms set an end to it."""
    hours = {order_id: decision.terms.cancel_after_hours for order_id, decision in decisions.items()}
    return {order_id: timedelta(hours=each) for order_id, each in hours.items() if each is not None}


def left_to_a_person(decisions: Mapping[int, Decision]) -> dict[int, str]:
    """The orders that a person must place as their terms say, with the reasons why nobody can serve them."""
    return {
        order_id: "；".join(decision.reasons)
        for order_id, decision in decisions.items()
        if decision.terms.on_unroutable is Unroutable.PERSON
    }


def slots_of(works: Iterable[Planned]) -> dict[str, int]:
    """The places of dealers' days that these pieces of work take, by number of the work."""
    return {work.fo_no: work.dealer_id for work in works if work.dealer_id}


def count_off(left: dict[int, int], works: Iterable[Planned]) -> None:
    """Count planned work off what dealers may still get, so that the next order of a batch sees it."""
    for dealer_id in slots_of(works).values():
        if dealer_id in left:
            left[dealer_id] -= 1


def taken_meanwhile(decision: Decision, what: str = TAKEN_MEANWHILE) -> Decision:
    """The decision of an order that others outran in every round."""
    return replace(decision, packages=(), reasons=(what,))


def wants_of(works: Iterable[Planned]) -> list[Want]:
    """All that these pieces of work take from stock."""
    return [want for work in works for want in work.wants]


def take(stock: Shelf, works: Iterable[Planned]) -> None:
    """Count planned work off a stock snapshot, so that the next order of a batch sees what is left."""
    for bill, demand in demands_of(wants_of(works)).items():
        stock.take(bill, demand)
