"""A thread that keeps working: survives its exceptions, beats its heart, and can be replaced."""

import logging
import threading
import time

from django.db import connections

log = logging.getLogger("yipan.tasks")
REST_SECONDS = 1.0


class Loop(threading.Thread):
    """Runs `step` again and again until told to leave.

    An exception is logged, the thread's database connections are closed, and it goes on.
    SystemExit and its like end the thread; the engine then starts another one. `limit` is how
    many seconds may pass without a beat before the engine calls it stuck.
    """

    limit = 30.0

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.leave = threading.Event()
        self.beaten_at = time.monotonic()

    def beat(self) -> None:
        self.beaten_at = time.monotonic()

    def is_well(self, now: float) -> bool:
        return self.is_alive() and now - self.beaten_at < self.limit

    def step(self) -> None:
        raise NotImplementedError

    def salvage(self) -> None:
        """Give back what a dead or stuck thread had in hand; called once, by the engine."""

    def run(self) -> None:
        try:
            while not self.leave.is_set():
                self.beat()
                try:
                    self.step()
                except Exception:
                    log.exception("%s stumbled", self.name)
                    connections.close_all()
                    self.leave.wait(REST_SECONDS)
        finally:
            connections.close_all()
