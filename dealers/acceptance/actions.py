"""Dealers' answers are counted as they come."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from dealers.acceptance import statements
from dealers.acceptance.models import Acceptance
from dealers.directory.rules import day_of


@transaction.atomic(savepoint=False)
def count_answers(*, accepted: Mapping[int, int], refused: Mapping[int, int], at: datetime) -> None:
    """Add answers per dealer; what came before weighs less by its age. Three statements, whatever the batch.

    Rows are made where there are none yet, then locked in key order, and only then read.
    """
    dealers = sorted({*accepted, *refused})
    if not dealers:
        return
    day = day_of(at)
    Acceptance.objects.bulk_create([Acceptance(dealer_id=each, as_of=day) for each in dealers], ignore_conflicts=True)
    locked = Acceptance.objects.select_for_update().filter(dealer_id__in=dealers).order_by("dealer_id")
    known = {row.dealer_id: row.answers for row in locked}
    rows = []
    for dealer_id in dealers:
        yes, no = accepted.get(dealer_id, 0), refused.get(dealer_id, 0)
        now = known[dealer_id].and_also(yes, no, day)
        rows.append((dealer_id, now.yes, now.no, now.as_of, yes, no))
    statements.write_answers(rows)
