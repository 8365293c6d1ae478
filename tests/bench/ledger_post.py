"""How fast the ledger is written: `post` beside bare inserts into the same guarded tables, in the same run.

Run: python -m tests.bench.ledger_post [seconds per measurement], for PostgreSQL with DATABASE_URL=postgres://…
A scratch database is made from the migrations and removed afterwards (SQLite: a file with the project's own
settings). An entry has 4 lines on 4 accounts. Ways are measured in turn, two rounds, the better one counts;
one writer. The bare way knows its accounts and neither hashes nor looks for repetition.
"""

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")

import django

django.setup()

import psycopg  # noqa: E402
from django.db import connection, connections  # noqa: E402

from dealers.models import Account, LedgerEntry, LedgerLine  # noqa: E402
from dealers.settlement import actions as settlement  # noqa: E402
from dealers.settlement import queries  # noqa: E402
from dealers.settlement.rules import NewEntry, NewLine  # noqa: E402

AT = datetime(2026, 11, 25, 4, tzinfo=UTC)
CHART = (("expense:service_fee", 300), ("payable:dealer:D1", -300), ("expense:commission", 50), ("payable:anchor:lulu", -50))
PATH = {"rule": "SVC v1", "paid_fen": 5_000, "base_fen": 5_000, "explain": "实付 50.00 元 × 6% = 3.00 元；规则 SVC v1"}
PATH_TEXT = '{"rule": "SVC v1", "paid_fen": 5000, "base_fen": 5000, "explain": "实付 50.00 元 × 6% = 3.00 元；规则 SVC v1"}'
ENTRY = (
    "INSERT INTO dealers_ledgerentry (id, seal_id, key, payload_hash, kind, source, order_no, effective_at, posted_at, made_by) "
    "VALUES (%s, %s, %s, %s, 'accrual', 'work:A', 'DD-A', %s, %s, 'bench')"
)
LINE = (
    "INSERT INTO dealers_ledgerline (entry_id, account_id, amount_fen, component, explain) VALUES (%s, %s, %s, 'service_fee', %s)"
)
SEAL = "INSERT INTO dealers_seal (id) VALUES (%s)"
_numbers = count(1)
Once = Callable[[int], None]


def new_entry() -> NewEntry:
    key = f"bench:{next(_numbers)}"
    lines = tuple(NewLine(account, fen, "service_fee", PATH) for account, fen in CHART)
    return NewEntry(key, "accrual", "work:A", "DD-A", AT, lines, {"key": key, "paid_fen": 5_000})


def ours(size: int) -> None:
    settlement.post(entries=[new_entry() for _ in range(size)], at=AT)


def bare() -> Once:
    """Multi-row inserts by the driver alone, in one transaction, with the same guards in force."""
    accounts = dict(Account.objects.values_list("code", "id"))
    chart = [(accounts[code], fen) for code, fen in CHART]
    line, placeholder = _connect()
    entry_sql, line_sql, seal_sql = (sql.replace("%s", placeholder) for sql in (ENTRY, LINE, SEAL))

    def once(size: int) -> None:
        ids = [uuid4() if placeholder == "%s" else uuid4().hex for _ in range(size)]
        moment = AT if placeholder == "%s" else "2026-11-25 04:00:00"
        cursor = line.cursor()
        if placeholder == "?":
            cursor.execute("BEGIN IMMEDIATE")
        entries: list[Any] = [(one, one, f"bare:{next(_numbers)}", "0" * 64, moment, moment) for one in ids]
        cursor.executemany(entry_sql, entries)
        cursor.executemany(line_sql, [(one, account, fen, PATH_TEXT) for one in ids for account, fen in chart])
        cursor.executemany(seal_sql, [(one,) for one in ids])
        line.commit()

    return once


def _connect() -> tuple[Any, str]:
    """The bare driver's connection and its placeholder."""
    if connection.vendor == "postgresql":
        params = connection.get_connection_params()
        known = {key: params[key] for key in ("dbname", "user", "password", "host", "port") if params.get(key)}
        return psycopg.connect(**known, prepare_threshold=1), "%s"
    line = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, timeout=20)
    line.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; PRAGMA foreign_keys=ON;")
    return line, "?"


def measure(once: Once, size: int, seconds: float) -> float:
    """Entries per second."""
    once(size)
    made, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        once(size)
        made += size
    return made / (time.perf_counter() - began)


def main(seconds: float) -> None:
    ours(1)
    plain = bare()
    print(f"{connection.vendor}: entries of {len(CHART)} lines per second, one writer")
    print(f"{'batch':>6} {'bare /s':>9} {'post /s':>9} {'ratio':>6}")
    for size in (1, 500):
        best = [0.0, 0.0]
        for _ in range(2):
            for index, way in enumerate((plain, ours)):
                best[index] = max(best[index], measure(way, size, seconds))
        print(f"{size:>6} {best[0]:>9.0f} {best[1]:>9.0f} {best[1] / best[0]:>6.2f}", flush=True)
    began = time.perf_counter()
    faults = queries.faults()
    took = time.perf_counter() - began
    print(f"{LedgerEntry.objects.count()} entries, {LedgerLine.objects.count()} lines verified in {took:.1f} s, faults: {faults}")


if __name__ == "__main__":
    name = connection.settings_dict["NAME"]
    with tempfile.TemporaryDirectory() as folder:
        if connection.vendor == "sqlite":
            connection.settings_dict["TEST"]["NAME"] = str(Path(folder) / "ledger.sqlite3")
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
        try:
            main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
        finally:
            connections.close_all()
            connection.creation.destroy_test_db(name, verbosity=0)
