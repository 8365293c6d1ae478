"""Shops and messages on screen: secrets and bodies stay hidden, parked messages can be retried."""

from datetime import datetime
from typing import Any

import pytest
from django.urls import reverse

from orders.intake.admin import masked
from orders.models import SourceMessage
from tests.make import make_staff
from tests.orders.intake_world import make_account
from tests.platforms.doudian import APP_SECRET, DoudianPlatform

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client: Any) -> Any:
    client.force_login(make_staff())
    return client


def test_secrets_go_in_and_never_come_out(boss: Any) -> None:
    account = make_account(DoudianPlatform(), access_token="token-very-secret")
    page = reverse("admin:orders_channelaccount_change", args=[account.pk])
    for address in (page, reverse("admin:orders_channelaccount_changelist")):
        text = boss.get(address).content.decode()
        assert APP_SECRET not in text
        assert "token-very-secret" not in text
    form = {"channel": "doudian", "shop": "12345", "name": "新名", "app_key": account.app_key, "api_base": "https://x.cn"}
    assert boss.post(page, {**form, "is_active": "on"}).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.app_secret, account.access_token) == ("新名", APP_SECRET, "token-very-secret")
    assert boss.post(page, {**form, "app_secret": "another"}).status_code == 302
    account.refresh_from_db()
    assert (account.app_secret, account.access_token) == ("another", "token-very-secret")


def test_a_new_shop_needs_a_secret(boss: Any) -> None:
    form = {"channel": "doudian", "shop": "1", "name": "店", "app_key": "k", "api_base": "https://x.cn"}
    answer = boss.post(reverse("admin:orders_channelaccount_add"), form)
    assert "请填写 App Secret" in answer.content.decode()


def test_parked_messages_are_retried_and_bodies_are_not_shown(boss: Any, at: datetime) -> None:
    kept = {"account": make_account(DoudianPlatform()), "body_sealed": "SEALED-BODY", "received_at": at, "external_id": "1"}
    parked = SourceMessage.objects.create(message_key="a", tag="101", outcome="parked", tries=9, **kept)
    done = SourceMessage.objects.create(message_key="b", tag="101", outcome="placed", done_at=at, **kept)
    listing = reverse("admin:orders_sourcemessage_changelist")
    assert "SEALED-BODY" not in boss.get(reverse("admin:orders_sourcemessage_change", args=[parked.pk])).content.decode()
    answer = boss.post(listing, {"action": "retry", "_selected_action": [parked.pk, done.pk]}, follow=True)
    assert "已重新排队 1 条" in answer.content.decode()
    parked.refresh_from_db()
    done.refresh_from_db()
    assert (parked.outcome, parked.tries, parked.due_at is not None) == ("", 0, True)
    assert (done.outcome, done.due_at) == ("placed", None)


def test_enough_of_a_secret_is_shown_to_tell_it_apart() -> None:
    assert [masked(secret) for secret in ("", "short", "long-enough-9876")] == ["—", "••••", "••••9876"]
