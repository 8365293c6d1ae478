"""The orders by which the next ones are foreseen."""

from datetime import datetime, timedelta

from orders.lifecycle.models import Order
from orders.lifecycle.queries import whole_orders
from orders.lifecycle.rules import OrderToRoute

MOST = 20_000
_CHUNK = 1000
_NO_EXAMPLE = (Order.State.HELD, Order.State.CANCELLED)


def orders_like_those_to_come(*, live_session: str, at: datetime) -> list[OrderToRoute]:
    """The orders of a livestream, or of the last 24 hours, as they came: at most the newest 20,000, by id."""
    orders = Order.objects.exclude(state__in=_NO_EXAMPLE)
    if live_session:
        orders = orders.filter(live_session=live_session)
    else:
        orders = orders.filter(placed_at__gt=at - timedelta(days=1), placed_at__lte=at)
    ids = sorted(orders.order_by("-placed_at", "-id").values_list("id", flat=True)[:MOST])
    return [order for start in range(0, len(ids), _CHUNK) for order in whole_orders(ids[start : start + _CHUNK])]
