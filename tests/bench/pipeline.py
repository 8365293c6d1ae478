"""From a stored message to an open offer, beside bare prepared statements that write the same rows.

Run: [DATABASE_URL=postgres://…] python -m tests.bench.pipeline [single|burst|hot|growth …] [--orders N]
[--workers 1,4,16] [--brief]

Messages are stored before the clock starts. Workers are processes that start together; each loops
over `digest_messages` and the relay of order.placed until nothing is left. Only the network is
left out: the channel's answers are in memory (what asking costs is printed by itself).
"""

import argparse
import json
import multiprocessing
import os
import queue
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.bench import ground

ground.stand()

import django  # noqa: E402

django.setup()

from django.db import connection, connections  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.utils import timezone  # noqa: E402

from dealers.divisions import queries as divisions_queries  # noqa: E402
from dealers.settlement import queries as settlement_queries  # noqa: E402
from oms_project import events  # noqa: E402
from oms_project.demo import brand, platform, playing  # noqa: E402
from oms_project.journal import actions as journal  # noqa: E402
from oms_project.journal.models import Delivery, Entry  # noqa: E402
from oms_project.journal.subscription import Subscription  # noqa: E402
from orders.dispatch import actions as dispatch  # noqa: E402
from orders.dispatch import queries as dispatch_queries  # noqa: E402
from orders.intake import actions as intake  # noqa: E402
from orders.intake.adapters import doudian  # noqa: E402
from orders.models import ChannelAccount, Offer, Order, OrderHold, SourceMessage  # noqa: E402
from orders.routing import queries as routing_queries  # noqa: E402
from tests.bench import filler, raw  # noqa: E402
from tests.bench.ground import say  # noqa: E402

Details = dict[str, dict[str, Any]]
_forks = multiprocessing.get_context("fork")
_serial = count(1)
_details: Details = {}  # what the channel would answer; workers inherit it
_groups: list[raw.Group] = []
_open: list[Any] = []


@dataclass(frozen=True)
class Figures:
    """One measured run."""

    orders: int
    seconds: float
    worker_ms: float
    server_ms: float

    @property
    def rate(self) -> float:
        return self.orders / self.seconds


def details_of(number: int, *, hot: bool = False) -> Details:
    """Plain paid orders of the demo's livestream; `hot`: all want one unit of one SKU in one district."""
    teller, now = playing._storyteller(), int(time.time())
    made: Details = {}
    pattern: dict[str, Any] | None = None
    while len(made) < number:
        order_id = f"{now}{next(_serial):09d}"
        if teller.fate(order_id) != "plain":
            continue
        detail = made[order_id] = teller.detail(order_id, now)
        if hot:
            line = {
                **detail["sku_order_list"][0],
                "code": "AF-7102",
                "item_num": "1",
                "origin_amount": "35900",
                "pay_amount": "35900",
            }
            detail |= {"sku_order_list": [line], "order_amount": "35900", "pay_amount": "35900", "promotion_amount": "0"}
            pattern = pattern or {**detail["post_addr"], **_home()}
            detail["post_addr"] = {**detail["post_addr"], **pattern}
    return made


def _home() -> dict[str, Any]:
    return {
        "province": {"id": "320000", "name": "江苏省"},
        "city": {"id": "320500", "name": "苏州市"},
        "town": {"id": "320506", "name": "吴中区"},
    }


def store(details: Details) -> None:
    """Keep one message for each order, as the door does."""
    account = ChannelAccount.objects.get(shop=brand.SHOP)
    ids = list(details)
    for start in range(0, len(ids), 500):
        body = json.dumps([platform.message("101", order_id, order_status=2) for order_id in ids[start : start + 500]])
        intake.receive_push(account=account, messages=doudian.split_push(body.encode()), at=timezone.now())


def drain(limit: int) -> None:
    """What a worker does until nothing is left to digest or to route."""
    waiting = Subscription(events.OrderPlaced, dispatch.on_order_placed, batch=limit)
    while True:
        at = timezone.now()
        if not intake.digest_messages(at=at, limit=limit) + journal.relay_to(waiting, at=timezone.now()):
            return


def warm() -> None:
    """Read what a worker keeps in memory, as one that has been running for a while has done."""
    now = timezone.now()
    divisions_queries.gazetteer()
    routing_queries.routing_table(now)
    dispatch_queries.roster()
    settlement_queries.rules_in_force(now)


