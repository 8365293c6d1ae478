"""Every write to offers: open them, answer them, let them run out, and ask the next.

Lock order: Order, then Offer, then work, then stock levels. An answer is one compare-and-swap on
(pending, before the deadline); whoever comes second changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import orjson
from django.db import transaction
from django.db.models import Case, F, PositiveIntegerField, When

from dealers.models import Dealer, Staff
from dealers.settlement import queries as settlement
from dealers.settlement.rules import income_of, quote
from inventory.models import Node
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Shelf, Want, demands_of
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound, Refusal, Stale
from orders.dispatch import queries, rules, statements
from orders.dispatch.models import Offer
from orders.dispatch.queries import Asked
from orders.dispatch.rules import Planned
from orders.dispatch.statements import ClosedOffer, NewOffer
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.models import FulfillmentOrder, Order
from orders.lifecycle.rules import WORK_UNANSWERED, OrderToRoute
from orders.routing import actions as routing_actions
from orders.routing import queries as routing
from orders.routing.rules import Decision, RoutingTable, Rung, decide

ACTOR = "system:dispatch"
ROUNDS = 3
RETRY_CHUNK, RETRY_LIMIT = 100, 1000
EXPIRE_LIMIT = 500
TAKEN_MEANWHILE = "库存被同时下单的订单占用"
Saved = tuple[OrderToRoute, Decision, str, int]
HQ_PLACERS = frozenset({Staff.Role.ADMIN, Staff.Role.OPERATOR})


class OfferGone(Refusal):
    """The offer was answered, ran out or was withdrawn before."""

    def __init__(self, message: str = "这张单已被处理或已超时") -> None:
        super().__init__(message)


class NoStockThere(Refusal):
    """The place a person chose cannot hold what the work needs."""


class ReasonNeeded(Refusal):
    """Nobody declines without saying why: the reason corrects stock and routing."""


# Opening: from waiting orders to held stock, work and offers.


@transaction.atomic(savepoint=False)
def route_orders(*, order_ids: Sequence[int], actor: str, at: datetime) -> int:
    """Decide waiting orders, hold their stock, open their work and ask the dealers; returns how many were routed.

    Set-based: one order and a hundred take the same number of statements. Orders that do not wait
    for routing any more are passed over; those without a plan wait as unroutable with their reasons.
    """
    orders = lifecycle.take_for_routing(order_ids=order_ids, at=at)
    if not orders:
        return 0
    decisions, planned = _reserve(orders, at)
    routed = [order for order in orders if order.order_id in planned]
    saved: list[Saved] = [(order, decisions[order.order_id], "", 1) for order in orders]
    if routed:
        _open(routed, decisions, planned, actor, at)
        reservations.release(bills=[order.order_no for order in routed if order.is_awaited], at=at)
    routing_actions.save_decisions(decisions=saved, at=at)
    if stranded := [order for order in orders if order.order_id not in planned]:
        reasons = {order.order_id: list(decisions[order.order_id].reasons) for order in stranded}
        lifecycle.mark_unroutable(orders=stranded, reasons=reasons, at=at, actor=actor)
    return len(routed)


def _reserve(orders: Sequence[OrderToRoute], at: datetime) -> tuple[dict[int, Decision], dict[int, list[Planned]]]:
    """Decide orders one after another on one stock snapshot and hold what they want, all together.

    An order any of whose bills another worker outran gives back its other bills and is decided
    again on fresh stock, up to three times.
    """
    table = routing.routing_table(at)
    decisions: dict[int, Decision] = {}
    planned: dict[int, list[Planned]] = {}
    todo = list(orders)
    for _ in range(ROUNDS):
        stock = queries.stock_for(todo, table, at)
        tried: dict[int, list[Planned]] = {}
        for order in todo:
            ladder, seen = queries.ladder_for(order.channel), stock.view(order.claims)
            decision = decisions[order.order_id] = decide(order, table, seen, ladder=ladder, refused=frozenset(), at=at)
            if decision.is_routable:
                tried[order.order_id] = rules.plan_works(order, decision, ladder)
                _take(stock, tried[order.order_id])
        wants = _wants(work for works in tried.values() for work in works)
        held = reservations.hold(wants=wants, at=at) if wants else frozenset()
        wanted = {want.bill for want in wants}
        lost = {key for key, works in tried.items() if any(work.fo_no in wanted - held for work in works)}
        planned.update({key: works for key, works in tried.items() if key not in lost})
        todo = [order for order in todo if order.order_id in lost]
        if not todo:
            break
        if given_back := [work.fo_no for key in lost for work in tried[key] if work.fo_no in held]:
            reservations.release(bills=given_back, at=at)
    for order in todo:
        decisions[order.order_id] = replace(decisions[order.order_id], packages=(), reasons=(TAKEN_MEANWHILE,))
    return decisions, planned


def _wants(works: Iterable[Planned]) -> list[Want]:
    return [want for work in works for want in work.wants]


def _take(stock: Shelf, works: Iterable[Planned]) -> None:
    """Count planned work off a stock snapshot, so that the next order of a batch sees what is left."""
    for bill, demand in demands_of(_wants(works)).items():
        stock.take(bill, demand)


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
    ids = lifecycle.open_works(works=[work.as_work(at) for work in works], at=at)
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
    facts += _offer([(work, ids[work.fo_no], 1) for work in works if work.dealer_id], at)
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


def _offer(asked: Sequence[tuple[Planned, int, int]], at: datetime, again: bool = False) -> list[events.Event]:
    """Insert offers for (work, work id, round), income frozen by the rules of the paid time; returns their facts."""
    if not asked:
        return []
    roster, terms = queries.roster(), settlement.rules_in_force(at)
    offers = []
    for work, work_id, number in asked:
        dealer = roster.dealers[work.dealer_id or 0]
        income = quote(work.as_priced(dealer), terms, work.order.paid_at)
        offers.append(
            NewOffer(
                offer_no=f"{work.fo_no}-{number}",
                work_id=work_id,
                dealer_id=dealer.dealer_id,
                node_id=work.node_id,
                round=number,
                ladder_step=work.ladder_step,
                income_fen=income_of(income, dealer.code),
                income=orjson.dumps([component.as_dict() for component in income]).decode(),
                expires_at=rules.deadline(at, work.seconds, dealer.opens_at, dealer.closes_at, dealer.weekdays),
            )
        )
    ids = statements.insert_offers(offers, at, again=again)
    return [
        events.OfferOpened(
            offer_id=ids[offer.offer_no],
            offer_no=offer.offer_no,
            fo_id=offer.work_id,
            fo_no=work.fo_no,
            order_no=work.order.order_no,
            dealer_id=offer.dealer_id,
            division_code=work.order.division_code,
            region=work.order.region,
            summary=rules.summarise(work.lines),
            income_fen=offer.income_fen,
            expires_at=offer.expires_at.isoformat(),
        )
        for offer, (work, _, _) in zip(offers, asked, strict=True)
    ]


# Answering.


@transaction.atomic
def accept_offer(*, offer_no: str, staff: Staff, at: datetime, version: int | None = None) -> Offer:
    """The first valid answer wins: offer, work and fact change together or not at all.

    Pressing again, or a colleague pressing too, returns the accepted offer. Raises NotFound (not
    yours), Stale (another version was shown) or OfferGone. Paused dealers may still answer.
    """
    offer = _answerable(offer_no, staff, version, Offer.State.ACCEPTED)
    if offer.state == Offer.State.ACCEPTED:
        return offer
    if not _close(offer, Offer.State.ACCEPTED, staff, at):
        offer.refresh_from_db()
        if offer.state == Offer.State.ACCEPTED:
            return offer
        raise OfferGone(rules.GONE[offer.state])
    accepted, actor = FulfillmentOrder.State.ACCEPTED, f"staff:{staff.pk}"
    offer.work = lifecycle.move_work(work_id=offer.work_id, to=accepted, actor=actor, at=at)
    reservations.settle(bills=[offer.work.fo_no], kind="node")
    return _tell_answer(offer, staff, at)


@transaction.atomic
def decline_offer(*, offer_no: str, staff: Staff, reason: str, at: datetime, note: str = "", version: int | None = None) -> Offer:
    """A dealer says no, and why; the next candidate is asked by event. Repeating it changes nothing.

    `reason` is an Offer.DeclineReason. Raises ReasonNeeded, NotFound, Stale or OfferGone.
    """
    if reason not in Offer.DeclineReason.values:
        raise ReasonNeeded("请选择拒单原因：" + "、".join(Offer.DeclineReason.labels))
    offer = _answerable(offer_no, staff, version, Offer.State.DECLINED)
    if offer.state == Offer.State.DECLINED:
        return offer
    if not _close(offer, Offer.State.DECLINED, staff, at, decline_reason=reason, note=note[:200]):
        offer.refresh_from_db()
        if offer.state == Offer.State.DECLINED:
            return offer
        raise OfferGone(rules.GONE[offer.state])
    return _tell_answer(offer, staff, at)


def _answerable(offer_no: str, staff: Staff, version: int | None, wanted: str) -> Offer:
    """The offer if this person may answer for the asked dealer. HQ places by hand instead of answering."""
    offer = queries.offer_for(staff=staff, offer_no=offer_no)
    if offer.dealer_id != staff.dealer_id:
        raise NotFound
    if offer.state != wanted:
        if offer.state != Offer.State.PENDING:
            raise OfferGone(rules.GONE[offer.state])
        if version is not None and version != offer.version:
            raise Stale
    return offer


def _close(offer: Offer, state: str, staff: Staff, at: datetime, **fields: str) -> bool:
    """The compare-and-swap of every answer; a deadline that has come counts as over."""
    still_open = Offer.objects.filter(pk=offer.pk, state=Offer.State.PENDING, expires_at__gt=at)
    return bool(still_open.update(state=state, version=F("version") + 1, answered_at=at, answered_by=staff, **fields))


def _tell_answer(offer: Offer, staff: Staff, at: datetime) -> Offer:
    offer.refresh_from_db(fields=["state", "version", "answered_at", "answered_by", "decline_reason", "note"])
    closed = ClosedOffer(
        offer.pk,
        offer.offer_no,
        offer.work_id,
        offer.dealer_id,
        offer.opened_at,
        offer.work.fo_no,
        offer.work.order.order_no,
        offer.work.order.division_code,
    )
    fact = _closed(closed, offer.state, at, reason=offer.decline_reason, answered_by=staff.name)
    journal.record(fact, actor=f"staff:{staff.pk}", at=at)
    return offer


def _closed(offer: ClosedOffer, state: str, at: datetime, reason: str = "", answered_by: str = "") -> events.OfferClosed:
    return events.OfferClosed(
        offer_id=offer.offer_id,
        offer_no=offer.offer_no,
        fo_id=offer.work_id,
        fo_no=offer.fo_no,
        order_no=offer.order_no,
        dealer_id=offer.dealer_id,
        division_code=offer.division_code,
        state=state,
        reason=reason,
        answered_by=answered_by,
        waited_seconds=max(0, int((at - offer.opened_at).total_seconds())),
    )


@transaction.atomic
def expire_due(*, at: datetime) -> int:
    """Close offers whose deadline has come, up to 500 at a time; returns how many. Called by the clock."""
    expired = statements.expire_offers(at, EXPIRE_LIMIT)
    journal.record(*[_closed(offer, "expired", at) for offer in expired], actor=ACTOR, at=at)
    return len(expired)


def _lock_orders(order_ids: Iterable[int]) -> list[Order]:
    """These orders' rows, locked in key order until the transaction ends."""
    return list(Order.objects.select_for_update().filter(pk__in=order_ids).order_by("pk"))


