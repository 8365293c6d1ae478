"""Keys: shown once, kept as a digest, refused with the same words; made and revoked by the administrator only."""

import hashlib
import logging
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from dealers.models import Dealer
from inventory.models import ApiKey
from inventory.partners import actions as partners
from inventory.partners.auth import KeyThrottle
from oms_project.journal.models import Entry
from oms_project.refusal import Refusal
from tests.conftest import NOON
from tests.inventory.partners_world import call, figure, make_key, make_world, movement, problem_of
from tests.make import make_dealer, make_staff

pytestmark = pytest.mark.django_db
LIST, ADD = reverse("admin:inventory_apikey_changelist"), reverse("admin:inventory_apikey_add")


def test_only_a_digest_is_kept_and_no_repr_tells_the_secret():
    made = make_key()
    assert re.fullmatch(r"yp_[0-9a-f]{10}_[\w-]{43}", made.secret)
    key = ApiKey.objects.get()
    assert (key.prefix, key.digest) == (made.secret.split("_")[1], hashlib.sha256(made.secret.encode()).hexdigest())
    assert made.secret not in repr(made)
    assert made.secret not in str(key)
    entry = Entry.objects.get()
    assert (entry.name, entry.actor, entry.rooms, entry.payload["state"]) == ("api_key.changed", "test", " ops ", "made")
    assert made.secret.split("_")[2] not in str(entry.payload)


def test_a_key_needs_a_name_and_a_right():
    for fields, words in (({"name": "  "}, "请填写密钥名称"), ({"may_read": False, "may_write": False}, "请至少选择一项权限")):
        given = {"name": "仓储系统", "dealer": None, "may_read": True, "may_write": True, **fields}
        with pytest.raises(Refusal, match=words):
            partners.make_key(**given, actor="test", at=NOON)
    assert (ApiKey.objects.count(), Entry.objects.count()) == (0, 0)


def test_a_key_is_revoked_once():
    made = make_key()
    partners.revoke_key(key=made.key, actor="test", at=NOON)
    assert not ApiKey.objects.get().is_active
    with pytest.raises(Refusal, match="已经停用"):
        partners.revoke_key(key=made.key, actor="test", at=NOON)
    assert [entry.payload["state"] for entry in Entry.objects.order_by("id")] == ["made", "revoked"]


def test_no_key_a_wrong_key_and_a_revoked_key_get_the_same_words():
    right, revoked, left = make_key().secret, make_key(), make_key(make_dealer(is_active=False)).secret
    partners.revoke_key(key=revoked.key, actor="test", at=NOON)
    wrong = right[:-1] + ("A" if right[-1] != "A" else "B")
    nonsense = ["", "x", "yp_", "yp__", f"yp_{'a' * 5000}_x", right.replace("yp_", "YP_"), right + "x", "é", "a b"]
    for secret in (None, wrong, revoked.secret, left, f"yp_0000000000_{right.split('_', 2)[2]}", *nonsense):
        answer = call(secret, "GET", "levels")
        assert problem_of(answer) == (401, "not_authenticated", "密钥无效"), secret
        assert answer["WWW-Authenticate"] == "Bearer"
    assert problem_of(call(None, "GET", "levels", Authorization=f"Basic {right}"))[0] == 401
    assert call(right, "GET", "levels").status_code == 200
    assert call(None, "GET", "levels", Authorization=f"bearer {right}").status_code == 200


def test_a_missing_right_is_forbidden_and_changes_nothing():
    world = make_world()
    reader, writer = make_key(may_write=False).secret, make_key(may_read=False).secret
    for path, row in (("levels", figure(1)), ("movements", movement(1))):
        assert problem_of(world.post(path, [row], reader)) == (403, "forbidden", "没有权限")
    assert problem_of(call(writer, "GET", "levels")) == (403, "forbidden", "没有权限")
    assert not world.nodes["N001"].levels.exists()


