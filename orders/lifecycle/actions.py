"""Every write to orders and to pieces of work: place, amend, hold, move, complete, cancel.

Lock order: Order, then Offer, then work, then stock levels.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import orjson
from django.db import transaction
from django.db.models import F

from dealers.models import Staff
from inventory.models import Sku
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal, Stale
from oms_project.sealed import fingerprint, seal, unseal
from orders.catalogue import queries as catalogue
from orders.lifecycle import rules, statements
from orders.lifecycle.models import FulfillmentOrder, Order, OrderHold, OrderLine, ReceiverReveal, Refund
from orders.lifecycle.rules import ChannelLine, ChannelOrder, Finding, NewWork, OrderToRoute, Receiver

Key = tuple[str, str, str]
WAITING_STATES = ("held", "placed", "unroutable")


class StillUnfixed(Refusal):
    """A hold whose cause still stands cannot be waved through."""


@transaction.atomic(savepoint=False)
def place_orders(*, orders: Sequence[ChannelOrder], actor: str, at: datetime) -> dict[str, str]:
    """Bring orders of a channel in: new ones are placed or held, known ones amended. Set-based.

    Returns external id → placed, held, unpaid, closed, updated, unchanged or older. An order
    that was never paid is not ours yet and leaves no row. Of several versions of one order in a
    batch only the newest counts; older than what we hold (`source_updated_at`) changes nothing.
    """
    newest: dict[Key, ChannelOrder] = {}
    for order in sorted(orders, key=lambda order: order.source_updated_at):
        newest[(order.channel, order.shop, order.external_id)] = order
    outcomes = {key: "unpaid" for key in newest}
    paid = {key: order for key, order in newest.items() if order.channel_status != "WAIT_PAY" and order.paid_at}
    if not paid:
        return {key[2]: outcome for key, outcome in outcomes.items()}
    lines = [(key, line) for key, order in paid.items() for line in rules.explode(order.lines)]
    inserted = statements.insert_orders([_row(order, at) for order in paid.values()], lines)
    facts: list[events.Event] = []
    if inserted:
        facts += _furnish(paid, inserted, outcomes, at)
    for key in [key for key in paid if key not in inserted]:
        outcomes[key], amended = _amend(paid[key], at)
        facts += amended
    journal.record(*facts, actor=actor, at=at)
    return {key[2]: outcome for key, outcome in outcomes.items()}


def _row(order: ChannelOrder, at: datetime) -> tuple[object, ...]:
    sealed, masked, printed, has_note = _sealed_receiver(order.receiver)
    return (
        rules.order_no(order.channel, order.external_id),
        order.channel,
        order.shop,
        order.external_id,
        rules.first_state(order),
        order.channel_status,
        order.source_updated_at,
        order.paid_at,
        at,
        order.goods_fen,
        order.freight_fen,
        order.paid_fen,
        order.division_code,
        order.region,
        sealed,
        masked,
        printed,
        has_note,
        order.live_session,
        order.anchor,
    )


def _sealed_receiver(receiver: Receiver | None) -> tuple[str, str, str, bool]:
    if receiver is None:
        return "", "", "", False
    body = {"name": receiver.name, "phone": receiver.phone, "detail": receiver.detail, "note": receiver.note}
    masked = f"{rules.mask_name(receiver.name)} {rules.mask_phone(receiver.phone)}".strip()
    printed = fingerprint(f"{receiver.name}|{receiver.phone}|{receiver.detail}")
    return seal(orjson.dumps(body).decode()), masked, printed, bool(receiver.note)


def _furnish(
    paid: Mapping[Key, ChannelOrder], inserted: Mapping[Key, int], outcomes: dict[Key, str], at: datetime
) -> list[events.Event]:
    """Holds and facts of orders just inserted."""
    holds: list[OrderHold] = []
    facts: list[events.Event] = []
    for key, order_id in inserted.items():
        order = paid[key]
        if order.channel_status == "CLOSED":
            outcomes[key] = "closed"
            continue
        found = rules.findings_of(order)
        holds += [OrderHold(order_id=order_id, reason=item.reason, detail=item.detail, opened_at=at) for item in found]
        number = rules.order_no(order.channel, order.external_id)
        if found:
            outcomes[key] = "held"
            facts.append(events.OrderHeld(order_id=order_id, order_no=number, reasons=[item.reason for item in found]))
        else:
            outcomes[key] = "placed"
            units = sum(line.quantity for line in order.lines)
            facts.append(
                events.OrderPlaced(
                    order_id=order_id,
                    order_no=number,
                    channel=order.channel,
                    shop=order.shop,
                    division_code=order.division_code,
                    region=order.region,
                    paid_fen=order.paid_fen,
                    units=units,
                    live_session=order.live_session,
                    anchor=order.anchor,
                )
            )
    if holds:
        OrderHold.objects.bulk_create(holds)
        _await_stock({hold.order_id for hold in holds}, at)
    return facts


def _await_stock(order_ids: Collection[int], at: datetime) -> None:
    """Promise the goods of paid orders that nobody can place at a node yet, so that they are not sold again."""
    lines = OrderLine.objects.filter(order_id__in=order_ids, sku__kind=Sku.Kind.PHYSICAL)
    reservations.hold_globally(demands=list(lines.values_list("order__order_no", "sku_id", "quantity")), at=at)


def lock_order(order_id: int) -> Order:
    """The order's row, locked until the transaction ends (SQLite: the transaction is exclusive)."""
    return Order.objects.select_for_update().get(pk=order_id)


