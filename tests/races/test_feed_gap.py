"""Ids commit out of order on PostgreSQL: a tail by id alone loses entries, the feed's tail loses none."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from django.db import connection, transaction

from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal import feed
from oms_project.journal.feed import Cursor
from oms_project.journal.models import Entry

pytestmark = [
    pytest.mark.alone,
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif(
        connection.vendor != "postgresql",
        reason="DID NOT RUN: the gap of the feed needs PostgreSQL (DATABASE_URL=postgres://…); SQLite has one writer at a time",
    ),
]
WRITERS, EACH = 8, 30


def _write(name: str, at: datetime, before_commit: Callable[[], object]) -> None:
    with transaction.atomic():
        journal.record(events.StatementReady(statement_no=name, dealer_id=None, closing_fen=0), actor="t", at=at)
        before_commit()


def _naive(after: int) -> list[int]:
    return list(Entry.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True))


def test_an_entry_that_commits_late_is_behind_the_naive_tail_and_not_behind_ours(at: datetime) -> None:
    written, may_commit = threading.Event(), threading.Event()

    def slowly() -> None:
        _write("late", at, lambda: (written.set(), may_commit.wait(10)))
        connection.close()

    slow = threading.Thread(target=slowly)
    slow.start()
    assert written.wait(10)
    _write("early", at, lambda: None)
    naive = _naive(0)
    ours = feed.read_after(Cursor(0, 0))
    assert feed.latest() == Cursor(0, 0)
    may_commit.set()
    slow.join()
    ours += feed.read_after(ours[-1].cursor if ours else Cursor(0, 0))
    naive += _naive(naive[-1])
    assert (len(naive), Entry.objects.count()) == (1, 2)
    assert [entry.payload["statement_no"] for entry in ours] == ["late", "early"]


def test_eight_writers_with_late_commits(at: datetime) -> None:
    done = threading.Event()

    def writer(number: int) -> None:
        luck = random.Random(number)
        for turn in range(EACH):
            _write(f"{number}-{turn}", at, lambda: time.sleep(luck.choice([0, 0.001, 0.004, 0.012])))
        connection.close()

    def tail_naively() -> list[int]:
        seen: list[int] = []
        while True:
            last = done.is_set()
            seen += _naive(seen[-1] if seen else 0)
            if last:
                connection.close()
                return seen

    def tail_ours() -> list[Cursor]:
        seen: list[Cursor] = []
        while True:
            last = done.is_set()
            page = feed.read_after(seen[-1] if seen else Cursor(0, 0))
            seen += [entry.cursor for entry in page]
            if last and not page:
                connection.close()
                return seen

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        naive, ours = pool.submit(tail_naively), pool.submit(tail_ours)
        for write in [pool.submit(writer, number) for number in range(WRITERS)]:
            write.result()
        done.set()
        naive_ids, cursors = naive.result(), ours.result()
    table = list(Entry.objects.order_by("xid", "id").values_list("xid", "id"))
    assert len(table) == WRITERS * EACH
    assert len(naive_ids) < len(table), "the race did not show itself"
    assert cursors == [Cursor(*row) for row in table]
