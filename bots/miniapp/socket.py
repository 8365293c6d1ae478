"""The live feed's socket, /ws/feed?ticket=…&cursor=…: replay from the table, then live, without a gap.

Close codes: 4401 no valid pass, 4403 authority changed, 4408 too many or too long messages,
4409 too slow (resume with the last cursor), 1011 something failed here (come back).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from bots.hub import PAGE, Member, encode, hub, latest, read_after
from bots.miniapp.tickets import use_ticket
from dealers.directory import queries as directory
from dealers.models import Staff
from oms_project.journal.feed import Cursor

log = logging.getLogger("yipan.socket")
RECHECK_SECONDS = 60.0
MAX_BYTES = 1024
MAX_PER_SECOND = 5
Authority = tuple[int, str, int | None, int]


def authority_of(staff: Staff) -> Authority:
    return (staff.pk, staff.role, staff.dealer_id, staff.session_version)


def still_holds(authority: Authority) -> bool:
    staff = directory.staff_by_id(authority[0])
    return staff is not None and staff.is_active and authority_of(staff) == authority


def member_for(staff: Staff) -> Member:
    """The server alone decides what a person hears; an installer hears of work and not of offers."""
    if staff.is_hq:
        return Member("ops")
    return Member(f"dealer:{staff.dealer_id}", "work." if staff.role == Staff.Role.INSTALLER else "")


class FeedSocket(AsyncWebsocketConsumer):
    channel_layer_alias = None  # type: ignore[assignment]

    async def connect(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.member: Member | None = None
        self.heard: deque[float] = deque(maxlen=MAX_PER_SECOND)
        query = parse_qs(self.scope["query_string"].decode("latin1"))
        await self.accept()
        staff = await self._who(query.get("ticket", [""])[0])
        if staff is None:
            await self.close(code=4401)
            return
        self.authority = authority_of(staff)
        self.member = member_for(staff)
        runs = (self._feed(query.get("cursor", [""])[0]), self._watch(), self._recheck())
        self.tasks = [asyncio.create_task(self._or_close(run)) for run in runs]

    async def _or_close(self, run: Coroutine[Any, Any, None]) -> None:
        """A socket that can no longer do its work is closed, so that its client comes back; it is never silently mute."""
        try:
            await run
        except Exception as error:
            log.warning("socket closed: %s", type(error).__name__)
            await self.close(code=1011)

    async def _who(self, ticket: str) -> Staff | None:
        """The pass's holder; without a pass the login cookie's, and then only from our own pages."""
        if ticket:
            return await database_sync_to_async(use_ticket)(ticket, timezone.now())
        headers = {name: value.decode("latin1") for name, value in self.scope["headers"]}
        origin = urlsplit(headers.get(b"origin", ""))
        user = self.scope.get("user")
        same = bool(origin.netloc) and origin.netloc.lower() == headers.get(b"host", "").lower()
        return user if same and isinstance(user, Staff) and user.is_active else None

    async def _feed(self, asked: str) -> None:
        """Catch up, join, read once more what was committed before the join, then pump; order dedupes."""
        assert self.member
        newest = await database_sync_to_async(latest)()
        sent, reload = newest, False
        if asked:
            try:
                sent = Cursor.parse(asked)
            except ValueError:
                reload = True
            if sent > newest:
                sent, reload = newest, True
        await self._say({"type": "hello", "cursor": str(sent)})
        if reload:
            await self._say({"type": "reload", "cursor": str(sent)})
        sent = await self._replay(sent)
        hub.join(self.member)
        sent = await self._replay(sent)
        while True:
            cursor, text = await self.member.queue.get()
            if cursor > sent:
                await self.send(text_data=text)
                sent = cursor

    async def _replay(self, sent: Cursor) -> Cursor:
        assert self.member
        while True:
            page = await database_sync_to_async(read_after)(sent, self.member.room)
            for entry in page:
                if self.member.hears(entry.name):
                    await self.send(text_data=encode(entry))
                sent = entry.cursor
            if len(page) < PAGE:
                return sent

    async def _say(self, message: dict[str, Any]) -> None:
        await self.send(text_data=orjson.dumps(message).decode())

    async def _watch(self) -> None:
        assert self.member
        await self.member.lost.wait()
        self.tasks[0].cancel()
        await self.close(code=4409)

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if not await database_sync_to_async(still_holds)(self.authority):
                self.tasks[0].cancel()
                await self.close(code=4403)
                return

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        now = time.monotonic()
        flooding = len(self.heard) == MAX_PER_SECOND and now - self.heard[0] < 1.0
        self.heard.append(now)
        if flooding or bytes_data is not None or len((text_data or "").encode()) > MAX_BYTES:
            await self.close(code=4408)
        elif text_data == "ping":
            await self.send(text_data="pong")

    async def disconnect(self, code: int) -> None:
        if self.member:
            hub.leave(self.member)
        for task in self.tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self.tasks, return_exceptions=True)
