"""试算: what routing would do with an order that nobody placed; asked, told, and written nowhere."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from dealers.divisions import queries as divisions
from dealers.models import Division
from inventory.models import Level
from oms_project.refusal import NotFound
from orders.models import FreightRate, RuleSet
from orders.promise.queries import CannotAsk
from orders.promise.rules import Asked
from orders.routing import queries as routing
from orders.simulation.forms import lines_of
from orders.simulation.queries import Question, trial
from orders.simulation.sketch import MARGIN, SIZE, Spot, sketch_of
from tests.make import SUZHOU_WUZHONG, make_staff
from tests.orders.dispatch_world import World, make_world

pytestmark = pytest.mark.django_db
PAGE = "admin:orders_simulation_trial"


@pytest.fixture
def world() -> World:
    made = make_world()
    province = Division.objects.create(code="320000", name="江苏省", level=1)
    city = Division.objects.create(code="320500", name="苏州市", level=2, parent=province)
    Division.objects.create(code=SUZHOU_WUZHONG, name="吴中区", level=3, parent=city, lng=120.63, lat=31.26)
    divisions.forget()
    routing.forget()
    return made


def ask(**more: Any) -> Question:
    return Question(**{"address": SUZHOU_WUZHONG, "channel": "doudian", "lines": [Asked("KT-3300", 1)], **more})


def draft_with(first_fen: int, at: datetime) -> RuleSet:
    draft = RuleSet.objects.create(name="草稿", version=2, created_at=at, split_fee_fen=700)
    FreightRate.objects.create(rule_set=draft, kind="dealer", first_fen=first_fen)
    return draft


def counts() -> dict[str, int]:
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


def test_an_order_is_tried_with_every_candidate_and_its_reasons(world: World, at: datetime) -> None:
    tried = trial(question=ask(), at=at)
    assert [package.node for package in tried.decision.packages] == ["N-D001"]
    assert [entry["node"] for entry in tried.decision.trace] == ["N-D001", "N-D002", "N-HQ"]
    assert (tried.rules, tried.region) == ("标准 v1", "江苏省苏州市吴中区")
    assert tried.told[0].startswith("为什么派给经销商仓N-D001：第 1 行成本最低")
    assert tried.sketch is not None
    assert {dot.look for dot in tried.sketch.dots} == {"chosen", "fenced"}


def test_a_draft_is_asked_as_if_it_were_in_force(world: World, at: datetime) -> None:
    draft = draft_with(500, at)
    tried = trial(question=ask(ruleset_id=draft.pk), at=at)
    assert tried.rules == "草稿 v2"
    assert tried.decision.packages[0].breakdown["freight"] == 500
    assert {entry["node"]: entry.get("text") for entry in tried.decision.trace}["N-HQ"] == "没有运费模板"
    with pytest.raises(NotFound):
        trial(question=ask(ruleset_id=draft.pk + 9), at=at)


def test_the_stock_is_of_now_and_the_calendar_of_the_moment(world: World, at: datetime) -> None:
    Level.objects.exclude(node=world.hq_node).update(on_hand=0)
    tried = trial(question=ask(lines=[Asked("KT-3300", 2)]), at=at, moment=at + timedelta(days=3))
    assert [package.node for package in tried.decision.packages] == ["N-HQ"]
    assert tried.moment == at + timedelta(days=3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"address": "火星"}, "火星"),
        ({"address": "999999"}, "没有区划代码 999999"),
        ({"lines": [Asked("NIX", 1)]}, "第 1 行：没有商品或 SKU NIX"),
        ({"lines": [Asked("KT-3300", 0)]}, "第 1 行：数量应为 1 到 9999 的整数"),
        ({"lines": []}, "请填写 1 到 50 行商品"),
    ],
)
def test_what_nobody_knows_is_named(world: World, at: datetime, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotAsk) as refused:
        trial(question=ask(**wrong), at=at)
    assert words in refused.value.message


def test_the_page_shows_the_decision_and_nothing_is_written(world: World, client: Client, at: datetime) -> None:
    draft = draft_with(500, at)
    client.force_login(make_staff(role="operator"))
    client.get(reverse(PAGE))
    before = counts()
    asked = {"address": "江苏省苏州市吴中区木渎镇", "lines": "KT-3300 2", "channel": "doudian", "rule_set": str(draft.pk)}
    with CaptureQueriesContext(connection) as told:
        page = client.get(reverse(PAGE), asked)
    assert page.status_code == 200
    for words in ("可以派出", "为什么派给经销商仓N-D001", "没有运费模板", "派给这里", "草稿 v2", "公里</text>"):
        assert words in page.text, words
    assert counts() == before
    assert not [query["sql"] for query in told if re.match(r"(INSERT|UPDATE|DELETE)", query["sql"])]
    assert len(told) == 32
    assert "http" not in page.text.split("<svg viewBox=")[1].split("</svg>")[0]


def test_the_page_says_what_is_wrong(world: World, client: Client) -> None:
    client.force_login(make_staff())
    wrong = {"NIX": "第 1 行：没有商品或 SKU NIX", "KT 3 3 3": "第 1 行看不懂：KT 3 3 3", "": "请填写商品"}
    for lines, words in wrong.items():
        asked = {"address": SUZHOU_WUZHONG, "lines": lines, "channel": "doudian"}
        assert words in client.get(reverse(PAGE), asked).text


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("operator", 200), ("finance", 403)])
def test_who_may_try(client: Client, role: str, status: int) -> None:
    client.force_login(make_staff(role=role))
    assert client.get(reverse(PAGE)).status_code == status


def test_dealers_do_not_get_in(world: World, client: Client) -> None:
    client.force_login(world.owner)
    assert client.get(reverse(PAGE)).status_code == 302


def test_lines_are_read_one_by_one() -> None:
    assert lines_of("A-1 2\n\nB×3\nC\nBOX2 x 4") == [Asked("A-1", 2), Asked("B", 3), Asked("C", 1), Asked("BOX2", 4)]


@given(st.lists(st.tuples(st.floats(73, 135), st.floats(18, 54)), max_size=12))
def test_every_place_is_drawn_inside_the_square(places: list[tuple[float, float]]) -> None:
    drawn = sketch_of((110.0, 30.0), [Spot("仓", lng, lat, "able") for lng, lat in places])
    assert all(MARGIN - 1 <= side <= SIZE - MARGIN + 1 for dot in drawn.dots for side in (dot.x, dot.y))
    assert all(ring.radius <= SIZE // 2 - MARGIN for ring in drawn.rings)
