"""Rules written down as JSON: each field by its own name and type, so that a new one can be written at once. Pure."""

import re
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, time
from enum import StrEnum
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from orders.routing.given import CODE, CODE_OR_NONE, DIVISION, DIVISION_OR_NONE, WEEKDAYS, Given, GivenError, text, whole
from orders.rulesets.rules import (
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderScope,
    OrderTerms,
    Quota,
    RuleBook,
    ShipCalendar,
    Where,
)

MOST_FEN = 10**9
MOST_TEXTS = 5000
LEAST = {"max_packages": 1, "step_weight_g": 1, "km_per_day": 1}
BOOK = ("policy", "order_rules", "groups", "rates", "installs", "calendars", "quotas")
PATTERNS: dict[str, re.Pattern[str]] = {"division": DIVISION_OR_NONE, "divisions": DIVISION, "weekdays": WEEKDAYS}
Rule = TypeVar("Rule")


def rule(kind: type[Rule], value: Any, path: str, also: tuple[str, ...] = (), **known: Any) -> Rule:
    """A rule of this kind (a dataclass) from an object; what has a default may be missing.

    `known` fields are not asked for; `also` are names that belong to the reader. Raises GivenError.
    """
    types = get_type_hints(kind)
    asked = [field for field in fields(kind) if field.name not in known]  # type: ignore[arg-type]
    given = Given(value, path, {field.name for field in asked} | set(also))
    wanted = [field.name for field in asked if given.has(field.name) or field.default is MISSING]
    return kind(**known, **{name: _value(types[name], name, given.of(name), given.at(name)) for name in wanted})


def book(given: Given, rules: Given) -> RuleBook:
    """The rules of the case: one rate for each kind of place, and whatever else is said."""
    given.of("freight")
    freight, installs = [], []
    for kind, value, path in given.pairs("freight"):
        freight.append(rule(FreightRate, value, path, also=("install_fen",), where=Where(kind=text(kind, path))))
        fee_fen = Given(value, path, value).whole("install_fen", 0, MOST_FEN, 0)
        installs.append(InstallRate(Where(kind=kind), "", fee_fen))
        _check_rate(freight[-1], path)
    written = _all(FreightRate, rules, "rates")
    for index, rate in enumerate(written):
        _check_rate(rate, f"rules.rates[{index}]")
    order_rules = []
    for row in rules.rows("order_rules", 1000):
        said = Given(*row, {"scope", "terms"})
        scope = rule(OrderScope, said.of("scope"), said.at("scope"))
        order_rules.append((scope, rule(OrderTerms, said.of("terms"), said.at("terms"))))
    default = rule(OrderTerms, rules.value.get("policy", {}), "rules.policy")
    return RuleBook(
        name=default.name,
        default=default,
        order_rules=tuple(order_rules),
        groups=_all(NodeGroup, rules, "groups"),
        freight=(*freight, *written),
        installs=(*installs, *_all(InstallRate, rules, "installs")),
        calendars=_all(ShipCalendar, rules, "calendars"),
        quotas=_all(Quota, rules, "quotas"),
    )


def _check_rate(rate: FreightRate, path: str) -> None:
    """A rate keeps what the exact plan rests on: one package is never dearer than two."""
    if rate.first_fen < rate.step_fen:
        raise GivenError(f"{path}.first_fen：不得小于 step_fen")


def _all(kind: type[Rule], given: Given, name: str, most: int = 1000) -> tuple[Rule, ...]:
    """A list of rules of one kind, none when it is missing."""
    return tuple(rule(kind, value, path) for value, path in given.rows(name, most))


def _value(kind: Any, name: str, value: Any, path: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _value(inner[0], name, value, path)
    if origin in (frozenset, tuple):
        rows = Given({name: value}, path.rpartition(".")[0], {name}).rows(name, MOST_TEXTS)
        return origin(_value(inner[0], name, *row) for row in rows)
    if is_dataclass(kind):
        return rule(kind, value, path)  # type: ignore[arg-type]
    if kind is bool:
        if not isinstance(value, bool):
            raise GivenError(f"{path}：应为 true 或 false")
        return value
    if kind is int:
        return whole(value, path, LEAST.get(name, 0), MOST_FEN)
    if kind is str:
        return text(value, path, PATTERNS.get(name, CODE_OR_NONE))
    said = text(value, path, CODE)
    try:
        return time.fromisoformat(said) if kind is time else date.fromisoformat(said) if kind is date else kind(said)
    except ValueError as error:
        wanted = f"只能是 {'、'.join(kind)}" if issubclass(kind, StrEnum) else "应为 HH:MM" if kind is time else "应为 YYYY-MM-DD"
        raise GivenError(f"{path}：{wanted}") from error
