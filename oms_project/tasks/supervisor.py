"""The split mode: one parent that starts, watches and stops web, work and queue processes.

The parent opens the port, so a web process can be replaced while others (or the backlog) take
the connections. Children die with it (parent.py), prove on a pipe that they live, and are
killed with their whole group when they do not.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from django.conf import settings
from django.db import connections
from django.utils import timezone

from oms_project.tasks import queue
from oms_project.tasks.jobs import BEAT
from oms_project.tasks.pulse import Pulse

log = logging.getLogger("yipan.tasks")
_LOOK_SECONDS = 0.2
_START_SECONDS = 25.0  # a child may take this long to say its first word
_STEADY_SECONDS = 30.0  # after this long a child's earlier deaths are forgotten
_LONGEST_REST = 10.0


@dataclass
class Child:
    """One process in a group of its own, with a pipe on which it speaks."""

    name: str
    arguments: list[str]
    stale: float
    on_line: Callable[[str, float], None] | None = None
    inherits: tuple[int, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    pipe: int = -1
    heard_at: float = 0.0
    started_at: float = 0.0
    next_start: float = 0.0
    deaths: int = 0
    spoke: bool = False
    _rest: bytes = field(default=b"", repr=False)

    def start(self, now: float) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        command = [sys.executable, *_manage(), *self.arguments, "--parent", str(os.getpid()), "--voice", str(writing)]
        self.process = subprocess.Popen(
            command, pass_fds=(writing, *self.inherits), start_new_session=True, stdin=subprocess.DEVNULL
        )
        os.close(writing)
        self.pipe, self.heard_at, self.started_at, self.spoke, self._rest = reading, now, now, False, b""

    def listen(self, now: float) -> None:
        """Read what the child said since the last time."""
        try:
            words = os.read(self.pipe, 65536)
        except BlockingIOError:
            return
        if words:
            self.heard_at, self.spoke = now, True
        if self.on_line:
            *lines, self._rest = (self._rest + words).split(b"\n")
            for line in lines:
                self.on_line(line.decode(errors="replace"), now)

    def is_silent(self, now: float) -> bool:
        limit = self.stale if self.spoke else max(self.stale, _START_SECONDS)
        return now - self.heard_at >= limit

    def tell(self, number: int) -> None:
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the whole group, also what is left of it after its leader died, and forget it."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            os.close(self.pipe)
            self.process, self.pipe = None, -1

    def rest(self, now: float) -> None:
        """Wait a little longer after each death in a row."""
        self.deaths = self.deaths + 1 if now - self.started_at < _STEADY_SECONDS else 1
        self.next_start = now + min(_LONGEST_REST, 0.25 * 2 ** (self.deaths - 1))


def _manage() -> Sequence[str]:
    return [str(settings.BASE_DIR / "manage.py")]


class QueueWatch(threading.Thread):
    """Queues the heartbeat and looks whether its row is gone; keeps no database connection.

    When the database cannot be reached nothing is out, so nothing goes stale: killing the
    cluster would not help. What a killed cluster held is freed before the next one starts, so
    that nothing is freed which the next one has already begun.
    """

    def __init__(self, pulse: Pulse, lock: threading.Lock) -> None:
        super().__init__(name="queue-watch", daemon=True)
        self.pulse = pulse
        self._guard = lock
        self.leave = threading.Event()
        self.to_free = threading.Event()

    def run(self) -> None:
        while not self.leave.is_set():
            try:
                self.look()
            except Exception as error:
                log.warning("queue watch: %s", type(error).__name__)
                with self._guard:
                    self.pulse.acknowledged(time.monotonic())
            finally:
                connections.close_all()
            rest_until = time.monotonic() + 1.0
            while time.monotonic() < rest_until and not self.to_free.is_set() and not self.leave.wait(_LOOK_SECONDS):
                pass

    def look(self) -> None:
        if self.to_free.is_set():
            queue.free_all(at=timezone.now())
            self.to_free.clear()
        if (row := self.pulse.row) and queue.still_queued([row]):
            return
        new = queue.put(BEAT)
        with self._guard:
            self.pulse.acknowledged(time.monotonic())
            self.pulse.sent(new, time.monotonic())


class Supervisor:
    """Runs until SIGINT or SIGTERM. Companions are further management commands that keep its manners."""

    def __init__(self, door: socket.socket, *, web: int, work: int, companions: Sequence[str] = ()) -> None:
        number = settings.TASK_WORKERS
        self.guard = threading.Lock()
        self.pulse = Pulse(workers=number, task_seconds=float(settings.TASK_SECONDS))
        self.queue = Child("queue", ["queue"], stale=float("inf"), on_line=self._hear)
        os.set_inheritable(door.fileno(), True)
        fd = door.fileno()
        self.children = [
            *(Child(f"web-{n}", ["web", "--door", str(fd)], stale=30.0, inherits=(fd,)) for n in range(1, web + 1)),
            *(Child(f"work-{n}", ["work"], stale=8.0) for n in range(1, work + 1)),
            *(Child(name, [name], stale=30.0) for name in companions),
            self.queue,
        ]
        self.watch = QueueWatch(self.pulse, self.guard)
        self._leaving = False

    def _hear(self, line: str, now: float) -> None:
        with self.guard:
            self.pulse.heard(line, now)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._leaving = True

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._leave)
        signal.signal(signal.SIGHUP, self._leave)
        self.watch.to_free.set()  # what a killed predecessor had in hand
        self.watch.start()
        while not self._leaving:
            now = time.monotonic()
            for child in self.children:
                self._tend(child, now)
            self._listen(_LOOK_SECONDS)
        self._stop()

    def _tend(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.next_start and not (child is self.queue and self.watch.to_free.is_set()):
                child.start(now)
                if child is self.queue:
                    with self.guard:
                        self.pulse.started(now)
            return
        why = ""
        if child.process.poll() is not None:
            why = f"ended with {child.process.returncode}"
        elif child.is_silent(now):
            why = f"said nothing for {now - child.heard_at:.0f} s"
        elif child is self.queue:
            with self.guard:
                why = "does not acknowledge its heartbeat" if self.pulse.is_stale(now) else ""
        if why:
            log.error("%s %s, starting another", child.name, why)
            child.kill()
            child.rest(now)
            if child is self.queue:
                self.watch.to_free.set()
        elif child.deaths and now - child.started_at > _STEADY_SECONDS:
            child.deaths = 0

    def _listen(self, seconds: float) -> None:
        with selectors.DefaultSelector() as ears:
            for child in self.children:
                if child.process is not None:
                    ears.register(child.pipe, selectors.EVENT_READ, child)
            ready = ears.select(seconds)
        now = time.monotonic()
        for key, _ in ready:
            key.data.listen(now)
        if len(ready):
            time.sleep(0.05)  # a closed pipe is always ready; do not spin on it

    def _stop(self, seconds: float = 8.0) -> None:
        """Ask every child to leave, kill those that do not, and free what they held."""
        ends = time.monotonic() + seconds
        self.watch.leave.set()
        for child in self.children:
            child.tell(signal.SIGTERM)
        while time.monotonic() < ends and any(c.process and c.process.poll() is None for c in self.children):
            self._listen(0.1)
        late = [child.name for child in self.children if child.process and child.process.poll() is None]
        for child in self.children:
            child.kill()
        if late:
            log.warning("killed while stopping: %s", ", ".join(late))
            with contextlib.suppress(Exception):
                queue.free_all(at=timezone.now())
