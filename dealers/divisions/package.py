"""Reads a package of divisions: a folder or zip with divisions.csv and townships.csv (each may be gzipped).

Nothing of a package is believed before all of it was checked: whatever is wrong is refused with
its file, line and reason. The columns are described in data/README.md.
"""

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple, TypeVar

from dealers.divisions.gazetteer import Division, Gazetteer
from oms_project.refusal import Refusal

SHIPPED = Path(__file__).parent / "data"
FEWEST_COUNTIES = 2800  # current ones; there were 2,847 in 2026
LARGEST_FILE = 50_000_000
_CODE = re.compile(r"[1-9][0-9]{5}")
_TOWN_CODE = re.compile(r"[1-9][0-9]{8}")
_NAME = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]{1,40}")
_PROVINCE, _COUNTY = 1, 3
Row = TypeVar("Row")


class BrokenPackage(Refusal):
    """A package of divisions is incomplete or contradicts itself."""


class DivisionRow(NamedTuple):
    """One division; `parent` is '' for provinces, a date is None when nobody recorded it."""

    code: str
    name: str
    level: int
    parent: str
    lng: float | None
    lat: float | None
    population: int
    valid_from: date | None
    valid_to: date | None
    former_names: str
    replaced_by: tuple[str, ...]


class TownRow(NamedTuple):
    """One street, town or township and the county it lies in."""

    code: str
    name: str
    district: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Package:
    """A complete, checked list; divisions stand behind their parents."""

    source: str
    digest: str
    divisions: tuple[DivisionRow, ...]
    townships: tuple[TownRow, ...]

    def gazetteer(self) -> Gazetteer:
        """The list in the form in which addresses are looked up, without a database."""
        rows = (
            Division(
                row.code, row.name, row.level, row.parent, row.valid_to is None, tuple(row.former_names.split()), row.replaced_by
            )
            for row in self.divisions
        )
        return Gazetteer.of(rows, ((row.code, row.name, row.district) for row in self.townships if row.is_current))


class _Fault(ValueError):
    """What is wrong with one line."""


def read_package(source: Path) -> Package:
    """The package in a folder or zip. Raises BrokenPackage."""
    texts = {name: _text(source, name) for name in ("divisions.csv", "townships.csv")}
    divisions = tuple(_rows("divisions.csv", texts["divisions.csv"], _division, DivisionRow._fields))
    known = _checked(divisions)
    townships = tuple(_rows("townships.csv", texts["townships.csv"], _town, TownRow._fields))
    _check_towns(townships, known)
    digest = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()
    in_order = tuple(sorted(divisions, key=lambda row: (row.level, row.code)))
    return Package(source.name, digest, in_order, townships)


def _text(source: Path, name: str) -> str:
    try:
        packed = _bytes(source, name)
        with io.BytesIO(packed) as raw, gzip.open(raw) if packed[:2] == b"\x1f\x8b" else raw as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise BrokenPackage(f"数据包 {source.name} 中没有 {name}") from None
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise BrokenPackage(f"数据包 {source.name} 的 {name} 读不出来：{type(error).__name__}") from None
    if len(content) > LARGEST_FILE:
        raise BrokenPackage(f"{name} 过大")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BrokenPackage(f"{name} 第 {line} 行：不是 UTF-8 文字") from None


def _bytes(source: Path, name: str) -> bytes:
    wanted = (name, f"{name}.gz")
    if source.is_dir():
        path = next((source / one for one in wanted if (source / one).is_file()), source / name)
        return path.read_bytes()
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if Path(member.filename).name in wanted and member.file_size <= LARGEST_FILE:
                return archive.read(member)
    raise FileNotFoundError(name)


def _rows(name: str, text: str, read: Callable[[dict[str, str]], Row], columns: tuple[str, ...]) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        if set(header) != set(columns):
            raise _Fault(f"列应为 {'、'.join(columns)}")
        for values in lines:
            if len(values) != len(header):
                raise _Fault(f"应有 {len(header)} 列，实有 {len(values)} 列")
            yield read(dict(zip(header, values, strict=True)))
    except (_Fault, csv.Error) as fault:
        raise BrokenPackage(f"{name} 第 {max(lines.line_num, 1)} 行：{fault}") from None


