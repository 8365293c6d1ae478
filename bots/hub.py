"""Carries the journal's feed to the sockets of this process, losing nothing without saying so.

One task follows the feed in order; each entry is encoded once and put in the bounded queue of
every member whose rooms it is for. A queue that is full marks its member as lost: the socket
closes with 4409 and its client resumes from its last cursor. Everything here but the database
reads runs on the event loop's thread, so there are no locks.
"""

import asyncio
import logging
from collections.abc import Iterable

import orjson
from django.db import Error, connection

from oms_project.journal import feed
from oms_project.journal.bell import bell
from oms_project.journal.feed import Cursor, FeedEntry

log = logging.getLogger("yipan.hub")
QUEUE = 256
PAGE = 500
Frame = tuple[Cursor, str]


def encode(entry: FeedEntry) -> str:
    """The text frame of one entry, the same for every socket."""
    at = entry.recorded_at.isoformat()
    return orjson.dumps({"cursor": str(entry.cursor), "name": entry.name, "at": at, "payload": entry.payload}).decode()


class Member:
    """One socket's place in the hub: what it may hear, and what waits to be sent to it."""

    def __init__(self, room: str, prefix: str = "") -> None:
        self.room = room
        self.prefix = prefix
        self.queue: asyncio.Queue[Frame] = asyncio.Queue(QUEUE)
        self.lost = asyncio.Event()

    def hears(self, name: str) -> bool:
        return name.startswith(self.prefix)


class Hub:
    """The rooms of this process."""

    def __init__(self) -> None:
        self._rooms: dict[str, set[Member]] = {}

    def join(self, member: Member) -> None:
        self._rooms.setdefault(member.room, set()).add(member)

    def leave(self, member: Member) -> None:
        members = self._rooms.get(member.room, set())
        members.discard(member)
        if not members:
            self._rooms.pop(member.room, None)

    def publish(self, entry: FeedEntry) -> None:
        listening = [m for room in entry.rooms for m in self._rooms.get(room, ()) if m.hears(entry.name)]
        if not listening:
            return
        frame = (entry.cursor, encode(entry))
        for member in listening:
            try:
                member.queue.put_nowait(frame)
            except asyncio.QueueFull:
                self.leave(member)
                member.lost.set()


hub = Hub()


def latest() -> Cursor:
    """feed.latest for a worker thread, whose connection must not outlive the call when broken."""
    try:
        return feed.latest()
    except Error:
        connection.close()
        raise


def read_after(after: Cursor, room: str | None = None) -> list[FeedEntry]:
    try:
        return feed.read_after(after, room=room, limit=PAGE)
    except Error:
        connection.close()
        raise


async def publish_all(entries: Iterable[FeedEntry]) -> None:
    """Give the pumps a turn after every few entries, so that a burst does not overflow a healthy socket."""
    for position, entry in enumerate(entries, start=1):
        hub.publish(entry)
        if position % 32 == 0:
            await asyncio.sleep(0)


async def follow() -> None:
    """Publish the feed from now on until cancelled; a database error costs time and no entry."""
    cursor: Cursor | None = None
    rings = 0
    while True:
        try:
            if cursor is None:
                cursor = await asyncio.to_thread(latest)
            entries = await asyncio.to_thread(read_after, cursor)
        except Error as error:
            log.warning("feed tail waits for its database: %s", type(error).__name__)
            await asyncio.sleep(1.0)
            continue
        await publish_all(entries)
        if entries:
            cursor = entries[-1].cursor
        if len(entries) < PAGE:
            rings = await asyncio.to_thread(bell.wait, rings, 1.0)
