"""The live socket: who may listen, and that a resumed listener misses nothing."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.db import transaction

from bots.hub import QUEUE, Hub, Member
from bots.miniapp.socket import FeedSocket
from bots.miniapp.tickets import issue_ticket, use_ticket
from dealers.models import Staff
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.feed import Cursor, FeedEntry
from tests.make import make_dealer, make_staff

pytestmark = pytest.mark.django_db(transaction=True)


def _statement(dealer_id: int, number: int, at: datetime) -> None:
    with transaction.atomic():
        journal.record(events.StatementReady(statement_no=f"S{number}", dealer_id=dealer_id, closing_fen=1), actor="t", at=at)


def test_a_ticket_opens_once_and_not_after_a_minute(at: datetime) -> None:
    staff = make_staff(make_dealer())
    ticket = issue_ticket(staff, at)
    late = issue_ticket(staff, at)
    assert use_ticket(ticket, at) == staff
    assert use_ticket(ticket, at) is None
    assert use_ticket(late, at + timedelta(seconds=60)) is None
    assert use_ticket("wrong", at) is None


def test_a_full_queue_loses_its_member_and_says_so(at: datetime) -> None:
    hub, member = Hub(), Member("ops")
    hub.join(member)
    for number in range(QUEUE + 1):
        hub.publish(FeedEntry(Cursor(0, number), "order.held", frozenset({"ops"}), {}, at))
    assert member.lost.is_set()
    assert member.queue.qsize() == QUEUE


async def _open(query: str) -> ApplicationCommunicator:
    scope = {"type": "websocket", "path": "/ws/feed", "query_string": query.encode(), "headers": []}
    socket = ApplicationCommunicator(FeedSocket.as_asgi(), scope)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output())["type"] == "websocket.accept"
    return socket


@pytest.mark.asyncio
async def test_a_dealer_resumes_with_its_own_entries_only(at: datetime) -> None:
    def given() -> tuple[int, str]:
        mine, other = make_dealer(), make_dealer()
        for number in range(3):
            _statement(mine.pk, number, at)
            _statement(other.pk, 100 + number, at)
        return mine.pk, issue_ticket(make_staff(mine), datetime.now(UTC))

    _, ticket = await database_sync_to_async(given)()
    socket = await _open(f"ticket={ticket}&cursor=0-0")
    assert orjson.loads((await socket.receive_output())["text"]) == {"type": "hello", "cursor": "0-0"}
    heard = [orjson.loads((await socket.receive_output())["text"])["payload"]["statement_no"] for _ in range(3)]
    assert heard == ["S0", "S1", "S2"]
    assert await socket.receive_nothing(0.05)
    await socket.send_input({"type": "websocket.receive", "text": "ping"})
    assert (await socket.receive_output())["text"] == "pong"
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait()
    again = await _open(f"ticket={ticket}")
    assert (await again.receive_output())["code"] == 4401


@pytest.mark.asyncio
async def test_a_changed_session_version_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def given() -> tuple[Staff, str]:
        staff = make_staff(make_dealer())
        return staff, issue_ticket(staff, datetime.now(UTC))

    monkeypatch.setattr("bots.miniapp.socket.RECHECK_SECONDS", 0.02)
    staff, ticket = await database_sync_to_async(given)()
    socket = await _open(f"ticket={ticket}")
    assert orjson.loads((await socket.receive_output())["text"])["type"] == "hello"
    assert await socket.receive_nothing(0.1)
    await database_sync_to_async(Staff.objects.filter(pk=staff.pk).update)(session_version=2)
    assert (await socket.receive_output())["code"] == 4403
