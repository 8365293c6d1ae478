"""Addresses made by machine from the shipped list of divisions, in the styles in which people write them."""

import random
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from dealers.divisions.gazetteer import COUNTY, FILLERS, Gazetteer
from dealers.divisions.package import SHIPPED, Package, read_package
from dealers.divisions.writing import short_names

ROADS = (
    "中山路",
    "南京东路",
    "人民北路",
    "上海路",
    "北京西路",
    "解放大道",
    "朝阳路",
    "新华街",
    "长安街",
    "西湖大道",
    "江苏路",
    "河南中路",
)
ENDS = ("12号", "88号3栋2单元501室", "1-3-502", "阳光花园6幢", "6号院", "999弄15号", "A座1203")


@lru_cache(maxsize=1)
def package() -> Package:
    return read_package(SHIPPED)


@lru_cache(maxsize=1)
def gazetteer() -> Gazetteer:
    """The whole country, from the shipped files."""
    return package().gazetteer()


class Address(NamedTuple):
    """A text and the county that it means."""

    style: str
    text: str
    code: str


class _County(NamedTuple):
    code: str
    province: str
    city: str
    name: str
    towns: tuple[str, ...]


def _short(name: str, level: int) -> str:
    return min(short_names(name, level), key=len, default=name)


def _spaced(county: _County, seed: random.Random) -> str:
    text = f"{county.province}{county.city}{county.name}"
    gap = seed.choice([" ", "  ", "，", "-", "/", "\t"])
    return seed.choice(["", "地址：", "收货地址: ", "13800138000 "]) + gap.join(
        text if gap.strip() == "" and seed.random() < 0.3 else part
        for part in (county.province, county.city, county.name)
        if part
    )


STYLES: dict[str, Callable[[_County, random.Random], str]] = {
    "full": lambda county, seed: f"{county.province}{county.city}{county.name}",
    "no province": lambda county, seed: f"{county.city}{county.name}" if county.city else f"{county.province}{county.name}",
    "no suffixes": lambda county, seed: _short(county.province, 1) + _short(county.city, 2) + _short(county.name, 3),
    "city short": lambda county, seed: f"{_short(county.city, 2) or county.province}{county.name}",
    "county only": lambda county, seed: county.name,
    "county + township": lambda county, seed: county.name + seed.choice(county.towns),
    "spaces and noise": _spaced,
}


@lru_cache(maxsize=1)
def _counties() -> tuple[list[_County], dict[str, int], dict[tuple[str, str], int]]:
    rows = {row.code: row for row in package().divisions}
    towns: dict[str, list[str]] = {}
    for row in package().townships:
        if row.is_current:
            towns.setdefault(row.district, []).append(row.name)
    counties = []
    for row in rows.values():
        if row.level != COUNTY or row.valid_to is not None:
            continue
        parent = rows[row.parent]
        city = parent.name if parent.level == 2 and parent.name not in FILLERS else ""
        province = rows[parent.parent].name if parent.level == 2 else parent.name
        counties.append(_County(row.code, province, city, row.name, tuple(towns.get(row.code, ()))))
    names = Counter(county.name for county in counties)
    pairs = Counter((county.name, town) for county in counties for town in county.towns)
    return counties, names, pairs


def make_addresses(count: int, seed: int) -> list[Address]:
    """Addresses that mean one county: county only where its name is the only one, with a township where the pair is."""
    chance = random.Random(seed)
    counties, names, pairs = _counties()
    made: list[Address] = []
    while len(made) < count:
        style = list(STYLES)[len(made) % len(STYLES)]
        county = chance.choice(counties)
        if style == "county only" and names[county.name] > 1:
            continue
        if style == "county + township":
            single = tuple(town for town in county.towns if pairs[(county.name, town)] == 1)
            if not single:
                continue
            county = county._replace(towns=single)
        head = STYLES[style](county, chance)
        made.append(Address(style, head + chance.choice(ROADS) + chance.choice(ENDS), county.code))
    return made