def _worker(body: Callable[[], None], gates: list[Any], told: Any) -> None:
    connections.close_all()
    doudian.fetch_order = lambda account, order_id: _details[order_id]
    warm()
    gates[0].wait()
    began, cpu = time.perf_counter(), time.process_time()
    body()
    told.put((began, time.perf_counter(), time.process_time() - cpu))
    gates[1].wait()  # keep the connection until the server's processor time was read
    connections.close_all()
    told.close()


def race(bodies: list[Callable[[], None]], orders: int) -> Figures:
    """Run the bodies in processes that start together."""
    connections.close_all()
    gates, told = [_forks.Barrier(len(bodies) + 1) for _ in range(2)], _forks.Queue()
    workers = [_forks.Process(target=_worker, args=(body, gates, told), daemon=True) for body in bodies]
    for worker in workers:
        worker.start()
    while any(gate.broken for gate in gates) or gates[0].n_waiting < len(bodies):
        time.sleep(0.02)
        if any(worker.exitcode for worker in workers):
            raise SystemExit("a worker died before it began")
    before = ground.server_seconds()
    gates[0].wait()
    spans: list[tuple[float, float, float]] = []
    while len(spans) < len(bodies):
        try:
            spans.append(told.get(timeout=1))
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise SystemExit("a worker died at work") from None
    after = ground.server_seconds()
    gates[1].wait()
    for worker in workers:
        worker.join()
    seconds = max(span[1] for span in spans) - min(span[0] for span in spans)
    cpu = sum(span[2] for span in spans)
    return Figures(orders, seconds, cpu * 1000 / orders, ground.used(before, after) * 1000 / orders)


def ours(workers: int, limit: int, number: int) -> Figures:
    figures = race([lambda: drain(limit)] * workers, number)
    left = SourceMessage.objects.filter(done_at=None).count()
    offered, routed = Offer.objects.filter(state="pending").count(), Order.objects.filter(state="routed").count()
    held = OrderHold.objects.select_related("order")
    for one in held:
        say(f"  held: {one.reason} {one.detail} {one.order.region}")
    if left or routed + len({one.order_id for one in held}) != number:
        states = dict(Order.objects.exclude(state="completed").values_list("state").annotate(Count("id")))
        why = Entry.objects.filter(name="order.unroutable").values_list("payload__reasons", flat=True).first()
        parked = Delivery.objects.filter(tries__gt=0).values_list("last_error", flat=True).first()
        raise SystemExit(f"not everything was routed: {left} messages left, {states}, {offered} offers; {why}; {parked}")
    return figures


def _write(groups: list[raw.Group]) -> None:
    line = ground.open_line()
    _open.append(line)  # stays open until the server's processor time was read
    writer = raw.Writer(line)
    for group in groups:
        writer.write(group)


def beside(workers: int, number: int) -> Figures:
    """The raw floor: the harvested groups, dealt out among the workers."""
    shares = [_groups[index::workers] for index in range(workers)]
    return race([lambda share=share: _write(share) for share in shares], number)


def measure(
    template: str, title: str, *, workers: int, limit: int, number: int, hot: bool = False, floor: bool = True
) -> Figures:
    """One line of the table: ours, then the floor, each on a fresh copy that holds the same messages."""
    with ground.clone(template, "yipan_bench_full") as full:
        _details.clear()
        _details.update(details_of(number, hot=hot))
        store(_details)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
        with ground.clone(full):
            mine = ours(workers, limit, number)
            if floor:
                with ground.open_line() as line:
                    _groups[:] = raw.harvest(line, limit)
        text = f"{title:<26}{workers:>3}{mine.rate:>9.0f}{mine.worker_ms:>8.2f}{mine.server_ms:>8.2f}"
        if floor:
            with ground.clone(full):
                bare = beside(workers, number)
            text += f"{bare.rate:>11.0f}{bare.worker_ms:>8.2f}{bare.server_ms:>8.2f}{mine.rate / bare.rate:>8.2f}"
    say(f"{text}   load {os.getloadavg()[0]:.1f}")
    return mine


