"""A draft with a row in every section, over the places and goods that it names."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from dealers.divisions import queries as divisions
from dealers.models import Dealer, Division, Staff
from orders.models import (
    AgeingCredit,
    ChannelAccount,
    DealerQuota,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderRule,
    PromiseClass,
    RuleSet,
    ShipCalendar,
)
from tests.conftest import NOON
from tests.make import SUZHOU_WUZHONG, make_dealer, make_node, make_sku, make_staff


@dataclass(frozen=True)
class World:
    """An administrator, a dealer with a store, and a draft without faults."""

    boss: Staff
    dealer: Dealer
    draft: RuleSet


def make_set(version: int = 1, *, at: datetime = NOON, **fields: Any) -> RuleSet:
    return RuleSet.objects.create(version=version, **{"name": "规则", "created_at": at, **fields})


def make_world(at: datetime = NOON) -> World:
    province = Division.objects.create(code="320000", name="江苏省", level=1)
    city = Division.objects.create(code="320500", name="苏州市", level=2, parent=province)
    Division.objects.create(code=SUZHOU_WUZHONG, name="吴中区", level=3, parent=city, lng=120.63, lat=31.26)
    Division.objects.create(code="320599", name="旧区", level=3, parent=city, valid_to=at.date())
    divisions.forget()
    dealer = make_dealer("D001", tier="gold")
    make_node(dealer, code="N-S", kind="store")
    make_node(dealer, code="N-D")
    make_node(code="N-HQ")
    make_sku("SOFA", category="furniture")
    ChannelAccount.objects.create(channel="doudian", shop="1001", name="旗舰店", app_key="key", app_secret="secret-key")
    draft = make_set(at=at, split_fee_fen=700, note="初版")
    fill(draft)
    return World(make_staff(), dealer, draft)


def fill(draft: RuleSet) -> None:
    """One believable row or two in each section."""
    PromiseClass.objects.create(rule_set=draft, code="hours", name="小时达", days=0, is_hard=True, max_km=5, kinds=["store"])
    PromiseClass.objects.create(rule_set=draft, code="standard", name="标准", days=4)
    NodeGroup.objects.create(rule_set=draft, code="gold", name="金牌", tiers=["gold"])
    NodeGroup.objects.create(rule_set=draft, code="hq", name="总部", nodes=["N-HQ"])
    OrderRule.objects.create(
        rule_set=draft, position=20, name="直播", is_live=True, never_groups=["hq"], keeps_bundles=True, on_unroutable="split"
    )
    OrderRule.objects.create(
        rule_set=draft, position=10, name="苏州小时达", promise="hours", channels=["doudian"], shops=["1001"], divisions=["3205"],
        products=["SOFA"], categories=["furniture"], tags=["VIP"], is_live=False, only_groups=["gold"], max_packages=1, max_km=5,
        late_fen_per_day=9900, cancel_after_hours=8, same_province=True,
    )  # fmt: skip
    FreightRate.objects.create(rule_set=draft, first_fen=1200, step_fen=200, base_days=1)
    FreightRate.objects.create(
        rule_set=draft, kind="store", first_fen=800, step_fen=0, km_fen=100, base_days=0, km_per_day=300, max_km=30
    )
    FreightRate.objects.create(rule_set=draft, division="32", group="gold", first_fen=900, step_fen=100, base_days=1)
    InstallRate.objects.create(rule_set=draft, kind="dealer", skill="install:furniture", fee_fen=6500)
    ShipCalendar.objects.create(
        rule_set=draft, kind="hq", weekdays="12345", cutoff=time(16), holidays=["2026-10-01", "2026-10-02"]
    )
    DealerQuota.objects.create(rule_set=draft, dealer_code="D001", percent=30, fen_per_point=150)
    AgeingCredit.objects.create(rule_set=draft, category="furniture", older_than_days=90, fen_per_unit=1500)
    AgeingCredit.objects.create(rule_set=draft, is_overstock=True, fen_per_unit=500)
