"""Noise inside a valid envelope is opened or refused, never a crash; and pumps share the texts."""

import threading
from collections import Counter
from datetime import datetime

import pytest
from django.db import connection, connections
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from bots import delivery
from bots.models import InboundEvent
from bots.transports import wecom
from bots.transports.inbound import Forged, Inbound
from oms_project.journal.models import Entry
from oms_project.sealed import seal
from tests.bots.conftest import open_shop
from tests.conftest import NOON
from tests.platforms.wecom import AES_KEY, CORP_ID, TOKEN, Api, WeCom

PLATFORM = WeCom()
NOW = int(NOON.timestamp())
GOOD = [
    PLATFORM.text("zhangsan", "接单 12", msg_id="88", at=NOW),
    PLATFORM.click("zhangsan", "accept|A-1|v1", task_id="A-1@z", at=NOW, reason="busy", more={"other": "x"}),
]


def opened(plain: str) -> Inbound | None:
    encrypted = PLATFORM.encrypt(plain)
    with override_settings(WECOM_CORP_ID=CORP_ID, WECOM_TOKEN=TOKEN, WECOM_AES_KEY=AES_KEY):
        try:
            return wecom.open_message(PLATFORM.query(encrypted, at=NOW), PLATFORM.envelope(encrypted).encode(), at=NOON)
        except Forged:
            return None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD), st.integers(0, 600), st.integers(0, 60), st.text(max_size=12))
def test_a_mutated_message_is_opened_or_refused(good: str, start: int, length: int, put: str) -> None:
    result = opened(good[:start] + put + good[start + length :])
    assert result is None or result.kind in {"text", "click", "other"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_body_is_refused(body: bytes) -> None:
    with override_settings(WECOM_CORP_ID=CORP_ID, WECOM_TOKEN=TOKEN, WECOM_AES_KEY=AES_KEY), pytest.raises(Forged):
        wecom.open_message({"msg_signature": "0" * 40, "timestamp": str(NOW), "nonce": "1"}, body, at=NOON)


def test_one_pick_and_several_are_read_alike() -> None:
    one = opened(PLATFORM.click("z", "k", task_id="t", at=NOW, reason="busy"))
    two = opened(GOOD[1])
    none = opened(PLATFORM.click("z", "k", task_id="t", at=NOW))
    assert (one and one.selected, two and two.selected, none and none.selected) == (
        {"reason": "busy"},
        {"reason": "busy", "other": "x"},
        {},
    )
    assert two
    assert two.event_id == f"zhangsan:{NOW}:A-1@z:accept|A-1|v1"
    assert two.response_code == "code-of-click"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_many_pumps_answer_each_text_once(platform: WeCom, api: Api, at: datetime) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")
    shop = open_shop(at)
    for n in range(12):
        content = seal(f'{{"text": "接单 {shop.no}", "sent_at": "{at.isoformat()}"}}')
        InboundEvent.objects.create(
            platform="wecom",
            tenant=CORP_ID,
            event_id=str(n),
            sender_id="zhangsan",
            kind="text",
            content_sealed=content,
            received_at=at,
            due_at=at,
        )
    taken: Counter[int] = Counter()

    def pump(number: int) -> None:
        while done := delivery.answer_events(at=at):
            taken[number] += done
        connections.close_all()

    threads = [threading.Thread(target=pump, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken.values()) == 12
    assert api.count("message/send") == 12
    assert not InboundEvent.objects.filter(done_at=None).exists()
    assert Entry.objects.filter(name="offer.closed").count() == 1
