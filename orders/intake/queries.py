"""Where in China an address is, by the division codes or else the names that a channel gives."""

import time
from dataclasses import dataclass, field

from dealers.models import Division
from orders.intake.rules import Place

_SECONDS = 300.0
# City names that stand for "directly under the province" and are not spoken.
_SILENT = {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划", "省直辖县级行政单位", "直辖县级"}
_TAILS = ("特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市")


@dataclass(slots=True)
class Gazetteer:
    """All divisions by code and by name."""

    names: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    provinces: dict[str, str] = field(default_factory=dict)
    cities: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    counties: dict[str, set[str]] = field(default_factory=dict)
    is_county: set[str] = field(default_factory=set)

    def add(self, code: str, name: str, level: int, parent: str) -> None:
        self.names[code], self.parents[code] = name, parent
        if level == Division.Level.PROVINCE:
            self.provinces[_stem(name)] = code
        elif level == Division.Level.CITY:
            self.cities.setdefault((code[:2], name), set()).add(code)
        else:
            self.counties.setdefault(name, set()).add(code)
            self.is_county.add(code)

    def region(self, code: str) -> str:
        """江苏省苏州市吴中区: the full name of a division, without the words nobody says."""
        spoken = []
        while code:
            if self.names[code] not in _SILENT:
                spoken.append(self.names[code])
            code = self.parents[code]
        return "".join(reversed(spoken))


_known: tuple[float, Gazetteer] | None = None


def forget() -> None:
    """Read the divisions anew at the next question."""
    global _known
    _known = None


def _gazetteer() -> Gazetteer:
    """The divisions, read once in five minutes; an empty table is never remembered."""
    global _known
    if _known is None or time.monotonic() > _known[0]:
        table = Gazetteer()
        for code, name, level, parent in Division.objects.order_by("code").values_list("code", "name", "level", "parent_id"):
            table.add(code, name, level, parent or "")
        if not table.names:
            return table
        _known = (time.monotonic() + _SECONDS, table)
    return _known[1]


def _stem(name: str) -> str:
    for tail in _TAILS:
        if name.endswith(tail) and len(name) - len(tail) >= 2:
            return name[: -len(tail)]
    return name


def region_for(province: Place, city: Place, town: Place) -> tuple[str, str]:
    """(county-level code, full name) of an address; ("", the given names) when nobody can tell.

    `town` is the county as channels call it. Its code is believed first (the code of a street
    begins with its county's), then the city's own code where a city has no counties (东莞市), then names.
    """
    table = _gazetteer()
    for code in (town.code[:6], city.code[:6]):
        if code in table.is_county:
            return code, table.region(code)
    code = _by_name(table, province.name, city.name, town.name)
    if code:
        return code, table.region(code)
    said = [name for name in (province.name, city.name, town.name) if name and name not in _SILENT]
    return "", "".join(dict.fromkeys(said))


def _by_name(table: Gazetteer, province: str, city: str, town: str) -> str:
    prefix = table.provinces.get(_stem(province), "")[:2]
    if not prefix:
        return ""
    within = {code for code in table.counties.get(town, ()) if code.startswith(prefix)}
    cities = table.cities.get((prefix, city), set())
    if cities and city not in _SILENT:
        narrowed = {code for code in within if table.parents[code] in cities}
        if narrowed:
            return max(narrowed)  # one name twice in a city: the former code and the current one
    if len(within) == 1:
        return within.pop()
    alone = {code for code in table.counties.get(city, ()) if code.startswith(prefix)} if not within else set()
    return alone.pop() if len(alone) == 1 else ""
