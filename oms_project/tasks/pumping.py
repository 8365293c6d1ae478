"""The pump loop: whenever the journal's bell rings, and at least once a second, do what is due."""

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import close_old_connections, connections
from django.utils import timezone

from oms_project.journal import actions as journal
from oms_project.journal.bell import bell
from oms_project.tasks.loops import Loop
from oms_project.tasks.ticks import Pump, pumps

log = logging.getLogger("yipan.tasks")


def pump_once(table: Sequence[Pump], *, at: datetime) -> int:
    """Call the relay and every pump once; returns how much work they did. One failing stops no other."""
    done = 0
    for pump in (journal.relay, *table):
        try:
            done += pump(at=at)
        except Exception:
            log.exception("pump %s.%s failed", pump.__module__, pump.__name__)
            connections.close_all()
    return done


class PumpLoop(Loop):
    """Several may run at once, in one process or many: rows are claimed, never shared."""

    limit = 240.0  # a batch of outside deliveries may wait for slow platforms, each with its own timeout

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._seen = -1

    def step(self) -> None:
        self._seen = bell.wait(self._seen, 1.0)
        close_old_connections()
        while not self.leave.is_set() and pump_once(pumps(), at=timezone.now()):
            self.beat()
