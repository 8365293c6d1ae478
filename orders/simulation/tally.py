"""What came out of a replay, counted side by side, in values that JSON keeps. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from oms_project.money import yuan
from orders.lifecycle.rules import OrderToRoute
from orders.simulation.rules import Outcome

OURS = "0"  # stands for HQ's own places among the dealers
SPLIT = "split"


@dataclass(slots=True)
class Tally:
    """One side's figures; money in fen. dealers: [works, cost] by id; provinces: [orders, filled, on time, packages, cost]."""

    orders: int = 0
    filled: int = 0
    packages: int = 0
    split: int = 0
    on_time: int = 0
    refusals: int = 0
    unfilled: int = 0
    cost_fen: int = 0
    compared_fen: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    dealers: dict[str, list[int]] = field(default_factory=dict)
    provinces: dict[str, list[int]] = field(default_factory=dict)

    def add(self, order: OrderToRoute, outcome: Outcome) -> None:
        self.orders += 1
        self.filled += outcome.is_filled
        self.packages += len(outcome.packages)
        self.split += len(outcome.packages) > 1
        self.on_time += outcome.is_filled and outcome.is_on_time
        self.refusals += outcome.refusals
        self.unfilled += outcome.unfilled
        self.cost_fen += outcome.cost_fen
        self.compared_fen += outcome.compared_fen
        if outcome.split_fen:
            self.parts[SPLIT] = self.parts.get(SPLIT, 0) + outcome.split_fen
        for package in outcome.packages:
            for name, fen in package.breakdown.items():
                if fen:
                    self.parts[name] = self.parts.get(name, 0) + fen
            _add(self.dealers, str(package.dealer_id or OURS), 1, package.cost_fen)
        there = (1, outcome.is_filled, outcome.is_filled and outcome.is_on_time, len(outcome.packages), outcome.cost_fen)
        _add(self.provinces, order.division_code[:2], *there)


def _add(counts: dict[str, list[int]], key: str, *values: int) -> None:
    have = counts.setdefault(key, [0] * len(values))
    for index, value in enumerate(values):
        have[index] += int(value)


@dataclass(slots=True)
class Comparison:
    """A side against the rules in force: how many orders go elsewhere, and what it means for those both can serve."""

    moved: int = 0
    both: int = 0
    more_fen: int = 0

    def add(self, live: Outcome, other: Outcome) -> bool:
        """Count an order; True when it goes elsewhere."""
        if live.is_filled and other.is_filled:
            self.both += 1
            self.more_fen += other.compared_fen - live.compared_fen
        is_moved = live.places != other.places
        self.moved += is_moved
        return is_moved


def as_json(tallies: Mapping[str, Tally], comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    return {
        "sides": {side: asdict(tally) for side, tally in tallies.items()},
        "comparisons": {side: asdict(comparison) for side, comparison in comparisons.items()},
    }


def from_json(told: Mapping[str, Any]) -> tuple[dict[str, Tally], dict[str, Comparison]]:
    comparisons = {side: Comparison(**some) for side, some in told["comparisons"].items()}
    return {side: Tally(**some) for side, some in told["sides"].items()}, comparisons


def headline(total: int, comparison: Comparison) -> str:
    """“4,000 单中有 312 单改派，平均每单 +1.20 元”."""
    told = f"{total:,} 单中有 {comparison.moved:,} 单改派"
    if not comparison.both:
        return f"{told}，没有两边都能派出的订单可比"
    return f"{told}，平均每单 {signed(rounded(comparison.more_fen, comparison.both))}"


def saved(comparison: Comparison, whom: str) -> str:
    """What the rules in force save against another side, per order that both can serve."""
    mean = rounded(comparison.more_fen, comparison.both)
    return f"比{whom}平均每单{'多花' if mean < 0 else '省'} {yuan(abs(mean))}（{comparison.both:,} 单可比）"


def rounded(fen: int, count: int) -> int:
    """fen ÷ count, half away from zero."""
    if not count:
        return 0
    half = (2 * abs(fen) + count) // (2 * count)
    return half if fen >= 0 else -half


def signed(fen: int) -> str:
    return f"{'+' if fen > 0 else ''}{yuan(fen)}"


def percent(part: int, whole: int) -> str:
    """One decimal, exact; nothing of nothing is a dash."""
    if not whole:
        return "—"
    tenths = (2000 * part + whole) // (2 * whole)
    return f"{tenths // 10}.{tenths % 10}%"


def told_places(outcome: Outcome, names: Mapping[int, str]) -> str:
    """Where an order went, for people."""
    places = "、".join(dict.fromkeys(names.get(package.node_id, package.node) for package in outcome.packages))
    if not outcome.packages:
        return "派不出"
    return f"{places}（缺 {outcome.unfilled} 件）" if outcome.unfilled else places
