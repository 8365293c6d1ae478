"""Inbound words or a pressed button become one action; the answer says what became of it.

Authority is the person's, never the message's: cards can be forwarded and numbers guessed, so
every step goes through the gates of the rooms below. Answers carry no personal data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from bots import cards
from bots.cards import Card, OfferFacts
from bots.grammar import HELP_TEXT, Intent, Unclear, Unknown, Verb, normalise, parse
from dealers.models import Staff
from oms_project.money import yuan
from oms_project.refusal import NotFound, Refusal
from orders.fulfilment import actions as fulfilment
from orders.models import FulfillmentOrder, Offer
from orders.offers import actions as offer_actions
from orders.offers import queries as offers
from orders.work import queries as work_queries

RECENT = timedelta(days=14)
TOO_OLD = timedelta(minutes=10)
EXPIRED = "消息已过期，请重新操作"
STRANGER = "您还没有绑定账号，请联系总部开通"
_OPEN_STATES = ("accepted", "cancel_requested", "shipped", "delivered", "installed")
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Room:
    """Where something was said. In a group the bot speaks only when it is meant."""

    key: str
    is_group: bool = False
    bot_names: tuple[str, ...] = ("订单助手", "机器人")


@dataclass(frozen=True, slots=True)
class Reply:
    """text "" is silence. `ending` closes the clicked card; `card` draws it anew with live buttons."""

    text: str
    card: Card | None = None
    ending: str = ""


def obey(*, staff: Staff, text: str, room: Room, at: datetime, said_at: datetime | None = None) -> Reply:
    """Do what one chat line says, once, or say why not.

    A line said more than ten minutes before `at` changes nothing: platforms may deliver hours late.
    """
    meaning = parse(text, today=timezone.localtime(at).date(), own_names=room.bot_names)
    if isinstance(meaning, Unknown):
        spoken_to = not room.is_group or (not meaning.to_others and normalise(text) != normalise(text, room.bot_names))
        return Reply(HELP_TEXT if spoken_to and not meaning.to_others else "")
    if isinstance(meaning, Unclear):
        return Reply(meaning.ask + _open_numbers(staff, meaning.verb))
    if meaning.executes and said_at and at - said_at > TOO_OLD:
        return Reply(EXPIRED)
    if meaning.verb is Verb.HELP:
        return Reply(HELP_TEXT)
    if meaning.verb is Verb.MINE:
        return Reply(_my_orders(staff))
    work: FulfillmentOrder | None = None
    try:
        work = _resolve(staff, meaning.number, at)
        return Reply(_EFFECTS[meaning.verb](staff, work, meaning, at))
    except Refusal as refusal:
        return Reply(f"{work.short_no if work else meaning.number} {refusal.message}")


def press(*, staff: Staff, action: str, offer_no: str, version: int, at: datetime, reason: str = "") -> Reply:
    """A card button. The first valid press wins; a stale one gets the card as it is now."""
    note = ""
    try:
        if action == "accept":
            offer_actions.accept_offer(offer_no=offer_no, staff=staff, at=at, version=version)
        elif reason in cards.DECLINE_REASONS:
            offer_actions.decline_offer(offer_no=offer_no, staff=staff, reason=reason, at=at, version=version)
        else:
            note = "请先选择拒单原因，再按拒单"
    except Refusal as refusal:
        note = refusal.message
    return as_it_stands(staff=staff, offer_no=offer_no, note=note)


def as_it_stands(*, staff: Staff, offer_no: str, note: str) -> Reply:
    """The card of an offer as it is now: live again with a note while open, else its ending."""
    try:
        facts = facts_of(offers.offer_for(staff=staff, offer_no=offer_no))
    except Refusal as refusal:
        return Reply(note or refusal.message, ending="这张单不在您名下")
    if facts.state == "pending":
        return Reply(f"{facts.label} {note}", card=cards.offer_card(facts, note))
    ending = cards.closed_text(facts.state, by=facts.answered_by, at=facts.answered_at, reason=facts.reason)
    return Reply(f"{facts.label} {note or ending}", ending=ending)


def facts_of(offer: Offer) -> OfferFacts:
    """What a card may tell of an offer, with times in the project's zone."""
    return OfferFacts(
        offer_no=offer.offer_no,
        label=str(offer.work.short_no or offer.offer_no),
        version=offer.version,
        summary=offer.work.summary,
        region=offer.work.order.region,
        income_fen=offer.income_fen,
        income=tuple(offer.income),
        expires_at=timezone.localtime(offer.expires_at),
        state=offer.state,
        reason=offer.decline_reason,
        answered_by=offer.answered_by.name if offer.answered_by else "",
        answered_at=timezone.localtime(offer.answered_at) if offer.answered_at else None,
    )


