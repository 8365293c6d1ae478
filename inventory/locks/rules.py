"""How the units of stock locks are shared over the places where the goods stand; plain values only.

A place is the id of a stock row. A lock never takes more than is free there; it takes where most
is free first, and gives back where it holds most first, so that no place is emptied while others
have plenty. Every result depends on the figures and ids only, never on the order of the input.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST_MOVES = 5_000  # places changed in one transaction; what is left over follows at the next tick
LOW_PERCENT = 20

_WORD = r"[^\s:/]+"
_CLAIMS = {
    "live": (re.compile(r"live:\S+"), "live:场次号"),
    "shop": (re.compile(rf"shop:{_WORD}/{_WORD}"), "shop:渠道/店铺"),
    "channel": (re.compile(rf"channel:{_WORD}"), "channel:渠道"),
    "campaign": (re.compile(r"campaign:\S+"), "campaign:活动编码"),
}
MOST_OF_A_CLAIM = 80


def claim_fault(claim: str) -> str:
    """What is wrong with the name of a kind of buyer, in Chinese; empty when it is well formed."""
    kind = claim.partition(":")[0]
    if kind not in _CLAIMS:
        return f"“锁给谁”写法不对：{claim or '（空）'}，可用 " + "、".join(shown for _, shown in _CLAIMS.values())
    pattern, shown = _CLAIMS[kind]
    if len(claim) > MOST_OF_A_CLAIM:
        return f"“锁给谁”最多 {MOST_OF_A_CLAIM} 个字符"
    return "" if pattern.fullmatch(claim) else f"“锁给谁”写法不对：{claim}，应为 {shown}"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as sharing needs it. `node_ids` None means every node; `number` orders equals, the oldest first."""

    lock_no: str
    sku_id: int
    is_ratio: bool
    amount: int
    priority: int
    number: int
    node_ids: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """A stock row with units that are free for everybody."""

    node_id: int
    sku_id: int
    free: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a lock has at one place: units it holds now, and units its buyers took from it (and did not give back)."""

    locked: int = 0
    drawn: int = 0

    @property
    def counted(self) -> int:
        return self.locked + self.drawn


Move = tuple[str, int]  # lock_no, level_id
Standings = Mapping[Move, Standing]


def spread(units: int, available: Mapping[int, int]) -> dict[int, int]:
    """Take `units` from places so that what remains is as even as it can be; all there is when that is less.

    The places with most are lowered to one height; of equals the lowest id gives the odd unit. Zeros are left out.
    """
    order = sorted((place for place, there in available.items() if there > 0), key=lambda place: (-available[place], place))
    units = min(max(0, units), sum(available[place] for place in order))
    total = 0
    for count, place in enumerate(order, start=1):
        total += available[place]
        below = available[order[count]] if count < len(order) else 0
        if total - units >= below * count:  # lowering the first `count` to one height gives enough
            height, odd = divmod(total - units, count)
            order = order[:count]
            break
    else:
        return {}
    # `odd` places keep one unit more: the last of the order, so that the first give it
    taken = {each: available[each] - height - (index >= count - odd) for index, each in enumerate(order)}
    return {each: there for each, there in taken.items() if there > 0}


def fill(locks: Iterable[Lock], spots: Mapping[int, Spot], standings: Standings) -> dict[Move, int]:
    """Units that each lock takes at each place now, the highest priority first; at most MOST_MOVES places.

    A number is the total a lock may have, held or drawn. A ratio is that percentage, rounded down,
    of what is free, locked and drawn from locks at each place: what the lock's own buyers take
    does not make its share smaller. Nothing is taken back here.
    """
    free = {level_id: spot.free for level_id, spot in spots.items()}
    at_place, of_lock = _sums(standings)
    gains: dict[Move, int] = {}
    for lock in sorted(locks, key=lambda lock: (-lock.priority, lock.number)):
        reach = {
            level_id: free[level_id]
            for level_id, spot in spots.items()
            if spot.sku_id == lock.sku_id and (lock.node_ids is None or spot.node_id in lock.node_ids)
        }
        if lock.is_ratio:
            taken = {}
            for level_id, there in reach.items():
                share = (max(0, there) + at_place.get(level_id, 0)) * lock.amount // 100
                taken[level_id] = min(there, share - standings.get((lock.lock_no, level_id), Standing()).counted)
        else:
            taken = spread(lock.amount - of_lock.get(lock.lock_no, 0), reach)
        for level_id in sorted(taken, key=lambda level_id: (-taken[level_id], level_id)):
            if taken[level_id] <= 0 or len(gains) == MOST_MOVES:
                break
            gains[(lock.lock_no, level_id)] = taken[level_id]
            free[level_id] -= taken[level_id]
            at_place[level_id] = at_place.get(level_id, 0) + taken[level_id]
    return gains


def wanting(locks: Iterable[Lock], standings: Standings) -> list[Lock]:
    """The locks that may want more, whatever is free: ratios, and numbers that are not complete."""
    _, of_lock = _sums(standings)
    return [lock for lock in locks if lock.is_ratio or of_lock.get(lock.lock_no, 0) < lock.amount]


def within(gains: Mapping[Move, int], free: Mapping[int, int]) -> dict[Move, int]:
    """Gains cut to what is free now, in their order (buyers may have come first)."""
    left, kept = dict(free), {}
    for (lock_no, level_id), units in gains.items():
        units = min(units, max(0, left.get(level_id, 0)))
        if units:
            kept[(lock_no, level_id)] = units
            left[level_id] -= units
    return kept


def surplus(lock: Lock, free: Mapping[int, int], standings: Standings) -> dict[int, int]:
    """Units that a lock holds at each place beyond its amount, as after the amount was lowered.

    `free` are the free units of the places it holds; it matters for a ratio only.
    """
    at_place, of_lock = _sums(standings)
    mine = {level_id: standing.locked for (lock_no, level_id), standing in standings.items() if lock_no == lock.lock_no}
    if not lock.is_ratio:
        return spread(of_lock.get(lock.lock_no, 0) - lock.amount, mine)
    over = {}
    for level_id, locked in mine.items():
        share = (max(0, free.get(level_id, 0)) + at_place[level_id]) * lock.amount // 100
        over[level_id] = min(locked, standings[(lock.lock_no, level_id)].counted - share)
    return {level_id: units for level_id, units in over.items() if units > 0}


def _sums(standings: Standings) -> tuple[dict[int, int], dict[str, int]]:
    at_place: dict[int, int] = {}
    of_lock: dict[str, int] = {}
    for (lock_no, level_id), standing in standings.items():
        at_place[level_id] = at_place.get(level_id, 0) + standing.counted
        of_lock[lock_no] = of_lock.get(lock_no, 0) + standing.counted
    return at_place, of_lock


@dataclass(frozen=True, slots=True)
class Holding:
    """What one lock holds at one place, and when it must give it up: lower release orders first, then lower priorities."""

    lock_no: str
    level_id: int
    units: int
    release_order: int
    priority: int
    number: int


def give_back(shortages: Mapping[int, int], holdings: Sequence[Holding]) -> dict[Move, int]:
    """Units that locks give up where some are lacking (level_id → units); of equals the newest lock gives first."""
    lacking = dict(shortages)
    given: dict[Move, int] = {}
    for each in sorted(holdings, key=lambda each: (each.release_order, each.priority, -each.number, each.level_id)):
        units = min(each.units, lacking.get(each.level_id, 0))
        if units > 0:
            given[(each.lock_no, each.level_id)] = units
            lacking[each.level_id] -= units
    return given


def alarm(safe: int, drawn: int) -> str:
    """How urgent the rest is: "out" with nothing left, "low" below 20 % of what is left and sold together, else "ok"."""
    if safe <= 0:
        return "out"
    return "low" if safe * 100 < LOW_PERCENT * (safe + drawn) else "ok"
