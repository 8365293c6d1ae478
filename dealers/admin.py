"""Table of contents: the admin pages of the dealers floor, one line per room."""

from dealers.capacity import admin as capacity_admin
from dealers.desk import admin as desk_admin
from dealers.directory import admin as directory_admin
from dealers.divisions import admin as divisions_admin
from dealers.settlement import admin as settlement_admin

__all__ = ["capacity_admin", "desk_admin", "directory_admin", "divisions_admin", "settlement_admin"]
