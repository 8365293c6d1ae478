"""Brings cards and answers to the platforms, outside of any transaction, at least once.

A card is sent once per task id (`offer@user`); a card whose offer has ended loses its buttons. The
row of a card is written before the card is sent, so a crash in between is seen and made good.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from bots import actions, cards, commands, queries
from bots.models import CardMessage, ChatIdentity, InboundEvent
from bots.transports import local, wecom
from bots.transports.inbound import TransportError
from oms_project.journal.subscription import Fact, PermanentFailure
from oms_project.refusal import Refusal
from orders.offers import queries as offers

log = logging.getLogger("yipan.bots")

LEASE = timedelta(seconds=60)
MOST_TRIES = 8
_SENDING = "sending"
_PATIENCE = timedelta(minutes=1)
_BATCH = 20


def on_offer_opened(facts: Sequence[Fact], *, at: datetime) -> None:
    """Send the card to the dealer's owner and clerks. OUTSIDE; repeats send nothing twice.

    Every recipient is tried; the first failure is raised at the end, so that a retry completes the rest.
    """
    failures: list[Exception] = []
    for fact in facts:
        for identity in _one_per_room(queries.people_to_tell(fact.payload["dealer_id"])):
            try:
                _send_card(identity, fact.payload["offer_no"], at)
            except (TransportError, PermanentFailure) as failure:
                failures.append(failure)
    _raise_first(failures)


def on_offer_closed(facts: Sequence[Fact], *, at: datetime) -> None:
    """Take the buttons off every card of an ended offer. OUTSIDE; a closed card is left alone."""
    failures: list[Exception] = []
    for fact in facts:
        state = fact.payload["state"]
        when = timezone.localtime(fact.recorded_at)
        ending = cards.closed_text(state, by=fact.payload.get("answered_by", ""), at=when, reason=fact.payload.get("reason", ""))
        for sent in CardMessage.objects.filter(offer_no=fact.payload["offer_no"]).exclude(shown_state=state).order_by("pk"):
            try:
                _close_card(sent, state, ending, at)
            except TransportError as failure:
                failures.append(failure)
    _raise_first(failures)


def answer_events(*, at: datetime) -> int:
    """Obey the texts that wait and send the answers; called by the clock. Returns how many were taken on.

    The effect is stored with its answer before anything is sent, so a crash repeats at most the sending.
    """
    due = InboundEvent.objects.filter(done_at=None, due_at__lte=at).order_by("due_at", "pk")
    taken = 0
    for event_id, due_at in list(due.values_list("pk", "due_at")[:_BATCH]):
        mine = InboundEvent.objects.filter(pk=event_id, due_at=due_at, done_at=None)
        if mine.update(due_at=at + LEASE, tries=F("tries") + 1):
            taken += 1
            _answer(event_id, at)
    return taken


def _answer(event_id: int, at: datetime) -> None:
    try:
        event = actions.answer_text(event_id=event_id, at=at)
        if event.done_at is None:
            wecom.send_text(event.sender_id, event.answer)
    except (TransportError, PermanentFailure) as failure:
        _put_back(event_id, failure, at)
    except Exception as error:
        log.exception("chat event %s failed", event_id)
        _put_back(event_id, error, at)
    else:
        InboundEvent.objects.filter(pk=event_id).update(done_at=at)


def _put_back(event_id: int, error: Exception, at: datetime) -> None:
    """Due again later, each time twice as late; given up when hopeless."""
    waiting = InboundEvent.objects.filter(pk=event_id)
    tries = waiting.values_list("tries", flat=True).first() or 1
    if isinstance(error, PermanentFailure) or tries >= MOST_TRIES:
        log.warning("chat event %s is given up: %s", event_id, type(error).__name__)
        waiting.update(done_at=at)
    else:
        waiting.update(due_at=at + timedelta(seconds=5 * 2 ** (tries - 1)))


def _one_per_room(identities: Sequence[ChatIdentity]) -> list[ChatIdentity]:
    """WeCom cards go to each person; a local group gets one card for all."""
    chosen: dict[tuple[str, str], ChatIdentity] = {}
    for identity in identities:
        if identity.platform == wecom.PLATFORM and not wecom.can_send():
            continue
        who = identity.tenant if identity.platform == local.PLATFORM else identity.user_id
        chosen.setdefault((identity.platform, who), identity)
    return list(chosen.values())


def _send_card(identity: ChatIdentity, offer_no: str, at: datetime) -> None:
    is_local = identity.platform == local.PLATFORM
    recipient = identity.tenant if is_local else identity.user_id
    key = wecom.task_id(offer_no, recipient)
    known = CardMessage.objects.filter(task_id=key).first()
    if known and known.shown_state != _SENDING:
        return
    try:
        facts = commands.facts_of(offers.offer_for(staff=identity.staff, offer_no=offer_no))
    except Refusal:
        return
    if facts.state != "pending":
        CardMessage.objects.filter(task_id=key, shown_state=_SENDING).update(shown_state="pending")
        return
    sent, _ = CardMessage.objects.get_or_create(
        task_id=key,
        defaults={
            "platform": identity.platform,
            "tenant": identity.tenant,
            "recipient": recipient,
            "offer_no": offer_no,
            "shown_state": _SENDING,
            "sent_at": at,
        },
    )
    card = cards.offer_card(facts)
    codes: list[str] = []
    if is_local:
        local.send_card(recipient, key, card, at=at)
    else:
        codes = wecom.send_card(recipient, key, card)
    CardMessage.objects.filter(pk=sent.pk).update(shown_state="pending", response_codes=codes)
    sent.response_codes = codes
    _close_if_ended(identity, sent, at)


def _close_if_ended(identity: ChatIdentity, sent: CardMessage, at: datetime) -> None:
    """The offer may have ended while its card was on the way."""
    try:
        now = commands.facts_of(offers.offer_for(staff=identity.staff, offer_no=sent.offer_no))
    except Refusal:
        return
    if now.state != "pending":
        ending = cards.closed_text(now.state, by=now.answered_by, at=now.answered_at, reason=now.reason)
        _close_card(sent, now.state, ending, at)


def _close_card(sent: CardMessage, state: str, ending: str, at: datetime) -> None:
    """Raises TransportError while the card is still on its way, or the platform does not answer.

    A card without a usable code keeps its buttons; a press on it gets the true state as answer.
    """
    if sent.shown_state == _SENDING and at - sent.sent_at < _PATIENCE:
        raise TransportError("卡片还在发送中")
    if sent.platform == local.PLATFORM:
        local.close_card(sent.task_id, state, ending)
    elif wecom.can_send():
        _spend_codes(sent, ending)
    CardMessage.objects.filter(pk=sent.pk).update(shown_state=state)


def _spend_codes(sent: CardMessage, ending: str) -> None:
    """Newest code first; each can be used once and lives 72 hours."""
    codes = list(sent.response_codes)
    while codes:
        code = codes[-1]
        try:
            wecom.close_card(sent.recipient, code, ending)
        except PermanentFailure as failure:
            log.warning("a card code of %s was refused: %s", sent.offer_no, failure.args[1:])
            codes.pop()
            CardMessage.objects.filter(pk=sent.pk).update(response_codes=codes)
            continue
        codes.pop()
        CardMessage.objects.filter(pk=sent.pk).update(response_codes=codes)
        return


def _raise_first(failures: Sequence[Exception]) -> None:
    """What may still succeed is worth a retry; only if nothing is, the delivery is parked."""
    for failure in failures:
        if isinstance(failure, TransportError):
            raise failure
    for failure in failures:
        raise failure
