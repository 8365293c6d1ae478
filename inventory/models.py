"""Table of contents: the tables of the inventory floor, one line per room."""

from inventory.items.models import Sku
from inventory.ledger.models import Level, Movement, Node
from inventory.reservations.models import Reservation

__all__ = ["Level", "Movement", "Node", "Reservation", "Sku"]
