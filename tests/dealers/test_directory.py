"""Divisions are complete and repeatable; an identity is one person; ending sessions ends all."""

from datetime import datetime

import pytest
from django.core.management import call_command

from dealers.directory import actions as directory
from dealers.models import Division
from tests.make import make_staff

pytestmark = pytest.mark.django_db


def test_the_divisions_are_complete_and_loading_them_twice_changes_nothing(at: datetime) -> None:
    count = directory.load_divisions(at=at)
    before = list(Division.objects.order_by("code").values())
    call_command("load_divisions", verbosity=0)
    assert list(Division.objects.order_by("code").values()) == before
    assert count == len(before) == 3451
    assert Division.objects.filter(level=1).count() == 34
    assert not Division.objects.filter(level=1).exclude(parent=None).exists()
    assert not Division.objects.filter(level__gt=1, parent=None).exists()
    assert not Division.objects.filter(lng=None).exists()
    assert Division.objects.get(code="110100").name == "市辖区"
    for code, name in (("441900", "东莞市"), ("442000", "中山市"), ("460400", "儋州市"), ("620200", "嘉峪关市")):
        division = Division.objects.get(code=code)
        assert (division.name, division.level, division.parent_id) == (name, 3, f"{code[:2]}0000")
    assert Division.objects.get(code="419001").parent_id == "410000"
    suzhou = Division.objects.get(code="320500")
    assert suzhou.population == sum(Division.objects.filter(parent=suzhou).values_list("population", flat=True))
    assert 120 < suzhou.lng < 121.5
    assert 31 < suzhou.lat < 32


def test_loading_repairs_what_was_changed(at: datetime) -> None:
    directory.load_divisions(at=at)
    Division.objects.filter(code="320506").update(name="别名", population=1)
    directory.load_divisions(at=at)
    division = Division.objects.get(code="320506")
    assert division.name == "吴中区"
    assert division.population > 1_000_000


def test_a_wechat_identity_is_one_person() -> None:
    first, second = make_staff(), make_staff()
    directory.bind_wechat(staff=first, openid="o-1")
    directory.bind_wechat(staff=first, openid="o-1")
    with pytest.raises(directory.WechatTaken, match="该微信已绑定其他人员"):
        directory.bind_wechat(staff=second, openid="o-1")
    second.refresh_from_db()
    assert second.wechat_openid is None
    directory.bind_wechat(staff=first, openid="o-2")
    directory.bind_wechat(staff=second, openid="o-1")


def test_ending_sessions_raises_the_version() -> None:
    staff = make_staff()
    directory.end_sessions(staff=staff)
    directory.end_sessions(staff=staff)
    assert staff.session_version == 3
