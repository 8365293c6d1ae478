"""Carries the journal's feed to the sockets of this process, losing nothing without saying so.

One task follows the feed in order; each entry is encoded once and put in the bounded queue of
every member whose rooms it is for. A queue that is full marks its member as lost: the socket
closes with 4409 and its client resumes from its last cursor. Everything here but the database
reads runs on the event loop's thread, so there are no locks.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import orjson
from django.db import Error, connection

from oms_project.journal import feed
from oms_project.journal.bell import bell
from oms_project.journal.feed import Cursor, FeedEntry

log = logging.getLogger("yipan.hub")
QUEUE = 256
PAGE = 500
BATCH = 64
DRAIN_SECONDS = 0.1
RETRY_SECONDS = 1.0
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

    def fullest(self) -> int:
        """How many frames wait for the member that has the most of them."""
        return max((m.queue.qsize() for members in self._rooms.values() for m in members), default=0)

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


async def publish_all(entries: Sequence[FeedEntry]) -> None:
    """Publish in batches; after each the pumps get their turn until no queue is more than half full.

    A socket that does not read cannot hold the others up for long: each batch waits DRAIN_SECONDS
    at most, and after a few of them the queue of that socket is full and it is lost.
    """
    for start in range(0, len(entries), BATCH):
        for entry in entries[start : start + BATCH]:
            try:
                hub.publish(entry)
            except Exception:
                log.exception("feed entry %s could not be sent", entry.cursor)
        await asyncio.sleep(0)
        give_up = time.monotonic() + DRAIN_SECONDS
        while hub.fullest() > QUEUE // 2 and time.monotonic() < give_up:
            await asyncio.sleep(0.002)


async def follow() -> None:
    """Publish the feed from now on until cancelled; whatever goes wrong costs time and no entry."""
    cursor: Cursor | None = None
    rings = 0
    while True:
        try:
            if cursor is None:
                cursor = await asyncio.to_thread(latest)
            entries = await asyncio.to_thread(read_after, cursor)
            await publish_all(entries)
            if entries:
                cursor = entries[-1].cursor
            if len(entries) < PAGE:
                rings = await asyncio.to_thread(bell.wait, rings, 1.0)
        except Error as error:
            log.warning("feed tail waits for its database: %s", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            log.exception("feed tail failed and tries again")
            await asyncio.sleep(RETRY_SECONDS)
