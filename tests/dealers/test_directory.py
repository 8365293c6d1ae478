"""An identity is one person; ending sessions ends all."""

import pytest

from dealers.directory import actions as directory
from tests.make import make_staff

pytestmark = pytest.mark.django_db


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
