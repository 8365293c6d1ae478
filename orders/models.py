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

__all__ = [
    "Appointment",
    "ChannelAccount",
    "FreightTemplate",
    "FulfillmentLine",
    "FulfillmentOrder",
    "LadderPolicy",
    "LadderStep",
    "Offer",
    "Order",
    "OrderHold",
    "OrderLine",
    "Parcel",
    "Product",
    "ProductPart",
    "ReceiverReveal",
    "RedeemCode",
    "Refund",
    "RoutingDecision",
    "RoutingPolicy",
    "SourceMessage",
]
