"""How much more work dealers may get."""

from collections.abc import Collection
from datetime import datetime

from dealers.capacity import statements
from dealers.capacity.models import DayLoad
from dealers.capacity.rules import DealerDay
from dealers.directory.models import Staff
from dealers.directory.rules import day_of
from oms_project.refusal import NotFound


def days_of(dealer_ids: Collection[int], at: datetime) -> dict[int, DealerDay]:
    """These dealers on the day of a moment, in one statement."""
    return statements.read_days(dealer_ids, day_of(at)) if dealer_ids else {}


def own_day(*, staff: Staff, at: datetime) -> DealerDay:
    """The day of a person's own dealer. Raises NotFound for people of HQ."""
    if staff.dealer_id is None:
        raise NotFound
    return days_of([staff.dealer_id], at)[staff.dealer_id]


def last_days(*, dealer_id: int, limit: int) -> list[DayLoad]:
    """A dealer's last counted days, the newest first."""
    return list(DayLoad.objects.filter(dealer_id=dealer_id).order_by("-day")[:limit])
