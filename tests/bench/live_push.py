"""How long a committed fact takes to a dealer's socket: `python -m tests.bench.live_push [sockets] [events/s] [seconds]`.

Starts the server on a fresh SQLite file (or on DATABASE_URL, which must be empty), opens the
sockets as dealers, one dealer each, and commits facts from this process, one transaction each, for
a random dealer. The time is taken from just after the commit returned to the frame's arrival, and
both ends share one clock. The sockets share the machine's cores with the server.
"""

import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")
_folder = tempfile.TemporaryDirectory(prefix="yipan-bench-")
os.environ["YIPAN_VAR"] = _folder.name

import django  # noqa: E402

django.setup()

import orjson  # noqa: E402
import websockets  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from bots.miniapp.tickets import issue_ticket  # noqa: E402
from dealers.models import Dealer, Staff  # noqa: E402
from oms_project import events  # noqa: E402
from oms_project.journal import actions as journal  # noqa: E402
from oms_project.journal.bell import bell  # noqa: E402


def prepare(sockets: int) -> tuple[list[int], list[str]]:
    """Dealers with one person each, and a ticket for each."""
    call_command("migrate", verbosity=0)
    dealers = Dealer.objects.bulk_create(
        Dealer(code=f"B{number:04d}", name=f"B{number}", division_code="320506") for number in range(sockets)
    )
    staff = Staff.objects.bulk_create(
        Staff(phone=f"137{number:08d}", name="店员", role="clerk", dealer=dealer) for number, dealer in enumerate(dealers)
    )
    with transaction.atomic():
        tickets = [issue_ticket(person, datetime.now(UTC)) for person in staff]
    return [dealer.pk for dealer in dealers], tickets


async def open_all(port: int, tickets: list[str]) -> list[websockets.ClientConnection]:
    lines: list[websockets.ClientConnection] = []
    for ticket in tickets:
        for _ in range(200):
            try:
                lines.append(await websockets.connect(f"ws://127.0.0.1:{port}/ws/feed?ticket={ticket}", ping_interval=None))
                break
            except OSError:
                await asyncio.sleep(0.1)
    for line in lines:
        assert orjson.loads(await line.recv())["type"] == "hello"
    return lines


async def listen(line: websockets.ClientConnection, heard: list[tuple[int, float]]) -> None:
    async for frame in line:
        arrived = time.perf_counter()
        heard.append((orjson.loads(frame)["payload"]["closing_fen"], arrived))


def write(dealers: list[int], rate: int, seconds: int, committed: dict[int, float]) -> None:
    """Commit one fact every 1/rate seconds; late ones are not skipped."""
    luck, began = random.Random(1), time.perf_counter()
    for number in range(rate * seconds):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        with transaction.atomic():
            fact = events.StatementReady(statement_no=str(number), dealer_id=luck.choice(dealers), closing_fen=number)
            journal.record(fact, actor="bench", at=datetime.now(UTC))
        committed[number] = time.perf_counter()
    connection.close()


async def measure(port: int, dealers: list[int], tickets: list[str], rate: int, seconds: int) -> list[float]:
    lines = await open_all(port, tickets)
    committed: dict[int, float] = {}
    heard: list[tuple[int, float]] = []
    listeners = [asyncio.create_task(listen(line, heard)) for line in lines]
    await asyncio.sleep(1)
    await asyncio.to_thread(write, dealers, rate, seconds, committed)
    give_up = time.monotonic() + 15
    while len(heard) < len(committed) and time.monotonic() < give_up:
        await asyncio.sleep(0.05)
    for listener in listeners:
        listener.cancel()
    return sorted((arrived - committed[number]) * 1000 for number, arrived in heard)


def main(sockets: int = 500, rate: int = 100, seconds: int = 20) -> dict[str, Any]:
    dealers, tickets = prepare(sockets)
    connection.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "oms_project.asgi:application", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen([*command, "--ws", "websockets-sansio", "--loop", "uvloop", "--http", "httptools"])
    bell.start()
    try:
        waits = asyncio.run(measure(port, dealers, tickets, rate, seconds))
    finally:
        bell.stop()
        server.terminate()
        server.wait(10)
    at = {share: round(waits[min(len(waits) - 1, int(len(waits) * share / 100))], 1) for share in (50, 95, 99)}
    print(
        f"{connection.vendor}: {sockets} sockets, {rate} facts/s for {seconds} s: {len(waits)} of {rate * seconds} arrived; "
        f"commit to socket p50 {at[50]} ms, p95 {at[95]} ms, p99 {at[99]} ms, worst {waits[-1]:.1f} ms"
    )
    return {"arrived": len(waits), "sent": rate * seconds, **at}


if __name__ == "__main__":
    result = main(*[int(argument) for argument in sys.argv[1:4]])
    sys.exit(0 if result["arrived"] == result["sent"] else 1)
