"""An operator decides who does the work.

Lock order: Order, then Offer, then work, then stock levels, then dealers' days.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from dealers.capacity import actions as capacity
from dealers.capacity.queries import days_of
from dealers.models import Staff
from inventory.models import Node
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal, Stale
from orders.dispatch import queries as dispatch
from orders.lifecycle import actions as lifecycle
from orders.offers import actions as offers
from orders.offers.models import Offer
from orders.offers.queries import asked_before
from orders.offers.rules import Planned
from orders.work import actions as work_actions
from orders.work.models import FulfillmentOrder
from orders.work.queries import as_orders
from orders.work.rules import WORK_UNANSWERED


class NoStockThere(Refusal):
    """The place a person chose cannot hold what the work needs."""


class DayIsFull(Refusal):
    """The dealer a person chose may not get more work today."""


@transaction.atomic
def place_by_hand(*, fo_no: str, node_id: int, staff: Staff, at: datetime) -> FulfillmentOrder:
    """An operator puts work that nobody has accepted at a place of choice: stock, work and offer move with it.

    From then on it is pinned there: only a person puts it elsewhere.
    A dealer is asked even if it said no before: that is what the person has talked about with it.
    Raises NotFound, Stale (accepted or ended meanwhile), NoStockThere or DayIsFull.
    """
    node = Node.objects.filter(pk=node_id, is_active=True).first()
    work = FulfillmentOrder.objects.select_related("order").filter(fo_no=fo_no).first()
    if staff.role not in offers.HQ_PLACERS or node is None or work is None:
        raise NotFound
    actor = f"staff:{staff.pk}"
    lifecycle.lock_order(work.order_id)
    pending = Offer.objects.filter(work=work, state=Offer.State.PENDING).first()
    if pending:
        offers.withdraw_offer(offer_no=pending.offer_no, staff=staff, at=at)
    work.refresh_from_db()
    if work.state not in WORK_UNANSWERED:
        raise Stale(f"履约单当前状态为「{work.get_state_display()}」，不能改派")
    order, before = as_orders([work])[work.pk], asked_before([work.pk])[work.pk]
    rung = dispatch.ladder_for(order.channel)[0]
    planned = Planned(order, fo_no, node.pk, node.dealer_id, order.lines, rung.position, rung.seconds, is_pinned=True)
    if planned.wants and not _holds_there(work, planned.wants, at):
        raise NoStockThere(f"{node.name} 的可售库存不足")
    _take_the_day(fo_no, node, actor, at)
    to = planned.first_state
    work_actions.rehome_work(
        work_id=work.pk, node_id=node.pk, dealer_id=node.dealer_id, state=to, at=at, actor=actor, is_pinned=True
    )
    if node.dealer_id:
        asked = [(planned, work.pk, before.rounds + 1)]
        facts = offers.open_offers(asked=asked, dealers=dispatch.roster().dealers, at=at, again=True)
        journal.record(*facts, actor=actor, at=at)
    work.refresh_from_db()
    return work


def _take_the_day(fo_no: str, node: Node, actor: str, at: datetime) -> None:
    """The work takes a place of the day of the node's dealer, and gives back the one it had."""
    if node.dealer_id is None:
        capacity.give_back(bills=[fo_no], actor=actor, at=at)
        return
    days = days_of([node.dealer_id], at)
    if not capacity.move(slots={fo_no: node.dealer_id}, days=days, actor=actor, at=at):
        day = days[node.dealer_id]
        raise DayIsFull(f"{node.name} 今日接单已满（{day.taken} / {day.allowed}），可先调高该经销商的每日接单上限")


def _holds_there(work: FulfillmentOrder, wants: Sequence[Want], at: datetime) -> bool:
    """Move what the work holds; stuck work has given its stock back and holds anew."""
    if work.state == FulfillmentOrder.State.STUCK:
        return bool(reservations.hold(wants=wants, at=at))
    return reservations.move(bill=work.fo_no, wants=wants, at=at)
