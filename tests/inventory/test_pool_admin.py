"""The pool on screen: exact figures, only for those who may see it, the same cost for few and many rows, and as a file."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from dealers.models import Division, Staff
from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Node, NodeGroup, PublishedStock, PublishRule, Reservation, Sku
from inventory.pool import actions
from inventory.pool.sheets import HEADERS
from tests.make import make_dealer, make_level, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
POOL = "/admin/inventory/pool/"


class Shown:
    """One sofa at two places and a lamp that is oversold."""

    def __init__(self) -> None:
        at = timezone.now()
        self.sofa, self.lamp = make_sku("SOFA", name="=三人沙发"), make_sku("LAMP", category="small")
        self.north = make_node(code="NORTH", name="北京仓", division_code="110105")
        self.south = make_node(code="SOUTH", name="广州仓", division_code="440106", is_paused=True)
        Division.objects.get_or_create(code="110000", defaults={"name": "北京市", "level": 1})
        level = make_level(self.north, self.sofa, 20, safety_stock=2, held=5)
        Reservation.objects.create(level=level, kind="pinned", bill="DD7-1", quantity=5, held_at=at)
        make_level(self.south, self.sofa, 7)
        make_level(self.north, self.lamp, 4, safety_stock=9, fresh_until=at - timedelta(hours=1))
        Reservation.objects.create(sku=self.lamp, kind="global", bill="DD9", quantity=6, held_at=at)


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def enter(client: Client) -> Callable[[str], Client]:
    def as_role(role: str) -> Client:
        client.force_login(Staff.objects.filter(role=role, dealer=None).first() or make_staff(role=role))
        return client

    return as_role


def lines_of(page: Any) -> dict[str, dict[str, int]]:
    """What the table of a page says, by code."""
    return {
        line["row"].code or "合计": {column[0]: units for column, units in line["cells"] if units}
        for line in page.context_data["table"]
    }


def test_the_pool_shows_every_part(shown: Shown, enter: Callable[[str], Client]) -> None:
    page = enter("operator").get(POOL)
    assert lines_of(page) == {
        "合计": {
            "在库": 31,
            "可售": 20,
            "安全可售": 13,
            "可承诺": 7,
            "全局预占": 6,
            "指定仓预占": 5,
            "停用仓": 7,
            "失效": 4,
            "安全库存": 2,
        },
        "LAMP": {"在库": 4, "可售": -2, "全局预占": 6, "失效": 4},
        "SOFA": {"在库": 27, "可售": 22, "安全可售": 13, "可承诺": 13, "指定仓预占": 5, "停用仓": 7, "安全库存": 2},
    }
    assert "超卖 2" in page.text
    assert "数字是此刻的" in page.text
    actions.count_pool(at=timezone.now())
    assert "秒前统计的" in enter("operator").get(POOL).text


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("q=沙发", ["SOFA"]),
        ("category=small", ["LAMP"]),
        ("only=oversold", ["LAMP"]),
        ("only=low", ["LAMP"]),
        ("region=44", ["LAMP", "SOFA"]),
        ("page=7", []),
        ("buyer=doudian/1&only=low", ["LAMP"]),
    ],
)
def test_filters_narrow_it(shown: Shown, enter: Callable[[str], Client], query: str, codes: list[str]) -> None:
    assert [code for code in lines_of(enter("admin").get(f"{POOL}?{query}")) if code != "合计"] == codes


def test_a_group_counts_its_places_and_nonsense_is_told(shown: Shown, enter: Callable[[str], Client]) -> None:
    group = NodeGroup.objects.create(code="N", name="北方")
    group.nodes.add(shown.north)
    assert lines_of(enter("admin").get(f"{POOL}?group={group.pk}"))["SOFA"]["在库"] == 20
    for nonsense in ("group=x", "group=99999", "region=zz", "only=x", "page=-1", "page=" + "9" * 30):
        page = enter("admin").get(f"{POOL}?{nonsense}")
        assert (page.status_code, "筛选条件未生效" in page.text, len(lines_of(page))) == (200, True, 3), nonsense
        assert enter("admin").get(f"{POOL}export/csv/?{nonsense}").status_code == 404


def test_a_sku_shows_places_bills_movements_and_its_days(shown: Shown, enter: Callable[[str], Client]) -> None:
    ledger.post(
        movements=[NewMovement(shown.north.pk, shown.sofa.pk, "receipt", 3, "PO-1", "到货")], actor="t", at=timezone.now()
    )
    page = enter("operator").get(f"{POOL}{shown.sofa.pk}/change/")
    assert lines_of(page)["NORTH"] == {"在库": 23, "可售": 18, "安全可售": 16, "可承诺": 16, "指定仓预占": 5, "安全库存": 2}
    assert lines_of(page)["SOUTH"] == {"在库": 7, "可售": 7, "停用仓": 7}
    assert "/admin/orders/fulfillmentorder/?q=DD7-1" in page.text
    assert "PO-1" in page.text
    assert [point["units"] for point in page.context_data["chart"]["points"]] == [27] * 13 + [30]
    assert "/admin/orders/order/?q=DD9" in enter("operator").get(f"{POOL}{shown.lamp.pk}/change/").text


def test_a_place_shows_its_goods_what_is_low_and_what_is_stale(shown: Shown, enter: Callable[[str], Client]) -> None:
    page = enter("operator").get(f"{POOL}node/{shown.north.pk}/")
    assert lines_of(page)["LAMP"] == {"在库": 4, "可售": 4, "失效": 4}
    assert "1 个 SKU 共 4 件超时未上报" in page.text
    assert "LAMP（可售 4，安全 9）" in page.text
    assert "已暂停" in enter("operator").get(f"{POOL}node/{shown.south.pk}/").text


def test_only_hqs_admin_and_operators_see_it(shown: Shown, enter: Callable[[str], Client], client: Client) -> None:
    pages = [POOL, f"{POOL}{shown.sofa.pk}/change/", f"{POOL}node/{shown.north.pk}/", f"{POOL}export/csv/", f"{POOL}export/xlsx/"]
    rule = PublishRule.objects.create(channel="doudian", shop="1")
    pages.append(f"/admin/inventory/publishrule/preview/?rule={rule.pk}")
    for page in pages:
        assert enter("admin").get(page).status_code == enter("operator").get(page).status_code == 200, page
        assert enter("finance").get(page).status_code == 403, page
    client.force_login(make_staff(make_dealer()))
    assert {client.get(page).status_code for page in pages} == {302}
    client.logout()
    assert {client.get(page).status_code for page in pages} == {302}
    assert enter("admin").get(f"{POOL}999999/change/").status_code == 404
    assert enter("admin").get(f"{POOL}abc/change/").status_code == 404
    assert enter("admin").get(f"{POOL}node/999999/").status_code == 404
    assert enter("admin").get(f"{POOL}export/pdf/").status_code == 404
    assert enter("admin").get(f"{POOL}add/").status_code == 403


def test_pages_cost_the_same_for_few_and_many_rows(shown: Shown, enter: Callable[[str], Client]) -> None:
    def asked() -> list[int]:
        found = []
        for page in (POOL, f"{POOL}?region=11", f"{POOL}{shown.sofa.pk}/change/", f"{POOL}node/{shown.north.pk}/"):
            with CaptureQueriesContext(connection) as statements:
                assert enter("admin").get(page).status_code == 200
            found.append(len(statements))
        return found

    enter("admin")
    few = asked()
    for n in range(15):
        sku = make_sku(f"M{n:02d}")
        level = make_level(shown.north, sku, 5, held=1)
        Reservation.objects.create(level=level, bill=f"B{n}", quantity=1, held_at=timezone.now())
        more = make_level(make_node(), shown.sofa, 5, held=1)
        Reservation.objects.create(level=more, bill=f"B{n}", quantity=1, held_at=timezone.now())
    many = asked()
    assert all(later <= before for before, later in zip(few, many, strict=True)), (few, many)
    assert max(many) <= 20


def test_the_pool_as_csv_and_as_a_spreadsheet(shown: Shown, enter: Callable[[str], Client]) -> None:
    answer = enter("operator").get(f"{POOL}export/csv/?category=furniture")
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith("\ufeff" + ",".join(HEADERS))
    assert text.splitlines()[1].startswith("SOFA,'=三人沙发,furniture,27,22,13,13,0,0,5,")
    sheet = load_workbook(io.BytesIO(b"".join(enter("operator").get(f"{POOL}export/xlsx/").streaming_content))).active  # type: ignore[attr-defined]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == HEADERS
    assert [(row[0], row[1], row[3], row[4], row[-2]) for row in rows[1:]] == [
        ("LAMP", shown.lamp.name, 4, -2, 2),
        ("SOFA", "'=三人沙发", 27, 22, 0),
    ]


RULE = {
    "channel": "doudian",
    "shop": "1",
    "percent": "50",
    "plus": "0",
    "floor": "0",
    "is_active": "on",
    "category": "",
    "ceiling": "",
}


def test_a_rule_is_previewed_saved_and_refused_in_words(shown: Shown, enter: Callable[[str], Client]) -> None:
    admin = enter("admin")
    preview = reverse("admin:inventory_publishrule_preview")
    assert "发布后将显示 <b>6</b>（2 个 SKU 合计）" in admin.get(preview, RULE).text
    assert "其中 1 个高于可售" in admin.get(preview, {**RULE, "category": "small", "plus": "3"}).text
    assert "最多发布不能小于最少发布" in admin.get(preview, {**RULE, "floor": "5", "ceiling": "1"}).text
    assert PublishRule.objects.count() == 0
    add = reverse("admin:inventory_publishrule_add")
    assert admin.post(add, RULE).status_code == 302
    again = admin.post(add, RULE)
    assert "已有一条针对整个店铺的规则" in again.text
    assert "one_publish_rule" not in again.text
    rule = PublishRule.objects.get()
    assert f"{preview}?rule={rule.pk}" in admin.get(reverse("admin:inventory_publishrule_change", args=[rule.pk])).text
    assert "发布后将显示 <b>6</b>" in admin.get(preview, {"rule": rule.pk}).text
    actions.publish_due(at=timezone.now())
    admin.post(reverse("admin:inventory_publishrule_delete", args=[rule.pk]), {"post": "yes"})
    assert PublishRule.objects.count() == 0
    actions.publish_due(at=timezone.now())
    assert set(PublishedStock.objects.values_list("quantity", flat=True)) == {0}


def test_published_figures_are_looked_at_and_warned_of(shown: Shown, enter: Callable[[str], Client]) -> None:
    PublishRule.objects.create(channel="doudian", shop="1", percent=200, sku=shown.sofa)
    PublishRule.objects.create(channel="doudian", shop="2", sku=shown.sofa)
    actions.publish_due(at=timezone.now())
    address = reverse("admin:inventory_publishedstock_changelist")
    page = enter("operator").get(f"{address}?over=1")
    assert [row.shop for row in page.context_data["cl"].result_list] == ["1"]
    assert "多发 13" in page.text
    assert "有 1 个已发布的数字高于可售" in enter("operator").get(POOL).text
    rows = [str(pk) for pk in PublishedStock.objects.values_list("pk", flat=True)]
    answer = enter("operator").post(address, {"action": "export", "_selected_action": rows})
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[:6] for line in lines[1:]] == [
        ["doudian", "1", "SOFA", "'=三人沙发", "26", "13"],
        ["doudian", "2", "SOFA", "'=三人沙发", "13", "13"],
    ]


def test_lists_of_goods_places_and_stock_lead_to_the_pool(shown: Shown, enter: Callable[[str], Client]) -> None:
    for model, target in (
        (Sku, f"{POOL}{shown.sofa.pk}/change/"),
        (Node, f"{POOL}node/{shown.north.pk}/"),
        (Level, f"{POOL}{shown.sofa.pk}/change/"),
    ):
        page = enter("operator").get(reverse(f"admin:inventory_{model._meta.model_name}_changelist"))
        assert target in page.text, model
