"""The one write of this room: bring the divisions to what a checked package says."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from dealers.divisions import statements
from dealers.divisions.models import Division, DivisionEdition, Township
from dealers.divisions.package import SHIPPED, BrokenPackage, DivisionRow, Package, read_package

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """What a load did to one table; a row is counted once, by its most telling change."""

    added: int
    renamed: int
    closed: int
    changed: int
    unchanged: int

    def __str__(self) -> str:
        return f"新增 {self.added}，更名 {self.renamed}，停用 {self.closed}，更新 {self.changed}，未变 {self.unchanged}"

    @property
    def total(self) -> int:
        return self.added + self.renamed + self.closed + self.changed + self.unchanged


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of a load."""

    divisions: Tally
    townships: Tally

    def __str__(self) -> str:
        return f"行政区划：{self.divisions}；乡镇街道：{self.townships}"


def load_divisions(*, at: datetime, source: Path = SHIPPED) -> Loaded:
    """Bring divisions and townships to what a package says, all or nothing. Repeatable.

    Raises BrokenPackage with file, line and reason, also when the package has forgotten a current
    division that is known here: one that was abolished has to say so. Only differences are written;
    a load that changed something leaves an edition, by which every process learns of it.
    """
    return _store(package=read_package(source), at=at)


@transaction.atomic
def _store(*, package: Package, at: datetime) -> Loaded:
    divisions = _store_divisions(package)
    townships = _store_townships(package)
    loaded = Loaded(divisions, townships)
    if divisions.unchanged < divisions.total or townships.unchanged < townships.total:
        DivisionEdition.objects.create(loaded_at=at, source=package.source, digest=package.digest, outcome=str(loaded))
    return loaded


def _store_divisions(package: Package) -> Tally:
    fields = ("code", "name", "level", "parent_id", "lng", "lat", "population", "valid_from", "valid_to", "former_names")
    known = {row[0]: (*row[:3], row[3] or "", *row[4:]) for row in Division.objects.values_list(*fields)}
    heirs: dict[str, set[str]] = {}
    for closed, current in Division.replaced_by.through.objects.values_list("from_division_id", "to_division_id"):
        heirs.setdefault(closed, set()).add(current)
    _refuse_forgotten(known, {row.code for row in package.divisions})
    written = [row for row in package.divisions if known.get(row.code) != row[:10]]
    moved = [row for row in package.divisions if heirs.get(row.code, set()) != set(row.replaced_by)]
    statements.write_divisions(written)
    statements.forget_successors([row.code for row in moved if row.code in heirs])
    statements.write_successors([(row.code, heir) for row in moved for heir in row.replaced_by])
    touched = {row.code: row for row in (*written, *moved)}
    return _counted(list(touched.values()), known, len(package.divisions))


def _refuse_forgotten(known: Mapping[str, tuple[Any, ...]], given: Collection[str]) -> None:
    forgotten = [f"{row[0]} {row[1]}" for row in known.values() if row[0] not in given and row[8] is None]
    if forgotten:
        more = f" 等 {len(forgotten)} 个" if len(forgotten) > _SHOWN else ""
        raise BrokenPackage(f"数据包缺少现行区划 {'、'.join(sorted(forgotten)[:_SHOWN])}{more}；已撤销的请保留该行并填写停用日期")


def _counted(touched: list[DivisionRow], known: Mapping[str, tuple[Any, ...]], total: int) -> Tally:
    added = renamed = closed = 0
    for row in touched:
        was = known.get(row.code)
        if was is None:
            added += 1
        elif row.valid_to is not None and was[8] is None:
            closed += 1
        elif row.name != was[1]:
            renamed += 1
    return Tally(added, renamed, closed, len(touched) - added - renamed - closed, total - len(touched))


def _store_townships(package: Package) -> Tally:
    known = {row[0]: row for row in Township.objects.values_list("code", "name", "district_id", "is_current")}
    written = [row for row in package.townships if known.get(row.code) != row]
    given = {row.code for row in package.townships}
    gone = [code for code, row in known.items() if code not in given and row[3]]
    statements.write_townships(written)
    statements.close_townships(gone)
    added = sum(row.code not in known for row in written)
    renamed = sum(row.code in known and known[row.code][1] != row.name for row in written)
    return Tally(added, renamed, len(gone), len(written) - added - renamed, len(package.townships) - len(written))