def _amend(incoming: ChannelOrder, at: datetime) -> tuple[str, list[events.Event]]:
    """Apply a newer version of a known order; returns the outcome and the facts."""
    known = Order.objects.select_for_update().get(channel=incoming.channel, shop=incoming.shop, external_id=incoming.external_id)
    if incoming.source_updated_at <= known.source_updated_at:
        return ("unchanged" if incoming.source_updated_at == known.source_updated_at else "older"), []
    sealed, masked, printed, has_note = _sealed_receiver(incoming.receiver)
    changes = []
    if printed != known.receiver_print or incoming.division_code != known.division_code:
        changes.append("address")
    if has_note and not known.has_note:
        changes.append("note")
    was_status, known.channel_status = known.channel_status, incoming.channel_status
    known.source_updated_at = incoming.source_updated_at
    known.division_code, known.region = incoming.division_code, incoming.region
    known.receiver_sealed, known.receiver_masked, known.receiver_print, known.has_note = sealed, masked, printed, has_note
    known.version += 1
    known.save()
    facts: list[events.Event] = []
    if incoming.channel_status == "CLOSED" and was_status != "CLOSED":
        return "closed", _close_at_source(known, at)
    if incoming.channel_status == "FINISHED" and was_status != "FINISHED":
        facts.append(events.OrderFinishedAtSource(order_id=known.pk, order_no=known.order_no))
    if known.state == Order.State.HELD:
        facts += _review_again(known, rules.findings_of(incoming), incoming.lines, at)
    elif changes and known.state in (Order.State.ROUTED, Order.State.PLACED, Order.State.UNROUTABLE):
        facts.append(events.OrderAmended(order_id=known.pk, order_no=known.order_no, changes=changes))
    return "updated", facts


def _close_at_source(order: Order, at: datetime) -> list[events.Event]:
    """The channel closed the order: nothing begun is cancelled at once, begun work follows by event."""
    closed = events.OrderClosedAtSource(order_id=order.pk, order_no=order.order_no, reason="平台关闭")
    if order.state not in WAITING_STATES:
        return [closed]
    Order.objects.filter(pk=order.pk).update(state=Order.State.CANCELLED, version=F("version") + 1)
    OrderHold.objects.filter(order=order, released_at=None).update(released_at=at, note="平台关闭")
    reservations.release(bills=[order.order_no], at=at)
    return [closed, events.OrderCancelled(order_id=order.pk, order_no=order.order_no, reason="平台关闭")]


