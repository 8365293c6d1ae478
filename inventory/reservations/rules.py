"""Who gets what of scarce stock, decided with plain values."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Place = tuple[int, int]  # node_id, sku_id


@dataclass(frozen=True, slots=True)
class Want:
    """One bill (a fulfilment order, a transfer …) wants `quantity` units of one SKU at one node.

    `kind` is a Reservation.Kind. `claims` are the locks' claims ("live:…", "shop:…/…", "channel:…")
    that this buyer may draw from, before it takes what is open to everybody.
    """

    bill: str
    node_id: int
    sku_id: int
    quantity: int
    kind: str = "node"
    claims: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        return (self.node_id, self.sku_id)


@dataclass(slots=True)
class Demand:
    """All that one bill wants, summed per place."""

    kind: str
    claims: tuple[str, ...]
    places: dict[Place, int]


Demands = dict[str, Demand]


@dataclass(frozen=True, slots=True)
class Grant:
    """Units of one place that a bill gets; `drawn` of them out of the lock `lock_no`."""

    bill: str
    place: Place
    quantity: int
    kind: str
    lock_no: str = ""
    drawn: int = 0


def demands_of(wants: Iterable[Want]) -> Demands:
    """Wants summed per bill and place, bills in the order first seen; a bill has the kind and claims of its first want.

    Raises ValueError for a quantity below 1.
    """
    demands: Demands = {}
    for want in wants:
        if want.quantity < 1:
            raise ValueError(f"{want.bill} wants {want.quantity} units")
        place = (want.node_id, want.sku_id)
        demand = demands.get(want.bill)
        if demand is None:
            demands[want.bill] = Demand(want.kind, want.claims, {place: want.quantity})
        else:
            demand.places[place] = demand.places.get(place, 0) + want.quantity
    return demands


@dataclass(slots=True)
class Shelf:
    """What may be promised at some moment: units open to everybody, and units kept by locks.

    `locks` maps a claim to its lock numbers, the first to draw from first; `locked` maps a lock
    number to its units per place. Free units may be negative where rules were tightened after promising.
    """

    free: dict[Place, int]
    locks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    locked: dict[str, dict[Place, int]] = field(default_factory=dict)

    def view(self, claims: Iterable[str]) -> "Mapping[Place, int] | Claimed":
        """Units per place for a buyer with these claims; `.get(place, 0)` answers."""
        mine = self.lock_nos(claims)
        return Claimed(self, mine) if mine else self.free

    def lock_nos(self, claims: Iterable[str]) -> tuple[str, ...]:
        if not self.locks:
            return ()
        return tuple(number for claim in claims for number in self.locks.get(claim, ()) if number in self.locked)

    def take(self, bill: str, demand: Demand) -> list[Grant] | None:
        """All that a bill wants, counted off; None, and nothing counted, when some of it is not there.

        At each place the bill draws from the first of its locks that has something there, and takes the rest from what is free.
        """
        view, mine = self.view(demand.claims), self.lock_nos(demand.claims)
        if any(view.get(place, 0) < quantity for place, quantity in demand.places.items()):
            return None
        grants = []
        for place, quantity in demand.places.items():
            number = next((each for each in mine if self.locked[each].get(place, 0) > 0), "")
            drawn = min(quantity, self.locked[number][place]) if number else 0
            if drawn:
                self.locked[number][place] -= drawn
            self.free[place] = self.free.get(place, 0) - (quantity - drawn)
            grants.append(Grant(bill, place, quantity, demand.kind, number, drawn))
        return grants


@dataclass(frozen=True, slots=True)
class Claimed:
    """A shelf as the owner of some locks sees it."""

    shelf: Shelf
    lock_nos: tuple[str, ...]

    def get(self, place: Place, default: int = 0) -> int:
        """What is free there plus what the first of the own locks with units there holds."""
        free = self.shelf.free.get(place)
        if free is None:
            return default
        locked = next((units for number in self.lock_nos if (units := self.shelf.locked[number].get(place, 0)) > 0), 0)
        return max(0, free + locked)


def choose(demands: Demands, shelf: Shelf) -> list[Grant]:
    """What each bill gets that fits entirely, first come first served; a bill that does not fit takes nothing."""
    grants: list[Grant] = []
    for bill, demand in demands.items():
        grants += shelf.take(bill, demand) or ()
    return grants


@dataclass(frozen=True, slots=True)
class Swap:
    """Bills that give up all they hold so that these wants are held instead: all of it or nothing."""

    bills: tuple[str, ...]
    wants: tuple[Want, ...]


def choose_swaps(
    swaps: Sequence[Swap], held: Mapping[str, Mapping[Place, int]], shelf: Shelf, fresh: Collection[Place]
) -> list[bool]:
    """Which swaps fit, in the order given, each on what those before it left; counted off the shelf.

    `held` has the units of each bill. What is given up is open to everybody, also what came out of a
    lock; at a place that is not fresh it helps nobody. A swap whose bill holds nothing does not fit.
    """
    fits = []
    for swap in swaps:
        before = dict(shelf.free), {number: dict(units) for number, units in shelf.locked.items()}
        for bill in swap.bills:
            for place, units in held.get(bill, {}).items():
                if place in fresh:
                    shelf.free[place] += units
        demands = demands_of(swap.wants).items()
        is_whole = all(held.get(bill) for bill in swap.bills)
        fits.append(is_whole and all(shelf.take(bill, demand) is not None for bill, demand in demands))
        if not fits[-1]:
            shelf.free, shelf.locked = before
    return fits


def draws_of(grants: Sequence[Grant]) -> dict[tuple[str, Place], int]:
    """How many units leave each lock per place."""
    draws: dict[tuple[str, Place], int] = {}
    for grant in grants:
        if grant.drawn:
            key = (grant.lock_no, grant.place)
            draws[key] = draws.get(key, 0) + grant.drawn
    return draws


@dataclass(frozen=True, slots=True)
class Block:
    """Units of one place that are to be kept from sale; the same key again is a repetition."""

    key: str
    node_id: int
    sku_id: int
    quantity: int

    @property
    def place(self) -> Place:
        return (self.node_id, self.sku_id)

    @property
    def bill(self) -> str:
        return f"block:{self.key}"


def judge_blocks(blocks: Iterable[Block], left: Mapping[Place, int], blocked: Collection[str]) -> list[str]:
    """Why each block cannot be, in the order given, empty when it can; `left` are the units nobody holds.

    Safety stock may be blocked. What is among the `blocked` bills is a repetition.
    """
    rest, seen, problems = dict(left), set(blocked), []
    for block in blocks:
        problem = ""
        if block.quantity < 1:
            problem = "暂不可用的数量必须大于 0"
        elif block.bill not in seen:
            if rest.get(block.place, 0) < block.quantity:
                problem = f"未被预占的库存不足 {block.quantity}，请先释放或改派"
            else:
                rest[block.place] -= block.quantity
                seen.add(block.bill)
        problems.append(problem)
    return problems
