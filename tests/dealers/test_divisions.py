"""The list of divisions is complete, versioned and repeatable; a broken package changes nothing."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from dealers.divisions import actions as divisions
from dealers.divisions import queries
from dealers.divisions.package import SHIPPED, BrokenPackage
from dealers.models import Division, DivisionEdition, Township

pytestmark = pytest.mark.django_db
Rows = list[list[str]]


def packed(folder: Path, change: Callable[[Rows], None]) -> Path:
    """A zip with the shipped data, its divisions changed."""
    rows = list(csv.reader(io.StringIO((SHIPPED / "divisions.csv").read_text(), newline="")))
    change(rows)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    with zipfile.ZipFile(folder / "package.zip", "w") as archive:
        archive.writestr("divisions.csv", text.getvalue())
        archive.write(SHIPPED / "townships.csv.gz", "townships.csv.gz")
    return folder / "package.zip"


def test_the_country_is_complete_and_loading_twice_changes_nothing(at: datetime) -> None:
    first = divisions.load_divisions(at=at)
    assert (first.divisions.added, first.townships.added) == (5034, 38960)
    again = divisions.load_divisions(at=at)
    assert (again.divisions.unchanged, again.townships.unchanged) == (5034, 38960)
    assert DivisionEdition.objects.count() == 1
    current = Division.objects.filter(valid_to=None)
    assert current.filter(level=1).count() == 34
    assert not current.filter(lng=None).exists()
    assert not Division.objects.filter(level__gt=1, parent=None).exists()
    assert not Division.objects.filter(valid_to__isnull=False, population__gt=0, level=3).exists()
    for code, name in (("441900", "东莞市"), ("442000", "中山市"), ("460400", "儋州市"), ("620200", "嘉峪关市")):
        division = Division.objects.get(code=code)
        assert (division.name, division.level, division.parent_id) == (name, 3, f"{code[:2]}0000")
    split = Division.objects.get(code="500112")
    assert set(split.replaced_by.values_list("code", flat=True)) == {"500157", "500109"}
    suzhou = Division.objects.get(code="320500")
    assert suzhou.population == sum(Division.objects.filter(parent=suzhou).values_list("population", flat=True))


def test_a_newer_package_is_told_in_counts_and_known_to_everybody(at: datetime, tmp_path: Path) -> None:
    divisions.load_divisions(at=at)
    Division.objects.filter(code="320507").update(name="别名")

    def change(rows: Rows) -> None:
        row = next(row for row in rows if row[0] == "320508")
        row[8], row[9] = "2027-01-01", "320506 320505"
        rows.append(["320599", "新江区", "3", "320500", "120.6", "31.3", "0", "2027-01-01", "", "", ""])

    with pytest.raises(BrokenPackage, match="沧浪区 的现属区划 320508 不存在或已停用"):
        divisions.load_divisions(at=at, source=packed(tmp_path, change))
    package = packed(
        tmp_path, lambda rows: rows.append(["320599", "新江区", "3", "320500", "", "", "0", "2027-01-01", "", "", ""])
    )
    loaded = divisions.load_divisions(at=at, source=package)
    assert str(loaded.divisions) == "新增 1，更名 1，停用 0，更新 0，未变 5033"
    queries.forget()
    assert queries.gazetteer().region("320599") == "江苏省苏州市新江区"


def _cell(code: str, column: int, value: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        next(row for row in rows if row[0] == code)[column] = value

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_cell("320506", 3, "999999"), "divisions.csv 第 .* 行：吴中区 的上级 999999 不存在"),
        (_cell("320506", 0, "32050"), "divisions.csv 第 .* 行：区划代码 '32050' 不是六位数字"),
        (_cell("320506", 4, "1"), "divisions.csv 第 .* 行：经纬度 '1' 不在中国范围内"),
        (_cell("320506", 7, "昨天"), "divisions.csv 第 .* 行：日期 '昨天' 不是 YYYY-MM-DD"),
        (_cell("320506", 9, "320505"), "divisions.csv 第 .* 行：有现属区划而没有停用日期"),
        (_cell("320506", 0, "320505"), "divisions.csv 第 .* 行：代码 320505 重复"),
        (lambda rows: rows[9].pop(), "divisions.csv 第 10 行：应有 11 列，实有 10 列"),
        (lambda rows: rows.__delitem__(slice(2000, None)), "不是全国数据|的上级|现属区划"),
    ],
)
def test_a_broken_package_changes_nothing(at: datetime, tmp_path: Path, change: Callable[[Rows], None], why: str) -> None:
    with pytest.raises(BrokenPackage, match=why):
        divisions.load_divisions(at=at, source=packed(tmp_path, change))
    assert not Division.objects.exists()
    assert not Township.objects.exists()


def test_the_command_refuses_what_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"junk")
    with pytest.raises(CommandError, match="读不出来"):
        call_command("load_divisions", f"--from={tmp_path / 'a.zip'}")
    with pytest.raises(CommandError, match="没有 divisions.csv"):
        call_command("load_divisions", f"--from={tmp_path}")


def test_stored_codes_go_on_meaning_their_area(at: datetime) -> None:
    divisions.load_divisions(at=at)
    assert queries.current_codes("320506") == ("320506",)
    assert queries.current_codes("350403") == ("350404",)
    assert queries.current_codes("500112") == ("500157", "500109")
    assert queries.current_codes("5224") == ("5205",)
    assert queries.current_codes("999999") == ("999999",)
    assert "500112" in queries.area_codes("500157")
    assert set(queries.area_codes("350403")) == {"350403", "350404"}
    assert "371202" in queries.area_codes("3701")
