"""`python -m tests.suites`: the everyday suite on SQLite, then again on PostgreSQL and Redis.

What could not run is said at the end; with YIPAN_REQUIRE_ALL=1 it is an error. Arguments are
passed on to pytest (`python -m tests.suites tests/orders -k offer`). `--slow` runs the slow tests
instead of the everyday ones, once, with both servers at hand.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests import servers

ROOT = Path(__file__).resolve().parent.parent


def run(title: str, arguments: list[str], **environment: str) -> bool:
    """One pytest run with its own output; True when it passed."""
    sys.stdout.write(f"\n===== {title} =====\n")
    sys.stdout.flush()
    with_cores = [] if any(a == "-n" or a.startswith("-n") for a in arguments) else ["-n", str(min(4, os.cpu_count() or 1))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.own_redis", *with_cores, *arguments]
    clean = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env={**clean, **environment}, check=False).returncode
    sys.stdout.write(
        f"===== {title}: {'passed' if code in {0, 5} else f'FAILED ({code})'} in {time.monotonic() - began:.0f} s =====\n"
    )
    return code in {0, 5}  # 5: nothing of it was selected


def start(stack: ExitStack, name: str, server: Callable[[], AbstractContextManager[str]], missing: list[str]) -> str:
    """The address of a server that now runs until the stack closes, or "" and a line in `missing`."""
    try:
        return stack.enter_context(server())
    except Exception as error:
        missing.append(f"{name}: {type(error).__name__}: {error}")
        return ""


def main(arguments: list[str]) -> int:
    missing: list[str] = []
    results: dict[str, bool] = {}
    with ExitStack() as stack:
        if "--slow" in arguments:
            rest = [argument for argument in arguments if argument != "--slow"]
            given = {
                "OMS_TEST_PG_URL": start(stack, "PostgreSQL", servers.postgres, missing),
                "OMS_TEST_REDIS_URL": start(stack, "Redis", servers.redis, missing),
            }
            found = {key: value for key, value in given.items() if value}
            results["slow tests"] = run("slow tests", ["-m", "slow", "-n0", "--timeout=300", *rest], **found)
        else:
            everyday = ["-m", "not slow", *arguments]
            results["SQLite"] = run("everyday suite on SQLite", everyday)
            database = start(stack, "PostgreSQL", servers.postgres, missing)
            cache = start(stack, "Redis", servers.redis, missing)
            if database:
                more = {"REDIS_URL": cache} if cache else {}
                name = "PostgreSQL + Redis" if cache else "PostgreSQL"
                together, alone = ["-m", "not slow and not alone"], ["-m", "alone and not slow", "-n0"]
                for title, which in ((name, together), (f"{name}, one after another", alone)):
                    arguments_of_run = [*which, *arguments]
                    results[title] = run(f"everyday suite on {title}", arguments_of_run, DATABASE_URL=database, **more)
    return report(results, missing, strict=os.environ.get("YIPAN_REQUIRE_ALL") == "1")


def report(results: dict[str, bool], missing: list[str], *, strict: bool) -> int:
    """Say what passed, failed and could not run; returns the exit code."""
    sys.stdout.write("\n")
    for name, passed in results.items():
        sys.stdout.write(f"{'passed' if passed else 'FAILED'}  {name}\n")
    for line in missing:
        sys.stdout.write(f"!!!!!!  DID NOT RUN  {line}\n")
    if missing and strict:
        sys.stdout.write("YIPAN_REQUIRE_ALL=1: what did not run counts as failed\n")
    return 0 if all(results.values()) and not (missing and strict) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
