"""What is coming, and whether its books agree."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import F, Sum
from django.utils.timezone import localdate

from inventory.arrivals import statements
from inventory.ledger.models import Incoming


@dataclass(frozen=True, slots=True)
class PromisedDrift:
    """A delivery whose promised units are not the sum of the promises that stand on it."""

    source_key: str
    promised: int
    explained: int


def atp(
    *, sku_ids: Collection[int], by: date | None, at: datetime, node_ids: Collection[int] | None = None
) -> dict[int, dict[date, int]]:
    """可承诺量: units that may be promised for presale until each day on which some come, by SKU; one statement.

    A day counts what comes on earlier days too. Overdue deliveries promise nothing until they get another date.
    """
    found: dict[int, dict[date, int]] = {sku_id: {} for sku_id in sku_ids}
    rows = Incoming.objects.filter(sku_id__in=sku_ids, state="open", expected_on__gte=localdate(at), node__is_active=True)
    if by is not None:
        rows = rows.filter(expected_on__lte=by)
    if node_ids is not None:
        rows = rows.filter(node_id__in=node_ids)
    days = rows.values("sku_id", "expected_on").order_by("sku_id", "expected_on")
    units = Sum(F("quantity") - F("received") - F("promised"))
    for sku_id, day, free in days.annotate(free=units).values_list("sku_id", "expected_on", "free"):
        before = next(reversed(found[sku_id].values()), 0)
        found[sku_id][day] = before + int(free)
    return found


def drift() -> list[PromisedDrift]:
    """Every delivery where promised ≠ Σ open presale reservations; empty when the books agree."""
    return [PromisedDrift(*row) for row in statements.read_promised_drift()]
