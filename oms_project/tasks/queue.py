"""The door to django-q2: put a task, free what a dead worker held, park what cannot be read.

Only this package imports django_q. Arguments are ids and strings and every task may run twice:
the queue is at-least-once (https://django-q2.readthedocs.io/en/master/brokers.html).
"""

import logging
import time
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

log = logging.getLogger("yipan.tasks")
logging.getLogger("django-q").setLevel(logging.WARNING)

PARKED_FOR = timedelta(days=30)


class QueueBroker(ORM):
    """The ORM broker, which outlives a database outage and is not stopped by a poisoned row.

    As shipped, one payload that cannot be unpickled kills the pusher for ever, and one that was
    signed with an older key is deleted; here both are put aside for PARKED_FOR and logged.
    """

    last_id = 0

    def enqueue(self, task: str) -> int:
        self.last_id = super().enqueue(task)
        return self.last_id

    def dequeue(self) -> list[tuple[int, str]] | None:
        try:
            taken = super().dequeue() or []
            return [(row_id, payload) for row_id, payload in taken if self._is_readable(row_id, payload)]
        except DatabaseError as error:
            log.warning("task queue lost its database: %s", type(error).__name__)
            connections.close_all()
            time.sleep(1)
            return None

    def _is_readable(self, row_id: int, payload: str) -> bool:
        try:
            SignedPackage.loads(payload)
        except Exception as error:
            log.error("task row %s cannot be read and is parked: %s", row_id, type(error).__name__)
            OrmQ.objects.filter(id=row_id).update(lock=timezone.now() + PARKED_FOR)
            return False
        return True


def put(func: str, *args: str) -> int:
    """Queue `func` (dotted path) in the current transaction; returns the id of the queue row.

    Raises TypeError for an argument that is not a string: objects go stale while they wait.
    """
    if not all(isinstance(arg, str) for arg in args):
        raise TypeError("task arguments are strings only")
    broker = QueueBroker()
    async_task(func, *args, broker=broker)
    return broker.last_id


def still_queued(row_ids: Collection[int]) -> set[int]:
    """Those of the queue rows that nobody has finished and acknowledged yet."""
    return set(OrmQ.objects.filter(id__in=row_ids).values_list("id", flat=True)) if row_ids else set()


def free(row_ids: Collection[int], *, due_at: datetime) -> int:
    """Make rows that a dead worker held due again at `due_at`."""
    return OrmQ.objects.filter(id__in=row_ids).update(lock=due_at) if row_ids else 0


def free_all(*, at: datetime) -> int:
    """Make every row due that a killed cluster held; parked rows stay parked."""
    return OrmQ.objects.filter(lock__gt=at, lock__lte=at + timedelta(seconds=settings.Q_CLUSTER["retry"] + 60)).update(lock=at)
