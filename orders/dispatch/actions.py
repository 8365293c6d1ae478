"""Who does the work: orders are routed and offered, refused work is offered to the next.

Lock order: Order, then Offer, then work, then stock levels, then dealers' days.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction

from dealers.acceptance import actions as acceptance
from dealers.capacity import actions as capacity
from dealers.capacity.rules import left_of
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact
from oms_project.refusal import Stale
from orders.dispatch import queries, rules, statements
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.models import Order
from orders.lifecycle.rules import OrderToRoute
from orders.offers import actions as offers
from orders.offers.queries import Asked, asked_before, last_offers, unanswered_works
from orders.offers.rules import Planned, why_it_came_back
from orders.review import actions as review
from orders.routing import actions as routing_actions
from orders.routing import queries as routing
from orders.routing.rules import Decision, RoutingTable
from orders.scarcity import queries as scarcity
from orders.work import actions as work_actions
from orders.work.models import FulfillmentOrder
from orders.work.queries import as_orders

ACTOR = "system:dispatch"
ROUNDS = 3
BATCH_SECONDS = 0.5  # for the orders of a batch to make way for each other
Saved = tuple[OrderToRoute, Decision, str, int]


@transaction.atomic(savepoint=False)
def route_orders(*, order_ids: Sequence[int], actor: str, at: datetime) -> int:
    """Decide waiting orders, hold their stock, open their work and ask the dealers; returns how many were routed.

    Set-based: one order and a hundred take the same number of statements. Orders that do not wait
    for routing any more are passed over; those without a plan wait as unroutable with their reasons.
    A decision that only repeats why an order waits is not kept again.
    """
    orders = lifecycle.take_for_routing(order_ids=order_ids, at=at)
    if not orders:
        return 0
    decisions, planned = _reserve_with_capacity(orders, actor, at)
    routed = [order for order in orders if order.order_id in planned]
    if routed:
        _open(routed, decisions, planned, actor, at)
        awaited = [order for order in routed if order.is_awaited]
        reservations.release(bills=[order.order_no for order in awaited], at=at)
        if awaited:
            lifecycle.end_stranding(order_ids=[order.order_id for order in awaited])
    news = set(planned)
    if stranded := [order for order in orders if order.order_id not in planned]:
        news |= _strand(stranded, {order.order_id: decisions[order.order_id] for order in stranded}, actor, at)
    saved: list[Saved] = [(order, decisions[order.order_id], "", 1) for order in orders if order.order_id in news]
    routing_actions.save_decisions(decisions=saved, at=at)
    return len(routed)


def _strand(orders: Sequence[OrderToRoute], decisions: dict[int, Decision], actor: str, at: datetime) -> frozenset[int]:
    """Nobody can serve these orders now: they wait, some for a person and some not for ever, as their terms say.

    Returns those that did not wait for the same reasons before.
    """
    reasons = {order_id: decision.reasons for order_id, decision in decisions.items()}
    waits = rules.waits_of(decisions)
    news = lifecycle.mark_unroutable(orders=orders, reasons=reasons, at=at, actor=actor, cancel_after=waits)
    if for_person := rules.left_to_a_person(decisions):
        review.leave_to_a_person(reasons=for_person, actor=actor, at=at)
    return news


def _reserve_with_capacity(
    orders: Sequence[OrderToRoute], actor: str, at: datetime
) -> tuple[dict[int, Decision], dict[int, list[Planned]]]:
    """Decide orders, hold their stock, and take the places of dealers' days that their work needs.

    Stock is locked before days. An order that another worker outran at a dealer gives everything
    back and is decided again, up to three times in all.
    """
    table = routing.routing_table(at)
    decisions: dict[int, Decision] = {}
    planned: dict[int, list[Planned]] = {}
    todo = list(orders)
    for _ in range(ROUNDS):
        days = queries.days_for(todo, table, at)
        decided, found = _reserve(todo, table, left_of(days.values()), at)
        slots = rules.slots_of(work for works in found.values() for work in works)
        admitted = capacity.take(slots=slots, days=days, at=at)
        outrun = {key for key, works in found.items() if any(each not in admitted for each in rules.slots_of(works))}
        decisions |= decided
        planned |= {key: works for key, works in found.items() if key not in outrun}
        todo = [order for order in todo if order.order_id in outrun]
        if not todo:
            break
        given_up = [work.fo_no for key in outrun for work in found[key]]
        reservations.release(bills=given_up, at=at)
        capacity.give_back(bills=given_up, actor=actor, at=at)
    for order in todo:
        decisions[order.order_id] = rules.taken_meanwhile(decisions[order.order_id], rules.FULL_MEANWHILE)
    return decisions, planned


def _reserve(
    orders: Sequence[OrderToRoute], table: RoutingTable, left: dict[int, int], at: datetime
) -> tuple[dict[int, Decision], dict[int, list[Planned]]]:
    """Decide orders on one stock snapshot and hold what they want, all together.

    Several orders are decided together. An order any of whose bills another worker outran gives
    back its other bills and is decided again by itself on fresh stock, up to three times in all.
    `left` is what dealers may still get; it is counted off.
    """
    scarce, ladders = scarcity.scarcity(at), {order.channel: queries.ladder_for(order.channel) for order in orders}
    decisions: dict[int, Decision] = {}
    planned: dict[int, list[Planned]] = {}
    todo = list(orders)
    for number in range(ROUNDS):
        stock, room = queries.stock_for(todo, table, at), dict(left)
        if number == 0 and len(todo) > 1:
            found = rules.decide_together(todo, table, stock, ladders, scarce, room, _for_seconds(BATCH_SECONDS))
        else:
            found = rules.decide_in_turn(todo, table, stock, ladders, scarce, room, at)
        decisions |= {key: decision for key, (decision, _) in found.items()}
        tried = {key: works for key, (_, works) in found.items() if works}
        wants = rules.wants_of(work for works in tried.values() for work in works)
        held = reservations.hold(wants=wants, at=at) if wants else frozenset()
        wanted = {want.bill for want in wants}
        lost = {key for key, works in tried.items() if any(work.fo_no in wanted - held for work in works)}
        kept = {key: works for key, works in tried.items() if key not in lost}
        planned |= kept
        rules.count_off(left, (work for works in kept.values() for work in works))
        todo = [order for order in todo if order.order_id in lost]
        if not todo:
            break
        if given_back := [work.fo_no for key in lost for work in tried[key] if work.fo_no in held]:
            reservations.release(bills=given_back, at=at)
    for order in todo:
        decisions[order.order_id] = rules.taken_meanwhile(decisions[order.order_id])
    return decisions, planned


def _for_seconds(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until


def _open(
    orders: Sequence[OrderToRoute],
    decisions: dict[int, Decision],
    planned: dict[int, list[Planned]],
    actor: str,
    at: datetime,
) -> None:
    """Write the work and the offers of orders whose stock is held, and tell of it in one go."""
    roster = queries.roster()
    works = [work for order in orders for work in planned[order.order_id]]
    ids = work_actions.open_works(works=[work.as_work(at) for work in works], at=at)
    facts: list[events.Event] = [
        events.OrderRouted(
            order_id=order.order_id,
            order_no=order.order_no,
            division_code=order.division_code,
            cost_fen=decisions[order.order_id].cost_fen,
            nodes=[roster.nodes[work.node_id].code for work in planned[order.order_id]],
        )
        for order in orders
    ]
    asked = [(work, ids[work.fo_no], 1) for work in works if work.dealer_id]
    facts += offers.open_offers(asked=asked, dealers=roster.dealers, at=at)
    facts += [
        events.WorkMoved(
            fo_id=ids[work.fo_no],
            fo_no=work.fo_no,
            order_no=work.order.order_no,
            dealer_id=None,
            division_code=work.order.division_code,
            was="waiting",
            state="accepted",
            actor=actor,
        )
        for work in works
        if work.dealer_id is None
    ]
    journal.record(*facts, actor=actor, at=at)


@transaction.atomic(savepoint=False)
def open_by_hand(*, order: OrderToRoute, works: Sequence[Planned], actor: str, at: datetime) -> None:
    """Open the work of a taken order as a person decided; its stock and its dealers' days are taken already."""
    decision = rules.decided_by_hand(order, works, queries.roster().nodes)
    _open([order], {order.order_id: decision}, {order.order_id: list(works)}, actor, at)
    routing_actions.save_decisions(decisions=[(order, decision, "", 1)], at=at)


