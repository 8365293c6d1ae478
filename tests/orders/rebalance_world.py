"""Two districts that share one dealer: in the near one others have the sofa too, in the far one only a neighbour."""

from dataclasses import dataclass
from datetime import datetime

from dealers.models import Dealer, Staff
from inventory.models import Level, Node, Sku
from orders.dispatch import actions as dispatch
from orders.models import FulfillmentOrder, Offer, Order
from tests.make import make_dealer, make_level, make_node, make_order, make_staff
from tests.orders.dispatch_world import World, forget, make_world

NEAR, FAR = "320506", "320509"


@dataclass(frozen=True)
class Town:
    """home serves both districts but has one sofa; second serves the near one; neighbour helps out in both."""

    world: World
    second: Dealer
    second_node: Node
    second_owner: Staff

    @property
    def sofa(self) -> Sku:
        return self.world.sofa

    def near(self, **fields: object) -> Order:
        return make_order(self.sofa, division_code=NEAR, **fields)

    def far(self, **fields: object) -> Order:
        return make_order(self.sofa, division_code=FAR, **fields)


def make_town(home_units: int = 1) -> Town:
    made = make_world(on_hand=50)
    made.home.areas.create(division_code=FAR)
    made.neighbour.areas.create(division_code=FAR, kind="neighbour")
    second = make_dealer("D003")
    node = make_node(second, code="N-D003")
    make_level(node, made.sofa, 50)
    Level.objects.filter(node=made.home_node).update(on_hand=home_units)
    forget()
    return Town(made, second, node, make_staff(second))


def route(*orders: Order, at: datetime) -> None:
    """Route orders one by one, as they come."""
    for order in orders:
        dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)


def places(*orders: Order) -> list[list[str]]:
    """Where the work of each order stands now."""
    works = FulfillmentOrder.objects.exclude(state="cancelled").order_by("pk")
    return [list(works.filter(order=order).values_list("node__code", flat=True)) for order in orders]


def offer_of(order: Order) -> Offer:
    return Offer.objects.select_related("work__order").get(work__order=order, state="pending")
