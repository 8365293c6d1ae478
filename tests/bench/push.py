"""Signed pushes over HTTP until they are acknowledged, beside the bare insert of the same rows.

Run: [DATABASE_URL=postgres://…] python -m tests.bench.push [seconds] [clients]

The real server runs as `serve --split --web 2` with its worker; clients are keep-alive connections,
dealt out among four processes, each posting an array of one message after the other. An
acknowledged message is committed. The platform cannot be reached, so that digesting, which has a
benchmark of its own, stays small.
"""

import hashlib
import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from tests.bench import ground

ground.stand()

import django  # noqa: E402

django.setup()

from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from oms_project.demo import brand, platform  # noqa: E402
from orders.intake.actions import _row  # noqa: E402
from orders.intake.adapters import doudian  # noqa: E402
from orders.models import ChannelAccount, SourceMessage  # noqa: E402
from tests.bench.ground import say  # noqa: E402

PROCESSES = 4
_forks = multiprocessing.get_context("fork")
Spans = list[float]
Client = Callable[[int, float], Spans]  # (its number, when to stop) -> milliseconds of each answer


def body_of(client: int, serial: int) -> bytes:
    order_id = f"69{client:05d}{serial:012d}"
    return json.dumps([platform.message("101", order_id, order_status=2)], separators=(",", ":")).encode()


def over_http(port: int) -> Client:
    def run(client: int, until: float) -> Spans:
        line, spans, serial = http.client.HTTPConnection("127.0.0.1", port, timeout=30), [], 0
        while (began := time.perf_counter()) < until:
            serial += 1
            body = body_of(client, serial)
            digest = hashlib.md5(brand.APP_KEY.encode() + body + brand.APP_SECRET.encode()).hexdigest()
            headers = {"app-id": brand.APP_KEY, "event-sign": digest, "Content-Type": "application/json"}
            line.request("POST", "/channels/doudian/push", body, headers)
            answer = line.getresponse()
            told = answer.read()
            if answer.status != 200 or json.loads(told)["code"] != 0:
                raise SystemExit(f"refused: {answer.status} {told[:200]!r}")
            spans.append((time.perf_counter() - began) * 1000)
        return spans

    return run


def bare(account: ChannelAccount) -> Client:
    insert = (
        "INSERT INTO orders_sourcemessage (account_id, message_key, tag, external_id, body_sealed, received_at, due_at, done_at, "
        "outcome, last_error, detail_sealed, tries) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '', 0)"
    )

    def run(client: int, until: float) -> Spans:
        spans, serial = [], 0
        row = _row(doudian.split_push(body_of(client, 1))[0], account, account, timezone.now())
        with ground.open_line(prepare_threshold=0) as line:
            while (began := time.perf_counter()) < until:
                serial += 1
                line.execute(insert, [row[0], f"raw:{client}:{serial}", *row[2:]])
                spans.append((time.perf_counter() - began) * 1000)
        return spans

    return run


def _process(client: Client, numbers: list[int], start: float, until: float, told: Any) -> None:
    spans: Spans = []
    time.sleep(max(0.0, start - time.perf_counter()))

    def one(number: int) -> None:
        spans.extend(client(number, until))

    threads = [Thread(target=one, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(spans)
    told.close()


def measure(client: Client, clients: int, seconds: float, first: int) -> Spans:
    """Milliseconds of every acknowledged message, sorted."""
    connections.close_all()
    told, start = _forks.Queue(), time.perf_counter() + 0.5
    workers = [
        _forks.Process(
            target=_process, args=(client, list(range(first + i, first + clients, PROCESSES)), start, start + seconds, told)
        )
        for i in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    spans = sorted(span for _ in workers for span in told.get(timeout=seconds + 60))
    for worker in workers:
        worker.join()
    return spans


def tell(name: str, spans: Spans, seconds: float) -> float:
    rate = len(spans) / seconds
    p50, p99 = spans[len(spans) // 2], spans[int(len(spans) * 0.99)]
    say(f"{name:<28}{rate:>8.0f} /s   p50 {p50:>6.1f} ms   p99 {p99:>6.1f} ms   load {os.getloadavg()[0]:.1f}")
    return rate


def serve(database: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "serve", "--split", "--web", "2", "--port", str(port)]
    env = {**os.environ, "DATABASE_URL": ground.address_of(database), "YIPAN_DEMO": "0", "LOG_LEVEL": "ERROR"}
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    for _ in range(150):
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            line.request("POST", "/channels/doudian/push", b"[]", platform.sign_push(b"[]"))
            if line.getresponse().status == 200:
                return server, port
        except OSError:
            pass
        time.sleep(0.2)
    server.terminate()
    raise SystemExit("the server did not start")


def main(seconds: float = 10.0, clients: int = 16) -> None:
    say(f"== push: {clients} keep-alive clients, signed arrays of one message")
    ground.describe()
    with ground.template() as template, ground.clone(template) as name:
        account = ChannelAccount.objects.get(shop=brand.SHOP)
        stored = SourceMessage.objects.count()
        server, port = serve(name)
        try:
            measure(over_http(port), clients, 2.0, 10_000)  # threads and memories become warm
            before = SourceMessage.objects.count()
            spans = measure(over_http(port), clients, seconds, 20_000)
            kept = SourceMessage.objects.count() - before
        finally:
            server.terminate()
            server.wait(30)
        if kept != len(spans):
            raise SystemExit(f"{len(spans)} acknowledged but {kept} stored")
        rate = tell("acknowledged over HTTP", spans, seconds)
        floor = tell("bare insert, prepared", measure(bare(account), clients, seconds / 2, 30_000), seconds / 2)
        say(f"ratio {rate / floor:.2f}; every acknowledged message is stored ({kept} of {len(spans)}, {stored} before)")


if __name__ == "__main__":
    try:
        main(*[kind(text) for kind, text in zip((float, int), sys.argv[1:], strict=False)])
    finally:
        connections.close_all()
        ground.tear_down()
