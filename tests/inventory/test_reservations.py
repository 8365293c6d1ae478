"""Holding, releasing, shipping and moving stock, with exact figures."""

from datetime import datetime, timedelta

import pytest

from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level, Movement, Node, Reservation, Sku
from inventory.reservations import actions as reservations
from inventory.reservations.queries import sellable
from inventory.reservations.rules import Block, Want
from tests.make import make_level, make_node, make_sku

pytestmark = pytest.mark.django_db


def stock(node: Node, sku: Sku, quantity: int, at: datetime, safety: int = 0) -> Level:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", quantity, f"in:{node.pk}:{sku.pk}")], actor="test", at=at)
    level = Level.objects.get(node=node, sku=sku)
    ledger.set_safety_stock(level_ids=[level.pk], safety_stock=safety, actor="test", at=at)
    return level


def figures(level: Level) -> tuple[int, int]:
    level.refresh_from_db()
    return level.on_hand, level.held


def test_one_want_takes_what_is_free_and_not_the_safety_stock(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    level = stock(node, sku, 10, at, safety=2)
    assert reservations.hold(wants=[Want("A", node.pk, sku.pk, 8)], at=at) == {"A"}
    assert reservations.hold(wants=[Want("B", node.pk, sku.pk, 1)], at=at) == frozenset()
    assert figures(level) == (10, 8)
    assert sellable(node_ids=[node.pk], sku_ids=[sku.pk], at=at) == {(node.pk, sku.pk): 0}
    assert ledger_queries.drift() == []


def test_a_bill_gets_all_its_wants_or_none_and_the_next_may_still_fit(at: datetime) -> None:
    node, sofa, lamp = make_node(), make_sku(), make_sku()
    sofas, lamps = stock(node, sofa, 3, at), stock(node, lamp, 1, at)
    wants = [
        Want("A", node.pk, sofa.pk, 1),
        Want("A", node.pk, sofa.pk, 1),
        Want("B", node.pk, sofa.pk, 1),
        Want("B", node.pk, lamp.pk, 2),
        Want("C", node.pk, sofa.pk, 1),
        Want("C", node.pk, lamp.pk, 1),
        Want("D", node.pk, make_sku().pk, 1),
    ]
    assert reservations.hold(wants=wants, at=at) == {"A", "C"}
    assert (figures(sofas), figures(lamps)) == ((3, 3), (1, 1))
    assert list(Reservation.objects.order_by("bill", "level").values_list("bill", "quantity")) == [("A", 2), ("C", 1), ("C", 1)]
    assert ledger_queries.drift() == []


def test_a_repeated_hold_changes_nothing(at: datetime) -> None:
    node, sofa, lamp = make_node(), make_sku(), make_sku()
    level = stock(node, sofa, 3, at)
    stock(node, lamp, 3, at)
    one = [Want("A", node.pk, sofa.pk, 2)]
    both = [*one, Want("A", node.pk, lamp.pk, 1), Want("B", node.pk, lamp.pk, 1)]
    assert reservations.hold(wants=one, at=at) == {"A"}
    assert reservations.hold(wants=one, at=at) == {"A"}
    assert reservations.hold(wants=both, at=at) == {"A", "B"}
    assert figures(level) == (3, 2)
    assert Reservation.objects.count() == 2


def test_hold_uses_a_few_statements_however_large_the_batch(at: datetime, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    node, sofa, lamp = make_node(), make_sku(), make_sku()
    stock(node, sofa, 300, at)
    stock(node, lamp, 300, at)
    wants = [Want(f"B{n}", node.pk, sku.pk, 1) for n in range(200) for sku in (lamp, sofa)]
    with django_assert_max_num_queries(5):  # one (four on SQLite) and the savepoint
        assert len(reservations.hold(wants=wants, at=at)) == 200


def test_nothing_wanted_and_nonsense_wanted(at: datetime) -> None:
    assert reservations.hold(wants=[], at=at) == frozenset()
    with pytest.raises(ValueError, match="wants 0"):
        reservations.hold(wants=[Want("A", 1, 1, 0)], at=at)


def test_release_gives_back_once(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    level = stock(node, sku, 5, at)
    reservations.hold(wants=[Want("A", node.pk, sku.pk, 2), Want("B", node.pk, sku.pk, 1)], at=at)
    assert reservations.release(bills=["A"], at=at) == 1
    assert reservations.release(bills=["A"], at=at) == 0
    assert figures(level) == (5, 1)
    assert Reservation.objects.get(bill="A").closed_at == at
    assert reservations.hold(wants=[Want("A", node.pk, sku.pk, 4)], at=at) == {"A"}


def test_consume_ships_once_and_writes_the_movements(at: datetime) -> None:
    node, sofa, lamp = make_node(), make_sku(), make_sku()
    level = stock(node, sofa, 5, at)
    stock(node, lamp, 5, at)
    wants = [Want("A", node.pk, sofa.pk, 2), Want("A", node.pk, lamp.pk, 1), Want("B", node.pk, sofa.pk, 1)]
    reservations.hold(wants=wants, at=at)
    assert reservations.consume(bills=["A", "B"], actor="staff:1", at=at) == 3
    assert reservations.consume(bills=["A", "B"], actor="staff:1", at=at) == 0
    assert figures(level) == (2, 0)
    shipped = Movement.objects.filter(kind="shipment", sku=sofa).order_by("source_key")
    assert [(m.source_key, m.quantity, m.actor, m.moved_at) for m in shipped] == [
        (f"ship:A:{level.pk}", -2, "staff:1", at),
        (f"ship:B:{level.pk}", -1, "staff:1", at),
    ]
    assert ledger_queries.drift() == []


def test_move_takes_all_or_leaves_all(at: datetime) -> None:
    here, there, sku = make_node(), make_node(), make_sku()
    old, new = stock(here, sku, 2, at), stock(there, sku, 1, at)
    reservations.hold(wants=[Want("A", here.pk, sku.pk, 1)], at=at)
    assert not reservations.move(bill="A", wants=[Want("A", there.pk, sku.pk, 2)], at=at)
    assert (figures(old), figures(new)) == ((2, 1), (1, 0))
    assert reservations.move(bill="A", wants=[Want("A", there.pk, sku.pk, 1)], at=at)
    assert (figures(old), figures(new)) == ((2, 0), (1, 1))
    assert ledger_queries.drift() == []


def test_a_bill_that_holds_nothing_cannot_be_moved(at: datetime) -> None:
    here, there, sku = make_node(), make_node(), make_sku()
    stock(here, sku, 2, at), stock(there, sku, 2, at)
    reservations.hold(wants=[Want("A", here.pk, sku.pk, 1)], at=at)
    reservations.consume(bills=["A"], actor="", at=at)
    assert not reservations.move(bill="A", wants=[Want("A", there.pk, sku.pk, 1)], at=at)
    assert not Reservation.objects.filter(state="open").exists()


def test_a_hold_is_extended_and_runs_out_when_its_time_has_come(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    level = stock(node, sku, 5, at)
    soon, later = at + timedelta(minutes=1), at + timedelta(minutes=5)
    wants = [Want("A", node.pk, sku.pk, 2), Want("B", node.pk, sku.pk, 1)]
    reservations.hold(wants=wants, at=at, expires_at=soon)
    assert reservations.extend(bills=["A"], expires_at=later) == 1
    assert reservations.expire_due(at=soon) == 1
    assert figures(level) == (5, 2)
    assert reservations.expire_due(at=soon) == 0
    assert reservations.extend(bills=["B"], expires_at=later) == 0
    assert reservations.expire_due(at=later) == 1
    assert figures(level) == (5, 0)


def test_together_means_all_bills_or_none(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    level = stock(node, sku, 3, at)
    wants = [Want("A", node.pk, sku.pk, 2), Want("B", node.pk, sku.pk, 2)]
    assert reservations.hold(wants=wants, at=at, together=True) == frozenset()
    assert figures(level) == (3, 0)
    assert reservations.hold(wants=wants, at=at) == {"A"}


def test_a_pinned_place_keeps_its_kind_and_an_accepted_offer_becomes_a_promise(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    stock(node, sku, 3, at)
    reservations.hold(wants=[Want("P", node.pk, sku.pk, 1, "pinned"), Want("O", node.pk, sku.pk, 1, "offer")], at=at)
    assert reservations.settle(bills=["O"], kind="node") == 1
    assert dict(Reservation.objects.values_list("bill", "kind")) == {"P": "pinned", "O": "node"}


def test_units_out_of_sale_come_back_or_are_written_off(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    level = stock(node, sku, 5, at)
    asked = {"node_id": node.pk, "sku_id": sku.pk, "reason": "破损", "at": at}
    for _ in range(2):
        reservations.block(key="k1", quantity=2, **asked)
    assert figures(level) == (5, 2)
    with pytest.raises(reservations.NotFree):
        reservations.block(key="k2", quantity=4, **asked)
    reservations.block(key="k3", quantity=1, **asked)
    assert figures(level) == (5, 3)
    assert reservations.release(bills=["block:k3"], at=at) == 1
    assert reservations.consume(bills=["block:k1"], actor="staff:1", at=at) == 1
    assert figures(level) == (3, 0)
    lost = Movement.objects.get(kind="write_off")
    assert (lost.quantity, lost.reason) == (-2, "破损")
    assert ledger_queries.drift() == []


def test_less_is_kept_than_was_held(at: datetime) -> None:
    node, sofa, lamp = make_node(), make_sku(), make_sku()
    sofas, lamps = stock(node, sofa, 5, at), stock(node, lamp, 5, at)
    reservations.hold(wants=[Want("A", node.pk, sofa.pk, 3), Want("A", node.pk, lamp.pk, 2)], at=at)
    with pytest.raises(reservations.NothingHeld):
        reservations.keep(bill="A", quantities={(node.pk, sofa.pk): 4}, at=at)
    reservations.keep(bill="A", quantities={(node.pk, sofa.pk): 1, (node.pk, lamp.pk): 0}, at=at)
    assert (figures(sofas), figures(lamps)) == ((5, 1), (5, 0))
    assert ledger_queries.drift() == []


def test_rows_are_blocked_each_for_itself_and_put_back_together(at: datetime) -> None:
    node, first, second = make_node(), make_sku(), make_sku()
    for sku, units in ((first, 5), (second, 1)):
        make_level(node, sku, on_hand=units)
    places = [(node.pk, first.pk), (node.pk, second.pk), (node.pk, first.pk), (node.pk, 10**9)]
    blocks = [Block(f"k{n}", *place, units) for n, (place, units) in enumerate(zip(places, (3, 2, 3, 1), strict=True))]
    again = [*blocks[:1], Block("k9", *places[0], 2), Block("k8", *places[1], 0)]
    short = [f"未被预占的库存不足 {units}，请先释放或改派" for units in (2, 3, 1)]
    assert reservations.block_rows(blocks=blocks, reason="水渍", at=at) == ["", *short]
    assert reservations.block_rows(blocks=again, reason="水渍", at=at) == ["", "", "暂不可用的数量必须大于 0"]
    assert list(Level.objects.order_by("id").values_list("held", flat=True)) == [5, 0]
    with pytest.raises(reservations.NotFree, match="请填写暂不可用的原因"):
        reservations.block_rows(blocks=blocks, reason=" ", at=at)
    assert reservations.unblock_rows(places=places, actor="", at=at) == ["", "没有冻结中的库存", "", "没有冻结中的库存"]
    assert reservations.unblock_rows(places=places[:1], actor="", at=at) == ["没有冻结中的库存"]
    assert list(Level.objects.order_by("id").values_list("held", flat=True)) == [0, 0]
