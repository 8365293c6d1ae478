"""The journal: a fact exists exactly when its change does, and reaches each subscriber."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction

from oms_project import wiring
from oms_project.events import OrderCompleted, StockArrived
from oms_project.journal import actions as journal
from oms_project.journal import feed
from oms_project.journal.feed import Cursor
from oms_project.journal.models import Delivery, Entry
from oms_project.journal.subscription import PermanentFailure, Subscription, Where

Install = Callable[..., None]


@pytest.fixture
def install() -> Iterator[Install]:
    """Install subscriptions for one test."""
    yield lambda *table: journal.subscribe(table)
    journal.subscribe(wiring.SUBSCRIPTIONS)


def done(number: int = 1) -> OrderCompleted:
    return OrderCompleted(order_id=number, order_no=f"DD{number}")


def test_a_fact_needs_the_transaction_of_its_change(transactional_db: None, at: datetime) -> None:
    with pytest.raises(RuntimeError):
        journal.record(done(), actor="test", at=at)


def test_a_rolled_back_change_leaves_no_fact(transactional_db: None, at: datetime, install: Install) -> None:
    def undone() -> None:
        with transaction.atomic():
            journal.record(done(), actor="test", at=at)
            raise LookupError

    with pytest.raises(LookupError):
        undone()
    assert not Entry.objects.exists()


@pytest.mark.django_db
def test_facts_reach_each_subscriber_once_in_batches(at: datetime, install: Install) -> None:
    heard: list[list[str]] = []

    def on_done(facts, *, at):
        heard.append([fact.payload["order_no"] for fact in facts])

    def on_other(facts, *, at):
        raise AssertionError("not for me")

    install(Subscription(OrderCompleted, on_done), Subscription(StockArrived, on_other))
    journal.record(done(1), done(2), actor="test", at=at)
    journal.record(done(3), actor="test", at=at)
    assert (Entry.objects.count(), Delivery.objects.count()) == (3, 3)
    assert journal.relay(at=at) == 3
    assert journal.relay(at=at) == 0
    assert heard == [["DD1", "DD2", "DD3"]]
    assert not Delivery.objects.exists()


@pytest.mark.django_db
def test_a_poisoned_fact_waits_alone_and_is_parked_in_the_end(at: datetime, install: Install) -> None:
    heard: list[str] = []

    def on_done(facts, *, at):
        for fact in facts:
            if fact.payload["order_no"] == "DD2":
                raise ValueError("poison")
        heard.extend(fact.payload["order_no"] for fact in facts)

    install(Subscription(OrderCompleted, on_done))
    journal.record(done(1), done(2), done(3), actor="test", at=at)
    journal.relay(at=at)
    assert heard == ["DD1", "DD3"]
    poisoned = Delivery.objects.get()
    assert (poisoned.tries, poisoned.last_error, poisoned.due_at) == (1, "ValueError: poison", at + timedelta(seconds=1))

    for _ in range(len(journal.BACK_OFF)):
        at = Delivery.objects.get().due_at
        journal.relay(at=at)
    assert Delivery.objects.get().parked_at == at
    assert journal.relay(at=at + timedelta(days=9)) == 0
    assert journal.retry(delivery_ids=[poisoned.pk], at=at) == 1
    assert Delivery.objects.get().tries == 0


@pytest.mark.django_db
def test_an_outside_subscriber_that_dies_is_called_again_after_its_lease(at: datetime, install: Install) -> None:
    calls: list[datetime] = []

    def on_done(facts, *, at):
        calls.append(at)
        if len(calls) == 1:
            raise KeyboardInterrupt  # killed between the effect and the note of it

    install(Subscription(OrderCompleted, on_done, Where.OUTSIDE))
    journal.record(done(), actor="test", at=at)
    with pytest.raises(KeyboardInterrupt):
        journal.relay(at=at)
    assert journal.relay(at=at + timedelta(seconds=59)) == 0
    assert journal.relay(at=at + timedelta(seconds=60)) == 1
    assert (len(calls), Delivery.objects.count()) == (2, 0)


@pytest.mark.django_db
def test_a_permanent_failure_is_parked_at_once(at: datetime, install: Install) -> None:
    def on_done(facts, *, at):
        raise PermanentFailure("no such member")

    install(Subscription(OrderCompleted, on_done, Where.OUTSIDE))
    journal.record(done(), actor="test", at=at)
    journal.relay(at=at)
    assert Delivery.objects.get().parked_at == at


@pytest.mark.django_db
def test_recording_costs_the_same_for_one_and_for_many(at: datetime, install: Install, django_assert_num_queries) -> None:
    install(Subscription(OrderCompleted, lambda facts, *, at: None))
    statements = 1 if connection.vendor == "postgresql" else 2
    for count in (1, 100):
        with django_assert_num_queries(statements):
            journal.record(*(done(n) for n in range(count)), actor="test", at=at)


@pytest.mark.alone
def test_the_feed_gives_each_room_its_entries_in_order(transactional_db: None, at: datetime, install: Install) -> None:
    install()
    start = feed.latest()
    for node in (1, 2):
        with transaction.atomic():
            journal.record(StockArrived(node_id=node, sku_ids=[1]), done(node), actor="test", at=at)
    entries = feed.read_after(start)
    assert [entry.name for entry in entries] == ["stock.arrived", "order.completed"] * 2
    assert entries[0].recorded_at == at
    assert feed.latest() == entries[-1].cursor
    assert feed.read_after(entries[1].cursor, limit=1) == [entries[2]]
    assert feed.read_after(start, room="dealer:1") == []
    assert len(feed.read_after(start, room="ops")) == 4


@pytest.mark.parametrize("text", ["", "1", "-", "1-", "-1", "a-1", "1-2-3", "１-2", "9" * 41 + "-1"])
def test_nonsense_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="not a feed cursor"):
        Cursor.parse(text)


def test_a_cursor_survives_its_text() -> None:
    assert Cursor.parse(str(Cursor(12, 34))) == Cursor(12, 34)
