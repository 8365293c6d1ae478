"""Every name a place of China goes by, made once per process from the table of divisions and then shared.

Plain values: nothing in here knows a database. See queries.gazetteer for the one of this process.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dealers.divisions.writing import short_name_of_town, short_names

PROVINCE, CITY, COUNTY = 1, 2, 3
FULL, SHORT, FORMER, FORMER_SHORT = range(4)
# What stands at the place of a city where there is none; nobody says it.
FILLERS = frozenset({"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"})


class Division(NamedTuple):
    """A row of the table; `heirs` are the current divisions of a closed one."""

    code: str
    name: str
    level: int
    parent: str = ""
    is_current: bool = True
    former_names: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A division among its kin: codes of the city and province above it, '' where there is none.

    `kin` are all codes that a text about this unit may name without contradicting itself.
    """

    code: str
    name: str
    level: int
    city: str
    province: str
    is_current: bool
    heirs: tuple[str, ...]
    kin: frozenset[str]

    @property
    def now(self) -> tuple[str, ...]:
        """The current codes of the area."""
        return (self.code,) if self.is_current else self.heirs


class Sense(NamedTuple):
    """One thing that a name may mean."""

    kind: int  # FULL, SHORT, FORMER, FORMER_SHORT
    unit: Unit


class Name(NamedTuple):
    """What a name may mean: its senses by level, and every code that these stand for, now or formerly."""

    above: tuple[Sense, ...]  # provinces and cities
    counties: tuple[Sense, ...]
    codes: frozenset[str]
    is_full: bool
    is_short: bool  # nothing but a short name, so that a road may be called after it


@dataclass(frozen=True, slots=True, eq=False)
class Gazetteer:
    """Divisions by code and by name, townships by name, and the lengths of names by their first two characters."""

    units: Mapping[str, Unit]
    names: Mapping[str, Name]
    heads: Mapping[str, tuple[int, ...]]
    towns: Mapping[str, tuple[str, ...]]  # full name → codes
    short_towns: Mapping[str, tuple[str, ...]]
    town_names: Mapping[str, str]  # code → full name
    moved_towns: Mapping[str, str]  # code → county, where the code does not begin with it
    replaced: Mapping[str, tuple[str, ...]]  # 2, 4 or 6 digits → codes of what was closed in favour of that area

    @classmethod
    def of(cls, divisions: Iterable[Division], townships: Iterable[tuple[str, str, str]] = ()) -> "Gazetteer":
        """From divisions in any order, and (code, name, county) of townships."""
        rows = {row.code: row for row in divisions}
        units = {code: _unit(row, rows) for code, row in rows.items()}
        names = {name: _name(senses) for name, senses in _senses(rows, units).items()}
        towns: dict[str, list[str]] = {}
        short: dict[str, list[str]] = {}
        moved: dict[str, str] = {}
        for code, name, county in townships:
            towns.setdefault(name, []).append(code)
            if bare := short_name_of_town(name):
                short.setdefault(bare, []).append(code)
            if not code.startswith(county):
                moved[code] = county
        by_name, by_short_name = ({name: tuple(codes) for name, codes in found.items()} for found in (towns, short))
        named = {code: name for name, codes in by_name.items() for code in codes}
        return cls(units, names, _heads(names), by_name, by_short_name, named, moved, _replaced(rows.values()))

    def county_of(self, town: str) -> str:
        """The county in which a township lies."""
        return self.moved_towns.get(town) or town[:6]

    def path(self, code: str) -> tuple[str, str, str]:
        """Names of province, city and county; '' for what there is none of."""
        unit = self.units[code]
        names = {unit.level: unit.name}
        if unit.province:
            names[PROVINCE] = self.units[unit.province].name
        if unit.city:
            names[CITY] = self.units[unit.city].name
        return names.get(PROVINCE, ""), names.get(CITY, ""), names.get(COUNTY, "")

    def region(self, code: str) -> str:
        """江苏省苏州市吴中区."""
        return "".join(self.path(code))


def _unit(row: Division, rows: Mapping[str, Division]) -> Unit:
    above = {}
    parent = rows.get(row.parent)
    while parent is not None and parent.level not in above:
        above[parent.level] = parent
        parent = rows.get(parent.parent)
    city = above.get(CITY) if row.level == COUNTY else None
    city_code = city.code if city and city.name not in FILLERS else ""
    province = above[PROVINCE].code if PROVINCE in above else ""
    kin = {row.code, city_code, province, *row.heirs, *(rows[heir].parent for heir in row.heirs)}
    if city:
        kin.update(city.heirs)
    return Unit(row.code, row.name, row.level, city_code, province, row.is_current, row.heirs, frozenset(kin - {""}))


def _senses(rows: Mapping[str, Division], units: Mapping[str, Unit]) -> dict[str, list[Sense]]:
    """Every name with what it may mean; a division is listed once per name, by the best kind."""
    found: dict[str, dict[str, Sense]] = {}
    for row in rows.values():
        if row.name in FILLERS or not (row.is_current or row.heirs):
            continue
        unit = units[row.code]
        usual = (row.name, *row.former_names)
        for place, name in enumerate(usual):
            full, short = (FULL, SHORT) if place == 0 and row.is_current else (FORMER, FORMER_SHORT)
            for form, kind in [(name, full), *((form, short) for form in short_names(name, row.level))]:
                kept = found.setdefault(form, {}).get(row.code)
                if len(form) > 1 and (kept is None or kept.kind > kind):
                    found[form][row.code] = Sense(kind, unit)
    return {name: list(senses.values()) for name, senses in found.items() if senses}


def _name(senses: list[Sense]) -> Name:
    above = tuple(sense for sense in senses if sense.unit.level != COUNTY)
    counties = tuple(sense for sense in senses if sense.unit.level == COUNTY)
    codes = frozenset(code for sense in senses for code in (sense.unit.code, *sense.unit.heirs))
    kinds = {sense.kind for sense in senses}
    return Name(above, counties, codes, bool(kinds & {FULL, FORMER}), not kinds & {FULL, FORMER})


def _heads(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    lengths: dict[str, set[int]] = {}
    for name in names:
        lengths.setdefault(name[:2], set()).add(len(name))
    return {head: tuple(sorted(found, reverse=True)) for head, found in lengths.items()}


def _replaced(rows: Iterable[Division]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for area in {heir[:digits] for heir in row.heirs for digits in (2, 4, 6)}:
            if not row.code.startswith(area):
                found.setdefault(area, {})[row.code] = None
    return {area: tuple(codes) for area, codes in found.items()}
