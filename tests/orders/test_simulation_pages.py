"""The pages of simulations: begun, watched, read, called off; and what routing saved against the nearest place first."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orders.models import RoutingDecision, Simulation, SimulationDifference
from orders.simulation import actions as simulation
from orders.simulation import pages
from orders.simulation.savings import Saved, distance_first_fen
from orders.simulation.tally import Comparison, headline, percent, rounded, saved
from tests.make import make_order, make_staff
from tests.orders.dispatch_world import World
from tests.orders.simulation_world import make_days, make_draft, sell

pytestmark = pytest.mark.django_db
LIST, NEW, SAVINGS = (f"admin:orders_simulation_{name}" for name in ("changelist", "begin", "savings"))
HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return make_days()


def text_of(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def begun(world: World, at: datetime, orders: int = 3) -> Simulation:
    sell(world, at - 20 * HOUR, orders)
    asked = {"since": at - 24 * HOUR, "until": at, "has_refusals": False, "staff": world.operator, "at": at}
    return simulation.simulate_past(name="大促前", ruleset_id=make_draft(at, late_fen_per_day=0).pk, **asked)


def test_a_simulation_is_begun_from_the_form_and_its_page_tells_how_far_it_is(world: World, client: Client) -> None:
    at = timezone.now()
    draft = make_draft(at)
    sell(world, at - 3 * HOUR, 2)
    client.force_login(world.operator)
    asked = {"name": "大促前", "rule_set": str(draft.pk), "since": f"{timezone.localtime(at) - 5 * HOUR:%Y-%m-%dT%H:%M}"}
    answer = client.post(reverse(NEW), {**asked, "most_orders": "100", "seed": "7"}, follow=True)
    found = Simulation.objects.get()
    assert (found.state, found.seed, found.has_refusals, found.created_by) == ("queued", 7, False, world.operator)
    assert "排队中" in answer.text
    assert 'http-equiv="refresh"' in answer.text
    simulation.work_on_simulations(at=at)
    page = client.get(reverse("admin:orders_simulation_change", args=[found.pk])).text
    for words in (
        "2 单中有 0 单改派，平均每单 0.00 元",
        "比就近优先平均每单省 0.00 元（2 单可比）",
        "对比规则",
        "就近优先",
        "先到先得",
        "按时率",
        "华南经销商",
        "江苏省",
    ):
        assert words in page, words
    assert 'http-equiv="refresh"' not in page
    client.post(reverse(NEW), {**asked, "most_orders": "100", "seed": "7", "has_refusals": "on"})
    assert Simulation.objects.exclude(pk=found.pk).get().has_refusals


def test_a_file_is_uploaded_and_a_wrong_one_is_told_by_its_rows(world: World, client: Client, at: datetime) -> None:
    client.force_login(world.operator)
    asked = {"rule_set": str(make_draft(at).pk), "most_orders": "10", "seed": "1"}
    wrong = SimpleUploadedFile("a.csv", "地址,商品\n320506,NIX\n".encode())
    assert "第 2 行：没有商品或 SKU NIX" in client.post(reverse(NEW), {**asked, "file": wrong}).text
    assert "请填写订单起始时间，或上传假设订单的表格" in client.post(reverse(NEW), asked).text
    assert not Simulation.objects.exists()
    good = SimpleUploadedFile("a.csv", "地址,商品\n320506,KT-3300\n".encode())
    assert client.post(reverse(NEW), {**asked, "file": good}).status_code == 302
    assert Simulation.objects.get().total == 1
    template = text_of(client.get(reverse("admin:orders_simulation_template")))
    assert template.startswith("单号,地址,渠道,商品编码,数量,直播场次")


def test_the_result_page_costs_the_same_for_few_and_many(world: World, client: Client, at: datetime) -> None:
    found = begun(world, at)
    simulation.work_on_simulations(at=at)
    client.force_login(world.operator)
    address = reverse("admin:orders_simulation_change", args=[found.pk])
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    rows = [
        SimulationDifference(
            simulation=found, position=number, order_no=f"DD{number}", before="=甲", after="乙", before_fen=100, after_fen=220
        )
        for number in range(1, 71)
    ]
    SimulationDifference.objects.bulk_create(rows)
    with CaptureQueriesContext(connection) as many:
        page = client.get(address).text
    assert len(few) == len(many) <= 14
    assert page.count("+1.20 元") == 50
    lines = text_of(client.get(reverse("admin:orders_simulation_differences", args=[found.pk]))).splitlines()
    assert (len(lines), lines[1]) == (71, "1,DD1,,'=甲,100,乙,220")


def test_a_person_calls_it_off(world: World, client: Client, at: datetime) -> None:
    found = begun(world, at)
    address = reverse("admin:orders_simulation_cancel", args=[found.pk])
    client.force_login(make_staff(role="finance"))
    assert client.post(address).status_code == 403
    client.force_login(world.operator)
    assert client.get(address).status_code == 405
    assert "已取消" in client.post(address, follow=True).text
    assert "内容已更新，请刷新后再操作" in client.post(address, follow=True).text
    assert client.post(reverse("admin:orders_simulation_cancel", args=[found.pk + 9])).status_code == 404


@pytest.mark.parametrize(("role", "sees"), [("admin", True), ("operator", True), ("finance", False)])
def test_who_may_see(world: World, client: Client, at: datetime, role: str, sees: bool) -> None:
    found = begun(world, at)
    client.force_login(make_staff(role=role))
    names = ("change", "differences")
    addresses = [reverse(name) for name in (LIST, NEW, SAVINGS, "admin:orders_simulation_template")]
    addresses += [reverse(f"admin:orders_simulation_{name}", args=[found.pk]) for name in names]
    assert {client.get(address).status_code for address in addresses} == {200 if sees else 403}
    client.force_login(world.owner)
    assert {client.get(address).status_code for address in addresses} == {302}


def entry(node: str, km: int, cost: int, *lines: int, **more: Any) -> dict[str, Any]:
    return {"node": node, "km": km, "cost_fen": cost, "lines": list(lines), **more}


def test_the_nearest_place_first_is_read_from_the_trace() -> None:
    near, far = entry("A", 5, 1_500, 0, 1), entry("B", 50, 900, 0, 1)
    assert distance_first_fen([far, near], [far], 600) == 1_500
    assert distance_first_fen([far, {**near, "fence": "LADDER"}], [far], 600) == 900
    fenced = {"node": "A", "km": 5, "fence": "STOCK", "text": "可售库存不足"}
    assert distance_first_fen([fenced, far], [far], 600) == 900
    assert distance_first_fen([entry("A", 5, 500, 0), entry("B", 9, 700, 1)], [far], 600) == 1_800
    assert distance_first_fen([entry("A", 5, 500, 0), far], [far], 600) is None  # B was not priced for line 1 alone
    assert distance_first_fen([fenced], [far], 600) is None


def test_the_report_adds_up_days_and_channels(world: World, client: Client) -> None:
    at = timezone.now()
    for days, cost, nearest in ((0, 1_000, 1_300), (0, 1_000, 1_000), (1, 2_000, 2_500)):
        order = make_order(world.sofa, state="routed", at=at - timedelta(days=days))
        trace = [entry("A", 5, nearest, 0), entry("B", 9, cost, 0)]
        RoutingDecision.objects.create(
            order=order,
            is_routable=True,
            cost_fen=cost,
            plan=[trace[1]],
            trace=trace,
            terms={"split_fee_fen": 600},
            decided_at=at,
        )
    first = RoutingDecision.objects.order_by("pk").first()
    assert first is not None
    RoutingDecision.objects.filter(pk=first.pk).update(cost_fen=9_999)
    first.pk = None
    first.save()  # the same order, decided again
    client.force_login(world.operator)
    before = RoutingDecision.objects.count()
    with CaptureQueriesContext(connection) as asked:
        page = client.get(reverse(SAVINGS), {"days": "7"})
    assert "3 单可比订单比就近优先共节省 8.00 元，平均每单 2.67 元" in page.text
    today = f"{timezone.localtime(at):%Y-%m-%d}"
    assert [row[0] for row in page.context_data["table"]["rows"]][0] == today
    assert page.context_data["table"]["rows"][0] == [today, "抖店", "2", "2", "1", "20.00", "23.00", "3.00", "1.50"]
    assert len(asked) <= 12
    assert RoutingDecision.objects.count() == before
    lines = text_of(client.get(reverse(SAVINGS), {"days": "1", "csv": "1"})).splitlines()
    assert lines == [",".join(pages.SAVED), f"{today},抖店,2,2,1,20.00,23.00,3.00,1.50"]
    assert client.get(reverse(SAVINGS), {"days": "乱"}).status_code == 200


def test_figures_are_rounded_half_away_from_zero_and_the_headline_says_it_in_one_sentence() -> None:
    assert [rounded(*pair) for pair in ((5, 2), (-5, 2), (4, 3), (-4, 3), (7, 0))] == [3, -3, 1, -1, 0]
    assert [percent(*pair) for pair in ((1, 3), (0, 5), (5, 5), (1, 0))] == ["33.3%", "0.0%", "100.0%", "—"]
    assert headline(4_000, Comparison(312, 4_000, 480_000)) == "4,000 单中有 312 单改派，平均每单 +1.20 元"
    assert headline(4_000, Comparison(312, 4_000, -480_000)) == "4,000 单中有 312 单改派，平均每单 -1.20 元"
    assert headline(2, Comparison(0, 0, 0)) == "2 单中有 0 单改派，没有两边都能派出的订单可比"
    assert saved(Comparison(5, 10, -55), "就近优先") == "比就近优先平均每单多花 0.06 元（10 单可比）"
    day = Saved()
    day.add(100, None)
    assert (day.orders, day.compared, day.saved_fen) == (1, 0, 0)