def _review_again(order: Order, found: Sequence[Finding], lines: Sequence[ChannelLine], at: datetime) -> list[events.Event]:
    """Look at a held order with fresh eyes: settled holds go, new ones come, lines are matched anew."""
    if lines:
        OrderLine.objects.filter(order=order).delete()
        statements.insert_lines([(order.pk, line) for line in rules.explode(lines)])
        reservations.release(bills=[order.order_no], at=at)
        _await_stock([order.pk], at)
    reasons = {item.reason for item in found}
    still_open = OrderHold.objects.filter(order=order, released_at=None)
    still_open.exclude(reason__in=[*reasons, "remark", "amended"]).update(released_at=at, note="自动复核通过")
    known = set(OrderHold.objects.filter(order=order).values_list("reason", flat=True))
    fresh = [item for item in found if item.reason not in known]
    OrderHold.objects.bulk_create(
        [OrderHold(order=order, reason=item.reason, detail=item.detail, opened_at=at) for item in fresh]
    )
    return _place_if_clear(order)


def _place_if_clear(order: Order) -> list[events.Event]:
    """A held order without open holds goes on its way."""
    if OrderHold.objects.filter(order=order, released_at=None).exists():
        return []
    if not Order.objects.filter(pk=order.pk, state=Order.State.HELD).update(state=Order.State.PLACED, version=F("version") + 1):
        return []
    return [_placed(order)]


def _placed(order: Order) -> events.OrderPlaced:
    return events.OrderPlaced(
        order_id=order.pk,
        order_no=order.order_no,
        channel=order.channel,
        shop=order.shop,
        division_code=order.division_code,
        region=order.region,
        paid_fen=order.paid_fen,
        units=sum(order.lines.values_list("quantity", flat=True)),
        live_session=order.live_session,
        anchor=order.anchor,
    )


@transaction.atomic
def record_refund(
    *,
    channel: str,
    shop: str,
    external_id: str,
    external_line_id: str,
    refund_key: str,
    amount_fen: int,
    actor: str,
    at: datetime,
) -> bool:
    """Money went back to the buyer; False when this refund is known already or the order is not ours.

    An empty external_line_id is a refund of the order as a whole.
    """
    order = Order.objects.select_for_update().filter(channel=channel, shop=shop, external_id=external_id).first()
    if order is None or amount_fen <= 0 or Refund.objects.filter(refund_key=refund_key).exists():
        return False
    Refund.objects.create(
        order=order, refund_key=refund_key, external_line_id=external_line_id, amount_fen=amount_fen, refunded_at=at
    )
    Order.objects.filter(pk=order.pk).update(refunded_fen=F("refunded_fen") + amount_fen, version=F("version") + 1)
    fact = events.RefundSucceeded(
        order_id=order.pk,
        order_no=order.order_no,
        refund_key=refund_key,
        external_line_id=external_line_id,
        amount_fen=amount_fen,
    )
    journal.record(fact, actor=actor, at=at)
    return True


@transaction.atomic
def hold_order(*, order_id: int, reason: str, detail: str, actor: str, at: datetime) -> bool:
    """Put a reason on an order; an order that waits for routing waits for a person from now on."""
    order = lock_order(order_id)
    _, made = OrderHold.objects.get_or_create(
        order=order, reason=reason, released_at=None, defaults={"detail": detail[:200], "opened_at": at}
    )
    if made:
        waiting = Order.objects.filter(pk=order_id, state__in=[Order.State.PLACED, Order.State.UNROUTABLE])
        if waiting.update(state=Order.State.HELD, version=F("version") + 1):
            _await_stock([order_id], at)
        journal.record(events.OrderHeld(order_id=order.pk, order_no=order.order_no, reasons=[reason]), actor=actor, at=at)
    return made


