"""The SQL of loading the divisions: few statements whatever the number of rows, for PostgreSQL and for SQLite."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db import connection

from dealers.divisions.package import DivisionRow, TownRow
from oms_project.journal.statements import insert_of

_DIVISION = {
    "code": "text",
    "name": "text",
    "level": "smallint",
    "parent_id": "text",
    "lng": "double precision",
    "lat": "double precision",
    "population": "integer",
    "valid_from": "date",
    "valid_to": "date",
    "former_names": "text",
}
_TOWN = {"code": "text", "name": "text", "district_id": "text", "is_current": "boolean"}
_HEIRS = {"from_division_id": "text", "to_division_id": "text"}
_BATCH = 2000  # SQLite takes 32,766 parameters at once


def write_divisions(rows: Sequence[DivisionRow]) -> None:
    """Insert or overwrite; parents stand before their children."""
    values = [
        (*row[:3], row.parent or None, *row[4:7], _day(row.valid_from), _day(row.valid_to), row.former_names) for row in rows
    ]
    _write("dealers_division", _DIVISION, values)


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None


def write_townships(rows: Sequence[TownRow]) -> None:
    """Insert or overwrite."""
    _write("dealers_township", _TOWN, rows)


def write_successors(pairs: Sequence[tuple[str, str]]) -> None:
    """Add (closed, current) pairs that are not there yet."""
    for start in range(0, len(pairs), _BATCH):
        insert, values = insert_of("dealers_division_replaced_by", _HEIRS, pairs[start : start + _BATCH])
        with connection.cursor() as cursor:
            cursor.execute(f"{insert} ON CONFLICT (from_division_id, to_division_id) DO NOTHING", values)


def forget_successors(codes: Sequence[str]) -> None:
    """Take away all successors of these closed divisions."""
    _for_all("DELETE FROM dealers_division_replaced_by WHERE from_division_id IN", codes)


def close_townships(codes: Sequence[str]) -> None:
    """These are not current any more."""
    _for_all("UPDATE dealers_township SET is_current = FALSE WHERE code IN", codes)


def _for_all(statement: str, codes: Sequence[str]) -> None:
    for start in range(0, len(codes), _BATCH):
        batch = codes[start : start + _BATCH]
        with connection.cursor() as cursor:
            cursor.execute(f"{statement} ({', '.join(['%s'] * len(batch))})", batch)


def _write(table: str, columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> None:
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name != "code")
    for start in range(0, len(rows), _BATCH):
        insert, values = insert_of(table, columns, rows[start : start + _BATCH])
        with connection.cursor() as cursor:
            cursor.execute(f"{insert} ON CONFLICT (code) DO UPDATE SET {changes}", values)
