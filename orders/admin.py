"""Table of contents: the admin pages of the orders floor, one line per room."""

from orders.catalogue import admin as catalogue_admin
from orders.desk import admin as desk_admin
from orders.dispatch import admin as dispatch_admin
from orders.forecast import admin as forecast_admin
from orders.fulfilment import admin as fulfilment_admin
from orders.intake import admin as intake_admin
from orders.lifecycle import admin as lifecycle_admin
from orders.placing import admin as placing_admin
from orders.rebalance import admin as rebalance_admin
from orders.receivers import admin as receivers_admin
from orders.review import admin as review_admin
from orders.routing import admin as routing_admin
from orders.rulesets import admin as rulesets_admin
from orders.simulation import admin as simulation_admin
from orders.stranded import admin as stranded_admin
from orders.work import admin as work_admin

__all__ = [
    "catalogue_admin",
    "desk_admin",
    "dispatch_admin",
    "forecast_admin",
    "fulfilment_admin",
    "intake_admin",
    "lifecycle_admin",
    "placing_admin",
    "rebalance_admin",
    "receivers_admin",
    "review_admin",
    "routing_admin",
    "rulesets_admin",
    "simulation_admin",
    "stranded_admin",
    "work_admin",
]
