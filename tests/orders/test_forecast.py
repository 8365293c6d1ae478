"""What will be scarce is kept for those who need it: foreseen at night, counted in every decision, told in every explanation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from dealers.models import Dealer, Division
from inventory.models import Level
from orders.dispatch import actions as dispatch
from orders.forecast import actions as forecast
from orders.models import Forecast, ForecastPrice, Order, Product, ProductPart, RoutingDecision
from orders.promise.queries import promise
from orders.promise.rules import Asked
from orders.rebalance import actions as rebalance
from orders.routing.telling import explain
from orders.scarcity import queries as scarcity
from tests.make import make_staff
from tests.orders.dispatch_world import forget, subscribed
from tests.orders.rebalance_world import Town, make_town, places, route

pytestmark = pytest.mark.django_db
PRICE_FEN = 8_000


@pytest.fixture
def town(db: None) -> Iterator[Town]:
    with subscribed():
        yield make_town()


def yesterday(town: Town, at: datetime, **fields: object) -> list[Order]:
    """Three orders from each district, done by now."""
    fields = {"state": "completed", "at": at - timedelta(hours=3), **fields}
    made = [town.near(**fields) for _ in range(3)] + [town.far(**fields) for _ in range(3)]
    for order in made:
        order.lines.update(fulfilled_quantity=1)
    return made


def price(town: Town, fen: int = PRICE_FEN, *, at: datetime, hours: int = 1) -> Forecast:
    """A price of this height on home's sofas."""
    made = Forecast.objects.create(orders=1, made_at=at, expires_at=at + timedelta(hours=hours), actor="test")
    ForecastPrice.objects.create(forecast=made, node=town.world.home_node, sku=town.sofa, fen=fen)
    scarcity.forget()
    return made


def test_what_yesterdays_orders_fought_for_gets_a_price(town: Town, at: datetime) -> None:
    yesterday(town, at)
    made = forecast.forecast_prices(actor="test", at=at)
    assert (made.source, made.orders, made.expires_at) == ("", 6, at + timedelta(hours=36))
    [scarce] = made.prices.all()
    assert (scarce.node, scarce.sku, scarce.dealer) == (town.world.home_node, town.sofa, None)
    assert scarce.fen == scarcity.scarcity(at).units[town.world.home_node.pk, town.sofa.pk] > 3_000


def test_nothing_is_scarce_where_there_is_enough(town: Town, at: datetime) -> None:
    Level.objects.update(on_hand=50)
    yesterday(town, at)
    made = forecast.forecast_prices(actor="test", at=at)
    assert (made.prices.count(), scarcity.scarcity(at).prices) == (0, None)


def test_a_dealers_day_may_be_scarce(town: Town, at: datetime) -> None:
    Level.objects.update(on_hand=50)
    Dealer.objects.filter(pk=town.world.home.pk).update(capacity_per_day=2)
    yesterday(town, at)
    [scarce] = forecast.forecast_prices(actor="test", at=at).prices.all()
    assert (scarce.dealer, scarce.node, scarce.sku) == (town.world.home, None, None)
    assert scarcity.scarcity(at).works == {town.world.home.pk: scarce.fen}


def test_only_orders_that_count_are_examples(town: Town, at: datetime) -> None:
    yesterday(town, at, state="cancelled")
    yesterday(town, at, state="held")
    yesterday(town, at, placed_at=at - timedelta(hours=25))
    with pytest.raises(forecast.NothingToGoBy, match="没有最近一天的订单"):
        forecast.forecast_prices(actor="test", at=at)
    assert Forecast.objects.count() == 0


def test_a_livestream_is_foreseen_by_another(town: Town, at: datetime) -> None:
    yesterday(town, at, live_session="LIVE-1", placed_at=at - timedelta(days=7))
    made = forecast.forecast_prices(actor="test", at=at, live_session="LIVE-1", valid_hours=5)
    assert (made.source, made.orders, made.prices.count(), made.expires_at) == ("LIVE-1", 6, 1, at + timedelta(hours=5))
    with pytest.raises(forecast.NothingToGoBy, match="没有直播场次「LIVE-2」的订单"):
        forecast.forecast_prices(actor="test", at=at, live_session="LIVE-2")


def test_who_can_go_elsewhere_leaves_what_is_scarce(town: Town, at: datetime) -> None:
    price(town, at=at)
    near, far = town.near(), town.far()
    route(near, far, at=at)
    assert places(near, far) == [["N-D003"], ["N-D001"]]
    [package] = RoutingDecision.objects.get(order=far).plan
    assert (package["breakdown"]["scarcity"], package["cost_fen"]) == (PRICE_FEN, sum(package["breakdown"].values()))
    decision = RoutingDecision.objects.get(order=near)
    told = explain(decision.trace, decision.plan)
    assert any("N-D001" in line and "贵 80.00 元" in line for line in told), told
    assert any("稀缺价 80.00 元" in line for line in explain(decision.trace, RoutingDecision.objects.get(order=far).plan))


