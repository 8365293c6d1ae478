"""The SQL of the hot paths of orders: one named function per statement, both databases."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import orjson
from django.db import connection

from oms_project.journal.statements import insert_of, read_time, rows_of
from orders.lifecycle.rules import CountableLine, LineToRoute, OrderToRoute

OrderKey = tuple[str, str, str]  # channel, shop, external id
_KEY = {"channel": "text", "shop": "text", "external_id": "text"}
_ORDER = {
    "order_no": "text",
    **_KEY,
    "state": "text",
    "channel_status": "text",
    "source_updated_at": "bigint",
    "paid_at": "timestamptz",
    "placed_at": "timestamptz",
    "goods_fen": "bigint",
    "freight_fen": "bigint",
    "paid_fen": "bigint",
    "division_code": "text",
    "region": "text",
    "receiver_sealed": "text",
    "receiver_masked": "text",
    "receiver_print": "text",
    "has_note": "boolean",
    "live_session": "text",
    "anchor": "text",
    "tags": "jsonb",
}
_LINE = {
    "position": "smallint",
    "external_line_id": "text",
    "sold_code": "text",
    "title": "text",
    "sku_id": "bigint",
    "quantity": "integer",
    "paid_fen": "bigint",
}
_UNTOUCHED = {"fulfilled_quantity": "0", "cancelled_quantity": "0", "refunded_fen": "0"}


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def insert_orders(rows: Sequence[tuple[Any, ...]], lines: Sequence[tuple[OrderKey, CountableLine]]) -> dict[OrderKey, int]:
    """Insert orders that are not known yet, with their lines; (channel, shop, external_id) → id of those inserted.

    Lines of orders that were known already are left out.
    """
    insert, values = insert_of("orders_order", _ORDER, rows, {"version": "1", "refunded_fen": "0"})
    insert += " ON CONFLICT (channel, shop, external_id) DO NOTHING RETURNING id, channel, shop, external_id"
    if lines and _is_postgres():
        given, more = rows_of(_KEY | _LINE, [(*key, *_line_values(line)) for key, line in lines])
        insert = (
            f"WITH o AS ({insert}), l AS (INSERT INTO orders_orderline (order_id, {', '.join(_LINE)}, {', '.join(_UNTOUCHED)}) "
            f"SELECT o.id, {', '.join(f'v.{name}' for name in _LINE)}, 0, 0, 0 FROM {given} "
            "JOIN o ON (o.channel, o.shop, o.external_id) = (v.channel, v.shop, v.external_id)) "
            "SELECT id, channel, shop, external_id FROM o ORDER BY id"
        )
        values = [*values, *more]
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
    rows = [(order_id, *_line_values(line)) for order_id, line in lines]
    insert, values = insert_of("orders_orderline", {"order_id": "bigint"} | _LINE, rows, _UNTOUCHED)
    with connection.cursor() as cursor:
        cursor.execute(insert, values)


_TAKEN = "id, order_no, channel, shop, division_code, region, paid_fen, paid_at, placed_at, anchor, live_session, tags"
_TAKE = (
    "UPDATE orders_order SET state = 'routed', version = version + 1 WHERE id IN ({ids}) AND state IN ('placed', 'unroutable')"
)
_TAKEN_LINES = (
    f"SELECT {', '.join(f'taken.{name}' for name in _TAKEN.split(', '))}, "
    "l.id, l.sku_id, s.code, s.name, {units}, l.paid_fen, "
    "s.weight_g, s.kind, s.install_skill, s.category, s.supply_price_fen, l.external_line_id, "
    "(SELECT count(*) FROM orders_fulfillmentorder w WHERE w.order_id = taken.id), "
    "EXISTS (SELECT 1 FROM inventory_reservation r WHERE r.bill = taken.order_no AND r.state = 'open' AND r.sku_id IS NOT NULL) "
    "FROM {taken} JOIN orders_orderline l ON l.order_id = taken.id JOIN inventory_sku s ON s.id = l.sku_id "
    "WHERE {units} > 0{only} ORDER BY taken.id, l.position"
)
_OPEN_UNITS = "l.quantity - l.fulfilled_quantity - l.cancelled_quantity"


def take_orders_for_routing(order_ids: Sequence[int]) -> list[OrderToRoute]:
    """Move orders that wait for routing to 'routed' and return them with their open lines."""
    take = _TAKE.format(ids=", ".join(["%s"] * len(order_ids)))
    with connection.cursor() as cursor:
        if _is_postgres():
            lines = _TAKEN_LINES.format(taken="taken", only="", units=_OPEN_UNITS)
            cursor.execute(f"WITH taken AS ({take} RETURNING {_TAKEN}) {lines}", list(order_ids))
        else:
            cursor.execute(f"{take} RETURNING id", list(order_ids))
            taken = [row[0] for row in cursor.fetchall()]
            return read_orders_to_route(taken)
        rows = cursor.fetchall()
    return _orders_to_route(rows)


def read_orders_to_route(order_ids: Sequence[int], whole: bool = False) -> list[OrderToRoute]:
    """Orders with their open lines, by id, or `whole` as they came; those without any are left out."""
    only = f" AND taken.id IN ({', '.join(['%s'] * len(order_ids))})" if order_ids else " AND 1 = 0"
    with connection.cursor() as cursor:
        units = "l.quantity" if whole else _OPEN_UNITS
        cursor.execute(_TAKEN_LINES.format(taken="orders_order taken", only=only, units=units), list(order_ids))
        return _orders_to_route(cursor.fetchall())


def _orders_to_route(rows: Sequence[tuple[Any, ...]]) -> list[OrderToRoute]:
    return [_order_to_route(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]


def _order_to_route(rows: list[tuple[Any, ...]]) -> OrderToRoute:
    head = rows[0]
    lines = tuple(
        LineToRoute(
            line_id=row[12],
            sku_id=row[13],
            sku_code=row[14],
            name=row[15],
            quantity=row[16],
            paid_fen=row[17],
            weight_g=row[18],
            is_counted=row[19] == "physical",
            install_skill=row[20],
            category=row[21],
            supply_price_fen=row[22],
            bundle=row[23],
        )
        for row in rows
    )
    paid_at = read_time(head[7] or head[8])
    order_id, order_no, channel, shop, division_code, region, paid_fen = head[:7]
    return OrderToRoute(
        order_id,
        order_no,
        channel,
        shop,
        division_code,
        region,
        paid_fen,
        paid_at,
        anchor=head[9],
        lines=lines,
        works_before=head[24],
        live_session=head[10],
        is_awaited=bool(head[25]),
        tags=frozenset(orjson.loads(head[11])),
    )
