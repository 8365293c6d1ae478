"""Every admin page opens for those who may see it, costs the same for few and many rows, and speaks Chinese."""

import re

import pytest
from django.contrib import admin
from django.db import connection, models
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dealers.models import Staff, Statement
from tests import full_house, make

ROWS = 20
MOST_STATEMENTS = 12
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
