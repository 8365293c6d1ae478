"""JSON that people write by hand, read field by field: nothing unknown, nothing twice, every error by its path. Pure."""

import json
import math
import re
from collections.abc import Collection, Iterator
from typing import Any

import orjson

CODE = re.compile(r"\S(.{0,62}\S)?")
CODE_OR_NONE = re.compile(r"(\S(.{0,62}\S)?)?")
DIVISION = re.compile(r"\d{2}|\d{4}|\d{6}", re.ASCII)
DIVISION_OR_NONE = re.compile(r"(\d{2}|\d{4}|\d{6})?", re.ASCII)
WEEKDAYS = re.compile(r"[1-7]{1,7}", re.ASCII)
DISTRICT = re.compile(r"\d{6}", re.ASCII)
WANTED = {
    CODE: "应为 1 至 64 个字符、首尾没有空白的文本",
    CODE_OR_NONE: "应为至多 64 个字符、首尾没有空白的文本",
    DIVISION: "应为 2、4 或 6 位区划代码",
    DIVISION_OR_NONE: "应为空或 2、4、6 位区划代码",
    WEEKDAYS: "应为 1（周一）至 7（周日）的数字",
    DISTRICT: "应为 6 位区划代码",
}


class GivenError(ValueError):
    """What is wrong, in Chinese, with the path of the field."""


def load(raw: bytes, most_bytes: int) -> Any:
    """What a file says. Raises GivenError."""
    if len(raw) > most_bytes:
        raise GivenError(f"文件超过 {most_bytes >> 20} MB")
    try:
        orjson.loads(raw)  # stricter than the other: UTF-8, no NaN, no half characters
        return json.loads(raw, object_pairs_hook=_once)
    except orjson.JSONDecodeError as error:
        raise GivenError(f"不是有效的 JSON：第 {error.lineno} 行第 {error.colno} 列") from error
    except RecursionError as error:
        raise GivenError("嵌套过深") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise GivenError(f"{next(name for name in names if names.count(name) > 1)[:64]}：字段重复")
    return found


class Given:
    """A JSON object whose fields are taken by name; leaving it refuses the fields that nobody knows."""

    def __init__(self, value: Any, path: str, known: Collection[str]) -> None:
        if not isinstance(value, dict):
            raise GivenError(f"{path or '文件'}：应为对象")
        self.value, self.path = value, path
        unknown = sorted(value.keys() - known)
        if unknown:
            raise GivenError(f"{self.at(unknown[0])}：未知字段")

    def at(self, name: str) -> str:
        return f"{self.path}.{name[:64]}" if self.path else name[:64]

    def has(self, name: str) -> bool:
        return name in self.value

    def of(self, name: str) -> Any:
        if name not in self.value:
            raise GivenError(f"{self.at(name)}：缺少此字段")
        return self.value[name]

    def text(self, name: str, pattern: re.Pattern[str] = CODE, default: str | None = None) -> str:
        """A text of the pattern; without a default it must be there."""
        return default if default is not None and name not in self.value else text(self.of(name), self.at(name), pattern)

    def one_of(self, name: str, choices: Collection[str], default: str) -> str:
        found = self.value.get(name, default)
        if not isinstance(found, str) or found not in choices:
            raise GivenError(f"{self.at(name)}：只能是 {'、'.join(choices)}")
        return found

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        return default if default is not None and name not in self.value else whole(self.of(name), self.at(name), least, most)

    def number(self, name: str, least: float, most: float) -> float:
        return number(self.of(name), self.at(name), least, most)

    def flag(self, name: str, *, default: bool) -> bool:
        found = self.value.get(name, default)
        if not isinstance(found, bool):
            raise GivenError(f"{self.at(name)}：应为 true 或 false")
        return found

    def rows(self, name: str, most: int, least: int = 0) -> Iterator[tuple[Any, str]]:
        """The elements of a list, each with its path; a list that may be empty may also be missing."""
        found = self.value.get(name, []) if not least else self.of(name)
        if not isinstance(found, list):
            raise GivenError(f"{self.at(name)}：应为数组")
        if not least <= len(found) <= most:
            raise GivenError(f"{self.at(name)}：应有 {least} 至 {most} 项，现有 {len(found)} 项")
        return ((value, f"{self.at(name)}[{index}]") for index, value in enumerate(found))

    def pairs(self, name: str) -> Iterator[tuple[str, Any, str]]:
        """The keys and values of an object that is a dictionary, each with its path; none when it is missing."""
        found = self.value.get(name, {})
        if not isinstance(found, dict):
            raise GivenError(f"{self.at(name)}：应为对象")
        return ((key, value, f"{self.at(name)}.{key[:64]}") for key, value in found.items())


def text(value: Any, path: str, pattern: re.Pattern[str] = CODE) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise GivenError(f"{path}：{WANTED[pattern]}")
    return value


def whole(value: Any, path: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise GivenError(f"{path}：应为整数")
    return int(number(value, path, least, most))


def number(value: Any, path: str, least: float, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise GivenError(f"{path}：应为数字")
    if not least <= value <= most:
        raise GivenError(f"{path}：应在 {least} 与 {most} 之间")
    return value
