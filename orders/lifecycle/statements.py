"""The SQL of the hot paths of orders and work: one named function per statement, both databases."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connection

from oms_project.journal.statements import read_time
from orders.lifecycle.rules import CountableLine, LineToRoute, NewWork, OrderToRoute, short_no

ORDER_COLUMNS = (
    "order_no, channel, shop, external_id, state, channel_status, source_updated_at, paid_at, placed_at, goods_fen, freight_fen, "
    "paid_fen, division_code, region, receiver_sealed, receiver_masked, receiver_print, has_note, live_session, anchor"
)
_LINE_COLUMNS = "position, external_line_id, sold_code, title, sku_id, quantity, paid_fen, fulfilled_quantity, cancelled_quantity, refunded_fen"
OrderKey = tuple[str, str, str]  # channel, shop, external id
_WIDTH = ORDER_COLUMNS.count(",") + 1


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def as_time(value: datetime | None) -> Any:
    """A time as this database takes it through a raw cursor."""
    return connection.ops.adapt_datetimefield_value(value) if value else None


def insert_orders(rows: Sequence[tuple[Any, ...]], lines: Sequence[tuple[OrderKey, CountableLine]]) -> dict[OrderKey, int]:
    """Insert orders that are not known yet, with their lines; (channel, shop, external_id) → id of those inserted.

    Lines of orders that were known already are left out.
    """
    row = "(" + ", ".join(["%s"] * _WIDTH) + ", 1, 0)"
    insert = (
        f"INSERT INTO orders_order ({ORDER_COLUMNS}, version, refunded_fen) VALUES {', '.join([row] * len(rows))} "
        "ON CONFLICT (channel, shop, external_id) DO NOTHING RETURNING id, channel, shop, external_id"
    )
    values = [value for values in rows for value in values]
    if lines and _is_postgres():
        insert = (
            f"WITH o AS ({insert}), l AS (INSERT INTO orders_orderline (order_id, {_LINE_COLUMNS}) SELECT o.id, v.position, "
            "v.external_line_id, v.sold_code, v.title, v.sku_id::bigint, v.quantity, v.paid_fen, 0, 0, 0 "
            f"FROM (VALUES {', '.join(['(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)'] * len(lines))}) AS v (channel, shop, "
            "external_id, position, external_line_id, sold_code, title, sku_id, quantity, paid_fen) "
            "JOIN o ON (o.channel, o.shop, o.external_id) = (v.channel, v.shop, v.external_id)) "
            "SELECT id, channel, shop, external_id FROM o ORDER BY id"
        )
        values += [value for key, line in lines for value in (*key, *_line_values(line))]
    with connection.cursor() as cursor:
        cursor.execute(insert, values)
        inserted = {(channel, shop, external_id): order_id for order_id, channel, shop, external_id in cursor.fetchall()}
    if not _is_postgres() and (fresh := [(inserted[key], line) for key, line in lines if key in inserted]):
        insert_lines(fresh)
    return inserted


def _line_values(line: CountableLine) -> tuple[Any, ...]:
    return (
        line.position,
        line.external_line_id,
        line.sold_code,
        line.title,
        line.sku_id,
        line.quantity,
        line.paid_fen,
    )


def insert_lines(lines: Sequence[tuple[int, CountableLine]]) -> None:
    """Insert order lines, each given with its order's id."""
    row = "(%s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 0)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO orders_orderline (order_id, {_LINE_COLUMNS}) VALUES {', '.join([row] * len(lines))}",
            [value for order_id, line in lines for value in (order_id, *_line_values(line))],
        )