@transaction.atomic
def release_hold(*, hold: OrderHold, staff: Staff, note: str, at: datetime) -> None:
    """A person waves one reason through; the last one released sends the order on.

    Raises StillUnfixed while the address or a product is still unknown: those need a fix.
    """
    order = lock_order(hold.order_id)
    if hold.reason == OrderHold.Reason.ADDRESS and not order.division_code:
        raise StillUnfixed("请先修正收货地区，再放行")
    if hold.reason == OrderHold.Reason.SKU and order.lines.filter(sku=None).exists():
        raise StillUnfixed("仍有未匹配的商品，请先在商品里维护商家编码，再点重试")
    released = OrderHold.objects.filter(pk=hold.pk, released_at=None).update(released_at=at, released_by=staff, note=note[:200])
    if not released:
        raise Stale("这条挂起已被处理")
    journal.record(*_place_if_clear(order), actor=f"staff:{staff.pk}", at=at)


@transaction.atomic
def fix_address(*, order: Order, division_code: str, region: str, staff: Staff, at: datetime) -> None:
    """A person names the district of an order whose address nobody could read."""
    changed = Order.objects.filter(pk=order.pk, state=Order.State.HELD).update(
        division_code=division_code, region=region, version=F("version") + 1
    )
    if not changed:
        raise Stale("订单已不在审核中")
    hold = OrderHold.objects.filter(order=order, reason=OrderHold.Reason.ADDRESS, released_at=None)
    hold.update(released_at=at, released_by=staff, note=f"修正为 {region}"[:200])
    order.refresh_from_db()
    journal.record(*_place_if_clear(order), actor=f"staff:{staff.pk}", at=at)


@transaction.atomic
def retry_review(*, order: Order, staff: Staff, at: datetime) -> bool:
    """Match a held order's unknown codes again; True when the order goes on."""
    locked = lock_order(order.pk)
    if locked.state != Order.State.HELD:
        raise Stale("订单已不在审核中")
    sold: dict[str, list[OrderLine]] = {}
    for line in locked.lines.order_by("position"):
        sold.setdefault(line.external_line_id, []).append(line)
    unknown = {lines[0].sold_code for lines in sold.values() if lines[0].sku_id is None}
    parts = catalogue.parts_for(unknown)
    if not unknown or not unknown <= parts.keys():
        return False
    position = locked.lines.count() + 1
    for lines in sold.values():
        if (line := lines[0]).sku_id is None:
            source = ChannelLine(
                line.external_line_id, line.sold_code, line.title, line.quantity, line.paid_fen, parts[line.sold_code]
            )
            line.delete()
            for new in rules.explode([source]):
                OrderLine.objects.create(
                    order=locked, position=position, external_line_id=new.external_line_id, sold_code=new.sold_code,
                    title=new.title, sku_id=new.sku_id, quantity=new.quantity, paid_fen=new.paid_fen,
                )  # fmt: skip
                position += 1
    OrderHold.objects.filter(order=locked, reason=OrderHold.Reason.SKU, released_at=None).update(
        released_at=at, released_by=staff, note="重新匹配成功"
    )
    _await_stock([locked.pk], at)
    placed = _place_if_clear(locked)
    journal.record(*placed, actor=f"staff:{staff.pk}", at=at)
    return bool(placed)


@transaction.atomic(savepoint=False)
def take_for_routing(*, order_ids: Sequence[int], at: datetime) -> list[OrderToRoute]:
    """Take orders that wait for routing, in one compare-and-swap; others are silently absent."""
    return statements.take_orders_for_routing(order_ids) if order_ids else []


@transaction.atomic(savepoint=False)
def mark_unroutable(*, orders: Sequence[OrderToRoute], reasons: Mapping[int, Sequence[str]], at: datetime, actor: str) -> None:
    """No plan holds for these taken orders now: they wait for stock, rules or a person."""
    ids = [order.order_id for order in orders]
    Order.objects.filter(pk__in=ids, state=Order.State.ROUTED).update(state=Order.State.UNROUTABLE, version=F("version") + 1)
    _await_stock([order.order_id for order in orders if not order.is_awaited], at)
    facts = [
        events.OrderUnroutable(
            order_id=order.order_id,
            order_no=order.order_no,
            division_code=order.division_code,
            reasons=list(reasons.get(order.order_id, ())),
        )
        for order in orders
    ]
    journal.record(*facts, actor=actor, at=at)


