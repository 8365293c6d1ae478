"""Orders that nobody has accepted yet are decided again, all of them together.

Lock order: Order, then Offer, then work, then stock levels, then dealers' days. Nothing is locked while the places are
worked out; afterwards everything is looked at again under its locks, and a chain of moves in which
anything is not as it was is dropped whole. All moves of a batch are one transaction.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from dealers.capacity import actions as capacity
from dealers.capacity.rules import DealerDay, left_of
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal import actions as journal
from orders.dispatch import queries as dispatch
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.models import Order
from orders.offers import actions as offers
from orders.rebalance import queries, rules, statements
from orders.rebalance.models import RebalancePass
from orders.rebalance.rules import Chain, Change, OpenCase
from orders.routing import actions as routing_actions
from orders.routing import queries as routing
from orders.routing.batch import REDECIDE, route_batch
from orders.scarcity import queries as scarcity
from orders.work import actions as work_actions
from orders.work.rules import NewPlace

ACTOR = "system:rebalance"
NOTE = "统筹调整"
LOOK_AT = 2000
SECONDS = 10.0  # until no better places are looked for any more
LEASE = timedelta(minutes=2)  # a pass that is older was killed


@dataclass(slots=True)
class Told:
    """What a pass has done so far."""

    looked: int = 0
    moved: int = 0
    dropped: int = 0
    saved_fen: int = 0


def redecide(*, at: datetime) -> int:
    """Let open orders make way for each other; returns how many were moved. Called by the clock, one pass at a time.

    An order is moved at most twice, never once somebody accepted it, and no dealer is asked twice
    about the same order. Buyers who may draw from the same stock locks are one batch.
    """
    pass_id = _begin(at)
    if pass_id is None:
        return 0
    began, told = time.monotonic(), Told()
    try:
        table = routing.routing_table(at)
        cases = [case for case in queries.open_cases(at, LOOK_AT) if not rules.is_past_cutoff(case, table, at)]
        told.looked = len(cases)
        stock = dispatch.stock_for([case.order for case in cases], table, at)
        batches: dict[tuple[str, ...], list[OpenCase]] = {}
        for case in cases:
            batches.setdefault(stock.lock_nos(case.order.claims), []).append(case)
        for members in batches.values():
            _improve(members, told, at, lambda: time.monotonic() < began + SECONDS)
    finally:
        _end(pass_id, told, round((time.monotonic() - began) * 1000))
    return told.moved


@transaction.atomic
def _begin(at: datetime) -> int | None:
    RebalancePass.objects.filter(is_running=True, started_at__lte=at - LEASE).update(is_running=False)
    return statements.begin(at)


@transaction.atomic
def _end(pass_id: int, told: Told, took_ms: int) -> None:
    """A pass that changed nothing leaves no trace."""
    mine = RebalancePass.objects.filter(pk=pass_id)
    if not told.moved and not told.dropped:
        mine.delete()
        return
    mine.update(
        is_running=False,
        looked=told.looked,
        moved=told.moved,
        dropped=told.dropped,
        saved_fen=told.saved_fen,
        took_ms=took_ms,
    )


def _improve(members: Sequence[OpenCase], told: Told, at: datetime, keeps_going: Callable[[], bool]) -> None:
    """Work out better places for orders that see the same stock, and move them there."""
    table = routing.routing_table(at)
    stock = dispatch.stock_for([case.order for case in members], table, at)
    seen = stock.view(members[0].order.claims)
    free = {place: max(0, seen.get(place, 0)) for place in stock.free}
    scarce, asked = scarcity.scarcity(at), [case.as_open() for case in members]
    days = dispatch.days_for([case.order for case in members], table, at)
    room = left_of(days.values())
    batch = route_batch(asked, table, free, remaining=room, effort=REDECIDE, prices=scarce.prices, keeps_going=keeps_going)
    cases = {case.order.order_id: case for case in members}
    dealers = {node_id: node.dealer_id for node_id, node in dispatch.roster().nodes.items()}
    chains = rules.worthwhile(batch.moves, cases, table, free, dealers, scarce, room, settings.REBALANCE_LEAST_FEN)
    if not chains:
        return
    moved = _apply(chains, days, at)
    told.moved += len(moved)
    told.dropped += sum(map(len, chains)) - len(moved)
    told.saved_fen += sum(change.money_fen for change in moved)


class _DayIsFull(Exception):
    """Takes everything back: the dealers of these chains have got other work meanwhile."""

    def __init__(self, chains: Sequence[Chain]) -> None:
        super().__init__()
        self.chains = chains


@transaction.atomic
def _apply(chains: Sequence[Chain], days: Mapping[int, DealerDay], at: datetime) -> list[Change]:
    """Do those chains whose orders are as they were and whose stock and dealers' days can be had; returns the orders moved."""
    standing = _unchanged(chains)
    while standing:
        try:
            with transaction.atomic():
                return _swap(standing, days, at)
        except _DayIsFull as full:
            standing = [chain for chain in standing if chain not in full.chains]
    return []


