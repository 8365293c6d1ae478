"""Promise stock, give the promise up, or turn it into a shipment; never more than there is."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime

from django.db import transaction

from inventory.reservations import statements
from inventory.reservations.rules import Demand, Want, choose, demand_of, total_of


def hold(*, wants: Sequence[Want], at: datetime, expires_at: datetime | None = None) -> frozenset[str]:
    """Hold stock for bills, each entirely or not at all, in the order given; returns the bills that hold.

    A bill that already holds one of its places changes nothing and counts as holding. At most two
    statements (three on SQLite), whatever the batch; up to 5,000 wants per call. One bill at one
    place is one statement on PostgreSQL and opens no transaction of its own, so that a row many
    buyers want is locked for one round trip (unless the caller has a transaction open).
    """
    demand = demand_of(wants)
    if not demand:
        return frozenset()
    bill, units = next(iter(demand.items()))
    if len(demand) > 1 or len(units) > 1:
        return _hold_many(demand, at, expires_at)
    place, quantity = next(iter(units.items()))
    with nullcontext() if statements.is_postgres() else transaction.atomic():
        return frozenset([bill] if statements.hold_one(bill, place, quantity, at, expires_at) else [])


@transaction.atomic(savepoint=False)
def _hold_many(demand: Demand, at: datetime, expires_at: datetime | None) -> frozenset[str]:
    places = sorted({place for wanted in demand.values() for place in wanted})
    levels, holding = statements.lock_free(places, list(demand))
    fresh = {bill: wanted for bill, wanted in demand.items() if bill not in holding}
    winners = choose(fresh, {place: free for place, (_, free) in levels.items()})
    if winners:
        rows = [(levels[place][0], bill, quantity) for bill in winners for place, quantity in fresh[bill].items()]
        gains = [(levels[place][0], units) for place, units in total_of(fresh, winners).items()]
        statements.hold_many(rows, gains, at, expires_at)
    return frozenset(winners) | holding


@transaction.atomic(savepoint=False)
def release(*, bills: Sequence[str], at: datetime) -> int:
    """Give up what the bills hold; returns how many reservations were open. A repetition returns 0."""
    if not bills:
        return 0
    statements.lock_levels(bills)
    return statements.close(bills, "released", at, leaves=False)


@transaction.atomic(savepoint=False)
def consume(*, bills: Sequence[str], actor: str, at: datetime) -> int:
    """Ship what the bills hold: on_hand and held fall together and the shipments are written.

    Returns how many reservations were open. A repetition returns 0.
    """
    if not bills:
        return 0
    statements.lock_levels(bills)
    return statements.close(bills, "consumed", at, leaves=True, actor=actor)


class _DoesNotFit(Exception):
    """Takes the release back when the new places cannot be held."""


def move(*, bill: str, wants: Sequence[Want], at: datetime) -> bool:
    """Give up what a bill holds and hold `wants` instead, or change nothing and return False."""
    places = [(want.node_id, want.sku_id) for want in wants]
    try:
        with transaction.atomic():
            statements.lock_levels([bill], places)
            statements.close([bill], "released", at, leaves=False)
            if bill not in hold(wants=wants, at=at):
                raise _DoesNotFit
    except _DoesNotFit:
        return False
    return True
