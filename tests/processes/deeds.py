"""Tasks, ticks and faults for the process tests; called by name in the processes under test."""

import os
import signal
import sys
import threading
import time
from ctypes import c_ulong, py_object, pythonapi
from datetime import datetime
from pathlib import Path

from oms_project.tasks.loops import Loop


def mark(folder: str, tag: str) -> None:
    """Leave a trace that survives the process; one append per run."""
    with (Path(folder) / "marks").open("a") as file:
        file.write(f"{tag}\n")


def linger(folder: str, tag: str, seconds: str) -> None:
    mark(folder, f"{tag}-began")
    time.sleep(float(seconds))
    mark(folder, tag)


def end_thread(folder: str, tag: str, name: str) -> None:
    """Make the loop of that name in this process end as if SystemExit had been raised in it, once."""
    first = tag not in (Path(folder) / "marks").read_text().split() if (Path(folder) / "marks").exists() else True
    mark(folder, tag)
    for thread in threading.enumerate():
        if first and isinstance(thread, Loop) and thread.name == name:
            pythonapi.PyThreadState_SetAsyncExc(c_ulong(thread.ident or 0), py_object(SystemExit))


def leave(folder: str, tag: str) -> None:
    """A task that ends its worker."""
    first = not (Path(folder) / "left").exists()
    (Path(folder) / "left").touch()
    if first:
        sys.exit(1)
    mark(folder, tag)


def kill_worker(folder: str, tag: str) -> None:
    """A task whose process is killed in the middle the first time."""
    first = not (Path(folder) / "killed").exists()
    (Path(folder) / "killed").touch()
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    mark(folder, tag)


def tick(*, at: datetime) -> None:
    mark(os.environ["YIPAN_VAR"], f"tick-{at.second}")


def stumble(*, at: datetime) -> None:
    mark(os.environ["YIPAN_VAR"], "stumbled")
    raise ValueError("a tick that fails")


def pump(*, at: datetime) -> int:
    mark(os.environ["YIPAN_VAR"], "pumped")
    return 0
