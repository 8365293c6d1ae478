"""What a case comes to: the plan of every order, to the fen, and why not otherwise. Pure."""

from collections.abc import Sequence
from typing import Any

from orders.routing.batch import Move, route_batch
from orders.routing.case import BATCH, Case
from orders.routing.market import OpenOrder, Placement
from orders.routing.rules import Decision, decide, decided_as
from orders.routing.telling import explain

KEPT = "现有安排今天已不可行，保持不动"


def verdict(case: Case) -> dict[str, Any]:
    """The answer as plain values, with codes instead of numbers; the same case always gets the same answer."""
    told = Telling(case)
    return told.batch() if case.method == BATCH else told.each()


class Telling:
    """One case while it is answered: what is left goes down as orders take it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.stock, self.remaining = dict(case.stock), dict(case.remaining)
        self.prices: dict[str, Any] = {
            "scarcity": {(node, sku): fen for sku, here in case.prices.units.items() for node, fen in here.items()},
            "work_prices": case.prices.works,
        }
        self.owner = {node.node_id: node.dealer_id for node in case.places}

    def each(self) -> dict[str, Any]:
        """One order after the other, each for itself on what those before have left."""
        answers = []
        for asked in self.case.orders:
            decision = decide(
                asked.order,
                self.case.table,
                self.stock,
                ladder=asked.ladder,
                refused=asked.refused,
                at=self.case.at,
                remaining=self.remaining,
                **self.prices,
            )
            self._take(asked, _placements(decision), 1)
            answers.append(self._told(asked, decision))
        return self._all(answers)

    def batch(self) -> dict[str, Any]:
        """All together. Each order's trace is told on what the others have left it."""
        case = self.case
        has_prices = bool(case.prices.units or case.prices.works)
        done = route_batch(
            case.orders,
            case.table,
            case.stock,
            remaining=case.remaining,
            terms=case.terms,
            effort=case.effort,
            prices=case.prices if has_prices else None,
        )
        ends = {placed.order_id: placed.placements for placed in done.placed}
        relaxed = {placed.order_id for placed in done.placed if placed.is_relaxed}
        for asked in case.orders:
            self._take(asked, asked.current, -1)
            self._take(asked, ends.get(asked.order.order_id, asked.current), 1)
        answers = [
            self._told_as(asked, ends.get(asked.order.order_id, asked.current), is_relaxed=asked.order.order_id in relaxed)
            for asked in case.orders
        ]
        weighed = {"first_come_fen": done.first_come_fen, "total_fen": done.total_fen}
        return self._all(answers) | {"weighed": weighed, "moves": [self._moved(move) for move in done.moves]}

    def _told_as(self, asked: OpenOrder, placements: Sequence[Placement], *, is_relaxed: bool) -> dict[str, Any]:
        """A plan of the batch as a decision; what stands where it could not be put today has no cost."""
        self._take(asked, placements, -1)
        try:
            decision = decided_as(
                asked.order,
                self.case.table,
                self.stock,
                {each.node_id: each.line_indexes for each in placements},
                ladder=asked.ladder,
                refused=asked.refused,
                remaining=self.remaining,
                **self.prices,
                is_relaxed=is_relaxed,
            )
        except ValueError:
            places, order_no = self._places(placements), asked.order.order_no
            return {"order_no": order_no, "is_routable": True, "cost_fen": None, "packages": places, "reasons": [KEPT]}
        finally:
            self._take(asked, placements, 1)
        return self._told(asked, decision)

    def _told(self, asked: OpenOrder, decision: Decision) -> dict[str, Any]:
        packages = []
        for package in decision.packages:
            told = package.as_dict() | {"dealer": self.case.dealers.get(package.dealer_id or 0)}
            del told["node_id"]
            packages.append(told)
        placed = {index for package in decision.packages for index in package.line_indexes}
        return {
            "order_no": asked.order.order_no,
            "is_routable": decision.is_routable,
            "cost_fen": decision.cost_fen,
            "split_fee_fen": decision.cost_fen - sum(package.cost_fen for package in decision.packages),
            "runner_up_fen": decision.runner_up_fen,
            "ladder_step": decision.ladder_step,
            "terms": decision.on_terms(),
            "packages": packages,
            "unfilled": [index for index in range(len(asked.order.lines)) if index not in placed],
            "reasons": list(decision.reasons),
            "told": explain(decision.trace, [package.as_dict() for package in decision.packages], decision.on_terms()),
            "trace": [entry | {"dealer": self.case.dealers.get(entry["dealer"])} for entry in decision.trace],
        }

    def _all(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        cost = sum(answer["cost_fen"] or 0 for answer in answers)
        return {"method": self.case.method, "cost_fen": cost, "orders": answers}

    def _moved(self, move: Move) -> dict[str, Any]:
        numbers = {asked.order.order_id: asked.order.order_no for asked in self.case.orders}
        return {
            "order_no": numbers[move.order_id],
            "before": self._places(move.before),
            "after": self._places(move.after),
            "gain_fen": move.gain_fen,
            "displaced": [numbers[order_id] for order_id in move.displaced],
            "made_way_for": numbers[move.made_way_for] if move.made_way_for is not None else None,
            "scarcity_fen": move.scarcity_fen,
        }

    def _places(self, placements: Sequence[Placement]) -> list[dict[str, Any]]:
        return [{"node": self.case.nodes[each.node_id], "lines": list(each.line_indexes)} for each in placements]

    def _take(self, asked: OpenOrder, placements: Sequence[Placement], times: int) -> None:
        """Count a plan off what is left; −1 times puts it back."""
        for placement in placements:
            dealer_id = self.owner[placement.node_id]
            if dealer_id in self.remaining:
                self.remaining[dealer_id] -= times
            for line in (asked.order.lines[index] for index in placement.line_indexes):
                if line.is_counted:
                    key = (placement.node_id, line.sku_id)
                    self.stock[key] = self.stock.get(key, 0) - line.quantity * times


def _placements(decision: Decision) -> list[Placement]:
    return [Placement(package.node_id, package.line_indexes) for package in decision.packages]
