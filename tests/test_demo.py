"""The demo is a believable brand on real geography, made once, and its platform speaks the real dialect."""

import json
from collections import Counter
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from dealers.models import Dealer, Division, Staff
from inventory.ledger.queries import drift
from inventory.models import Level, Node, Sku
from oms_project.demo import brand
from oms_project.demo.platform import Storyteller, message, sign_push
from oms_project.demo.playing import _storyteller
from orders.intake import actions as intake
from orders.intake.adapters import doudian
from orders.models import Order, OrderHold, SourceMessage
from orders.rulesets import queries as rulesets

PAID = 1_795_000_000


@pytest.fixture
def storyteller(db: None) -> Storyteller:
    call_command("seed_demo", verbosity=0)
    return _storyteller()


def test_seeding_makes_the_brand_once(storyteller: Storyteller) -> None:
    before = (Dealer.objects.count(), Sku.objects.count(), Level.objects.count(), Staff.objects.count())
    call_command("seed_demo", verbosity=0)
    assert (Dealer.objects.count(), Sku.objects.count(), Level.objects.count(), Staff.objects.count()) == before
    assert before[0] >= 30
    assert before[1] >= 60
    assert set(Node.objects.values_list("kind", flat=True)) == {"hq", "region", "dealer", "store"}
    assert set(Staff.objects.values_list("role", flat=True)) == {"admin", "operator", "finance", "owner", "clerk", "installer"}
    assert not set(Node.objects.values_list("division_code", flat=True)) - set(Division.objects.values_list("code", flat=True))
    assert drift() == []


def test_the_brands_rules_are_in_force_and_sound(storyteller: Storyteller) -> None:
    found = rulesets.in_force()
    assert found is not None
    assert (found.version, str(found.published_by)) == (1, "林总")
    assert rulesets.faults_of(found.pk) == ([], [])
    book = rulesets.published_book()
    assert [terms.name for _, terms in book.order_rules] == ["小时达", "会员次日达", "直播爆单", "偏远地区", "小件"]
    rates = {code: book.freight_for(kind="hq", groups=frozenset(), division_code=code) for code in ("650104", "320506")}
    assert {code: (rate.first_fen, rate.base_days) for code, rate in rates.items() if rate} == {
        "650104": (7000, 3),
        "320506": (3500, 2),
    }


def test_an_order_is_told_the_same_way_twice(storyteller: Storyteller) -> None:
    order_id = f"{PAID}000012345"
    assert storyteller.detail(order_id, PAID + 5) == storyteller.detail(order_id, PAID + 5)


def test_signed_pushes_become_orders_and_each_odd_fate_its_hold(
    storyteller: Storyteller, monkeypatch: pytest.MonkeyPatch, at: Any
) -> None:
    monkeypatch.setattr(doudian, "fetch_order", lambda account, number: storyteller.detail(number, PAID + 5))
    numbers = [f"{PAID}{serial:09d}" for serial in range(300)]
    body = ("[" + ",".join(_as_json(message("101", number)) for number in numbers) + "]").encode()
    answer = Client().post("/channels/doudian/push", body, content_type="application/json", headers=sign_push(body))
    assert answer.json()["code"] == 0
    SourceMessage.objects.update(due_at=at)
    while intake.digest_messages(at=at):
        pass
    assert Order.objects.count() == len(numbers)
    fates = Counter(storyteller.fate(number) for number in numbers)
    holds = Counter(OrderHold.objects.values_list("reason", flat=True))
    assert holds == {
        "sku": fates["bad_sku"],
        "address": fates["bad_address"],
        "totals": fates["bad_totals"],
        "remark": fates["note"],
    }
    assert min(holds.values()) > 0


def test_a_push_signed_wrongly_is_not_the_platforms(storyteller: Storyteller, at: Any) -> None:
    body = _as_json(message("101", f"{PAID}000000001")).encode()
    forged = {**sign_push(body), "event-sign": "0" * 32}
    answer = Client().post("/channels/doudian/push", body, content_type="application/json", headers=forged)
    assert (answer.status_code, SourceMessage.objects.count()) == (401, 0)
    assert Dealer.objects.order_by("code").values_list("code", flat=True)[0] == brand.PLAYED_DEALER


def _as_json(one: dict[str, str]) -> str:
    return json.dumps(one, ensure_ascii=False)
