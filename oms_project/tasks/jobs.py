"""The functions that the queue calls by name. Each may run twice."""

import logging
from datetime import datetime, timedelta

from django.utils import timezone
from django_q.models import OrmQ, Task

from oms_project.tasks.ticks import ticks

log = logging.getLogger("yipan.tasks")

RUN_TICK = "oms_project.tasks.jobs.run_tick"
BEAT = "oms_project.tasks.jobs.beat"
KEEP_FAILURES = timedelta(days=30)


def run_tick(name: str) -> None:
    """Call one tick of the table now. Its failure is logged and not retried: the next second will."""
    found = [tick for tick in ticks() if tick.name == name]
    if not found:
        log.warning("tick %s is not in the table any more", name)
    for tick in found:
        try:
            tick.call(at=timezone.now())
        except Exception:
            log.exception("tick %s failed", name)


def beat() -> None:
    """Prove that the cluster executes; that the row disappears afterwards proves the rest."""


def purge(*, at: datetime) -> int:
    """Delete results and parked rows nobody looked at for KEEP_FAILURES; returns how many."""
    results, _ = Task.objects.filter(stopped__lt=at - KEEP_FAILURES).delete()
    parked, _ = OrmQ.objects.filter(lock__gt=at + timedelta(hours=1), lock__lt=at + timedelta(days=1)).delete()
    return results + parked
