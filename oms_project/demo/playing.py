"""Keeps the demo moving: a livestream that sells and dealers who answer, each in a thread of its own."""

import json
import logging
import random
import threading
import time
from collections import deque

import requests
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from dealers.models import Division
from oms_project.demo import brand, dealers
from oms_project.demo.platform import DetailServer, Storyteller, message, sign_push
from orders.models import ChannelAccount

log = logging.getLogger("yipan.demo")
_PUSH_TIMEOUT_SECONDS = 5


class Playing:
    """The demo's moving parts; start() and stop() may be called once each."""

    def __init__(self, push_url: str) -> None:
        self._push_url = push_url
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._platform: DetailServer | None = None

    def start(self) -> None:
        if settings.DEMO_LIVESTREAM:
            self._platform = DetailServer(_storyteller())
            self._platform.start()
            ChannelAccount.objects.filter(app_key=brand.APP_KEY).update(api_base=self._platform.url)
            self._run(self._sell, "demo-livestream")
        if settings.DEMO_BOTS:
            self._run(self._answer, "demo-dealers")

    def stop(self) -> None:
        self._stopping.set()
        if self._platform:
            self._platform.shutdown()
            self._platform.server_close()
        for thread in self._threads:
            thread.join(_PUSH_TIMEOUT_SECONDS + 1)

    def _run(self, loop: object, name: str) -> None:
        thread = threading.Thread(target=loop, name=name, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _sell(self) -> None:
        """Sell at the wanted rate in small bursts, as livestreams do; some messages are told twice."""
        luck = random.Random()
        door, serial = requests.Session(), 0
        later: deque[tuple[float, dict[str, str]]] = deque()
        while not self._stopping.wait(luck.expovariate(settings.DEMO_ORDERS_PER_MINUTE / 60 / 2)):
            now, batch = int(time.time()), []
            for _ in range(luck.choice([1, 1, 2, 3, 3])):
                serial += 1
                order_id = f"{now}{serial % 10_000:04d}{luck.randint(0, 99_999):05d}"
                batch.append(message("101", order_id, order_status=2, pay_time=now))
                later.append((now + 61, message("106", order_id, order_status=4, cancel_time=now + 60)))
            while later and later[0][0] <= now:
                _, cancel = later.popleft()
                order_id = str(json.loads(cancel["data"])["p_id"])
                if self._platform and self._platform.storyteller.fate(order_id) == "cancel":
                    batch.append(cancel)
            if luck.random() < 0.1:
                batch.append(batch[0])
            self._push(door, batch)

    def _push(self, door: requests.Session, batch: list[dict[str, str]]) -> None:
        body = json.dumps(batch, ensure_ascii=False, separators=(",", ":")).encode()
        for _ in range(3):
            try:
                if door.post(self._push_url, data=body, headers=sign_push(body), timeout=_PUSH_TIMEOUT_SECONDS).ok:
                    return
            except requests.RequestException as error:
                log.info("demo push will be repeated: %s", type(error).__name__)
            if self._stopping.wait(1.0):
                return

    def _answer(self) -> None:
        while not self._stopping.wait(1.0):
            try:
                dealers.answer_offers(at=timezone.now())
                dealers.do_the_work(at=timezone.now())
            except Exception:
                log.exception("the demo's dealers stumbled")
            finally:
                close_old_connections()


def _storyteller() -> Storyteller:
    """Regions of the whole country by population, and those of the dealer whom the newcomer plays."""
    divisions = Division.objects.in_bulk()
    counties = [county for county in divisions.values() if county.level == Division.Level.COUNTY and county.population]
    regions = []
    for county in counties:
        city = divisions[county.parent_id] if county.parent_id else county
        province = divisions.get(f"{county.code[:2]}0000", city)
        regions.append((province.code, province.name, city.code, city.name, county.code, county.name))
    dealt = {division[:4] for _, division, _, _ in brand.DEALERS}
    weights = [county.population * (6 if county.code[:4] in dealt else 1) for county in counties]
    home = [region for region in regions if region[4][:4] == brand.DEALERS[0][1][:4]]
    return Storyteller(regions, weights, home)
