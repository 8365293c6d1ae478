"""How long people wait for the pages and buttons of stock at 600,000 stock rows, on PostgreSQL.

    DATABASE_URL=postgres://yipan@127.0.0.1/yipan python -m tests.bench.stock_pages [nodes] [skus]

The world of pool_view, with its movements: every unit was received 45 days ago, all but a twentieth of the rows
sold something in the last two weeks, some stand above their limit. Pages are whole requests through Django, rendered for an admin.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection, reset_queries  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from inventory.ledger import actions as ledger  # noqa: E402
from inventory.models import Level, StockCheck, StockNeed  # noqa: E402
from inventory.replenishment import actions as replenishment  # noqa: E402
from inventory.replenishment import queries as replenishment_queries  # noqa: E402
from tests.bench import ground, pool_view  # noqa: E402
from tests.make import make_staff  # noqa: E402

ROUNDS = 20
BULK = 900
_MOVED = (
    "UPDATE inventory_level SET fresh_until = fresh_until + (now() - '2026-11-25 04:00+00'::timestamptz), "
    "max_stock = CASE WHEN id %% 11 = 0 THEN 40 END, safety_stock = CASE WHEN id %% 29 = 0 THEN 60 ELSE safety_stock END",
    "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
    "SELECT node_id, sku_id, 'receipt', on_hand + CASE WHEN id %% 20 = 0 THEN 0 WHEN id %% 3 = 0 THEN 5 ELSE 1 END, "
    "'in:' || id, '', '', now() - interval '45 days' FROM inventory_level ORDER BY id",
    "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
    "SELECT node_id, sku_id, 'shipment', CASE WHEN id %% 3 = 0 THEN -5 ELSE -1 END, 'out:' || id, '', '', "
    "now() - id %% 13 * interval '1 day' FROM inventory_level WHERE id %% 20 <> 0 ORDER BY id",
    "INSERT INTO inventory_publishedstock (channel, shop, sku_id, quantity, sellable, version, changed_at) "
    "SELECT 'doudian', 'shop-' || n, s.id, 10, 10 - (s.id %% 9 = 0)::int, 1, now() FROM inventory_sku s, generate_series(1, 5) n",
)


def fill(nodes: int, skus: int) -> None:
    pool_view.fill(nodes, skus)
    with connection.cursor() as cursor:
        for step in _MOVED:
            cursor.execute(step, {})
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SET statement_timeout = 30000")


def timed(once: Callable[[], object]) -> tuple[float, int]:
    reset_queries()
    began = time.perf_counter()
    with CaptureQueriesContext(connection) as asked:
        once()
    return (time.perf_counter() - began) * 1000, len(asked)


def times(once: Callable[[], object]) -> str:
    """The best, p50 and p95 in milliseconds, after three calls that are not counted."""
    for _ in range(3):
        once()
    took = sorted(timed(once)[0] for _ in range(ROUNDS))
    return f"{took[0]:>8.0f} {statistics.median(took):>8.0f} {took[int(len(took) * 0.95)]:>8.0f}"


def main(nodes: int, skus: int) -> None:
    fill(nodes, skus)
    ground.describe()
    ground.say(f"{nodes} nodes × {skus} SKUs: {Level.objects.count()} levels")
    settings.ALLOWED_HOSTS = ["*"]
    client, at = Client(), timezone.now()
    client.force_login(make_staff())
    ground.say(f"{'ticks, ms':<46} {'took':>8} {'statements':>10}")
    for name, tick in (
        ("audit_stock, every figure", lambda: ledger.audit_stock(at=at)),
        ("find_needs, the first time", lambda: replenishment.find_needs(at=at)),
        ("find_needs, nothing changed", lambda: replenishment.find_needs(at=at + timedelta(minutes=5))),
        ("both, not due", lambda: (ledger.audit_stock(at=at), replenishment.find_needs(at=at))),
    ):
        took, asked = timed(tick)
        ground.say(f"{name:<46} {took:>8.0f} {asked:>10}")
    kinds = {kind: StockNeed.objects.filter(kind=kind).count() for kind in ("short", "excess")}
    ground.say(f"found: {kinds}, {StockCheck.objects.exclude(checked_at=None).count()} lists kept")

    def get(address: str) -> Callable[[], None]:
        def run() -> None:
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.status_code)

        return run

    ground.say(f"{'pages, ms':<46} {'best':>8} {'p50':>8} {'p95':>8}")
    low, level = "/admin/inventory/transfer/shortages/", "/admin/inventory/level/"
    for name, once in (
        ("front page", get("/admin/")),
        ("缺货清单", get(low)),
        ("缺货清单, page 20", get(f"{low}?page=20&days=30")),
        ("积压清单", get("/admin/inventory/transfer/surpluses/")),
        ("对账差异", get(f"{level}drift/")),
        ("levels", get(level)),
        ("levels, search SKU code", get(f"{level}?q=S000777")),
        ("levels, search node and SKU", get(f"{level}?q=N00123+S000777")),
        ("levels, search node name", get(f"{level}?q=仓123")),
        ("levels, search what all have", get(f"{level}?q=商品")),
        ("levels, search nothing has", get(f"{level}?q=xyzzy")),
        ("levels, stale", get(f"{level}?stale=1")),
        ("levels, stale at dealers", get(f"{level}?stale=dealer")),
        ("levels, below safety", get(f"{level}?below=1")),
        ("movements, search SKU code", get("/admin/inventory/movement/?q=S000777")),
        ("published above 可售", get("/admin/inventory/publishedstock/?over=1")),
    ):
        ground.say(f"{name:<46} {times(once)}")
    now = timezone.now()
    live, _ = timed(lambda: replenishment_queries.statements.read_shortages(now, 7, 51, 0))
    idle, _ = timed(lambda: replenishment_queries.statements.read_surpluses(now, 51, 0))
    ground.say(f"for comparison, everything looked at now: short {live:.0f} ms, idle {idle:.0f} ms")
    ground.say(f"{f'buttons on {BULK} rows, ms':<46} {'took':>8} {'statements':>10}")
    ids = list(Level.objects.order_by("node_id", "sku_id").values_list("pk", flat=True)[:BULK])
    for name, form in (
        ("block", {"action": "block", "quantity": "1", "reason": "水渍"}),
        ("unblock", {"action": "unblock"}),
        ("adjust", {"action": "adjust", "quantity": "1", "reason": "盘盈"}),
        ("safety stock", {"action": "set_safety_stock", "quantity": "3"}),
    ):
        took, asked = timed(lambda form=form: client.post(level, {**form, "_selected_action": ids, "token": "t"}))  # type: ignore[misc]
        ground.say(f"{name:<46} {took:>8.0f} {asked:>10}")


if __name__ == "__main__":
    if connection.vendor != "postgresql":
        sys.exit("set DATABASE_URL=postgres://…: the figures are about PostgreSQL")
    database = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300, int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
    finally:
        connection.creation.destroy_test_db(database, verbosity=0)
