"""The life of an offer: it is opened, answered, runs out, or is taken back.

Lock order: Order, then Offer, then work, then stock levels. An answer is one compare-and-swap on
(pending, before the deadline); whoever comes second changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import orjson
from django.db import transaction
from django.db.models import F

from dealers.models import Staff
from dealers.settlement import queries as settlement
from dealers.settlement.rules import income_of, quote
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal, Stale
from orders.offers import queries, rules, statements
from orders.offers.models import Offer
from orders.offers.rules import DealerTerms, Planned
from orders.offers.statements import ClosedOffer, NewOffer
from orders.work import actions as work_actions
from orders.work.models import FulfillmentOrder

ACTOR = "system:dispatch"
EXPIRE_LIMIT = 500
HQ_PLACERS = frozenset({Staff.Role.ADMIN, Staff.Role.OPERATOR})


class OfferGone(Refusal):
    """The offer was answered, ran out or was withdrawn before."""

    def __init__(self, message: str = "这张单已被处理或已超时") -> None:
        super().__init__(message)


class ReasonNeeded(Refusal):
    """Nobody declines without saying why: the reason corrects stock and routing."""


@transaction.atomic(savepoint=False)
def open_offers(
    *, asked: Sequence[tuple[Planned, int, int]], dealers: Mapping[int, DealerTerms], at: datetime, again: bool = False
) -> list[events.Event]:
    """Insert offers for (work, work id, round), income frozen by the rules of the paid time.

    Returns their facts, which the caller records together with its own. `again` reopens the offer
    of a dealer that was asked before.
    """
    if not asked:
        return []
    terms = settlement.rules_in_force(at)
    offers = []
    for work, work_id, number in asked:
        dealer = dealers[work.dealer_id or 0]
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
    offer.work = work_actions.move_work(work_id=offer.work_id, to=accepted, actor=actor, at=at)
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


@transaction.atomic(savepoint=False)
def withdraw_offers_of(*, order_ids: Sequence[int], note: str, actor: str, at: datetime) -> int:
    """Take back what is still pending of these orders. The caller holds the orders' locks."""
    withdrawn = statements.withdraw_offers(order_ids, note, at)
    journal.record(*[_closed(offer, "withdrawn", at, reason=note) for offer in withdrawn], actor=actor, at=at)
    return len(withdrawn)


def lock_pending(order_ids: Collection[int]) -> dict[int, int]:
    """The pending offers of some orders as id → version, locked in key order: until the end nobody answers them."""
    works = FulfillmentOrder.objects.filter(order_id__in=order_ids)
    pending = Offer.objects.select_for_update().filter(work__in=works.values("pk"), state=Offer.State.PENDING)
    return {offer.pk: offer.version for offer in pending.only("version").order_by("pk")}


@transaction.atomic(savepoint=False)
def withdraw_offers(*, offer_ids: Sequence[int], note: str, actor: str, at: datetime) -> None:
    """Take these pending offers back. The caller has locked them. Raises Stale when one is not pending."""
    withdrawn = statements.withdraw_these(offer_ids, note, at) if offer_ids else []
    if len(withdrawn) < len(offer_ids):
        raise Stale("要约已有答复，不能撤回")
    journal.record(*[_closed(offer, "withdrawn", at, reason=note) for offer in withdrawn], actor=actor, at=at)


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
