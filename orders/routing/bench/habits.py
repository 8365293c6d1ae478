"""How shops route without an objective: the nearest place first, or the fewest packages."""

from collections.abc import Callable, Sequence
from itertools import combinations

from orders.routing.batch import Placed, as_placed
from orders.routing.bench.world import World
from orders.routing.market import OURS, BatchTerms, Lot, Parcel, prepare
from orders.routing.shelves import Shelves, fill
from orders.routing.table import RoutingTable

MOST_PACKAGES = 3
Nearby = Sequence[tuple[int, int, int]]  # (km, node id, dealer id), nearest first
Habit = Callable[[Lot, Nearby, Shelves], tuple[Parcel, ...]]


def route(world: World, terms: BatchTerms, habit: Habit) -> list[Placed]:
    """All orders of the day, one after the other, by a habit."""
    lots = prepare(world.orders, world.table, terms)
    shelves = fill(lots, world.stock, world.remaining, rung_fen=terms.rung_fen)
    nearby: dict[tuple[str, str], Nearby] = {}
    for lot in lots:
        key = lot.asked.order.division_code, lot.asked.order.channel
        if key not in nearby:
            nearby[key] = by_distance(world.table, *key)
        parcels = habit(lot, nearby[key], shelves)
        lot.plan = shelves.worth(lot, parcels), parcels
        shelves.take(lot, lot.plan)
    return [as_placed(lot, shelves) for lot in lots]


def nearest_first(lot: Lot, nearby: Nearby, shelves: Shelves) -> tuple[Parcel, ...]:
    """Line by line, each from the nearest place that has it."""
    held: dict[int, int] = {}
    works: dict[int, int] = {}
    for unit in range(len(lot.units)):
        for _, node_id, dealer_id in nearby:
            mask = held.get(node_id, 0) | 1 << unit
            has_room = node_id in held or works.get(dealer_id, 0) < shelves.room[dealer_id]
            if has_room and _can(lot, mask, node_id, shelves):
                works[dealer_id] = works.get(dealer_id, 0) + (node_id not in held)
                held[node_id] = mask
                break
    return _parcels(lot, held)


def fewest_packages(lot: Lot, nearby: Nearby, shelves: Shelves) -> tuple[Parcel, ...]:
    """One place for everything, or else two, or three: of these the nearest together."""
    units = range(len(lot.units))
    able = []
    for km, node_id, dealer_id in nearby:
        mask = sum(1 << unit for unit in units if _can(lot, 1 << unit, node_id, shelves))
        if mask:
            able.append((km, node_id, dealer_id, mask))
    wanted = 0
    for *_, mask in able:
        wanted |= mask
    for count in range(1, min(MOST_PACKAGES, len(lot.units)) + 1) if wanted else ():
        best: tuple[int, dict[int, int]] | None = None
        for places in combinations(able, count):
            km = sum(place[0] for place in places)
            if (best is None or km < best[0]) and (held := _shared(places, wanted, shelves)):
                best = km, held
        if best:
            return _parcels(lot, best[1])
    return nearest_first(lot, nearby, shelves)


def by_distance(table: RoutingTable, division_code: str, channel: str) -> Nearby:
    """The places open to an area, nearest first."""
    open_to = (place for place in table.considered(division_code, channel) if place.fence is None)
    return sorted((place.km, place.node.node_id, place.node.dealer_id or OURS) for place in open_to)


def _shared(places: Sequence[tuple[int, int, int, int]], wanted: int, shelves: Shelves) -> dict[int, int]:
    """The lines among these places, the nearest taking all it can; nothing if they cannot do all."""
    held: dict[int, int] = {}
    dealers = [dealer_id for _, _, dealer_id, _ in places]
    for _, node_id, dealer_id, mask in places:
        if dealers.count(dealer_id) > shelves.room[dealer_id]:
            return {}
        if mask & wanted:
            held[node_id] = mask & wanted
            wanted &= ~mask
    return {} if wanted else held


def _can(lot: Lot, mask: int, node_id: int, shelves: Shelves) -> bool:
    spot = lot.spot(node_id, mask)
    return spot is not None and shelves.has(spot, lot.needs_of(mask))


def _parcels(lot: Lot, held: dict[int, int]) -> tuple[Parcel, ...]:
    spots = ((mask, lot.spot(node_id, mask)) for node_id, mask in held.items())
    return tuple((mask, spot[2], spot[3], spot[0]) for mask, spot in spots if spot is not None)
