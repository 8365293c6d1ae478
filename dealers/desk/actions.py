"""What follows when a dealer was changed."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from dealers.capacity import actions as capacity
from dealers.models import Dealer, Staff
from oms_project import events
from oms_project.journal import actions as journal

# What decides whether a dealer may get work, besides how much of it.
_MATTERS = frozenset({"is_active", "is_paused", "tier", "areas", "skills"})


@transaction.atomic
def tell_dealer_changed(*, dealer: Dealer, changed: Collection[str], is_raised: bool, staff: Staff, at: datetime) -> None:
    """Say that a dealer may get other work than before, so that waiting orders are tried again.

    `changed` are its fields, with 'areas' and 'skills'; `is_raised`: it may take more in a day than before.
    """
    actor = f"staff:{staff.pk}"
    if _MATTERS & set(changed):
        journal.record(events.RoutingChanged(what=f"dealer-{dealer.code}"), actor=actor, at=at)
    elif is_raised:
        capacity.tell_raised(dealer_id=dealer.pk, actor=actor, at=at)
