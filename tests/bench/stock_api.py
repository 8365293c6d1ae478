"""Batches of 5,000 stock rows over HTTP until they are answered, beside the bare SQL of the same writes.

Run: [DATABASE_URL=postgres://…] python -m tests.bench.stock_api [seconds per measurement] [rows per batch]

The real server runs as `serve --split` with its worker; one client posts one batch after the other
over a keep-alive connection. Every row is new and moves its place, so nothing is answered from
memory. The bare way writes the same movements and stock rows in one transaction per batch with
prepared statements; it checks nothing but locks the rows. Afterwards the books are compared.
"""

import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import orjson

from tests.bench import ground, push
from tests.bench.ground import say

import django  # isort: skip

django.setup()

from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from inventory.ledger import queries as ledger  # noqa: E402
from inventory.models import Level, Movement, Node, Sku  # noqa: E402
from inventory.partners import actions as partners  # noqa: E402

NODES, SKUS = 10, 500
Batch = list[dict[str, Any]]
Post = Callable[[Batch], None]
_batches, _keys = count(1), count(1)


def furnish() -> tuple[list[str], list[str]]:
    """Codes of fresh places and goods, every pair with a stock row."""
    nodes = Node.objects.bulk_create(
        [Node(code=f"BN{n:02d}", name=f"仓{n}", kind="region", division_code="320506", lng=120.6, lat=31.3) for n in range(NODES)]
    )
    skus = Sku.objects.bulk_create([Sku(code=f"BS{n:04d}", name=f"商品{n}") for n in range(SKUS)])
    Level.objects.bulk_create([Level(node=node, sku=sku) for node in nodes for sku in skus])
    return [node.code for node in nodes], [sku.code for sku in skus]


def movements(nodes: Sequence[str], skus: Sequence[str], rows: int) -> Iterator[Batch]:
    while True:
        yield [
            {"node": nodes[n % NODES], "sku": skus[n // NODES % SKUS], "kind": "receipt", "quantity": 1, "key": f"m{next(_keys)}"}
            for n in range(rows)
        ]


def figures(nodes: Sequence[str], skus: Sequence[str], rows: int) -> Iterator[Batch]:
    while True:
        units, at = 1_000_000 + next(_batches), timezone.now().isoformat()  # never what stands there already
        yield [
            {
                "node": nodes[n % NODES],
                "sku": skus[n // NODES % SKUS],
                "quantity": units,
                "measured_at": at,
                "key": f"f{next(_keys)}",
            }
            for n in range(rows)
        ]


def over_http(port: int, secret: str, path: str) -> Post:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def post(batch: Batch) -> None:
        while True:
            line.request("POST", f"/api/stock/{path}", orjson.dumps({"rows": batch}), headers)
            answer = line.getresponse()
            told = answer.read()
            if answer.status == 429:
                time.sleep(float(answer.headers["Retry-After"]))
                continue
            if answer.status != 200 or orjson.loads(told)["counts"]["done"] != len(batch):
                raise SystemExit(f"refused: {answer.status} {told[:300]!r}")
            return

    return post


def bare(kind: str) -> Post:
    """Lock, insert, update: the same rows by the driver alone."""
    line = ground.open_line(prepare_threshold=0)
    line.autocommit = False
    nodes, skus = dict(Node.objects.values_list("code", "id")), dict(Sku.objects.values_list("code", "id"))

    def post(batch: Batch) -> None:
        places = [[nodes[row["node"]] for row in batch], [skus[row["sku"]] for row in batch]]
        at = timezone.now()
        locked = line.execute(
            "SELECT l.node_id, l.sku_id, l.id, l.on_hand FROM unnest(%s::bigint[], %s::bigint[]) AS t (node_id, sku_id) "
            "JOIN inventory_level l USING (node_id, sku_id) ORDER BY l.id FOR UPDATE OF l",
            places,
        ).fetchall()
        standing = {(node, sku): (level, units) for node, sku, level, units in locked}
        found = [standing[place] for place in zip(*places, strict=True)]
        units = [row["quantity"] - (stood if kind == "report" else 0) for row, (_, stood) in zip(batch, found, strict=True)]
        line.execute(
            "INSERT INTO inventory_movement (node_id, sku_id, kind, quantity, source_key, reason, actor, moved_at) "
            "SELECT n, s, %s, u, k, '', 'bench', %s "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[]) AS t (n, s, u, k)",
            [kind, at, *places, units, [f"bare:{row['key']}" for row in batch]],
        )
        line.execute(
            "UPDATE inventory_level l SET on_hand = l.on_hand + t.u, reported_at = CASE WHEN %s THEN %s ELSE reported_at END "
            "FROM (SELECT i, sum(u)::bigint FROM unnest(%s::bigint[], %s::bigint[]) AS t (i, u) GROUP BY i) AS t (i, u) "
            "WHERE l.id = t.i",
            [kind == "report", at, [level for level, _ in found], units],
        )
        line.commit()

    return post


def measure(name: str, post: Post, batches: Iterator[Batch], seconds: float) -> float:
    """Rows per second, after two batches that are not counted."""
    for _ in range(2):
        post(next(batches))
    rows, spans, began = 0, [], time.perf_counter()
    while time.perf_counter() - began < seconds:
        batch, start = next(batches), time.perf_counter()
        post(batch)
        spans.append((time.perf_counter() - start) * 1000)
        rows += len(batch)
    rate = rows / (sum(spans) / 1000)
    spans.sort()
    say(
        f"{name:<28}{rate:>8.0f} rows/s   p50 {spans[len(spans) // 2]:>6.0f} ms   worst {spans[-1]:>6.0f} ms   {len(spans)} batches   load {os.getloadavg()[0]:.1f}"
    )
    return rate


def main(seconds: float = 8.0, rows: int = 5_000) -> None:
    say(f"== stock API: one client, batches of {rows} rows over {NODES * SKUS} places")
    ground.describe()
    with ground.template() as template, ground.clone(template) as name:
        nodes, skus = furnish()
        before = Movement.objects.count()
        key = partners.make_key(name="基准", dealer=None, may_read=True, may_write=True, actor="bench", at=timezone.now())
        server, port = push.serve(name)
        try:
            for path, kind, make in (("movements", "receipt", movements), ("levels", "report", figures)):
                batches = make(nodes, skus, rows)
                ours = measure(f"POST {path}", over_http(port, key.secret, path), batches, seconds)
                floor = measure("  bare SQL of the same", bare(kind), batches, seconds / 2)
                say(f"  ratio {ours / floor:.2f}")
        finally:
            server.terminate()
            server.wait(30)
        drift = [
            row for row in ledger.drift() if row.node_id in set(Node.objects.filter(code__in=nodes).values_list("id", flat=True))
        ]
        if drift:
            raise SystemExit(f"the books do not agree: {drift[:3]}")
        say(f"{Movement.objects.count() - before} movements, the books agree")


if __name__ == "__main__":
    try:
        main(*[kind(text) for kind, text in zip((float, int), sys.argv[1:], strict=False)])
    finally:
        connections.close_all()
        ground.tear_down()
