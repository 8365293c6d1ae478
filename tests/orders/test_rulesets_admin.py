"""Rule sets in the admin: drafts are edited and published, everything else is only read, and by whom it may be."""

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.forms import BooleanField
from django.test import Client
from django.test.utils import CaptureQueriesContext

from oms_project.journal.models import Entry
from orders.models import FreightRate, NodeGroup, OrderRule, PromiseClass, RuleSet
from orders.rulesets import actions
from orders.rulesets.admin import RuleSetAdmin
from orders.rulesets.inlines import INLINES
from orders.rulesets.models import SECTIONS
from tests.make import make_staff
from tests.orders.rulesets_world import World, make_world

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/ruleset/"


@pytest.fixture
def world(at: datetime, client: Client) -> World:
    made = make_world(at)
    client.force_login(made.boss)
    return made


def page_of(found: RuleSet, page: str = "change") -> str:
    return f"{LIST}{found.pk}/{page}/"


def filled(page: Any) -> dict[str, Any]:
    """What the form on a page would send when nobody touched it."""
    parts = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        parts += [inline.formset.management_form, *inline.formset.forms]
    fields = [field for part in parts for field in part]
    ticked = {field.html_name: field.value() for field in fields if not isinstance(field.field, BooleanField) or field.value()}
    return {name: "" if value is None else value for name, value in ticked.items()}


def rows() -> list[tuple[str, Any]]:
    tables: list[Any] = [RuleSet, *SECTIONS]
    told = [(table.__name__, row) for table in tables for row in table.objects.order_by("pk").values_list()]
    return [*told, ("entries", Entry.objects.filter(name="routing.changed").count())]


def test_a_draft_that_nobody_touched_is_saved_as_it_was(world: World, client: Client) -> None:
    before = rows()
    with CaptureQueriesContext(connection) as asked:
        page = client.get(page_of(world.draft))
    assert len(asked) <= 21
    assert len(page.context["inline_admin_formsets"]) == len(INLINES) == len(SECTIONS)
    assert client.post(page_of(world.draft), filled(page)).status_code == 302
    assert rows() == before


def test_a_draft_with_many_rows_asks_no_more(world: World, client: Client) -> None:
    for number in range(30):
        FreightRate.objects.create(rule_set=world.draft, division=f"32{number:02d}", first_fen=1)
        OrderRule.objects.create(rule_set=world.draft, name=f"规则 {number}")
    with CaptureQueriesContext(connection) as asked:
        client.get(page_of(world.draft))
    assert len(asked) <= 21


def test_amounts_and_lists_are_edited_as_people_write_them(world: World, client: Client) -> None:
    values = filled(client.get(page_of(world.draft)))
    assert (values["split_fee_fen"], values["order_rules-0-divisions"]) == ("7.00", "3205（苏州市）")
    values |= {
        "split_fee_fen": "8.5",
        "order_rules-0-divisions": "江苏、吴中区",
        "order_rules-0-tags": "VIP，大客户",
        "freight-0-first_fen": "12.34",
        "freight-0-division": "苏州市",
        "promises-TOTAL_FORMS": "3",
        "promises-2-code": "nextday",
        "promises-2-name": "次日达",
        "promises-2-days": "1",
        "promises-2-kinds": "门店、经销商仓",
        "order_rules-1-promise": "nextday",
        "order_rules-1-is_live": "True",
        "credits-1-DELETE": "on",
    }
    assert client.post(page_of(world.draft), values).status_code == 302
    world.draft.refresh_from_db()
    assert world.draft.split_fee_fen == 850
    first, second = OrderRule.objects.order_by("position")
    assert (first.divisions, first.tags) == (["32", "320506"], ["VIP", "大客户"])
    assert (second.promise, second.is_live) == ("nextday", True)
    assert PromiseClass.objects.get(code="nextday").kinds == ["store", "dealer"]
    assert FreightRate.objects.filter(division="3205").values_list("first_fen").get() == (1234,)
    assert world.draft.credits.count() == 1


def test_what_cannot_be_read_is_named_and_nothing_is_saved(world: World, client: Client) -> None:
    before = rows()
    values = filled(client.get(page_of(world.draft)))
    values |= {
        "split_fee_fen": "八元",
        "order_rules-0-products": "SOFA、NOPE",
        "groups-0-nodes": "N-X",
        "freight-0-step_fen": "99",
        "quotas-0-percent": "101",
        "quotas-0-dealer_code": "D009",
        "promises-1-code": "hours",
        "calendars-0-weekdays": "78",
    }
    page = client.post(page_of(world.draft), values)
    assert page.status_code == 200
    for told in ("“八元”不是金额", "没有这样的SKU：NOPE", "没有这样的发货点：N-X", "没有这样的经销商：D009", "发货日填 1 到 7"):
        assert told in page.text
    assert len(page.context["errors"]) >= 7
    assert rows() == before