def _withdraw(order_ids: Sequence[int], note: str, actor: str, at: datetime) -> int:
    """Take back what is still pending of these orders. The caller holds the orders' locks."""
    withdrawn = statements.withdraw_offers(order_ids, note, at)
    journal.record(*[_closed(offer, "withdrawn", at, reason=note) for offer in withdrawn], actor=actor, at=at)
    return len(withdrawn)


@transaction.atomic
def withdraw_offer(*, offer_no: str, staff: Staff, at: datetime) -> None:
    """HQ takes a pending offer back; the next candidate is asked by event."""
    if staff.role not in HQ_PLACERS:
        raise NotFound
    offer = queries.offer_for(staff=staff, offer_no=offer_no)
    pending = Offer.objects.filter(pk=offer.pk, state=Offer.State.PENDING)
    if not pending.update(state="withdrawn", version=F("version") + 1, answered_at=at, answered_by=staff, note="总部撤回"):
        offer.refresh_from_db()
        raise OfferGone(rules.GONE[offer.state])
    _tell_answer(offer, staff, at)


# The next candidate.


def _ask_next(work_ids: Sequence[int], at: datetime) -> None:
    """Find somebody else for work that nobody has on offer now; whoever was asked before is out.

    A dealer is asked, HQ's own place accepts at once, and with nobody left the stock is released
    and the work waits for a person.
    """
    _lock_orders(FulfillmentOrder.objects.filter(pk__in=work_ids).values_list("order_id", flat=True))
    works = queries.unanswered_works(work_ids)
    if not works:
        return
    orders, asked = queries.as_orders(works), queries.asked_before([work.pk for work in works])
    decisions, moved = _move_on(works, orders, asked, at)
    for work in works:
        if work.pk not in moved:
            reservations.release(bills=[work.fo_no], at=at)
            note = "；".join(decisions[work.pk].reasons)[:200]
            lifecycle.move_work(work_id=work.pk, to=FulfillmentOrder.State.STUCK, actor=ACTOR, at=at, note=note)
    saved = [(orders[work.pk], decisions[work.pk], work.fo_no, asked[work.pk].rounds + 1) for work in works]
    routing_actions.save_decisions(decisions=saved, at=at)
    offered = [(planned, work_id, asked[work_id].rounds + 1) for work_id, planned in moved.items() if planned.dealer_id]
    journal.record(*_offer(offered, at), actor=ACTOR, at=at)