def _division(cell: dict[str, str]) -> DivisionRow:
    if not _CODE.fullmatch(cell["code"]):
        raise _Fault(f"区划代码 {cell['code']!r} 不是六位数字")
    if not _NAME.fullmatch(cell["name"]):
        raise _Fault(f"名称 {cell['name']!r} 不是 1 到 40 个汉字")
    if cell["level"] not in {"1", "2", "3"}:
        raise _Fault(f"级别 {cell['level']!r} 不是 1、2、3")
    if not cell["population"].isascii() or not cell["population"].isdigit():
        raise _Fault(f"人口 {cell['population']!r} 不是整数")
    former = " ".join(cell["former_names"].split())
    if len(former) > 200 or not all(_NAME.fullmatch(name) for name in former.split()):
        raise _Fault(f"曾用名 {former[:40]!r} 应为以空格分隔的汉字")
    begins, ends = _date(cell["valid_from"]), _date(cell["valid_to"])
    if begins and ends and ends <= begins:
        raise _Fault("停用日期不晚于启用日期")
    successors = tuple(cell["replaced_by"].split())
    if successors and not ends:
        raise _Fault("有现属区划而没有停用日期")
    lng, lat = _degrees(cell["lng"], 70, 140), _degrees(cell["lat"], 0, 56)
    if (lng is None) != (lat is None):
        raise _Fault("经度与纬度须同时填写")
    level, population = int(cell["level"]), int(cell["population"])
    return DivisionRow(cell["code"], cell["name"], level, cell["parent"], lng, lat, population, begins, ends, former, successors)


def _town(cell: dict[str, str]) -> TownRow:
    if not _TOWN_CODE.fullmatch(cell["code"]):
        raise _Fault(f"乡镇街道代码 {cell['code']!r} 不是九位数字")
    if not _NAME.fullmatch(cell["name"]):
        raise _Fault(f"名称 {cell['name']!r} 不是 1 到 40 个汉字")
    if cell["is_current"] not in {"0", "1"}:
        raise _Fault("is_current 应为 0 或 1")
    return TownRow(cell["code"], cell["name"], cell["district"], cell["is_current"] == "1")


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise _Fault(f"日期 {text!r} 不是 YYYY-MM-DD") from None


def _degrees(text: str, least: float, most: float) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        value = least - 1
    if value is not None and not least <= value <= most:
        raise _Fault(f"经纬度 {text!r} 不在中国范围内")
    return value


def _checked(divisions: tuple[DivisionRow, ...]) -> dict[str, DivisionRow]:
    """The divisions by code, once every reference between them holds."""
    known = {row.code: row for row in divisions}
    for line, row in enumerate(divisions, 2):
        if known[row.code] is not row:
            raise BrokenPackage(f"divisions.csv 第 {line} 行：代码 {row.code} 重复")
        if fault := _wrong_kin(row, known):
            raise BrokenPackage(f"divisions.csv 第 {line} 行：{row.name} {fault}")
    counties = sum(row.level == _COUNTY and row.valid_to is None for row in divisions)
    if counties < FEWEST_COUNTIES:
        raise BrokenPackage(f"divisions.csv 只有 {counties} 个现行区县，不是全国数据")
    return known


def _wrong_kin(row: DivisionRow, known: dict[str, DivisionRow]) -> str:
    """What is wrong with a division's parent or successors, or ''."""
    parent = known.get(row.parent)
    if (row.level == _PROVINCE) != (row.parent == ""):
        return "的上级与级别不符"
    if row.parent and (parent is None or parent.level >= row.level):
        return f"的上级 {row.parent} 不存在或级别不符"
    if row.valid_to is None and parent is not None and parent.valid_to is not None:
        return f"现行，上级 {row.parent} 却已停用"
    for code in row.replaced_by:
        if code not in known or known[code].valid_to is not None:
            return f"的现属区划 {code} 不存在或已停用"
    return ""


def _check_towns(townships: tuple[TownRow, ...], known: dict[str, DivisionRow]) -> None:
    codes: set[str] = set()
    for line, row in enumerate(townships, 2):
        district = known.get(row.district)
        if row.code in codes:
            raise BrokenPackage(f"townships.csv 第 {line} 行：代码 {row.code} 重复")
        if district is None or district.level != _COUNTY or district.valid_to is not None:
            raise BrokenPackage(f"townships.csv 第 {line} 行：区县 {row.district} 不存在、已停用或不是县级")
        codes.add(row.code)
