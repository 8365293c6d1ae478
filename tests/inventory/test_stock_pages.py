"""The pages of stock: who may see and do what, every refusal in words, bulk work row by row, lists as files."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncRequestFactory, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from inventory.ledger import actions as ledger
from inventory.ledger import listing, queries, spreadsheet
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Movement, Node, NodeGroup, Reservation, Sku, StockLock, StockRepair, StockRule
from oms_project.journal.models import Entry
from tests.make import make_dealer, make_level, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
Do = Callable[..., list[str]]


def page(model: str, name: str = "changelist", *args: object) -> str:
    return reverse(f"admin:inventory_{model}_{name}", args=args)


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(make_staff())
    return client


@pytest.fixture
def levels(at: datetime) -> list[Level]:
    """10, 20 and 30 units at 吴中仓."""
    node = make_node(code="N1", name="吴中仓")
    skus = [make_sku(code) for code in ("A", "B", "C")]
    rows = [NewMovement(node.pk, sku.pk, "receipt", 10 * n, f"po:{n}") for n, sku in enumerate(skus, 1)]
    ledger.post(movements=rows, actor="", at=at)
    return list(Level.objects.order_by("id"))


def said(answer: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]  # type: ignore[attr-defined]


@pytest.fixture
def do(client: Client, levels: list[Level]) -> Do:
    """Press a button of the list for all levels, and hear what it says."""

    def run(action: str, **fields: Any) -> list[str]:
        client.cookies.pop("messages", None)
        picked = [level.pk for level in Level.objects.all()]
        return said(client.post(page("level"), {"action": action, "_selected_action": picked, "token": "t1", **fields}))

    return run


def stands() -> list[tuple[int, int, int]]:
    return list(Level.objects.order_by("id").values_list("on_hand", "held", "safety_stock"))


START = [(10, 0, 0), (20, 0, 0), (30, 0, 0)]


def test_an_adjustment_goes_through_where_it_fits(do: Do) -> None:
    refused = "吴中仓 A：库存不足：吴中仓 的 A 在库 10，已预占 0，不能减少 15"
    assert do("adjust", quantity="-15", reason="盘亏") == [refused, "已调整 2 处"]
    assert stands() == [(10, 0, 0), (5, 0, 0), (15, 0, 0)]
    assert do("adjust", quantity="-15", reason="盘亏") == [refused, "已调整 2 处"]
    assert (stands(), queries.drift()) == ([(10, 0, 0), (5, 0, 0), (15, 0, 0)], [])


@pytest.mark.parametrize(
    ("action", "fields", "message"),
    [
        ("adjust", {"quantity": "0", "reason": "x"}, "请填写不为 0 的调整数量和原因"),
        ("adjust", {"quantity": str(10**12), "reason": "x"}, "数量：确保该值小于或等于1000000000。"),
        ("adjust", {"quantity": "1.5", "reason": "x"}, "数量：输入整数。"),
        ("set_safety_stock", {}, "请在数量中填写安全库存"),
        ("block", {"quantity": "-1", "reason": "x"}, "请填写大于 0 的冻结数量和原因"),
        ("block", {"quantity": "1"}, "请填写大于 0 的冻结数量和原因"),
        ("block", {"quantity": "1", "reason": "x", "hours": "0"}, "冻结小时：确保该值大于或等于1。"),
        ("repair", {"way": "counter"}, "请选择修正方式并填写原因"),
        ("repair", {"way": "", "reason": "x"}, "请选择修正方式并填写原因"),
        ("repair", {"way": "guess", "reason": "x"}, "修正方式：选择一个有效的选项。 guess 不在可用的选项中。"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    do: Do, action: str, fields: dict[str, str], message: str
) -> None:
    assert do(action, **fields) == [message]
    assert (stands(), Movement.objects.count(), StockRule.objects.count()) == (START, 3, 0)


def test_safety_stock_is_set_in_bulk_as_rules(do: Do) -> None:
    assert do("set_safety_stock", quantity="4") == ["已设置 3 处"]
    assert [row[2] for row in stands()] == [4, 4, 4]
    assert StockRule.objects.filter(node__code="N1", safety_stock=4).count() == 3
    assert do("set_safety_stock", quantity="-1") == ["安全库存必须在 0 至 1,000,000,000 之间"]
    assert [row[2] for row in stands()] == [4, 4, 4]


def test_units_are_blocked_for_a_while_and_put_on_sale_again(do: Do) -> None:
    assert do("block", quantity="15", reason="水渍", hours="2") == [
        "吴中仓 A：未被预占的库存不足 15，请先释放或改派",
        "已冻结 2 处",
    ]
    do("block", quantity="15", reason="水渍", hours="2")
    assert [row[1] for row in stands()] == [0, 15, 15]
    block = Reservation.objects.first()
    assert block is not None
    assert (block.kind, block.reason) == ("block", "水渍")
    assert block.expires_at is not None
    assert block.expires_at - block.held_at == timedelta(hours=2)
    before = Entry.objects.count()
    assert do("unblock") == ["吴中仓 A：没有冻结中的库存", "已解除 2 处"]
    assert (stands(), queries.drift()) == (START, [])
    [arrived] = Entry.objects.order_by("id")[before:]
    assert (arrived.name, len(arrived.payload["sku_ids"])) == ("stock.arrived", 2)


def test_differences_are_repaired_in_bulk(do: Do) -> None:
    Level.objects.filter(sku__code="B").update(on_hand=25)
    Level.objects.filter(sku__code="C").update(held=31, on_hand=31)
    refused = "吴中仓 C：吴中仓 的 C：流水合计 30 少于预占 31，请先修正预占或改派"
    assert do("repair", way="counter", reason="盘点") == [refused, "已核对并修正 2 处"]
    assert stands() == [(10, 0, 0), (20, 0, 0), (31, 31, 0)]
    assert StockRepair.objects.get().reason == "盘点"


def test_rows_that_agree_cost_a_bulk_repair_nothing(
    do: Do, levels: list[Level], at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as statements:
            do("repair", way="counter", reason="盘点")
        return len(statements)

    few = asked()
    rows = [NewMovement(levels[0].node_id, make_sku().pk, "receipt", 1, f"m:{n}") for n in range(100)]
    ledger.post(movements=rows, actor="", at=at)
    assert asked() == few
    monkeypatch.setattr("inventory.ledger.standing.MOST_REPAIRED", 1)
    Level.objects.filter(sku__code__in=["A", "B"]).update(on_hand=99)
    assert do("repair", way="counter", reason="盘点") == ["所选有 2 处差异，一次最多修正 1 处，请先筛选"]
    assert StockRepair.objects.count() == 0


def test_twenty_refusals_are_told_and_the_rest_is_counted(do: Do, at: datetime) -> None:
    node = make_node()
    for _ in range(22):
        make_level(node, make_sku(), on_hand=0)
    told = do("unblock")
    assert len(told) == 21
    assert told[-1] == "共 25 处未成功，以上只列出 20 处"


def test_bulk_work_costs_the_same_for_few_and_for_hundreds_of_rows(do: Do, levels: list[Level], at: datetime) -> None:
    def asked(action: str, **fields: str) -> int:
        with CaptureQueriesContext(connection) as statements:
            do(action, **fields)
        return len(statements)

    def all_of_it(token: str) -> list[int]:
        return [
            asked("adjust", quantity="-1", reason="x", token=token),
            asked("block", quantity="2", reason="x", token=token),
            asked("unblock"),
            asked("set_safety_stock", quantity="1" if token == "few" else "2"),
        ]

    few = all_of_it("few")
    skus = Sku.objects.bulk_create([Sku(code=f"M{n}", name="多") for n in range(300)])
    Level.objects.bulk_create([Level(node=levels[0].node, sku=sku, on_hand=5 if n % 2 else 0) for n, sku in enumerate(skus)])
    many = all_of_it("many")
    assert few[:3] == many[:3]
    assert many[3] - few[3] <= 5  # SQLite takes 300 rules in parts
    assert max(many) <= 20
    assert Level.objects.filter(on_hand=4, held=0, safety_stock=2).count() == 150
    assert Level.objects.filter(on_hand=0, held=0, safety_stock=2).count() == 150


def test_too_many_at_once_are_refused(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory.ledger.standing.MOST_PICKED", 2)
    assert do("adjust", quantity="1", reason="x") == ["一次最多处理 2 处，请先筛选"]
    assert stands() == START


def test_the_list_finds_what_is_stale_and_what_is_low(client: Client, levels: list[Level]) -> None:
    Level.objects.filter(sku__code="A").update(fresh_until=timezone.now() - timedelta(hours=1))
    Level.objects.filter(sku__code="B").update(safety_stock=20, ownership="dealer")
    for asked, codes in (("stale=1", "A"), ("below=1", "B"), ("ownership__exact=dealer", "B"), ("node__kind__exact=hq", "ABC")):
        shown = client.get(f"{page('level')}?{asked}").context_data["cl"].result_list
        assert [level.sku.code for level in shown] == list(codes), asked


def test_stock_is_found_by_names_first_and_then_by_ids(client: Client, levels: list[Level]) -> None:
    other = make_level(make_node(code="N2", name="无锡仓"), levels[0].sku, on_hand=1)
    Sku.objects.filter(code="C").update(name="三人沙发")

    def found(asked: str) -> list[int]:
        with CaptureQueriesContext(connection) as statements:
            rows = client.get(f"{page('level')}?q={asked}").context_data["cl"].result_list
        sought = [query["sql"] for query in statements if "LIKE" in query["sql"]]
        assert len(sought) == 2 * len(asked.split("+"))
        assert not any("inventory_level" in sql for sql in sought)
        return [row.pk for row in rows]

    first, second, third = (level.pk for level in levels)
    assert found("n2") == [other.pk]
    assert found("吴中") == [first, second, third]
    assert found("三人") == [third]
    assert found("仓+商品") == [first, second, other.pk]
    assert found("N1+沙发") == [third]
    assert found("没有") == []
    moved = client.get(f"{page('movement')}?q=po:2").context_data["cl"].result_list
    assert [row.source_key for row in moved] == ["po:2"]


def test_a_long_list_is_counted_once_and_not_to_its_end(
    client: Client, levels: list[Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 1)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(page("level"))
    [count] = [query["sql"] for query in asked if "COUNT(" in query["sql"] and "inventory_level" in query["sql"]]
    assert "LIMIT 2" in count
    assert answer.context_data["cl"].result_count == 2


@pytest.mark.parametrize(("role", "sees", "acts"), [("admin", True, True), ("operator", True, True), ("finance", False, False)])
def test_who_may_see_and_correct_stock(client: Client, levels: list[Level], role: str, sees: bool, acts: bool) -> None:
    client.force_login(make_staff(role=role))
    Level.objects.filter(sku__code="A").update(on_hand=11)
    for name in ("changelist", "export", "drift"):
        assert client.get(page("level", name)).status_code == (200 if sees else 403), name
    assert client.get(page("movement", "export")).status_code == (200 if sees else 403)
    form = {"action": "adjust", "_selected_action": [levels[1].pk], "quantity": "1", "reason": "x", "token": "t1"}
    assert client.post(page("level"), form).status_code == (302 if acts else 403)
    place = f"{levels[0].node_id}:{levels[0].sku_id}:movement"
    assert client.post(page("level", "drift"), {"repair": place, "reason": "x"}).status_code == (302 if acts else 403)
    assert [row[0] for row in stands()] == [11, 21 if acts else 20, 30]
    assert StockRepair.objects.count() == acts
    assert client.get(page("level", "add")).status_code == 403
    client.logout()
    assert client.get(page("level", "export")).status_code == 302


def test_only_an_admin_changes_rules_places_and_groups(client: Client, levels: list[Level]) -> None:
    rule, group = StockRule.objects.create(name="规则", safety_stock=1), NodeGroup.objects.create(code="G", name="组")
    for role in ("operator", "finance"):
        client.force_login(make_staff(role=role))
        for model, row in (("stockrule", rule), ("nodegroup", group), ("node", levels[0].node)):
            for name, args in (("add", ()), ("change", (row.pk,)), ("delete", (row.pk,))):
                assert client.post(page(model, name, *args), {"name": "x", "post": "yes"}).status_code == 403, (role, model, name)
    assert (StockRule.objects.get().name, NodeGroup.objects.get().name, Node.objects.get().name) == ("规则", "组", "吴中仓")


RULE = {"name": "规则", "node_kind": "", "category": "", "ownership": "", "is_active": "on"}


def test_a_rule_is_saved_and_deleted_by_the_actions_or_the_form_says_why_not(client: Client) -> None:
    for fields, message in (
        ({}, "规则没有内容：请至少填写一项"),
        ({"safety_stock": "-1"}, "安全库存必须在 0 至 1,000,000,000 之间"),
        ({"share_percent": "101"}, "共享比例必须在 0 至 100 之间"),
        ({"keep_back": "1", "node_kind": "hq", "dealer": make_dealer().pk}, "总部仓和区域仓不属于经销商"),
    ):
        answer = client.post(page("stockrule", "add"), {**RULE, **fields})
        assert answer.status_code == 200
        assert message in answer.text
    assert (StockRule.objects.count(), Entry.objects.count()) == (0, 0)
    assert client.post(page("stockrule", "add"), {**RULE, "safety_stock": "2"}).status_code == 302
    rule = StockRule.objects.get()
    assert client.post(page("stockrule", "change", rule.pk), {**RULE, "share_cap": "-5"}).status_code == 200
    assert client.post(page("stockrule", "change", rule.pk), {**RULE, "safety_stock": "3"}).status_code == 302
    assert StockRule.objects.get().safety_stock == 3
    assert client.post(page("stockrule", "delete", rule.pk), {"post": "yes"}).status_code == 302
    assert StockRule.objects.count() == 0
    assert [entry.payload["what"] for entry in Entry.objects.filter(name="stock.rules_changed")] == ["all"] * 3
    bulk = {"action": "delete_selected", "_selected_action": [1], "post": "yes"}
    assert "delete_selected" not in client.get(page("stockrule")).text
    assert client.post(page("stockrule"), bulk).status_code in {200, 302}


def test_a_place_is_saved_and_deleted_by_the_actions_or_the_form_says_why_not(client: Client, levels: list[Level]) -> None:
    node = levels[0].node
    form = {"code": "N1", "name": "吴中仓", "kind": "hq", "division_code": "320506", "lng": "120", "lat": "31", "is_active": "on"}
    region = make_node(kind="region")
    for fields, message in (
        ({"parent": node.pk}, "上级仓不能是本仓或本仓的下级"),
        ({"parent": region.pk}, "上级仓的类别不能低于本仓"),
        ({"kind": "store"}, "经销商仓和门店必须选择经销商"),
        ({"dealer": make_dealer().pk}, "总部仓和区域仓不属于经销商"),
    ):
        answer = client.post(page("node", "change", node.pk), {**form, **fields})
        assert answer.status_code == 200
        assert message in answer.text
    node.refresh_from_db()
    assert (node.kind, node.parent, node.dealer) == ("hq", None, None)
    assert client.post(page("node", "change", node.pk), {**form, "name": "新名"}).status_code == 302
    assert Node.objects.get(pk=node.pk).name == "新名"
    client.post(page("node", "delete", node.pk), {"post": "yes"})
    assert Node.objects.filter(pk=node.pk).exists()
    with pytest.raises(ledger.InUse, match="新名 已有库存"):
        ledger.delete_node(node=Node.objects.get(pk=node.pk), actor="", at=timezone.now())
    assert client.post(page("node", "delete", region.pk), {"post": "yes"}).status_code == 302
    assert not Node.objects.filter(pk=region.pk).exists()


def test_a_group_is_saved_with_its_places_and_kept_while_a_lock_uses_it(client: Client, at: datetime) -> None:
    a, b = make_node(), make_node()
    assert client.post(page("nodegroup", "add"), {"code": "E", "name": "华东", "nodes": [a.pk, b.pk]}).status_code == 302
    group = NodeGroup.objects.get()
    assert set(group.nodes.all()) == {a, b}
    client.post(page("nodegroup", "change", group.pk), {"code": "E", "name": "华东", "nodes": [b.pk]})
    assert set(group.nodes.all()) == {b}
    lock = StockLock.objects.create(
        lock_no="L",
        name="L",
        claim="live:1",
        sku=make_sku(),
        group=group,
        amount=1,
        starts_at=at,
        ends_at=at + timedelta(hours=1),
    )
    with pytest.raises(ledger.InUse):
        ledger.delete_node_group(group=NodeGroup.objects.get(), actor="", at=at)
    lock.delete()
    assert client.post(page("nodegroup", "delete", group.pk), {"post": "yes"}).status_code == 302
    assert [entry.payload["what"] for entry in Entry.objects.filter(name="stock.rules_changed")] == ["group=E"] * 3


def test_what_is_refused_while_it_is_deleted_is_a_message(
    client: Client, levels: list[Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ledger.InUse("正在使用")

    region = make_node(kind="region")
    monkeypatch.setattr(ledger, "delete_node", refuse)
    answer = client.post(page("node", "delete", region.pk), {"post": "yes"}, follow=True)
    assert (answer.status_code, "正在使用" in answer.text) == (200, True)
    assert Node.objects.filter(pk=region.pk).exists()


def test_the_safety_stock_of_one_level_is_judged_on_its_page(client: Client, levels: list[Level]) -> None:
    address = page("level", "change", levels[0].pk)
    for units, message in (("-1", "安全库存必须在 0 至"), (str(10**12), "安全库存必须在 0 至 1,000,000,000 之间")):
        assert message in client.post(address, {"safety_stock": units}).text
    assert stands() == START
    assert client.post(address, {"safety_stock": "3", "on_hand": "99"}).status_code == 302
    assert stands()[0] == (10, 0, 3)


def test_differences_are_listed_with_the_ways_to_repair_them(client: Client, levels: list[Level]) -> None:
    assert "尚未检查" in client.get(page("level", "drift")).text
    ledger.audit_stock(at=timezone.now())
    assert "没有差异" in client.get(page("level", "drift")).text
    Level.objects.filter(sku__code="A").update(on_hand=13, held=12)
    assert "没有差异" in client.get(page("level", "drift")).text
    assert said(client.post(page("level", "drift"), {"check": "1"})) == ["已安排检查，稍后自动刷新"]
    assert 'data-refresh="5"' in client.get(page("level", "drift")).text
    ledger.audit_stock(at=timezone.now())
    text = client.get(page("level", "drift")).text
    assert "补记流水（以在库为准）：10 → 13" in text
    assert "重算在库（以流水为准）：13 → 10（不可行：流水合计 10 少于预占 12，请先修正预占或改派）" in text
    assert "重算预占（以预占明细为准）：12 → 0" in text
    place = f"{levels[0].node_id}:{levels[0].sku_id}"
    for asked, reason, message in (
        (f"{place}:counter", "盘点", "吴中仓 的 A：流水合计 10 少于预占 12，请先修正预占或改派"),
        (f"{place}:held", " ", "请填写修正原因"),
        (f"{place}:guess", "盘点", "未知的修正方式：guess"),
        ("x:y:held", "盘点", "请选择要修正的差异"),
        ("", "盘点", "请选择要修正的差异"),
        (f"{place}:held", "盘点", "已修正：12 → 0"),
        (f"{place}:held", "盘点", "已经一致，无需修正"),
    ):
        assert said(client.post(page("level", "drift"), {"repair": asked, "reason": reason}))[-1] == message
    assert (stands()[0], StockRepair.objects.count()) == ((13, 0, 0), 1)


def lines(answer: Any) -> list[str]:
    return b"".join(answer.streaming_content).decode().splitlines()


def test_lists_are_exported_as_they_are_shown(client: Client, levels: list[Level]) -> None:
    Sku.objects.filter(code="B").update(name='=HYPERLINK("x")')
    Level.objects.filter(sku__code="A").update(fresh_until=datetime(2026, 1, 1, tzinfo=timezone.get_current_timezone()))
    Level.objects.filter(sku__code="B").update(safety_stock=5, ownership="dealer")
    Level.objects.filter(sku__code="C").update(keep_back=50)
    answer = client.get(page("level", "export") + "?q=N1&o=3")
    assert "filename*=UTF-8''%E5%BA%93%E5%AD%98-" in answer["Content-Disposition"]
    head, *rows = lines(answer)
    assert head == "\ufeff仓库编码,仓库,SKU 编码,商品,在库,预占,安全库存,货权,最近上报,有效至,可售"
    assert rows == [
        "N1,吴中仓,A,商品 A,10,0,0,总部货,,2026-01-01 00:00:00,0",
        'N1,吴中仓,B,"\'=HYPERLINK(""x"")",20,0,5,经销商自有,,,15',
        "N1,吴中仓,C,商品 C,30,0,0,总部货,,,0",
    ]
    assert [row.split(",")[2] for row in lines(client.get(page("level", "export") + "?ownership__exact=dealer"))[1:]] == ["B"]
    moved = lines(client.get(page("movement", "export") + "?kind__exact=receipt&q=po:2"))
    assert moved[1:] == ['2026-11-25 12:00:00,N1,吴中仓,B,"\'=HYPERLINK(""x"")",入库,20,,,po:2']


def test_a_file_says_when_it_does_not_hold_everything(
    client: Client, levels: list[Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheet, "MOST_LINES", 2)
    answer = client.get(page("level", "export"))
    assert "%E4%BB%85%E5%89%8D%202%20%E8%A1%8C" in answer["Content-Disposition"]  # 仅前 2 行
    assert len(lines(answer)) == 3


def test_under_an_asynchronous_server_a_file_is_sent_in_parts(levels: list[Level]) -> None:
    async def read() -> list[bytes]:
        return [part async for part in spreadsheet._handed_over(iter([b"a", b"b"]))]

    request = AsyncRequestFactory().get("/")
    answer = spreadsheet.file_of(request, "库存", ["在库"], Level.objects.values_list("on_hand").order_by("id"), [{}])
    assert (answer.is_async, asyncio.run(read())) == (True, [b"a", b"b"])
