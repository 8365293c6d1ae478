"""Once a second, queue every tick that is due and not queued already.

Among several processes one holds the lease and schedules, the others watch for its death. A
lease lost and taken twice for a moment only queues a tick twice, which changes nothing.
"""

import fcntl
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psycopg
from django.conf import settings
from django.db import connection

from oms_project.tasks import queue
from oms_project.tasks.jobs import RUN_TICK
from oms_project.tasks.loops import Loop
from oms_project.tasks.ticks import ticks

log = logging.getLogger("yipan.tasks")
LOOK_SECONDS = 1.0
STUCK_SECONDS = 30.0  # a queued tick older than this was lost with its worker; queue another
_LEASE_KEY = 0x79697061  # "yipa", any number that nobody else locks


class PostgresLease:
    """A session advisory lock on a connection of its own: the server frees it when we die."""

    def __init__(self) -> None:
        self._line: psycopg.Connection | None = None

    def is_held(self) -> bool:
        try:
            if self._line is None:
                drop = {"cursor_factory", "context", "prepare_threshold"}
                params = {key: value for key, value in connection.get_connection_params().items() if key not in drop}
                line = psycopg.connect(**params, autocommit=True)
                row = line.execute("SELECT pg_try_advisory_lock(%s)", [_LEASE_KEY]).fetchone()
                if not (row and row[0]):
                    line.close()
                    return False
                self._line = line
            self._line.execute("SELECT 1")
        except psycopg.Error:
            self.drop()
            return False
        return True

    def drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


class FileLease:
    """A lock on a file beside the SQLite database: the kernel frees it when we die."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def is_held(self) -> bool:
        if self._file is None:
            file = self._path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
            self._file = file
        return True

    def drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def make_lease() -> PostgresLease | FileLease:
    """The lease that fits the configured database."""
    if connection.vendor == "postgresql":
        return PostgresLease()
    return FileLease(Path(settings.VAR_DIR) / "scheduler.lock")


class SchedulerLoop(Loop):
    """Keeps in memory which row it queued last for each tick, and when the next is due."""

    def __init__(self, name: str, lease: PostgresLease | FileLease | None = None) -> None:
        super().__init__(name)
        self._lease = lease or make_lease()
        self._due: dict[str, float] = {}
        self._row: dict[str, tuple[int, float]] = {}

    def step(self) -> None:
        if self._lease.is_held():
            self.look(time.monotonic(), queue.put)
        self.leave.wait(LOOK_SECONDS)

    def look(self, now: float, put: Callable[[str, str], int]) -> list[str]:
        """Queue what is due at `now` (seconds of a monotonic clock); returns the names queued."""
        queued = queue.still_queued([row_id for row_id, _ in self._row.values()])
        names = []
        for tick in ticks():
            row_id, put_at = self._row.get(tick.name, (0, now))
            if now < self._due.get(tick.name, now) or (row_id in queued and now - put_at < STUCK_SECONDS):
                continue
            self._row[tick.name] = (put(RUN_TICK, tick.name), now)
            self._due[tick.name] = now + tick.seconds
            names.append(tick.name)
        return names

    def salvage(self) -> None:
        self._lease.drop()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._lease.drop()
