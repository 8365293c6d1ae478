"""A real server on a file database: a burst through the tail reaches a listener complete and in order."""

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


@pytest.mark.slow
def test_a_burst_arrives_complete_and_in_order(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "YIPAN_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "oms_project.settings"}
    env.pop("DATABASE_URL", None)
    dealer_id, ticket = _run(_SETUP, env).split()
    command = [sys.executable, "-m", "uvicorn", "oms_project.asgi:application", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen([*command, "--ws", "websockets-sansio"], env=env)
    try:
        heard = asyncio.run(_listen(f"ws://127.0.0.1:{port}/ws/feed?ticket={ticket}", dealer_id, env))
    finally:
        server.terminate()
        server.wait(10)
    assert heard == [str(number) for number in range(BURST)]
