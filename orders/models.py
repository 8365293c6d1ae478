"""Table of contents: the tables of the orders floor, one line per room."""

from orders.catalogue.models import Product, ProductPart
from orders.dispatch.models import LadderPolicy, LadderStep
from orders.fulfilment.models import Appointment, Parcel, RedeemCode
from orders.intake.models import ChannelAccount, SourceMessage
from orders.lifecycle.models import Order, OrderHold, OrderLine, Refund, StrandedOrder
from orders.offers.models import Offer
from orders.receivers.models import ReceiverReveal
from orders.routing.models import FreightTemplate, RoutingDecision, RoutingPolicy
from orders.work.models import FulfillmentLine, FulfillmentOrder

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
    "StrandedOrder",
]
