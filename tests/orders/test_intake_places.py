"""Addresses as channels write them find their county in the real table of divisions."""

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dealers.divisions import actions as divisions
from dealers.divisions import queries as places
from dealers.divisions.gazetteer import CITY, COUNTY
from dealers.divisions.rules import Place, Region, locate, match_region
from orders.intake import actions as intake
from orders.intake.adapters import doudian
from orders.models import Order, OrderHold
from tests.dealers.address_world import gazetteer, package
from tests.make import make_sku
from tests.orders.intake_world import make_account, make_product
from tests.platforms.doudian import DoudianPlatform, line

Unit = tuple[str, str]

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
    (("", "福建省"), ("", "三明市"), ("350403", "三元区"), "350404", "福建省三明市三元区"),
    (("", "湖北省"), ("429004", "仙桃市"), ("429004001", "沙嘴街道"), "429004", "湖北省仙桃市沙嘴街道"),
    (("", "湖北省"), ("", "仙桃市"), ("", "沙嘴街道"), "429004", "湖北省仙桃市沙嘴街道"),
    (("", "广东省"), ("", "中山市"), ("", "南沙区"), "442000", "广东省中山市南沙区"),
    (("", "广西"), ("", "南宁市"), ("", "青秀区"), "450103", "广西南宁市青秀区"),
    (("", "浙江省"), ("", "杭州市"), ("330113", "临平区"), "330113", "浙江省杭州市临平区"),
    (("", "江苏省"), ("", "苏州市"), ("", "不存在区"), "", "江苏省苏州市不存在区"),
    (("", ""), ("", ""), ("", ""), "", ""),
]


PARTED = [
    (("", "重庆市"), ("", "市辖区"), ("500112", "渝北区"), ("", "龙溪街道"), "500157", "重庆市渝北区"),
    (("", "重庆市"), ("", "市辖区"), ("500112", "渝北区"), ("", "统景镇"), "500109", "重庆市渝北区"),
    (("", "重庆市"), ("", "市辖区"), ("500112", "渝北区"), ("", ""), "", "重庆市渝北区"),
    (("", "浙江省"), ("", "杭州市"), ("330110", "余杭区"), ("", "临平街道"), "330113", "浙江省杭州市余杭区"),
    (("", "浙江省"), ("", "杭州市"), ("330110", "余杭区"), ("", "良渚街道"), "330110", "浙江省杭州市余杭区"),
    (("", "浙江省"), ("", "杭州市"), ("330104", "江干区"), ("", "下沙街道"), "330114", "浙江省杭州市江干区"),
    (("", "山东省"), ("371200", "莱芜市"), ("371202", "莱城区"), ("", ""), "370116", "山东省莱芜市莱城区"),
    (("", "吉林省"), ("", "四平市"), ("", "公主岭市"), ("", ""), "220184", "吉林省四平市公主岭市"),
]


@pytest.mark.parametrize(("province", "city", "county", "code", "said"), PLACES)
def test_regions_find_their_county(province: Unit, city: Unit, county: Unit, code: str, said: str) -> None:
    region = Region(Place(*province), Place(*city), Place(*county))
    reading = match_region(gazetteer(), region)
    assert (reading.code if reading.is_sure else "", region.text) == (code, said)


@pytest.mark.parametrize(("province", "city", "county", "town", "code", "said"), PARTED)
def test_a_former_county_becomes_the_current_one(
    province: Unit, city: Unit, county: Unit, town: Unit, code: str, said: str
) -> None:
    region = Region(Place(*province), Place(*city), Place(*county), Place(*town))
    reading = locate(gazetteer(), region, "测试路1号")
    assert (reading.code if reading.is_sure else "", region.text) == (code, said)


def test_every_county_is_found_by_its_names_and_no_former_one_is_mistaken() -> None:
    rows = {row.code: row for row in package().divisions}
    for code, row in rows.items():
        if row.level != COUNTY:
            continue
        parent = rows[row.parent]
        city = parent if parent.level == CITY else row
        province = rows[parent.parent if parent.level == CITY else parent.code]
        reading = match_region(gazetteer(), Region(Place("", province.name), Place("", city.name), Place("", row.name)))
        if row.valid_to is None:
            assert (reading.code, reading.confidence) == (code, 1.0), row
        elif reading.is_sure:
            assert reading.code in row.replaced_by or rows[reading.code].name == row.name, row


@pytest.mark.django_db
def test_an_order_of_a_split_county_waits_for_a_person(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    """And of the whole batch no order asks the database for its place."""
    divisions.load_divisions(at=at)
    make_product("SOFA", (make_sku("SKU-SOFA"), 1, 1))
    platform = DoudianPlatform()
    account = make_account(platform)
    monkeypatch.setattr(doudian, "fetch_order", lambda account, number: platform.orders[number])
    unclear, clear = platform.order(line("SOFA")), platform.order(line("SOFA"))
    for number, town in ((unclear, ""), (clear, "龙溪街道")):
        address = {"province": {"name": "重庆市"}, "town": {"id": "500112", "name": "渝北区"}, "street": {"name": town}}
        platform.change(number, post_addr={**address, "detail": "测试路1号"})
    body = platform.push(platform.message("101", unclear), platform.message("101", clear))[0]
    intake.receive_push(account=account, messages=doudian.split_push(body), at=at)
    places.gazetteer()
    with CaptureQueriesContext(connection) as seen:
        intake.digest_messages(at=at)
    assert not [one for one in seen if "dealers_division" in one["sql"] or "dealers_township" in one["sql"]]
    assert set(Order.objects.values_list("external_id", "division_code", "state")) == {
        (unclear, "", "held"), (clear, "500157", "placed"),
    }  # fmt: skip
    assert OrderHold.objects.get().detail == (
        "“重庆市渝北区”无法确认地区，读作重庆市：“重庆市渝北区”可能是重庆市两江新区、重庆市北碚区，街道不明"
    )
