"""Personal data and secrets are ciphertext at rest, and the keys can change while rows stay."""

import base64
import io
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from oms_project.sealed import fingerprint, seal, unseal
from orders.models import ChannelAccount, Order
from tests.make import make_order, make_sku

OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def test_text_comes_back_and_cannot_be_read_without_a_key(settings: Any) -> None:
    settings.DATA_KEYS = [OLD]
    token = seal("张三丰 13800000001")
    assert "张三丰" not in token
    assert token != seal("张三丰 13800000001")
    assert unseal(token) == "张三丰 13800000001"
    assert (seal(""), unseal("")) == ("", "")
    settings.DATA_KEYS = [NEW]
    with pytest.raises(ValueError, match="no data key"):
        unseal(token)


def test_a_changed_token_is_refused() -> None:
    token = seal("secret")
    with pytest.raises(ValueError, match="no data key"):
        unseal(token[:-6] + "AAAA==")


def test_equal_texts_have_equal_fingerprints_under_one_key(settings: Any) -> None:
    assert fingerprint("a|b") == fingerprint("a|b") != fingerprint("a|c")
    before = fingerprint("a|b")
    settings.FINGERPRINT_KEY = "another"
    assert fingerprint("a|b") != before


@pytest.mark.django_db
def test_keys_are_rotated_and_the_old_one_is_dropped(settings: Any) -> None:
    settings.DATA_KEYS = [OLD]
    order = make_order(make_sku(), receiver_sealed=seal('{"name": "张三丰"}'))
    bare = make_order(make_sku(), receiver_sealed="")
    account = ChannelAccount.objects.create(channel="doudian", shop="1", name="店", app_key="k", app_secret="s3cret")
    with connection.cursor() as cursor:
        cursor.execute("SELECT app_secret FROM orders_channelaccount")
        assert "s3cret" not in cursor.fetchone()[0]

    settings.DATA_KEYS = [NEW, OLD]
    out = io.StringIO()
    call_command("rotate_data_keys", stdout=out)
    assert "orders.Order.receiver_sealed: 1" in out.getvalue()

    settings.DATA_KEYS = [NEW]
    order.refresh_from_db()
    bare.refresh_from_db()
    account.refresh_from_db()
    assert (unseal(order.receiver_sealed), bare.receiver_sealed, account.app_secret) == ('{"name": "张三丰"}', "", "s3cret")
    assert Order.objects.exclude(receiver_sealed="").count() == 1
