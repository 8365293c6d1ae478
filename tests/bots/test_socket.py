"""The live socket: who may listen, and that a resumed listener misses nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.db import connections, transaction

from bots import hub as hubs
from bots.hub import QUEUE, Hub, Member, encode, follow, publish_all
from bots.miniapp.socket import MAX_BYTES, MAX_PER_SECOND, FeedSocket
from bots.miniapp.tickets import issue_ticket, use_ticket
from dealers.models import Staff
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.feed import Cursor, FeedEntry
from tests.make import make_dealer, make_staff

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]


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


@pytest_asyncio.fixture
async def _hang_up() -> AsyncIterator[None]:
    """Close the connections of the thread that served the socket, or PostgreSQL keeps the test database."""
    yield
    await sync_to_async(connections.close_all)()


async def _open(query: str, **scope: Any) -> ApplicationCommunicator:
    scope = {"type": "websocket", "path": "/ws/feed", "query_string": query.encode(), "headers": [], **scope}
    socket = ApplicationCommunicator(FeedSocket.as_asgi(), scope)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output())["type"] == "websocket.accept"
    return socket


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
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
@pytest.mark.usefixtures("_hang_up")
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


async def _heard(line: ApplicationCommunicator) -> Any:
    return orjson.loads((await line.receive_output())["text"])


async def _leave(line: ApplicationCommunicator) -> None:
    await line.send_input({"type": "websocket.disconnect", "code": 1000})
    await line.wait()


def _ticket(role: str = "owner") -> str:
    return issue_ticket(make_staff(make_dealer(), role=role), datetime.now(UTC))


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
@pytest.mark.parametrize("said", [{"text": "x" * (MAX_BYTES + 1)}, {"text": "好" * (MAX_BYTES // 3 + 1)}, {"bytes": b"ping"}])
async def test_too_long_or_binary_messages_close_the_socket(said: dict[str, Any]) -> None:
    line = await _open(f"ticket={await database_sync_to_async(_ticket)()}")
    assert (await _heard(line))["type"] == "hello"
    await line.send_input({"type": "websocket.receive", "text": "x" * MAX_BYTES})
    assert await line.receive_nothing(0.02)
    await line.send_input({"type": "websocket.receive", **said})
    assert await line.receive_output() == {"type": "websocket.close", "code": 4408}
    await _leave(line)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
async def test_too_many_messages_in_a_second_close_the_socket() -> None:
    line = await _open(f"ticket={await database_sync_to_async(_ticket)()}")
    assert (await _heard(line))["type"] == "hello"
    for _ in range(MAX_PER_SECOND):
        await line.send_input({"type": "websocket.receive", "text": "ping"})
        assert (await line.receive_output())["text"] == "pong"
    await line.send_input({"type": "websocket.receive", "text": "ping"})
    assert await line.receive_output() == {"type": "websocket.close", "code": 4408}
    await _leave(line)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
@pytest.mark.parametrize("cursor", ["yesterday", "1", "1-", "-1-2", "999999999999-1", "next"])
async def test_a_cursor_that_is_wrong_or_from_the_future_asks_for_a_reload(cursor: str, at: datetime) -> None:
    def given() -> tuple[str, str]:
        dealer = make_dealer()
        _statement(dealer.pk, 1, at)
        return issue_ticket(make_staff(dealer), datetime.now(UTC)), str(hubs.latest())

    ticket, newest = await database_sync_to_async(given)()
    if cursor == "next":
        xid, _, entry_id = newest.partition("-")
        cursor = f"{xid}-{int(entry_id) + 1}"
    line = await _open(f"ticket={ticket}&cursor={cursor}")
    assert await _heard(line) == {"type": "hello", "cursor": newest}
    assert await _heard(line) == {"type": "reload", "cursor": newest}
    assert await line.receive_nothing(0.05)
    await _leave(line)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
async def test_an_installer_hears_of_work_and_of_nothing_else(at: datetime) -> None:
    def given() -> tuple[int, str]:
        dealer = make_dealer()
        work = {"fo_id": 1, "order_no": "DD1", "dealer_id": dealer.pk, "division_code": "320506", "was": "offered"}
        with transaction.atomic():
            _statement(dealer.pk, 1, at)
            journal.record(events.WorkMoved(fo_no="DD1-1", state="accepted", **work), actor="t", at=at)
            _statement(dealer.pk, 2, at)
        return dealer.pk, issue_ticket(make_staff(dealer, role="installer"), datetime.now(UTC))

    dealer_id, ticket = await database_sync_to_async(given)()
    line = await _open(f"ticket={ticket}&cursor=0-0")
    assert (await _heard(line))["type"] == "hello"
    assert (await _heard(line))["name"] == "work.moved"
    assert await line.receive_nothing(0.05)
    room = frozenset({f"dealer:{dealer_id}"})
    hubs.hub.publish(FeedEntry(Cursor(2**60, 1), "offer.opened", room, {}, at))
    hubs.hub.publish(FeedEntry(Cursor(2**60, 2), "work.completed", room, {}, at))
    assert (await _heard(line))["name"] == "work.completed"
    await _leave(line)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
@pytest.mark.parametrize(
    ("origin", "code"), [("https://oms.example", 0), ("https://evil.example", 4401), ("null", 4401), ("", 4401)]
)
async def test_the_login_cookie_opens_only_for_our_own_pages(origin: str, code: int) -> None:
    staff = await database_sync_to_async(make_staff)()
    headers = [(b"host", b"oms.example"), *([(b"origin", origin.encode())] if origin else [])]
    line = await _open("", headers=headers, user=staff)
    answer = await line.receive_output()
    assert answer.get("code", 0) == code
    assert code or orjson.loads(answer["text"])["type"] == "hello"
    await _leave(line)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up")
async def test_a_socket_that_cannot_read_is_closed_and_not_mute(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Cursor:
        raise RuntimeError("broken")

    ticket = await database_sync_to_async(_ticket)()
    monkeypatch.setattr("bots.miniapp.socket.latest", broken)
    line = await _open(f"ticket={ticket}")
    assert await line.receive_output() == {"type": "websocket.close", "code": 1011}
    await _leave(line)


def _entries(count: int, at: datetime) -> list[FeedEntry]:
    return [FeedEntry(Cursor(0, number), "order.held", frozenset({"ops"}), {}, at) for number in range(1, count + 1)]


async def _pump(member: Member, pause: float, heard: list[Cursor]) -> None:
    while True:
        heard.append((await member.queue.get())[0])
        await asyncio.sleep(pause)


@pytest.mark.asyncio
async def test_a_burst_overflows_who_does_not_read_and_nobody_else(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, reads, stalls = Hub(), Member("ops"), Member("ops")
    monkeypatch.setattr(hubs, "hub", hub)
    monkeypatch.setattr(hubs, "DRAIN_SECONDS", 0.02)
    hub.join(reads)
    hub.join(stalls)
    heard: list[Cursor] = []
    pump = asyncio.create_task(_pump(reads, 0.0, heard))
    entries = _entries(5_000, at)
    await publish_all(entries)
    while len(heard) < len(entries) and not reads.lost.is_set():
        await asyncio.sleep(0)
    pump.cancel()
    assert heard == [entry.cursor for entry in entries]
    assert stalls.lost.is_set()
    assert (hub.fullest(), stalls.queue.qsize()) == (0, QUEUE)


@pytest.mark.asyncio
async def test_the_tail_survives_anything_and_loses_nothing(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, member = Hub(), Member("ops")
    hub.join(member)
    entries = _entries(3, at)
    faults: list[Exception] = [ValueError("odd"), KeyError("odd"), RuntimeError("odd")]

    def read(after: Cursor) -> list[FeedEntry]:
        if faults:
            raise faults.pop()
        return [entry for entry in entries if entry.cursor > after]

    def odd(entry: FeedEntry) -> str:
        if entry.cursor.id == 2:
            raise TypeError("cannot be told")
        return encode(entry)

    monkeypatch.setattr(hubs, "hub", hub)
    monkeypatch.setattr(hubs, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(hubs, "latest", lambda: Cursor(0, 0))
    monkeypatch.setattr(hubs, "read_after", read)
    monkeypatch.setattr(hubs, "encode", odd)
    monkeypatch.setattr(hubs.bell, "wait", lambda rings, seconds: rings)
    tail = asyncio.create_task(follow())
    heard = [(await asyncio.wait_for(member.queue.get(), 5))[0].id for _ in range(2)]
    tail.cancel()
    with suppress(asyncio.CancelledError):
        await tail
    assert (heard, faults) == ([1, 3], [])