def _ask_next(work_ids: Sequence[int], at: datetime) -> None:
    """Find somebody else for work that nobody has on offer now; whoever was asked before is out.

    A dealer is asked, HQ's own place accepts at once, and with nobody left the stock is released
    and the work waits for a person. So does work that a person had pinned, whoever else could do it.
    """
    lifecycle.lock_orders(FulfillmentOrder.objects.filter(pk__in=work_ids).values_list("order_id", flat=True))
    unanswered = unanswered_works(work_ids)
    if pinned := {work.pk: work for work in unanswered if work.is_pinned}:
        for work_id, offer in last_offers(pinned).items():
            why = why_it_came_back(offer.state, offer.dealer.name, offer.get_decline_reason_display())
            _leave_to_a_person(pinned[work_id], why, at)
    works = [work for work in unanswered if not work.is_pinned]
    if not works:
        return
    orders, asked = as_orders(works), asked_before([work.pk for work in works])
    decisions, moved = _move_on(works, orders, asked, at)
    for work in works:
        if work.pk not in moved:
            _leave_to_a_person(work, "；".join(decisions[work.pk].reasons), at)
    to_hq = [planned.fo_no for planned in moved.values() if planned.dealer_id is None]
    capacity.give_back(bills=to_hq, actor=ACTOR, at=at)
    saved = [(orders[work.pk], decisions[work.pk], work.fo_no, asked[work.pk].rounds + 1) for work in works]
    routing_actions.save_decisions(decisions=saved, at=at)
    offered = [(planned, work_id, asked[work_id].rounds + 1) for work_id, planned in moved.items() if planned.dealer_id]
    facts = offers.open_offers(asked=offered, dealers=queries.roster().dealers, at=at)
    journal.record(*facts, actor=ACTOR, at=at)


