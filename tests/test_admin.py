"""Every admin page opens for those who may see it, costs the same for few and many rows, and speaks Chinese."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import unfold
from django.contrib import admin
from django.db import connection, models
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from dealers.models import Staff, Statement
from oms_project import admin_site
from oms_project.journal.models import Delivery, Entry
from orders.models import OrderHold
from tests import full_house, make

ROWS = 14
MOST_STATEMENTS = 14
PAGES = sorted(admin.site._registry, key=lambda model: model._meta.label)
ROLES = ("admin", "operator", "finance")
# Latin words that are names, codes or test data, and not labels somebody forgot to translate.
FOREIGN = re.compile(
    r"(?<![\w@./-])(?:Add|Change|Delete|Select|Search|Filter|Save|View|Home|History|Run|Yes|No|None|All|By|True|False)(?![\w@./-])"
)


@pytest.fixture
def full(db: None) -> None:
    full_house.fill(ROWS, timezone.now())


def login(client: Client, role: str) -> Client:
    client.force_login(Staff.objects.filter(role=role, dealer=None).first() or make.make_staff(role=role))
    return client


def address(model: type[models.Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def words_of(html: str) -> str:
    """What people read: no scripts, no styles, no tags, no names of icons."""
    html = re.sub(r"(?s)<(script|style|template)\b.*?</\1>", " ", html)
    html = re.sub(r"(?s)<(span|i)[^>]*material-symbols-outlined[^>]*>.*?</\1>", " ", html)
    return re.sub(r"\s+", " ", re.sub(r"(?s)<[^>]+>", " ", html))


def test_every_list_opens_in_few_statements_and_in_chinese(full: None, client: Client) -> None:
    login(client, "admin")
    found = []
    for model in PAGES:
        assert model._default_manager.count() >= ROWS or model is Statement, f"{model._meta.label} has too few rows to tell"
        with CaptureQueriesContext(connection) as asked:
            page = client.get(address(model, "changelist"))
        if page.status_code != 200:
            found.append(f"{model._meta.label} list: {page.status_code}")
        if len(asked) > MOST_STATEMENTS:
            found.append(f"{model._meta.label} list: {len(asked)} statements, last {asked[-2]['sql'][:200]}")
        if left := sorted(set(FOREIGN.findall(words_of(page.text)))):
            found.append(f"{model._meta.label} list: not translated {left}")
    assert found == []


@pytest.mark.parametrize("role", ROLES)
def test_every_page_opens_for_those_who_may_see_it_and_for_nobody_else(full: None, client: Client, role: str) -> None:
    login(client, role)
    staff = Staff.objects.get(role=role, dealer=None)
    found = []
    for model in PAGES:
        sees, adds = (staff.has_perm(f"{model._meta.app_label}.{verb}_{model._meta.model_name}") for verb in ("view", "add"))
        adds = adds and admin.site._registry[model].has_add_permission(_as(staff))
        record = model._default_manager.order_by("-pk").first()
        assert record is not None
        for page, may in (
            (address(model, "changelist"), sees),
            (address(model, "change", record.pk), sees),
            (address(model, "add"), adds),
        ):
            with CaptureQueriesContext(connection) as asked:
                answer = client.get(page)
            if answer.status_code != (200 if may else 403):
                found.append(f"{page}: {answer.status_code}, {role} may: {may}")
            if len(asked) > 2 * MOST_STATEMENTS:
                found.append(f"{page}: {len(asked)} statements")
            if answer.status_code == 200 and (left := sorted(set(FOREIGN.findall(words_of(answer.text))))):
                found.append(f"{page}: not translated {left}")
    assert found == []


def _as(staff: Staff) -> HttpRequest:
    request = HttpRequest()
    request.user = staff
    return request


def front(client: Client, role: str) -> dict[str, Any]:
    page = login(client, role).get(reverse("admin:index"))
    assert page.status_code == 200
    return {"text": words_of(page.text), **page.context_data}


def rows_of(table: dict[str, Any]) -> list[list[str]]:
    return [[words_of(str(cell)).strip() for cell in row] for row in table["rows"]]


@pytest.fixture
def small(db: None) -> datetime:
    """Two standing orders of today, one cancelled, one of yesterday; work, offers and stock of known figures."""
    at = timezone.now()
    sku = make.make_sku("SOFA")
    dealer = make.make_dealer("D001", name="华南经销商")
    node = make.make_node(dealer, name="华南仓")
    held = make.make_order(sku, state="held", paid_fen=123_456, at=at)
    OrderHold.objects.create(order=held, reason="address", opened_at=at)
    OrderHold.objects.create(order=held, reason="remark", opened_at=at)
    OrderHold.objects.create(order=held, reason="sku", opened_at=at, released_at=at)
    routed = make.make_order(sku, state="routed", paid_fen=100, at=at)
    make.make_order(sku, state="cancelled", paid_fen=999, at=at)
    before = at - timedelta(days=2)
    make.make_order(sku, state="unroutable", at=before)
    closing = make.make_work(routed, node, at=at)
    make.make_offer(closing, expires_at=at + timedelta(seconds=30), at=at, income_fen=12_000)
    make.make_offer(make.make_work(routed, node, at=at), expires_at=at + timedelta(minutes=30), at=at)
    make.make_work(routed, node, state="stuck", at=at - timedelta(hours=3, minutes=5))
    make.make_level(node, sku, on_hand=5, held=2, safety_stock=3)
    make.make_level(make.make_node(), sku, on_hand=9, safety_stock=3)
    make.make_level(make.make_node(), sku, on_hand=0)
    entry = Entry.objects.create(name="order.placed", subject="order:1", rooms=" ops ", payload={}, recorded_at=at)
    Delivery.objects.create(entry=entry, subscriber="test", due_at=at, parked_at=at - timedelta(minutes=7))
    Delivery.objects.create(entry=entry, subscriber="test", due_at=at)
    Statement.objects.create(
        statement_no="JS-1",
        dealer=dealer,
        period_from=before,
        period_to=at,
        accrued_fen=250_000,
        closing_fen=200_050,
        drawn_at=at,
    )
    return at


def test_the_front_page_counts_exactly(small: datetime, client: Client) -> None:
    seen = front(client, "admin")
    assert seen["today"] == {"orders": 2, "paid": "1,235.56 元", "cancelled": 1}
    assert {queue["name"]: (queue["count"], queue["waited"]) for queue in seen["queues"]} == {
        "待审核": (1, "0 分钟"),
        "待派单": (0, ""),
        "无法派单": (1, "2 天"),
        "已取消待退款": (0, ""),
        "待人工": (1, "3 小时 5 分"),
        "停放的平台消息": (0, ""),
        "死信": (1, "7 分钟"),
    }
    assert [row[:2] for row in rows_of(seen["reasons"])] == [["地址无法识别", "1"], ["买家留言", "1"]]
    assert [row[:3] for row in rows_of(seen["closing"])] == [["华南经销商", "沙发 ×1", "120.00 元"]]
    assert rows_of(seen["alarms"]) == [["华南仓", "SOFA", "5", "2", "3", "0"]]
    assert [[row[0], *row[3:]] for row in rows_of(seen["statements"])] == [["JS-1", "2,500.00 元", "2,000.50 元", "待确认"]]


def test_each_role_sees_its_part_of_the_front_page_only(small: datetime, client: Client) -> None:
    operator, finance = front(client, "operator"), front(client, "finance")
    assert "statements" not in operator
    assert "JS-1" not in operator["text"]
    assert "queues" in operator
    assert "JS-1" in finance["text"]
    assert not {"queues", "closing", "reasons", "alarms", "troubles"} & set(finance)
    assert all(word not in finance["text"] for word in ("华南仓", "死信", "待审核", "直播大屏"))


def test_the_side_bar_shows_only_pages_that_open_and_counts_the_queues(small: datetime, client: Client) -> None:
    for role in ROLES:
        login(client, role)
        groups = client.get(reverse("admin:index")).context_data["sidebar_navigation"]
        titles = {item["title"]: item.get("badge") for group in groups for item in group["items"]}
        assert ("结算单" in titles) == (role != "operator")
        assert ("订单" in titles) == (role != "finance")
        if role != "finance":
            counted = {title: badge for title, badge in titles.items() if badge}
            assert counted == {"审单挂起": "1", "无法派单": "1", "派单要约": "2", "履约单": "1", "待投递与死信": "1"}
        for group in groups:
            for item in group["items"]:
                if item["link"].startswith("/admin/"):
                    assert client.get(item["link"]).status_code == 200, (role, item["title"])


def test_every_list_of_the_admin_stands_in_the_side_bar() -> None:
    listed = {(page.app, page.model) for _, pages in admin_site.MENU for page in pages}
    assert listed == {(model._meta.app_label, model._meta.model_name) for model in PAGES}


def test_the_front_page_costs_the_same_on_a_busy_day(small: datetime, client: Client) -> None:
    login(client, "admin")
    with CaptureQueriesContext(connection) as quiet:
        client.get(reverse("admin:index"))
    full_house.fill(ROWS, timezone.now())
    with CaptureQueriesContext(connection) as busy:
        client.get(reverse("admin:index"))
    assert len(busy) == len(quiet) == 20


def test_every_word_of_the_skin_is_chinese() -> None:
    """Read from the installed skin, so that an upgrade with new words is noticed; the .mo is what people get."""
    templates = Path(unfold.__file__).parent.rglob("*.html")
    pattern = re.compile(r"{%-?\s*trans(?:late)?\s+(?:\"([^\"]+)\"|'([^']+)')")
    words = {a or b for template in templates for a, b in pattern.findall(template.read_text())}
    assert len(words) > 100
    with translation.override("zh-hans"):
        assert sorted(word for word in words if translation.gettext(word) == word) == []


def test_the_compiled_words_are_those_of_the_source() -> None:
    source = (Path(admin_site.__file__).parent / "locale/zh_Hans/LC_MESSAGES/django.po").read_text()
    pairs = re.findall(r'(?m)^msgid "(.+)"\nmsgstr "(.+)"$', source)
    assert len(pairs) > 100
    with translation.override("zh-hans"):
        for word, chinese in pairs:
            assert translation.gettext(word.replace('\\"', '"')) == chinese.replace('\\"', '"')
