"""What a decision saved against the nearest place first, from its own trace. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]


def distance_first_fen(trace: Sequence[Entry], plan: Sequence[Entry], split_fee_fen: int) -> int | None:
    """What the order would have cost with each line from the nearest place that could do it, on the same rungs of the ladder.

    None where the trace does not tell: a place would do only some of the lines that it was priced for.
    """
    rest = {index for package in plan for index in package["lines"]}
    total, packages = 0, 0
    for entry in sorted(filter(_could, trace), key=lambda entry: (entry["km"], entry["node"])):
        mine = rest & set(entry["lines"])
        if mine and len(mine) < len(entry["lines"]):
            return None
        if mine:
            total += entry["cost_fen"]
            packages += 1
            rest -= mine
        if not rest:
            return total + split_fee_fen * (packages - 1)
    return None


def _could(entry: Entry) -> bool:
    return "cost_fen" in entry and "fence" not in entry


@dataclass(slots=True)
class Saved:
    """Orders of one day and channel; cost and nearest count only those that can be compared. Amounts in fen."""

    orders: int = 0
    compared: int = 0
    moved: int = 0
    cost_fen: int = 0
    nearest_fen: int = 0

    @property
    def saved_fen(self) -> int:
        return self.nearest_fen - self.cost_fen

    def add(self, cost_fen: int, nearest_fen: int | None) -> None:
        self.orders += 1
        if nearest_fen is not None:
            self.compared += 1
            self.moved += nearest_fen != cost_fen
            self.cost_fen += cost_fen
            self.nearest_fen += nearest_fen
