"""Orders that nobody can serve: tried again when something changes, placed by a person, cancelled when they waited too long.

Lock order: Order, then Offer, then work, then stock levels, then dealers.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from dealers.capacity import actions as capacity
from dealers.capacity.queries import days_of
from dealers.models import Staff
from inventory.reservations import actions as reservations
from inventory.reservations.queries import shelf
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound, Refusal, Stale
from orders.dispatch import actions as dispatch
from orders.dispatch import queries as dispatch_queries
from orders.dispatch.rules import wants_of
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.models import Order, OrderHold, StrandedOrder
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.offers.actions import HQ_PLACERS
from orders.offers.rules import Planned, summarise
from orders.routing import queries as routing
from orders.stranded import queries, rules
from orders.stranded.rules import PlaceFacts
from orders.work import actions as work_actions
from orders.work.models import FulfillmentOrder
from orders.work.rules import NewWork

ACTOR = "system:stranded"
RETRY_CHUNK, RETRY_PAGE = 100, 500
CANCEL_LIMIT = 200
LEFT_OUT = "人工派单时未选发货点"
TOO_LONG = "长时间无法派单，已自动取消，渠道退款待办"


class TooMany(Refusal):
    """More orders than one transaction should hold."""


class CannotPlace(Refusal):
    """The plan lacks something; the message names all of it."""


@transaction.atomic
def on_stock_arrived(facts: Sequence[Fact], *, at: datetime) -> None:
    """Try the orders again that need the goods and may be served from where they arrived."""
    sku_ids = {sku_id for fact in facts for sku_id in fact.payload["sku_ids"]}
    _retry({fact.payload["node_id"] for fact in facts}, sku_ids, None, at)


@transaction.atomic
def on_capacity_freed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Try the orders again that may go to dealers who can take more work now."""
    if nodes := queries.nodes_of({fact.payload["dealer_id"] for fact in facts}):
        _retry(nodes, (), None, at)


