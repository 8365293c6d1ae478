"""How people write and read the codes of a set: channels by their names, divisions with theirs, days in runs.

Every code may also be written as it is stored. Items are parted by commas, 、 or line breaks.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from dealers.divisions import queries as divisions
from dealers.divisions.gazetteer import CITY, COUNTY, FORMER, PROVINCE
from dealers.models import Dealer
from inventory.models import Node, Sku
from orders.intake.models import ChannelAccount

LONGEST_RUN = timedelta(days=60)
_BETWEEN = re.compile(r"[,，、;；\s]+")
_ASIDE = re.compile(r"（[^（）]*）")
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_DIGITS = re.compile(r"(?:\d\d){1,3}")
_CODE = re.compile(r"[0-9A-Za-z_-]{1,30}")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """read: an item → its codes, none when nobody knows it. tell: codes → the items that people see."""

    noun: str
    read: Callable[[Collection[str]], Mapping[str, Sequence[str]]]
    tell: Callable[[Sequence[str]], list[str]] = list


def items_of(text: str) -> list[str]:
    """What somebody wrote, item by item; what stands in （） is only there to be read."""
    return list(dict.fromkeys(item for item in _BETWEEN.split(_ASIDE.sub("", text)) if item))


def _of_words(noun: str, words: Mapping[str, str]) -> Vocabulary:
    codes = {word: [code] for code, word in words.items()} | {code: [code] for code in words}
    return Vocabulary(
        noun, lambda items: {item: codes.get(item, []) for item in items}, lambda told: [words.get(code, code) for code in told]
    )


def _of_column(noun: str, model: Any, column: str) -> Vocabulary:
    def read(items: Collection[str]) -> dict[str, list[str]]:
        rows = model.objects.filter(**{f"{column}__in": items}).order_by()
        known = set(rows.values_list(column, flat=True).distinct())
        return {item: [item] * (item in known) for item in items}

    return Vocabulary(noun, read)


def _read_divisions(items: Collection[str]) -> dict[str, list[str]]:
    return {item: _division(item) for item in items}


def _division(item: str) -> list[str]:
    """The code of a division that is written as a code, or as the name of one province, else of one city, else of one county."""
    known = divisions.gazetteer()
    if _DIGITS.fullmatch(item):
        return [item] * (not known.units or item.ljust(6, "0") in known.units)
    name = known.names.get(item)
    meant = [sense.unit for sense in (*name.above, *name.counties) if sense.kind < FORMER] if name else []
    for level, digits in ((PROVINCE, 2), (CITY, 4), (COUNTY, 6)):
        codes = {unit.code[:digits] for unit in meant if unit.level == level and unit.is_current}
        if codes:
            return list(codes) if len(codes) == 1 else []
    return []


def _tell_divisions(codes: Sequence[str]) -> list[str]:
    units = divisions.gazetteer().units
    names = ((code, units.get(code.ljust(6, "0"))) for code in codes)
    return [f"{code}（{unit.name}）" if unit else code for code, unit in names]


def _read_days(items: Collection[str]) -> dict[str, list[str]]:
    return {item: _days(item) for item in items}


def _days(item: str) -> list[str]:
    """2026-10-01 is a day, 2026-10-01~2026-10-07 are seven."""
    ends = [_day(part) for part in re.split(r"[~～至]", item)]
    if len(ends) > 2 or None in ends:
        return []
    first, last = ends[0], ends[-1]
    if first is None or last is None or not timedelta(0) <= last - first <= LONGEST_RUN:
        return []
    return [(first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1)]


def _day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _tell_days(codes: Sequence[str]) -> list[str]:
    runs: list[list[date]] = []
    for day in sorted({date.fromisoformat(code) for code in codes}):
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return [f"{run[0]}~{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]


def _read_groups(items: Collection[str]) -> dict[str, list[str]]:
    return {item: [item] * bool(_CODE.fullmatch(item)) for item in items}


DIVISIONS = Vocabulary("地区（有重名的请填代码）", _read_divisions, _tell_divisions)
GROUPS = Vocabulary("分组编码", _read_groups)
VOCABULARIES: dict[str, Vocabulary] = {
    "channels": _of_words("渠道", dict(ChannelAccount.Channel.choices)),
    "shops": _of_column("店铺", ChannelAccount, "shop"),
    "divisions": DIVISIONS,
    "division": DIVISIONS,
    "products": _of_column("SKU", Sku, "code"),
    "categories": _of_column("品类", Sku, "category"),
    "category": _of_column("品类", Sku, "category"),
    "tags": Vocabulary("标签", lambda items: {item: [item] * (len(item) <= 30) for item in items}),
    "only_groups": GROUPS,
    "never_groups": GROUPS,
    "nodes": _of_column("发货点", Node, "code"),
    "kinds": _of_words("发货点类别", dict(Node.Kind.choices)),
    "tiers": _of_words("经销商等级", dict(Dealer.Tier.choices)),
    "holidays": Vocabulary("日期", _read_days, _tell_days),
    "dealer_code": _of_column("经销商", Dealer, "code"),
}
