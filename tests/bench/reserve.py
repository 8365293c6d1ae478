"""How fast stock is promised: `hold` beside the plain SQL statement it cannot beat, in the same run.

Run: DATABASE_URL=postgres://… python -m tests.bench.reserve [seconds per measurement]
A scratch database (test_<name>) is made from the migrations and dropped afterwards. Ways are
measured in turn, two rounds, the better one counts; clients are threads of one process.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from itertools import count
from threading import Barrier, Thread

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
SPREAD = 500
RAW = (
    "WITH took AS (UPDATE inventory_level SET held = held + 1 WHERE node_id = %s AND sku_id = %s "
    "AND on_hand - held - safety_stock >= 1 RETURNING id) INSERT INTO inventory_reservation "
    "(level_id, bill, quantity, state, held_at) SELECT id, %s, 1, 'open', now() FROM took"
)
_numbers = count(1)
Client = Callable[[], int]


def ours(places: list[Place]) -> Client:
    """One order of one unit at a time, through the action."""
    return lambda: len(reservations.hold(wants=[Want(f"O{next(_numbers)}", *random.choice(places), 1)], at=NOON))


def ours_in_batches(places: list[Place]) -> Client:
    """Twenty orders in one call, as a burst is routed."""

    def once() -> int:
        wants = [Want(f"B{next(_numbers)}", *random.choice(places), 1) for _ in range(BATCH)]
        return len(reservations.hold(wants=wants, at=NOON))

    return once


def raw(places: list[Place]) -> Client:
    """The bare statement, prepared, without Django, without the check for repetition."""
    params = connection.get_connection_params()
    known = {key: params[key] for key in ("dbname", "user", "password", "host", "port") if params.get(key)}
    line = psycopg.connect(**known, autocommit=True, prepare_threshold=1)
    return lambda: line.execute(RAW, [*random.choice(places), f"R{next(_numbers)}"]).rowcount


def measure(way: Callable[[list[Place]], Client], places: list[Place], clients: int, seconds: float) -> float:
    """Reservations per second of some clients that start together."""
    barrier, made = Barrier(clients + 1), [0] * clients

    def body(number: int) -> None:
        once = way(places)
        once()
        barrier.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            made[number] += once()
        connections.close_all()

    threads = [Thread(target=body, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(made) / (time.perf_counter() - began)


def main(seconds: float) -> None:
    node = make_node().pk
    places = [(node, make_sku().pk) for _ in range(SPREAD)]
    stock = [NewMovement(*place, "receipt", 10_000_000, f"in:{place[1]}") for place in places]
    ledger.post(movements=stock, actor="bench", at=NOON)
    print(f"{'clients':>7} {'stock':<7} {'raw /s':>8} {'hold /s':>8} {'ratio':>6} {f'hold×{BATCH} /s':>11} {'ratio':>6}")
    for clients in (1, 4, 16):
        for name, some in (("one", places[:1]), (f"{SPREAD}", places)):
            best = [0.0, 0.0, 0.0]
            for _ in range(2):
                for index, way in enumerate((raw, ours, ours_in_batches)):
                    best[index] = max(best[index], measure(way, some, clients, seconds))
            plain, single, batch = best
            figures = f"{plain:>8.0f} {single:>8.0f} {single / plain:>6.2f} {batch:>11.0f} {batch / plain:>6.2f}"
            print(f"{clients:>7} {name:<7} {figures}", flush=True)
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
