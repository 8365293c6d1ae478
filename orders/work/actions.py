"""Every write to pieces of work: open, move, give to another place, cancel.

Lock order: Order, then Offer, then work, then stock levels.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from oms_project import events
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Stale
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.models import Order, OrderLine
from orders.work import rules, statements
from orders.work.models import FulfillmentOrder
from orders.work.rules import NewPlace, NewWork


class PinnedWork(Stale):
    """A person said where this work is done; only a person may say otherwise."""

    def __init__(self) -> None:
        super().__init__("已指定发货点，不能自动改派")


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
        lifecycle.lock_order(work.order_id)
    was = work.state
    if to not in rules.WORK_TRANSITIONS[was] or (version is not None and version != work.version):
        raise Stale(f"履约单当前状态为「{work.get_state_display()}」，请刷新后再操作")
    fields = {"state": to, "version": F("version") + 1, "moved_at": at}
    if to == FulfillmentOrder.State.ACCEPTED:
        fields["accepted_at"] = at
    if to == FulfillmentOrder.State.STUCK:
        fields["stuck_reason"] = note[:200]
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
def rehome_work(
    *, work_id: int, node_id: int, dealer_id: int | None, state: str, at: datetime, actor: str, is_pinned: bool = False
) -> FulfillmentOrder:
    """Give unanswered work to another node, in state offered or accepted (HQ); `is_pinned` when a person chose the node.

    Raises Stale, and PinnedWork when it is pinned and no person chose.
    """
    work = FulfillmentOrder.objects.select_related("order").get(pk=work_id)
    was = work.state
    if was not in rules.WORK_UNANSWERED or state not in rules.WORK_TRANSITIONS[was]:
        raise Stale(f"履约单当前状态为「{work.get_state_display()}」，不能改派")
    if work.is_pinned and not is_pinned:
        raise PinnedWork
    changed = FulfillmentOrder.objects.filter(pk=work_id, state=was, version=work.version).update(
        node_id=node_id,
        dealer_id=dealer_id,
        state=state,
        is_pinned=is_pinned,
        stuck_reason="",
        version=F("version") + 1,
        moved_at=at,
        accepted_at=at if state == FulfillmentOrder.State.ACCEPTED else None,
    )
    if not changed:
        raise Stale()
    work.refresh_from_db()
    journal.record(_moved(work, was, actor, "改派"), actor=actor, at=at)
    return work


def lock_works(order_ids: Collection[int]) -> list[FulfillmentOrder]:
    """The pieces of work of some orders that were not cancelled, locked in key order until the transaction ends."""
    works = FulfillmentOrder.objects.select_for_update().filter(order_id__in=order_ids).order_by("pk")
    return list(works.exclude(state=FulfillmentOrder.State.CANCELLED))


@transaction.atomic(savepoint=False)
def rehome_works(*, places: Sequence[NewPlace], note: str, actor: str, at: datetime) -> list[events.Event]:
    """Give offered work to other places, all in one statement; returns the facts, which the caller records.

    The caller holds the locks of the works, whose offers are withdrawn. Raises Stale when one is not on offer.
    """
    if not places:
        return []
    to = {place.work_id: place for place in places}
    moved = statements.rehome_works(places, at)
    if len(moved) < len(to):
        raise Stale("履约单已变化，不能改派")
    return [
        events.WorkMoved(
            fo_id=work_id,
            fo_no=fo_no,
            order_no=order_no,
            dealer_id=to[work_id].dealer_id,
            division_code=division_code,
            was="offered",
            state=to[work_id].state,
            actor=actor,
            note=note,
        )
        for work_id, fo_no, order_no, division_code in moved
    ]


@transaction.atomic(savepoint=False)
def void_works(*, work_ids: Collection[int], at: datetime) -> None:
    """End offered work whose lines other work takes over; its order goes on. The caller holds the locks."""
    offered = FulfillmentOrder.objects.filter(pk__in=work_ids, state=FulfillmentOrder.State.OFFERED)
    if offered.update(state="cancelled", version=F("version") + 1, moved_at=at) < len(work_ids):
        raise Stale("履约单已变化，不能改派")


@transaction.atomic
def cancel_works(*, order_id: int, actor: str, at: datetime) -> list[str]:
    """Cancel what no dealer has accepted, and ask for the rest; returns the fo_nos cancelled now.

    Accepted work becomes 'cancel_requested'; shipped work stays for after-sales. An order without
    any work that is left open ends as cancelled.
    """
    order = lifecycle.lock_order(order_id)
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

    Raises Stale when some work is accepted or further already, and PinnedWork when some is pinned: that needs a person.
    """
    order = lifecycle.lock_order(order_id)
    if order.work.exclude(state__in=[*rules.WORK_UNANSWERED, "cancelled"]).exists() or order.state != Order.State.ROUTED:
        raise Stale("已有经销商接单，不能重新派单")
    if order.work.filter(state__in=rules.WORK_UNANSWERED, is_pinned=True).exists():
        raise PinnedWork
    voided = []
    for work in order.work.filter(state__in=rules.WORK_UNANSWERED).order_by("pk"):
        FulfillmentOrder.objects.filter(pk=work.pk).update(state="cancelled", version=F("version") + 1, moved_at=at)
        voided.append(work.fo_no)
    Order.objects.filter(pk=order_id).update(state=Order.State.PLACED, version=F("version") + 1)
    journal.record(lifecycle.placed(order), actor=actor, at=at)
    return voided