def test_a_burst_and_an_order_alone_count_the_same_prices(town: Town, at: datetime) -> None:
    price(town, at=at)
    alone, *burst = orders = [town.near() for _ in range(3)]
    route(alone, at=at)
    dispatch.route_orders(order_ids=[order.pk for order in burst], actor="test", at=at)
    assert places(*orders) == [["N-D003"]] * 3
    assert len(set(RoutingDecision.objects.values_list("cost_fen", flat=True))) == 1


def test_open_orders_are_decided_again_with_the_same_prices(town: Town, at: datetime) -> None:
    near = town.near()
    route(near, at=at)
    assert places(near) == [["N-D001"]]
    price(town, at=at)
    assert rebalance.redecide(at=at) == 1
    assert places(near) == [["N-D003"]]
    assert RoutingDecision.objects.get(round=2).terms["reasons"] == ["整批统筹：少花 80.00 元"]


def test_a_promise_goes_by_the_same_prices(town: Town, at: datetime) -> None:
    district = Division.objects.create(code="320506", name="吴中区", level=3, lng=120.63, lat=31.26)
    for product in [Product.objects.create(code="KT-3300", name="沙发")]:
        ProductPart.objects.create(product=product, sku=town.sofa)
    forget()
    asked = {"lines": [Asked("KT-3300", 1)], "address": district.code, "channel": "doudian", "at": at}
    before = promise(**asked)
    price(town, at=at)
    assert [told.packages[0].node for told in (before, promise(**asked))] == ["N-D001", "N-D003"]


def test_prices_end(town: Town, at: datetime) -> None:
    price(town, at=at)
    over = at + timedelta(hours=1)
    near = town.near()
    route(near, at=over)
    assert places(near) == [["N-D001"]]
    assert scarcity.scarcity(over).units == {}


def test_the_newest_prices_count(town: Town, at: datetime) -> None:
    price(town, 8_000, at=at - timedelta(minutes=2))
    price(town, 100, at=at - timedelta(minutes=1))
    assert list(scarcity.scarcity(at).units.values()) == [100]


def test_the_night_is_used_once(town: Town) -> None:
    night = datetime(2026, 11, 25, 19, 0, tzinfo=UTC)  # three o'clock in Shanghai
    assert forecast.renew_nightly(at=night) == 0
    yesterday(town, night)
    before = night - timedelta(seconds=1)
    assert [forecast.renew_nightly(at=at) for at in (before, night, night + timedelta(hours=5))] == [0, 1, 0]
    yesterday(town, night + timedelta(days=1))
    assert forecast.renew_nightly(at=night + timedelta(days=1)) == 1
    assert list(Forecast.objects.values_list("actor", flat=True)) == ["system:forecast"] * 2


def test_old_forecasts_go(town: Town, at: datetime) -> None:
    old = price(town, at=at - timedelta(days=31))
    yesterday(town, at)
    forecast.forecast_prices(actor="test", at=at)
    assert not Forecast.objects.filter(pk=old.pk).exists()


@pytest.mark.parametrize(
    "wrong", [{"fen": 0}, {"node": None}, {"sku": None}, {"node": None, "sku": None}], ids=lambda wrong: ",".join(wrong)
)
def test_the_database_refuses_prices_of_nothing(town: Town, at: datetime, wrong: dict[str, object]) -> None:
    made = Forecast.objects.create(orders=1, made_at=at, expires_at=at, actor="test")
    whole = {"forecast": made, "node": town.world.home_node, "sku": town.sofa, "fen": 5}
    with pytest.raises(IntegrityError), transaction.atomic():
        ForecastPrice.objects.create(**{**whole, **wrong})


def test_the_command_tells_what_it_did(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="没有最近一天的订单"):
        call_command("forecast_prices")
    with pytest.raises(CommandError, match="正整数"):
        call_command("forecast_prices", "--hours", "0")
    yesterday(town, datetime.now(UTC), live_session="LIVE-1")
    call_command("forecast_prices", "--live", "LIVE-1")
    assert "已按 6 个订单算出 1 个稀缺价" in capsys.readouterr().out


def test_who_may_have_it_worked_out_again(town: Town, client: Client) -> None:
    now = datetime.now(UTC)
    made = price(town, at=now)
    yesterday(town, now)
    page = reverse("admin:orders_forecast_changelist")
    asked = {"action": "work_out_again", "_selected_action": [made.pk], "live": ""}
    for role, count in (("finance", 1), ("operator", 2), ("admin", 3)):
        client.force_login(make_staff(role=role))
        client.post(page, asked)
        assert Forecast.objects.count() == count, role
    client.force_login(make_staff(town.world.home))
    client.post(page, asked)
    assert Forecast.objects.count() == 3
