"""Start the real command on a real database in a temporary folder, and look at its processes."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def until(what: Callable[[], object], seconds: float, why: str) -> float:
    """Wait until `what` is true; returns how long it took. Fails with `why` when it takes too long."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, f"{why}: not within {seconds:.0f} s"
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass
class World:
    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[str] | None" = None

    def manage(self, *arguments: str, seconds: float = 60) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )

    def python(self, code: str) -> str:
        done = self.manage("shell", "--no-imports", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, *calls: tuple[str, ...]) -> None:
        """Queue deeds: (function of deeds.py, tag, more…)."""
        listed = [(f"tests.processes.deeds.{name}", str(self.folder), *rest) for name, *rest in calls]
        self.python(f"from oms_project.tasks import queue\nfor call in {listed!r}: queue.put(*call)")

    def start(self, *arguments: str) -> None:
        log = (self.folder / "log").open("a")
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, text=True, start_new_session=True
        )
        log.close()
        until(self.answers, 30, "the web answers")

    def answers(self) -> bool:
        assert self.process is None or self.process.poll() is None, (self.folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """All living descendants of the command."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def child(self, command: str) -> psutil.Process:
        """The child of the supervisor that runs a management command."""
        found = [p for p in psutil.Process(self.pid).children() if command in p.cmdline()]
        assert found, f"no {command} process"
        return found[0]

    def marks(self) -> list[str]:
        file = self.folder / "marks"
        return file.read_text().split() if file.exists() else []

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 12) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def world(folder: Path, database_url: str = "") -> Iterator[World]:
    """A migrated database of its own; whatever was started is gone afterwards."""
    name = ""
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    environment |= {"YIPAN_VAR": str(folder), "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "oms_project.settings"}
    if database_url:
        name = f"world_{uuid4().hex[:12]}"
        with psycopg.connect(dsn_of(database_url), autocommit=True) as line:
            line.execute(f"CREATE DATABASE {name}")
        environment["DATABASE_URL"] = f"{database_url.rsplit('/', 1)[0]}/{name}"
    here = World(folder, environment)
    try:
        prepared = here.manage("migrate", "--verbosity", "0")
        assert prepared.returncode == 0, prepared.stderr
        yield here
    finally:
        if here.process and here.process.poll() is None:
            left = here.family()
            here.process.kill()
            here.process.wait()
            for process in psutil.wait_procs(left, 2)[1]:
                process.kill()
        if name:
            with psycopg.connect(dsn_of(database_url), autocommit=True) as line:
                line.execute(f"DROP DATABASE {name} WITH (FORCE)")


def dsn_of(url: str) -> str:
    """psycopg's spelling of a socket folder, which our settings write as user@//folder/name."""
    head, separator, rest = url.partition("@//")
    if not separator:
        return url
    folder, _, name = rest.rpartition("/")
    return f"{head}@/{name}?host=/{folder}"
