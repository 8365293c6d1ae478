"""What stops an order, and what lets it go on."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from dealers.models import Staff
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.refusal import Refusal, Stale
from orders.catalogue import queries as catalogue
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.models import Order, OrderHold, OrderLine
from orders.lifecycle.rules import LONGEST_TAG, MOST_TAGS, ChannelLine, all_tags, explode


class BadTags(Refusal):
    """More or longer tags than an order can have."""


class StillUnfixed(Refusal):
    """A hold whose cause still stands cannot be waved through."""


@transaction.atomic
def hold_order(*, order_id: int, reason: str, detail: str, actor: str, at: datetime) -> bool:
    """Put a reason on an order; an order that waits for routing waits for a person from now on."""
    order = lifecycle.lock_order(order_id)
    _, made = OrderHold.objects.get_or_create(
        order=order, reason=reason, released_at=None, defaults={"detail": detail[:200], "opened_at": at}
    )
    if made:
        waiting = Order.objects.filter(pk=order_id, state__in=[Order.State.PLACED, Order.State.UNROUTABLE])
        if waiting.update(state=Order.State.HELD, version=F("version") + 1):
            lifecycle.await_stock([order_id], at)
            lifecycle.end_stranding(order_ids=[order_id])
        journal.record(events.OrderHeld(order_id=order.pk, order_no=order.order_no, reasons=[reason]), actor=actor, at=at)
    return made


@transaction.atomic(savepoint=False)
def leave_to_a_person(*, reasons: Mapping[int, str], actor: str, at: datetime) -> None:
    """Orders that nobody can serve (order id → why) wait for a person to place them; their wait goes on. Set-based.

    The caller holds the orders' locks.
    """
    orders = Order.objects.filter(pk__in=reasons, state=Order.State.UNROUTABLE).order_by("pk")
    held = list(orders)
    orders.update(state=Order.State.HELD, version=F("version") + 1)
    reason = OrderHold.Reason.UNROUTABLE
    holds = [OrderHold(order=order, reason=reason, detail=reasons[order.pk][:200], opened_at=at) for order in held]
    OrderHold.objects.bulk_create(holds, ignore_conflicts=True)
    facts = [events.OrderHeld(order_id=order.pk, order_no=order.order_no, reasons=[reason.value]) for order in held]
    journal.record(*facts, actor=actor, at=at)


@transaction.atomic
def release_hold(*, hold: OrderHold, staff: Staff, note: str, at: datetime) -> None:
    """A person waves one reason through; the last one released sends the order on.

    Raises StillUnfixed while the address or a product is still unknown: those need a fix.
    """
    order = lifecycle.lock_order(hold.order_id)
    if hold.reason == OrderHold.Reason.ADDRESS and not order.division_code:
        raise StillUnfixed("请先修正收货地区，再放行")
    if hold.reason == OrderHold.Reason.SKU and order.lines.filter(sku=None).exists():
        raise StillUnfixed("仍有未匹配的商品，请先在商品里维护商家编码，再点重试")
    released = OrderHold.objects.filter(pk=hold.pk, released_at=None).update(released_at=at, released_by=staff, note=note[:200])
    if not released:
        raise Stale("这条挂起已被处理")
    journal.record(*lifecycle.place_if_clear(order), actor=f"staff:{staff.pk}", at=at)


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
    journal.record(*lifecycle.place_if_clear(order), actor=f"staff:{staff.pk}", at=at)


@transaction.atomic
def tag_order(*, order: Order, tags: Sequence[str], staff: Staff, at: datetime) -> None:
    """A person says by which words routing rules know an order, in place of those it had; none takes them off.

    Raises BadTags for too many or too long ones, Stale for an order that is no longer reviewed.
    """
    kept = all_tags(tags)
    if len(kept) != len(set(tags)):
        raise BadTags(f"标签最多 {MOST_TAGS} 个，每个 1 到 {LONGEST_TAG} 个字")
    changed = Order.objects.filter(pk=order.pk, state=Order.State.HELD).update(tags=kept, version=F("version") + 1)
    if not changed:
        raise Stale("订单已不在审核中")


@transaction.atomic
def retry_review(*, order: Order, staff: Staff, at: datetime) -> bool:
    """Match a held order's unknown codes again; True when the order goes on."""
    locked = lifecycle.lock_order(order.pk)
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
            for new in explode([source]):
                OrderLine.objects.create(
                    order=locked, position=position, external_line_id=new.external_line_id, sold_code=new.sold_code,
                    title=new.title, sku_id=new.sku_id, quantity=new.quantity, paid_fen=new.paid_fen,
                )  # fmt: skip
                position += 1
    OrderHold.objects.filter(order=locked, reason=OrderHold.Reason.SKU, released_at=None).update(
        released_at=at, released_by=staff, note="重新匹配成功"
    )
    lifecycle.await_stock([locked.pk], at)
    placed = lifecycle.place_if_clear(locked)
    journal.record(*placed, actor=f"staff:{staff.pk}", at=at)
    return bool(placed)
