"""What the review queue shows of an order."""

from collections.abc import Iterable

from orders.lifecycle.models import OrderHold


def reasons_of(holds: Iterable[OrderHold]) -> str:
    """All open reasons of an order as people read them."""
    return "、".join(hold.get_reason_display() for hold in holds if hold.released_at is None)
