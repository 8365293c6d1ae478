"""What is left of stock and of the dealers' capacity, and the cheapest plan for an order on that. Pure.

Prices say how dear it is to take what is scarce. While shelves have prices, plans are chosen and
counted with them; the cost of a parcel itself stays what the package costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from orders.routing.market import OURS, Lot, Needs, Parcel, Plan, Ranking, Spot, has_all
from orders.routing.partition import BEYOND, EXACT_UNITS, UNREACHABLE, Offers, best_by_place, cheapest_partition, indexes_of

ANY_NUMBER = 1 << 40
Choice = tuple[int, Spot]  # what it costs with prices, and the place
Choose = Callable[[Ranking, Needs, int], Choice | None]  # the last: a cost at which nobody cares any more


@dataclass(frozen=True, slots=True)
class Prices:
    """Scarcity prices in fen: of a unit, by SKU and node, and of a piece of a dealer's work."""

    units: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    works: Mapping[int, int] = field(default_factory=dict)

    def of(self, node_id: int, dealer_id: int, needs: Needs) -> int:
        """What a package pays on top of its cost."""
        price = self.works.get(dealer_id, 0)
        for sku_id, units in needs:
            here = self.units.get(sku_id)
            if here:
                price += here.get(node_id, 0) * units
        return price


