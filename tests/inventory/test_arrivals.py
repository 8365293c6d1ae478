"""Goods on their way: announced once, promised once, received in parts, and never lost from the books."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from inventory.arrivals import actions as arrivals
from inventory.arrivals import queries
from inventory.arrivals.rules import Allotted, Delivery, NewIncoming, allot, choose
from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import NewMovement
from inventory.models import Incoming, Level, Movement, Node, Reservation, Sku
from inventory.reservations import actions as reservations
from inventory.reservations.queries import sellable
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound, Refusal
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db
DEC_1, DEC_5, DEC_9 = date(2026, 12, 1), date(2026, 12, 5), date(2026, 12, 9)


def announce(node: Node, sku: Sku, quantity: int, day: date, key: str, at: datetime) -> Incoming:
    [result] = arrivals.expect(rows=[NewIncoming(node.pk, sku.pk, quantity, day, key)], actor="staff:1", at=at)
    assert (result.is_new, result.problem) == (True, "")
    return Incoming.objects.get(source_key=key)


def promise(bill: str, sku: Sku, quantity: int, at: datetime, by: date | None = None) -> date:
    return arrivals.promise_presale(bill=bill, sku_id=sku.pk, quantity=quantity, by=by, at=at)


def arrive(key: str, quantity: int, receipt: str, at: datetime) -> int:
    return arrivals.receive(source_key=key, quantity=quantity, key=receipt, actor="staff:1", at=at)


def standing() -> list[tuple[str, str, int]]:
    """(bill, where, units) of every open reservation, in the order of promising."""
    rows = Reservation.objects.filter(state="open").order_by("id")
    return [(r.bill, "level" if r.level_id else "way" if r.incoming_id else r.kind, r.quantity) for r in rows]


def counts(delivery: Incoming) -> tuple[int, int, str]:
    delivery.refresh_from_db()
    return delivery.received, delivery.promised, delivery.state


def books() -> dict[str, list[dict[str, Any]]]:
    tables = (Incoming, Level, Movement, Reservation, Entry)
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}


def assert_books_agree() -> None:
    assert ledger_queries.drift() == [] == queries.drift()


def test_an_announcement_counts_once_and_bad_rows_stand_alone(at: datetime) -> None:
    node, closed, sofa, card = make_node(), make_node(is_active=False), make_sku("SOFA"), make_sku("CARD", kind="virtual")
    good = NewIncoming(node.pk, sofa.pk, 10, DEC_1, "po:1")
    rows = [
        good,
        NewIncoming(node.pk, sofa.pk, 11, DEC_1, "po:1"),
        NewIncoming(node.pk, sofa.pk, 5, date(2026, 11, 24), "po:2"),
        NewIncoming(node.pk, sofa.pk, 10**12, DEC_1, "po:3"),
        NewIncoming(node.pk, sofa.pk, 1.5, DEC_1, "po:4"),  # type: ignore[arg-type]
        NewIncoming(closed.pk, sofa.pk, 1, DEC_1, "po:5"),
        NewIncoming(node.pk, 0, 1, DEC_1, "po:6"),
        NewIncoming(node.pk, card.pk, 1, DEC_1, "po:7"),
        NewIncoming(node.pk, sofa.pk, 1, DEC_1, "transfer:DB1:SOFA"),
        NewIncoming(node.pk, sofa.pk, 1, None, "po:8"),  # type: ignore[arg-type]
        good,
        NewIncoming(node.pk, sofa.pk, 3, date(2026, 11, 25), "po:9"),
    ]
    results = arrivals.expect(rows=rows, actor="staff:1", at=at)
    assert [(each.is_new, each.problem) for each in results] == [
        (True, ""),
        (False, "来源键 po:1 已用于另一批在途"),
        (False, "预计到货日 2026-11-24 已过"),
        (False, "数量须为 1–1000000000 的整数"),
        (False, "数量须为 1–1000000000 的整数"),
        (False, "仓库不存在或已停用"),
        (False, "SKU 不存在"),
        (False, "CARD 不是实物，不计库存"),
        (False, "以 transfer: 开头的来源键由调拨单使用"),
        (False, "预计到货日不正确"),
        (False, ""),
        (True, ""),
    ]
    assert list(Incoming.objects.order_by("pk").values_list("source_key", "quantity")) == [("po:1", 10), ("po:9", 3)]
    before = books()
    assert [each.problem for each in arrivals.expect(rows=[good], actor="staff:1", at=at)] == [""]
    assert books() == before


def test_announcing_costs_the_same_for_few_and_many_rows(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    costs = []
    for day, number in ((DEC_1, 1), (DEC_5, 400)):
        with CaptureQueriesContext(connection) as asked:
            rows = [NewIncoming(node.pk, sku.pk, 1, day, f"po:{day}:{n}") for n in range(number)]
            arrivals.expect(rows=rows, actor="staff:1", at=at)
        costs.append(len(asked))
    assert max(costs) <= 12  # SQLite takes 400 rows in several statements
    assert Incoming.objects.count() == 401


def test_receiving_costs_the_same_for_few_and_many_promises(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    costs = []
    for number in (1, 60):
        announce(node, sku, number, DEC_1, f"po:{number}", at)
        for n in range(number):
            promise(f"{number}-{n}", sku, 1, at)
        with CaptureQueriesContext(connection) as asked:
            arrive(f"po:{number}", number, "r", at)
        costs.append(len(asked))
    assert costs[1] <= costs[0] <= 30  # the first makes the stock row
    assert Level.objects.get().held == 61


def test_a_presale_takes_the_earliest_deliveries_all_or_nothing(at: datetime) -> None:
    node, sku = make_node(), make_sku("SOFA")
    late, early = announce(node, sku, 5, DEC_9, "po:1", at), announce(node, sku, 3, DEC_1, "po:2", at)
    assert promise("A", sku, 2, at) == DEC_1
    assert promise("B", sku, 4, at) == DEC_9
    assert (counts(early), counts(late)) == ((0, 3, "open"), (0, 3, "open"))
    assert standing() == [("A", "way", 2), ("B", "way", 1), ("B", "way", 3)]
    before = books()
    assert promise("B", sku, 4, at) == DEC_9
    with pytest.raises(Refusal, match="SOFA 在途可承诺 2 件，不足 3 件"):
        promise("C", sku, 3, at)
    with pytest.raises(Refusal, match="SOFA 2026-12-05 前在途可承诺 0 件，不足 1 件"):
        promise("C", sku, 1, at, by=DEC_5)
    with pytest.raises(Refusal, match="单据 B 已有 SOFA 预售承诺 4 件"):
        promise("B", sku, 5, at)
    with pytest.raises(Refusal, match="预售数量须为"):
        promise("C", sku, -1, at)
    assert books() == before
    assert sellable(node_ids=[node.pk], sku_ids=[sku.pk], at=at) == {(node.pk, sku.pk): 0}
    assert_books_agree()


def test_what_may_be_promised_by_a_day_counts_open_deliveries_only(at: datetime) -> None:
    node, closed, sofa, lamp = make_node(), make_node(), make_sku(), make_sku()
    announce(node, sofa, 5, DEC_9, "po:1", at)
    announce(node, sofa, 3, DEC_1, "po:2", at)
    announce(closed, sofa, 9, DEC_1, "po:3", at)
    announce(node, lamp, 7, DEC_1, "po:4", at)
    Node.objects.filter(pk=closed.pk).update(is_active=False)
    Incoming.objects.filter(source_key="po:4").update(expected_on=date(2026, 11, 24))  # overdue: nobody knows when
    promise("A", sofa, 1, at)
    ids = [sofa.pk, lamp.pk]
    assert queries.atp(sku_ids=ids, by=None, at=at) == {sofa.pk: {DEC_1: 2, DEC_9: 7}, lamp.pk: {}}
    assert queries.atp(sku_ids=ids, by=DEC_5, at=at) == {sofa.pk: {DEC_1: 2}, lamp.pk: {}}
    assert queries.atp(sku_ids=ids, by=None, at=at, node_ids=[closed.pk]) == {sofa.pk: {}, lamp.pk: {}}
    with pytest.raises(Refusal, match="可承诺 0 件"):
        promise("B", lamp, 1, at)


def test_partial_arrivals_serve_whole_promises_in_their_order(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    delivery = announce(node, sku, 10, DEC_1, "po:1", at)
    for bill, quantity in (("A", 2), ("B", 3), ("C", 1)):
        promise(bill, sku, quantity, at)
    assert arrive("po:1", 4, "r1", at) == 4
    assert counts(delivery) == (4, 4, "open")
    assert standing() == [("A", "level", 2), ("B", "way", 3), ("C", "way", 1)]
    level = Level.objects.get()
    assert (level.on_hand, level.held) == (4, 2)
    before = books()
    assert arrive("po:1", 4, "r1", at) == 0
    assert books() == before
    with pytest.raises(ledger.KeyReused):
        arrive("po:1", 5, "r1", at)
    with pytest.raises(Refusal, match="只差 6 件，不能收货"):
        arrive("po:1", 7, "r2", at)
    with pytest.raises(Refusal, match="到货数量须为"):
        arrive("po:1", 0, "r2", at)
    with pytest.raises(NotFound):
        arrive("po:9", 1, "r2", at)
    assert books() == before
    assert arrive("po:1", 6, "r2", at) == 6
    assert counts(delivery) == (10, 0, "received")
    assert standing() == [("A", "level", 2), ("B", "level", 3), ("C", "level", 1)]
    level.refresh_from_db()
    assert (level.on_hand, level.held) == (10, 6)
    assert set(Movement.objects.values_list("kind", "source_key")) == {
        ("receipt", "arrive:po:1:r1"),
        ("receipt", "arrive:po:1:r2"),
    }
    assert promise("A", sku, 2, at) == date(2026, 11, 25)
    with pytest.raises(Refusal, match="已到货，不能收货"):
        arrive("po:1", 1, "r3", at)
    assert_books_agree()


def test_what_still_comes_must_cover_what_is_still_promised(at: datetime) -> None:
    """Ten come, eight are promised; of the five that arrive three may not be sold to others."""
    node, sku = make_node(), make_sku()
    delivery = announce(node, sku, 10, DEC_1, "po:1", at)
    promise("A", sku, 6, at)
    promise("B", sku, 2, at)
    arrive("po:1", 5, "r1", at)
    assert counts(delivery) == (5, 5, "open")
    assert standing() == [("A", "way", 3), ("B", "way", 2), ("A", "level", 3)]
    assert sellable(node_ids=[node.pk], sku_ids=[sku.pk], at=at) == {(node.pk, sku.pk): 2}
    arrive("po:1", 5, "r2", at)
    assert standing() == [("B", "level", 2), ("A", "level", 6)]
    assert_books_agree()


def test_one_bill_over_two_deliveries_stands_on_the_level_once(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    announce(node, sku, 2, DEC_1, "po:1", at)
    announce(node, sku, 2, DEC_5, "po:2", at)
    promise("A", sku, 3, at)
    arrive("po:1", 2, "r", at)
    arrive("po:2", 2, "r", at)
    assert standing() == [("A", "level", 3)]
    assert Reservation.objects.get(state="released").reason == "并入同一单据的预占"
    assert reservations.consume(bills=["A"], actor="", at=at) == 1
    level = Level.objects.get()
    assert (level.on_hand, level.held) == (1, 0)
    assert_books_agree()


def test_a_released_presale_can_be_promised_again(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    delivery = announce(node, sku, 2, DEC_1, "po:1", at)
    promise("A", sku, 2, at)
    assert reservations.release(bills=["A"], at=at) == 1
    assert counts(delivery) == (0, 0, "open")
    assert promise("B", sku, 2, at) == DEC_1
    assert_books_agree()
    Incoming.objects.update(promised=1)
    assert queries.drift() == [queries.PromisedDrift("po:1", 1, 2)]


def test_a_short_delivery_covers_whom_it_can_and_tells_of_the_others(at: datetime) -> None:
    node, sku = make_node(name="华南仓"), make_sku("SOFA")
    delivery = announce(node, sku, 10, DEC_1, "po:1", at)
    other = announce(node, sku, 1, DEC_9, "po:2", at)
    for bill, quantity in (("A", 5), ("B", 2), ("C", 4)):
        promise(bill, sku, quantity, at)
    reservations.hold_globally(demands=[("C", sku.pk, 1)], at=at)
    arrive("po:1", 3, "r1", at)  # A gets the three that the seven to come cannot cover
    assert (counts(delivery), counts(other)) == ((3, 7, "open"), (0, 1, "open"))
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 2, "in")], actor="", at=at)
    assert arrivals.close_short(source_key="po:1", reason="厂家停产", actor="staff:7", at=at) == 5
    assert counts(delivery) == (3, 0, "received")
    assert standing() == [("B", "global", 2), ("C", "way", 1), ("C", "global", 4), ("A", "level", 5)]
    level = Level.objects.get()
    assert (level.on_hand, level.held) == (5, 5)
    short = Entry.objects.get(name="stock.short").payload
    assert (short["node"], short["sku_code"], short["lacking"], short["source"]) == ("华南仓", "SOFA", 5, "incoming:po:1")
    told = Entry.objects.filter(subject="incoming:po:1").order_by("-pk").first()
    assert told is not None
    assert (told.actor, told.payload["state"], told.payload["reason"]) == ("staff:7", "received", "厂家停产")
    before = books()
    with pytest.raises(Refusal, match="已到货，不能再改"):
        arrivals.close_short(source_key="po:1", reason="厂家停产", actor="staff:7", at=at)
    assert books() == before
    assert_books_agree()


def test_a_delivery_is_put_off_or_cancelled_with_a_name_and_a_reason(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    delivery = announce(node, sku, 5, DEC_1, "po:1", at)
    promise("A", sku, 2, at)
    before = books()

    def put_off(day: date, reason: str) -> None:
        arrivals.reschedule(source_key="po:1", expected_on=day, reason=reason, actor="staff:7", at=at)

    with pytest.raises(Refusal, match="预计到货日 2026-11-24 已过"):
        put_off(date(2026, 11, 24), "船期")
    with pytest.raises(Refusal, match="请填写原因"):
        put_off(DEC_9, " ")
    assert books() == before
    put_off(DEC_9, "船期延误")
    told = Entry.objects.order_by("-pk")[0]
    assert (told.name, told.actor, told.payload["expected_on"]) == ("incoming.moved", "staff:7", "2026-12-09")
    assert told.payload["reason"] == "2026-12-01 改为 2026-12-09：船期延误"
    assert promise("A", sku, 2, at) == DEC_9
    assert arrivals.cancel(source_key="po:1", reason="退单", actor="staff:7", at=at) == 2
    assert counts(delivery) == (0, 0, "cancelled")
    assert standing() == [("A", "global", 2)]
    assert_books_agree()


def test_a_delivery_that_came_in_part_is_not_cancelled(at: datetime) -> None:
    announce(make_node(), make_sku(), 5, DEC_1, "po:1", at)
    arrive("po:1", 1, "r", at)
    before = books()
    with pytest.raises(Refusal, match="已收 1 件，不能取消"):
        arrivals.cancel(source_key="po:1", reason="退单", actor="staff:7", at=at)
    assert books() == before


def test_what_a_transfer_sent_is_received_through_the_transfer_only(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    row = NewIncoming(node.pk, sku.pk, 2, DEC_1, "transfer:DB1:X")
    arrivals.expect(rows=[row], actor="", at=at, transfer_no="DB1")
    before = books()
    tries: list[Callable[[], object]] = [
        lambda: arrive("transfer:DB1:X", 1, "r", at),
        lambda: arrivals.cancel(source_key="transfer:DB1:X", reason="x", actor="", at=at),
        lambda: arrivals.close_short(source_key="transfer:DB1:X", reason="x", actor="", at=at),
    ]
    for attempt in tries:
        with pytest.raises(Refusal, match="请在调拨单上操作"):
            attempt()
    assert books() == before
    arrivals.receive_all(counts={"transfer:DB1:X": 2}, key="r", actor="", at=at, transfer_no="DB1")
    assert Movement.objects.get().kind == "transfer_in"


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 30), st.integers(0, 30))
def test_every_promise_stays_covered_and_nothing_is_given_twice(promises: list[int], arrived: int, spare: int) -> None:
    coming = max(0, sum(promises) - arrived) + spare
    given_out = allot(promises, arrived, coming)
    assert given_out.units == sum(promises[: given_out.count])
    assert given_out.units + given_out.part <= arrived
    left = sum(promises) - given_out.units - given_out.part
    assert left <= coming
    assert given_out.part == 0 or left == coming
    if given_out.part:
        assert given_out.part < promises[given_out.count]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=6), st.integers(1, 30))
def test_the_earliest_deliveries_that_suffice(days: list[tuple[int, int]], quantity: int) -> None:
    deliveries = [Delivery(n, date(2026, 12, 1 + day), free) for n, (day, free) in enumerate(days)]
    taken = choose(deliveries, quantity)
    assert sum(units for _, units in taken) == (quantity if sum(free for _, free in days) >= quantity else 0)
    assert all(0 < units <= each.free for each, units in taken)
    if taken:
        last = max((each.expected_on, each.id) for each, _ in taken)
        skipped = [each for each in deliveries if (each.expected_on, each.id) < last and each.free]
        assert all((each, each.free) in taken for each in skipped)


def test_nothing_promised_and_nothing_arrived() -> None:
    assert allot([], 0, 0) == Allotted(0, 0, 0)
    assert allot([3], 3, 0) == Allotted(1, 3, 0)
    assert allot([3], 2, 1) == Allotted(0, 0, 2)