def test_people_and_systems_do_not_pass_for_each_other():
    assert Client().get("/api/me", headers={"Authorization": f"Bearer {make_key().secret}"}).status_code == 401
    client = Client()
    client.force_login(make_staff())
    assert client.get("/api/stock/levels").status_code == 401


def test_use_is_noted_once_a_minute(django_assert_num_queries: Any):
    secret = make_key().secret
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        with time_machine.travel(NOON + timedelta(seconds=seconds), tick=False):
            assert call(secret, "GET", "levels").status_code == 200
        assert ApiKey.objects.get().used_at == NOON + timedelta(seconds=noted)
    with time_machine.travel(NOON + timedelta(seconds=62), tick=False), django_assert_num_queries(2):
        call(secret, "GET", "levels")  # the key, an empty page


def test_too_many_calls_wait_and_others_do_not():
    busy, calm = make_key().secret, make_key().secret
    with time_machine.travel(NOON + timedelta(seconds=0.5), tick=False):
        assert {call(busy, "GET", "levels").status_code for _ in range(KeyThrottle.calls)} == {200}
        slow = call(busy, "GET", "levels")
        assert problem_of(slow) == (429, "throttled", "操作太频繁，请稍后再试")
        assert slow["Retry-After"] == "3"
        assert call(calm, "GET", "levels").status_code == 200
    with time_machine.travel(NOON + timedelta(seconds=3), tick=False):
        assert call(busy, "GET", "levels").status_code == 200


def test_keys_stay_out_of_the_logs(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    secret = make_key().secret

    def broken(*args: Any, **fields: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("inventory.partners.queries.stock_page", broken)
    with caplog.at_level(logging.DEBUG):
        assert problem_of(call(secret, "GET", "levels")) == (500, "error", "服务出错，已记录")
    assert "broken" in caplog.text
    assert secret not in caplog.text


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role=role))
    return client


def test_the_administrator_makes_a_key_and_sees_its_secret_once():
    client, dealer = signed_in("admin"), make_dealer()
    assert client.get(ADD).status_code == 200
    page = client.post(ADD, {"name": "门店收银", "dealer": dealer.pk, "may_read": "on"})
    assert (page.status_code, "no-store" in page["Cache-Control"], page.cookies.get("messages")) == (200, True, None)
    (secret,) = set(re.findall(r"yp_[0-9a-f]{10}_[\w-]{43}", page.text))
    assert "离开此页后无法再次查看" in page.text
    key = ApiKey.objects.get()
    assert (key.name, key.dealer, key.may_read, key.may_write) == ("门店收银", dealer, True, False)
    assert call(secret, "GET", "levels").status_code == 200
    for address in (LIST, reverse("admin:inventory_apikey_change", args=[key.pk])):
        shown = client.get(address)
        assert (shown.status_code, secret in shown.text, key.digest in shown.text) == (200, False, False)


def test_a_form_without_a_right_makes_no_key():
    page = signed_in("admin").post(ADD, {"name": "门店收银"})
    assert (page.status_code, "请至少选择一项权限" in page.text, ApiKey.objects.count()) == (200, True, 0)


def test_the_administrator_revokes_keys():
    client, made = signed_in("admin"), make_key()
    for words in ("已停用 1 把密钥", "已经停用"):
        page = client.post(LIST, {"action": "revoke", "_selected_action": [made.key.pk]}, follow=True)
        assert words in page.text
    assert call(made.secret, "GET", "levels").status_code == 401


@pytest.mark.parametrize("role", ["operator", "finance"])
def test_nobody_else_touches_keys(role: str):
    client, made = signed_in(role), make_key()
    assert client.get(LIST).status_code == 403
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, {"name": "x", "may_read": "on"}).status_code == 403
    assert client.post(LIST, {"action": "revoke", "_selected_action": [made.key.pk]}).status_code == 403
    assert (ApiKey.objects.count(), ApiKey.objects.get().is_active, Dealer.objects.count()) == (1, True, 0)
