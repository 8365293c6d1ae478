"""Table of contents: the tables of the orders floor, one line per room."""

from orders.catalogue.models import Product, ProductPart
from orders.dispatch.models import LadderPolicy, LadderStep
from orders.fulfilment.models import Appointment, Parcel, RedeemCode
from orders.intake.models import ChannelAccount, SourceMessage
from orders.lifecycle.models import Order, OrderHold, OrderLine, Refund, StrandedOrder
from orders.offers.models import Offer
from orders.rebalance.models import RebalancePass
from orders.receivers.models import ReceiverReveal
from orders.routing.models import RoutingDecision
from orders.rulesets.models import (
    AgeingCredit,
    DealerQuota,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderRule,
    PromiseClass,
    RuleSet,
    ShipCalendar,
)
from orders.scarcity.models import Forecast, ForecastPrice
from orders.simulation.models import Simulation, SimulationDifference
from orders.work.models import FulfillmentLine, FulfillmentOrder

__all__ = [
    "AgeingCredit",
    "Appointment",
    "ChannelAccount",
    "Forecast",
    "ForecastPrice",
    "DealerQuota",
    "FreightRate",
    "FulfillmentLine",
    "FulfillmentOrder",
    "InstallRate",
    "LadderPolicy",
    "LadderStep",
    "NodeGroup",
    "Offer",
    "Order",
    "OrderHold",
    "OrderLine",
    "OrderRule",
    "Parcel",
    "Product",
    "ProductPart",
    "RebalancePass",
    "PromiseClass",
    "ReceiverReveal",
    "RedeemCode",
    "Refund",
    "RoutingDecision",
    "RuleSet",
    "ShipCalendar",
    "Simulation",
    "SimulationDifference",
    "SourceMessage",
    "StrandedOrder",
]
