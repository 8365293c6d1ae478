"""`python -m tests.bench`: every benchmark, briefly, one after the other. Each alone takes numbers of its own.

They run on the PostgreSQL of DATABASE_URL, else on one started for the occasion (which has fsync
off, and says so: its figures flatter).
"""

import os
import subprocess
import sys

from tests.bench import ground

# module, arguments for a brief run, whether it runs on PostgreSQL
ALL: list[tuple[str, list[str], bool]] = [
    ("routing_decide", ["20", "0.5"], False),
    ("reserve", ["0.5"], True),
    ("pipeline", ["--brief"], True),
    ("burst", ["--orders", "500", "--seconds", "5", "--every", "3"], True),
    ("push", ["4"], True),
    ("stock_import", ["10000", "csv"], True),
    ("live_push", ["100", "100", "5"], False),
]


def main(wanted: list[str]) -> int:
    known = {name for name, _, _ in ALL}
    if unknown := set(wanted) - known:
        ground.say(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        return 2
    failed = []
    try:
        given = {**os.environ, "DATABASE_URL": ground.stand()}
        plain = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
        for name, arguments, on_postgres in ALL:
            if wanted and name not in wanted:
                continue
            ground.say(f"\n===== {name} {' '.join(arguments)}")
            command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
            if subprocess.run(command, env=given if on_postgres else plain, check=False).returncode:
                failed.append(name)
    finally:
        ground.tear_down()
    ground.say(f"\nfailed: {', '.join(failed)}" if failed else "\nall benchmarks ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