def _move_on(
    works: Sequence[FulfillmentOrder], orders: dict[int, OrderToRoute], asked: dict[int, Asked], at: datetime
) -> tuple[dict[int, Decision], dict[int, Planned]]:
    """Decide refused work anew and carry its stock over; returns the decisions, and by work id what was moved.

    All stock rows of a round are locked in key order before the first is touched, so that two
    workers never wait for each other.
    """
    table = routing.routing_table(at)
    decisions: dict[int, Decision] = {}
    moved: dict[int, Planned] = {}
    todo = list(works)
    for _ in range(ROUNDS):
        stock = queries.stock_for([orders[work.pk] for work in todo], table, at)
        tried: dict[int, Planned] = {}
        for work in todo:
            order, before = orders[work.pk], asked[work.pk]
            ladder = rules.next_rung(queries.ladder_for(order.channel), before.per_rung)
            decision = decisions[work.pk] = _decide_whole(order, table, stock, ladder, before.dealers, at)
            for planned in rules.plan_works(order, decision, ladder, work.fo_no):
                tried[work.pk] = planned
                _take(stock, [planned])
        todo = [work for work in todo if work.pk in tried]
        statements.lock_levels(
            {(node_id, want.sku_id) for work in todo for want in tried[work.pk].wants for node_id in (work.node_id, want.node_id)}
        )
        reservations.release(bills=[work.fo_no for work in todo], at=at)
        wants = _wants(tried.values())
        held = reservations.hold(wants=wants, at=at) if wants else frozenset()
        for work in todo:
            if work.fo_no in held or not tried[work.pk].wants:
                moved[work.pk] = tried[work.pk]
                _rehome(work, tried[work.pk], ACTOR, at)
        todo = [work for work in todo if work.pk not in moved]
        if not todo:
            break
    for work in todo:
        decisions[work.pk] = replace(decisions[work.pk], packages=(), reasons=(TAKEN_MEANWHILE,))
    return decisions, moved


