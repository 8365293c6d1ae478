"""A livestream's minute: 5,000 paid orders within 60 seconds, 300 places, until the last one is routed, held and on offer.

Run: [DATABASE_URL=postgres://…] python -m tests.bench.burst [--orders N] [--seconds S] [--nodes N] [--workers N]
[--every S] [--no-rebalance]

Messages arrive at an even pace. Workers are processes that take them in and relay order.placed and
offer.closed, as the journal's workers do; one more decides open orders again every few seconds. Only
the network is left out: the channel's answers are in memory. Dealers' shelves are nearly empty, so
that buyers compete for them; HQ has everything.
"""

import argparse
import multiprocessing
import os
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.bench import ground, pipeline

from django.db import connection, connections  # isort: skip
from django.db.models import Count, Sum  # noqa: E402
from django.utils import timezone  # noqa: E402

from dealers.models import Dealer, Division, ServiceArea, Skill  # noqa: E402
from inventory.ledger import queries as ledger  # noqa: E402
from inventory.models import Level, Node, Sku  # noqa: E402
from oms_project import events  # noqa: E402
from oms_project.demo.seeding import ALL_SKILLS  # noqa: E402
from oms_project.journal import actions as journal  # noqa: E402
from oms_project.journal.subscription import Subscription  # noqa: E402
from orders.dispatch import actions as dispatch  # noqa: E402
from orders.intake import actions as intake  # noqa: E402
from orders.intake.adapters import doudian  # noqa: E402
from orders.models import Offer, Order, OrderHold, RebalancePass, RoutingDecision  # noqa: E402
from orders.rebalance import actions as rebalance  # noqa: E402
from tests.bench.ground import say  # noqa: E402

BATCH = 100
_forks = multiprocessing.get_context("fork")


@dataclass
class Spent:
    """Processor seconds of one process."""

    whole: float = 0.0
    routing: float = 0.0  # relaying: deciding, holding, opening
    deciding: float = 0.0  # working out places only
    orders: int = 0
    passes: list[int] = field(default_factory=list)


def build(nodes: int) -> None:
    """Dealers where people live until there are so many places, all with a few of everything."""
    luck = random.Random(20261125)
    counties = list(Division.objects.filter(level=Division.Level.COUNTY, population__gt=0, lng__isnull=False))
    missing = nodes - Node.objects.count()
    homes = luck.choices(counties, [county.population for county in counties], k=missing)
    hours = {"opens_at": "00:00", "closes_at": "00:00", "capacity_per_day": 2000}
    dealers = Dealer.objects.bulk_create(
        Dealer(code=f"B{number:03d}", name=f"经销商{number}", division_code=home.code, **hours)
        for number, home in enumerate(homes)
    )
    Skill.objects.bulk_create(Skill(dealer=dealer, code=code) for dealer in dealers for code in ALL_SKILLS)
    areas = [
        (dealer, dealer.division_code[:digits], kind)
        for dealer in dealers
        for digits, kind in ((4, "territory"), (2, "neighbour"))
    ]
    ServiceArea.objects.bulk_create(ServiceArea(dealer=dealer, division_code=code, kind=kind) for dealer, code, kind in areas)
    Node.objects.bulk_create(
        Node(
            code=f"{dealer.code}-W", name=f"{dealer.name}仓", kind="dealer", division_code=home.code, dealer=dealer,
            lng=home.lng, lat=home.lat,
        )
        for dealer, home in zip(dealers, homes, strict=True)
    )  # fmt: skip
    skus = list(Sku.objects.filter(kind=Sku.Kind.PHYSICAL).order_by("pk"))
    places = list(Node.objects.filter(dealer__isnull=False).order_by("pk"))
    Level.objects.filter(node__in=places).delete()
    Level.objects.bulk_create(
        Level(node=node, sku=sku, on_hand=luck.randint(1, 12)) for node in places for sku in skus if luck.random() < 0.6
    )


def work(stop: Any, told: Any, ready: Any) -> None:
    """Take messages in, place orders, route them and follow up on offers, until told to stop."""
    connections.close_all()
    doudian.fetch_order = lambda account, order_id: pipeline._details[order_id]
    pipeline.warm()
    spent = Spent()

    def timed(real: Any) -> Any:
        def decide(orders: Any, *args: Any) -> Any:
            began = time.process_time()
            found = real(orders, *args)
            spent.deciding += time.process_time() - began
            return found

        return decide

    dispatch.rules.decide_together = timed(dispatch.rules.decide_together)
    dispatch.rules.decide_in_turn = timed(dispatch.rules.decide_in_turn)
    table = [
        Subscription(events.OrderPlaced, dispatch.on_order_placed, batch=BATCH),
        Subscription(events.OfferClosed, dispatch.on_offer_closed, batch=BATCH),
    ]
    ready.wait()
    began = time.process_time()
    while not stop.is_set():
        done = intake.digest_messages(at=timezone.now(), limit=BATCH)
        for subscription in table:
            start = time.process_time()
            done += journal.relay_to(subscription, at=timezone.now())
            spent.routing += time.process_time() - start
        if not done:
            time.sleep(0.02)
    spent.whole = time.process_time() - began
    told.put(spent)


