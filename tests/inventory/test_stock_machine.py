"""Any sequence of everything that happens to stock, with crashes between any two statements, leaves books that agree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from inventory.arrivals import actions as arrivals
from inventory.arrivals.rules import NewIncoming
from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement, Report
from inventory.locks import actions as locks
from inventory.models import Level, Reservation, StockLock, StockRule
from inventory.replenishment import actions as replenishment
from inventory.reservations import actions as reservations
from inventory.reservations import queries as promises
from inventory.reservations.rules import Swap, Want
from oms_project.refusal import Refusal
from tests.conftest import NOON
from tests.make import make_node, make_sku

LIVE = "live:S1"
places = st.integers(0, 3)
bills = st.integers(0, 5)
units = st.integers(1, 5)
orders = st.lists(st.tuples(places, units), min_size=1, max_size=3)
crash_after = st.none() | st.integers(0, 6)


class Crash(Exception):
    """The process ends here."""


@contextmanager
def ends_after(statements: int | None) -> Iterator[None]:
    """Nothing is executed any more after so many statements."""
    left = [statements]

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if left[0] is not None:
            if left[0] == 0 and not sql.startswith(("SAVEPOINT", "ROLLBACK", "RELEASE")):
                raise Crash
            left[0] = max(0, left[0] - 1)
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


class Stock(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.outer = transaction.atomic()
        self.outer.__enter__()
        nodes, skus = [make_node(), make_node()], [make_sku(), make_sku()]
        self.nodes, self.skus = nodes, skus
        self.places = [(node.pk, sku.pk) for node in nodes for sku in skus]
        self.clock, self.keys = NOON, 0
        self.shipped: set[str] = set()
        promises.forget()
        for place in self.places:
            ledger.post(movements=[NewMovement(*place, "receipt", 8, f"in:{place}")], actor="", at=NOON)

    def key(self) -> str:
        self.keys += 1
        self.clock += timedelta(seconds=1)
        return f"k{self.keys}"

    def try_to(self, deed: Callable[[], Any], crash: int | None) -> Any:
        """Do it in a transaction of its own, perhaps to the bitter end; refusals and crashes change nothing."""
        promises.forget()
        before = self.figures()
        try:
            with transaction.atomic(), ends_after(crash):
                return deed()
        except (Refusal, Crash):
            assert self.figures() == before
            return None

    def figures(self) -> list[Any]:
        levels = Level.objects.order_by("pk").values_list("pk", "on_hand", "held")
        held = Reservation.objects.filter(state="open").order_by("pk").values_list("pk", "quantity", "level", "kind")
        return [*levels, *held]

    def wants(self, bill: str, order: list[tuple[int, int]], claims: tuple[str, ...] = ()) -> list[Want]:
        return [Want(bill, *self.places[place], quantity, "node", claims) for place, quantity in order]

    def name(self, bill: int) -> str:
        """A bill ships once, so a number that has shipped starts another bill."""
        return f"{bill}-{sum(name.startswith(f'{bill}-') for name in self.shipped)}"

    @rule(place=places, quantity=st.integers(-5, 8).filter(bool), crash=crash_after)
    def post(self, place: int, quantity: int, crash: int | None) -> None:
        row = NewMovement(*self.places[place], "adjustment", quantity, self.key())
        self.try_to(lambda: ledger.post(movements=[row, row], actor="", at=self.clock), crash)

    @rule(place=places, quantity=st.integers(-1, 12), crash=crash_after)
    def count(self, place: int, quantity: int, crash: int | None) -> None:
        row = Report(*self.places[place], quantity, self.clock, self.key())
        self.try_to(lambda: ledger.report(rows=[row], kind="count", actor="", at=self.clock), crash)

    @rule(
        batch=st.lists(st.tuples(bills, orders, st.booleans()), min_size=1, max_size=3), together=st.booleans(), crash=crash_after
    )
    def hold(self, batch: list[tuple[int, list[tuple[int, int]], bool]], together: bool, crash: int | None) -> None:
        wants = [
            want for bill, order, live in batch for want in self.wants(self.name(bill), order, (LIVE,) if live else ())
        ]  # fmt: skip
        held = self.try_to(lambda: reservations.hold(wants=wants, at=self.clock, together=together), crash)
        assert held is None or held <= {want.bill for want in wants}

    @rule(bill=bills, crash=crash_after)
    def release(self, bill: int, crash: int | None) -> None:
        self.try_to(lambda: reservations.release(bills=[self.name(bill)], at=self.clock), crash)

    @rule(bill=bills, crash=crash_after)
    def consume(self, bill: int, crash: int | None) -> None:
        name = self.name(bill)
        if self.try_to(lambda: reservations.consume(bills=[name], actor="", at=self.clock), crash):
            self.shipped.add(name)
            assert reservations.consume(bills=[name], actor="", at=self.clock) == 0

    @rule(bill=bills, order=orders, crash=crash_after)
    def move(self, bill: int, order: list[tuple[int, int]], crash: int | None) -> None:
        wants = self.wants(self.name(bill), order)
        self.try_to(lambda: reservations.move_all(wants=wants, at=self.clock), crash)

    @rule(one=st.tuples(bills, orders), other=st.tuples(bills, orders), live=st.booleans(), crash=crash_after)
    def swap(
        self, one: tuple[int, list[tuple[int, int]]], other: tuple[int, list[tuple[int, int]]], live: bool, crash: int | None
    ) -> None:
        names = {self.name(bill): order for bill, order in (one, other)}
        claims = (LIVE,) if live else ()
        swaps = [Swap((name,), tuple(self.wants(name, order, claims))) for name, order in names.items()]
        self.try_to(lambda: reservations.swap(swaps=swaps, at=self.clock), crash)

    @rule(bill=bills, place=places, quantity=st.integers(0, 4), crash=crash_after)
    def keep(self, bill: int, place: int, quantity: int, crash: int | None) -> None:
        asked = {self.places[place]: quantity}
        self.try_to(lambda: reservations.keep(bill=self.name(bill), quantities=asked, at=self.clock), crash)

    @rule(place=places, quantity=units, crash=crash_after)
    def block(self, place: int, quantity: int, crash: int | None) -> None:
        node_id, sku_id = self.places[place]
        key, soon = self.key(), self.clock + timedelta(seconds=5)
        self.try_to(
            lambda: reservations.block(
                key=key, node_id=node_id, sku_id=sku_id, quantity=quantity, reason="破损", at=self.clock, expires_at=soon
            ),
            crash,
        )

    @rule(crash=crash_after)
    def let_time_pass(self, crash: int | None) -> None:
        self.clock += timedelta(seconds=3)
        self.try_to(lambda: reservations.expire_due(at=self.clock), crash)

    @rule(sku=st.integers(0, 1), quantity=units)
    def wait_for_a_place(self, sku: int, quantity: int) -> None:
        reservations.hold_globally(demands=[(self.key(), self.skus[sku].pk, quantity)], at=self.clock)

    @rule(sku=st.integers(0, 1), amount=units, crash=crash_after)
    def lock(self, sku: int, amount: int, crash: int | None) -> None:
        until = self.clock + timedelta(hours=1)
        now = {"starts_at": self.clock, "ends_at": until, "actor": "", "at": self.clock}

        def begin() -> None:
            lock = locks.plan_lock(name="专场", claim=LIVE, sku_id=self.skus[sku].pk, mode="number", amount=amount, **now)
            locks.start_lock(lock_no=lock.lock_no, actor="", at=self.clock)

        self.try_to(begin, crash)

    @rule(crash=crash_after)
    def fill_locks(self, crash: int | None) -> None:
        self.try_to(lambda: locks.top_up(at=self.clock), crash)

    @rule(crash=crash_after)
    def end_a_lock(self, crash: int | None) -> None:
        if lock := StockLock.objects.filter(state="active").order_by("pk").first():
            self.try_to(lambda: locks.end_lock(lock_no=lock.lock_no, actor="", at=self.clock), crash)

    @rule(place=places, safety=st.integers(0, 3), percent=st.integers(0, 100))
    def change_the_rules(self, place: int, safety: int, percent: int) -> None:
        node_id, sku_id = self.places[place]
        StockRule.objects.filter(node_id=node_id, sku_id=sku_id).delete()
        told = StockRule(name="试", node_id=node_id, sku_id=sku_id, safety_stock=safety, share_percent=percent)
        ledger.save_stock_rule(rule=told, actor="", at=self.clock)
        ledger.apply_stock_rules(at=self.clock)

    @rule(place=places, coming=units, wanted=units, arrives=units, crash=crash_after)
    def presell(self, place: int, coming: int, wanted: int, arrives: int, crash: int | None) -> None:
        key, day = self.key(), self.clock.date() + timedelta(days=3)
        row = NewIncoming(*self.places[place], coming, day, key)
        self.try_to(lambda: arrivals.expect(rows=[row], actor="", at=self.clock), None)
        sku_id = self.places[place][1]
        presale = {"bill": f"presale-{key}", "sku_id": sku_id, "quantity": wanted, "by": None, "at": self.clock}
        self.try_to(lambda: arrivals.promise_presale(**presale), crash)
        receipt = {"source_key": key, "quantity": arrives, "key": f"r{key}", "actor": "", "at": self.clock}
        self.try_to(lambda: arrivals.receive(**receipt), crash)

    @rule(sku=st.integers(0, 1), quantity=units, lost=st.integers(0, 2), crash=crash_after)
    def transfer(self, sku: int, quantity: int, lost: int, crash: int | None) -> None:
        sku_id, number, who = self.skus[sku].pk, f"T{self.key()}", {"actor": "", "at": self.clock}
        ends = {"source_id": self.nodes[0].pk, "target_id": self.nodes[1].pk}

        def go() -> None:
            asked = replenishment.request(transfer_no=number, quantities={sku_id: quantity}, **ends, **who)
            asked = replenishment.approve(transfer_no=number, version=asked.version, **who)
            sent = replenishment.ship(transfer_no=number, version=asked.version, **who)
            got = {sku_id: max(0, quantity - lost)}
            replenishment.receive(
                transfer_no=number, version=sent.version, quantities=got, key=f"c{number}", is_last=True, reason="短少", **who
            )

        self.try_to(go, crash)

    @invariant()
    def the_books_agree(self) -> None:
        assert queries.drift() == []
        assert queries.promise_drift() == []
        assert all(0 <= level.held <= level.on_hand for level in Level.objects.all())

    def teardown(self) -> None:
        if hasattr(self, "outer"):
            transaction.set_rollback(True)
            self.outer.__exit__(None, None, None)


def run(examples: int, steps: int) -> None:
    quiet = settings(deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Stock, settings=settings(quiet, max_examples=examples, stateful_step_count=steps))


@pytest.mark.django_db
def test_the_books_always_agree() -> None:
    run(examples=6, steps=25)


@pytest.mark.slow
@pytest.mark.django_db
def test_the_books_agree_after_long_histories() -> None:
    run(examples=60, steps=40)