def statements(template: str, limit: int, number: int) -> None:
    """What one order costs in statements, counted in this process, and of which kinds."""
    with ground.clone(template):
        _details.clear()
        _details.update(details_of(number + limit))
        store(_details)
        real, doudian.fetch_order = doudian.fetch_order, lambda account, order_id: _details[order_id]
        waiting = Subscription(events.OrderPlaced, dispatch.on_order_placed, batch=limit)
        seen: Counter[str] = Counter()

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            seen[sql.split()[0]] += 1
            return execute(sql, params, many, context)

        intake.digest_messages(at=timezone.now(), limit=limit)  # what is read once per process
        journal.relay_to(waiting, at=timezone.now())
        with connection.execute_wrapper(note):
            for _ in range(number // limit):
                intake.digest_messages(at=timezone.now(), limit=limit)
                journal.relay_to(waiting, at=timezone.now())
        doudian.fetch_order = real
        rounds = number // limit
        points = seen.pop("SAVEPOINT", 0) + seen.pop("RELEASE", 0)
        kinds = ", ".join(f"{kind} {amount / rounds:.1f}" for kind, amount in sorted(seen.items()))
        total = seen.total() / rounds
        say(
            f"statements per batch of {limit}: {total:.1f} ({kinds}); savepoints {points / rounds:.1f}; {total / limit:.2f} per order"
        )
        entries, due = Entry.objects.filter(name="offer.opened").count(), Delivery.objects.count()
        say(f"  offers opened {entries}, deliveries for others waiting {due}")


def asking() -> None:
    """What the network part costs that is left out: real calls of the adapter to a platform on loopback."""
    server = platform.DetailServer(playing._storyteller())
    server.start()
    account = ChannelAccount.objects.get(shop=brand.SHOP)
    account.api_base = f"http://127.0.0.1:{server.server_address[1]}"
    ids = [f"{int(time.time())}{number:09d}" for number in range(100)]
    doudian.fetch_order(account, ids[0])
    began, cpu = time.perf_counter(), time.process_time()
    for order_id in ids:
        doudian.fetch_order(account, order_id)
    wall, spent = (time.perf_counter() - began) * 10, (time.process_time() - cpu) * 10
    server.shutdown()
    say(f"left out: asking a platform on loopback for one order, {wall:.1f} ms ({spent:.1f} ms of processor, both ends)")


def growth(template: str, number: int, large: int) -> None:
    rates = []
    for stored in (1_000, large):
        with ground.clone(template, "yipan_bench_filled") as filled:
            began = time.perf_counter()
            filler.fill(stored)
            say(f"{stored:,} stored orders written in {time.perf_counter() - began:.0f} s")
            ground.use(template)
            rates.append(
                [
                    measure(filled, f"{stored:,} stored, one by one", workers=4, limit=1, number=number, floor=False),
                    measure(filled, f"{stored:,} stored, bursts", workers=4, limit=100, number=number * 2, floor=False),
                ]
            )
    for name, small, big in zip(("one by one", "bursts"), *rates, strict=True):
        cost = (big.worker_ms + big.server_ms) / (small.worker_ms + small.server_ms)
        say(f"growth, {name}: time ×{small.rate / big.rate:.2f}, processor ×{cost:.2f} (aim under 1.2)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline")
    parser.add_argument("what", nargs="*", default=[])
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--stored", type=int, default=200_000)
    parser.add_argument("--workers", default="1,4,16")
    parser.add_argument("--brief", action="store_true", help="small numbers: shows that it works")
    given = parser.parse_args()
    what = given.what or ["single", "burst", "hot", "growth"]
    number, crews = given.orders, [int(text) for text in given.workers.split(",")]
    if given.brief:
        number, crews, given.stored = 400, [4], 5_000
    say("== pipeline: from stored message to open offer")
    ground.describe()
    with ground.template() as template:
        with ground.clone(template):
            asking()
        for limit in (1, 100):
            statements(template, limit, 20 if limit == 1 else 300)
        say(f"{'':<26}{'':>3}{'ours':>9}{'worker':>8}{'PG':>8}{'raw':>11}{'worker':>8}{'PG':>8}{'ours/':>8}")
        say(f"{'':<26}{'C':>3}{'orders/s':>9}{'ms cpu':>8}{'ms cpu':>8}{'orders/s':>11}{'ms cpu':>8}{'ms cpu':>8}{'raw':>8}")
        for crew in crews:
            if "single" in what:
                measure(template, "one at a time", workers=crew, limit=1, number=number)
            if "burst" in what:
                measure(template, "bursts of 100", workers=crew, limit=100, number=number * 2)
            if "hot" in what:
                measure(template, "one at a time, hot SKU", workers=crew, limit=1, number=number, hot=True)
                measure(template, "bursts of 100, hot SKU", workers=crew, limit=100, number=number * 2, hot=True)
        if "growth" in what:
            growth(template, number, given.stored)
    ground.describe()


if __name__ == "__main__":
    try:
        main()
    finally:
        connections.close_all()
        ground.tear_down()
