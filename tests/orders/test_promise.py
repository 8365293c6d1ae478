"""What is promised to a buyer is what routing would do, and nothing is written by asking."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from dealers.divisions import queries as divisions
from dealers.models import Division
from inventory.arrivals import actions as arrivals
from inventory.arrivals.rules import NewIncoming
from inventory.models import Level, Reservation
from inventory.reservations import actions as reservations
from oms_project.journal.models import Entry
from orders.models import Product, ProductPart, RoutingDecision
from orders.promise.queries import CannotAsk, promise
from orders.promise.rules import Asked, Promise
from orders.routing import queries as routing
from tests.inventory.partners_world import call, make_key, problem_of
from tests.make import SUZHOU_WUZHONG, make_dealer, make_sku
from tests.orders.dispatch_world import World, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(at: datetime) -> World:
    made = make_world(on_hand=3)
    Level.objects.filter(node=made.neighbour_node).update(on_hand=0)
    Level.objects.filter(node=made.hq_node).update(on_hand=2)
    province = Division.objects.create(code="320000", name="江苏省", level=1)
    city = Division.objects.create(code="320500", name="苏州市", level=2, parent=province)
    Division.objects.create(code=SUZHOU_WUZHONG, name="吴中区", level=3, parent=city, lng=120.63, lat=31.26)
    card = make_sku("CARD", name="延保卡", kind="virtual", category="service")
    sofa, combo = Product.objects.create(code="KT-3300", name="沙发"), Product.objects.create(code="SET", name="沙发套装")
    ProductPart.objects.create(product=sofa, sku=made.sofa)
    ProductPart.objects.create(product=combo, sku=made.sofa, quantity=2)
    ProductPart.objects.create(product=combo, sku=card)
    divisions.forget()
    routing.forget()
    return made


def ask(at: datetime, quantity: int = 1, code: str = "KT-3300", address: str = SUZHOU_WUZHONG, **more: Any) -> Promise:
    return promise(lines=[Asked(code, quantity)], address=address, channel="doudian", at=at, **more)


def test_the_nearest_place_is_promised_with_its_day_and_nothing_is_written(world: World, at: datetime) -> None:
    told = ask(at)
    assert (told.is_promised, told.reasons) == (True, ())
    [package] = told.packages
    assert (package.node, package.kind, package.lines) == ("N-D001", "dealer", (("KT-3300", 1),))
    assert told.by == package.by == date(2026, 11, 25) + timedelta(days=package.days)
    [reach] = told.skus
    assert (reach.wanted, reach.sellable, reach.at_one_place, reach.awaited) == (1, 5, 3, 0)
    assert (Reservation.objects.count(), RoutingDecision.objects.count(), Entry.objects.count()) == (0, 0, 0)


def test_an_address_in_words_is_read_and_a_doubtful_one_is_not_guessed(world: World, at: datetime) -> None:
    assert ask(at, address="江苏省苏州市吴中区木渎镇中山路1号").is_promised
    for doubtful in ("中山路1号", "", "999999", "张三"):
        with pytest.raises(CannotAsk):
            ask(at, address=doubtful)


def test_a_combo_is_taken_apart_and_virtual_goods_never_block(world: World, at: datetime) -> None:
    told = ask(at, code="SET")
    assert told.is_promised
    assert sorted(line for package in told.packages for line in package.lines) == [("CARD", 1), ("KT-3300", 2)]
    assert not ask(at, quantity=3, code="SET").is_promised


def test_what_paid_orders_wait_for_is_not_promised_again(world: World, at: datetime) -> None:
    reservations.hold_globally(demands=[("DD1", world.sofa.pk, 4)], at=at)
    told = ask(at, quantity=2)
    assert (told.is_promised, told.by, told.packages) == (False, None, ())
    assert told.reasons == ("KT-3300 需要 2 件，可服务该地址的库存可售 5 件，另有 4 件已售待分配",)
    assert ask(at, quantity=1).is_promised


def test_enough_in_sum_but_at_no_place_is_told_as_it_is(world: World, at: datetime) -> None:
    told = ask(at, quantity=5)
    assert not told.is_promised
    assert "可售库存不足 ×3" in told.reasons
    assert (told.skus[0].sellable, told.skus[0].at_one_place) == (5, 3)


def test_what_is_coming_counts_for_a_presale_only(world: World, at: datetime) -> None:
    later = date(2026, 12, 5)
    arrivals.expect(rows=[NewIncoming(world.hq_node.pk, world.sofa.pk, 9, later, "po:1")], actor="test", at=at)
    told = ask(at, quantity=6)
    assert (told.is_promised, told.skus[0].incoming_by) == (False, later)
    assert told.reasons[0].endswith("；2026-12-05 到货后可预售")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "请询问 1 到 50 行商品"),
        ([Asked("KT-3300", 1)] * 51, "请询问 1 到 50 行商品"),
        ([Asked("KT-3300", 0)], "第 1 行：数量应为 1 到 9999 的整数"),
        ([Asked("KT-3300", 1), Asked("KT-3300", 10**12)], "第 2 行：数量应为 1 到 9999 的整数"),
        ([Asked("NO-SUCH", 1)], "第 1 行：没有在售商品 NO-SUCH"),
    ],
)
def test_nonsense_is_refused_by_its_line(world: World, at: datetime, lines: list[Asked], words: str) -> None:
    with pytest.raises(CannotAsk, match=words):
        promise(lines=lines, address=SUZHOU_WUZHONG, channel="doudian", at=at)


def test_asking_costs_few_statements(world: World, at: datetime, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    ask(at)
    with django_assert_max_num_queries(7):
        ask(at, quantity=9)


class TestTheDoor:
    body = {"lines": [{"code": "KT-3300", "quantity": 1}], "address": SUZHOU_WUZHONG, "channel": "doudian"}

    def test_a_key_of_headquarters_may_ask(self, world: World) -> None:
        answer = call(make_key().secret, "POST", "promise", self.body)
        assert (answer.status_code, answer.json()["is_promised"]) == (200, True)
        assert answer.json()["packages"][0]["lines"] == [{"sku": "KT-3300", "quantity": 1}]

    def test_nobody_else_may(self, world: World) -> None:
        assert call(None, "POST", "promise", self.body).status_code == 401
        assert call(make_key(make_dealer()).secret, "POST", "promise", self.body).status_code == 403
        assert call(make_key(may_read=False).secret, "POST", "promise", self.body).status_code == 403

    @pytest.mark.parametrize("quantity", [0, -1, 1.5, "1e3", True, None, 10**12])
    def test_a_bad_quantity_is_named(self, world: World, quantity: Any) -> None:
        body = {**self.body, "lines": [{"code": "KT-3300", "quantity": quantity}]}
        status, code, _ = problem_of(call(make_key().secret, "POST", "promise", body))
        assert (status, code) == (400, "invalid")

    def test_a_refusal_is_told(self, world: World) -> None:
        told = problem_of(call(make_key().secret, "POST", "promise", {**self.body, "address": "999999"}))
        assert told[0] == 409
        assert told[2] == "没有区划代码 999999，请给出现行的六位区县代码"
