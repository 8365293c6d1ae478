"""Wakes whoever follows the journal when something was committed, in this process or another.

Within a process a commit rings at once. Between processes on SQLite, `PRAGMA data_version` of an
own connection tells that somebody committed; on PostgreSQL one LISTEN connection hears a NOTIFY,
which is sent after the commit by a thread of its own and at most every few milliseconds (a NOTIFY
inside the transaction would make all commits queue behind one lock). A missed ring costs time and
never a fact: every follower also looks once a second.
"""

import logging
import sqlite3
import threading
import time
from contextlib import closing

import psycopg
from django.db import connection

log = logging.getLogger("yipan.journal")
CHANNEL = "yipan_journal"
_SQLITE_POLL_SECONDS = 0.01
_NOTIFY_GAP_SECONDS = 0.005


class Bell:
    """A counter that only rises; `wait` returns when it has risen or the time is over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0
        self._outgoing = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def ring(self) -> None:
        """Something was committed here."""
        self._count()
        self._outgoing.set()

    def wait(self, seen: int, timeout: float) -> int:
        """Block until the bell rang more often than `seen`, or timeout seconds; returns the count."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings > seen or self._stopping.is_set(), timeout)
            return self._rings

    def start(self) -> None:
        """Hear other processes from now on (idempotent)."""
        if self._threads:
            return
        self._stopping.clear()
        loops = (self._listen, self._notify) if connection.vendor == "postgresql" else (self._watch_file,)
        self._threads = [threading.Thread(target=loop, name=f"bell{loop.__name__}", daemon=True) for loop in loops]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._outgoing.set()
        self._count()
        for thread in self._threads:
            thread.join(3)
        self._threads = []

    def _count(self) -> None:
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def _watch_file(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as file:
                    self._watch_version(file)
            except sqlite3.Error as error:
                log.warning("journal bell lost its database: %s", type(error).__name__)
                self._stopping.wait(1.0)

    def _watch_version(self, file: sqlite3.Connection) -> None:
        seen = None
        while not self._stopping.wait(_SQLITE_POLL_SECONDS):
            version = file.execute("PRAGMA data_version").fetchone()[0]
            if version != seen:
                seen = version
                self._count()

    def _connect(self) -> psycopg.Connection:
        params = {
            key: value
            for key, value in connection.get_connection_params().items()
            if key not in {"cursor_factory", "context", "prepare_threshold"}
        }
        return psycopg.connect(**params, autocommit=True)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as line:
                    line.execute(f"LISTEN {CHANNEL}")
                    while not self._stopping.is_set():
                        for _ in line.notifies(timeout=1.0, stop_after=1):
                            self._count()
            except psycopg.Error as error:
                log.warning("journal bell lost its database: %s", type(error).__name__)
                self._stopping.wait(1.0)

    def _notify(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as line:
                    while not self._stopping.is_set():
                        if self._outgoing.wait(1.0):
                            self._outgoing.clear()
                            line.execute(f"NOTIFY {CHANNEL}")
                            time.sleep(_NOTIFY_GAP_SECONDS)
            except psycopg.Error as error:
                log.warning("journal bell cannot notify: %s", type(error).__name__)
                self._stopping.wait(1.0)


bell = Bell()
