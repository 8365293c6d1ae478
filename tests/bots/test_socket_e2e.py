"""A real server on a file database: bursts, a client that stalls, a server that is killed; nobody misses an entry."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import websockets

BURST = 10_000
_SETUP = """
import django; django.setup()
from datetime import UTC, datetime
from django.core.management import call_command
call_command("migrate", verbosity=0)
from bots.miniapp.tickets import issue_ticket
from dealers.models import Dealer, Staff
dealer = Dealer.objects.create(code="D1", name="D1", division_code="320506")
staff = Staff.objects.create_user("13900000000", dealer=dealer, role="owner", name="o")
print(dealer.pk, issue_ticket(staff, datetime.now(UTC)))
"""
_BURST = """
import sys, django; django.setup()
from datetime import UTC, datetime
from django.db import transaction
from oms_project import events
from oms_project.journal import actions as journal
for start in range(0, int(sys.argv[2]), 500):
    with transaction.atomic():
        journal.record(*[events.StatementReady(statement_no=str(n), dealer_id=int(sys.argv[1]), closing_fen=1)
                         for n in range(start, start + 500)], actor="t", at=datetime.now(UTC))
"""


def _run(code: str, env: dict[str, str], *args: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *args], env=env, check=True, capture_output=True, text=True).stdout


async def _listen(url: str, dealer_id: str, env: dict[str, str]) -> list[str]:
    for _ in range(100):
        try:
            line = await websockets.connect(url)
            break
        except OSError:
            await asyncio.sleep(0.1)
    heard: list[str] = []
    async with line:
        assert orjson.loads(await line.recv())["type"] == "hello"
        burst = asyncio.create_task(asyncio.to_thread(_run, _BURST, env, dealer_id, str(BURST)))
        while len(heard) < BURST:
            heard.append(orjson.loads(await asyncio.wait_for(line.recv(), 20))["payload"]["statement_no"])
        await burst
    return heard


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _world(folder: Path) -> dict[str, str]:
    env = {**os.environ, "YIPAN_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "oms_project.settings"}
    env.pop("DATABASE_URL", None)
    return env


def _serve(port: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "uvicorn", "oms_project.asgi:application", "--port", str(port), "--log-level", "error"]
    return subprocess.Popen([*command, "--ws", "websockets-sansio"], env=env)


@pytest.mark.slow
def test_a_burst_arrives_complete_and_in_order(tmp_path: Path) -> None:
    port, env = _free_port(), _world(tmp_path)
    dealer_id, ticket = _run(_SETUP, env).split()
    server = _serve(port, env)
    try:
        heard = asyncio.run(_listen(f"ws://127.0.0.1:{port}/ws/feed?ticket={ticket}", dealer_id, env))
    finally:
        server.terminate()
        server.wait(10)
    assert heard == [str(number) for number in range(BURST)]


_TICKETS = """
import sys, django; django.setup()
from datetime import UTC, datetime
from bots.miniapp.tickets import issue_ticket
from dealers.models import Staff
print(*[issue_ticket(Staff.objects.get(), datetime.now(UTC)) for _ in range(int(sys.argv[1]))])
"""
_HEAVY = """
import sys, time, django; django.setup()
from datetime import UTC, datetime
from django.db import transaction
from oms_project import events
from oms_project.journal import actions as journal
dealer_id, count, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
for start in range(0, count, 100):
    with transaction.atomic():
        journal.record(*[events.StatementReady(statement_no="x" * 4000, dealer_id=dealer_id, closing_fen=n)
                         for n in range(start, start + 100)], actor="t", at=datetime.now(UTC))
    time.sleep(pause)
"""
_TABLE = """
import django; django.setup()
from oms_project.journal.models import Entry
print(*[f"{xid}-{pk}" for xid, pk in Entry.objects.order_by("xid", "id").values_list("xid", "id")])
"""


class Listener:
    """A client that keeps its last cursor and comes back with it, as the mini program does."""

    def __init__(self, port: int, tickets: list[str]) -> None:
        self.port, self.tickets = port, tickets
        self.cursors: list[str] = []
        self.codes: list[int | None] = []

    async def connect(self) -> websockets.ClientConnection:
        cursor = self.cursors[-1] if self.cursors else "0-0"
        url = f"ws://127.0.0.1:{self.port}/ws/feed?ticket={self.tickets.pop()}&cursor={cursor}"
        for _ in range(200):
            thin = socket.socket()
            thin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            try:
                thin.connect(("127.0.0.1", self.port))
                return await websockets.connect(url, sock=thin, max_queue=1, ping_interval=None, compression=None)
            except (OSError, websockets.InvalidMessage):
                thin.close()
                await asyncio.sleep(0.05)
        raise TimeoutError("the server does not come back")

    async def hear(self, line: websockets.ClientConnection, until: int) -> bool:
        """Listen until so many entries are heard; False when the line ended before."""
        while len(self.cursors) < until:
            try:
                said = orjson.loads(await asyncio.wait_for(line.recv(), 30))
            except websockets.ConnectionClosed:
                self.codes.append(line.close_code)
                return False
            if "name" in said:
                self.cursors.append(said["cursor"])
        await line.close()
        return True

    async def follow(self, until: int) -> None:
        while not await self.hear(await self.connect(), until):
            pass


async def _outlive(port: int, env: dict[str, str], dealer_id: str, servers: list[subprocess.Popen[bytes]]) -> None:
    heavy, more = 6_000, 2_000
    tickets = _run(_TICKETS, env, "30").split()
    steady, stalls = Listener(port, tickets[:15]), Listener(port, tickets[15:])
    line = await stalls.connect()  # and does not read
    following = asyncio.create_task(steady.follow(heavy))
    await asyncio.to_thread(_run, _HEAVY, env, dealer_id, str(heavy), "0")
    await asyncio.wait_for(following, 60)
    assert not await stalls.hear(line, heavy), "a client that did not read 24 MB was kept"
    assert len(stalls.cursors) < heavy
    assert stalls.codes[-1] in {4409, 1006}
    await asyncio.wait_for(stalls.follow(heavy), 60)

    both = [asyncio.create_task(one.follow(heavy + more)) for one in (steady, stalls)]
    writing = asyncio.create_task(asyncio.to_thread(_run, _HEAVY, env, dealer_id, str(more), "0.1"))
    while min(len(steady.cursors), len(stalls.cursors)) < heavy + more // 4:
        await asyncio.sleep(0.01)
    servers[-1].kill()
    servers[-1].wait()
    servers.append(_serve(port, env))
    await writing
    await asyncio.wait_for(asyncio.gather(*both), 60)
    assert steady.codes, "the server was not killed in the middle"
    table = (await asyncio.to_thread(_run, _TABLE, env)).split()
    assert len(table) == heavy + more
    assert steady.cursors == table
    assert stalls.cursors == table


@pytest.mark.slow
def test_a_stalled_client_and_a_killed_server_cost_no_entry(tmp_path: Path) -> None:
    port, env = _free_port(), _world(tmp_path)
    dealer_id, _ = _run(_SETUP, env).split()
    servers = [_serve(port, env)]
    try:
        asyncio.run(_outlive(port, env, dealer_id, servers))
    finally:
        servers[-1].terminate()
        servers[-1].wait(10)
