"""Any sequence of postings, holds, releases, shipments and moves leaves books that agree."""

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement
from inventory.models import Level
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.refusal import Refusal
from tests.conftest import NOON
from tests.make import make_node, make_sku

places = st.integers(0, 3)
bills = st.integers(0, 5)
orders = st.lists(st.tuples(places, st.integers(1, 4)), min_size=1, max_size=3)


class Stock(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.outer = transaction.atomic()
        self.outer.__enter__()
        nodes, skus = [make_node(), make_node()], [make_sku(), make_sku()]
        self.places = [(node.pk, sku.pk) for node in nodes for sku in skus]
        self.keys = 0
        self.shipped: set[str] = set()

    def wants(self, bill: str, order: list[tuple[int, int]]) -> list[Want]:
        return [Want(bill, *self.places[place], quantity) for place, quantity in order]

    def name(self, bill: int) -> str:
        """A bill ships once, so a number that has shipped starts another bill."""
        return f"{bill}-{sum(name.startswith(f'{bill}-') for name in self.shipped)}"

    @rule(place=places, quantity=st.integers(-5, 8).filter(bool))
    def post(self, place: int, quantity: int) -> None:
        self.keys += 1
        row = NewMovement(*self.places[place], "adjustment", quantity, f"k:{self.keys}")
        try:
            assert ledger.post(movements=[row, row], actor="", at=NOON) == 1
        except Refusal:
            assert quantity < 0

    @rule(batch=st.lists(st.tuples(bills, orders), min_size=1, max_size=3))
    def hold(self, batch: list[tuple[int, list[tuple[int, int]]]]) -> None:
        wants = [want for bill, order in batch for want in self.wants(self.name(bill), order)]
        assert reservations.hold(wants=wants, at=NOON) <= {want.bill for want in wants}

    @rule(bill=bills)
    def release(self, bill: int) -> None:
        reservations.release(bills=[self.name(bill)], at=NOON)
        assert reservations.release(bills=[self.name(bill)], at=NOON) == 0

    @rule(bill=bills)
    def consume(self, bill: int) -> None:
        name = self.name(bill)
        if reservations.consume(bills=[name], actor="", at=NOON):
            self.shipped.add(name)
        assert reservations.consume(bills=[name], actor="", at=NOON) == 0

    @rule(bill=bills, order=orders)
    def move(self, bill: int, order: list[tuple[int, int]]) -> None:
        reservations.move(bill=self.name(bill), wants=self.wants(self.name(bill), order), at=NOON)

    @invariant()
    def the_books_agree(self) -> None:
        assert queries.drift() == []
        assert all(0 <= level.held <= level.on_hand for level in Level.objects.all())

    def teardown(self) -> None:
        if hasattr(self, "outer"):
            transaction.set_rollback(True)
            self.outer.__exit__(None, None, None)


@pytest.mark.django_db
def test_the_books_always_agree() -> None:
    run_state_machine_as_test(
        Stock,
        settings=settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )
