"""What is on its way and who gets it when it comes, decided with plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

TRANSFER = "transfer:"  # source keys of goods that a transfer order has sent


def transfer_key(transfer_no: str, sku_code: str) -> str:
    """The source key of one SKU of a transfer on its way."""
    return f"{TRANSFER}{transfer_no}:{sku_code}"


def transfer_of(source_key: str) -> str:
    """The number of the transfer that sent the goods; empty for goods from outside."""
    return source_key.removeprefix(TRANSFER).split(":")[0] if source_key.startswith(TRANSFER) else ""


@dataclass(frozen=True, slots=True)
class NewIncoming:
    """An announcement: so many units of one SKU come to one node on a day (Shanghai)."""

    node_id: int
    sku_id: int
    quantity: int
    expected_on: date
    source_key: str
    note: str = ""

    @property
    def content(self) -> tuple[int, int, int, date]:
        """What a repetition under the same key must repeat."""
        return (self.node_id, self.sku_id, self.quantity, self.expected_on)


@dataclass(frozen=True, slots=True)
class Announced:
    """What became of one announcement; `problem` is Chinese and empty when it stands."""

    source_key: str
    is_new: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What may still be promised on one open delivery."""

    id: int
    expected_on: date
    free: int


def choose(deliveries: Sequence[Delivery], quantity: int) -> list[tuple[Delivery, int]]:
    """The earliest deliveries that together give so many units, with the units of each; empty when they do not suffice."""
    taken, left = [], quantity
    for delivery in sorted(deliveries, key=lambda each: (each.expected_on, each.id)):
        if (units := min(left, delivery.free)) > 0:
            taken.append((delivery, units))
            left -= units
    return taken if left == 0 else []


@dataclass(frozen=True, slots=True)
class Allotted:
    """The first `count` promises get all their units, `units` in sum; the next one gets `part` of its units."""

    count: int
    units: int
    part: int


def allot(promises: Sequence[int], arrived: int, coming: int) -> Allotted:
    """Who of those that were promised units of a delivery gets what has arrived, first come first served.

    Whole promises only, up to the first that does not fit. When what still comes cannot cover the
    promises that are left, the first of them gets the difference at once: nobody else may buy it.
    What is not given is open to everybody. Needs sum(promises) <= arrived + coming.
    """
    count = units = 0
    for quantity in promises:
        if units + quantity > arrived:
            break
        count, units = count + 1, units + quantity
    return Allotted(count, units, max(0, sum(promises[count:]) - coming))