@transaction.atomic(savepoint=False)
def open_works(*, works: Sequence[NewWork], at: datetime) -> dict[str, int]:
    """Open pieces of work with their lines, set-based; returns fo_no → id."""
    return statements.insert_works(works, at)


@transaction.atomic
def move_work(*, work_id: int, to: str, actor: str, at: datetime, version: int | None = None, note: str = "") -> FulfillmentOrder:
    """Move a piece of work along WORK_TRANSITIONS by compare-and-swap, and tell.

    `version` is what the person saw: another one means that the work changed meanwhile. Work that
    ends also settles its order. Raises Stale when the move is not legal now, with nothing changed.
    """
    work = FulfillmentOrder.objects.select_related("order").filter(pk=work_id).first()
    if work is None:
        raise NotFound
    if to in rules.WORK_DONE:
        lock_order(work.order_id)
    was = work.state
    if to not in rules.WORK_TRANSITIONS[was] or (version is not None and version != work.version):
        raise Stale(f"履约单当前状态为「{work.get_state_display()}」，请刷新后再操作")
    fields = {"state": to, "version": F("version") + 1, "moved_at": at}
    if to == FulfillmentOrder.State.ACCEPTED:
        fields["accepted_at"] = at
    if not FulfillmentOrder.objects.filter(pk=work_id, state=was, version=work.version).update(**fields):
        raise Stale()
    work.refresh_from_db()
    facts: list[events.Event] = [_moved(work, was, actor, note)]
    if to in rules.WORK_DONE:
        facts += _settle_order(work)
    journal.record(*facts, actor=actor, at=at)
    return work


def _moved(work: FulfillmentOrder, was: str, actor: str, note: str) -> events.WorkMoved:
    return events.WorkMoved(
        fo_id=work.pk,
        fo_no=work.fo_no,
        order_no=work.order.order_no,
        dealer_id=work.dealer_id,
        division_code=work.order.division_code,
        was=was,
        state=work.state,
        actor=actor,
        note=note,
    )


def _settle_order(work: FulfillmentOrder) -> list[events.Event]:
    """Count what a finished piece of work covered, and end the order with its last piece."""
    counter = "fulfilled_quantity" if work.state == FulfillmentOrder.State.COMPLETED else "cancelled_quantity"
    for line in work.lines.order_by("order_line_id"):
        OrderLine.objects.filter(pk=line.order_line_id).update(**{counter: F(counter) + line.quantity})
    states = set(FulfillmentOrder.objects.filter(order_id=work.order_id).values_list("state", flat=True))
    if not states <= rules.WORK_DONE:
        return []
    order = Order.objects.filter(pk=work.order_id, state=Order.State.ROUTED)
    number = work.order.order_no
    if "completed" in states:
        if order.update(state=Order.State.COMPLETED, version=F("version") + 1):
            return [events.OrderCompleted(order_id=work.order_id, order_no=number)]
    elif order.update(state=Order.State.CANCELLED, version=F("version") + 1):
        return [events.OrderCancelled(order_id=work.order_id, order_no=number, reason="全部履约单已取消")]
    return []


