"""Addresses as channels write them find their county in the real table of divisions."""

from datetime import datetime

import pytest

from dealers.divisions import actions as divisions
from dealers.models import Division
from orders.intake.rules import Divisions, Place, region_text

# province, city, county as given; the county-level code; the text people read
PLACES = [
    (("320000", "江苏省"), ("320500", "苏州市"), ("320506", "吴中区"), "320506", "江苏省苏州市吴中区"),
    (("", "江苏"), ("", "苏州市"), ("", "吴中区"), "320506", "江苏苏州市吴中区"),
    (("", "北京"), ("", "市辖区"), ("110000", "朝阳区"), "110105", "北京朝阳区"),
    (("", "重庆市"), ("", "县"), ("", "忠县"), "500233", "重庆市忠县"),
    (("", "上海市"), ("", "上海市"), ("310115001", "浦东新区"), "310115", "上海市浦东新区"),
    (("440000", "广东省"), ("441900", "东莞市"), ("441900003", "东城街道"), "441900", "广东省东莞市东城街道"),
    (("", "广东省"), ("", "中山市"), ("", "石岐街道"), "442000", "广东省中山市石岐街道"),
    (("", "湖北省"), ("", "省直辖县级行政区划"), ("", "仙桃市"), "429004", "湖北省仙桃市"),
    (("", "海南省"), ("", "儋州市"), ("", "那大镇"), "460400", "海南省儋州市那大镇"),
    (("", "新疆维吾尔自治区"), ("", "自治区直辖县级行政区划"), ("", "石河子市"), "659001", "新疆维吾尔自治区石河子市"),
    (("", "福建省"), ("", "三明市"), ("", "三元区"), "350404", "福建省三明市三元区"),
    (("", "福建省"), ("", "三明市"), ("350403", "三元区"), "350403", "福建省三明市三元区"),
    (("", "湖北省"), ("429004", "仙桃市"), ("429004001", "沙嘴街道"), "429004", "湖北省仙桃市沙嘴街道"),
    (("", "湖北省"), ("", "仙桃市"), ("", "沙嘴街道"), "429004", "湖北省仙桃市沙嘴街道"),
    (("", "广东省"), ("", "中山市"), ("", "南沙区"), "442000", "广东省中山市南沙区"),
    (("", "广西"), ("", "南宁市"), ("", "青秀区"), "450103", "广西南宁市青秀区"),
    (("", "浙江省"), ("", "杭州市"), ("330113", "临平区"), "330113", "浙江省杭州市临平区"),
    (("", "江苏省"), ("", "苏州市"), ("", "不存在区"), "", "江苏省苏州市不存在区"),
    (("", ""), ("", ""), ("", ""), "", ""),
]


@pytest.mark.django_db
def test_addresses_find_their_county(at: datetime) -> None:
    divisions.load_divisions(at=at)
    divisions = Divisions.of(Division.objects.values_list("code", "name", "level"))
    for province, city, county, code, region in PLACES:
        places = Place(*province), Place(*city), Place(*county)
        assert (divisions.locate(*places), region_text(*places)) == (code, region)


@pytest.mark.django_db
def test_every_county_is_found_by_its_names(at: datetime) -> None:
    """No county of the table is mistaken for another: it is found, or it is left to a person."""
    divisions.load_divisions(at=at)
    rows = {division.code: division for division in Division.objects.all()}
    divisions = Divisions.of((row.code, row.name, row.level) for row in rows.values())
    unsure = []
    for code, row in rows.items():
        if row.level != Division.Level.COUNTY:
            continue
        parent = rows[row.parent_id]
        is_in_city = parent.level == Division.Level.CITY
        city = Place("", parent.name if is_in_city else row.name)
        province = rows[parent.parent_id if is_in_city else parent.code]
        found = divisions.locate(Place("", province.name), city, Place("", row.name))
        if found != code:
            assert found == "" or rows[found].name == row.name
            unsure.append(code)
    assert len(unsure) < 10
