"""Fen arithmetic: every amount is an integer number of fen (分), every rate an exact rational.

The rounding and splitting rules are the arithmetic contract of the settlement design:
round half away from zero, split by largest remainder. No float ever enters.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

Rate = Fraction | Decimal | int


def round_half_up(value: Fraction) -> int:
    """The nearest integer to an exact rational; a half goes away from zero, also for negatives."""
    doubled = abs(value) * 2
    magnitude = (doubled.numerator // doubled.denominator + 1) // 2
    return magnitude if value >= 0 else -magnitude


def share_of(amount_fen: int, percent: Rate) -> int:
    """`percent` per cent of an amount in fen, rounded once, half up."""
    return round_half_up(Fraction(amount_fen) * Fraction(percent) / 100)


def allocate(total_fen: int, weights: Sequence[int]) -> list[int]:
    """Split a total by weights so that the parts sum to it exactly (largest remainder).

    Spare fen go to the largest fractional remainders, ties to the earlier position. The sign of
    the total is put back at the end; weights that are all zero count as equal. Raises ValueError
    for no weights or a negative weight.
    """
    if not weights or min(weights) < 0:
        raise ValueError("weights must be a non-empty sequence of non-negative integers")
    if not any(weights):
        weights = [1] * len(weights)
    whole, magnitude = sum(weights), abs(total_fen)
    parts = [magnitude * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(magnitude * weights[i] % whole), i))
    for i in by_remainder[: magnitude - sum(parts)]:
        parts[i] += 1
    return parts if total_fen >= 0 else [-part for part in parts]


def yuan(amount_fen: int) -> str:
    """An amount as people read it: 123456 fen is '1,234.56 元'."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100:,}.{abs(amount_fen) % 100:02d} 元"
