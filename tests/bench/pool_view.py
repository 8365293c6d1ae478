"""How long it takes to see the whole pool, beside a bare sum over the same levels, on PostgreSQL.

    DATABASE_URL=postgres://yipan@127.0.0.1/yipan python -m tests.bench.pool_view [nodes] [skus]

A scratch database is filled set-based: every SKU stands at every node, a third as many open
reservations of every kind, some stale levels and share rules, three shops that publish everything.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")

import django

django.setup()

from django.db import connection  # noqa: E402

from inventory.models import PublishRule  # noqa: E402
from inventory.pool import actions, queries  # noqa: E402
from tests.bench import ground  # noqa: E402
from tests.conftest import NOON  # noqa: E402

ROUNDS = 40
_FILL = (
    "INSERT INTO inventory_sku (code, name, kind, category, unit, weight_g, install_skill, supply_price_fen, is_active) "
    "SELECT 'S' || lpad(s::text, 6, '0'), '商品' || s, 'physical', (ARRAY['furniture', 'appliance', 'small'])[1 + s %% 3], '件', "
    "1000, '', 10000, true FROM generate_series(1, %(skus)s) s",
    "INSERT INTO inventory_node (code, name, kind, division_code, lng, lat, is_active, is_paused) "
    "SELECT 'N' || lpad(n::text, 5, '0'), '仓' || n, 'region', (11 + n %% 50)::text || '0101', 120, 31, true, n %% 100 = 0 "
    "FROM generate_series(1, %(nodes)s) n",
    "INSERT INTO inventory_level (node_id, sku_id, on_hand, held, safety_stock, share_percent, fresh_until) "
    "SELECT n.id, s.id, 20 + (n.id * 7 + s.id * 13) %% 50, 0, s.id %% 4, CASE WHEN s.id %% 5 = 0 THEN 80 ELSE 100 END, "
    "%(at)s::timestamptz + CASE WHEN (n.id + s.id) %% 20 = 0 THEN interval '-1 hour' ELSE interval '1 day' END "
    "FROM inventory_node n, inventory_sku s ORDER BY n.id, s.id",
    "INSERT INTO inventory_reservation (level_id, kind, bill, quantity, state, held_at) "
    "SELECT l.id, (ARRAY['node', 'pinned', 'offer', 'presale', 'lock', 'transfer', 'block'])[1 + l.id %% 7], 'B' || l.id, "
    "1 + l.id %% 3, 'open', %(at)s FROM inventory_level l WHERE l.id %% 3 = 0",
    "INSERT INTO inventory_reservation (level_id, kind, bill, quantity, state, held_at, closed_at) "
    "SELECT l.id, 'node', 'C' || l.id, 1, 'consumed', %(at)s, %(at)s FROM inventory_level l WHERE l.id %% 2 = 0",
    "INSERT INTO inventory_reservation (sku_id, kind, bill, quantity, state, held_at) "
    "SELECT id, 'global', 'G' || id, 3, 'open', %(at)s FROM inventory_sku WHERE id %% 4 = 0",
    "INSERT INTO inventory_incoming (node_id, sku_id, quantity, received, promised, expected_on, source_key, note, state) "
    "SELECT (SELECT min(id) FROM inventory_node), id, 100, 0, 0, '2026-12-01', 'I' || id, '', 'open' FROM inventory_sku",
    "UPDATE inventory_level l SET held = r.units FROM (SELECT level_id, sum(quantity) AS units FROM inventory_reservation "
    "WHERE state = 'open' AND level_id IS NOT NULL GROUP BY level_id) r WHERE r.level_id = l.id",
)


def fill(nodes: int, skus: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for step in _FILL:
            cursor.execute(step, {"nodes": nodes, "skus": skus, "at": NOON})
        cursor.execute("VACUUM ANALYZE")
    PublishRule.objects.bulk_create([PublishRule(channel="doudian", shop=f"shop-{n}", percent=80) for n in range(3)])


def times(once: Callable[[], object], rounds: int = ROUNDS) -> str:
    """p50 and p95 in milliseconds, after five calls that are not counted (plans are made then)."""
    for _ in range(5):
        once()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        once()
        took.append((time.perf_counter() - began) * 1000)
    return f"{statistics.median(took):>8.1f} {sorted(took)[int(len(took) * 0.95)]:>8.1f}"


def bare_sum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(on_hand - held) FROM inventory_level")
        cursor.fetchall()


def bare_sums_by_sku() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sku_id, sum(on_hand - held) FROM inventory_level GROUP BY sku_id")
        cursor.fetchall()


def main(nodes: int, skus: int) -> None:
    fill(nodes, skus)
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM inventory_level), "
                       "(SELECT count(*) FROM inventory_reservation WHERE state = 'open')")  # fmt: skip
        levels, held = cursor.fetchone()
        cursor.execute(
            "SELECT (SELECT id FROM inventory_sku ORDER BY id LIMIT 1), (SELECT id FROM inventory_node ORDER BY id LIMIT 1)"
        )
        sku_id, node_id = cursor.fetchone()
    ground.describe()
    ground.say(f"{nodes} nodes × {skus} SKUs: {levels} levels, {held} open reservations")
    moment = [NOON]

    def next_tick() -> None:
        moment[0] += timedelta(seconds=1)
        actions.count_pool(at=moment[0])

    began = time.perf_counter()
    published = actions.publish_due(at=NOON)
    ground.say(f"first publishing of 3 shops: {published} figures in {(time.perf_counter() - began) * 1000:.0f} ms")
    ground.say(f"{'ms':<34} {'p50':>8} {'p95':>8}")
    fifty = list(queries.goods().values_list("pk", flat=True)[100:150])
    next_tick()
    for name, once in (
        ("bare SELECT sum", bare_sum),
        ("bare sum by SKU", bare_sums_by_sku),
        ("page of 50 SKUs", lambda: queries.pool_view(at=moment[0], page=3)),
        ("page with a buyer's locks", lambda: queries.pool_view(at=moment[0], page=3, claims=("live:S1",))),
        ("page of one province", lambda: queries.pool_view(at=moment[0], region="31")),
        ("50 SKUs, counted now", lambda: queries.pool_view(at=moment[0], sku_ids=fifty)),
        (f"all {skus} SKUs", lambda: queries.pool_view(at=moment[0], size=skus)),
        ("sku_view", lambda: queries.sku_view(sku_id=sku_id, at=moment[0])),
        ("node_view", lambda: queries.node_view(node_id=node_id, at=moment[0])),
        (f"all {skus} SKUs, counted now", lambda: queries.pool_view(at=moment[0] + timedelta(hours=2), size=skus)),
    ):
        ground.say(f"{name:<34} {times(once)}")
    ground.say(f"{'tick count_pool':<34} {times(next_tick, 10)}")
    ground.say(f"{'tick publish_due, nothing changed':<34} {times(lambda: actions.publish_due(at=moment[0]), 10)}")


if __name__ == "__main__":
    if connection.vendor != "postgresql":
        sys.exit("set DATABASE_URL=postgres://…: the comparison is about PostgreSQL")
    database = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300, int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
    finally:
        connection.creation.destroy_test_db(database, verbosity=0)
