"""What others may ask about orders."""

from collections.abc import Sequence

from orders.lifecycle import statements
from orders.lifecycle.rules import OrderToRoute


def orders_to_route(order_ids: Sequence[int]) -> list[OrderToRoute]:
    """These orders with their open lines as routing sees them; one statement."""
    return statements.read_orders_to_route(order_ids) if order_ids else []
