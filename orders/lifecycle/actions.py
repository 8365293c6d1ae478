"""Every write that brings an order in, amends it and sends it to its routing.

Lock order: Order, then Offer, then work, then stock levels.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import orjson
from django.db import transaction
from django.db.models import F

from inventory.models import Sku
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.sealed import fingerprint, seal
from orders.lifecycle import rules, statements
from orders.lifecycle.models import Order, OrderHold, OrderLine, Refund, StrandedOrder
from orders.lifecycle.rules import ChannelLine, ChannelOrder, Finding, OrderToRoute, Receiver

Key = tuple[str, str, str]
WAITING_STATES = ("held", "placed", "unroutable")


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
        orjson.dumps(rules.all_tags(order.tags)).decode(),
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
        await_stock({hold.order_id for hold in holds}, at)
    return facts


def await_stock(order_ids: Collection[int], at: datetime) -> None:
    """Promise the goods of paid orders that nobody can place at a node yet, so that they are not sold again."""
    lines = OrderLine.objects.filter(order_id__in=order_ids, sku__kind=Sku.Kind.PHYSICAL)
    reservations.hold_globally(demands=list(lines.values_list("order__order_no", "sku_id", "quantity")), at=at)


def lock_order(order_id: int) -> Order:
    """The order's row, locked until the transaction ends (SQLite: the transaction is exclusive)."""
    return Order.objects.select_for_update().get(pk=order_id)


def lock_orders(order_ids: Iterable[int]) -> list[Order]:
    """These orders' rows, locked in key order until the transaction ends."""
    return list(Order.objects.select_for_update().filter(pk__in=order_ids).order_by("pk"))


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
    known.tags = rules.all_tags(known.tags, incoming.tags)
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
    end_stranding(order_ids=[order.pk])
    return [closed, events.OrderCancelled(order_id=order.pk, order_no=order.order_no, reason="平台关闭")]


def _review_again(order: Order, found: Sequence[Finding], lines: Sequence[ChannelLine], at: datetime) -> list[events.Event]:
    """Look at a held order with fresh eyes: settled holds go, new ones come, lines are matched anew."""
    if lines:
        OrderLine.objects.filter(order=order).delete()
        statements.insert_lines([(order.pk, line) for line in rules.explode(lines)])
        reservations.release(bills=[order.order_no], at=at)
        await_stock([order.pk], at)
    reasons = {item.reason for item in found}
    still_open = OrderHold.objects.filter(order=order, released_at=None)
    still_open.exclude(reason__in=[*reasons, "remark", "amended"]).update(released_at=at, note="自动复核通过")
    known = set(OrderHold.objects.filter(order=order).values_list("reason", flat=True))
    fresh = [item for item in found if item.reason not in known]
    OrderHold.objects.bulk_create(
        [OrderHold(order=order, reason=item.reason, detail=item.detail, opened_at=at) for item in fresh]
    )
    return place_if_clear(order)


def place_if_clear(order: Order) -> list[events.Event]:
    """A held order without open holds goes on its way; returns the facts, which the caller records."""
    if OrderHold.objects.filter(order=order, released_at=None).exists():
        return []
    if not Order.objects.filter(pk=order.pk, state=Order.State.HELD).update(state=Order.State.PLACED, version=F("version") + 1):
        return []
    return [placed(order)]


def placed(order: Order) -> events.OrderPlaced:
    """The fact that an order waits for its routing, whether for the first time or again."""
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


@transaction.atomic(savepoint=False)
def take_for_routing(*, order_ids: Sequence[int], at: datetime) -> list[OrderToRoute]:
    """Take orders that wait for routing, in one compare-and-swap; others are silently absent."""
    return statements.take_orders_for_routing(order_ids) if order_ids else []


@transaction.atomic(savepoint=False)
def count_moves(*, order_ids: Sequence[int]) -> None:
    """Remember that these orders were moved once more. The caller holds their locks."""
    Order.objects.filter(pk__in=order_ids).update(moves=F("moves") + 1, version=F("version") + 1)


@transaction.atomic(savepoint=False)
def mark_unroutable(
    *,
    orders: Sequence[OrderToRoute],
    reasons: Mapping[int, Sequence[str]],
    at: datetime,
    actor: str,
    cancel_after: Mapping[int, timedelta] | None = None,
) -> frozenset[int]:
    """No plan holds for these taken orders now: they wait for stock, capacity, rules or a person.

    `cancel_after` is how long an order may wait in all, where it may not wait for ever. Returns the
    orders that did not wait before for the same reasons; only of these it is told.
    """
    ids = [order.order_id for order in orders]
    Order.objects.filter(pk__in=ids, state=Order.State.ROUTED).update(state=Order.State.UNROUTABLE, version=F("version") + 1)
    await_stock([order.order_id for order in orders if not order.is_awaited], at)
    fresh = _strand(ids, reasons, cancel_after or {}, at)
    facts = [
        events.OrderUnroutable(
            order_id=order.order_id,
            order_no=order.order_no,
            division_code=order.division_code,
            reasons=list(reasons.get(order.order_id, ())),
        )
        for order in orders
        if order.order_id in fresh
    ]
    journal.record(*facts, actor=actor, at=at)
    return fresh


def _strand(
    ids: Sequence[int], reasons: Mapping[int, Sequence[str]], cancel_after: Mapping[int, timedelta], at: datetime
) -> frozenset[int]:
    """Write who waits since when and why, in two statements; returns those of whom it is news."""
    known = {row.order_id: row for row in StrandedOrder.objects.filter(order_id__in=ids)}
    told = {order_id: list(reasons.get(order_id, ())) for order_id in ids}
    fresh = frozenset(order_id for order_id in ids if order_id not in known or known[order_id].reasons != told[order_id])
    rows = []
    for order_id in ids:
        row = known.get(order_id) or StrandedOrder(order_id=order_id, since=at, tries=0)
        row.tried_at, row.tries, row.reasons = at, row.tries + 1, told[order_id]
        row.cancel_at = row.since + cancel_after[order_id] if order_id in cancel_after else None
        row.pk = None  # the order is the key: a known row is found by it
        rows.append(row)
    fields = ["tried_at", "tries", "reasons", "cancel_at"]
    StrandedOrder.objects.bulk_create(rows, update_conflicts=True, unique_fields=["order"], update_fields=fields)
    return fresh


@transaction.atomic(savepoint=False)
def end_stranding(*, order_ids: Sequence[int]) -> None:
    """These orders do not wait for somebody to serve them any more."""
    StrandedOrder.objects.filter(order_id__in=order_ids, cancelled_at=None).delete()
