"""Work takes a place of its dealer's day, and gives it back; never more than the day allows.

Bills are numbers of work: repeating a call with the same bill changes nothing. Dealers are locked in
the order of their ids, after stock. The caller holds the lock of the order that a bill belongs to.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from dealers.capacity import rules, statements
from dealers.capacity.rules import DealerDay
from dealers.directory.rules import day_of
from oms_project import events
from oms_project.journal import actions as journal

ACTOR = "system:capacity"
SLOTS_KEPT = timedelta(days=60)
GIVEN_BACK, NEW_DAY, RAISED = "given_back", "new_day", "raised"


@transaction.atomic(savepoint=False)
def take(*, slots: Mapping[str, int], days: Mapping[int, DealerDay], at: datetime) -> frozenset[str]:
    """Let pieces of work (bill → dealer) take a place of the day, first come first served; returns those that have one.

    `days` is what was read of these dealers for the plan. One statement (two on SQLite) where
    everything fits; where somebody else was faster, three more, whatever the batch.
    """
    if not slots:
        return frozenset()
    day = day_of(at)
    allowed = {dealer_id: each.allowed for dealer_id, each in days.items()}
    taken = statements.take(slots, allowed, day, at)
    if len(taken) < len(slots):
        holders = statements.holders(slots)
        taken |= {bill for bill, dealer_id in slots.items() if holders.get(bill) == dealer_id}
        late = {bill: dealer_id for bill, dealer_id in slots.items() if bill not in taken and bill not in holders}
        left = {
            dealer_id: allowed[dealer_id] - each.taken
            for dealer_id, each in statements.read_days(set(late.values()), day).items()
        }
        if fitting := rules.that_fit(late, left):
            taken |= statements.take(fitting, allowed, day, at)
    return frozenset(taken)


@transaction.atomic(savepoint=False)
def move(
    *, slots: Mapping[str, int], days: Mapping[int, DealerDay], actor: str, at: datetime, gone: Sequence[str] = ()
) -> frozenset[str]:
    """Give pieces of work to other dealers (bill → dealer): the old places are given back, then the new ones taken.

    `gone` is work that needs no place any more. Returns the bills that have their new place; the
    others have none any more.
    """
    if not slots and not gone:
        return frozenset()
    statements.lock_dealers([*slots, *gone], set(slots.values()))
    leaving = [bill for bill, dealer_id in statements.holders(slots).items() if slots[bill] != dealer_id] if slots else []
    if leaving or gone:
        _give_back([*leaving, *gone], actor, at)
    return take(slots=slots, days=days, at=at)


@transaction.atomic(savepoint=False)
def give_back(*, bills: Sequence[str], actor: str, at: datetime) -> None:
    """These pieces of work do not take a dealer's time any more. A dealer that was full today is told of as free again."""
    if bills:
        statements.lock_dealers(bills, ())
        _give_back(bills, actor, at)


def _give_back(bills: Sequence[str], actor: str, at: datetime) -> None:
    today = day_of(at)
    freed = sorted({dealer_id for dealer_id, day, was_full in statements.give_back(bills) if was_full and day == today})
    journal.record(*_freed(freed, GIVEN_BACK), actor=actor, at=at)


def _freed(dealer_ids: Iterable[int], why: str) -> list[events.CapacityFreed]:
    return [events.CapacityFreed(dealer_id=dealer_id, why=why) for dealer_id in dealer_ids]


@transaction.atomic
def close_days(*, at: datetime) -> int:
    """A new day has begun: dealers that were full may get work again; returns how many. Called by the clock."""
    today = day_of(at)
    full = statements.close_days(today, at)
    statements.delete_slots(today - SLOTS_KEPT)
    journal.record(*_freed(full, NEW_DAY), actor=ACTOR, at=at)
    return len(full)


@transaction.atomic
def tell_raised(*, dealer_id: int, actor: str, at: datetime) -> None:
    """A dealer's limit was raised, so that orders that wait may go there."""
    journal.record(*_freed([dealer_id], RAISED), actor=actor, at=at)
