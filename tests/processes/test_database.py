"""PostgreSQL is killed and comes back: nobody has to be started again, nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.processes.world import until, world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[servers.OwnPostgres]:
    made = servers.OwnPostgres()
    yield made
    made.remove()


@pytest.mark.parametrize("mode", ["--embedded", "--split"])
def test_a_killed_postgres_costs_time_and_nothing_else(server: servers.OwnPostgres, tmp_path: Path, mode: str) -> None:
    with world(tmp_path, server.url) as here:
        here.start(mode)
        here.put(("mark", "before"))
        until(lambda: "before" in here.marks(), 20, "it works")
        children = {process.pid for process in here.family()}
        server.kill()
        until(lambda: "task queue lost its database" in here.log(), 15, "the loss is noticed")
        server.start_again()
        here.put(("mark", "after"))
        until(lambda: "after" in here.marks(), 15, "it works again")
        until(here.answers, 15, "the web answers")
        assert {process.pid for process in here.family()} == children
        assert here.stop() == 0
