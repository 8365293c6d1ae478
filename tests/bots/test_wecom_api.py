"""Calls to WeCom: one token for all, one refresh, a timeout on everything, faults told apart."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bots.cards import Button, Card
from bots.transports import wecom
from bots.transports.inbound import TransportError
from oms_project.journal.subscription import PermanentFailure
from tests.platforms.wecom import CORP_ID, Api, serve

CARD = Card(title="新订单 1012", rows=(("商品", "沙发 ×1"),), buttons=())


@pytest.fixture
def api(settings: Any) -> Iterator[Api]:
    with serve() as running:
        settings.WECOM_API_BASE, settings.WECOM_CORP_ID = running.base, CORP_ID
        settings.WECOM_SECRET, settings.WECOM_AGENT_ID = "the-secret", 1000002
        yield running


def test_one_token_serves_many_calls(api: Api) -> None:
    for _ in range(3):
        wecom.send_text("zhangsan", "1012 已接单")
    assert (api.tokens, api.count("message/send")) == (1, 3)
    assert api.bodies("message/send")[0] == {
        "touser": "zhangsan",
        "agentid": 1000002,
        "msgtype": "text",
        "text": {"content": "1012 已接单"},
    }


def test_eight_threads_fetch_one_token(api: Api) -> None:
    threads = [threading.Thread(target=wecom.send_text, args=("zhangsan", str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (api.tokens, api.count("message/send")) == (1, 8)


def test_a_stale_token_is_refreshed_once(api: Api) -> None:
    api.errors["message/send"] = [40014]
    wecom.send_text("zhangsan", "你好")
    assert (api.tokens, api.count("message/send")) == (2, 2)


def test_a_token_that_is_never_accepted_means_one_refresh_and_failure(api: Api) -> None:
    api.always["message/send"] = 40014
    with pytest.raises(TransportError) as raised:
        wecom.send_text("zhangsan", "你好")
    assert raised.value.code == 40014
    assert (api.tokens, api.count("message/send")) == (2, 2)


@pytest.mark.parametrize("fault", [45009, 45033, -1, (500,), (502,)])
def test_what_may_pass_is_tried_later(api: Api, fault: Any) -> None:
    api.always["message/send"] = fault
    with pytest.raises(TransportError):
        wecom.send_text("zhangsan", "你好")
    assert api.count("message/send") == 1


@pytest.mark.parametrize("fault", [81013, 40058, 60011])
def test_what_cannot_pass_is_permanent(api: Api, fault: int) -> None:
    api.always["message/send"] = fault
    with pytest.raises(PermanentFailure):
        wecom.send_text("zhangsan", "你好")


@pytest.mark.parametrize("path", ["gettoken", "message/send"])
def test_a_hanging_platform_is_given_up(api: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wecom, "TIMEOUT", (0.2, 0.2))
    wecom._client_for.cache_clear()
    api.always[path] = "hang"
    with pytest.raises(TransportError, match="无应答"):
        wecom.send_text("zhangsan", "你好")
    wecom._client_for.cache_clear()


def test_a_failure_never_tells_the_token_or_the_secret(api: Api) -> None:
    api.always["message/send"] = (500,)
    with pytest.raises(TransportError) as raised:
        wecom.send_text("zhangsan", "你好")
    assert "token-" not in str(raised.value)
    assert "the-secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_same_card_sent_twice_counts_as_sent(api: Api) -> None:

    card = replace(CARD, buttons=(Button("接单", "accept", "accept|A-1-1|v1"),))
    assert wecom.send_card("zhangsan", "A-1-1@zhangsan", card) == ["code-1"]
    assert wecom.send_card("zhangsan", "A-1-1@zhangsan", card) == []


def test_a_code_closes_a_card_once(api: Api) -> None:
    wecom.close_card("zhangsan", "code-1", "已被张三接单 10:32")
    assert api.bodies("message/update_template_card") == [
        {"userids": ["zhangsan"], "agentid": 1000002, "response_code": "code-1", "button": {"replace_name": "已被张三接单 10:32"}}
    ]
    with pytest.raises(PermanentFailure):
        wecom.close_card("zhangsan", "code-1", "已被张三接单 10:32")
