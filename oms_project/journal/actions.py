"""Record facts, and carry them to their subscribers.

`record` writes in the caller's transaction: the fact and its deliveries exist exactly when the
change they tell of exists. `relay` is the other half: it hands due deliveries to one subscriber.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

import orjson
from django.db import connection, transaction
from django.db.models import F

from oms_project.events import Event
from oms_project.journal import statements
from oms_project.journal.bell import bell
from oms_project.journal.models import Delivery
from oms_project.journal.subscription import Fact, PermanentFailure, Subscription, Where

log = logging.getLogger("yipan.journal")

LEASE = timedelta(seconds=60)
# After Svix's published schedule (5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h, then a person), with 30 s and 60 s more:
# what a killed process had in hand is free again by then, and people wait for their cards.
BACK_OFF = [timedelta(seconds=s) for s in (1, 5, 30, 60, 300, 1800, 7200, 18000, 36000, 36000)]
_CHUNK = 1000
_subscriptions: dict[str, Subscription] = {}
_pairs: list[tuple[str, str]] = []


def subscribe(table: Iterable[Subscription]) -> None:
    """Install the table of wiring.py; called once when all apps are loaded."""
    _subscriptions.clear()
    _subscriptions.update({subscription.name: subscription for subscription in table})
    _pairs[:] = [(subscription.event.name, name) for name, subscription in _subscriptions.items()]


def record(*events: Event, actor: str, at: datetime) -> None:
    """Write facts and their deliveries in the current transaction, and wake the relay after it.

    Raises RuntimeError outside of a transaction: a fact without its change would be a lie.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("journal.record needs the transaction of the change it tells of")
    rows = [
        (event.name, event.subject, f" {' '.join(event.rooms)} ", actor, orjson.dumps(event.payload()).decode(), at)
        for event in events
    ]
    for start in range(0, len(rows), _CHUNK):
        statements.insert_entries(rows[start : start + _CHUNK], _pairs, at)
    if rows:
        transaction.on_commit(bell.ring, robust=True)


def relay(*, at: datetime) -> int:
    """Hand due deliveries to every subscriber that has some; returns how many were handed on."""
    waiting = Delivery.objects.filter(parked_at=None, due_at__lte=at).values_list("subscriber", flat=True).distinct()
    names = [name for name in _subscriptions if name in set(waiting)]
    return sum(relay_to(_subscriptions[name], at=at) for name in names)


def relay_to(subscription: Subscription, *, at: datetime) -> int:
    """Hand one batch to one subscriber; returns the number of deliveries taken on."""
    if subscription.where is Where.OUTSIDE:
        return _relay_outside(subscription, at)
    try:
        with transaction.atomic():
            facts = statements.take_due(subscription.name, at, subscription.batch)
            if facts:
                subscription.call(facts, at=at)
            return len(facts)
    except Exception:
        log.exception("batch for %s failed, going one at a time", subscription.name)
    due = Delivery.objects.filter(subscriber=subscription.name, parked_at=None, due_at__lte=at).order_by("due_at", "id")
    ids = list(due.values_list("id", flat=True)[: subscription.batch])
    for delivery_id in ids:
        _relay_one(subscription, delivery_id, at)
    return len(ids)


def _relay_one(subscription: Subscription, delivery_id: int, at: datetime) -> None:
    try:
        with transaction.atomic():
            if facts := statements.take_due(subscription.name, at, 1, only=delivery_id):
                subscription.call(facts, at=at)
    except Exception as error:
        log.exception("%s refused delivery %s", subscription.name, delivery_id)
        Delivery.objects.filter(id=delivery_id).update(tries=F("tries") + 1)
        _put_back(delivery_id, error, at)


def _relay_outside(subscription: Subscription, at: datetime) -> int:
    facts = statements.lease_due(subscription.name, at, at + LEASE, min(subscription.batch, 20))
    for fact in facts:
        try:
            subscription.call([fact], at=at)
        except Exception as error:
            log.warning("%s failed for entry %s: %s", subscription.name, fact.id, type(error).__name__)
            _put_back(fact.delivery_id, error, at)
        else:
            Delivery.objects.filter(id=fact.delivery_id).delete()
    return len(facts)


def _put_back(delivery_id: int, error: Exception, at: datetime) -> None:
    """Make a failed delivery due again later, or park it when it will not get better."""
    waiting = Delivery.objects.filter(id=delivery_id)
    tries = waiting.values_list("tries", flat=True).first()
    if tries is None:
        return
    hopeless = isinstance(error, PermanentFailure) or tries > len(BACK_OFF)
    waiting.update(
        last_error=f"{type(error).__name__}: {error}"[:300],
        due_at=at + BACK_OFF[min(tries, len(BACK_OFF)) - 1],
        parked_at=at if hopeless else None,
    )


def retry(*, delivery_ids: Iterable[int], at: datetime) -> int:
    """Give dead letters another life from the beginning; returns how many."""
    count = Delivery.objects.filter(id__in=list(delivery_ids)).update(parked_at=None, tries=0, due_at=at)
    bell.ring()
    return count


__all__ = ["Fact", "record", "relay", "relay_to", "retry", "subscribe"]