@transaction.atomic
def rehome_work(*, work_id: int, node_id: int, dealer_id: int | None, state: str, at: datetime, actor: str) -> FulfillmentOrder:
    """Give unanswered work to another node after a refusal, in state offered or accepted (HQ)."""
    work = FulfillmentOrder.objects.select_related("order").get(pk=work_id)
    was = work.state
    if was not in rules.WORK_UNANSWERED or state not in rules.WORK_TRANSITIONS[was]:
        raise Stale(f"履约单当前状态为「{work.get_state_display()}」，不能改派")
    changed = FulfillmentOrder.objects.filter(pk=work_id, state=was, version=work.version).update(
        node_id=node_id,
        dealer_id=dealer_id,
        state=state,
        version=F("version") + 1,
        moved_at=at,
        accepted_at=at if state == FulfillmentOrder.State.ACCEPTED else None,
    )
    if not changed:
        raise Stale()
    work.refresh_from_db()
    journal.record(_moved(work, was, actor, "改派"), actor=actor, at=at)
    return work


@transaction.atomic
def cancel_works(*, order_id: int, actor: str, at: datetime) -> list[str]:
    """Cancel what no dealer has accepted, and ask for the rest; returns the fo_nos cancelled now.

    Accepted work becomes 'cancel_requested'; shipped work stays for after-sales. An order without
    any work that is left open ends as cancelled.
    """
    order = lock_order(order_id)
    cancelled = []
    for work in order.work.exclude(state__in=rules.WORK_DONE).order_by("pk"):
        if work.state in rules.WORK_UNANSWERED:
            move_work(work_id=work.pk, to="cancelled", actor=actor, at=at, note="订单取消")
            cancelled.append(work.fo_no)
        elif work.state == FulfillmentOrder.State.ACCEPTED:
            move_work(work_id=work.pk, to="cancel_requested", actor=actor, at=at, note="订单取消")
    return cancelled


@transaction.atomic
def place_again(*, order_id: int, actor: str, at: datetime) -> list[str]:
    """Void the unanswered work of a routed order and let it be routed anew; returns voided fo_nos.

    Raises Stale when some work is accepted or further already: that needs a person.
    """
    order = lock_order(order_id)
    if order.work.exclude(state__in=[*rules.WORK_UNANSWERED, "cancelled"]).exists() or order.state != Order.State.ROUTED:
        raise Stale("已有经销商接单，不能重新派单")
    voided = []
    for work in order.work.filter(state__in=rules.WORK_UNANSWERED).order_by("pk"):
        FulfillmentOrder.objects.filter(pk=work.pk).update(state="cancelled", version=F("version") + 1, moved_at=at)
        voided.append(work.fo_no)
    Order.objects.filter(pk=order_id).update(state=Order.State.PLACED, version=F("version") + 1)
    journal.record(_placed(order), actor=actor, at=at)
    return voided


@transaction.atomic
def reveal_receiver(*, fo_no: str, staff: Staff, door: str, at: datetime) -> Receiver:
    """Show the receiver to somebody who does the work, or to HQ; every look is logged.

    Dealers' people see it only after their dealer accepted; to others the work does not exist.
    """
    work = FulfillmentOrder.objects.select_related("order").filter(fo_no=fo_no).first()
    if work is None:
        raise NotFound
    if not staff.is_hq:
        if work.dealer_id != staff.dealer_id:
            raise NotFound
        if work.state in rules.WORK_UNANSWERED or work.state == FulfillmentOrder.State.CANCELLED:
            raise Refusal("接单后才能查看收件人信息")
    return reveal_order_receiver(order=work.order, staff=staff, door=door, at=at)


@transaction.atomic
def reveal_order_receiver(*, order: Order, staff: Staff, door: str, at: datetime) -> Receiver:
    """Open the sealed receiver and log who looked. The caller has checked that staff may see it.

    Finance people have no business with receivers: for them it does not exist.
    """
    if staff.role == Staff.Role.FINANCE:
        raise NotFound
    ReceiverReveal.objects.create(order=order, staff=staff, door=door, revealed_at=at)
    body = unseal(order.receiver_sealed)
    return Receiver(**orjson.loads(body)) if body else Receiver("", "", "")


def reasons_of(holds: Iterable[OrderHold]) -> str:
    """All open reasons of an order as people read them."""
    return "、".join(hold.get_reason_display() for hold in holds if hold.released_at is None)
