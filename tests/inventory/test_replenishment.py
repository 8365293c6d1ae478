"""What runs out and what stands idle is found by counted figures, with advice that says why and can be asked for at once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import NewMovement
from inventory.models import Incoming, Level, Node, Sku, StockCheck, StockNeed, Transfer, TransferLine
from inventory.replenishment import actions, queries
from tests.make import make_dealer, make_level, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db


def move(node: Node, sku: Sku, units: int, at: datetime, days_ago: int = 0, kind: str = "") -> None:
    kind = kind or ("receipt" if units > 0 else "shipment")
    when = at - timedelta(days=days_ago)
    key = f"{kind}:{node.pk}:{sku.pk}:{days_ago}:{units}"
    ledger.post(movements=[NewMovement(node.pk, sku.pk, kind, units, key)], actor="", at=when)


def keep(node: Node, sku: Sku, **columns: Any) -> None:
    Level.objects.filter(node=node, sku=sku).update(**columns)


def said(found: list[queries.Advised]) -> list[tuple[str, str, str]]:
    return [(each.row.node, each.row.sku, each.advice.why) for each in found]


@pytest.fixture
def tree(db: None) -> tuple[Node, Node, Node]:
    """A region with two places of ours under it."""
    region = make_node(kind="region", name="华东仓", parent=make_node(name="总仓"))
    return region, make_node(kind="region", name="苏州仓", parent=region), make_node(kind="region", name="无锡仓", parent=region)


def test_what_runs_out_is_filled_from_the_parent_or_from_beside(tree: tuple[Node, Node, Node], at: datetime) -> None:
    region, suzhou, wuxi = tree
    sofa, lamp, desk, rug = (make_sku(code) for code in ("SOFA", "LAMP", "DESK", "RUG"))
    for sku in (sofa, lamp, desk):
        move(suzhou, sku, 20, at, 20)
    keep(suzhou, sofa, safety_stock=20)  # nothing free; sold nothing: one more than the safety stock
    move(suzhou, lamp, -14, at, 3)  # 6 left, one a day: 6 days
    move(suzhou, desk, -10, at, 15)  # sold too long ago to count
    move(region, sofa, 30, at, 20)
    move(wuxi, lamp, 9, at, 20)
    move(wuxi, lamp, -2, at, 1)  # has 7, needs 1 for a week
    move(suzhou, rug, 2, at, 1)
    keep(suzhou, rug, safety_stock=5)
    found, more = queries.shortages(at=at)
    assert more is False
    assert said(found) == [
        ("苏州仓", "RUG", "缺 4 件，上级仓与同级仓都没有富余，请向厂家补货"),
        ("苏州仓", "SOFA", "缺 1 件，上级仓华东仓可调 30 件，建议调入 1 件"),
        ("苏州仓", "LAMP", "缺 1 件，同级仓无锡仓可调 6 件，建议调入 1 件"),
    ]
    assert [each.row.shipped for each in found] == [0, 0, 14]
    assert queries.transfers_of(found) == {(region.pk, suzhou.pk): {sofa.pk: 1}, (wuxi.pk, suzhou.pk): {lamp.pk: 1}}
    assert said(queries.shortages(at=at, cover_days=6)[0])[2:] == []
    assert said(queries.shortages(at=at, level_ids=[])[0]) == []
    assert queries.shortages(at=at, page=2) == ([], False)
    Incoming.objects.create(node=suzhou, sku=sofa, quantity=1, expected_on=at.date(), source_key="po:1")
    asked = Transfer.objects.create(transfer_no="DB1", source=wuxi, target=suzhou, requested_at=at)
    TransferLine.objects.create(transfer=asked, sku=lamp, requested=1)
    assert [each.advice.why for each in queries.shortages(at=at)[0]][1:] == ["在途与已申请的已够"] * 2
    Node.objects.filter(pk=suzhou.pk).update(is_active=False)
    assert queries.shortages(at=at)[0] == []


def test_nobody_gives_the_same_units_twice_and_another_dealers_goods_are_not_touched(at: datetime) -> None:
    parent, sku = make_node(kind="region", name="华东仓"), make_sku("SOFA")
    mine, other = make_dealer(), make_dealer()
    first, second = (make_node(mine, name=name, parent=parent) for name in ("甲店", "乙店"))
    stranger = make_node(other, name="别家", parent=parent)
    for node in (first, second):
        make_level(node, sku, on_hand=0, safety_stock=3)
    move(stranger, sku, 50, at, 5)
    move(parent, sku, 5, at, 5)
    assert said(queries.shortages(at=at)[0]) == [
        ("甲店", "SOFA", "缺 4 件，上级仓华东仓可调 5 件，建议调入 4 件"),
        ("乙店", "SOFA", "缺 4 件，上级仓华东仓可调 1 件，建议调入 1 件"),
    ]


def test_what_is_too_much_or_stands_idle_goes_where_it_sells_or_back(tree: tuple[Node, Node, Node], at: datetime) -> None:
    region, suzhou, wuxi = tree
    sofa, lamp, desk, rug = (make_sku(code) for code in ("SOFA", "LAMP", "DESK", "RUG"))
    move(suzhou, sofa, 40, at, 40)  # idle for 40 days, and sold beside it
    move(wuxi, sofa, 15, at, 20)
    move(wuxi, sofa, -14, at, 2)  # 1 left, 7 needed
    move(suzhou, lamp, 30, at, 40)
    move(suzhou, lamp, -5, at, 29)
    keep(suzhou, lamp, max_stock=20)  # 5 too many
    move(suzhou, desk, 10, at, 29)  # not there for 30 days yet
    move(suzhou, rug, 9, at, 40)
    keep(suzhou, rug, held=9)
    found, _ = queries.surpluses(at=at)
    assert said(found) == [
        ("苏州仓", "SOFA", "30 天没有出库，无锡仓还缺 6 件，建议调出 6 件"),
        ("苏州仓", "LAMP", "超出上限 5 件，建议退回上级仓华东仓 5 件"),
        ("苏州仓", "RUG", "多出的都已被预占或留作安全库存，暂不调拨"),
    ]
    move(make_node(name="孤仓"), desk, 3, at, 40)
    assert said(queries.surpluses(at=at)[0])[3:] == [("孤仓", "DESK", "30 天没有出库，没有上级仓可退，建议促销")]


def test_before_the_first_check_a_list_is_made_now_in_three_statements(at: datetime) -> None:
    node = make_node()
    for units in range(60):
        make_level(node, make_sku(), on_hand=units, safety_stock=100)
    with CaptureQueriesContext(connection) as asked:
        first, more = queries.shortages(at=at)
    assert (len(first), more, len(asked)) == (50, True, 3)
    rest, more = queries.shortages(at=at, page=2)
    assert (len(rest), more) == (10, False)
    assert [each.row.on_hand for each in [*first, *rest]] == list(range(60))


def test_selected_advice_becomes_requests(tree: tuple[Node, Node, Node], client: Client) -> None:
    region, suzhou, wuxi = tree
    at, sofa, lamp = timezone.now(), make_sku("SOFA"), make_sku("LAMP")
    low = [make_level(suzhou, sku, on_hand=1, safety_stock=5).pk for sku in (sofa, lamp)]
    for sku in (sofa, lamp):
        move(region, sku, 30, at, 5)
    page = "/admin/inventory/transfer/shortages/"
    client.force_login(make_staff(role="finance"))
    assert client.get(page).status_code == client.post(page, {"level": low}).status_code == 403
    client.force_login(make_staff(role="operator"))
    look = client.get(page).text
    assert "缺 5 件，上级仓华东仓可调 30 件，建议调入 5 件" in look
    assert page in client.get("/admin/inventory/transfer/").text
    assert client.get(f"{page}?days=abc&page=-1").status_code == 200
    form = {"level": [*low, "x", str(10**30)], "token": "ab12cd34ef99", "days": 7, "page": 1}
    answer = client.post(page, form, follow=True)
    number = Transfer.objects.get().transfer_no
    assert number.endswith("-AB12CD34EF-1")
    assert [str(each) for each in answer.context["messages"]] == [f"已生成 1 张调拨申请：{number}"]
    assert set(TransferLine.objects.values_list("sku__code", "requested")) == {("SOFA", 5), ("LAMP", 5)}
    again = client.post(page, form, follow=True)
    assert [str(each) for each in again.context["messages"]] == ["所选各行没有可生成的调拨申请"]
    assert "积压清单" in client.get("/admin/inventory/transfer/surpluses/").text
    assert Transfer.objects.count() == 1


def needs() -> list[tuple[str, str, int, int]]:
    return list(StockNeed.objects.order_by("kind", "rank").values_list("kind", "level__sku__code", "rank", "lasts_days"))


def test_the_clock_finds_what_is_short_and_what_is_too_much_and_writes_only_what_changed(
    tree: tuple[Node, Node, Node], at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_queries, "RANGE", 1)
    _, suzhou, _ = tree
    sofa, lamp, desk = (make_sku(code) for code in ("SOFA", "LAMP", "DESK"))
    for sku in (sofa, lamp, desk):
        move(suzhou, sku, 20, at, 40)
    keep(suzhou, sofa, safety_stock=25)
    move(suzhou, lamp, -14, at, 3)  # 6 left, one a day
    live = [queries.shortages(at=at, cover_days=days) for days in (6, 7)], queries.surpluses(at=at)
    assert actions.find_needs(at=at) == 4
    assert needs() == [("excess", "SOFA", -20, 0), ("excess", "DESK", -20, 0), ("short", "SOFA", -5, -1), ("short", "LAMP", 6, 6)]
    assert ([queries.shortages(at=at, cover_days=days) for days in (6, 7)], queries.surpluses(at=at)) == live
    assert actions.find_needs(at=at + timedelta(minutes=4)) == 0
    move(suzhou, desk, -1, at)
    keep(suzhou, sofa, safety_stock=0)
    assert [each.row.sku for each in queries.shortages(at=at)[0]] == ["LAMP"]  # made good since: not shown any more
    assert actions.find_needs(at=at + timedelta(minutes=5)) == 2
    assert needs() == [("excess", "SOFA", -20, 0), ("short", "LAMP", 6, 6)]


def test_low_stock_is_told_as_last_found_with_figures_of_now(at: datetime) -> None:
    node = make_node()
    levels = [make_level(node, make_sku(f"S{units}"), on_hand=units, safety_stock=5) for units in range(4)]
    assert [row.sku_code for row in queries.low_stock(limit=2)] == ["S0", "S1"]
    actions.find_needs(at=at)
    Level.objects.filter(pk=levels[0].pk).update(on_hand=9)
    assert [(row.sku_code, row.on_hand) for row in queries.low_stock(limit=2)] == [("S1", 1)]


def test_a_kept_list_is_paged_and_costs_four_statements(at: datetime) -> None:
    node = make_node()
    for units in range(60):
        make_level(node, make_sku(), on_hand=units, safety_stock=100)
    actions.find_needs(at=at)
    with CaptureQueriesContext(connection) as asked:
        first, more = queries.shortages(at=at)
    assert (len(first), more, len(asked)) == (50, True, 4)
    assert "inventory_movement" not in asked[1]["sql"]
    rest, more = queries.shortages(at=at, page=2)
    assert (len(rest), more) == (10, False)
    assert [each.row.on_hand for each in [*first, *rest]] == list(range(60))


def test_another_search_for_what_is_short_can_be_asked_for_by_who_may_ask_for_transfers(client: Client, at: datetime) -> None:
    page = "/admin/inventory/transfer/shortages/"
    actions.find_needs(at=timezone.now())
    client.force_login(make_staff(role="finance"))
    assert client.post(page, {"check": "1"}).status_code == 403
    assert StockCheck.objects.get().asked_at is None
    client.force_login(make_staff(role="operator"))
    assert "检查于" in client.get(page).text
    answer = client.post(page, {"check": "1", "days": "7"}, follow=True)
    assert [str(each) for each in answer.context["messages"]] == ["已安排检查，稍后自动刷新"]
    assert 'data-refresh="5"' in answer.text


def test_the_list_of_stock_reads_what_was_found_low_and_leaves_out_what_was_made_good(client: Client, at: datetime) -> None:
    node = make_node()
    low = [make_level(node, make_sku(f"S{units}"), on_hand=units, safety_stock=5) for units in (1, 2, 9)]
    actions.find_needs(at=at)
    Level.objects.filter(pk=low[0].pk).update(on_hand=50)
    client.force_login(make_staff(role="operator"))
    page = client.get("/admin/inventory/level/?below=1")
    assert [level.pk for level in page.context_data["cl"].result_list] == [low[1].pk]