@pytest.mark.parametrize("state", ["published", "retired"])
def test_what_was_in_force_is_shown_in_tables_and_cannot_be_changed(
    world: World, client: Client, state: str, at: datetime
) -> None:
    values = filled(client.get(page_of(world.draft))) | {"split_fee_fen": "99", "order_rules-0-name": "改了"}
    RuleSet.objects.update(state=state, published_at=at)
    before = rows()
    with CaptureQueriesContext(connection) as asked:
        page = client.get(page_of(world.draft))
    assert len(asked) <= 21
    assert "渠道 抖店；店铺 1001；收货地区 3205（苏州市）" in page.text
    assert 'name="split_fee_fen"' not in page.text
    assert "publish/do/" not in page.text
    assert "copy/do/" in page.text
    assert client.post(page_of(world.draft), values).status_code == 403
    assert client.post(page_of(world.draft, "drop/do")).status_code == 302
    assert client.post(page_of(world.draft, "delete"), {"post": "yes"}).status_code == 403
    assert rows() == before


def test_a_form_that_comes_after_the_publishing_is_refused(
    world: World, client: Client, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the page's own check and its writes: the action has the last word, for the set and for its rows."""
    values = filled(client.get(page_of(world.draft))) | {"order_rules-0-name": "改了"}
    actions.publish(ruleset_id=world.draft.pk, staff=world.boss, at=at)
    monkeypatch.setattr(RuleSetAdmin, "has_change_permission", lambda *_: True)
    before = rows()
    page = client.post(page_of(world.draft), values, follow=True)
    assert "规则 v1 生效中，不能再改；请复制为草稿" in page.text
    assert rows() == before


def test_the_buttons_copy_publish_and_drop(world: World, client: Client) -> None:
    page = client.post(page_of(world.draft, "publish/do"), follow=True)
    assert "规则 v1 已生效，待派订单按新规则重新派单" in page.text
    assert RuleSet.objects.get(state="published").published_by == world.boss
    assert "已新建草稿 规则 v2" in client.post(page_of(world.draft, "copy/do"), follow=True).text
    draft = RuleSet.objects.get(version=2)
    assert OrderRule.objects.filter(rule_set=draft).count() == 2
    assert "草稿已丢弃" in client.post(page_of(draft, "drop/do"), follow=True).text
    assert "已新建草稿 路由规则 v2" in client.post(f"{LIST}new/do/", follow=True).text
    assert list(RuleSet.objects.order_by("version").values_list("version", "state")) == [(1, "published"), (2, "draft")]
    assert client.get(page_of(world.draft, "publish/do")).status_code == 405
    assert client.post(page_of(world.draft, "burn/do")).status_code == 404
    assert client.post(f"{LIST}999/copy/do/").status_code == 404
    assert client.post(f"{LIST}999/publish/do/").status_code == 404
    assert client.get(f"{LIST}999/check/").status_code == 404


def test_a_faulty_draft_is_not_published_and_its_faults_are_listed(world: World, client: Client) -> None:
    OrderRule.objects.filter(name="直播").update(position=1, is_live=None)
    NodeGroup.objects.filter(code="gold").update(nodes=["GONE"])
    before = rows()
    page = client.post(page_of(world.draft, "publish/do"), follow=True)
    assert "有问题没有解决，没有发布" in page.text
    assert "订单规则「苏州小时达」永远不会命中：它的订单都先被「直播」拿走" in page.text
    assert "分组「金牌」：没有发货点 GONE" in page.text
    assert rows() == before
    assert "没有发现问题" not in page.text


def test_a_draft_is_compared_with_what_is_in_force(world: World, client: Client, at: datetime) -> None:
    assert "还没有生效的版本" in client.get(page_of(world.draft, "compare")).text
    actions.publish(ruleset_id=world.draft.pk, staff=world.boss, at=at)
    draft = actions.new_draft(based_on=world.draft.pk, staff=world.boss, at=at)
    assert "与生效的 规则 v1 没有差异" in client.get(page_of(draft, "compare")).text
    OrderRule.objects.filter(rule_set=draft, name="直播").update(split_fee_fen=1234)
    page = client.get(page_of(draft, "compare")).text
    assert all(told in page for told in ("修改", "直播", "拆单费（每多一个包裹）", "6.00 元", "12.34 元"))


def test_operators_read_and_finance_sees_nothing(world: World, client: Client) -> None:
    pages = [page_of(world.draft), page_of(world.draft, "check"), page_of(world.draft, "compare"), LIST]
    doors = [page_of(world.draft, f"{step}/do") for step in ("publish", "copy", "drop")] + [
        f"{LIST}new/do/",
        page_of(world.draft),
    ]
    before = rows()
    for role, seen in (("operator", 200), ("finance", 403)):
        client.force_login(make_staff(role=role))
        for page in pages:
            answer = client.get(page)
            assert answer.status_code == seen, (role, page)
            assert "/do/" not in answer.text
        assert [client.post(door).status_code for door in doors] == [403] * 5
    assert rows() == before
    client.logout()
    assert client.get(page_of(world.draft, "check")).status_code == 302