def look_again(stop: Any, told: Any, ready: Any, every: float) -> None:
    """Decide open orders again every few seconds."""
    connections.close_all()
    pipeline.warm()
    spent = Spent()
    ready.wait()
    began = time.process_time()
    while not stop.wait(every):
        spent.passes.append(rebalance.redecide(at=timezone.now()))
    spent.whole = time.process_time() - began
    told.put(spent)


def arrive(details: pipeline.Details, seconds: float) -> None:
    """Store the messages at an even pace."""
    ids, began = list(details), time.monotonic()
    steps = max(1, round(seconds * 4))
    for step in range(steps):
        time.sleep(max(0.0, began + step * seconds / steps - time.monotonic()))
        share = ids[len(ids) * step // steps : len(ids) * (step + 1) // steps]
        if share:
            pipeline.store({order_id: details[order_id] for order_id in share})


def waiting(number: int) -> int:
    done = Order.objects.filter(shop=pipeline.brand.SHOP, state__in=["routed", "unroutable", "held", "completed"]).count()
    return number - done


def measure(given: argparse.Namespace) -> None:
    pipeline._details.update(pipeline.details_of(given.orders))
    build(given.nodes)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connections.close_all()
    stop, told, ready = _forks.Event(), _forks.Queue(), _forks.Barrier(given.workers + given.rebalance + 1)
    crew = [_forks.Process(target=work, args=(stop, told, ready), daemon=True) for _ in range(given.workers)]
    if given.rebalance:
        crew.append(_forks.Process(target=look_again, args=(stop, told, ready, given.every), daemon=True))
    for each in crew:
        each.start()
    ready.wait()
    before, began = ground.server_seconds(), time.monotonic()
    arrive(pipeline._details, given.seconds)
    arrived = time.monotonic() - began
    while waiting(given.orders) and time.monotonic() - began < given.patience and all(each.is_alive() for each in crew):
        time.sleep(0.1)
    ended, after = time.monotonic() - began, ground.server_seconds()
    stop.set()
    spents = [told.get(timeout=60) for _ in crew]
    for each in crew:
        each.join(10)
    report(given, arrived, ended, spents, ground.used(before, after))


def report(given: argparse.Namespace, arrived: float, ended: float, spents: list[Spent], server: float) -> None:
    number = given.orders
    states = dict(Order.objects.filter(shop=pipeline.brand.SHOP).values_list("state").annotate(Count("id")))
    say(f"{number:,} orders arrived within {arrived:.0f} s, {Node.objects.count()} places; {states}, {waiting(number)} left")
    say(f"all routed, held and on offer {ended:.1f} s after the first (aim 90 s); load {os.getloadavg()[0]:.1f}")
    for reasons in RoutingDecision.objects.filter(is_routable=False).values_list("terms", flat=True)[:3]:
        say(f"  nobody: {reasons['terms']}; {'; '.join(reasons['reasons'])}")
    offers = dict(
        Offer.objects.filter(opened_at__gte=timezone.now() - timedelta(hours=1)).values_list("state").annotate(Count("id"))
    )
    held = OrderHold.objects.filter(order__shop=pipeline.brand.SHOP, released_at=None).count()
    say(f"offers {offers}; orders held for a person {held}")
    workers = [spent for spent in spents if not spent.passes]
    whole, routing, deciding = (sum(getattr(spent, name) for spent in workers) for name in ("whole", "routing", "deciding"))
    say("ms of processor per order:")
    say(f"  deciding (compute)                  {deciding * 1000 / number:6.2f}")
    say(f"  routing, holding, offering (ours)   {routing * 1000 / number:6.2f}")
    say(f"  all of a worker, with taking in     {whole * 1000 / number:6.2f}")
    say(f"  PostgreSQL, with taking in          {server * 1000 / number:6.2f}")
    kept = RebalancePass.objects.aggregate(passes=Count("id"), moved=Sum("moved"), dropped=Sum("dropped"), saved=Sum("saved_fen"))
    longest = max(RebalancePass.objects.values_list("took_ms", flat=True), default=0)
    say(f"looked again {sum(len(spent.passes) for spent in spents)} times: {kept}, longest {longest} ms")
    together = RoutingDecision.objects.filter(round=1, terms__reasons__0__startswith="整批统筹").count()
    say(f"placed elsewhere than first come by the batch: {together}")
    faults = ledger.promise_drift()
    say(f"books: {faults or 'agree'}")
    if faults or waiting(number):
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.burst")
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nodes", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=15)
    parser.add_argument("--patience", type=float, default=600)
    parser.add_argument("--no-rebalance", dest="rebalance", action="store_false")
    given = parser.parse_args()
    say("== burst: a livestream's minute, from stored message to open offer")
    ground.describe()
    with ground.template() as template, ground.clone(template):
        measure(given)


if __name__ == "__main__":
    try:
        main()
    finally:
        connections.close_all()
        ground.tear_down()
