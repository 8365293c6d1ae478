"""A wrong configuration is refused at the start with one clear line and exit code 2."""

import socket

import pytest

from tests.processes.world import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "nonsense", "DATABASE_URL: only sqlite:// and postgres:// are supported"),
        ("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/x", "DATABASE_URL: cannot reach the database"),
        ("DATABASE_URL", "sqlite:////nowhere/at/all.sqlite3", "DATABASE_URL: cannot reach the database"),
        ("REDIS_URL", "http://127.0.0.1", "REDIS_URL: must start with"),
        ("REDIS_URL", "redis://127.0.0.1:1", "REDIS_URL: cannot reach the server"),
    ],
)
def test_a_wrong_address_is_one_line(on_sqlite: World, name: str, value: str, said: str) -> None:
    on_sqlite.environment[name] = value
    done = on_sqlite.manage("serve", "--port", str(on_sqlite.port), seconds=15)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "secret" not in done.stderr


def test_a_taken_port_is_one_line(on_sqlite: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", on_sqlite.port))
        taken.listen()
        done = on_sqlite.manage("serve", "--port", str(on_sqlite.port), seconds=15)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"cannot listen on 127.0.0.1 port {on_sqlite.port}" in done.stderr


def test_a_database_without_its_tables_is_one_line(on_sqlite: World) -> None:
    on_sqlite.environment["DATABASE_URL"] = f"sqlite:///{on_sqlite.folder}/empty.sqlite3"
    done = on_sqlite.manage("serve", "--port", str(on_sqlite.port), seconds=15)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "run: python manage.py migrate" in done.stderr
