"""django-q2's pusher, workers and monitor as threads of this process.

Given a `queue.Queue` and a thread instead of a multiprocessing queue and a fork, the three
functions run unchanged; without processes there is no shared lock that a killed one can keep
(https://github.com/django-q2/django-q2/issues/23). What a process would do by SIGALRM and by
dying is done here by the engine: a worker over its time gets TimeoutException raised inside it,
and a thread that is dead or stuck is replaced and what it had in hand is given back.
"""

import ctypes
import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings
from django.utils import timezone
from django_q.exceptions import TimeoutException
from django_q.monitor import monitor
from django_q.pusher import pusher
from django_q.worker import worker

from oms_project.tasks.loops import Loop
from oms_project.tasks.queue import QueueBroker

log = logging.getLogger("yipan.tasks")
_LOOK_SECONDS = 0.5
TASK_SECONDS = float(settings.TASK_SECONDS)


class Shelf:
    """What the threads of one cluster share: tasks to do, results to store, rows to free."""

    def __init__(self, workers: int) -> None:
        self.tasks: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=workers)
        self.results: queue.Queue[dict[str, Any]] = queue.Queue()
        self.to_free: queue.Queue[int] = queue.Queue()


class _ShelfLoop(Loop):
    def __init__(self, name: str, shelf: Shelf) -> None:
        super().__init__(name)
        self.shelf = shelf

    def take(self, source: "queue.Queue[dict[str, Any]]") -> Any:
        """The next thing, or the word by which django-q2's functions end."""
        while True:
            self.beat()
            try:
                return source.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if self.leave.is_set():
                    return "STOP"


class PusherLoop(_ShelfLoop):
    """From the queue table to the shelf."""

    def __init__(self, name: str, shelf: Shelf) -> None:
        super().__init__(name, shelf)
        self.in_hand: set[int] = set()

    def step(self) -> None:
        pusher(cast(Any, self), self.leave, broker=_Beating(self))

    def put(self, task: dict[str, Any]) -> None:
        while True:
            self.beat()
            try:
                self.shelf.tasks.put(task, timeout=_LOOK_SECONDS)
            except queue.Full:
                if not self.leave.is_set():
                    continue
                self.shelf.to_free.put(task["ack_id"])
            self.in_hand.discard(task["ack_id"])
            return

    def salvage(self) -> None:
        for row_id in list(self.in_hand):
            self.shelf.to_free.put(row_id)


class _Beating(QueueBroker):
    def __init__(self, loop: PusherLoop) -> None:
        super().__init__()
        self._loop = loop

    def dequeue(self) -> list[tuple[int, str]] | None:
        self._loop.beat()
        taken = super().dequeue()
        self._loop.in_hand.update(row_id for row_id, _ in taken or ())
        return taken


class WorkerLoop(_ShelfLoop):
    """From the shelf through the task to its result. Plays the queues and the timer of a worker process."""

    limit = TASK_SECONDS + 15

    def __init__(self, name: str, shelf: Shelf) -> None:
        super().__init__(name, shelf)
        self.value = -1.0  # django-q2's timer; what it says is of no use to a thread
        self.in_hand: dict[str, Any] | None = None
        self._timer_lock = threading.RLock()
        self._told = False

    def step(self) -> None:
        worker(cast(Any, self), cast(Any, self), self, timeout=-1)

    def get(self) -> Any:
        task = self.take(self.shelf.tasks)
        self._told = False
        self.in_hand = task if isinstance(task, dict) else None
        return task

    def put(self, task: dict[str, Any]) -> None:
        self.shelf.results.put(task)
        self.in_hand = None

    @contextmanager
    def get_lock(self) -> Iterator[None]:
        with self._timer_lock:
            yield

    def is_well(self, now: float) -> bool:
        if self.in_hand and not self._told and now - self.beaten_at > TASK_SECONDS:
            self._told = True
            log.error("task %s is over its %.0f seconds", self.in_hand.get("func"), TASK_SECONDS)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident or 0), ctypes.py_object(TimeoutException))
        return super().is_well(now)

    def salvage(self) -> None:
        """The task counts as failed once (five times and it is given up) and is due again at once."""
        if task := self.in_hand:
            failed = {**task, "success": False, "result": "its worker died", "stopped": timezone.now()}
            self.shelf.results.put(failed)
            self.shelf.to_free.put(task["ack_id"])


class MonitorLoop(_ShelfLoop):
    """From the result to the acknowledgement: the row leaves the queue table."""

    limit = 60.0

    def __init__(self, name: str, shelf: Shelf) -> None:
        super().__init__(name, shelf)
        self.in_hand: dict[str, Any] | None = None

    def step(self) -> None:
        try:
            monitor(cast(Any, self), broker=QueueBroker())
        except Exception:
            self._put_back()
            raise

    def get(self) -> Any:
        self.in_hand = None
        result = self.take(self.shelf.results)
        self.in_hand = result if isinstance(result, dict) else None
        return {**result} if isinstance(result, dict) else result

    def salvage(self) -> None:
        self._put_back()

    def _put_back(self) -> None:
        if self.in_hand is not None:
            self.shelf.results.put(self.in_hand)
            self.in_hand = None


def wait_for(loops: list[Loop], seconds: float) -> bool:
    """Tell loops to leave and wait for them; False when some did not make it in time."""
    for loop in loops:
        loop.leave.set()
    ends = time.monotonic() + seconds
    for loop in loops:
        if loop.is_alive():
            loop.join(max(0.0, ends - time.monotonic()))
    return not any(loop.is_alive() for loop in loops)
