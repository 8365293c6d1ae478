"""How fast stock is promised: `hold` beside the plain SQL that makes the same writes, in the same run.

One order per call, twenty (a burst as the workers route it) and five hundred; all on one hot SKU, and spread over 500.

Run: DATABASE_URL=postgres://… python -m tests.bench.reserve [seconds per measurement]
A scratch database (test_<name>) is made from the migrations and dropped afterwards. Clients are
processes, as workers are, on either side; all of them measure one way at a time, the ways in turn,
in three rounds. Rates are the median of the rounds and a ratio is the median of the rounds' ratios,
so that what else the machine does meanwhile is met by both sides.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import count
from multiprocessing import get_context
from statistics import median
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")

import django

django.setup()

import psycopg  # noqa: E402
from django.db import connection, connections  # noqa: E402

from inventory.ledger import actions as ledger  # noqa: E402
from inventory.ledger import queries  # noqa: E402
from inventory.ledger.rules import NewMovement  # noqa: E402
from inventory.reservations import actions as reservations  # noqa: E402
from inventory.reservations.rules import Place, Want  # noqa: E402
from tests.conftest import NOON  # noqa: E402
from tests.make import make_node, make_sku  # noqa: E402

BATCH = 20
BURST = 500
SPREAD = 500
ROUNDS = 3
ONE = (
    "WITH took AS (UPDATE inventory_level SET held = held + 1 WHERE node_id = %s AND sku_id = %s "
    "AND on_hand - held - safety_stock >= 1 RETURNING id) INSERT INTO inventory_reservation "
    "(level_id, bill, kind, quantity, state, held_at) SELECT id, %s, 'node', 1, 'open', now() FROM took"
)
MANY = (
    "WITH w AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS w (node_id, sku_id, bill)), "
    "need AS (SELECT node_id, sku_id, count(*) AS units FROM w GROUP BY 1, 2), "
    "row AS (SELECT l.id, need.* FROM need JOIN inventory_level l USING (node_id, sku_id) ORDER BY l.id FOR UPDATE OF l), "
    "took AS (UPDATE inventory_level l SET held = held + row.units FROM row WHERE l.id = row.id "
    "AND on_hand - held - safety_stock >= row.units RETURNING l.id, l.node_id, l.sku_id) INSERT INTO inventory_reservation "
    "(level_id, bill, kind, quantity, state, held_at) SELECT took.id, w.bill, 'node', 1, 'open', now() FROM w "
    "JOIN took USING (node_id, sku_id)"
)
_numbers = count(1)
_start: Any
Client = Callable[[], int]


def _bills(units: int, places: list[Place]) -> list[tuple[str, int, int]]:
    return [(f"O{os.getpid()}-{next(_numbers)}", *random.choice(places)) for _ in range(units)]


@cache
def _line() -> psycopg.Connection:
    """This process's connection without Django."""
    params = connection.get_connection_params()
    known = {key: params[key] for key in ("dbname", "user", "password", "host", "port") if params.get(key)}
    return psycopg.connect(**known, autocommit=True, prepare_threshold=1)


def ours(units: int) -> Callable[[list[Place]], Client]:
    """Orders of one unit each, so many in one call of the action."""

    def way(places: list[Place]) -> Client:
        return lambda: len(reservations.hold(wants=[Want(*bill, 1) for bill in _bills(units, places)], at=NOON))

    return way


def raw(units: int) -> Callable[[list[Place]], Client]:
    """The same writes as one prepared statement, without Django, a check for repetition or rules of sharing."""

    def way(places: list[Place]) -> Client:
        def once() -> int:
            bills, nodes, skus = zip(*_bills(units, places), strict=True)
            if units == 1:
                return _line().execute(ONE, [nodes[0], skus[0], bills[0]]).rowcount
            return _line().execute(MANY, [list(nodes), list(skus), list(bills)]).rowcount

        return once

    return way


WAYS = {
    "raw": raw(1),
    "hold": ours(1),
    f"raw×{BATCH}": raw(BATCH),
    f"hold×{BATCH}": ours(BATCH),
    f"raw×{BURST}": raw(BURST),
    f"hold×{BURST}": ours(BURST),
}


def client(places: list[Place], seconds: float) -> dict[str, list[float]]:
    """Reservations per second that this process makes each way, round by round, when the others do the same."""
    rates: dict[str, list[float]] = {label: [] for label in WAYS}
    clients = {label: way(places) for label, way in WAYS.items()}
    for once in clients.values():
        for _ in range(5):  # until the statement is prepared
            once()
    for _ in range(ROUNDS):
        for label, once in clients.items():
            _start.wait(60)
            made, began = 0, time.perf_counter()
            while (took := time.perf_counter() - began) < seconds:
                made += once()
            rates[label].append(made / took)
    return rates


def _begin(barrier: Any) -> None:
    global _start
    _start = barrier


def measure(places: list[Place], clients: int, seconds: float) -> dict[str, list[float]]:
    """Reservations per second of some processes together, by way and round."""
    connections.close_all()  # the processes must not share one
    fork = get_context("fork")
    with ProcessPoolExecutor(clients, fork, _begin, (fork.Barrier(clients),)) as pool:
        rates = [task.result() for task in [pool.submit(client, places, seconds) for _ in range(clients)]]
    return {label: [sum(each[label][n] for each in rates) for n in range(ROUNDS)] for label in WAYS}


def main(seconds: float) -> None:
    node = make_node().pk
    places = [(node, make_sku().pk) for _ in range(SPREAD)]
    stock = [NewMovement(*place, "receipt", 10_000_000, f"in:{place[1]}") for place in places]
    ledger.post(movements=stock, actor="bench", at=NOON)
    print(
        f"{'clients':>7} {'stock':<6}" + "".join(f"{name + ' /s':>13}" for name in WAYS) + f"   ours : raw        ×{BURST} : ×1"
    )
    for clients in (1, 4, 16):
        for name, some in (("one", places[:1]), (f"{SPREAD}", places)):
            rates = measure(some, clients, seconds)
            sides = list(rates.values())
            ratios = [
                median(ours / raw for raw, ours in zip(*pair, strict=True)) for pair in zip(sides[::2], sides[1::2], strict=True)
            ]
            gain = median(sides[-1]) / median(sides[1])
            print(
                f"{clients:>7} {name:<6}" + "".join(f"{median(rate):>13.0f}" for rate in sides)
                + "   " + "  ".join(f"{ratio:.2f}" for ratio in ratios) + f"   {gain:>9.0f}",
                flush=True,
            )  # fmt: skip
    print("drift:", len(queries.drift()))


if __name__ == "__main__":
    if connection.vendor != "postgresql":
        sys.exit("set DATABASE_URL=postgres://…: the comparison is about PostgreSQL")
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
