"""The scarcity prices in force, from memory."""

from datetime import datetime, timedelta

from orders.routing.shelves import Prices
from orders.scarcity.models import Forecast, ForecastPrice
from orders.scarcity.rules import Scarcity, scarcity_of

FRESH = timedelta(seconds=5)
_kept: dict[str, tuple[datetime, Scarcity]] = {}


def scarcity(at: datetime) -> Scarcity:
    """What is scarce now, read at most every five seconds; two statements then, one when nothing is forecast."""
    kept = _kept.get("scarcity")
    if kept is None or abs(at - kept[0]) > FRESH:
        kept = _kept["scarcity"] = (at, _read(at))
    return kept[1]


def forget() -> None:
    """Read everything anew at the next question."""
    _kept.clear()


def in_force(at: datetime) -> Forecast | None:
    """The forecast whose prices count now."""
    return Forecast.objects.filter(made_at__lte=at, expires_at__gt=at).order_by("-made_at", "-id").first()


def _read(at: datetime) -> Scarcity:
    forecast = in_force(at)
    units: dict[int, dict[int, int]] = {}
    works: dict[int, int] = {}
    if forecast is not None:
        rows = ForecastPrice.objects.filter(forecast=forecast).values_list("node_id", "sku_id", "dealer_id", "fen")
        for node_id, sku_id, dealer_id, fen in rows:
            if dealer_id is not None:
                works[dealer_id] = fen
            elif node_id is not None and sku_id is not None:
                units.setdefault(sku_id, {})[node_id] = fen
    return scarcity_of(Prices(units, works))
