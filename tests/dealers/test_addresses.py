"""Free text becomes a county when it is sure, and waits for a person when it is not."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealers.divisions.rules import SURE, Place, Region, locate, parse
from tests.dealers.address_world import gazetteer, make_addresses, package

SURE_CASES = """
江苏省苏州市吴中区长桥街道88号|320506
江苏苏州吴中长桥街道88号|320506
苏州市吴中区宝带西路|320506
吴中区长桥街道|320506
江 苏 省 苏州市 吴中区|320506
江苏省/苏州市/吴中区/长桥街道|320506
江苏省苏州市吴中区江苏省苏州市吴中区长桥街道1号|320506
收货人：张三 手机：13800138000 收货地址：江苏省苏州市吴中区测试路1号|320506
张三 13800138000 江苏省苏州市昆山市玉山镇人民路1号|320583
苏州市高新区狮山街道|320505
江苏省苏州市长桥街道|320506
广东省东莞市南城街道鸿福路|441900
东莞长安镇|441900
东莞市人民路|441900
中山市石岐街道|442000
海南省儋州市那大镇|460400
甘肃省嘉峪关市雄关街道|620200
湖北仙桃沙嘴街道|429004
湖北省省直辖县级行政区划仙桃市|429004
河南省济源市|419001
海南省陵水黎族自治县英州镇|469028
新疆生产建设兵团第八师石河子市北泉镇|659001
新疆阿拉尔市|659002
北京市市辖区朝阳区|110105
北京朝阳上海路12号|110105
北京市北京市朝阳区|110105
重庆市县云阳县|500235
重庆市渝北区龙溪街道|500157
重庆渝北区统景镇|500109
重庆市江北区人民路|500157
杭州市余杭区临平街道|330113
杭州市余杭区良渚街道|330110
浙江杭州余杭临平|330113
杭州市萧山区义蓬街道|330114
杭州市江干区下沙街道|330114
新疆喀什地区岑岭县|653132
吉林省四平市公主岭市|220184
山东省莱芜市莱城区|370116
河北省雄安新区容城县|130629
湖北省襄樊市襄城区|420602
四川省成都市郫县|510117
福建省三明市沙县|350405
上海市黄浦区南京东路300号|310101
上海市静安区北京西路1号|310106
天津河北区中山路|120105
吉林吉林昌邑|220202
山东省济南市市中区|370103
济南市中区江苏路|370103
河南信阳新县人民北路|411523
陕西安康汉阴人民北路|610921
辽宁锦州北镇朝阳路|210782
江西省抚州市东乡区上海路|361003
臺北市信義區|710105
台湾省桃园市龟山乡|710605
香港特别行政区油尖旺区|810109
香港九龙油尖旺区|810109
澳门特别行政区花地玛堂区|820008
廣東省廣州市天河區|440106
江苏省苏州市吴中区 １２号|320506
广西南宁青秀|450103
内蒙古呼和浩特新城区|150102
恩施州恩施市|422801
""".strip().splitlines()
UNSURE_CASES = """
上海市南京东路300号
北京西路1号
上海路
鼓楼区
江苏省鼓楼区中山路
重庆市渝北区人民路
石家庄市桥东区
江苏省吴县市
江苏省苏州市吴钟区
江苏省苏州市吴钟区长桥街道
杭洲市西湖区
广东省深训市南山区
江苏省杭州市西湖区
无锡市吴中区
苏州市吴中区相城区
江苏省苏州市吴中区上海市黄浦区
江苏省苏州市人民路1号
河北邯郸人民路1号
湖南湘潭市湘潭九华
江苏省淮安市淮安经济技术开发区
甘肃临夏临夏解放大道
合肥市庐阳大道
青岛市北京路
北京
""".strip().splitlines()


@pytest.mark.parametrize("case", SURE_CASES)
def test_a_sure_address(case: str) -> None:
    text, code = case.split("|")
    reading = parse(gazetteer(), text)
    assert (reading.code, reading.is_sure) == (code, True), reading


@pytest.mark.parametrize("text", UNSURE_CASES)
def test_an_unsure_address_is_never_guessed(text: str) -> None:
    reading = parse(gazetteer(), text)
    assert reading.confidence < SURE, reading
    assert reading.doubt != ""


@pytest.mark.parametrize("text", ["", " ", "\x00\xff\x01", "甲" * 10_000, "\ud800", "��zz", "0" * 300])
def test_garbage_is_nothing(text: str) -> None:
    assert parse(gazetteer(), text).confidence == 0


def test_machine_made_addresses_are_read_exactly() -> None:
    addresses = make_addresses(2000, 7)
    readings = [parse(gazetteer(), address.text) for address in addresses]
    found = Counter(
        "exact" if reading.is_sure and reading.code == address.code else "wrong" if reading.is_sure else "held"
        for address, reading in zip(addresses, readings, strict=True)
    )
    assert found["wrong"] == 0
    assert found["exact"] >= 1980


def test_the_full_name_of_a_county_is_certain() -> None:
    for row in package().divisions:
        if row.level == 3 and row.valid_to is None:
            reading = parse(gazetteer(), f"{gazetteer().region(row.code)}1号")
            assert (reading.code, reading.confidence, reading.detail) == (row.code, 1.0, "1号"), row


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from("江苏省州市吴中区县街道路镇南京东 1-,"), max_size=60).map("".join))
def test_no_text_is_too_strange(text: str) -> None:
    reading = parse(gazetteer(), text)
    assert 0 <= reading.confidence <= 1
    if reading.code:
        assert gazetteer().path(reading.code) == (reading.province, reading.city, reading.district)
    structured = Region(Place("", "江苏省"), Place("", "苏州市"), Place("320506", "吴中区"))
    assert locate(gazetteer(), structured, text).code == "320506"


def test_the_command_reads_lines_without_any_set_up(tmp_path: Path) -> None:
    """On a database without a single table it uses the list that is shipped with the code."""
    asked = "江苏省苏州市吴中区长桥街道88号\n上海浦东新区张江镇\n某地\n".encode()
    command = [sys.executable, "manage.py", "parse_address"]
    surroundings = {**os.environ, "YIPAN_VAR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3"}
    told = subprocess.run(command, input=asked, env=surroundings, capture_output=True, check=True)
    first, second, last = [json.loads(line) for line in told.stdout.splitlines()]
    names = ("province", "city", "district", "street", "code")
    assert [first[name] for name in names] == ["江苏省", "苏州市", "吴中区", "长桥街道", "320506"]
    assert [second[name] for name in names] == ["上海市", "上海市", "浦东新区", "张江镇", "310115"]
    assert last["confidence"] == 0
