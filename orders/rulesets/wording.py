"""A set as people read it: every section as a table, and two sets side by side, field by field."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any

from django.db import models

from oms_project.money import yuan
from orders.rulesets.models import (
    SECTIONS,
    AgeingCredit,
    DealerQuota,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderRule,
    PromiseClass,
    RuleSet,
    ShipCalendar,
    Terms,
)
from orders.rulesets.statements import own_fields
from orders.rulesets.vocabulary import VOCABULARIES

NOTHING = "—"
OTHERS = "其他订单"
_CASE = ("group", "kind", "division")
# What tells the rows of a section apart; the rest of a row is what may change about it.
KEYS: dict[type[models.Model], tuple[str, ...]] = {
    OrderRule: ("name",),
    PromiseClass: ("code",),
    NodeGroup: ("code",),
    FreightRate: _CASE,
    InstallRate: (*_CASE, "skill"),
    ShipCalendar: _CASE,
    DealerQuota: ("dealer_code",),
    AgeingCredit: ("category", "older_than_days", "is_overstock"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that two sets say differently; `field` is empty for a whole row that came or went."""

    section: str
    verb: str  # 新增、删除、修改
    row: str
    field: str
    before: str
    after: str


def is_money(name: str) -> bool:
    """Whether a column is an amount of fen."""
    return "fen" in name.split("_")


def told(row: models.Model, field: Any) -> str:
    """One value of a row in words."""
    value = getattr(row, field.name)
    if value is None or value == "" or value == []:
        return NOTHING
    if is_money(field.name):
        return yuan(value)
    if field.choices:
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, time):
        return f"{value:%H:%M}"
    vocabulary = VOCABULARIES.get(field.name)
    if vocabulary:
        return "、".join(vocabulary.tell(value if isinstance(value, list) else [value]))
    return str(value)


def tables_of(found: RuleSet) -> list[dict[str, Any]]:
    """Every section of a set as a table; columns that are empty in all rows are left out."""
    terms = [[str(field.verbose_name), told(found, field)] for field in Terms._meta.fields]
    tables: list[dict[str, Any]] = [{"title": OTHERS, "headers": ["条款", "内容"], "rows": terms}]
    for section in SECTIONS:
        rows = rows_of(found, section)
        table = _rules_table(rows) if section is OrderRule else _plain_table(section, rows)
        tables.append({"title": str(section._meta.verbose_name), **table})
    return tables


def _rules_table(rows: Sequence[OrderRule]) -> dict[str, Any]:
    """Order rules have too many columns for a table: their conditions and terms are told in two cells."""
    terms = {field.name for field in Terms._meta.fields}
    conditions = [field for field in own_fields(OrderRule) if field.name not in {*terms, "name", "position"}]
    return {
        "headers": ["顺序", "名称", "哪些订单", "条款"],
        "rows": [
            [str(row.position), row.name, _sentence(row, conditions) or "全部", _sentence(row, Terms._meta.fields)]
            for row in rows
        ],
    }


def _plain_table(section: type[models.Model], rows: Sequence[models.Model]) -> dict[str, Any]:
    cells = {field: [told(row, field) for row in rows] for field in own_fields(section)}
    shown = {field: words for field, words in cells.items() if set(words) - {NOTHING}}
    return {
        "headers": [str(field.verbose_name) for field in shown],
        "rows": [list(row) for row in zip(*shown.values(), strict=True)],
    }


def _sentence(row: models.Model, fields: Iterable[Any]) -> str:
    """What a row says, field by field; what is empty, or not the case, goes without saying."""
    said = (field for field in fields if field.choices or getattr(row, field.name) is not False)
    parts = ((str(field.verbose_name), told(row, field)) for field in said)
    return "；".join(f"{name} {words}" for name, words in parts if words != NOTHING)


def rows_of(found: RuleSet, section: type[models.Model]) -> list[Any]:
    """The rows of a section, in the order in which they hold."""
    order = ("position", "id") if section is OrderRule else ("id",)
    return list(section._default_manager.filter(rule_set=found).order_by(*order))


def differences(before: RuleSet, after: RuleSet) -> list[Change]:
    """What the second set says differently from the first: its terms, then section by section."""
    changes = _fields_changed(OTHERS, OTHERS, before, after, Terms._meta.fields)
    for section in SECTIONS:
        title = str(section._meta.verbose_name)
        old, new = (_by_key(rows_of(found, section), KEYS[section]) for found in (before, after))
        changes += [Change(title, "删除", str(row), "", _whole(row), NOTHING) for key, row in old.items() if key not in new]
        changes += [Change(title, "新增", str(row), "", NOTHING, _whole(row)) for key, row in new.items() if key not in old]
        for key in (key for key in new if key in old):
            changes += _fields_changed(title, str(new[key]), old[key], new[key], own_fields(section))
    return changes


def _fields_changed(section: str, row: str, before: models.Model, after: models.Model, fields: Iterable[Any]) -> list[Change]:
    return [
        Change(section, "修改", row, str(field.verbose_name), told(before, field), told(after, field))
        for field in fields
        if getattr(before, field.name) != getattr(after, field.name)
    ]


def _by_key(rows: Sequence[Any], names: Sequence[str]) -> Mapping[tuple[Any, ...], Any]:
    """Rows by what tells them apart; where a draft says a thing twice, the second one is a thing of its own."""
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for row in rows:
        key = tuple(getattr(row, name) for name in names)
        seen[key] += 1
        found[(*key, seen[key])] = row
    return found


def _whole(row: models.Model) -> str:
    return _sentence(row, own_fields(type(row)))
