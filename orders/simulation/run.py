"""A simulation under way: every side replayed group by group, counted, and able to go on from where it was. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from oms_project.refusal import Refusal
from orders.rulesets.rules import RuleBook
from orders.simulation.rules import Change, Due, Outcome, Side, Stage, replay
from orders.simulation.tally import Comparison, Tally, as_json, from_json, told_places

SHOWN = 200  # characters of where an order went


class RulesChanged(Refusal):
    """A draft was edited between two pieces of one simulation, so that they do not belong together."""


class Difference(NamedTuple):
    """An order that goes elsewhere under the draft."""

    position: int
    order_no: str
    region: str
    before: str
    after: str
    before_fen: int | None
    after_fen: int | None


@dataclass(slots=True)
class Run:
    """All sides at the same point of time; `done` orders are behind. `books` tell by which rules."""

    groups: Sequence[Sequence[Due]]
    stages: Mapping[Side, Stage]
    changes: Sequence[Change]
    names: Mapping[int, str]
    books: str = ""
    tallies: dict[str, Tally] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    next_group: int = 0
    done: int = 0

    @property
    def total(self) -> int:
        return sum(map(len, self.groups))

    def step(self, least: int) -> list[Difference]:
        """Replay the next orders, at least so many unless there are fewer; returns those that differ."""
        differences: list[Difference] = []
        ends = min(self.total, self.done + least)
        while self.done < ends:
            differences += self._group(self.groups[self.next_group])
        return differences

    def _group(self, group: Sequence[Due]) -> list[Difference]:
        stages = self.stages
        found = {Side.LIVE: replay(stages[Side.LIVE], group, self.changes)}
        found[Side.DRAFT] = replay(stages[Side.DRAFT], group, self.changes, stages[Side.LIVE].table)
        for side in (Side.NEAREST, Side.FIRST_COME):
            found[side] = replay(stages[side], group, self.changes)
        for side, outcomes in found.items():
            tally = self.tallies.setdefault(side.value, Tally())
            for due, outcome in zip(group, outcomes, strict=True):
                tally.add(due.order, outcome)
        moved = []
        for side in (Side.DRAFT, Side.NEAREST, Side.FIRST_COME):
            comparison = self.comparisons.setdefault(side.value, Comparison())
            for number, (due, live, other) in enumerate(zip(group, found[Side.LIVE], found[side], strict=True), start=1):
                if comparison.add(live, other) and side is Side.DRAFT:
                    moved.append(self._difference(self.done + number, due, live, other))
        self.next_group += 1
        self.done += len(group)
        return moved

    def _difference(self, position: int, due: Due, live: Outcome, draft: Outcome) -> Difference:
        return Difference(
            position,
            due.order.order_no,
            due.region[:60],
            told_places(live, self.names)[:SHOWN],
            told_places(draft, self.names)[:SHOWN],
            live.compared_fen if live.packages else None,
            draft.compared_fen if draft.packages else None,
        )

    def result(self) -> dict[str, Any]:
        return as_json(self.tallies, self.comparisons)

    def checkpoint(self) -> dict[str, Any]:
        """Everything that another worker needs to go on."""
        return {
            "books": self.books,
            "stages": {side.value: stage.state() for side, stage in self.stages.items()},
            "result": self.result(),
        }

    def restore(self, checkpoint: Mapping[str, Any], done: int) -> None:
        """Go on after `done` orders. Raises RulesChanged."""
        if not checkpoint:
            return
        if checkpoint["books"] != self.books:
            raise RulesChanged("规则在模拟期间被修改，请重新模拟")
        while self.done < done:
            self.done += len(self.groups[self.next_group])
            self.next_group += 1
        last = self.groups[self.next_group - 1][0].at
        for side, stage in self.stages.items():
            stage.restore(checkpoint["stages"][side.value], last)
        self.tallies, self.comparisons = from_json(checkpoint["result"])


def print_of(*books: RuleBook) -> str:
    """The same for the same rules only, in any process."""
    told = json.dumps([asdict(book) for book in books], sort_keys=True, default=_plain)
    return sha256(told.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)