class Shelves:
    """Stock by SKU and node, and room by dealer, going down while orders are placed."""

    def __init__(
        self,
        left: dict[int, dict[int, int]],
        room: dict[int, int],
        *,
        rung_fen: int,
        prices: Prices | None = None,
    ) -> None:
        self.left, self.room, self.rung_fen, self.prices = left, room, rung_fen, prices

    @classmethod
    def like(cls, other: "Shelves", prices: Prices | None = None) -> Self:
        """The same goods, to be emptied separately, with other prices."""
        left = {sku_id: dict(here) for sku_id, here in other.left.items()}
        return cls(left, dict(other.room), rung_fen=other.rung_fen, prices=prices)

    def take(self, lot: Lot, plan: Plan, times: int = 1) -> None:
        """Count a plan off the shelves; −1 times puts it back."""
        for mask, node_id, dealer_id, _ in plan[1]:
            self.room[dealer_id] -= times
            for sku_id, units in lot.needs_of(mask):
                here = self.left[sku_id]
                here[node_id] = here.get(node_id, 0) - units * times

    def cheapest(self, lot: Lot) -> Plan:
        """The best plan on what is left."""
        if self.prices is not None:
            return self.plan(lot, self._dearest_aside, lot.limit_fen)
        if not lot.sku_id:
            return self.plan(lot, self._first, lot.limit_fen)
        ranking = lot.rankings[0][1] if lot.rankings else lot.ranked(self, 0)[1]
        here, room, units, limit = self.left[lot.sku_id], self.room, lot.quantity, lot.limit_fen
        for cost, _, node_id, dealer_id in ranking:
            if cost >= limit:
                break
            if here.get(node_id, 0) >= units and room[dealer_id] > 0:
                return cost, ((1, node_id, dealer_id, cost),)
        return lot.unserved

    def plan(self, lot: Lot, choose: Choose, limit: int) -> Plan:
        """The best plan when `choose` says who is the best for each set of units.

        Rungs are tried one after the other while one more may still pay.
        """
        best = lot.unserved
        for rung in range(lot.area.rungs):
            climbed = rung * self.rung_fen
            if climbed >= limit:
                break
            rankings = lot.rankings[rung] if lot.rankings else lot.ranked(self, rung)
            cost, parcels = self._on_rung(lot, rung, rankings, choose, limit - climbed)
            if parcels and cost + climbed < limit:
                limit = cost + climbed
                best = limit, parcels
        return best

    def worth(self, lot: Lot, parcels: Sequence[Parcel]) -> int:
        """What a plan with these parcels costs, with everything a batch weighs."""
        if not parcels:
            return lot.unserved[0]
        total, covered, rung = lot.split_fee_fen * (len(parcels) - 1), 0, 0
        for mask, node_id, dealer_id, cost in parcels:
            total += cost
            covered |= mask
            rung = max(rung, lot.area.rung_of[node_id])
            if self.prices is not None:
                total += self.prices.of(node_id, dealer_id, lot.needs_of(mask))
        return total + rung * self.rung_fen + sum(lot.waived[unit] for unit in indexes_of(lot.full ^ covered))

    def has(self, spot: Spot, needs: Needs) -> bool:
        """Whether a place can do this now."""
        return self.room[spot[3]] > 0 and has_all(self.left, spot[2], needs)

    def _first(self, ranking: Ranking, needs: Needs, limit: int) -> Choice | None:
        left, room = self.left, self.room
        for spot in ranking:
            cost, _, node_id, dealer_id = spot
            if cost >= limit:
                return None
            if room[dealer_id] > 0:
                for sku_id, units in needs:
                    if left[sku_id].get(node_id, 0) < units:
                        break
                else:
                    return cost, spot
        return None

    def _dearest_aside(self, ranking: Ranking, needs: Needs, limit: int) -> Choice | None:
        """As the first, but prices count; of equals the lower code."""
        assert self.prices is not None
        best, found = limit, None
        for spot in ranking:
            if spot[0] > best or spot[0] >= limit:
                break
            if self.has(spot, needs):
                cost = spot[0] + self.prices.of(spot[2], spot[3], needs)
                if cost < best or (cost == best and found is not None and spot[1] < found[1]):
                    best, found = cost, spot
        return (best, found) if found is not None else None

    def _on_rung(self, lot: Lot, rung: int, rankings: list[Ranking], choose: Choose, limit: int) -> Plan:
        """The best plan up to a rung, without what climbing costs; no parcels when there is none."""
        if lot.full == 1:
            found = choose(rankings[1], lot.goods[1][3], limit)
            return (found[0], (_parcel(1, found[1]),)) if found else lot.unserved
        if len(lot.units) > EXACT_UNITS:
            return self._many(lot, rung)
        best: list[int] = [0]
        spots: list[Spot | None] = [None]
        for mask in range(1, len(rankings)):
            found = choose(rankings[mask], lot.goods[mask][3], limit)
            best.append(found[0] if found else UNREACHABLE)
            spots.append(found[1] if found else None)
        total, masks = cheapest_partition(best, lot.split_fee_fen, lot.waived, lot.most_packages)
        if total >= BEYOND:
            return lot.unserved
        parcels = tuple(_parcel(mask, spot) for mask in masks if (spot := spots[mask]) is not None)
        return (total, parcels) if len(parcels) < 2 or not self._overdraws(parcels) else self._by_place(lot, rankings)

    def _overdraws(self, parcels: Sequence[Parcel]) -> bool:
        """Whether a place would pack twice, or a dealer would get more work than there is room for."""
        if len({node_id for _, node_id, _, _ in parcels}) < len(parcels):
            return True
        dealers = [dealer_id for _, _, dealer_id, _ in parcels]
        return any(dealers.count(dealer_id) > max(1, self.room[dealer_id]) for dealer_id in dealers)

    def _by_place(self, lot: Lot, rankings: list[Ranking]) -> Plan:
        """The best plan with one parcel per place at most and no dealer beyond its room, dealer by dealer."""
        offers: dict[int, dict[int, list[tuple[int, int, Parcel]]]] = {}
        for mask in range(1, len(rankings)):
            needs = lot.goods[mask][3]
            for spot in rankings[mask]:
                if self.has(spot, needs):
                    price = self.prices.of(spot[2], spot[3], needs) if self.prices is not None else 0
                    of_node = offers.setdefault(spot[3], {}).setdefault(spot[2], [])
                    of_node.append((mask, spot[0] + price + lot.split_fee_fen, _parcel(mask, spot)))
        by_dealer: dict[int, list[Offers[Parcel]]] = {dealer_id: list(offers[dealer_id].values()) for dealer_id in sorted(offers)}
        best, limit = lot.unserved, lot.limit_fen
        for mask, (cost, parcels) in best_by_place(by_dealer, self.room, lot.most_packages).items():
            total = cost - lot.split_fee_fen + sum(lot.waived[unit] for unit in indexes_of(lot.full ^ mask))
            if parcels and total < limit:
                best, limit = (total, parcels), total
        return best

    def _many(self, lot: Lot, rung: int) -> Plan:
        """Many units: the scarcest first, each where it adds least; or all in one place if that is cheaper.

        Where that takes too many packages, the places that can do most are taken first.
        """
        offers = [
            [spot for spot in lot.ranking_of(1 << unit, rung) if self.has(spot, lot.needs_of(1 << unit))]
            for unit in range(len(lot.units))
        ]
        total, parcels = self._grown(lot, rung, offers)
        if total >= BEYOND and lot.most_packages:
            few = _widest(offers, lot.full, lot.most_packages)
            total, parcels = self._grown(lot, rung, [[spot for spot in spots if spot[2] in few] for spots in offers])
        alone = (self._dearest_aside if self.prices is not None else self._first)(
            lot.ranking_of(lot.full, rung), lot.needs_of(lot.full), total + 1
        )
        if alone:
            return alone[0], (_parcel(lot.full, alone[1]),)
        return (total, parcels) if parcels and total < BEYOND else lot.unserved

    def _grown(self, lot: Lot, rung: int, offers: Sequence[Ranking]) -> Plan:
        """Unit by unit from the offers for each; what nobody can take for less than its worth stays behind."""
        held: dict[int, Parcel] = {}
        costs: dict[int, int] = {}
        left_out = 0
        for unit in sorted(range(len(lot.units)), key=lambda unit: (len(offers[unit]), unit)):
            choice: tuple[int, Parcel, int] | None = None
            for _, _, node_id, dealer_id in sorted(offers[unit], key=lambda spot: spot[1]):
                before = held.get(node_id)
                wider = (before[0] if before else 0) | 1 << unit
                works = sum(parcel[2] == dealer_id for parcel in held.values())
                if not before and (works >= self.room[dealer_id] or len(held) == lot.most_packages):
                    continue
                spot = next((spot for spot in lot.ranking_of(wider, rung) if spot[2] == node_id), None)
                if spot is None or not self.has(spot, lot.needs_of(wider)):
                    continue
                cost = spot[0] + (self.prices.of(node_id, dealer_id, lot.needs_of(wider)) if self.prices is not None else 0)
                added = cost - costs[node_id] if before else cost + (lot.split_fee_fen if held else 0)
                if choice is None or added < choice[0]:
                    choice = added, _parcel(wider, spot), cost
            if choice is None or choice[0] >= lot.waived[unit]:
                left_out += lot.waived[unit]
            else:
                _, parcel, costs[parcel[1]] = choice
                held[parcel[1]] = parcel
        return sum(costs.values()) + lot.split_fee_fen * max(0, len(costs) - 1) + left_out, tuple(held.values())


