"""The SQL that opens work: one statement for any number of pieces, both databases."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from oms_project.journal.statements import insert_of, rows_of
from orders.work.rules import NewPlace, NewWork, short_no

_WORK = {
    "fo_no": "text",
    "order_id": "bigint",
    "node_id": "bigint",
    "dealer_id": "bigint",
    "state": "text",
    "short_no": "integer",
    "needs_install": "boolean",
    "paid_fen": "bigint",
    "summary": "text",
    "opened_at": "timestamptz",
    "accepted_at": "timestamptz",
    "moved_at": "timestamptz",
    "is_pinned": "boolean",
    "stuck_reason": "text",
}
_WORK_LINE = {"order_line_id": "bigint", "sku_id": "bigint", "quantity": "integer"}


def insert_works(works: Sequence[NewWork], opened_at: datetime) -> dict[str, int]:
    """Insert pieces of work with their lines; fo_no → id."""
    is_postgres = connection.vendor == "postgresql"
    rows = [
        (
            work.fo_no,
            work.order_id,
            work.node_id,
            work.dealer_id,
            work.state,
            short_no(work.fo_no),
            work.needs_install,
            work.paid_fen,
            work.summary,
            opened_at,
            work.accepted_at,
            opened_at,
            work.is_pinned,
            work.stuck_reason,
        )
        for work in works
    ]
    lines = [(work.fo_no, *line) for work in works for line in work.lines]
    insert, values = insert_of("orders_fulfillmentorder", _WORK, rows, {"version": "1"})
    insert += " RETURNING id, fo_no"
    if lines and is_postgres:
        given, more = rows_of({"fo_no": "text"} | _WORK_LINE, lines)
        insert = (
            f"WITH w AS ({insert}), l AS (INSERT INTO orders_fulfillmentline (work_id, {', '.join(_WORK_LINE)}) "
            f"SELECT w.id, {', '.join(f'v.{name}' for name in _WORK_LINE)} FROM {given} JOIN w ON w.fo_no = v.fo_no) "
            "SELECT id, fo_no FROM w"
        )
        values = [*values, *more]
    with connection.cursor() as cursor:
        cursor.execute(insert, values)
        ids = {fo_no: work_id for work_id, fo_no in cursor.fetchall()}
        if lines and not is_postgres:
            known = [(ids[fo_no], *line) for fo_no, *line in lines]
            cursor.execute(*insert_of("orders_fulfillmentline", {"work_id": "bigint"} | _WORK_LINE, known))
    return ids


_PLACE = {"work_id": "bigint", "node_id": "bigint", "dealer_id": "bigint", "state": "text"}


def rehome_works(places: Sequence[NewPlace], at: datetime) -> list[tuple[int, str, str, str]]:
    """Give pieces of work to other places; (id, fo_no, order_no, division code) of those that were on offer."""
    rows = [(place.work_id, place.node_id, place.dealer_id, place.state) for place in places]
    if connection.vendor == "postgresql":
        given, values = rows_of(_PLACE, rows)
    else:
        given, values = "v", [value for row in rows for value in row]
    table = "" if given != "v" else f"WITH v ({', '.join(_PLACE)}) AS (VALUES {', '.join(['(%s, %s, %s, %s)'] * len(rows))}) "
    moment = connection.ops.adapt_datetimefield_value(at)
    update = (
        "UPDATE orders_fulfillmentorder SET node_id = v.node_id, dealer_id = v.dealer_id, state = v.state, "
        "version = version + 1, moved_at = %s, accepted_at = CASE WHEN v.state = 'accepted' THEN %s END "
        f"FROM {given} WHERE orders_fulfillmentorder.id = v.work_id AND orders_fulfillmentorder.state = 'offered' "
        "RETURNING orders_fulfillmentorder.id, fo_no, "
        "(SELECT o.order_no FROM orders_order o WHERE o.id = order_id), "
        "(SELECT o.division_code FROM orders_order o WHERE o.id = order_id)"
    )
    times = [moment, moment]
    with connection.cursor() as cursor:
        cursor.execute(table + update, [*values, *times] if table else [*times, *values])
        return cursor.fetchall()
