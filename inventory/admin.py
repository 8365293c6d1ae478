"""Table of contents: the admin pages of the inventory floor, one line per room."""

from inventory.arrivals import admin as arrivals_admin
from inventory.exchange import admin as exchange_admin
from inventory.items import admin as items_admin
from inventory.ledger import admin as ledger_admin
from inventory.locks import admin as locks_admin
from inventory.partners import admin as partners_admin
from inventory.pool import admin as pool_admin
from inventory.replenishment import admin as replenishment_admin
from inventory.reservations import admin as reservations_admin

__all__ = [
    "arrivals_admin",
    "exchange_admin",
    "items_admin",
    "ledger_admin",
    "locks_admin",
    "partners_admin",
    "pool_admin",
    "replenishment_admin",
    "reservations_admin",
]
