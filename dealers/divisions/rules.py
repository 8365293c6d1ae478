"""From the structured region of a channel, and only then from free text, to a county.

A channel gives province, city, district and town as names, codes or both. A known code counts
first, unless the names clearly tell of another county: then the order contradicts itself and a
person must look. A former code or name stands for its current division where there is only one;
where an area was split, the township decides, or a person.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from dealers.divisions.gazetteer import (
    CITY,
    COUNTY,
    FILLERS,
    FORMER,
    FORMER_SHORT,
    FULL,
    PROVINCE,
    SHORT,
    Gazetteer,
    Name,
    Sense,
    Unit,
)
from dealers.divisions.reading import SURE, Reading, shared
from dealers.divisions.text import parse
from dealers.divisions.writing import readable

__all__ = ["SURE", "Place", "Reading", "Region", "locate", "match_region", "parse"]
_CONTRADICTION = 0.4
_BY_KIND = {FULL: 1.0, SHORT: 0.95, FORMER: 0.95, FORMER_SHORT: 0.85}


@dataclass(frozen=True, slots=True)
class Place:
    """One administrative unit as a channel writes it: a code that may be empty or foreign, and a name."""

    code: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """The region of an order as a channel structures it; any part may be empty."""

    province: Place = field(default_factory=Place)
    city: Place = field(default_factory=Place)
    district: Place = field(default_factory=Place)
    town: Place = field(default_factory=Place)

    @property
    def text(self) -> str:
        """江苏省苏州市吴中区, without fillers such as 市辖区 and without saying a name twice."""
        names = (self.province.name, self.city.name, self.district.name)
        return "".join(dict.fromkeys(name for name in names if name and name not in FILLERS))


def locate(gazetteer: Gazetteer, region: Region, detail: str = "") -> Reading:
    """The county of an address: by its structured region if that is sure, else by all of its text.

    A region that contradicts itself is never overruled by text.
    """
    structured = match_region(gazetteer, region)
    if structured.is_sure or structured.confidence == _CONTRADICTION:
        return structured
    read = parse(gazetteer, f"{region.text}{region.town.name}{detail}")
    if read.confidence > structured.confidence:
        return read
    return structured


def match_region(gazetteer: Gazetteer, region: Region) -> Reading:
    """The county of a structured region by its codes and names. Never raises."""
    coded = _coded(gazetteer, region)
    senses = _named(gazetteer, region)
    best = [sense.unit for sense in senses if sense.kind == senses[0].kind]
    units = [coded] if coded else best
    codes = list(dict.fromkeys(code for unit in units for code in unit.now))
    if coded and len(best) == 1 and not set(best[0].now) & set(codes):
        return Reading(confidence=_CONTRADICTION, doubt=f"代码 {coded.code} 是{coded.name}，名称却是{best[0].name}")
    town = _town(gazetteer, region, codes)
    if not town and (wider := {code for sense in senses for code in sense.unit.now} - set(codes)):
        town = _town(gazetteer, region, wider)
    if not codes:
        return Reading(doubt=f"无法识别的地区：{region.text or '空'}")
    if not town and len(codes) > 1:
        listed = "、".join(gazetteer.region(code) for code in codes[:4])
        code = shared(gazetteer, codes)
        names = gazetteer.path(code) if code else ("", "", "")
        return Reading(*names, code=code, confidence=0.5, doubt=f"“{region.text}”可能是{listed}，街道不明")
    code = gazetteer.county_of(town) if town else codes[0]
    is_former = code not in {unit.code for unit in units} or (not coded and senses[0].kind >= FORMER)
    return Reading(
        *gazetteer.path(code),
        street=gazetteer.town_names.get(town, ""),
        code=code,
        street_code=town,
        confidence=1.0 if coded else _BY_KIND[senses[0].kind],
        former=region.district.name if is_former else "",
    )


def _coded(gazetteer: Gazetteer, region: Region) -> Unit | None:
    """The county by a code; longer codes begin with their county's. Codes of nowhere are passed over."""
    for code in (region.district.code[:6], region.city.code[:6]):
        unit = gazetteer.units.get(code)
        if unit and unit.level == COUNTY and unit.now:
            return unit
    return None


def _named(gazetteer: Gazetteer, region: Region) -> list[Sense]:
    """The counties that the names may mean, best kind first; none when the province is unknown."""
    provinces = _codes(gazetteer, region.province, PROVINCE)
    if not provinces:
        return []
    city = _name(gazetteer, region.city)
    alone = [sense for sense in city.counties if sense.unit.province in provinces and not sense.unit.city] if city else []
    alone = [sense for sense in alone if len({other.unit.now for other in alone}) == 1]
    if any(code.endswith("00") for sense in alone for code in sense.unit.now):
        return sorted(alone, key=lambda sense: sense.kind)  # 东莞市 has no counties, whatever street stands in their place
    cities = _codes(gazetteer, region.city, CITY)
    county = _name(gazetteer, region.district)
    found = [sense for sense in county.counties if sense.unit.province in provinces] if county else []
    if cities:
        found = [sense for sense in found if sense.unit.city in cities]
    return sorted(found or alone, key=lambda sense: sense.kind)


def _name(gazetteer: Gazetteer, place: Place) -> Name | None:
    if place.name in FILLERS:
        return None
    return gazetteer.names.get(place.name) or gazetteer.names.get(readable(place.name))


def _codes(gazetteer: Gazetteer, place: Place, level: int) -> Collection[str]:
    """The divisions of a level that a place may mean, by name or else by code."""
    name = _name(gazetteer, place)
    meant = [sense.unit for sense in name.above if sense.unit.level == level] if name else []
    coded = gazetteer.units.get(place.code)
    if not meant and coded and coded.level == level and coded.name not in FILLERS:
        meant = [coded]
    return {code for unit in meant for code in (unit.code, *unit.now)}


def _town(gazetteer: Gazetteer, region: Region, counties: Collection[str]) -> str:
    """The code of the township that is named, if just one of these counties has it; else ''."""
    if gazetteer.county_of(region.town.code) in counties and region.town.code in gazetteer.town_names:
        return region.town.code
    for name in (region.town.name, region.district.name):
        for towns in (gazetteer.towns, gazetteer.short_towns):
            found = [code for code in towns.get(name, ()) if gazetteer.county_of(code) in counties]
            if len({gazetteer.county_of(code) for code in found}) == 1:
                return found[0]
    return ""