def _swap(standing: Sequence[Chain], days: Mapping[int, DealerDay], at: datetime) -> list[Change]:
    done = reservations.swap(swaps=[rules.swap_of(chain) for chain in standing], at=at)
    won = [chain for chain, is_done in zip(standing, done, strict=True) if is_done]
    moved = [change for chain in won for change in chain]
    if moved:
        slots = rules.slots_of(moved)
        gone = [work.fo_no for change in moved for work in change.left if work.fo_no not in slots]
        admitted = capacity.move(slots=slots, days=days, actor=ACTOR, at=at, gone=gone)
        if full := [chain for chain in won if not rules.slots_of(chain).keys() <= admitted]:
            raise _DayIsFull(full)
        _move(moved, at)
    return moved


def _unchanged(chains: Sequence[Chain]) -> list[Chain]:
    """The chains all of whose orders, offers and works are what they were; locked from now on."""
    order_ids = sorted({change.case.order.order_id for chain in chains for change in chain})
    orders = {order.pk: order for order in lifecycle.lock_orders(order_ids)}
    pending = offers.lock_pending(order_ids)
    works: dict[int, set[tuple[int, int]]] = {}
    for work in work_actions.lock_works(order_ids):
        works.setdefault(work.order_id, set()).add((work.pk, work.version))

    def stands(change: Change) -> bool:
        case, order = change.case, orders[change.case.order.order_id]
        return (
            order.state == Order.State.ROUTED
            and order.version == case.version
            and works.get(order.pk) == {(work.work_id, work.version) for work in case.works}
            and all(pending.get(work.offer_id) == work.offer_version for work in case.works)
        )

    return [chain for chain in chains if all(stands(change) for change in chain)]


def _move(moved: Sequence[Change], at: datetime) -> None:
    """Withdraw offers, move and share out work, ask the new dealers and say why. The stock has moved already."""
    offers.withdraw_offers(offer_ids=[work.offer_id for each in moved for work in each.left], note=NOTE, actor=ACTOR, at=at)
    if ended := [work.work_id for each in moved for work in each.ended]:
        work_actions.void_works(work_ids=ended, at=at)
    rehomed = [pair for each in moved for pair in each.rehomed]
    places = [NewPlace(work.work_id, to.node_id, to.dealer_id, to.first_state) for work, to in rehomed]
    facts = work_actions.rehome_works(places=places, note=NOTE, actor=ACTOR, at=at)
    begun = [planned for each in moved for planned in each.begun]
    ids = work_actions.open_works(works=[planned.as_work(at) for planned in begun], at=at) if begun else {}
    asked = [(to, work.work_id, work.round + 1) for work, to in rehomed if to.dealer_id]
    asked += [(planned, ids[planned.fo_no], 1) for planned in begun if planned.dealer_id]
    facts += offers.open_offers(asked=asked, dealers=dispatch.roster().dealers, at=at)
    facts += [
        events.WorkMoved(
            fo_id=ids[planned.fo_no],
            fo_no=planned.fo_no,
            order_no=planned.order.order_no,
            dealer_id=None,
            division_code=planned.order.division_code,
            was="waiting",
            state="accepted",
            actor=ACTOR,
            note=NOTE,
        )
        for planned in begun
        if planned.dealer_id is None
    ]
    saved = [
        (each.case.order, each.decision, "", 1 + max(work.round for work in each.case.works)) for each in moved
    ]  # fmt: skip
    routing_actions.save_decisions(decisions=saved, at=at)
    lifecycle.count_moves(order_ids=[each.case.order.order_id for each in moved])
    journal.record(*facts, actor=ACTOR, at=at)
