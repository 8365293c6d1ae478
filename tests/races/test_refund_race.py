"""Refunds of one piece of work that arrive at once are counted one after another; a posting happens once for all writers."""

from collections.abc import Callable, Iterable
from threading import Barrier
from typing import Any

import pytest

from dealers.models import LedgerEntry, WorkRefund
from dealers.settlement import guards, queries, statements
from tests.dealers.settlement_world import AFTERWARDS, NOVEMBER, PAYABLE, complete, completed, draw, early, refund, refunded
from tests.make import make_dealer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres_only")]
Together = Callable[[int, Callable[[int], Any]], list[Any]]


def test_without_the_lock_two_refunds_each_believe_to_be_the_first(together: Together, monkeypatch: pytest.MonkeyPatch) -> None:
    complete(completed("A", 101))
    insert, both_are_in = statements.insert_refunds, Barrier(2)
    read, both_have_read = queries.accrued_lines, Barrier(2)

    def insert_and_meet(rows: list[statements.RefundRow]) -> set[tuple[str, str]]:
        new = insert(rows)
        both_are_in.wait(20)
        return new

    def read_and_meet(entry_ids: Iterable[int]) -> Any:
        both_have_read.wait(20)
        return read(entry_ids)

    monkeypatch.setattr(statements, "lock_works", lambda fo_nos: None)
    monkeypatch.setattr(queries, "accrued_lines", read_and_meet)
    monkeypatch.setattr(statements, "insert_refunds", insert_and_meet)
    together(2, lambda number: refund(refunded("A", f"r{number}", 3_333)))
    monkeypatch.undo()
    assert queries.balance_of(PAYABLE) == -101 + 34 + 34
    assert queries.faults() == ["冲正与退款不符：A（应 67 分，实 68 分）"]


def test_refunds_at_once_reverse_what_their_sum_asks_for(together: Together) -> None:
    complete(completed("A", 101))
    together(4, lambda number: refund(*(refunded("A", f"r{number}-{part}", 833) for part in range(3))))
    assert queries.balance_of(PAYABLE) == -101 + 101  # 12 × 8.33 = 99.96 of 100.00
    assert (WorkRefund.objects.count(), queries.faults()) == (12, [])


def test_completion_and_refund_at_once_end_as_one_after_the_other(together: Together) -> None:
    fo_nos = [f"W{number}" for number in range(8)]

    def tell(number: int) -> None:
        for fo_no in fo_nos if number % 2 else reversed(fo_nos):
            complete(completed(fo_no, 101)) if number < 2 else refund(refunded(fo_no, "r1", 3_333))

    together(4, tell)
    assert queries.balance_of(PAYABLE) == 8 * (-101 + 34)
    assert (LedgerEntry.objects.count(), queries.faults()) == (16, [])


def test_the_same_batch_by_four_writers_is_posted_once(together: Together) -> None:
    facts = [completed(f"W{number}", 101) for number in range(20)]
    together(4, lambda number: complete(*(facts if number % 2 else reversed(facts))))
    assert (LedgerEntry.objects.count(), queries.balance_of(PAYABLE), queries.faults()) == (20, -2_020, [])


def test_a_statement_drawn_by_four_at_once_is_drawn_once(together: Together) -> None:
    make_dealer("D1")
    complete(completed("A", 100, early(NOVEMBER)))
    drawn = together(4, lambda number: draw(NOVEMBER))
    assert sorted(drawn) == [[], [], [], ["JS202611-D1"]]
    assert (queries.faults(), guards.missing()) == ([], [])
    assert queries.next_period(AFTERWARDS) == (NOVEMBER[1], AFTERWARDS)
