"""Promise stock, give the promise up, or turn it into a shipment; never more than there is.

Every function is one transaction that locks deliveries and then stock rows, each in the order of
their ids. Bills are the keys: repeating a call with the same bill changes nothing.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime

from django.db import transaction

from inventory.ledger import statements as ledger_statements
from inventory.reservations import queries, statements
from inventory.reservations.models import Reservation
from inventory.reservations.rules import (
    Block,
    Demands,
    Place,
    Swap,
    Want,
    choose,
    choose_swaps,
    demands_of,
    draws_of,
    judge_blocks,
)
from oms_project.events import StockArrived
from oms_project.journal import actions as journal
from oms_project.refusal import Refusal

ACTOR = "system:reservations"
EXPIRE_LIMIT = 500


class NothingHeld(Refusal):
    """The bill holds nothing there, or no more than what is asked to stay."""


class NotFree(Refusal):
    """So many units are not free there."""


def hold(*, wants: Sequence[Want], at: datetime, expires_at: datetime | None = None, together: bool = False) -> frozenset[str]:
    """Hold stock for bills, each entirely or not at all, in the order given; returns the bills that hold.

    With `together` either all of the bills hold or none. A bill that already holds one of its
    places changes nothing and counts as holding. A bill with claims takes from its locks first.

    What fits is one statement on PostgreSQL, whatever the batch (up to 5,000 wants per call), and opens
    no transaction of its own, so that a row many buyers want is locked for one round trip (unless
    the caller has a transaction open). Three more, and the batch is decided bill by bill, when
    something does not fit; two more again when a lock is drawn from. SQLite always takes four.
    """
    demands = demands_of(wants)
    if not demands:
        return frozenset()
    first = wants[0]
    locks = queries.locks_for(claim for demand in demands.values() for claim in demand.claims)
    if not locks and len(wants) == 1:
        with nullcontext() if statements.is_postgres() else transaction.atomic():
            return frozenset(demands if statements.hold_one(first, at, expires_at) else ())
    if not locks and statements.is_postgres() and statements.hold_all(demands, at, expires_at):
        return frozenset(demands)
    return _hold_by_bill(demands, locks, at, expires_at, together)


@transaction.atomic(savepoint=False)
def _hold_by_bill(
    demands: Demands, locks: Mapping[str, tuple[str, ...]], at: datetime, expires_at: datetime | None, together: bool
) -> frozenset[str]:
    """Lock the stock rows, then ask what is free and which bills are repeated, then give to each in turn."""
    places = sorted({place for demand in demands.values() for place in demand.places})
    found = statements.lock_free(places, locks, at)
    ids = found.level_ids
    holding = frozenset(statements.holding(demands.keys(), ids.values()))
    grants = choose({bill: demand for bill, demand in demands.items() if bill not in holding}, found.shelf)
    winners = {grant.bill for grant in grants}
    if together and len(winners) + len(holding) < len(demands):
        return frozenset()
    if grants:
        statements.hold_many([(ids[grant.place], grant) for grant in grants], at, expires_at)
    if draws := draws_of(grants):
        statements.draw_locks([(number, ids[place], units) for (number, place), units in draws.items()], at)
    return holding | winners


@transaction.atomic(savepoint=False)
def hold_globally(*, demands: Sequence[tuple[str, int, int]], at: datetime) -> int:
    """Remember what paid orders want while nobody knows from where: (order_no, sku_id, quantity); returns how many were new.

    It lowers 可售, never what stands at a node, and is not limited by stock: the money has been taken.
    """
    units: dict[tuple[str, int], int] = {}
    for bill, sku_id, quantity in demands:
        units[(bill, sku_id)] = units.get((bill, sku_id), 0) + quantity
    rows = [(bill, sku_id, quantity) for (bill, sku_id), quantity in sorted(units.items())]
    return statements.insert_global(rows, at) if rows else 0


@transaction.atomic(savepoint=False)
def release(*, bills: Sequence[str], at: datetime) -> int:
    """Give up what the bills hold; returns how many reservations were open. A repetition returns 0."""
    if not bills:
        return 0
    statements.lock_deliveries(bills)
    rows = statements.lock_levels(bills)
    return statements.close(bills, "released", at, rows, leaves=False)


@transaction.atomic(savepoint=False)
def consume(*, bills: Sequence[str], actor: str, at: datetime) -> int:
    """Ship what the bills hold: on_hand and held fall together and the movements are written.

    Returns how many reservations were open. A repetition returns 0.
    """
    if not bills:
        return 0
    rows = statements.lock_levels(bills)
    return statements.close(bills, "consumed", at, rows, leaves=True, actor=actor)


class _DoesNotFit(Exception):
    """Takes the release back when the new places cannot be held."""


def move(*, bill: str, wants: Sequence[Want], at: datetime) -> bool:
    """Give up what a bill holds and hold `wants` instead, or change nothing and return False."""
    return move_all(wants=wants, at=at) if wants and all(want.bill == bill for want in wants) else False


def move_all(*, wants: Sequence[Want], at: datetime) -> bool:
    """Give up all that these bills hold and hold `wants` instead: every bill, or nothing changes and it returns False.

    A bill that holds nothing (any more: it has shipped) cannot be moved. Old and new places are
    locked together in the order of their ids; the number of statements does not grow with the batch.
    """
    bills = list(dict.fromkeys(want.bill for want in wants))
    try:
        with transaction.atomic():
            statements.lock_deliveries(bills)
            rows = statements.lock_levels(bills, sorted({want.place for want in wants}))
            if len(statements.open_bills(bills)) < len(bills):
                return False
            statements.close(bills, "released", at, rows, leaves=False)
            if len(hold(wants=wants, at=at, together=True)) < len(bills):
                raise _DoesNotFit
    except _DoesNotFit:
        return False
    return True


@transaction.atomic(savepoint=False)
def swap(*, swaps: Sequence[Swap], at: datetime) -> list[bool]:
    """Do each swap whole or not at all, in the order given, and say which were done.

    Units that one bill gives up may be taken by another of the same swap, or of a later one. Old
    and new places are all locked together in the order of their ids, so nobody else sees them in
    between; the number of statements does not grow with the batch. A bill that holds nothing (any
    more: it has shipped) stops its swap.
    """
    bills = list(dict.fromkeys(bill for each in swaps for bill in each.bills))
    wanted = {want.place for each in swaps for want in each.wants}
    if not bills and not wanted:
        return [True] * len(swaps)
    statements.lock_deliveries(bills)
    rows = statements.lock_levels(bills, sorted(wanted))
    held = statements.held_by(bills)
    places = sorted(wanted.union(*held.values()))
    locks = queries.locks_for(claim for each in swaps for want in each.wants for claim in want.claims)
    found = statements.lock_free(places, locks, at)
    done = choose_swaps(swaps, held, found.shelf, found.fresh)
    winners = [each for each, fits in zip(swaps, done, strict=True) if fits]
    if leaving := [bill for each in winners for bill in each.bills]:
        statements.close(leaving, "released", at, rows, leaves=False)
    wants = [want for each in winners for want in each.wants]
    if wants and hold(wants=wants, at=at, together=True) < {want.bill for want in wants}:
        raise RuntimeError("stock rows changed while they were locked")
    return done


@transaction.atomic
def keep(*, bill: str, quantities: Mapping[Place, int], at: datetime) -> None:
    """Lower what a bill holds to these units per place (0 gives the place up), as when less was picked than promised.

    Raises NothingHeld, with nothing changed, when a place holds less than what should stay.
    """
    statements.lock_levels([bill])
    open_rows = Reservation.objects.filter(bill=bill, state="open", level__isnull=False)
    held = {(row[0], row[1]): row[2] for row in open_rows.values_list("level__node_id", "level__sku_id", "quantity")}
    for place, units in quantities.items():
        if units < 0 or units > held.get(place, 0):
            raise NothingHeld(f"单据 {bill} 在该处只预占了 {held.get(place, 0)}，不能保留 {units}")
    for place, units in quantities.items():
        if units:
            statements.lower_one(bill, place, units)
        elif place in held:
            statements.give_up_one(bill, place, at)


@transaction.atomic
def extend(*, bills: Sequence[str], expires_at: datetime | None) -> int:
    """Give the open reservations of some bills another deadline (None: no deadline); returns how many."""
    return Reservation.objects.filter(bill__in=bills, state="open").update(expires_at=expires_at)


@transaction.atomic(savepoint=False)
def settle(*, bills: Sequence[str], kind: str) -> int:
    """Call what some bills hold by another kind (an accepted offer becomes a promise of the node); returns how many.

    What a person has pinned to its place stays pinned until it leaves.
    """
    standing = Reservation.objects.filter(bill__in=bills, state="open", level__isnull=False)
    return standing.exclude(kind__in=[kind, Reservation.Kind.PINNED]).update(kind=kind)


@transaction.atomic
def block(
    *, key: str, node_id: int, sku_id: int, quantity: int, reason: str, at: datetime, expires_at: datetime | None = None
) -> None:
    """Take units out of sale for a while (damaged, lost, being checked); `key` makes a repetition a no-op.

    It is a reservation of kind block: release puts the units back, consume writes them off. Raises
    NotFree when so many are not free: what is promised must be moved first.
    """
    [problem] = block_rows(blocks=[Block(key, node_id, sku_id, quantity)], reason=reason, at=at, expires_at=expires_at)
    if problem:
        raise NotFree(problem)


@transaction.atomic
def block_rows(*, blocks: Sequence[Block], reason: str, at: datetime, expires_at: datetime | None = None) -> list[str]:
    """Block each row or say why not, in the order given (empty: done, or done before): a bad row does not stop the others.

    Four statements, two when nothing is new. Raises NotFree when no reason is given.
    """
    if not reason.strip():
        raise NotFree("请填写暂不可用的原因")
    shelf = ledger_statements.lock_places(sorted({block.place for block in blocks}))
    blocked = statements.read_blocked([block.bill for block in blocks])
    left = {place: standing.on_hand - standing.held for place, standing in shelf.items()}
    problems = judge_blocks(blocks, left, blocked)
    fresh = {
        block.bill: (shelf[block.place].level_id, block.bill, block.quantity)
        for block, problem in zip(blocks, problems, strict=True)
        if not problem and block.bill not in blocked
    }
    if fresh:
        statements.block_many(list(fresh.values()), reason[:120], at, expires_at)
    return problems


@transaction.atomic
def unblock_rows(*, places: Sequence[Place], actor: str, at: datetime) -> list[str]:
    """Put everything that is blocked at some places on sale again; per place why not (empty: done). Eight statements.

    Records StockArrived per node, so that orders that wait are tried again.
    """
    found = statements.read_blocks(places)
    release(bills=[bill for bills in found.values() for bill in bills], at=at)
    freed: dict[int, list[int]] = {}
    for node_id, sku_id in sorted(found):
        freed.setdefault(node_id, []).append(sku_id)
    journal.record(*(StockArrived(node_id=node, sku_ids=skus) for node, skus in freed.items()), actor=actor, at=at)
    return ["" if place in found else "没有冻结中的库存" for place in places]


@transaction.atomic
def expire_due(*, at: datetime) -> int:
    """Release what has expired, up to 500 at a time; returns how many. Called by the clock."""
    bills = statements.due_bills(at, EXPIRE_LIMIT)
    if not bills:
        return 0
    statements.lock_deliveries(bills)
    rows = statements.lock_levels(bills)
    places = statements.places_of(bills)
    closed = statements.close(bills, "released", at, rows, leaves=False, due=True)
    freed: dict[int, list[int]] = {}
    for node_id, sku_id in places:
        freed.setdefault(node_id, []).append(sku_id)
    journal.record(*(StockArrived(node_id=node, sku_ids=skus) for node, skus in freed.items()), actor=ACTOR, at=at)
    return closed
