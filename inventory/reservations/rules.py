"""Who gets what of scarce stock, decided with plain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Want:
    """One bill (a fulfilment order number) wants `quantity` units of one SKU at one node."""

    bill: str
    node_id: int
    sku_id: int
    quantity: int


Place = tuple[int, int]  # node_id, sku_id
Demand = dict[str, dict[Place, int]]  # bill -> place -> units


def demand_of(wants: Iterable[Want]) -> Demand:
    """Wants summed per bill and place, bills in the order first seen. Raises ValueError for a quantity below 1."""
    demand: Demand = {}
    for want in wants:
        if want.quantity < 1:
            raise ValueError(f"{want.bill} wants {want.quantity} units")
        places = demand.setdefault(want.bill, {})
        place = (want.node_id, want.sku_id)
        places[place] = places.get(place, 0) + want.quantity
    return demand


def choose(demand: Demand, free: Mapping[Place, int]) -> list[str]:
    """The bills that fit entirely, first come first served; a bill that does not fit takes nothing."""
    left = dict(free)
    winners: list[str] = []
    for bill, places in demand.items():
        if all(left.get(place, 0) >= quantity for place, quantity in places.items()):
            for place, quantity in places.items():
                left[place] -= quantity
            winners.append(bill)
    return winners


def total_of(demand: Demand, bills: Sequence[str]) -> dict[Place, int]:
    """Units per place that some bills want together."""
    total: dict[Place, int] = {}
    for bill in bills:
        for place, quantity in demand[bill].items():
            total[place] = total.get(place, 0) + quantity
    return total
