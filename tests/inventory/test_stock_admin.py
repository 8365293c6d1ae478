"""The admin of stock posts corrections once and never overwrites figures it has only read."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest
from django.test import RequestFactory

from inventory.items.admin import SkuAdmin
from inventory.ledger.admin import MovementAdmin, NodeAdmin
from inventory.models import Level, Movement, Node, Sku
from inventory.reservations.admin import LevelAdmin
from oms_project.journal.models import Entry
from tests.make import make_level, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db


def posted(rf: RequestFactory, **fields: Any) -> HttpRequest:
    request = rf.post("/", fields)
    request.user = make_staff()
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    return request


def test_an_adjustment_sent_twice_counts_once(rf: RequestFactory) -> None:
    level = make_level(make_node(), make_sku(), on_hand=5)
    form = {"action": "adjust", "quantity": "-2", "reason": "盘亏", "token": "t1"}
    for _ in range(2):
        LevelAdmin(Level, admin.site).adjust(posted(rf, **form), Level.objects.all())
    level.refresh_from_db()
    assert level.on_hand == 3
    assert list(Movement.objects.values_list("source_key", "quantity", "reason")) == [(f"adjust:t1:{level.pk}", -2, "盘亏")]


@pytest.mark.parametrize(("quantity", "reason"), [("-9", "盘亏"), ("0", "盘亏"), ("", "盘亏"), ("3", "")])
def test_a_bad_adjustment_is_refused_in_words(rf: RequestFactory, quantity: str, reason: str) -> None:
    level = make_level(make_node(), make_sku(), on_hand=5)
    request = posted(rf, action="adjust", quantity=quantity, reason=reason, token="t1")
    LevelAdmin(Level, admin.site).adjust(request, Level.objects.all())
    [message] = get_messages(request)
    assert message.level_tag == "error"
    level.refresh_from_db()
    assert (level.on_hand, Movement.objects.count()) == (5, 0)


def test_saving_the_safety_stock_leaves_the_other_figures_alone(rf: RequestFactory, at: datetime) -> None:
    level = make_level(make_node(), make_sku(), on_hand=5)
    Level.objects.update(held=4)
    level.safety_stock = 1
    LevelAdmin(Level, admin.site).save_model(posted(rf), level, None, True)
    level.refresh_from_db()
    assert (level.on_hand, level.held, level.safety_stock) == (5, 4, 1)
    assert not MovementAdmin(Movement, admin.site).has_change_permission(posted(rf))


def test_a_changed_place_lets_waiting_orders_be_routed(rf: RequestFactory) -> None:
    node = make_node(code="N1")
    NodeAdmin(Node, admin.site).save_model(posted(rf), node, None, True)
    assert Entry.objects.get(name="routing.changed").payload["what"] == "node-N1"
    assert SkuAdmin(Sku, admin.site).check() == [] == LevelAdmin(Level, admin.site).check()
