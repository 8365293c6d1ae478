"""华南 and 华北 dealers, HQ's place, prices and ladders: the world in which offers are tested."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dealers.models import Dealer, ServiceArea, SplitRule, Staff
from dealers.settlement import queries as settlement
from inventory.models import Level, Node, Sku
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Subscription
from orders.dispatch import actions as dispatch
from orders.dispatch import queries
from orders.models import LadderPolicy, LadderStep
from orders.routing import queries as routing
from orders.stranded import actions as stranded
from tests.make import SUZHOU_WUZHONG, make_dealer, make_level, make_node, make_rules, make_sku, make_staff

TABLE = [
    Subscription(events.OrderPlaced, dispatch.on_order_placed),
    Subscription(events.OfferClosed, dispatch.on_offer_closed),
    Subscription(events.OrderClosedAtSource, dispatch.on_order_closed_at_source),
    Subscription(events.OrderAmended, dispatch.on_order_amended),
    Subscription(events.StockArrived, stranded.on_stock_arrived),
    Subscription(events.RoutingChanged, stranded.on_routing_changed),
    Subscription(events.CapacityFreed, stranded.on_capacity_freed),
    Subscription(events.RetryDue, stranded.on_retry_due),
]


@dataclass(frozen=True)
class World:
    """One sofa, at the dealer of the district, at its neighbour, and at HQ."""

    sofa: Sku
    home: Dealer
    neighbour: Dealer
    home_node: Node
    neighbour_node: Node
    hq_node: Node
    owner: Staff
    neighbour_owner: Staff
    operator: Staff

    def level(self, node: Node) -> Level:
        return Level.objects.get(node=node, sku=self.sofa)

    def held(self) -> list[int]:
        return [self.level(node).held for node in (self.home_node, self.neighbour_node, self.hq_node)]


def make_world(on_hand: int = 10) -> World:
    sofa = make_sku("KT-3300", name="沙发 KT-3300", install_skill="install:furniture")
    home = make_dealer("D001", name="华南经销商")
    neighbour = make_dealer("D002", name="华北经销商", territory=(), division_code="320507")
    ServiceArea.objects.create(dealer=neighbour, division_code=SUZHOU_WUZHONG, kind="neighbour")
    nodes = make_node(home, code="N-D001"), make_node(neighbour, code="N-D002", lng=120.7), make_node(code="N-HQ", lng=121.4)
    for node in nodes:
        make_level(node, sofa, on_hand)
    make_rules(first_fen=1000, step_fen=100, km_fen=10)
    policy = LadderPolicy.objects.create(name="标准阶梯")
    for position, (target, seconds) in enumerate([("territory", 60), ("neighbour", 90), ("hq", 60)], start=1):
        LadderStep.objects.create(policy=policy, position=position, target=target, seconds=seconds, max_offers=2)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    published = {"state": "published", "effective_from": since}
    SplitRule.objects.create(code="SVC", name="安装服务费", component="service_fee", mode="fixed", amount_fen=6000, **published)
    SplitRule.objects.create(code="COM", name="佣金", component="commission", mode="percent", percent="6", **published)
    forget()
    return World(
        sofa, home, neighbour, *nodes, make_staff(home), make_staff(neighbour), make_staff(role="operator")
    )  # fmt: skip


def forget() -> None:
    """Nothing that another test read may be believed."""
    for room in (queries, routing, settlement):
        getattr(room, "forget", lambda: None)()


@contextmanager
def subscribed() -> Iterator[None]:
    """Dispatch alone hears the journal, until the test is over."""
    before = list(journal._subscriptions.values())
    journal.subscribe(TABLE)
    yield
    journal.subscribe(before)
    forget()
