"""Post to the stock ledger: the way on_hand changes, apart from shipping what is held."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from inventory.items.models import Sku
from inventory.ledger import statements
from inventory.ledger.models import Level, Movement, Node
from inventory.ledger.rules import NewMovement
from oms_project.events import RoutingChanged, StockArrived
from oms_project.journal import actions as journal
from oms_project.refusal import Refusal


class NotEnoughStock(Refusal):
    """More would leave than stands there and is not promised."""


class KeyReused(Refusal):
    """A source key already names another movement."""


@transaction.atomic
def post(*, movements: Sequence[NewMovement], actor: str, at: datetime) -> int:
    """Post movements, all or none; returns how many were new. A repeated source key changes nothing.

    Stock rows are made when missing. Only the net change of a place counts in one call. Records
    StockArrived per node that rose. Up to 3,000 movements per call. Raises KeyReused and
    NotEnoughStock.
    """
    wanted = _unique(movements)
    if not wanted:
        return 0
    levels = _locked(sorted({movement.place for movement in wanted}))
    known = Movement.objects.filter(source_key__in=[movement.source_key for movement in wanted])
    posted = {key: content for key, *content in known.values_list("source_key", "node_id", "sku_id", "kind", "quantity")}
    fresh = [movement for movement in wanted if movement.source_key not in posted]
    for movement in wanted:
        if posted.get(movement.source_key, list(movement.content)) != list(movement.content):
            raise KeyReused(f"来源键 {movement.source_key} 已用于另一笔出入库")
    if not fresh:
        return 0
    net: dict[tuple[int, int], int] = {}
    for movement in fresh:
        net[movement.place] = net.get(movement.place, 0) + movement.quantity
    for place, units in net.items():
        _, on_hand, held = levels[place]
        if units < 0 and on_hand + units < held:
            raise NotEnoughStock(_shortage(place, on_hand, held, -units))
    if statements.insert_movements(fresh, actor, at) != len(fresh):
        raise KeyReused("来源键已被同时使用，请重试")
    statements.change_on_hand([(levels[place][0], units) for place, units in net.items()])
    risen: dict[int, list[int]] = {}
    for (node_id, sku_id), units in sorted(net.items()):
        if units > 0:
            risen.setdefault(node_id, []).append(sku_id)
    journal.record(*(StockArrived(node_id=node_id, sku_ids=skus) for node_id, skus in risen.items()), actor=actor, at=at)
    return len(fresh)


def _unique(movements: Sequence[NewMovement]) -> list[NewMovement]:
    by_key: dict[str, NewMovement] = {}
    for movement in movements:
        if not movement.quantity:
            raise Refusal("出入库数量不能为 0")
        if by_key.setdefault(movement.source_key, movement).content != movement.content:
            raise KeyReused(f"来源键 {movement.source_key} 在同一批中指向不同内容")
    return list(by_key.values())


def _locked(places: list[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int, int]]:
    levels = statements.lock_places(places)
    if missing := [place for place in places if place not in levels]:
        statements.create_levels(missing)
        levels = statements.lock_places(places)
    return levels


def _shortage(place: tuple[int, int], on_hand: int, held: int, units: int) -> str:
    node, sku = Node.objects.get(pk=place[0]), Sku.objects.get(pk=place[1])
    return f"库存不足：{node.name} 的 {sku.code} 在库 {on_hand}，已预占 {held}，不能减少 {units}"


@transaction.atomic
def set_safety_stock(*, level: Level, safety_stock: int) -> None:
    """Keep back a number of units from sale at one place; touches nothing else of the row."""
    if safety_stock < 0:
        raise Refusal("安全库存不能为负")
    Level.objects.filter(pk=level.pk).update(safety_stock=safety_stock)


@transaction.atomic
def save_node(*, node: Node, actor: str, at: datetime) -> None:
    """Save a place and tell that waiting orders may be routable now."""
    node.save()
    journal.record(RoutingChanged(what=f"node-{node.code}"), actor=actor, at=at)