def _leave_to_a_person(work: FulfillmentOrder, why: str, at: datetime) -> None:
    """Nobody does this work: its stock and the place of its dealer's day are free again."""
    reservations.release(bills=[work.fo_no], at=at)
    capacity.give_back(bills=[work.fo_no], actor=ACTOR, at=at)
    work_actions.move_work(work_id=work.pk, to=FulfillmentOrder.State.STUCK, actor=ACTOR, at=at, note=why[:200])


def _move_on(
    works: Sequence[FulfillmentOrder], orders: dict[int, OrderToRoute], asked: dict[int, Asked], at: datetime
) -> tuple[dict[int, Decision], dict[int, Planned]]:
    """Decide refused work anew and carry its stock over; returns the decisions, and by work id what was moved.

    All stock rows of a round are locked in key order before the first is touched, so that two
    workers never wait for each other; the dealers' days come after them. What dealers gave back
    counts for whoever comes next.
    """
    table, scarce = routing.routing_table(at), scarcity.scarcity(at)
    decisions: dict[int, Decision] = {}
    moved: dict[int, Planned] = {}
    todo = list(works)
    for _ in range(ROUNDS):
        days = queries.days_for([orders[work.pk] for work in todo], table, at)
        left = left_of(days.values())
        stock = queries.stock_for([orders[work.pk] for work in todo], table, at)
        tried: dict[int, Planned] = {}
        for work in todo:
            order, before = orders[work.pk], asked[work.pk]
            ladder = rules.next_rung(queries.ladder_for(order.channel), before.per_rung)
            decision = decisions[work.pk] = rules.decide_whole(order, table, stock, ladder, before.dealers, scarce, left, at)
            for planned in rules.plan_works(order, decision, ladder, work.fo_no):
                tried[work.pk] = planned
                rules.take(stock, [planned])
                rules.count_off(left, [planned])
        todo = [work for work in todo if work.pk in tried]
        statements.lock_levels(
            {(node_id, want.sku_id) for work in todo for want in tried[work.pk].wants for node_id in (work.node_id, want.node_id)}
        )
        reservations.release(bills=[work.fo_no for work in todo], at=at)
        wants = rules.wants_of(tried.values())
        held = reservations.hold(wants=wants, at=at) if wants else frozenset()
        ready = [work for work in todo if work.fo_no in held or not tried[work.pk].wants]
        slots = rules.slots_of(tried[work.pk] for work in ready)
        admitted = capacity.move(slots=slots, days=days, actor=ACTOR, at=at)
        for work in ready:
            if work.fo_no in admitted or tried[work.pk].dealer_id is None:
                moved[work.pk] = tried[work.pk]
                _rehome(work, tried[work.pk], at)
        todo = [work for work in todo if work.pk not in moved]
        if not todo:
            break
    for work in todo:
        decisions[work.pk] = rules.taken_meanwhile(decisions[work.pk])
    return decisions, moved


