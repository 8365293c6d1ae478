"""A day of orders on known stock, for simulations."""

from datetime import datetime, timedelta
from typing import Any

from dealers.divisions import queries as divisions
from dealers.models import Division
from orders.models import FreightRate, Order, RuleSet
from orders.routing import queries as routing
from tests.make import SUZHOU_WUZHONG, make_order
from tests.orders.dispatch_world import World, make_world


def make_days(on_hand: int = 10) -> World:
    """The world of dispatch, in a country that has this one district."""
    made = make_world(on_hand)
    province = Division.objects.create(code="320000", name="江苏省", level=1)
    city = Division.objects.create(code="320500", name="苏州市", level=2, parent=province)
    Division.objects.create(code=SUZHOU_WUZHONG, name="吴中区", level=3, parent=city, lng=120.63, lat=31.26)
    divisions.forget()
    routing.forget()
    return made


def make_draft(at: datetime, *, hq_fen: int = 1000, dealer_fen: int = 1000, **terms: Any) -> RuleSet:
    """A draft with one freight rate for HQ's places and one for dealers'."""
    draft = RuleSet.objects.create(name="草稿", version=2, created_at=at, **terms)
    for kind, first_fen in (("hq", hq_fen), ("dealer", dealer_fen)):
        FreightRate.objects.create(rule_set=draft, kind=kind, first_fen=first_fen, step_fen=100, km_fen=10)
    return draft


def sell(world: World, at: datetime, count: int, *, apart: timedelta = timedelta(minutes=10), **fields: Any) -> list[Order]:
    """Orders of one sofa each, the first at `at`, already routed."""
    fields = {"state": "routed", **fields}
    return [make_order(world.sofa, at=at + number * apart, **fields) for number in range(count)]
