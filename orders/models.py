"""Table of contents: the tables of the orders floor, one line per room."""

from orders.catalogue.models import Product, ProductPart
from orders.dispatch.models import LadderPolicy, LadderStep, Offer
from orders.fulfilment.models import Appointment, Parcel, RedeemCode
from orders.intake.models import ChannelAccount, SourceMessage
from orders.lifecycle.models import (
    FulfillmentLine,
    FulfillmentOrder,
    Order,
    OrderHold,
    OrderLine,
    ReceiverReveal,
    Refund,
)
from orders.routing.models import FreightTemplate, RoutingDecision, RoutingPolicy
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

__all__ = [
    "AgeingCredit",
    "Appointment",
    "ChannelAccount",
    "DealerQuota",
    "FreightRate",
    "FreightTemplate",
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
    "PromiseClass",
    "ReceiverReveal",
    "RedeemCode",
    "Refund",
    "RoutingDecision",
    "RoutingPolicy",
    "RuleSet",
    "ShipCalendar",
    "SourceMessage",
]
