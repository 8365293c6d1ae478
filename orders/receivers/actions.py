"""Who may see the receiver of an order, and the record of every look."""

from datetime import datetime

import orjson
from django.db import transaction

from dealers.models import Staff
from oms_project.refusal import NotFound, Refusal
from oms_project.sealed import unseal
from orders.lifecycle.models import Order
from orders.lifecycle.rules import Receiver
from orders.receivers.models import ReceiverReveal
from orders.work.models import FulfillmentOrder
from orders.work.rules import WORK_UNANSWERED


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
        if work.state in WORK_UNANSWERED or work.state == FulfillmentOrder.State.CANCELLED:
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
