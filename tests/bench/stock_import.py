"""How long a big spreadsheet takes on its way into the ledger, and how much memory: upload, read, apply, and once more.

Run: python -m tests.bench.stock_import [rows] [csv|xlsx], on the PostgreSQL of DATABASE_URL, else on one of its own.
A scratch database (test_<name>) is made from the migrations and dropped afterwards. The first file makes every stock row,
the second changes each of them. The file is written by another process, so that the peak of memory is ours alone.
"""

import csv
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import ground

ground.stand()

import django  # noqa: E402

django.setup()

from django.db import connection, connections  # noqa: E402
from django.utils import timezone  # noqa: E402
from openpyxl import Workbook  # noqa: E402

from inventory.exchange import actions as exchange  # noqa: E402
from inventory.models import Level, Node, Sku, StockFile  # noqa: E402
from tests.make import make_node  # noqa: E402

SKUS = 1_000
HEADER = ["仓库编码", "SKU编码", "商品名称", "库存数量", "备注"]


def rows_of(rows: int, more: int) -> Iterator[list[object]]:
    """Each place once, node by node."""
    for n in range(rows):
        yield [f"BN{n // SKUS:04}", f"BS{n % SKUS:05}", f"三人位布艺沙发 {n % SKUS}", n % 977 + more, "月末盘点"]


def write(path: str, rows: int, more: int) -> None:
    if path.endswith(".csv"):
        with open(path, "w", encoding="gb18030", newline="") as target:
            csv.writer(target).writerows([HEADER, *rows_of(rows, more)])
        return
    book = Workbook(write_only=True)
    sheet = book.create_sheet("库存")
    for row in (HEADER, *rows_of(rows, more)):
        sheet.append(row)
    book.save(path)


def written(path: str, rows: int, more: int) -> bytes:
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, rows, more))
    writer.start()
    writer.join()
    return Path(path).read_bytes()


def timed(name: str, rows: int, act: Callable[[], object]) -> float:
    """Do it, say how long it took, how much of that this process worked, and its peak of memory; seconds."""
    began, busy = time.perf_counter(), time.process_time()
    act()
    took = time.perf_counter() - began
    busy = time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ground.say(f"{name:>8} {took:>7.2f} s {rows / took:>10,.0f} rows/s   {busy:>5.1f} s of processor   peak {peak:.0f} MB")
    return took


def work_until(state: str) -> None:
    while StockFile.objects.filter(state__in=["uploaded", "reading", "applying"]).exists():
        exchange.work_on_files(at=timezone.now())
    found = StockFile.objects.defer("body").latest("id")
    assert (found.state, found.bad_rows, found.problem) == (state, 0, ""), found.problem


def run(body: bytes, name: str, rows: int) -> None:
    def apply() -> None:
        file = StockFile.objects.defer("body").latest("id")
        exchange.apply_file(file=file, version=file.version, actor="bench")
        work_until("applied")

    ground.say(f"\n{name}, {rows:,} rows, {len(body) / 1024 / 1024:.1f} MB")
    total = timed(
        "upload",
        rows,
        lambda: exchange.upload(body=body, name=name, purpose="stock", actor="bench", at=timezone.now()),
    )
    total += timed("read", rows, lambda: work_until("ready"))
    total += timed("apply", rows, apply)
    ground.say(f"{'whole':>8} {total:>7.2f} s {rows / total:>10,.0f} rows/s")
    last = StockFile.objects.defer("body").latest("id")
    assert last.rows.filter(state="done").count() == Level.objects.count() == rows


def main(rows: int, kind: str) -> None:
    ground.describe()
    for n in range(-(-rows // SKUS)):
        make_node(code=f"BN{n:04}")
    Sku.objects.bulk_create([Sku(code=f"BS{n:05}", name=f"沙发{n}") for n in range(min(rows, SKUS))])
    assert Node.objects.count() >= rows // SKUS
    with tempfile.TemporaryDirectory() as folder:
        for name, more in (("first", 1), ("second", 2)):
            path = f"{folder}/{name}.{kind}"
            run(written(path, rows, more), Path(path).name, rows)


if __name__ == "__main__":
    home = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, sys.argv[2] if len(sys.argv) > 2 else "csv")
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(home, verbosity=0)
        ground.tear_down()
