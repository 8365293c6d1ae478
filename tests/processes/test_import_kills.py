"""Killed with -9 while a file of 20,000 rows is read, applied and taken back: every row counts once, and the books agree."""

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from tests import servers
from tests.processes.world import World, dsn_of, world

pytestmark = pytest.mark.slow
NODES, SKUS, KILLS = 20, 1_000, 3  # the last: of reading, of applying and of taking back each
ROWS = NODES * SKUS
BAD, FAILED = 10, 7  # rows with an unknown SKU, and rows that would take what is not there
GOOD = ROWS - FAILED
_PREPARE = f"""
from django.utils import timezone
from inventory.exchange import actions as exchange
from inventory.models import Node, Sku
place = {{"kind": "hq", "division_code": "320506", "lng": 120, "lat": 31}}
Node.objects.bulk_create(Node(code=f"N{{n}}", name=f"仓{{n}}", **place) for n in range({NODES}))
Sku.objects.bulk_create(Sku(code=f"S{{n}}", name=f"商品{{n}}") for n in range({SKUS}))
rows = [(f"N{{n // {SKUS}}}", f"S{{n % {SKUS}}}", -1 if n % 3000 == 9 else n % 977 + 1) for n in range({ROWS})]
rows += [("N0", f"X{{n}}", 1) for n in range({BAD})]
body = "仓库,SKU,数量\\n" + "\\n".join(f"{{node}},{{sku}},{{units}}" for node, sku, units in rows)
exchange.upload(body=body.encode(), name="期初.csv", purpose="change", actor="staff:1", at=timezone.now())
"""
_ORDER = """
from inventory.exchange import actions as exchange
from inventory.models import StockFile
file = StockFile.objects.get()
exchange.{step}(file=file, version=file.version, actor="staff:1")
"""
_TRUTH = """
import json
from collections import Counter
from django.db.models import F, Sum
from inventory.models import Level, Movement, StockFile
file = StockFile.objects.get()
of = dict(Movement.objects.filter(source_key__startswith="import:").values_list("source_key", "quantity"))
done = file.rows.filter(state__in=["done", "undone"])
print(json.dumps({
    "file": [file.state, file.total_rows, file.bad_rows, file.done_rows, file.body is None, file.problem],
    "rows": Counter(file.rows.values_list("state", flat=True)),
    "posted": of == {f"import:{file.file_no}:{n}": units for n, units in done.values_list("number", "quantity")},
    "taken back": Movement.objects.filter(source_key__startswith="undo:").count(),
    "movements": Movement.objects.count(),
    "differs": done.exclude(change=F("quantity")).count(),
    "asked": done.aggregate(units=Sum("quantity"))["units"],
    "on hand": Level.objects.aggregate(units=Sum("on_hand"))["units"],
}))
"""


@pytest.fixture(params=["sqlite, one process", "postgres, several"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, str]]:
    if request.param.startswith("sqlite"):
        with world(tmp_path) as here:
            yield here, "--embedded"
    else:
        with servers.postgres() as url, world(tmp_path, url) as here:
            yield here, "--split"


def look(here: World) -> tuple[str, int]:
    """The state of the file and its version, which every chunk raises."""
    asked = "SELECT state, version FROM inventory_stockfile"
    if url := here.environment.get("DATABASE_URL"):
        with psycopg.connect(dsn_of(url)) as line:
            row = line.execute(asked).fetchone()
    else:
        with closing(sqlite3.connect(here.folder / "yipan.sqlite3", timeout=10)) as line:
            row = line.execute(asked).fetchone()
    assert row
    return str(row[0]), int(row[1])


def kill(here: World) -> None:
    """kill -9 of the command and of all it has started."""
    assert here.process
    family = here.family()
    here.process.kill()
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    here.process.wait()
    assert psutil.wait_procs(family, 10)[1] == []


def killed_until(here: World, mode: str, luck: random.Random, before: set[str], after: str) -> int:
    """Kill and start again, each time a moment after another chunk was done, at most KILLS times; returns how often."""
    kills, (state, seen) = 0, look(here)
    ends = time.monotonic() + 120
    while state in before:
        assert time.monotonic() < ends, f"{state} after {kills} kills: {here.log()[-3000:]}"
        time.sleep(0.02)
        state, version = look(here)
        if state in before and version > seen and kills < KILLS:
            time.sleep(luck.uniform(0, 0.15))
            kill(here)
            kills, seen = kills + 1, look(here)[1]
            here.start(mode)
    assert state == after
    return kills


def test_every_row_counts_once_whenever_it_is_killed(system: tuple[World, str]) -> None:
    here, mode = system
    luck = random.Random(20261125)
    here.environment |= {"LOG_LEVEL": "WARNING"}
    here.python(_PREPARE)
    here.start(mode)
    assert killed_until(here, mode, luck, {"uploaded", "reading"}, "ready") >= 1
    here.python(_ORDER.format(step="apply_file"))
    assert killed_until(here, mode, luck, {"applying"}, "applied") >= 2
    truth = json.loads(here.python(_TRUTH))
    assert truth["file"] == ["applied", ROWS + BAD, BAD, ROWS, True, ""]
    assert truth["rows"] == {"done": GOOD, "failed": FAILED, "bad": BAD}
    assert (truth["posted"], truth["movements"], truth["differs"]) == (True, GOOD, 0)
    assert truth["on hand"] == truth["asked"] > 0
    here.python(_ORDER.format(step="undo_file"))
    assert killed_until(here, mode, luck, {"undoing"}, "undone") >= 2
    truth = json.loads(here.python(_TRUTH))
    assert truth["rows"] == {"undone": GOOD, "failed": FAILED, "bad": BAD}
    assert (truth["posted"], truth["taken back"], truth["movements"], truth["on hand"]) == (True, GOOD, 2 * GOOD, 0)
    audit = here.manage("stock_audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
