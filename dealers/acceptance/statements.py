"""The SQL of counting answers: one statement for any number of dealers, both databases."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db import connection

from oms_project.journal.statements import insert_of

_COLUMNS = {
    "dealer_id": "bigint",
    "yes_weight": "bigint",
    "no_weight": "bigint",
    "as_of": "date",
    "accepted_count": "integer",
    "refused_count": "integer",
}
_AGAIN = (
    " ON CONFLICT (dealer_id) DO UPDATE SET yes_weight = EXCLUDED.yes_weight, no_weight = EXCLUDED.no_weight, "
    "as_of = EXCLUDED.as_of, accepted_count = dealers_acceptance.accepted_count + EXCLUDED.accepted_count, "
    "refused_count = dealers_acceptance.refused_count + EXCLUDED.refused_count"
)


def write_answers(rows: Sequence[tuple[int, int, int, date, int, int]]) -> None:
    """Set the weights of dealers and add to their counts; the rows must be locked."""
    day = (lambda value: value) if connection.vendor == "postgresql" else connection.ops.adapt_datefield_value
    given: list[tuple[Any, ...]] = [(*row[:3], day(row[3]), *row[4:]) for row in rows]
    insert, values = insert_of("dealers_acceptance", _COLUMNS, given)
    with connection.cursor() as cursor:
        cursor.execute(insert + _AGAIN, values)
