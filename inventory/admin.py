"""Table of contents: the admin pages of the inventory floor, one line per room."""

from inventory.items import admin as items_admin
from inventory.ledger import admin as ledger_admin
from inventory.reservations import admin as reservations_admin

__all__ = ["items_admin", "ledger_admin", "reservations_admin"]
