"""Scarcity prices from orders like those to come, on the stock there is today."""

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dealers.models import Dealer
from oms_project.refusal import Refusal
from orders.dispatch import queries as dispatch
from orders.forecast import queries
from orders.lifecycle.rules import OrderToRoute
from orders.routing import queries as routing
from orders.routing.market import BatchTerms, OpenOrder, prepare
from orders.routing.prices import forecast, scarcity_prices
from orders.routing.shelves import Prices, fill
from orders.scarcity import actions as scarcity
from orders.scarcity.models import Forecast

ACTOR = "system:forecast"
SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = 3  # o'clock
VALID_HOURS = 36
SECONDS = 60.0


class NothingToGoBy(Refusal):
    """There are no orders from which the next ones could be foreseen."""


def forecast_prices(*, actor: str, at: datetime, live_session: str = "", valid_hours: int = VALID_HOURS) -> Forecast:
    """Work out what will be scarce if the orders of a livestream, or else of the last day, come again, and put it in force.

    Of the prices at which they would share the stock of now, 80 per cent count. Raises NothingToGoBy.
    """
    orders = queries.orders_like_those_to_come(live_session=live_session, at=at)
    if not orders:
        raise NothingToGoBy(f"没有{f'直播场次「{live_session}」' if live_session else '最近一天'}的订单，无法预测稀缺价")
    return scarcity.keep_forecast(
        prices=_prices_for(orders, at),
        source=live_session,
        orders=len(orders),
        expires_at=at + timedelta(hours=valid_hours),
        actor=actor,
        at=at,
    )


def _prices_for(orders: list[OrderToRoute], at: datetime) -> Prices:
    table = routing.routing_table(at)
    stock = dispatch.stock_for(orders, table, at)
    free = {place: max(0, units) for place, units in stock.free.items()}
    for kept in stock.locked.values():
        for place, units in kept.items():
            free[place] = free.get(place, 0) + units
    ladders = {order.channel: dispatch.ladder_for(order.channel) for order in orders}
    terms, until = BatchTerms(), time.monotonic() + SECONDS
    lots = prepare([OpenOrder(order, ladders[order.channel]) for order in orders], table, terms)
    room = dict(Dealer.objects.filter(is_active=True).values_list("id", "capacity_per_day"))
    shelves = fill(lots, free, room, rung_fen=terms.rung_fen)
    return forecast([scarcity_prices(lots, shelves, keeps_going=lambda: time.monotonic() < until)])


def renew_nightly(*, at: datetime) -> int:
    """Once a night, after three o'clock, foresee the day; returns how many forecasts were made. Called by the clock."""
    local = at.astimezone(SHANGHAI)
    night = local.replace(hour=NIGHT, minute=0, second=0, microsecond=0)
    if local < night or Forecast.objects.filter(source="", made_at__gte=night).exists():
        return 0
    try:
        forecast_prices(actor=ACTOR, at=at)
    except NothingToGoBy:
        return 0
    return 1
