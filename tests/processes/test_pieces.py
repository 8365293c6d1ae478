"""The parts of oms_project.tasks one by one, without processes."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.test import RequestFactory, override_settings
from django.utils import timezone
from django_q.models import OrmQ, Task

from oms_project import checks, wiring
from oms_project.tasks import health, jobs, preflight, queue, web
from oms_project.tasks.engine import Engine, Post
from oms_project.tasks.loops import Loop
from oms_project.tasks.pulse import Pulse
from oms_project.tasks.pumping import pump_once
from oms_project.tasks.scheduler import SchedulerLoop, make_lease
from oms_project.tasks.ticks import Tick
from tests import suites
from tests.conftest import NOON

calls: list[object] = []


def sweep(*, at: object) -> None:
    calls.append(at)


def stumble(*, at: object) -> int:
    calls.append("stumbled")
    raise ValueError("no")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    calls.clear()
    monkeypatch.setattr(wiring, "TICKS", [Tick(sweep, 5), Tick(stumble, 60)], raising=False)
    yield
    calls.clear()


@pytest.fixture
def scheduler() -> SchedulerLoop:
    return SchedulerLoop("scheduler", SimpleNamespace(is_held=lambda: True, drop=lambda: None))


SWEEP, STUMBLE = f"{__name__}.sweep", f"{__name__}.stumble"


class TestTicks:
    pytestmark = pytest.mark.django_db

    def test_each_is_queued_when_due_and_never_twice(self, table: None, scheduler: SchedulerLoop) -> None:
        assert scheduler.look(100.0, queue.put) == [SWEEP, STUMBLE]
        assert scheduler.look(101.0, queue.put) == []
        assert scheduler.look(106.0, queue.put) == []  # due, but still queued
        OrmQ.objects.all().delete()
        assert scheduler.look(107.0, queue.put) == [SWEEP]
        assert OrmQ.objects.count() == 1

    def test_one_lost_with_its_worker_is_queued_again(self, table: None, scheduler: SchedulerLoop) -> None:
        scheduler.look(100.0, queue.put)
        assert scheduler.look(129.0, queue.put) == []
        assert scheduler.look(130.0, queue.put) == [SWEEP]

    def test_a_tick_is_called_by_name_and_its_failure_is_not_the_queues(self, table: None) -> None:
        jobs.run_tick(SWEEP)
        jobs.run_tick(STUMBLE)
        jobs.run_tick("gone.from.the.table")
        assert len(calls) == 2
        assert calls[1] == "stumbled"


def test_one_failing_pump_stops_no_other(db: None) -> None:
    assert pump_once([stumble, lambda *, at: 2, lambda *, at: 1], at=NOON) == 3


class TestQueue:
    pytestmark = pytest.mark.django_db

    def test_only_strings_are_taken(self) -> None:
        with pytest.raises(TypeError):
            queue.put(jobs.BEAT, 1)  # type: ignore[arg-type]
        assert OrmQ.objects.count() == 0

    def test_a_row_is_queued_until_it_is_acknowledged(self) -> None:
        row = queue.put(jobs.BEAT)
        broker = queue.QueueBroker()
        assert [row_id for row_id, _ in broker.dequeue() or []] == [row]
        assert broker.dequeue() == []
        assert queue.still_queued([row]) == {row}
        broker.acknowledge(row)
        assert queue.still_queued([row]) == set()

    @pytest.mark.parametrize("payload", ["nonsense", "gAR9:1abc:forged"])
    def test_what_cannot_be_read_is_parked_and_stops_nobody(self, payload: str) -> None:
        key = queue.QueueBroker().list_key
        bad = OrmQ.objects.create(key=key, payload=payload, lock=timezone.now() - timedelta(seconds=9))
        good = queue.put(jobs.BEAT)
        broker = queue.QueueBroker()
        taken = [row_id for _ in range(2) for row_id, _ in broker.dequeue() or []]
        assert taken == [good]
        bad.refresh_from_db()
        assert bad.lock > timezone.now() + timedelta(days=29)
        assert queue.free_all(at=timezone.now()) == 1
        bad.refresh_from_db()
        assert bad.lock > timezone.now() + timedelta(days=29)

    def test_old_failures_are_purged(self) -> None:
        for days in (31, 29):
            Task.objects.create(
                id=f"t{days}",
                name="x",
                func="f",
                started=NOON,
                stopped=NOON - timedelta(days=days),
                success=False,
                attempt_count=5,
            )
        assert jobs.purge(at=NOON) == 1
        assert list(Task.objects.values_list("id", flat=True)) == ["t29"]


class TestPulse:
    """Seconds of one clock; two workers, stale after 8."""

    def pulse(self) -> Pulse:
        pulse = Pulse(workers=2)
        pulse.started(0.0)
        pulse.sent(7, 1.0)
        return pulse

    def test_nothing_out_is_never_stale(self) -> None:
        assert not Pulse(workers=2).is_stale(1e9)

    def test_a_new_cluster_has_its_grace_then_eight_seconds(self) -> None:
        assert [self.pulse().is_stale(t) for t in (11.9, 12.0)] == [False, True]

    def test_execution_without_acknowledgement_is_stale_whatever_else_moves(self) -> None:
        pulse = self.pulse()
        pulse.heard("S 11 beat", 2.0)
        pulse.heard("E 11 beat", 2.0)
        for second in range(3, 10):
            pulse.heard("S 12", second)
            pulse.heard("E 12", second)
        assert [pulse.is_stale(t) for t in (9.9, 10.0)] == [False, True]

    def test_all_busy_is_an_excuse_until_the_time_limit_of_a_task(self) -> None:
        pulse = self.pulse()
        pulse.heard("S 11", 2.0)
        pulse.heard("S 12", 2.0)
        stale = [second for second in range(3, 100) if pulse.is_stale(second)]
        assert stale[0] == 74  # 2 + 60 + 5: the last moment of the excuse is 66, and eight more

    def test_one_busy_worker_is_none(self) -> None:
        pulse = self.pulse()
        pulse.heard("S 11", 5.0)
        assert [pulse.is_stale(t) for t in (12.9, 13.0)] == [False, True]

    def test_acknowledged_is_well(self) -> None:
        pulse = self.pulse()
        pulse.acknowledged(2.0)
        assert not pulse.is_stale(100.0)

    @pytest.mark.parametrize("line", ["", "S", "S x", "nonsense"])
    def test_a_torn_line_says_nothing(self, line: str) -> None:
        pulse = self.pulse()
        pulse.heard(line, 11.0)
        assert pulse.is_stale(12.0)


class Restless(Loop):
    """Steps as its `deed` says."""

    limit = 5.0

    def __init__(self, name: str, deed: Callable[[], None]) -> None:
        super().__init__(name)
        self.deed, self.steps, self.salvaged = deed, threading.Semaphore(0), 0

    def step(self) -> None:
        self.steps.release()
        self.deed()

    def salvage(self) -> None:
        self.salvaged += 1


class TestLoops:
    def engine(self, make: Callable[[], Restless], monkeypatch: pytest.MonkeyPatch) -> tuple[Engine, Post]:
        monkeypatch.setattr("oms_project.tasks.loops.connections", SimpleNamespace(close_all=lambda: None))
        engine = Engine(pump_loops=0, with_queue=False)
        post = Post(make)
        engine.posts = {"it": post}
        post.man()
        return engine, post

    def test_an_exception_does_not_end_a_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("oms_project.tasks.loops.REST_SECONDS", 0.001)
        _, post = self.engine(lambda: Restless("it", lambda: 1 // 0), monkeypatch)
        loop: Any = post.loop
        assert all(loop.steps.acquire(timeout=5) for _ in range(3))
        loop.leave.set()
        loop.join(5)
        assert not loop.is_alive()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_dead_loop_is_replaced_and_gives_back_what_it_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def end() -> None:
            raise SystemExit

        engine, post = self.engine(lambda: Restless("it", end), monkeypatch)
        first: Any = post.loop
        first.join(5)
        assert engine.unwell() == ["it"]
        engine._look()
        post.loop.join(5)
        assert post.loop is not first
        assert first.salvaged == 1

    def test_a_stuck_loop_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gate = threading.Event()
        engine, post = self.engine(lambda: Restless("it", lambda: gate.wait(5) and None), monkeypatch)
        first: Any = post.loop
        assert first.steps.acquire(timeout=5)
        first.beaten_at -= 6
        engine._look()
        assert (post.loop is first, first.leave.is_set(), first.salvaged) == (False, True, 1)
        post.loop.leave.set()
        gate.set()
        first.join(5)
        post.loop.join(5)
        assert not first.is_alive()


@pytest.mark.django_db(transaction=True)
def test_only_one_holds_the_lease(tmp_path: Any) -> None:
    with override_settings(VAR_DIR=tmp_path):
        first, second = make_lease(), make_lease()
        assert [first.is_held(), second.is_held(), first.is_held()] == [True, False, True]
        first.drop()
        assert second.is_held()
        second.drop()


class TestHealth:
    pytestmark = pytest.mark.django_db

    def test_all_is_well(self) -> None:
        health.watch(list)
        answer = health.healthz(RequestFactory().get("/healthz"))
        assert answer.status_code == 200
        assert json.loads(answer.content) == {"database": "ok", "bell": "off", "unwell": []}

    def test_a_dead_thread_is_named(self) -> None:
        health.watch(lambda: ["pump-1"])
        answer = health.healthz(RequestFactory().get("/healthz"))
        health.watch(list)
        assert (answer.status_code, json.loads(answer.content)["unwell"]) == (503, ["pump-1"])


def test_a_lost_database_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise connection.Database.OperationalError("secret address")

    monkeypatch.setattr(health.connection, "cursor", lost)
    monkeypatch.setattr(health, "DatabaseError", connection.Database.Error)
    answer = health.healthz(RequestFactory().get("/healthz"))
    assert answer.status_code == 503
    assert json.loads(answer.content)["database"] == "OperationalError"
    assert b"secret" not in answer.content


async def _teapot(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.mark.asyncio
async def test_an_application_is_asked_without_a_network() -> None:
    assert await web.ask(_teapot, "/healthz") == 418


def test_the_port_is_refused_in_one_line() -> None:
    with preflight.listen("127.0.0.1", 0) as door, pytest.raises(CommandError) as refused:
        preflight.listen("127.0.0.1", door.getsockname()[1])
    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)


class TestChecks:
    def found(self, **settings: Any) -> list[str]:
        with override_settings(**settings):
            return [message.id or "" for message in checks.production_is_meant(None)]

    def test_a_laptop_is_left_alone(self) -> None:
        assert self.found(PRODUCTION=False, DEMO=True) == []

    def test_production_is_warned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in checks.SECRETS:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(f"{name}_FILE", raising=False)
        found = self.found(PRODUCTION=True, EMBEDDED=True, DEMO=True, DEBUG=False, ALLOWED_HOSTS=["*"])
        assert found == ["yipan.W001", "yipan.W002", "yipan.W002", "yipan.E001", "yipan.E002"]

    def test_production_done_well_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in checks.SECRETS:
            monkeypatch.setenv(f"{name}_FILE", "/run/secrets/it")
        good = {"EMBEDDED": False, "DEMO": False, "DEBUG": False, "ALLOWED_HOSTS": ["yipan.example"], "REDIS_URL": "redis://r"}
        assert self.found(PRODUCTION=True, **good) == []


class TestSuites:
    def test_what_did_not_run_is_told_loudly(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert suites.report({"SQLite": True}, ["PostgreSQL: gone"], strict=False) == 0
        assert "DID NOT RUN  PostgreSQL: gone" in capsys.readouterr().out

    def test_and_is_an_error_when_all_is_required(self) -> None:
        assert suites.report({"SQLite": True}, ["PostgreSQL: gone"], strict=True) == 1

    def test_a_failed_run_is_an_error(self) -> None:
        assert suites.report({"SQLite": True, "PostgreSQL": False}, [], strict=True) == 1