def _rehome(work: FulfillmentOrder, planned: Planned, at: datetime) -> None:
    """Give the work to the place that now holds its stock."""
    to = planned.first_state
    work_actions.rehome_work(work_id=work.pk, node_id=planned.node_id, dealer_id=planned.dealer_id, state=to, at=at, actor=ACTOR)


def on_order_placed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Route a batch of orders that wait."""
    route_orders(order_ids=[fact.payload["order_id"] for fact in facts], actor=ACTOR, at=at)


@transaction.atomic
def on_offer_closed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Count the dealers' answers, and ask the next for work that nobody has on offer now."""
    accepted: dict[int, int] = {}
    refused: dict[int, int] = {}
    for fact in facts:
        counts = {"accepted": accepted, "declined": refused, "expired": refused}.get(fact.payload["state"])
        if counts is not None:
            counts[fact.payload["dealer_id"]] = counts.get(fact.payload["dealer_id"], 0) + 1
    if left := sorted({fact.payload["fo_id"] for fact in facts if fact.payload["state"] != "accepted"}):
        _ask_next(left, at)
    acceptance.count_answers(accepted=accepted, refused=refused, at=at)


@transaction.atomic
def on_order_closed_at_source(facts: Sequence[Fact], *, at: datetime) -> None:
    """A cancel at the source wins: offers are withdrawn, unanswered work ends, accepted work is asked back."""
    order_ids = sorted({fact.payload["order_id"] for fact in facts})
    orders = lifecycle.lock_orders(order_ids)
    offers.withdraw_offers_of(order_ids=order_ids, note="订单取消", actor=ACTOR, at=at)
    cancelled: list[str] = []
    for order in orders:
        if order.state == Order.State.ROUTED:
            cancelled += work_actions.cancel_works(order_id=order.pk, actor=ACTOR, at=at)
    if cancelled:
        reservations.release(bills=cancelled, at=at)
        capacity.give_back(bills=cancelled, actor=ACTOR, at=at)


@transaction.atomic
def on_order_amended(facts: Sequence[Fact], *, at: datetime) -> None:
    """A new address makes a new decision, unless a dealer has accepted or a person chose the place: then a person decides."""
    for order_id in sorted({fact.payload["order_id"] for fact in facts if "address" in fact.payload["changes"]}):
        order = lifecycle.lock_order(order_id)
        if order.state == Order.State.UNROUTABLE:
            route_orders(order_ids=[order_id], actor=ACTOR, at=at)
        elif order.state == Order.State.ROUTED:
            _place_again(order, at)


def _place_again(order: Order, at: datetime) -> None:
    try:
        with transaction.atomic():
            offers.withdraw_offers_of(order_ids=[order.pk], note="收货地址变更", actor=ACTOR, at=at)
            voided = work_actions.place_again(order_id=order.pk, actor=ACTOR, at=at)
    except Stale as stale:
        is_pinned = isinstance(stale, work_actions.PinnedWork)
        detail = "指定发货点后收货地址变更，请人工确认" if is_pinned else "接单后收货地址变更，请联系经销商"
        review.hold_order(order_id=order.pk, reason="amended", detail=detail, actor=ACTOR, at=at)
    else:
        if voided:
            reservations.release(bills=voided, at=at)
            capacity.give_back(bills=voided, actor=ACTOR, at=at)
