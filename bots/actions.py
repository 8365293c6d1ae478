"""What came from a chat takes effect exactly once: event, effect and answer are one transaction.

A repeat waits on the unique event id until the first copy is committed, and then gets the stored
answer. A process that dies in between leaves nothing, and the platform's repeat starts afresh.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from bots import commands, queries
from bots.cards import Card, read_value
from bots.commands import Reply, Room
from bots.models import CardMessage, ChatIdentity, InboundEvent
from bots.transports import local
from bots.transports.inbound import Inbound
from oms_project.sealed import seal, unseal


@dataclass(frozen=True, slots=True)
class ClickAnswer:
    """What the clicker's card turns into: `ending` greys it, `card` draws it anew."""

    ending: str = ""
    card: Card | None = None

    def as_json(self) -> str:
        return orjson.dumps({"ending": self.ending, "card": self.card.as_dict() if self.card else None}).decode()

    @classmethod
    def from_json(cls, text: str) -> "ClickAnswer":
        raw = orjson.loads(text)
        return cls(raw["ending"], Card.from_dict(raw["card"]) if raw["card"] else None)


@transaction.atomic
def take_click(*, inbound: Inbound, at: datetime) -> ClickAnswer:
    """Act on a pressed button now: the answer must already say who has the order."""
    event, is_new = _keep(inbound, at, done_at=at)
    if not is_new:
        return ClickAnswer.from_json(event.answer)
    _keep_code(inbound)
    answer = _click(inbound, at)
    InboundEvent.objects.filter(pk=event.pk).update(answer=answer.as_json())
    return answer


@transaction.atomic
def take_text(*, inbound: Inbound, at: datetime) -> bool:
    """Keep a text for `answer_text`; False if it was here before. Its words may hold a redeem code, so they are sealed."""
    content = seal(orjson.dumps(inbound.as_dict()).decode())
    _, is_new = _keep(inbound, at, due_at=at, content_sealed=content)
    return is_new


@transaction.atomic
def answer_text(*, event_id: int, at: datetime) -> InboundEvent:
    """Obey a kept text and store the answer, once; silence is done at once. Returns the event.

    A refusal is an answer and commits: a wrong redeem code stays counted.
    """
    event = InboundEvent.objects.select_for_update().get(pk=event_id)
    if event.answer or event.done_at:
        return event
    staff = queries.person_behind(platform=event.platform, tenant=event.tenant, user_id=event.sender_id)
    content = orjson.loads(unseal(event.content_sealed))
    if staff is None:
        event.answer = commands.STRANGER
    else:
        said_at = datetime.fromisoformat(content["sent_at"])
        room = Room(f"{event.platform}:{event.sender_id}")
        event.answer = commands.obey(staff=staff, text=content["text"], room=room, at=at, said_at=said_at).text
    event.done_at = None if event.answer else at
    event.content_sealed = ""
    event.save(update_fields=["answer", "done_at", "content_sealed"])
    return event


@transaction.atomic
def say(*, member: ChatIdentity, text: str, at: datetime) -> None:
    """Somebody says something in a local demo group, and the bot answers if it is meant."""
    local.send_text(member.tenant, text, sender=member.staff.name, at=at)
    room = Room(member.tenant, is_group=True, bot_names=(local.BOT, "订单助手"))
    reply = commands.obey(staff=member.staff, text=text, room=room, at=at)
    if reply.text:
        local.send_text(member.tenant, reply.text, at=at)


@transaction.atomic
def tap(*, member: ChatIdentity, key: str, value: str, reason: str, at: datetime) -> Reply:
    """Somebody presses a card's button in a local demo group; a value that is not ours changes nothing."""
    try:
        action, offer_no, version = read_value(value)
    except ValueError:
        return Reply("按钮无法识别")
    reply = commands.press(staff=member.staff, action=action, offer_no=offer_no, version=version, at=at, reason=reason)
    if reply.card:
        local.redraw_card(key, reply.card)
    return reply


def _keep(inbound: Inbound, at: datetime, **fields: Any) -> tuple[InboundEvent, bool]:
    return InboundEvent.objects.get_or_create(
        platform=inbound.platform,
        tenant=inbound.tenant,
        event_id=inbound.event_id,
        defaults={"sender_id": inbound.sender_id, "kind": inbound.kind, "received_at": at, **fields},
    )


def _keep_code(inbound: Inbound) -> None:
    """Every click brings a fresh code by which that member's card can be changed once more."""
    if not (inbound.response_code and inbound.task_id):
        return
    sent = CardMessage.objects.select_for_update().filter(task_id=inbound.task_id, recipient=inbound.sender_id).first()
    if sent:
        sent.response_codes = [*sent.response_codes, inbound.response_code][-5:]
        sent.save(update_fields=["response_codes"])


def _click(inbound: Inbound, at: datetime) -> ClickAnswer:
    staff = queries.person_behind(platform=inbound.platform, tenant=inbound.tenant, user_id=inbound.sender_id)
    if staff is None:
        return ClickAnswer(ending="您还没有绑定账号")
    try:
        action, offer_no, version = read_value(inbound.value)
    except ValueError:
        return ClickAnswer(ending="按钮无法识别")
    reason = inbound.selected.get("reason", "")
    if at - inbound.sent_at > commands.TOO_OLD:
        reply = commands.as_it_stands(staff=staff, offer_no=offer_no, note=commands.EXPIRED)
    else:
        reply = commands.press(staff=staff, action=action, offer_no=offer_no, version=version, at=at, reason=reason)
    return ClickAnswer(ending=reply.ending, card=reply.card)
