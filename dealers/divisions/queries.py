"""What others may ask about divisions; answered from this process's memory, never per order from the database."""

import threading
import time
from dataclasses import dataclass

from django.db.models import Max

from dealers.divisions.gazetteer import Division as Row
from dealers.divisions.gazetteer import Gazetteer
from dealers.divisions.models import Division, DivisionEdition, Township

FRESH_SECONDS = 60.0
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Kept:
    checked_at: float
    edition: int
    gazetteer: Gazetteer


_kept: _Kept | None = None


def gazetteer() -> Gazetteer:
    """The divisions of the country, kept in the process; once a minute it is asked whether a newer list was loaded.

    An empty table is never kept, so that a fresh installation sees its data at once.
    """
    kept = _kept
    if kept and time.monotonic() - kept.checked_at < FRESH_SECONDS:
        return kept.gazetteer
    with _lock:
        return _refreshed()


def _refreshed() -> Gazetteer:
    global _kept
    now = time.monotonic()
    if _kept and now - _kept.checked_at < FRESH_SECONDS:
        return _kept.gazetteer  # another thread was first
    edition = DivisionEdition.objects.aggregate(newest=Max("pk"))["newest"] or 0
    made = _kept.gazetteer if _kept and _kept.edition == edition else _read()
    _kept = _Kept(now, edition, made) if made.units else None
    return made


def _read() -> Gazetteer:
    heirs: dict[str, list[str]] = {}
    rows = Division.objects.values_list("code", "name", "level", "parent_id", "valid_to", "former_names")
    divisions = list(rows)
    if not divisions:
        return Gazetteer.of([])
    for closed, current in Division.replaced_by.through.objects.order_by("pk").values_list("from_division_id", "to_division_id"):
        heirs.setdefault(closed, []).append(current)
    return Gazetteer.of(
        (
            Row(code, name, level, parent or "", valid_to is None, tuple(former.split()), tuple(heirs.get(code, ())))
            for code, name, level, parent, valid_to, former in divisions
        ),
        Township.objects.filter(is_current=True).order_by("pk").values_list("code", "name", "district_id"),
    )


def forget() -> None:
    """Read everything anew at the next question."""
    global _kept
    _kept = None


def current_codes(code: str) -> tuple[str, ...]:
    """The current codes of an area that was stored under a code of 2, 4 or 6 digits, perhaps long ago.

    Several where it was split; a code that nobody knows stands for itself.
    """
    unit = gazetteer().units.get(code.ljust(6, "0"))
    if unit is None or unit.is_current:
        return (code,)
    return tuple(heir.removesuffix("00") if len(code) < 6 else heir for heir in unit.heirs)


def area_codes(code: str) -> tuple[str, ...]:
    """Every code under which work of an area may be stored: its own, its current ones, and those it replaced."""
    closed = gazetteer().replaced.get(code, ())
    return tuple(dict.fromkeys((code, *current_codes(code), *closed)))
