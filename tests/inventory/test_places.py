"""Places stand under each other in one direction, without circles, and what is below one is found."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from dealers.models import Dealer
from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.models import Level, Node, NodeGroup
from oms_project.journal.models import Delivery, Entry
from tests.make import make_dealer, make_level, make_node, make_sku

pytestmark = pytest.mark.django_db


def told() -> list[tuple[str, Any]]:
    return [(entry.name, entry.payload["what"]) for entry in Entry.objects.order_by("id")]


@pytest.fixture
def chain(db: None) -> list[Node]:
    """总部仓 > 区域仓 > 经销商仓 > 门店."""
    dealer = make_dealer()
    nodes: list[Node] = []
    for kind in ("hq", "region", "dealer", "store"):
        owner = dealer if kind in {"dealer", "store"} else None
        nodes.append(make_node(owner, kind=kind, parent=nodes[-1] if nodes else None))
    return nodes


def put(node: Node, at: datetime, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(node, name, value)
    ledger.save_node(node=node, actor="staff:1", at=at)


def refuse(node: Node, at: datetime, said: str, **fields: Any) -> None:
    with pytest.raises(ledger.WrongParent, match=said):
        put(node, at, **fields)
    was = Node.objects.get(pk=node.pk)
    assert told() == []
    for name in fields:
        setattr(node, name, getattr(was, name))


def test_all_places_below_one_are_found(chain: list[Node]) -> None:
    hq, region, place, store = chain
    other = make_node(place.dealer, kind="store", parent=region)
    assert queries.descendants(hq) == [region.pk, place.pk, store.pk, other.pk]
    assert queries.descendants(place) == [store.pk]
    assert queries.descendants(store) == []


def test_a_place_can_be_moved_and_waiting_orders_hear_of_it(chain: list[Node], at: datetime) -> None:
    hq, region, place, store = chain
    put(store, at, parent=region)
    put(place, at, parent=None)
    assert told() == [("routing.changed", f"node-{store.code}"), ("routing.changed", f"node-{place.code}")]
    assert queries.descendants(hq) == [region.pk, store.pk]


def test_no_place_stands_under_itself(chain: list[Node], at: datetime) -> None:
    hq = chain[0]
    below = make_node(kind="hq", parent=hq)
    refuse(hq, at, "不能是本仓或本仓的下级", parent=hq)
    refuse(hq, at, "不能是本仓或本仓的下级", parent=below)
    assert queries.descendants(hq) == [*(node.pk for node in chain[1:]), below.pk]


def test_a_place_stands_under_none_of_a_lower_kind_nor_under_a_strangers(chain: list[Node], at: datetime) -> None:
    hq, region, place, store = chain
    fresh = Node(code="X", name="新仓", kind="hq", division_code="320506", lng=120, lat=31, parent=region)
    with pytest.raises(ledger.WrongParent, match="上级仓的类别不能低于本仓"):
        ledger.save_node(node=fresh, actor="", at=at)
    assert not Node.objects.filter(code="X").exists()
    strange = make_node(make_dealer(), kind="dealer")
    refuse(store, at, "必须属于同一经销商", parent=strange)
    refuse(store, at, "上级仓不存在", parent_id=10**9)
    refuse(hq, at, "上级仓的类别不能低于本仓", parent=make_node(kind="region"))
    assert Node.objects.get(pk=store.pk).parent == place


def test_what_stands_below_must_still_fit_when_a_place_changes(chain: list[Node], at: datetime) -> None:
    hq, region, place, store = chain
    refuse(place, at, f"下级仓 {store.name} 不能再归属本仓", dealer=make_dealer())
    refuse(hq, at, "不能再归属本仓", kind="store", dealer=place.dealer)
    assert Dealer.objects.count() == 2


def test_the_levels_of_a_place_follow_its_kind(chain: list[Node], at: datetime) -> None:
    region, sku = make_node(kind="region"), make_sku()
    level = make_level(region, sku)
    rule = ledger.StockRule(name="总部", node_kind="hq", safety_stock=3)
    ledger.save_stock_rule(rule=rule, actor="", at=at)
    Delivery.objects.all().delete()
    Entry.objects.all().delete()
    put(region, at, kind="hq")
    assert told() == [("stock.rules_changed", f"node={region.pk}"), ("routing.changed", f"node-{region.code}")]
    assert ledger.apply_stock_rules(at=at) == 1
    level.refresh_from_db()
    assert level.safety_stock == 3


def test_a_group_is_saved_with_its_places_and_told(chain: list[Node], at: datetime) -> None:
    group = NodeGroup(code="EAST", name="华东")
    ledger.save_node_group(group=group, nodes=chain[:2], actor="", at=at)
    ledger.save_node_group(group=group, nodes=chain[1:3], actor="", at=at)
    assert set(group.nodes.all()) == set(chain[1:3])
    assert told() == [("stock.rules_changed", "group=EAST")] * 2


def test_alarms_know_what_is_stale_and_what_is_at_its_safety_stock(at: datetime) -> None:
    node = make_node()
    fine = make_level(node, make_sku(), on_hand=10, safety_stock=3, fresh_until=at + timedelta(seconds=1))
    at_safety = make_level(node, make_sku(), on_hand=10, held=7, safety_stock=3, fresh_until=at)
    shared = make_level(node, make_sku(), on_hand=10, share_percent=30, safety_stock=4)
    make_level(node, make_sku(), on_hand=0)
    assert set(queries.below_safety(Level.objects.all())) == {at_safety, shared}
    assert list(queries.stale_levels(at=at)) == [at_safety]
    free = queries.with_free(Level.objects.order_by("id")).values_list("free", flat=True)
    assert list(free) == [7, 0, -1, 0]
    assert fine.sellable(at) == 7
