"""The threads that make a process work: pump loops, scheduler, django-q2's parts, and their watch."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from oms_project.journal.bell import bell
from oms_project.tasks import queue as task_queue
from oms_project.tasks.loops import Loop
from oms_project.tasks.pumping import PumpLoop
from oms_project.tasks.scheduler import SchedulerLoop
from oms_project.tasks.threads import MonitorLoop, PusherLoop, Shelf, WorkerLoop, wait_for

log = logging.getLogger("yipan.tasks")
_LOOK_SECONDS = 0.5
_HOPELESS_AFTER = 3  # stuck threads that were left behind in one process


@dataclass
class Post:
    """A place that must be manned: the thread that holds it now, and how to make its successor."""

    make: Callable[[], Loop]
    loop: Loop = field(init=False)

    def man(self) -> None:
        self.loop = self.make()
        self.loop.start()


class Engine:
    """Starts its threads, replaces the dead and the stuck within a second or two, and stops in order."""

    def __init__(self, *, pump_loops: int = 2, with_queue: bool = True, on_beat: Callable[[], None] | None = None) -> None:
        workers = settings.TASK_WORKERS
        self.shelf = Shelf(workers)
        self.posts: dict[str, Post] = {}
        self._on_beat = on_beat
        self._with_queue = with_queue
        self._left_behind = 0
        self._stopping = threading.Event()
        for number in range(1, pump_loops + 1):
            self._post(PumpLoop, f"pump-{number}")
        if with_queue:
            self._post(PusherLoop, "pusher", self.shelf)
            self._post(MonitorLoop, "monitor", self.shelf)
            for number in range(1, workers + 1):
                self._post(WorkerLoop, f"worker-{number}", self.shelf)
        self._post(SchedulerLoop, "scheduler")
        self._watch = threading.Thread(target=self._keep_watch, name="watch", daemon=True)

    def _post(self, kind: Callable[..., Loop], name: str, *args: Any) -> None:
        self.posts[name] = Post(lambda: kind(name, *args))

    def start(self) -> None:
        """Also frees what a killed predecessor had in hand; a task another process runs may then run twice."""
        if self._with_queue:
            task_queue.free_all(at=timezone.now())
            connections.close_all()
        bell.start()
        for post in self.posts.values():
            post.man()
        self._watch.start()

    def unwell(self) -> list[str]:
        """The posts that nobody holds properly at this moment."""
        now = time.monotonic()
        return [name for name, post in self.posts.items() if not post.loop.is_well(now)]

    def _keep_watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self._look()
            except BaseException:
                log.exception("the watch stumbled")
        connections.close_all()

    def _look(self) -> None:
        for name in self.unwell():
            post = self.posts[name]
            old, stuck = post.loop, post.loop.is_alive()
            log.error("%s is %s, starting another", name, "stuck" if stuck else "dead")
            old.leave.set()
            self._left_behind += stuck
            post.man()
            old.salvage()
        self._free()
        if self._on_beat and self._left_behind <= _HOPELESS_AFTER:
            self._on_beat()

    def _free(self) -> None:
        row_ids = _drain(self.shelf.to_free)
        if row_ids:
            try:
                task_queue.free(row_ids, due_at=timezone.now())
            except Exception:
                for row_id in row_ids:
                    self.shelf.to_free.put(row_id)
                raise
            finally:
                connections.close_all()

    def stop(self, seconds: float = 7.0) -> bool:
        """Finish what is in hand, free what is not; False when a thread did not end in time."""
        ends = time.monotonic() + seconds
        self._stopping.set()
        self._watch.join(2)
        done = self._dismiss(("scheduler", "pump-", "pusher"), ends)
        done = self._dismiss(("worker-",), ends - 1) and done
        done = self._dismiss(("monitor",), ends) and done
        for task in _drain(self.shelf.tasks):
            self.shelf.to_free.put(task["ack_id"])
        for post in self.posts.values():
            if post.loop.is_alive():
                post.loop.salvage()
        self._free()
        bell.stop()
        return done

    def _dismiss(self, names: tuple[str, ...], ends: float) -> bool:
        loops = [post.loop for name, post in self.posts.items() if name.startswith(names)]
        return wait_for(loops, max(0.1, ends - time.monotonic()))


def _drain(source: "queue.Queue[Any]") -> list[Any]:
    found = []
    try:
        while True:
            found.append(source.get_nowait())
    except queue.Empty:
        return found
