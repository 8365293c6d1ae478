"""A replay of what dispatch did gives what dispatch did: the same places on the same stock, whatever happened in between."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import pytest

from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.models import Level
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Shelf, Want
from orders.dispatch import actions as dispatch
from orders.models import FulfillmentOrder, Offer
from orders.offers import actions as offers
from orders.routing import queries as routing
from orders.routing.rules import RoutingTable
from orders.rulesets.rules import RuleBook
from orders.simulation import actions as simulation
from orders.simulation import queries
from orders.simulation.rules import Side, Stage, replay
from tests.conftest import NOON
from tests.make import make_level, make_node, make_order, make_sku
from tests.orders.dispatch_world import World, subscribed
from tests.orders.simulation_world import make_days, make_draft

pytestmark = pytest.mark.django_db
Places = dict[str, set[tuple[int, tuple[int, ...]]]]


def happened() -> Places:
    """By order, where its lines are: (node, SKUs)."""
    found: Places = {}
    for work in FulfillmentOrder.objects.exclude(state="stuck").select_related("order").prefetch_related("lines"):
        skus = tuple(sorted(line.sku_id for line in work.lines.all()))
        found.setdefault(work.order.order_no, set()).add((work.node_id, skus))
    return found


def replayed(world: World, at: datetime, has_refusals: bool = False) -> Places:
    asked = {"since": at - timedelta(days=2), "until": at, "staff": world.operator, "at": at, "has_refusals": has_refusals}
    run = queries.run_of(simulation.simulate_past(name="", ruleset_id=make_draft(at).pk, **asked))
    found: Places = {}
    for group in run.groups:
        for due, outcome in zip(group, replay(run.stages[Side.LIVE], group, run.changes), strict=True):
            for package in outcome.packages:
                skus = tuple(sorted(due.order.lines[index].sku_id for index in package.line_indexes))
                found.setdefault(due.order.order_no, set()).add((package.node_id, skus))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_same_places_on_the_same_stock(seed: int) -> None:
    """Twenty orders on scarce stock; goods arrive, ship, are promised to other bills and given back meanwhile."""
    random, world = Random(seed), make_days(on_hand=4)
    lamp = make_sku("LAMP", weight_g=3_000)
    store = make_node(world.home, kind="store", code="N-STORE", lng=120.9)
    for node in (world.home_node, world.neighbour_node, world.hq_node, store):
        make_level(node, lamp, random.randint(0, 6))
    start = NOON - timedelta(days=1)
    reservations.hold(wants=[Want("BEFORE-1", world.home_node.pk, world.sofa.pk, 1)], at=start - timedelta(days=1))
    for number in range(20):
        at = start + number * timedelta(minutes=20)
        skus = random.choice([[world.sofa], [lamp], [world.sofa, lamp]])
        order = make_order(*skus, at=at, quantity=random.randint(1, 2))
        dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
        meanwhile(random, world, number, at + timedelta(minutes=5))
    done = happened()
    assert len(done) > 8
    assert replayed(world, NOON) == done


def meanwhile(random: Random, world: World, number: int, at: datetime) -> None:
    """One of the things that move stock besides orders."""
    level = random.choice(list(Level.objects.order_by("pk")))
    what = random.choice(["receipt", "hold", "release", "ship", "nothing"])
    if what == "receipt":
        moved = NewMovement(level.node_id, level.sku_id, "receipt", random.randint(1, 2), f"in:{number}", "")
        ledger.post(movements=[moved], actor="test", at=at)
    elif what == "hold":
        reservations.hold(wants=[Want(f"BILL-{number}", level.node_id, level.sku_id, 1)], at=at)
    elif what == "release":
        reservations.release(bills=["BEFORE-1", f"BILL-{number - 1}", f"BILL-{number - 2}"], at=at)
    elif what == "ship" and (work := FulfillmentOrder.objects.order_by("pk").first()):
        reservations.consume(bills=[work.fo_no], actor="test", at=at)


@pytest.mark.parametrize("seed", range(3))
def test_whoever_says_no_is_passed_over_alike(
    seed: int, relay_all: Callable[[datetime], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dealers answer as the draw says, and dispatch asks the next; what they answer does not count for their estimate here."""
    read = routing.table_by

    def of_the_choosy(book: RuleBook, at: datetime) -> RoutingTable:
        table = read(book, at)
        table.answers = dict.fromkeys(dealers, (0, 6_000))
        return table

    random, world = Random(seed), make_days(on_hand=5)
    dealers = [world.home.pk, world.neighbour.pk]
    monkeypatch.setattr(routing, "table_by", of_the_choosy)
    routing.forget()
    start = NOON - timedelta(days=1)
    with subscribed():
        for number in range(14):
            at = start + number * timedelta(minutes=20)
            order = make_order(world.sofa, at=at, quantity=random.randint(1, 2))
            dispatch.route_orders(order_ids=[order.pk], actor="test", at=at)
            answer(world, at, relay_all)
    assert Offer.objects.filter(state="declined").exists()
    assert replayed(world, NOON, has_refusals=True) == happened()


def answer(world: World, at: datetime, relay_all: Callable[[datetime], int]) -> None:
    """Everybody who is asked answers, until nobody is."""
    table = routing.routing_table(at)
    draws = Stage(Side.LIVE, table, Shelf({}), {}, lambda channel: (), seed=1, has_refusals=True, won={})
    owners = {world.home.pk: world.owner, world.neighbour.pk: world.neighbour_owner}
    while pending := Offer.objects.filter(state="pending").select_related("work").first():
        asked = {"offer_no": pending.offer_no, "staff": owners[pending.dealer_id], "at": at + timedelta(seconds=5)}
        if draws.accepts(pending.work.order_id, pending.dealer_id):
            offers.accept_offer(**asked)
        else:
            offers.decline_offer(reason="busy", **asked)
        relay_all(at + timedelta(seconds=5))
