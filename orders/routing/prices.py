"""What is scarce, and how dear taking it is: a few rounds of offer and demand. Pure."""

from collections.abc import Callable, Sequence

from orders.routing.market import Lot
from orders.routing.shelves import FullShelves, Prices, Shelves

ROUNDS = 6
FIRST_STEP_FEN, LAST_STEP_FEN = 4000, 200
FORECAST_PERCENT = 80  # of a forecast price pays best, measured

UnitPrices = dict[tuple[int, int], float]  # by SKU and node
WorkPrices = dict[int, float]


def scarcity_prices(
    lots: Sequence[Lot], shelves: Shelves, *, keeps_going: Callable[[], bool] = lambda: True, rounds: int = ROUNDS
) -> Prices:
    """Prices at which the orders, each for itself, about share what there is.

    The lots have been ranked on these shelves, which are full. In each round every order chooses on
    them at the prices of the round before. What is wanted more often than it is there gets dearer by
    the share that is missing, at most by one step; what is left over gets cheaper. Steps fall from 40
    to 2 yuan; the prices are the mean of the last half of the rounds. May stop after any order: then
    the rounds so far count.
    """
    units: UnitPrices = {}
    works: WorkPrices = {}
    kept: list[tuple[UnitPrices, WorkPrices]] = []
    priced = FullShelves.like(shelves)
    for number in range(rounds):
        priced.prices = _mean([(units, works)])
        wanted: dict[tuple[int, int], int] = {}
        asked: dict[int, int] = {}
        for lot in lots:
            if not keeps_going():
                return _mean(kept[-max(1, rounds // 2) :])
            for mask, node_id, dealer_id, _ in priced.cheapest(lot)[1]:
                asked[dealer_id] = asked.get(dealer_id, 0) + 1
                for sku_id, count in lot.needs_of(mask):
                    wanted[sku_id, node_id] = wanted.get((sku_id, node_id), 0) + count
        step = FIRST_STEP_FEN * (LAST_STEP_FEN / FIRST_STEP_FEN) ** (number / max(1, rounds - 1))
        units = {
            key: price
            for key in wanted.keys() | units.keys()
            if (price := _dearer(units.get(key, 0.0), wanted.get(key, 0), shelves.left[key[0]].get(key[1], 0), step)) > 0
        }
        works = {
            key: price
            for key in asked.keys() | works.keys()
            if (price := _dearer(works.get(key, 0.0), asked.get(key, 0), shelves.room[key], step)) > 0
        }
        kept.append((units, works))
    return _mean(kept[-max(1, rounds // 2) :])


def forecast(days: Sequence[Prices]) -> Prices:
    """The prices to expect from those of some days like it: their mean, and of that 80 per cent."""
    shown = [
        (
            {(sku_id, node_id): float(price) for sku_id, here in day.units.items() for node_id, price in here.items()},
            {dealer_id: float(price) for dealer_id, price in day.works.items()},
        )
        for day in days
    ]
    return _mean(shown, FORECAST_PERCENT / 100)


def _dearer(price: float, wanted: int, there: int, step: float) -> float:
    return price + step * max(-1.0, min(1.0, (wanted - there) / max(1, there)))


def _mean(shown: Sequence[tuple[UnitPrices, WorkPrices]], share: float = 1.0) -> Prices:
    """The mean in whole fen; what costs nothing is left out."""
    part = share / max(1, len(shown))
    units: dict[int, dict[int, float]] = {}
    works: WorkPrices = {}
    for of_units, of_works in shown:
        for (sku_id, node_id), price in of_units.items():
            here = units.setdefault(sku_id, {})
            here[node_id] = here.get(node_id, 0.0) + price * part
        for dealer_id, price in of_works.items():
            works[dealer_id] = works.get(dealer_id, 0.0) + price * part
    whole = {
        sku_id: {node_id: round(price) for node_id, price in sorted(here.items()) if round(price)}
        for sku_id, here in units.items()
    }
    return Prices(whole, {dealer_id: round(price) for dealer_id, price in works.items() if round(price)})
