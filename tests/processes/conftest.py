"""One PostgreSQL for all process tests, started only when the first of them asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.processes.world import World, world


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    with world(tmp_path, url) as made:
        yield made


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made
