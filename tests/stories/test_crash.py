"""Killed at random moments during 500 orders: every order still reaches its end, once, and the books balance."""

import http.client
import json
import random
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from oms_project.demo import brand
from tests import servers
from tests.platforms.doudian import APP_KEY, APP_SECRET, SHOP, DoudianPlatform, line
from tests.processes.world import World, until, world

pytestmark = pytest.mark.slow
ORDERS = 500
_PREPARE = """
from dealers.models import Dealer
from orders.models import *
LadderStep.objects.update(seconds=4)
Dealer.objects.update(opens_at="00:00", closes_at="00:00")  # round the clock, so that the story may be told at night
account = ChannelAccount.objects.get()
account.app_key, account.app_secret, account.shop, account.api_base = "{key}", "{secret}", "{shop}", "{url}"
account.save()
"""
_STATES = """
import json
from collections import Counter
from orders.models import *
from oms_project.journal.models import *
print(json.dumps({
    "orders": Counter(Order.objects.values_list("state", flat=True)),
    "dead": Delivery.objects.exclude(parked_at=None).count(),
    "waiting": Delivery.objects.count(),
    "parked": SourceMessage.objects.filter(outcome="parked").count(),
}))
"""
_TRUTH = """
import json
from collections import Counter
from dealers.models import *
from orders.models import *
works = FulfillmentOrder.objects.filter(state="completed")
accepted = Counter(Offer.objects.filter(state="accepted").values_list("work_id", flat=True))
print(json.dumps({
    "orders": Order.objects.count(),
    "numbers": Order.objects.values("external_id").distinct().count(),
    "twice accepted": sum(1 for count in accepted.values() if count > 1),
    "dealers work": works.exclude(dealer=None).count(),
    "accrued": LedgerEntry.objects.filter(kind="accrual").count(),
    "paid": sum(offer.income_fen for offer in Offer.objects.filter(state="accepted")),
    "owed": -sum(LedgerLine.objects.filter(account__code__startswith="payable:dealer:").values_list("amount_fen", flat=True)),
}))
"""


@pytest.fixture(params=["sqlite, one process", "postgres, several"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, str]]:
    if request.param.startswith("sqlite"):
        with world(tmp_path) as here:
            yield here, "--embedded"
    else:
        with servers.postgres() as url, world(tmp_path, url) as here:
            yield here, "--split"


def make_orders(platform: DoudianPlatform, luck: random.Random) -> list[str]:
    """Orders all over the dealers' districts, but not in the one whom nobody plays here."""
    codes = [code for code, *_ in brand.GOODS]
    homes = [home for _, home, _, _ in brand.DEALERS[1:] if not home.endswith("00")]
    numbers = []
    for _ in range(ORDERS):
        home = luck.choice(homes)
        place = {"province": {"id": f"{home[:2]}0000"}, "city": {"id": f"{home[:4]}00"}, "town": {"id": home}}
        sold = [line(luck.choice(codes), paid_fen=luck.randint(10_000, 500_000)) for _ in range(luck.choice([1, 1, 1, 2]))]
        paid = str(int(time.time()) - 60)
        times = {"create_time": paid, "pay_time": paid, "update_time": paid}
        numbers.append(platform.order(*sold, post_addr={**place, "detail": "测试路1号"}, **times))
    return numbers


def push_until_taken(here: World, platform: DoudianPlatform, numbers: list[str]) -> None:
    """What the platform does: repeat a push until it is acknowledged."""
    for start in range(0, len(numbers), 5):
        body, headers = platform.push(*(platform.message("101", number) for number in numbers[start : start + 5]))
        request = urllib.request.Request(
            f"http://127.0.0.1:{here.port}/channels/doudian/push",
            data=body,
            headers={**headers, "Content-Type": "application/json"},
        )
        for _ in range(200):
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    assert json.loads(answer.read())["code"] == 0
                    break
            except (OSError, http.client.HTTPException):  # refused, or killed in the middle of its answer
                time.sleep(0.2)
        else:
            raise AssertionError("a push was never taken")
        time.sleep(0.1)


def kill_something(here: World, luck: random.Random, mode: str) -> str:
    """kill -9 of the whole (it is started again), or in the split mode of one kind of child, or of all children."""
    assert here.process
    victim = luck.choice(["web", "work", "queue", "both"]) if mode == "--split" else "all"
    if victim == "all":
        here.process.send_signal(signal.SIGKILL)
        here.process.wait()
        here.start(mode)
        return victim
    wanted = {"web", "work"} if victim == "both" else {victim}
    for child in psutil.Process(here.pid).children():
        if wanted & set(child.cmdline()):
            child.kill()
    return victim


def test_kills_at_random_moments_cost_time_and_nothing_else(system: tuple[World, str]) -> None:
    here, mode = system
    luck = random.Random(20261125)
    here.environment |= {"YIPAN_DEMO": "1", "YIPAN_LIVESTREAM": "0", "YIPAN_DEMO_PACE": "0.02", "LOG_LEVEL": "WARNING"}
    with DoudianPlatform().serving() as platform:
        assert here.manage("seed_demo").returncode == 0
        prepare = _PREPARE
        for name, value in {"key": APP_KEY, "secret": APP_SECRET, "shop": SHOP, "url": platform.url}.items():
            prepare = prepare.replace("{" + name + "}", value)
        here.python(prepare)
        numbers = make_orders(platform, luck)
        here.start(mode)
        pushing = threading.Thread(target=push_until_taken, args=(here, platform, numbers))
        pushing.start()
        kills = []
        while pushing.is_alive() or len(kills) < 6:
            time.sleep(luck.uniform(1, 3))
            kills.append(kill_something(here, luck, mode))
        pushing.join()

        def all_ended() -> bool:
            states = json.loads(here.python(_STATES))
            assert (states["dead"], states["parked"]) == (0, 0), here.log()[-3000:]
            return states["orders"].get("completed", 0) == ORDERS and not states["waiting"]

        until(all_ended, 200, f"all orders end after {kills}")
        truth = json.loads(here.python(_TRUTH))
        assert (truth["orders"], truth["numbers"], truth["twice accepted"]) == (ORDERS, ORDERS, 0)
        assert truth["accrued"] == truth["dealers work"] > ORDERS // 4
        assert truth["owed"] == truth["paid"] > 0
        audit, ledger = here.manage("stock_audit"), here.manage("ledger_verify")
        assert (audit.returncode, ledger.returncode) == (0, 0), audit.stdout + audit.stderr + ledger.stdout + ledger.stderr
