"""How to part a set of units into packages at the least cost. Pure; a subset of units is a mask."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

EXACT_UNITS = 8
UNREACHABLE = 1 << 60
BEYOND = UNREACHABLE >> 1  # whatever costs so much has something unreachable in it, whatever the credits
What = TypeVar("What")
Offers = Sequence[tuple[int, int, What]]  # the packages that one place may pack: (mask, price with the split fee, what it is)


def indexes_of(mask: int) -> tuple[int, ...]:
    """The positions of the bits that are set, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


def cheapest_partition(
    best: Sequence[int], split_fee_fen: int, waived: Sequence[int], most: int | None = None
) -> tuple[int, list[int]]:
    """The cheapest way to part a set into packages, and what it costs: O(3^U).

    `best` is the price of one package per mask, the last one being the whole; each package after
    the first costs the fee. `waived` is what it costs to leave a unit out. UNREACHABLE is no way.
    Where the cheapest way takes more than `most` packages, the cheapest with so few: O(most × 3^U).
    """
    # after: the cheapest way when there is a package already; opened: when this mask starts with one
    after, opened, taken, opening = ([0] * len(best) for _ in range(4))
    for mask in range(1, len(best)):
        opened[mask], opening[mask] = cheapest, choice = _opened(mask, best, after)
        left_out = after[mask & mask - 1] + waived[(mask & -mask).bit_length() - 1]
        cheapest += split_fee_fen
        after[mask], taken[mask] = (left_out, 0) if left_out < cheapest else (cheapest, choice)
    total, start = _cheapest_start(opened, waived)
    packages = []
    mask, choice = start, opening[start]
    while mask:
        if choice:
            packages.append(choice)
        mask ^= choice or mask & -mask
        choice = taken[mask]
    if most is not None and len(packages) > most:
        return _few_packages(best, split_fee_fen, waived, most)
    return total, packages


def _opened(mask: int, best: Sequence[int], after: Sequence[int]) -> tuple[int, int]:
    """What a mask costs when its lowest unit is packed, with the package that has it; `after` has what is left."""
    low = mask & -mask
    rest = sub = mask ^ low
    cheapest, choice = best[mask] + after[0], mask
    while sub:
        sub = (sub - 1) & rest
        cost = best[sub | low] + after[rest ^ sub]
        if cost < cheapest:
            cheapest, choice = cost, sub | low
    return cheapest, choice


def _cheapest_start(opened: Sequence[int], waived: Sequence[int]) -> tuple[int, int]:
    """What all costs at best, and the mask at whose lowest unit the first package is; 0 when nothing is packed."""
    total, start, skipped, mask = sum(waived), 0, 0, len(opened) - 1
    while mask:
        if opened[mask] + skipped < total:
            total, start = opened[mask] + skipped, mask
        low = mask & -mask
        skipped += waived[low.bit_length() - 1]
        mask ^= low
    return total, start


def _few_packages(best: Sequence[int], split_fee_fen: int, waived: Sequence[int], most: int) -> tuple[int, list[int]]:
    """As cheapest_partition, layer by layer: what is left costs so much with none, one, two … more packages at most."""
    after = [0]
    for worth in waived:
        after += [before + worth for before in after]
    layers: list[list[int]] = []
    for _ in range(most - 1):
        costs, taken = [0] * len(best), [0] * len(best)
        for mask in range(1, len(best)):
            cheapest, choice = _opened(mask, best, after)
            left_out = costs[mask & mask - 1] + waived[(mask & -mask).bit_length() - 1]
            cheapest += split_fee_fen
            costs[mask], taken[mask] = (left_out, 0) if left_out < cheapest else (cheapest, choice)
        after = costs
        layers.append(taken)
    opened = [(0, 0), *(_opened(mask, best, after) for mask in range(1, len(best)))]
    total, mask = _cheapest_start([cost for cost, _ in opened], waived)
    packages = [opened[mask][1]] if mask else []
    mask ^= opened[mask][1]
    for taken in reversed(layers):
        while mask and not taken[mask]:
            mask &= mask - 1
        if mask:
            packages.append(taken[mask])
            mask ^= taken[mask]
    return total, packages


def best_by_place(
    offers: Mapping[int, Sequence[Offers[What]]], room: Mapping[int, int], most: int | None
) -> dict[int, tuple[int, tuple[What, ...]]]:
    """Per mask the cheapest way to have it with one package per place at most, dealer by dealer: O(places × 3^U).

    `offers` has the places of each dealer, `room` how many packages a dealer may get (missing: any number).
    """
    plans: dict[tuple[int, int], tuple[int, tuple[What, ...]]] = {(0, 0): (0, ())}
    for dealer_id, places in offers.items():
        limit = room.get(dealer_id, len(places))
        is_tight = limit < len(places)
        reached = {(mask, count, 0): plan for (mask, count), plan in plans.items()}
        for of_place in places:
            for (covered, count, works), (cost, taken) in list(reached.items()):
                if count == most or (is_tight and works >= limit):
                    continue
                after = count + (most is not None), works + is_tight
                for mask, price, what in of_place:
                    key = (covered | mask, *after)
                    if not covered & mask and (key not in reached or cost + price < reached[key][0]):
                        reached[key] = cost + price, (*taken, what)
        plans = {}
        for (mask, count, _), plan in reached.items():
            if (mask, count) not in plans or plan[0] < plans[mask, count][0]:
                plans[mask, count] = plan
    best: dict[int, tuple[int, tuple[What, ...]]] = {}
    for (mask, _), plan in plans.items():
        if mask not in best or plan[0] < best[mask][0]:
            best[mask] = plan
    return best