def _widest(offers: Sequence[Ranking], full: int, most: int) -> set[int]:
    """At most so many places, each the one that can do most of what is left; of equals the lower code."""
    able: dict[tuple[int, int], int] = {}
    for unit, spots in enumerate(offers):
        for spot in spots:
            able[spot[1], spot[2]] = able.get((spot[1], spot[2]), 0) | 1 << unit
    chosen: set[int] = set()
    for _ in range(most if able else 0):
        place = max(sorted(able), key=lambda each: (able[each] & full).bit_count())
        chosen.add(place[1])
        full &= ~able[place]
    return chosen


class FullShelves(Shelves):
    """Shelves from which nobody takes: whoever was ranked on them has the goods and the room."""

    def _first(self, ranking: Ranking, needs: Needs, limit: int) -> Choice | None:
        return (ranking[0][0], ranking[0]) if ranking and ranking[0][0] < limit else None

    def _dearest_aside(self, ranking: Ranking, needs: Needs, limit: int) -> Choice | None:
        assert self.prices is not None
        works = self.prices.works
        prices = [(here, units) for sku_id, units in needs if (here := self.prices.units.get(sku_id))]
        best, found = limit, None
        for spot in ranking:
            cost, _, node_id, dealer_id = spot
            if cost > best or cost >= limit:
                break
            cost += works.get(dealer_id, 0)
            for here, units in prices:
                cost += here.get(node_id, 0) * units
            if cost < best or (cost == best and found is not None and spot[1] < found[1]):
                best, found = cost, spot
        return (best, found) if found is not None else None


def _parcel(mask: int, spot: Spot) -> Parcel:
    return mask, spot[2], spot[3], spot[0]


def fill(
    lots: Sequence[Lot],
    stock: Mapping[tuple[int, int], int],
    remaining: Mapping[int, int] | None,
    *,
    rung_fen: int,
) -> Shelves:
    """The shelves before anybody takes anything. `remaining`: more works a dealer may get; missing: any number."""
    left: dict[int, dict[int, int]] = {sku_id: {} for lot in lots for sku_id, _ in lot.needs_of(lot.full)}
    for (node_id, sku_id), units in stock.items():
        if sku_id in left:
            left[sku_id][node_id] = units
    room = {OURS: ANY_NUMBER}
    for area in {id(lot.area): lot.area for lot in lots}.values():
        for dealer_id in area.dealers:
            room.setdefault(dealer_id, (remaining or {}).get(dealer_id, ANY_NUMBER))
    return Shelves(left, room, rung_fen=rung_fen)
