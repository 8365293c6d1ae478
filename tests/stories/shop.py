"""What the stories share: a small brand in a database of its own, the platforms, and people with clients."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import connect

from tests.platforms import wecom
from tests.platforms.doudian import APP_KEY, APP_SECRET, SHOP, DoudianPlatform
from tests.platforms.wecom import AES_KEY, CORP_ID, TOKEN, Api, WeCom
from tests.processes.world import World, until, world

PASSWORD = "story-password"
OWNER_PHONE, FINANCE_PHONE = "13900010001", "13800000003"

_SEED = """
from datetime import time
from django.utils import timezone
from dealers.divisions import actions as divisions
from dealers.models import *
from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.models import *
from orders.models import *
from bots.models import ChatIdentity
at = timezone.now()
divisions.load_divisions(at=at)
hours = dict(opens_at=time(0, 0), closes_at=time(23, 59))
dealer = Dealer.objects.create(code="D001", name="苏州安居", tier="gold", division_code="320506", **hours)
for skill in ("deliver", "install:furniture"):
    Skill.objects.create(dealer=dealer, code=skill)
ServiceArea.objects.create(dealer=dealer, division_code="3205")
owner = Staff.objects.create_user("{owner}", "{password}", name="陈老板", role="owner", dealer=dealer)
Staff.objects.create_user("{finance}", "{password}", name="周会计", role="finance", is_staff=True)
ChatIdentity.objects.create(platform="wecom", tenant="{corp}", user_id="chenlaoban", staff=owner)
facts = dict(category="furniture", weight_g=60000, install_skill="install:furniture", supply_price_fen=60000)
sofa = Sku.objects.create(code="SKU-SOFA", name="云朵沙发", **facts)
ProductPart.objects.create(product=Product.objects.create(code="SOFA", name="云朵沙发"), sku=sofa)
place = dict(division_code="320506", lng=120.63, lat=31.26)
node = Node.objects.create(code="D001-W", name="苏州安居仓", kind="dealer", dealer=dealer, **place)
Node.objects.create(code="HQ", name="总部仓", kind="hq", division_code="440606", lng=113.29, lat=22.80)
ledger.post(movements=[NewMovement(node.pk, sofa.pk, "receipt", 20, "seed", "期初")], actor="test", at=at)
rules = RuleSet.objects.create(name="默认", version=1, state="published", created_at=at, published_at=at)
for kind in ("hq", "region", "dealer", "store"):
    FreightRate.objects.create(rule_set=rules, kind=kind, first_fen=1500, step_fen=60, km_fen=100)
    InstallRate.objects.create(rule_set=rules, kind=kind, fee_fen=6000)
ladder = LadderPolicy.objects.create(name="默认")
LadderStep.objects.create(policy=ladder, position=1, target="territory", seconds=600)
LadderStep.objects.create(policy=ladder, position=2, target="hq", seconds=600)
dated = dict(effective_from=at.replace(year=2020), state="published")
SplitRule.objects.create(code="SVC", name="服务费", component="service_fee", mode="fixed", amount_fen=2000, **dated)
SplitRule.objects.create(code="COM", name="佣金", component="commission", mode="percent", percent="6", **dated)
SplitRule.objects.create(code="DIFF", name="差价", component="price_diff", mode="price_diff", percent="30", **dated)
keys = dict(app_key="{key}", app_secret="{secret}", access_token="t", api_base="{platform}")
ChannelAccount.objects.create(channel="doudian", shop="{shop}", name="旗舰店", **keys)
"""


class Http:
    """One person's (or platform's) plain HTTP client."""

    def __init__(self, base: str) -> None:
        self.base, self.token = base, ""

    def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        data = raw if raw is not None else (orjson.dumps(body) if body is not None else None)
        headers.setdefault("Content-Type", "application/json")
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert status < 300, (status, answer.decode())
        return orjson.loads(answer) if answer else None

    def login(self, phone: str) -> "Http":
        self.token = self.json("POST", "/api/login", {"phone": phone, "password": PASSWORD})["token"]
        return self


class Story:
    """The running system, seen from outside."""

    def __init__(self, here: World, doudian: DoudianPlatform, api: Api) -> None:
        self.here, self.doudian, self.api, self.wecom = here, doudian, api, WeCom()
        self.base = f"http://127.0.0.1:{here.port}"
        self.frames: list[dict[str, Any]] = []

    def person(self, phone: str) -> Http:
        return Http(self.base).login(phone)

    def push(self, *messages: dict[str, Any]) -> None:
        body, headers = self.doudian.push(*messages)
        status, answer = Http(self.base).call("POST", "/channels/doudian/push", raw=body, **headers)
        assert (status, json.loads(answer)["code"]) == (200, 0)

    def chat(self, text: str, msg_id: str) -> None:
        """The owner types to the WeCom app."""
        now = int(datetime.now(UTC).timestamp())
        encrypted = self.wecom.encrypt(self.wecom.text("chenlaoban", text, msg_id=msg_id, at=now))
        path = f"/callbacks/wecom/?{urlencode(self.wecom.query(encrypted, at=now))}"
        status, answer = Http(self.base).call(
            "POST", path, raw=self.wecom.envelope(encrypted).encode(), **{"Content-Type": "text/xml"}
        )
        assert status == 200, answer

    def replies(self) -> list[str]:
        return [body["text"]["content"] for body in self.api.bodies("message/send") if body.get("msgtype") == "text"]

    def listen(
        self, person: Http, cursor: str, what: Callable[[dict[str, Any]], bool], seconds: float = 20
    ) -> list[dict[str, Any]]:
        """Frames of a person's socket from a cursor until one satisfies `what`."""

        async def run() -> list[dict[str, Any]]:
            ticket = person.json("POST", "/api/socket-ticket", {})["ticket"]
            frames: list[dict[str, Any]] = []
            async with connect(f"{self.base.replace('http', 'ws')}/ws/feed?ticket={ticket}&cursor={cursor}") as line:
                async with asyncio.timeout(seconds):
                    async for text in line:
                        frames.append(orjson.loads(text))
                        if what(frames[-1]):
                            break
            return frames

        return asyncio.run(run())

    def ask(self, code: str) -> Any:
        """Read the truth for the final comparison, as JSON printed by a shell."""
        return json.loads(self.here.python(f"import json\n{code}").strip().splitlines()[-1])


@contextmanager
def opened(folder: Path, database_url: str, redis_url: str, *mode: str) -> Iterator[Story]:
    """A seeded system that runs, with both platforms beside it."""
    with world(folder, database_url) as here, DoudianPlatform().serving() as doudian, wecom.serve() as api:
        here.environment |= {
            "WECOM_CORP_ID": CORP_ID, "WECOM_AGENT_ID": "1000002", "WECOM_SECRET": "s", "WECOM_TOKEN": TOKEN,
            "WECOM_AES_KEY": AES_KEY, "WECOM_API_BASE": api.base, "LOG_LEVEL": "WARNING",
        }  # fmt: skip
        if redis_url:
            here.environment["REDIS_URL"] = redis_url
        words = {"owner": OWNER_PHONE, "finance": FINANCE_PHONE, "password": PASSWORD, "corp": CORP_ID, "shop": SHOP}
        seed = _SEED
        for name, value in {**words, "key": APP_KEY, "secret": APP_SECRET, "platform": doudian.url}.items():
            seed = seed.replace("{" + name + "}", value)
        here.python(seed)
        here.start(*mode)
        yield Story(here, doudian, api)


__all__ = ["FINANCE_PHONE", "OWNER_PHONE", "Http", "Story", "opened", "until"]