def _decide_whole(
    order: OrderToRoute, table: RoutingTable, shelves: Shelf, ladder: tuple[Rung, ...], refused: frozenset[int], at: datetime
) -> Decision:
    """The best plan that keeps one piece of work in one place, climbing the ladder until there is one."""
    whole, stock = None, shelves.view(order.claims)
    for start in range(len(ladder)):
        decision = decide(order, table, stock, ladder=ladder[start:], refused=refused, at=at)
        if len(decision.packages) == 1:
            return decision
        whole = whole or decision
    whole = whole or decide(order, table, stock, ladder=ladder, refused=refused, at=at)
    return whole if not whole.packages else replace(whole, packages=(), reasons=("没有一个发货点能独自完成",))


def _rehome(work: FulfillmentOrder, planned: Planned, actor: str, at: datetime) -> None:
    """Give the work to the place that now holds its stock."""
    state = FulfillmentOrder.State.OFFERED if planned.dealer_id else FulfillmentOrder.State.ACCEPTED
    lifecycle.rehome_work(work_id=work.pk, node_id=planned.node_id, dealer_id=planned.dealer_id, state=state, at=at, actor=actor)


@transaction.atomic
def place_by_hand(*, fo_no: str, node_id: int, staff: Staff, at: datetime) -> FulfillmentOrder:
    """An operator puts work that nobody has accepted at a place of choice: stock, work and offer move with it.

    A dealer is asked even if it said no before: that is what the person has talked about with it.
    Raises NotFound, Stale (accepted or ended meanwhile) or NoStockThere.
    """
    node = Node.objects.filter(pk=node_id, is_active=True).first()
    work = FulfillmentOrder.objects.select_related("order").filter(fo_no=fo_no).first()
    if staff.role not in HQ_PLACERS or node is None or work is None:
        raise NotFound
    actor = f"staff:{staff.pk}"
    lifecycle.lock_order(work.order_id)
    pending = Offer.objects.filter(work=work, state=Offer.State.PENDING).first()
    if pending:
        withdraw_offer(offer_no=pending.offer_no, staff=staff, at=at)
    work.refresh_from_db()
    if work.state not in WORK_UNANSWERED:
        raise Stale(f"履约单当前状态为「{work.get_state_display()}」，不能改派")
    order, before = queries.as_orders([work])[work.pk], queries.asked_before([work.pk])[work.pk]
    rung = queries.ladder_for(order.channel)[0]
    planned = Planned(order, fo_no, node.pk, node.dealer_id, order.lines, rung.position, rung.seconds)
    if planned.wants and not _holds_there(work, planned.wants, at):
        raise NoStockThere(f"{node.name} 的可售库存不足")
    _rehome(work, planned, actor, at)
    if node.dealer_id:
        journal.record(*_offer([(planned, work.pk, before.rounds + 1)], at, again=True), actor=actor, at=at)
    work.refresh_from_db()
    return work


