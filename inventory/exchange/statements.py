"""The SQL of imports: many rows at once, for PostgreSQL and for SQLite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from oms_project.journal.statements import insert_of, rows_of

_ROW = {
    "file_id": "bigint",
    "number": "integer",
    "node_id": "bigint",
    "target_id": "bigint",
    "sku_id": "bigint",
    "quantity": "bigint",
    "measured_at": "timestamptz",
    "reason": "text",
    "cells": "jsonb",
    "state": "text",
    "fault": "text",
    "problem": "text",
}
NewRow = tuple[int, int, int | None, int | None, int | None, int | None, datetime | None, str, str, str, str, str]
Settled = tuple[int, str, int, str]  # id, state, change, problem
_SETTLED = {"id": "bigint", "state": "text", "change": "bigint", "problem": "text"}


def insert_rows(rows: Sequence[NewRow]) -> None:
    """Keep rows of a file as they were understood; columns as in _ROW."""
    insert, params = insert_of("inventory_stockfilerow", _ROW, rows, {"change": "0"})
    with connection.cursor() as cursor:
        cursor.execute(insert, params)


def settle_rows(rows: Sequence[Settled]) -> None:
    """Say what became of rows. The original cells stay with what failed only."""
    params: list[Any]
    if connection.vendor == "postgresql":
        given, params = rows_of(_SETTLED, rows)
        source = f"FROM {given}"
    else:
        source = (
            f"FROM (SELECT column1 AS id, column2 AS state, column3 AS change, column4 AS problem FROM (VALUES {_marks(rows)})) v"
        )
        params = [value for row in rows for value in row]
    empty = "'[]'::jsonb" if connection.vendor == "postgresql" else "'[]'"
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE inventory_stockfilerow SET state = v.state, change = v.change, problem = v.problem, "
            f"cells = CASE v.state WHEN 'failed' THEN cells ELSE {empty} END {source} WHERE inventory_stockfilerow.id = v.id",
            params,
        )


def _marks(rows: Sequence[Settled]) -> str:
    return ", ".join(["(%s, %s, %s, %s)"] * len(rows))


def delete_rows(file_id: int) -> None:
    """Forget how a file was understood."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM inventory_stockfilerow WHERE file_id = %s", [file_id])


def lock_standing(places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Lock stock rows in the order of their ids; (on_hand, held) per place that has one."""
    lock = " FOR UPDATE OF l" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH w (node_id, sku_id) AS (VALUES {', '.join(['(%s, %s)'] * len(places))}) "
            "SELECT l.node_id, l.sku_id, l.on_hand, l.held FROM w "
            f"JOIN inventory_level l ON l.node_id = w.node_id AND l.sku_id = w.sku_id ORDER BY l.id{lock}",
            [number for place in places for number in place],
        )
        return {(node_id, sku_id): (on_hand, held) for node_id, sku_id, on_hand, held in cursor.fetchall()}
