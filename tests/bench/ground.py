"""What every benchmark stands on: a PostgreSQL that says what it is, scratch databases, processor time.

`stand()` must be called before anything of Django is imported. Databases are cloned from one
template (migrated, seeded with the demo brand, every shelf full, some history), so each measurement starts equal.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import psutil
import psycopg

from tests import servers

FULL_SHELF = 5_000_000
HISTORY = 2_000  # orders stored before anything is measured
_stack = ExitStack()


def stand() -> str:
    """Point this process at a PostgreSQL: DATABASE_URL, else one of our own. Returns its address."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        url = _stack.enter_context(servers.postgres())
        os.environ["DATABASE_URL"] = url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")
    os.environ.setdefault("YIPAN_VAR", tempfile.mkdtemp(prefix="yipan-bench-"))
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    return url


def tear_down() -> None:
    _stack.close()


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def open_line(**more: object) -> psycopg.Connection:
    """A bare connection to the database that Django uses now."""
    from django.db import connection  # noqa: PLC0415 - after stand()

    params = connection.get_connection_params()
    known = {key: params[key] for key in ("dbname", "user", "password", "host", "port") if params.get(key)}
    return psycopg.connect(**{**known, **more}, autocommit=True)


def describe() -> None:
    """Say what the figures were measured on."""
    with open_line() as line:
        version, fsync, commit = (
            line.execute(f"SHOW {name}").fetchone()[0] for name in ("server_version", "fsync", "synchronous_commit")
        )
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    say(f"PostgreSQL {version}, fsync {fsync}, synchronous_commit {commit}; {os.cpu_count()} cores, load {load}")


def address_of(name: str) -> str:
    """DATABASE_URL with another database's name."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    if parts.hostname is None:  # postgres://user@/folder/name, a socket
        return urlunsplit(parts._replace(path=parts.path.rsplit("/", 1)[0] + "/" + quote(name)))
    return urlunsplit(parts._replace(path="/" + quote(name)))


def use(name: str) -> None:
    """Make Django's connection one to this database."""
    from django.core.cache import cache  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    connections.close_all()
    connections.databases["default"]["NAME"] = name
    connections["default"].settings_dict["NAME"] = name
    cache.clear()


@contextmanager
def template() -> Iterator[str]:
    """The database from which the others are cloned: schema, divisions, demo brand, full shelves."""
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    name, home = "yipan_bench", connection.settings_dict["NAME"]
    _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"', home=home)
    use(name)
    call_command("migrate", interactive=False, verbosity=0)
    from dealers.divisions import actions as divisions  # noqa: PLC0415
    from oms_project.demo import seeding  # noqa: PLC0415

    divisions.load_divisions(at=timezone.now())
    seeding.seed_everything(at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM journal_delivery")
        cursor.execute(
            "INSERT INTO inventory_level (node_id, sku_id, on_hand, held, safety_stock) SELECT n.id, s.id, %s, 0, 0 "
            "FROM inventory_node n, inventory_sku s WHERE s.kind = 'physical' "
            "ON CONFLICT (node_id, sku_id) DO UPDATE SET on_hand = EXCLUDED.on_hand",
            [FULL_SHELF],
        )
    from tests.bench import filler  # noqa: PLC0415

    filler.fill(HISTORY)  # on empty tables PostgreSQL keeps plans that fit nothing else
    use(home)
    try:
        yield name
    finally:
        use(home)
        _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', home=home)


@contextmanager
def clone(of: str, name: str = "yipan_bench_run") -> Iterator[str]:
    """A copy of a database, in use until the end of the block."""
    from django.db import connection  # noqa: PLC0415

    before = connection.settings_dict["NAME"]
    use("postgres")
    _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" TEMPLATE "{of}"', home="postgres")
    use(name)
    try:
        yield name
    finally:
        use(before)
        _run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', home="postgres")


def _run(*commands: str, home: str) -> None:
    with open_line(dbname=home) as line:
        for command in commands:
            line.execute(command)


def server_seconds() -> dict[int, float]:
    """Processor seconds used so far by each process of a PostgreSQL on this machine; empty when it is elsewhere."""
    with open_line() as line:
        folder = line.execute("SHOW data_directory").fetchone()[0]
    try:
        with open(f"{folder}/postmaster.pid") as told:
            postmaster = psutil.Process(int(told.readline()))
        family = [postmaster, *postmaster.children()]
        return {one.pid: sum(one.cpu_times()[:2]) for one in family if one.is_running()}
    except (OSError, psutil.Error):
        return {}


def used(before: dict[int, float], after: dict[int, float]) -> float:
    """Processor seconds between two readings; processes that ended in between are not seen."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
