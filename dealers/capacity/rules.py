"""How much work a dealer may get on a day: its capacity, and what earlier days left over. Plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Counted:
    """An earlier day on which work was counted."""

    day: date
    taken: int
    allowed: int


@dataclass(frozen=True, slots=True)
class DealerDay:
    """One dealer on one day: what it may take and has taken. `last` is the latest counted day before."""

    dealer_id: int
    day: date
    capacity: int
    carry_percent: int
    weekdays: str
    taken: int
    last: Counted | None

    @property
    def carried(self) -> int:
        """What earlier days left over, up to `carry_percent` of a day's capacity.

        A day on which nothing was counted left all of it, if the dealer works on such a day. Before
        the first counted day nobody knows, so nothing is carried from there.
        """
        bound = self.capacity * self.carry_percent // 100
        if self.last is None or bound == 0:
            return 0
        left = min(bound, max(0, self.last.allowed - self.last.taken))
        idle = working_days(self.last.day + timedelta(days=1), self.day, self.weekdays)
        return min(bound, left + idle * self.capacity)

    @property
    def allowed(self) -> int:
        return self.capacity + self.carried

    @property
    def left(self) -> int:
        return max(0, self.allowed - self.taken)


def working_days(first: date, until: date, weekdays: str) -> int:
    """How many days from `first` to before `until` are working days; `weekdays` as Dealer has them (1 is Monday)."""
    days = {int(each) for each in weekdays if each in "1234567"}
    weeks, rest = divmod(max(0, (until - first).days), 7)
    return weeks * len(days) + sum((first + timedelta(days=n)).isoweekday() in days for n in range(rest))


def that_fit(slots: Mapping[str, int], left: Mapping[int, int]) -> dict[str, int]:
    """The first pieces of work (bill → dealer) that fit into what their dealers have left."""
    room, fitting = dict(left), {}
    for bill, dealer_id in slots.items():
        if room.get(dealer_id, 0) > 0:
            room[dealer_id] -= 1
            fitting[bill] = dealer_id
    return fitting


def left_of(days: Iterable[DealerDay]) -> dict[int, int]:
    """How many more pieces of work each dealer may get, as a dict of one's own to count off."""
    return {each.dealer_id: each.left for each in days}
