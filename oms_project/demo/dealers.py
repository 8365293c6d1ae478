"""The demo's dealers: they accept, decline or ignore offers by seeded luck, then do the work.

Everything goes through the same actions as a person's tap. What a dealer will do with an offer is
decided by the offer's number, so that a restarted demo goes on as it would have.
"""

import logging
import random
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from dealers.models import Staff
from oms_project.demo import brand
from oms_project.refusal import Refusal
from orders.fulfilment import actions as fulfilment
from orders.models import FulfillmentOrder, Offer
from orders.offers import actions as offer_actions

log = logging.getLogger("yipan.demo")
ACCEPTS, DECLINES = 0.78, 0.12  # the rest lets the offer run out
_STEP_SECONDS = {"accepted": 25, "shipped": 40, "delivered": 30, "installed": 20, "cancel_requested": 10}
_BATCH = 50


def answer_offers(*, at: datetime) -> int:
    """Answer the offers whose dealer has thought long enough; returns how many were answered."""
    answered = 0
    pending = Offer.objects.filter(state=Offer.State.PENDING, expires_at__gt=at).exclude(dealer__code=brand.PLAYED_DEALER)
    for offer in pending.order_by("opened_at")[: _BATCH * 4]:
        luck = random.Random(offer.offer_no)
        mood, patience = luck.random(), timedelta(seconds=luck.uniform(2, 25) * settings.DEMO_PACE)
        if mood >= ACCEPTS + DECLINES or offer.opened_at + patience > at:
            continue
        clerk = Staff.objects.filter(dealer=offer.dealer_id, role=Staff.Role.CLERK, is_active=True).first()
        if clerk is None:
            continue
        try:
            if mood < ACCEPTS:
                offer_actions.accept_offer(offer_no=offer.offer_no, staff=clerk, at=at)
            else:
                reason = luck.choice(["no_stock", "busy", "too_far"])
                offer_actions.decline_offer(offer_no=offer.offer_no, staff=clerk, reason=reason, at=at)
            answered += 1
        except Refusal as refusal:
            log.info("demo dealer came too late: %s", refusal.message)
    return answered


def do_the_work(*, at: datetime) -> int:
    """Take accepted work one step further when its time has come; returns how many steps were taken."""
    steps = 0
    for state, seconds in _STEP_SECONDS.items():
        due = FulfillmentOrder.objects.filter(state=state, moved_at__lte=at - timedelta(seconds=seconds * settings.DEMO_PACE))
        due = due.exclude(dealer__code=brand.PLAYED_DEALER).select_related("dealer")
        for work in due.order_by("moved_at")[:_BATCH]:
            worker = Staff.objects.filter(dealer=work.dealer, role__in=["owner", "admin"], is_active=True).first()
            if worker is None:
                continue
            try:
                _step(work, worker, at)
                steps += 1
            except Refusal as refusal:
                log.info("demo work %s waits: %s", work.fo_no, refusal.message)
    return steps


def _step(work: FulfillmentOrder, worker: Staff, at: datetime) -> None:
    common: dict[str, Any] = {"fo_no": work.fo_no, "staff": worker, "at": at}
    match work.state:
        case "accepted" if work.needs_install and work.dealer_id:
            fulfilment.ship_work(carrier="self", tracking_no="", **common)
        case "accepted":
            fulfilment.ship_work(carrier="顺丰", tracking_no=f"SF{work.pk:013d}", **common)
        case "shipped":
            fulfilment.deliver_work(**common)
        case "delivered" if work.needs_install:
            visit: dict[str, Any] = {"visit_from": at + timedelta(minutes=1), "visit_to": at + timedelta(hours=2)}
            fulfilment.schedule_visit(**visit, **common)
            fulfilment.install_work(**common)
        case "delivered" | "installed":
            fulfilment.complete_work(code=work.redeem_code.code, **common)
        case "cancel_requested":
            fulfilment.confirm_cancel(**common)
