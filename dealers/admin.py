"""Table of contents: the admin pages of the dealers floor, one line per room."""

from dealers.directory import admin as directory_admin
from dealers.divisions import admin as divisions_admin
from dealers.settlement import admin as settlement_admin

__all__ = ["directory_admin", "divisions_admin", "settlement_admin"]
