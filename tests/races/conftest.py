"""What race tests need: a database that several connections share, and threads that start together."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection, connections


@pytest.fixture
def postgres_only() -> None:
    """Skips aloud where the suite's database is not PostgreSQL."""
    if connection.vendor != "postgresql":
        pytest.skip("this race needs PostgreSQL: run the suite with DATABASE_URL=postgres://…")


@pytest.fixture
def sqlite_only() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("this race is about SQLite files: run the suite without DATABASE_URL")


@pytest.fixture
def sqlite_file(sqlite_only: None, transactional_db: None, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Call it to copy the suite's in-memory database to a real file that new threads then open.

    The settings of the file's connections are the project's own (IMMEDIATE, WAL, 20 s).
    """
    path = tmp_path / "race.sqlite3"
    settings = connections.settings["default"]
    memory = settings["NAME"]

    def copy() -> Path:
        connection.ensure_connection()
        with sqlite3.connect(path) as file:
            connection.connection.backup(file)
            file.execute("PRAGMA journal_mode=WAL")  # changing the mode does not wait, so not by racing threads
        file.close()
        settings["NAME"] = str(path)
        return path

    yield copy
    settings["NAME"] = memory


@pytest.fixture
def together() -> Callable[[int, Callable[[int], Any]], list[Any]]:
    """Run work(0..n-1) in n threads that start at the same moment, each on its own connection."""

    def run(count: int, work: Callable[[int], Any]) -> list[Any]:
        barrier, results, errors = Barrier(count), [None] * count, []

        def body(number: int) -> None:
            try:
                connection.ensure_connection()
                barrier.wait(20)
                results[number] = work(number)
            except BaseException as error:
                errors.append(error)
            finally:
                connections.close_all()

        threads = [Thread(target=body, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    return run