_TAKEN = "id, order_no, channel, shop, division_code, region, paid_fen, paid_at, placed_at, anchor"
_TAKE = (
    "UPDATE orders_order SET state = 'routed', version = version + 1 WHERE id IN ({ids}) AND state IN ('placed', 'unroutable')"
)
_TAKEN_LINES = (
    f"SELECT {', '.join(f'taken.{name}' for name in _TAKEN.split(', '))}, "
    "l.id, l.sku_id, s.code, s.name, l.quantity - l.fulfilled_quantity - l.cancelled_quantity, l.paid_fen, "
    "s.weight_g, s.kind, s.install_skill, s.category, s.supply_price_fen, "
    "(SELECT count(*) FROM orders_fulfillmentorder w WHERE w.order_id = taken.id) "
    "FROM {taken} JOIN orders_orderline l ON l.order_id = taken.id JOIN inventory_sku s ON s.id = l.sku_id "
    "WHERE l.quantity > l.fulfilled_quantity + l.cancelled_quantity{only} ORDER BY taken.id, l.position"
)


def take_orders_for_routing(order_ids: Sequence[int]) -> list[OrderToRoute]:
    """Move orders that wait for routing to 'routed' and return them with their open lines."""
    take = _TAKE.format(ids=", ".join(["%s"] * len(order_ids)))
    with connection.cursor() as cursor:
        if _is_postgres():
            lines = _TAKEN_LINES.format(taken="taken", only="")
            cursor.execute(f"WITH taken AS ({take} RETURNING {_TAKEN}) {lines}", list(order_ids))
        else:
            cursor.execute(f"{take} RETURNING id", list(order_ids))
            taken = [row[0] for row in cursor.fetchall()]
            only = f" AND taken.id IN ({', '.join(['%s'] * len(taken))})"
            cursor.execute(_TAKEN_LINES.format(taken="orders_order taken", only=only), taken)
        rows = cursor.fetchall()
    return [_order_to_route(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]


def _order_to_route(rows: list[tuple[Any, ...]]) -> OrderToRoute:
    head = rows[0]
    lines = tuple(
        LineToRoute(
            line_id=row[10],
            sku_id=row[11],
            sku_code=row[12],
            name=row[13],
            quantity=row[14],
            paid_fen=row[15],
            weight_g=row[16],
            is_counted=row[17] == "physical",
            install_skill=row[18],
            category=row[19],
            supply_price_fen=row[20],
        )
        for row in rows
    )
    paid_at = read_time(head[7] or head[8])
    return OrderToRoute(*head[:7], paid_at, head[9], lines, head[21])


def insert_works(works: Sequence[NewWork], opened_at: datetime) -> dict[str, int]:
    """Insert pieces of work with their lines; fo_no → id."""
    row = "(%s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s)"
    opened = as_time(opened_at)
    insert = (
        "INSERT INTO orders_fulfillmentorder (fo_no, order_id, node_id, dealer_id, state, version, short_no, needs_install, "
        f"paid_fen, summary, opened_at, accepted_at, moved_at) VALUES {', '.join([row] * len(works))} RETURNING id, fo_no"
    )
    values = [
        value
        for work in works
        for value in (
            work.fo_no,
            work.order_id,
            work.node_id,
            work.dealer_id,
            work.state,
            short_no(work.fo_no),
            work.needs_install,
            work.paid_fen,
            work.summary,
            opened,
            as_time(work.accepted_at),
            opened,
        )
    ]
    lines = [(work.fo_no, *line) for work in works for line in work.lines]
    into = "INSERT INTO orders_fulfillmentline (work_id, order_line_id, sku_id, quantity) "
    marks = ", ".join(["(%s, %s, %s, %s)"] * len(lines))
    if lines and _is_postgres():
        insert = (
            f"WITH w AS ({insert}), l AS ({into}SELECT w.id, v.line_id, v.sku_id, v.quantity "
            f"FROM (VALUES {marks}) AS v (fo_no, line_id, sku_id, quantity) JOIN w ON w.fo_no = v.fo_no) SELECT id, fo_no FROM w"
        )
        values += [value for line in lines for value in line]
    with connection.cursor() as cursor:
        cursor.execute(insert, values)
        ids = {fo_no: work_id for work_id, fo_no in cursor.fetchall()}
        if lines and not _is_postgres():
            cursor.execute(f"{into}VALUES {marks}", [value for fo_no, *line in lines for value in (ids[fo_no], *line)])
    return ids