def _resolve(staff: Staff, number: str, at: datetime) -> FulfillmentOrder:
    """The one piece of work a number means. Raises NotFound, or Refusal when it may mean several."""
    if "-" in number:
        try:
            return work_queries.work_for(staff=staff, fo_no=number)
        except NotFound:
            return offers.offer_for(staff=staff, offer_no=number).work
    if staff.is_hq:
        raise Refusal("总部人员请用完整单号")
    found = work_queries.work_by_short_no(staff=staff, short_no=int(number), since=at - RECENT)
    alive = [work for work in found if work.state not in {"completed", "cancelled"}]
    choice = alive or found
    if not choice:
        raise NotFound("没有找到这张单，可能已超时或改派")
    if len(choice) > 1:
        raise Refusal("对应多张单，请用完整单号：" + "、".join(work.fo_no for work in choice))
    return choice[0]


def _offer_of(staff: Staff, work: FulfillmentOrder) -> Offer:
    asked = work.offers.filter(dealer_id=staff.dealer_id) if staff.dealer_id else work.offers.all()
    offer = asked.order_by("-pk").first()
    if offer is None:
        raise NotFound("没有找到这张单，可能已超时或改派")
    return offer


def _accept(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    offer = offer_actions.accept_offer(offer_no=_offer_of(staff, work).offer_no, staff=staff, at=at)
    told = f"{work.short_no} 已接单 · {work.summary} · 收入 {yuan(offer.income_fen)} · {work.fo_no}"
    if offer.answered_at and offer.answered_at < at:
        return f"{told}\n已于 {timezone.localtime(offer.answered_at):%H:%M} 接单，无需重复"
    return f"{told}\n发出后请回复：发货 {work.short_no} 运单号"


def _decline(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    offer_actions.decline_offer(offer_no=_offer_of(staff, work).offer_no, staff=staff, reason=intent.reason, at=at)
    return f"{work.short_no} 已拒单（{cards.DECLINE_REASONS[intent.reason]}）· {work.fo_no}"


def _ship(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    return _told(
        fulfilment.ship_work(fo_no=work.fo_no, staff=staff, carrier=intent.carrier, tracking_no=intent.tracking_no, at=at)
    )


def _deliver(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    return _told(fulfilment.deliver_work(fo_no=work.fo_no, staff=staff, at=at))


def _schedule(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    visit = intent.visit
    if visit is None:
        raise Refusal("时间没有看懂")
    starts = timezone.make_aware(datetime.combine(visit.on, visit.start))
    ends = timezone.make_aware(datetime.combine(visit.on, visit.end))
    done = fulfilment.schedule_visit(fo_no=work.fo_no, staff=staff, visit_from=starts, visit_to=ends, at=at)
    return f"{done.short_no} 已预约 {starts:%m-%d %H:%M} 至 {ends:%H:%M} · {done.summary} · {done.fo_no}"


def _install(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    return _told(fulfilment.install_work(fo_no=work.fo_no, staff=staff, at=at))


def _complete(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    return _told(fulfilment.complete_work(fo_no=work.fo_no, staff=staff, code=intent.code, at=at))


def _confirm_cancel(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    return _told(fulfilment.confirm_cancel(fo_no=work.fo_no, staff=staff, at=at))


def _status(staff: Staff, work: FulfillmentOrder, intent: Intent, at: datetime) -> str:
    return _told(work)


def _told(work: FulfillmentOrder) -> str:
    """Number and state first, then what it is."""
    return f"{work.short_no} {FulfillmentOrder.State(work.state).label} · {work.summary} · {work.fo_no}"


_EFFECTS: dict[Verb, Callable[[Staff, FulfillmentOrder, Intent, datetime], str]] = {
    Verb.ACCEPT: _accept,
    Verb.DECLINE: _decline,
    Verb.SHIP: _ship,
    Verb.DELIVER: _deliver,
    Verb.SCHEDULE: _schedule,
    Verb.INSTALL: _install,
    Verb.COMPLETE: _complete,
    Verb.CONFIRM_CANCEL: _confirm_cancel,
    Verb.STATUS: _status,
}


def _my_orders(staff: Staff) -> str:
    """Open offers first, nearest deadline on top, then the work in hand."""
    waiting = offers.open_offers(staff).select_related("work").order_by("expires_at")[:_LISTED]
    lines = [
        f"{offer.work.short_no} 待接单 · {offer.work.summary} · 收入 {yuan(offer.income_fen)} · "
        f"{timezone.localtime(offer.expires_at):%m-%d %H:%M} 前"
        for offer in waiting
    ]
    works = work_queries.works_for(staff).filter(state__in=_OPEN_STATES).order_by("-moved_at")[:_LISTED]
    lines += [_told(work) for work in works]
    return "\n".join(lines) if lines else "现在没有待办"


def _open_numbers(staff: Staff, verb: Verb | None) -> str:
    """The numbers a command without one may have meant; asked, never assumed."""
    if verb is None or staff.is_hq:
        return ""
    if verb in {Verb.ACCEPT, Verb.DECLINE}:
        listed = offers.open_offers(staff).select_related("work").order_by("expires_at")[:_LISTED]
        numbers = [f"{offer.work.short_no}（{offer.work.summary}）" for offer in listed]
    else:
        works = work_queries.works_for(staff).filter(state__in=_OPEN_STATES).order_by("-moved_at")[:_LISTED]
        numbers = [f"{work.short_no}（{work.summary}）" for work in works]
    return "\n现有：" + "、".join(numbers) if numbers else ""
