"""Chat in the admin: bindings can be revoked, the rest can only be read, and secrets are not shown."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from bots.models import CardMessage, ChatIdentity, InboundEvent
from tests import make
from tests.bots.conftest import Shop


@pytest.fixture
def admin(settings: Any, client: Client, db: None) -> Client:
    settings.ROOT_URLCONF = "tests.bots.urls"
    client.force_login(make.make_staff())
    return client


def test_pages_open_and_hide_what_is_secret(admin: Client, shop: Shop, at: datetime) -> None:
    event = InboundEvent.objects.create(
        platform="wecom", tenant="t", event_id="e", kind="text", content_sealed="sealed-text", received_at=at
    )
    card = CardMessage.objects.create(
        platform="wecom", tenant="t", recipient="zhangsan", offer_no="A", task_id="A@z", response_codes=["the-code"], sent_at=at
    )
    for address in ("chatidentity/", f"inboundevent/{event.pk}/change/", f"cardmessage/{card.pk}/change/", "inboundevent/"):
        page = admin.get(f"/admin/bots/{address}")
        assert page.status_code == 200
        assert "sealed-text" not in page.text
        assert "the-code" not in page.text


def test_what_came_cannot_be_changed(admin: Client) -> None:
    assert admin.get("/admin/bots/inboundevent/add/").status_code == 403
    assert admin.get("/admin/bots/cardmessage/add/").status_code == 403


def test_a_binding_is_revoked(admin: Client, shop: Shop) -> None:
    identity = ChatIdentity.objects.get(user_id="zhangsan")
    form = {"platform": "wecom", "tenant": identity.tenant, "user_id": "zhangsan", "staff": shop.owner.pk}
    assert admin.post(f"/admin/bots/chatidentity/{identity.pk}/change/", form).status_code == 302
    identity.refresh_from_db()
    assert not identity.is_active
