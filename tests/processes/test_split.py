"""Several processes: each may be killed with -9 and heals; none outlives the supervisor."""

import os
import signal
import time

import psutil
import pytest

from tests.processes.world import World, until

pytestmark = pytest.mark.slow
IN_HAND = 4  # a heartbeat, and ticks that fell due this second
VICTIMS = ("idle workers", "monitor", "pusher", "sentinel", "main")


def cluster(here: World) -> dict[str, list[psutil.Process]]:
    """The processes of the queue by their part. The sentinel forks two workers, then monitor, then pusher."""
    main = here.child("queue")
    sentinel = main.children()[0]
    parts = sorted(sentinel.children(), key=lambda process: process.pid)
    return {"main": [main], "sentinel": [sentinel], "idle workers": parts[:2], "monitor": [parts[2]], "pusher": [parts[3]]}


def is_whole(here: World) -> bool:
    try:
        return len(here.child("queue").children()[0].children()) == 4
    except (AssertionError, IndexError, psutil.NoSuchProcess):
        return False


def unacknowledged(here: World) -> int:
    return int(here.python("from django_q.models import OrmQ; print(OrmQ.objects.count())"))


def test_every_part_of_the_queue_may_be_killed(here: World) -> None:
    here.start("--split")
    for number, victim in enumerate(VICTIMS):
        until(lambda: is_whole(here), 30, "the queue is whole")
        here.put(("mark", f"warm-{number}"))
        until(lambda number=number: f"warm-{number}" in here.marks(), 20, "the queue works")
        for process in cluster(here)[victim]:  # one of the idle workers holds the lock that the dead never free
            process.kill()
        killed_at = time.monotonic()
        here.put(*[("mark", f"{number}-{n}") for n in range(5)])
        wanted = {f"{number}-{n}" for n in range(5)}
        until(lambda wanted=wanted: wanted <= set(here.marks()), 15, f"done after the death of the {victim}")
        until(lambda: unacknowledged(here) <= IN_HAND, 15, f"all but the latest acknowledged after the death of the {victim}")
        assert time.monotonic() - killed_at < 17, victim  # asking costs a second or two
    family = here.family()
    assert here.stop(signal.SIGTERM, seconds=10) == 0
    assert psutil.wait_procs(family, 2)[1] == []


def test_a_worker_killed_in_its_task_loses_nothing(on_sqlite: World) -> None:
    on_sqlite.start("--split")
    on_sqlite.put(("kill_worker", "survived"), *[("mark", f"beside-{n}") for n in range(5)])
    until(lambda: len([m for m in on_sqlite.marks() if m.startswith("beside")]) >= 5, 20, "others are done")


def test_nothing_outlives_a_killed_supervisor(here: World) -> None:
    here.start("--split", "--web", "2", "--work", "2")
    until(lambda: is_whole(here), 30, "the queue is whole")
    family = here.family()
    assert len(family) >= 2 + 2 + 6
    os.kill(here.pid, signal.SIGKILL)
    here.process.wait()
    assert psutil.wait_procs(family, 5)[1] == []
    here.put(("mark", "after"))
    here.start("--split")
    until(lambda: "after" in here.marks(), 20, "a new start takes over")


@pytest.mark.parametrize("command", ["web", "work"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_web_and_work_are_started_again(on_sqlite: World, command: str, number: int) -> None:
    patience = 40 if command == "web" and number == signal.SIGSTOP else 15  # a web process may be busy for 30 s
    on_sqlite.start("--split")
    old = on_sqlite.child(command)
    until(lambda: time.time() - old.create_time() > 6, 20, "it has spoken")
    old.send_signal(number)
    until(lambda: old.pid not in [p.pid for p in on_sqlite.family()], patience, "the old one is gone")
    until(lambda: [p for p in on_sqlite.family() if command in p.cmdline()], 15, "another was started")
    until(on_sqlite.answers, 15, "the web answers again")
    assert on_sqlite.stop(signal.SIGINT, seconds=10) == 0


def test_long_tasks_are_not_mistaken_for_a_wedge(on_sqlite: World) -> None:
    on_sqlite.start("--split")
    on_sqlite.put(("linger", "long-1", "12"), ("linger", "long-2", "12"))
    until(lambda: {"long-1", "long-2"} <= set(on_sqlite.marks()), 40, "both long tasks end")
    assert [on_sqlite.marks().count(f"long-{n}-began") for n in (1, 2)] == [1, 1]


def test_what_was_in_hand_when_all_was_killed_is_done_after_the_next_start(here: World) -> None:
    here.start("--split")
    here.put(("linger", "long", "4"))
    until(lambda: "long-began" in here.marks(), 20, "the long task began")
    here.process.kill()
    here.process.wait()
    here.start("--split")
    until(lambda: "long" in here.marks(), 20, "done by the next process")
    assert here.marks().count("long-began") == 2