def _holds_there(work: FulfillmentOrder, wants: Sequence[Want], at: datetime) -> bool:
    """Move what the work holds; stuck work has given its stock back and holds anew."""
    if work.state == FulfillmentOrder.State.STUCK:
        return bool(reservations.hold(wants=wants, at=at))
    return reservations.move(bill=work.fo_no, wants=wants, at=at)


# What others tell.


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
    _count_answers(accepted, refused)


def _count_answers(accepted: dict[int, int], refused: dict[int, int]) -> None:
    """Add to the dealers' counters, from which routing learns how likely a yes is."""
    dealers = sorted({*accepted, *refused})
    if not dealers:
        return
    list(Dealer.objects.select_for_update().filter(pk__in=dealers).order_by("pk").values_list("pk"))

    def added(counts: dict[int, int]) -> Case:
        cases = [When(pk=dealer_id, then=count) for dealer_id, count in counts.items()]
        return Case(*cases, default=0, output_field=PositiveIntegerField())

    Dealer.objects.filter(pk__in=dealers).update(
        accepted_count=F("accepted_count") + added(accepted), refused_count=F("refused_count") + added(refused)
    )


@transaction.atomic
def on_order_closed_at_source(facts: Sequence[Fact], *, at: datetime) -> None:
    """A cancel at the source wins: offers are withdrawn, unanswered work ends, accepted work is asked back."""
    order_ids = sorted({fact.payload["order_id"] for fact in facts})
    orders = _lock_orders(order_ids)
    _withdraw(order_ids, "订单取消", ACTOR, at)
    cancelled: list[str] = []
    for order in orders:
        if order.state == Order.State.ROUTED:
            cancelled += lifecycle.cancel_works(order_id=order.pk, actor=ACTOR, at=at)
    if cancelled:
        reservations.release(bills=cancelled, at=at)


@transaction.atomic
def on_order_amended(facts: Sequence[Fact], *, at: datetime) -> None:
    """A new address makes a new decision, unless a dealer has accepted: then a person decides."""
    for order_id in sorted({fact.payload["order_id"] for fact in facts if "address" in fact.payload["changes"]}):
        order = lifecycle.lock_order(order_id)
        if order.state == Order.State.UNROUTABLE:
            route_orders(order_ids=[order_id], actor=ACTOR, at=at)
        elif order.state == Order.State.ROUTED:
            _place_again(order, at)


def _place_again(order: Order, at: datetime) -> None:
    try:
        with transaction.atomic():
            _withdraw([order.pk], "收货地址变更", ACTOR, at)
            voided = lifecycle.place_again(order_id=order.pk, actor=ACTOR, at=at)
    except Stale:
        detail = "接单后收货地址变更，请联系经销商"
        lifecycle.hold_order(order_id=order.pk, reason="amended", detail=detail, actor=ACTOR, at=at)
    else:
        if voided:
            reservations.release(bills=voided, at=at)


@transaction.atomic
def on_stock_arrived(facts: Sequence[Fact], *, at: datetime) -> None:
    """Try the unroutable orders again that need the goods and may be served from where they arrived."""
    nodes = {fact.payload["node_id"] for fact in facts}
    sku_ids = {sku_id for fact in facts for sku_id in fact.payload["sku_ids"]}
    table = routing.routing_table(at)
    waiting = queries.unroutable_orders(sku_ids, RETRY_LIMIT)
    _retry([row[0] for row in waiting if nodes & set(table.candidates(row[1], row[2]))], at)


@transaction.atomic
def on_routing_changed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Try all unroutable orders again, on the rules as they are now."""
    routing.forget()
    queries.forget()
    _retry([row[0] for row in queries.unroutable_orders(None, RETRY_LIMIT)], at)


def _retry(order_ids: Sequence[int], at: datetime) -> None:
    for start in range(0, len(order_ids), RETRY_CHUNK):
        route_orders(order_ids=order_ids[start : start + RETRY_CHUNK], actor=ACTOR, at=at)