@transaction.atomic
def on_routing_changed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Try all orders again, on the rules as they are now."""
    routing.forget()
    dispatch_queries.forget()
    _retry((), (), None, at)


@transaction.atomic
def on_retry_due(facts: Sequence[Fact], *, at: datetime) -> None:
    """Go on with the queue where the page before ended."""
    for fact in facts:
        told = fact.payload
        _retry(told["node_ids"], told["sku_ids"], (datetime.fromisoformat(told["after_at"]), told["after_id"]), at)


def _retry(node_ids: Collection[int], sku_ids: Collection[int], after: tuple[datetime, int] | None, at: datetime) -> None:
    """Try one page of the queue, the oldest first; what is behind it follows in a transaction of its own."""
    page = queries.next_waiting(sku_ids=sku_ids, after=after, limit=RETRY_PAGE)
    table, wanted = routing.routing_table(at), set(node_ids)
    ids = [
        row.order_id for row in page if not wanted or not wanted.isdisjoint(table.candidates(row.division_code, row.channel))
    ]  # fmt: skip
    for start in range(0, len(ids), RETRY_CHUNK):
        dispatch.route_orders(order_ids=ids[start : start + RETRY_CHUNK], actor=ACTOR, at=at)
    if len(page) == RETRY_PAGE:
        last = page[-1]
        rest = events.RetryDue(
            node_ids=sorted(wanted), sku_ids=sorted(sku_ids), after_at=last.placed_at.isoformat(), after_id=last.order_id
        )
        journal.record(rest, actor=ACTOR, at=at)


@transaction.atomic
def try_again(*, order_ids: Sequence[int], staff: Staff, at: datetime) -> int:
    """A person has some waiting orders tried again now; returns how many were routed. Raises TooMany and NotFound."""
    if staff.role not in HQ_PLACERS:
        raise NotFound
    if len(order_ids) > RETRY_PAGE:
        raise TooMany(f"一次最多重新派单 {RETRY_PAGE} 单，请分批选择")
    chunks = (order_ids[start : start + RETRY_CHUNK] for start in range(0, len(order_ids), RETRY_CHUNK))
    return sum(dispatch.route_orders(order_ids=chunk, actor=f"staff:{staff.pk}", at=at) for chunk in chunks)


@transaction.atomic
def cancel_due(*, at: datetime) -> int:
    """Cancel orders that waited as long as their rules allow; returns how many. Called by the clock.

    What was promised to them is free again; the money is due back through the channel, which the queue shows.
    """
    orders = lifecycle.lock_orders(queries.overdue(at, CANCEL_LIMIT))
    due = set(
        StrandedOrder.objects.filter(order__in=orders, cancelled_at=None, cancel_at__lte=at).values_list("order_id", flat=True)
    )
    waiting = (Order.State.UNROUTABLE, Order.State.HELD)
    ending = [order for order in orders if order.pk in due and order.state in waiting]
    ids = [order.pk for order in ending]
    Order.objects.filter(pk__in=ids).update(state=Order.State.CANCELLED, version=F("version") + 1)
    OrderHold.objects.filter(order__in=ids, released_at=None).update(released_at=at, note="等待超时自动取消")
    StrandedOrder.objects.filter(order__in=ids).update(cancelled_at=at)
    reservations.release(bills=[order.order_no for order in ending], at=at)
    facts = [events.OrderCancelled(order_id=order.pk, order_no=order.order_no, reason=TOO_LONG) for order in ending]
    journal.record(*facts, actor=ACTOR, at=at)
    return len(ending)


@transaction.atomic
def place_order(*, order_id: int, places: Mapping[int, str], staff: Staff, at: datetime) -> list[str]:
    """A person says which lines (id → code of the place) of a waiting order go where; returns the numbers of the work.

    Stock is held and the dealers' days are taken as if routing had decided; the work is pinned. Lines that are not
    named become work that waits for a person. Raises NotFound, Stale (it does not wait any more)
    or CannotPlace, which names everything that is lacking, with nothing changed.
    """
    if staff.role not in HQ_PLACERS:
        raise NotFound
    actor = f"staff:{staff.pk}"
    order = _taken(order_id, staff, at)
    chosen = _chosen(order, places)
    rung = dispatch_queries.ladder_for(order.channel)[0]
    works = [
        Planned(order, f"{order.order_no}-{order.works_before + number}", place.node_id, place.dealer_id, lines, rung.position,
                rung.seconds, is_pinned=True)
        for number, (place, lines) in enumerate(chosen, start=1)
    ]  # fmt: skip
    _hold(order, works, {place.node_id: place.name for place, _ in chosen}, at)
    _take_the_days(works, [place for place, _ in chosen], at)
    dispatch.open_by_hand(order=order, works=works, actor=actor, at=at)
    reservations.release(bills=[order.order_no], at=at)
    lifecycle.end_stranding(order_ids=[order_id])
    placed = {line.line_id for work in works for line in work.lines}
    if rest := tuple(line for line in order.lines if line.line_id not in placed):
        _leave_the_rest(order, rest, works, actor, at)
    return [work.fo_no for work in works]


def _taken(order_id: int, staff: Staff, at: datetime) -> OrderToRoute:
    """The order, taken out of the queue; held orders only where the hold is that nobody can serve them."""
    order = lifecycle.lock_orders([order_id])
    if not order or not StrandedOrder.objects.filter(order=order_id, cancelled_at=None).exists():
        raise Stale("订单已不在无法派单队列中，请刷新")
    if order[0].state == Order.State.HELD:
        holds = OrderHold.objects.filter(order=order_id, released_at=None)
        others = [hold.get_reason_display() for hold in holds.exclude(reason=OrderHold.Reason.UNROUTABLE)]
        if others:
            raise CannotPlace(f"订单还有待审核：{'、'.join(others)}")
        holds.update(released_at=at, released_by=staff, note="人工派单")
        Order.objects.filter(pk=order_id).update(state=Order.State.UNROUTABLE, version=F("version") + 1)
    taken = lifecycle.take_for_routing(order_ids=[order_id], at=at)
    if not taken:
        raise Stale("订单已不在无法派单队列中，请刷新")
    return taken[0]


def _chosen(order: OrderToRoute, places: Mapping[int, str]) -> list[tuple[PlaceFacts, tuple[LineToRoute, ...]]]:
    """The places a person chose with their lines. Raises CannotPlace for what does not exist or cannot be done."""
    wanted = {line_id: code.strip() for line_id, code in places.items() if code.strip()}
    if not wanted:
        raise CannotPlace("请至少为一行商品选择发货点")
    if not wanted.keys() <= {line.line_id for line in order.lines}:
        raise Stale("商品行已变更，请刷新后再操作")
    known = queries.place_facts(set(wanted.values()))
    problems = [f"没有启用的发货点 {code[:20]}" for code in sorted(set(wanted.values()) - known.keys())]
    by_code: dict[str, tuple[LineToRoute, ...]] = {}
    for line in order.lines:
        if (code := wanted.get(line.line_id)) in known:
            by_code[code] = (*by_code.get(code, ()), line)
    chosen = [(known[code], lines) for code, lines in by_code.items()]
    problems += [problem for place, lines in chosen for problem in rules.unable(place, lines)]
    if problems:
        raise CannotPlace(rules.as_list(problems))
    return chosen


def _hold(order: OrderToRoute, works: Sequence[Planned], names: Mapping[int, str], at: datetime) -> None:
    wants = wants_of(works)
    if not wants or reservations.hold(wants=wants, at=at, together=True):
        return
    nodes, skus = {want.node_id for want in wants}, {want.sku_id for want in wants}
    free = shelf(node_ids=nodes, sku_ids=skus, claims=order.claims, at=at).view(order.claims)
    found = {want.place: free.get(want.place, 0) for want in wants}
    raise CannotPlace(rules.as_list(rules.short(works, found, names)) or "库存被同时下单的订单占用，请重试")


def _take_the_days(works: Sequence[Planned], places: Sequence[PlaceFacts], at: datetime) -> None:
    slots = {work.fo_no: work.dealer_id for work in works if work.dealer_id}
    days = days_of(set(slots.values()), at)
    taken = capacity.take(slots=slots, days=days, at=at)
    full = dict.fromkeys(dealer_id for fo_no, dealer_id in slots.items() if fo_no not in taken)
    names = {place.dealer_id: place.name for place in places}
    if full:
        told = [f"{names[dealer_id]} 今日接单已满（{days[dealer_id].taken} / {days[dealer_id].allowed}）" for dealer_id in full]
        raise CannotPlace(rules.as_list(told))


def _leave_the_rest(
    order: OrderToRoute, rest: tuple[LineToRoute, ...], works: Sequence[Planned], actor: str, at: datetime
) -> None:
    """Lines that a person left out wait for a person as work of their own, without stock, at the first place chosen."""
    fo_no = f"{order.order_no}-{order.works_before + len(works) + 1}"
    stuck = NewWork(
        fo_no=fo_no,
        order_id=order.order_id,
        node_id=works[0].node_id,
        dealer_id=None,
        state=FulfillmentOrder.State.STUCK,
        needs_install=any(line.install_skill for line in rest),
        paid_fen=sum(line.paid_fen for line in rest),
        summary=summarise(rest),
        lines=tuple((line.line_id, line.sku_id, line.quantity) for line in rest),
        stuck_reason=LEFT_OUT,
    )
    ids = work_actions.open_works(works=[stuck], at=at)
    moved = events.WorkMoved(
        fo_id=ids[fo_no],
        fo_no=fo_no,
        order_no=order.order_no,
        dealer_id=None,
        division_code=order.division_code,
        was=FulfillmentOrder.State.WAITING,
        state=FulfillmentOrder.State.STUCK,
        actor=actor,
        note=LEFT_OUT,
    )
    journal.record(moved, actor=actor, at=at)
