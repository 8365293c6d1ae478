"""Orders replayed in the order of time on stock as it was, under one way of deciding or another.

Nobody is asked anything: whether a dealer would say yes is drawn from its estimate by a seed, the
same draw for every way of deciding. Answers come at once, so that the clock of the offers does not
count. Pure: the same question always gets the same answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from dealers.capacity.rules import Counted, DealerDay
from inventory.reservations.rules import Demand, Grant, Shelf
from orders.dispatch.rules import decide_whole, next_rung
from orders.lifecycle.rules import OrderToRoute
from orders.routing.batch import QUICK, route_batch
from orders.routing.market import OpenOrder
from orders.routing.partition import indexes_of
from orders.routing.plans import Extras, Load, Stock, kept_together, units_of
from orders.routing.rules import Decision, Package, RoutingTable, Rung, decide, decided_as
from orders.routing.table import NO_TEMPLATE, Candidate, risk_fen
from orders.rulesets.rules import SHANGHAI
from orders.scarcity.rules import NOTHING_SCARCE, Scarcity

TOGETHER = timedelta(seconds=2)  # orders that come within this are decided together
MOST_TOGETHER = 100
_SCALE = 10**9
Place = tuple[int, int]  # node_id, sku_id
Ladders = Callable[[str], tuple[Rung, ...]]


class Side(StrEnum):
    """One way of deciding. FIRST_COME: by the rules in force, each order for itself; NEAREST: by distance alone."""

    DRAFT = "draft"
    LIVE = "live"
    NEAREST = "nearest"
    FIRST_COME = "first_come"


@dataclass(frozen=True, slots=True)
class Due:
    """An order and when it came."""

    order: OrderToRoute
    at: datetime
    region: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to stock apart from the orders that are replayed: `units` more of it, or less.

    With a lock, the units are the lock's; units None: the lock ends, and what it has left is free.
    """

    at: datetime
    place: Place
    units: int | None
    lock_no: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order. Lines that nobody took are in no package, their pieces in unfilled.

    cost_fen is by the rules decided with, split fees included; compared_fen by the rules in force.
    """

    packages: tuple[Package, ...]
    cost_fen: int
    split_fen: int
    compared_fen: int
    is_on_time: bool
    refusals: int
    unfilled: int

    @property
    def is_filled(self) -> bool:
        return bool(self.packages) and not self.unfilled

    @property
    def places(self) -> frozenset[tuple[int, tuple[int, ...]]]:
        """Where it went, whatever the order of the packages."""
        return frozenset((package.node_id, package.line_indexes) for package in self.packages)


@dataclass(slots=True)
class Piece:
    """Some lines of an order at a place, their stock taken; package None: nobody does them."""

    indexes: tuple[int, ...]
    order: OrderToRoute
    package: Package | None
    step: int
    grants: list[Grant]


@dataclass(slots=True)
class Stage:
    """One side as it stands: its stock, its dealers' days, what they won this month, and its table of this hour."""

    side: Side
    base: RoutingTable
    opening: Shelf
    capacity: Mapping[int, DealerDay]
    ladder_for: Ladders
    seed: int
    has_refusals: bool
    won: Mapping[int, int]
    scarce: Scarcity = NOTHING_SCARCE
    shelf: Shelf = field(init=False)
    table: RoutingTable = field(init=False)
    allowed: dict[int, int] = field(init=False)
    remaining: dict[int, int] = field(init=False)
    wins: dict[int, int] = field(init=False)
    counted: dict[int, int] = field(init=False)
    seen: int = 0
    day: str = ""
    hour: str = ""

    def __post_init__(self) -> None:
        opening = self.opening
        self.shelf = Shelf(dict(opening.free), opening.locks, {number: dict(some) for number, some in opening.locked.items()})
        self.table = self.base
        self.allowed = {dealer_id: day.allowed for dealer_id, day in self.capacity.items()}
        self.remaining, self.wins, self.counted = dict(self.allowed), dict(self.won), {}

    def advance(self, at: datetime, changes: Sequence[Change]) -> None:
        """Come to a moment: stock that moved, a new day's capacity, a new month's shares, another hour of the calendars."""
        while self.seen < len(changes) and changes[self.seen].at <= at:
            self._apply(changes[self.seen])
            self.seen += 1
        local = at.astimezone(SHANGHAI)
        day, hour = f"{local:%Y-%m-%d}", _hour_of(self.base, at)
        if day != self.day:
            if self.day[:7] not in ("", day[:7]):
                self.wins = {}
            if self.day:
                self.allowed = {dealer_id: self._allowed(dealer_id, local.date()) for dealer_id in self.capacity}
                self.remaining = dict(self.allowed)
            self.day = day
        if hour != self.hour:
            self.hour, self.counted = hour, dict(self.wins)
            self._turn(at)

    def _allowed(self, dealer_id: int, today: date) -> int:
        """What a dealer may take today, with what the last day left over."""
        allowed = self.allowed[dealer_id]
        last = Counted(date.fromisoformat(self.day), allowed - self.remaining[dealer_id], allowed)
        return replace(self.capacity[dealer_id], day=today, taken=0, last=last).allowed

    def _turn(self, at: datetime) -> None:
        total = sum(self.counted.values())
        self.table = self.base.moved_to(at, {dealer_id: (wins, total) for dealer_id, wins in self.counted.items()})

    def _apply(self, change: Change) -> None:
        free, place = self.shelf.free, change.place
        if change.units is None:
            free[place] = free.get(place, 0) + self.shelf.locked.get(change.lock_no, {}).pop(place, 0)
        elif change.lock_no:
            units = self.shelf.locked.setdefault(change.lock_no, {})
            units[place] = max(0, units.get(place, 0) + change.units)
        else:
            free[place] = free.get(place, 0) + change.units

    def take(self, order: OrderToRoute, package: Package) -> list[Grant]:
        """Take the goods of a package and a piece of its dealer's day."""
        places: dict[Place, int] = {}
        for index in package.line_indexes:
            line = order.lines[index]
            if line.is_counted:
                place = package.node_id, line.sku_id
                places[place] = places.get(place, 0) + line.quantity
        if package.dealer_id is not None and package.dealer_id in self.remaining:
            self.remaining[package.dealer_id] -= 1
        return self.shelf.take(order.order_no, Demand("offer", order.claims, places)) or []

    def give_back(self, piece: Piece) -> None:
        """What somebody refused is there again for others."""
        for grant in piece.grants:
            if grant.drawn:
                self.shelf.locked[grant.lock_no][grant.place] += grant.drawn
            self.shelf.free[grant.place] += grant.quantity - grant.drawn
        if piece.package and piece.package.dealer_id in self.remaining:
            self.remaining[piece.package.dealer_id] += 1

    def accepts(self, order_id: int, dealer_id: int) -> bool:
        """Whether a dealer would say yes to this order; p / (1 − p) as routing's own risk has it."""
        if not self.has_refusals:
            return True
        odds_against = risk_fen(_SCALE, *self.base.answers.get(dealer_id, (0, 0)))
        drawn = int.from_bytes(blake2b(f"{self.seed}:{order_id}:{dealer_id}".encode(), digest_size=8).digest())
        return drawn * (_SCALE + odds_against) < _SCALE << 64

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on from here, as JSON."""
        free = [[*place, units] for place, units in self.shelf.free.items() if self.opening.free.get(place) != units]
        locked = [[number, *place, units] for number, some in self.shelf.locked.items() for place, units in some.items()]
        counts = {name: list(map(list, getattr(self, name).items())) for name in ("allowed", "remaining", "wins", "counted")}
        return {"free": free, "locked": locked, "seen": self.seen, "day": self.day, "hour": self.hour, **counts}

    def restore(self, state: Mapping[str, Any], at: datetime) -> None:
        """Go on from a state; `at` is the last moment that was replayed."""
        self.shelf.free.update({(node_id, sku_id): units for node_id, sku_id, units in state["free"]})
        for number, node_id, sku_id, units in state["locked"]:
            self.shelf.locked.setdefault(number, {})[node_id, sku_id] = units
        kept = {(number, node_id, sku_id) for number, node_id, sku_id, _ in state["locked"]}
        for number, some in self.shelf.locked.items():
            for place in [place for place in some if (number, *place) not in kept]:
                del some[place]
        self.seen, self.day, self.hour = state["seen"], state["day"], state["hour"]
        for name in ("allowed", "remaining", "wins", "counted"):
            setattr(self, name, dict(state[name]))
        self._turn(at)


def bursts(dues: Sequence[Due]) -> Iterator[list[Due]]:
    """Orders that came together, in the order of time."""
    group: list[Due] = []
    for due in dues:
        if group and (due.at - group[0].at > TOGETHER or len(group) == MOST_TOGETHER):
            yield group
            group = []
        group.append(due)
    if group:
        yield group


def replay(stage: Stage, group: Sequence[Due], changes: Sequence[Change], yardstick: RoutingTable | None = None) -> list[Outcome]:
    """Decide orders that came together, ask whom they would be offered to, and go on until somebody says yes.

    `yardstick` has the rules in force as they are at that moment, for another side's compared_fen.
    """
    stage.advance(group[0].at, changes)
    planned = _plans(stage, [due.order for due in group])
    pieces = [_pieces(stage, due.order, *plan) for due, plan in zip(group, planned, strict=True)]
    return [_answered(stage, due, some, yardstick) for due, some in zip(group, pieces, strict=True)]


Planned = tuple[tuple[Package, ...], int, list[list[Grant]]]


def _plans(stage: Stage, orders: Sequence[OrderToRoute]) -> list[Planned]:
    """Packages with the rung they are on and the stock that they took, for each order."""
    if len(orders) > 1 and stage.side in (Side.DRAFT, Side.LIVE):
        return _together(stage, orders)
    found = []
    for order in orders:
        stock = stage.shelf.view(order.claims)
        if stage.side is Side.NEAREST:
            packages, step = nearest(order, stage.table, stock, stage.remaining, stage.ladder_for(order.channel))
        else:
            decision = _decide(stage, order, stock)
            packages, step = decision.packages, decision.ladder_step
        found.append(_taken(stage, order, packages, step))
    return found


def _taken(stage: Stage, order: OrderToRoute, packages: tuple[Package, ...], step: int) -> Planned:
    return packages, step, [stage.take(order, package) for package in packages]


def _decide(stage: Stage, order: OrderToRoute, stock: Stock) -> Decision:
    ladder = stage.ladder_for(order.channel)
    scarce = stage.scarce
    return decide(
        order,
        stage.table,
        stock,
        ladder=ladder,
        at=stage.table.at,
        remaining=stage.remaining,
        scarcity=scarce.units,
        work_prices=scarce.works,
    )


def _together(stage: Stage, orders: Sequence[OrderToRoute]) -> list[Planned]:
    """A burst as dispatch decides it: everybody at once, buyers with the same locks among themselves."""
    by_claims: dict[tuple[str, ...], list[OrderToRoute]] = {}
    for order in orders:
        by_claims.setdefault(stage.shelf.lock_nos(order.claims), []).append(order)
    found: dict[int, Planned] = {}
    for members in by_claims.values():
        view = stage.shelf.view(members[0].claims)
        areas = {(each.division_code, each.channel) for each in members}
        nodes = {node for area in areas for node in stage.table.candidates(*area)}
        skus = {line.sku_id for each in members for line in each.lines if line.is_counted}
        stock = {(node, sku): view.get((node, sku), 0) for node in nodes for sku in skus}
        asked = [OpenOrder(each, stage.ladder_for(each.channel)) for each in members]
        batch = route_batch(asked, stage.table, stock, remaining=stage.remaining, effort=QUICK, prices=stage.scarce.prices)
        for order, placed in zip(members, batch.placed, strict=True):
            places = {each.node_id: each.line_indexes for each in placed.placements}
            decision = decided_as(
                order,
                stage.table,
                stage.shelf.view(order.claims),
                places,
                ladder=stage.ladder_for(order.channel),
                remaining=stage.remaining,
                scarcity=stage.scarce.units,
                work_prices=stage.scarce.works,
                is_relaxed=placed.is_relaxed,
            )
            found[order.order_id] = _taken(stage, order, decision.packages, decision.ladder_step)
    return [found[order.order_id] for order in orders]


def _pieces(
    stage: Stage, order: OrderToRoute, packages: tuple[Package, ...], step: int, grants: Sequence[list[Grant]]
) -> list[Piece]:
    if not packages:
        return [Piece(tuple(range(len(order.lines))), order, None, step, [])]
    return [
        Piece(
            package.line_indexes,
            replace(order, lines=tuple(order.lines[index] for index in package.line_indexes)),
            package,
            step,
            taken,
        )
        for package, taken in zip(packages, grants, strict=True)
    ]


def _answered(stage: Stage, due: Due, pieces: Sequence[Piece], yardstick: RoutingTable | None) -> Outcome:
    """The order once everybody has answered."""
    refusals = sum(_ask(stage, piece) for piece in pieces)
    order, terms = due.order, stage.table.terms_for(due.order)
    packages = tuple(_paid(piece.package, piece.indexes) for piece in pieces if piece.package)
    split_fen = terms.split_fee_fen * max(0, len(packages) - 1)
    cost_fen = sum(package.cost_fen for package in packages) + split_fen
    for package in packages:
        if package.dealer_id is not None:
            stage.wins[package.dealer_id] = stage.wins.get(package.dealer_id, 0) + 1
    return Outcome(
        packages=packages,
        cost_fen=cost_fen,
        split_fen=split_fen,
        compared_fen=cost_fen if yardstick is None else compared(order, packages, yardstick, cost_fen),
        is_on_time=bool(packages) and all(package.days <= terms.promise.days for package in packages),
        refusals=refusals,
        unfilled=sum(line.quantity for piece in pieces if piece.package is None for line in piece.order.lines),
    )


def _paid(package: Package, indexes: tuple[int, ...]) -> Package:
    """A package of these lines of the order at what it really costs: a scarcity price chooses, but nobody pays it."""
    scarce = package.breakdown.get("scarcity", 0)
    parts = package.breakdown | {"scarcity": 0} if scarce else package.breakdown
    return replace(package, line_indexes=indexes, cost_fen=package.cost_fen - scarce, breakdown=parts)


def _ask(stage: Stage, piece: Piece) -> int:
    """Offer a piece of work until somebody takes it, as dispatch does; returns how many said no or nothing."""
    refused: set[int] = set()
    asked: dict[int, int] = {}
    while piece.package and piece.package.dealer_id is not None:
        dealer_id, order = piece.package.dealer_id, piece.order
        if stage.accepts(order.order_id, dealer_id):
            break
        refused.add(dealer_id)
        asked[piece.step] = asked.get(piece.step, 0) + 1
        stage.give_back(piece)
        piece.grants = []
        ladder = next_rung(stage.ladder_for(order.channel), asked)
        if stage.side is Side.NEAREST:
            stock, out = stage.shelf.view(order.claims), frozenset(refused)
            packages, piece.step = nearest(order, stage.table, stock, stage.remaining, ladder, out, is_whole=True)
        else:
            decision = decide_whole(
                order, stage.table, stage.shelf, ladder, frozenset(refused), stage.scarce, stage.remaining, stage.table.at
            )
            packages, piece.step = decision.packages, decision.ladder_step
        piece.package = packages[0] if packages else None
        if piece.package:
            piece.grants = stage.take(order, piece.package)
    return len(refused)


def nearest(
    order: OrderToRoute,
    table: RoutingTable,
    stock: Stock,
    remaining: Mapping[int, int],
    ladder: Sequence[Rung],
    refused: frozenset[int] = frozenset(),
    *,
    is_whole: bool = False,
) -> tuple[tuple[Package, ...], int]:
    """How shops route without an objective: each line from the nearest place that has it, on the first rung that has all.

    What must stay together does, and what takes no stock goes along. Returns the packages (none if a
    line is nowhere) and the rung. is_whole: all lines from one place.
    """
    terms = table.terms_for(order)
    open_to = [
        each
        for each in table.considered(order.division_code, order.channel, terms)
        if each.fence is None and each.node.dealer_id not in refused and remaining.get(each.node.dealer_id or 0, 1) > 0
    ]
    open_to.sort(key=lambda each: (each.km, each.node.node_id))
    load = _load(order, table, stock, kept_together(order.lines, terms))
    able = [(each, load.full ^ load.missing(each)[0]) for each in open_to]
    counted_first = sorted(range(len(load.units)), key=lambda unit: not load.needs[unit])
    wanted = [load.full] if is_whole else [1 << unit for unit in counted_first]
    targets: set[str] = set()
    for rung in ladder:
        if rung.target not in targets:
            targets.add(rung.target)
            if held := _nearest_of([each for each in able if each[0].target in targets], load, wanted):
                return tuple(_package(load, each, mask) for each, mask in held), rung.position
    return (), 0


def _nearest_of(able: Sequence[tuple[Candidate, int]], load: Load, wanted: Sequence[int]) -> list[tuple[Candidate, int]]:
    """The nearest place for each mask that is wanted, put together by place; nothing if one has none."""
    held: dict[int, tuple[Candidate, int]] = {}
    for bits in wanted:
        goes_along = not any(load.needs[unit] for unit in indexes_of(bits))
        for each, mask in sorted(able, key=lambda one: one[0].node.node_id not in held) if goes_along and held else able:
            wider = held.get(each.node.node_id, (each, 0))[1] | bits
            if mask & bits == bits and load.fits(each, wider):
                held[each.node.node_id] = each, wider
                break
        else:
            return []
    return list(held.values())


def compared(order: OrderToRoute, packages: Sequence[Package], table: RoutingTable, otherwise_fen: int) -> int:
    """What packages decided by other rules would cost by these; `otherwise_fen` where these have no price for a place."""
    terms = table.terms_for(order)
    by_node = {each.node.node_id: each for each in table.considered(order.division_code, order.channel, terms)}
    load = _load(order, table, {})
    total = terms.split_fee_fen * max(0, len(packages) - 1)
    for package in packages:
        candidate = by_node.get(package.node_id)
        if candidate is None or candidate.text == NO_TEMPLATE:
            return otherwise_fen
        total += sum(load.breakdown(candidate, sum(1 << index for index in package.line_indexes)).values())
    return total


def _load(order: OrderToRoute, table: RoutingTable, stock: Stock, together: Sequence[Sequence[int]] = ()) -> Load:
    return Load(order.lines, units_of(len(order.lines), together), stock, Extras(ageing=table.ageing), 0)


def _package(load: Load, candidate: Candidate, mask: int) -> Package:
    parts, node = load.breakdown(candidate, mask), candidate.node
    return Package(node.node_id, node.dealer_id, load.lines_of(mask), sum(parts.values()), parts, candidate.days, node.code)


def _hour_of(table: RoutingTable, at: datetime) -> str:
    """What a table depends on of the time: nothing, the day and the cut-offs passed, or the hour where shares are agreed."""
    local, book = at.astimezone(SHANGHAI), table.book
    if book.quotas:
        return f"{local:%Y-%m-%d %H}"
    if not book.calendars:
        return "always"
    passed = sum(each.cutoff is not None and local.time() >= each.cutoff for each in book.calendars)
    return f"{local:%Y-%m-%d} {passed}"
