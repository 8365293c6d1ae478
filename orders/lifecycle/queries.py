"""What others may ask about orders."""

from collections.abc import Sequence

from orders.lifecycle import statements
from orders.lifecycle.rules import OrderToRoute


def orders_to_route(order_ids: Sequence[int]) -> list[OrderToRoute]:
    """Orders as routing sees them, by id, with what is neither done nor cancelled of their lines; one statement."""
    return statements.read_orders_to_route(order_ids)


def whole_orders(order_ids: Sequence[int]) -> list[OrderToRoute]:
    """The same with all of their lines, whatever became of them."""
    return statements.read_orders_to_route(order_ids, whole=True)
