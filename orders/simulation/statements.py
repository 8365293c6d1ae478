"""The SQL of simulations: differences are kept many at a time."""

from collections.abc import Sequence

from django.db import connection

from oms_project.journal.statements import insert_of
from orders.simulation.run import Difference

_COLUMNS = {
    "simulation_id": "bigint",
    "position": "integer",
    "order_no": "text",
    "region": "text",
    "before": "text",
    "after": "text",
    "before_fen": "bigint",
    "after_fen": "bigint",
}


def insert_differences(simulation_id: int, rows: Sequence[Difference]) -> None:
    """Keep differences of a simulation, in one statement."""
    if not rows:
        return
    insert, values = insert_of("orders_simulationdifference", _COLUMNS, [(simulation_id, *row) for row in rows])
    with connection.cursor() as cursor:
        cursor.execute(insert, values)
