"""How long rules take to reach every level, and how fast counted figures are taken over.

Run: DATABASE_URL=postgres://… python -m tests.bench.stock_rules [nodes] [SKUs]; a scratch database
is made from the migrations and removed afterwards. One writer; one rule of each breadth and 1,000 of one SKU at one node.
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")

import django

django.setup()

from django.db import connection, connections  # noqa: E402

from inventory.ledger import actions as ledger  # noqa: E402
from inventory.ledger.rules import Report  # noqa: E402
from inventory.models import Level, StockRule  # noqa: E402

AT = datetime(2026, 11, 25, 4, tzinfo=UTC)
ROWS = 5_000
FILL = (
    "INSERT INTO inventory_node (code, name, kind, division_code, lng, lat, is_active, is_paused) "
    "SELECT 'B' || g, '仓' || g, CASE WHEN g % 3 = 0 THEN 'hq' ELSE 'region' END, '320506', 120, 31, true, false "
    "FROM generate_series(1, {nodes}) g",
    "INSERT INTO inventory_sku (code, name, kind, category, unit, weight_g, supply_price_fen, install_skill, is_active) "
    "SELECT 'B' || g, '商品' || g, 'physical', 'c' || g % 20, '件', 1, 1, '', true FROM generate_series(1, {skus}) g",
    "INSERT INTO inventory_level (node_id, sku_id, on_hand, held, safety_stock) "
    "SELECT n.id, s.id, 100, 0, 0 FROM inventory_node n, inventory_sku s",
    "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
    "SELECT node_id, sku_id, 'receipt', on_hand, 'fill:' || id, '', '', '2026-11-24' FROM inventory_level",
    "INSERT INTO inventory_stockrule (name, node_kind, node_id, sku_id, category, safety_stock, ownership, is_active) "
    "SELECT 'r' || id, '', node_id, sku_id, '', 7, '', true FROM inventory_level ORDER BY id LIMIT 1000",
    "ANALYZE",
)


def timed(what: str, act: Callable[[], object]) -> float:
    began = time.perf_counter()
    result = act()
    took = time.perf_counter() - began
    print(f"{what}: {took:.1f} s ({result})", flush=True)
    return took


def main(nodes: int, skus: int) -> None:
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement.format(nodes=nodes, skus=skus))
    levels = Level.objects.count()
    print(f"{levels} levels, load {os.getloadavg()[0]:.1f}", flush=True)
    ledger.save_stock_rule(rule=StockRule(name="一般", share_percent=80, fresh_hours=48), actor="", at=AT)
    ledger.save_stock_rule(rule=StockRule(name="总部", node_kind="hq", safety_stock=2), actor="", at=AT)
    ledger.save_stock_rule(rule=StockRule(name="品类", category="c3", keep_back=1), actor="", at=AT)
    timed("every level differs", lambda: ledger.apply_stock_rules(at=AT))
    timed("no level differs", lambda: ledger.apply_stock_rules(at=AT))
    places = list(Level.objects.order_by("id").values_list("node_id", "sku_id")[: 4 * ROWS])
    for turn in range(4):
        when = AT + timedelta(minutes=turn)
        rows = [Report(*place, 90 + turn, when, f"b:{turn}:{place}") for place in places[turn * ROWS : (turn + 1) * ROWS]]
        took = timed(
            f"report of {ROWS} rows", lambda rows=rows, when=when: {r.code for r in _report(rows, when)}  # type: ignore[misc]
        )  # fmt: skip
        print(f"  {ROWS / took:.0f} rows/s")


def _report(rows: list[Report], when: datetime) -> list[ledger.RowResult]:
    return ledger.report(rows=rows, kind="report", actor="", at=when)


if __name__ == "__main__":
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        main(*(int(told) for told in [*sys.argv[1:], "300", "2000"][:2]))
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(name, verbosity=0)
