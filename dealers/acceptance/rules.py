"""How likely a dealer says yes: its answers, each worth half as much after thirty days. Exact integers, no database.

Weights are in thousandths of an answer. p = (yes + 4) / (yes + no + 5.6): the prior, Beta(4, 1.6), says
that a dealer nobody knows accepts 5 times in 7 (design figure, measured against known acceptance rates).
"""

from dataclasses import dataclass
from datetime import date

ONE = 1000
PRIOR_YES, PRIOR_NO = 4 * ONE, 16 * ONE // 10
HALF_LIFE_DAYS = 30
# 2^(32 - d/30) for d = 0 … 29, rounded.
_FACTORS = tuple(round(2 ** (32 - days / HALF_LIFE_DAYS)) for days in range(HALF_LIFE_DAYS))


def decayed(weight: int, days: int) -> int:
    """What a weight is worth some days later, rounded half up; days that have not passed change nothing."""
    if days <= 0:
        return weight
    halvings, rest = divmod(days, HALF_LIFE_DAYS)
    shift = 32 + halvings
    return (weight * _FACTORS[rest] + (1 << (shift - 1))) >> shift


@dataclass(frozen=True, slots=True)
class Answers:
    """A dealer's answers as they weigh on a day."""

    yes: int
    no: int
    as_of: date

    def on(self, day: date) -> "Answers":
        """The same answers as they weigh on another, later day."""
        days = (day - self.as_of).days
        return Answers(decayed(self.yes, days), decayed(self.no, days), max(day, self.as_of))

    def and_also(self, yes: int, no: int, day: date) -> "Answers":
        """With some more answers of a day; answers that come late weigh as if they were of the last day counted."""
        now = self.on(day)
        return Answers(now.yes + yes * ONE, now.no + no * ONE, now.as_of)

    @property
    def permille(self) -> int:
        """The probability of a yes, in thousandths, rounded half up."""
        total = self.yes + self.no + PRIOR_YES + PRIOR_NO
        return (2 * 1000 * (self.yes + PRIOR_YES) + total) // (2 * total)
