"""Keeping scarcity prices."""

from datetime import datetime, timedelta

from django.db import transaction

from orders.routing.shelves import Prices
from orders.scarcity import queries
from orders.scarcity.models import Forecast, ForecastPrice

KEPT = timedelta(days=30)  # to be looked at


@transaction.atomic
def keep_forecast(*, prices: Prices, source: str, orders: int, expires_at: datetime, actor: str, at: datetime) -> Forecast:
    """Put a new set of prices in force; sets made more than 30 days ago go. Other processes see it within seconds."""
    Forecast.objects.filter(made_at__lt=at - KEPT).delete()
    forecast = Forecast.objects.create(source=source, orders=orders, made_at=at, expires_at=expires_at, actor=actor)
    rows = [
        ForecastPrice(forecast=forecast, node_id=node_id, sku_id=sku_id, fen=fen)
        for sku_id, here in sorted(prices.units.items())
        for node_id, fen in sorted(here.items())
    ]
    rows += [ForecastPrice(forecast=forecast, dealer_id=dealer_id, fen=fen) for dealer_id, fen in sorted(prices.works.items())]
    ForecastPrice.objects.bulk_create(rows, batch_size=1000)
    queries.forget()
    return forecast
