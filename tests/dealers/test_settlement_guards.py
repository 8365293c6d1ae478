"""What the database itself refuses, with nobody's help: the same attacks fail alike on SQLite and on PostgreSQL."""

import os
from collections.abc import Callable
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, transaction

from dealers.models import Account, LedgerEntry, LedgerLine, Seal, WorkRefund
from dealers.settlement import guards, queries
from tests.dealers.settlement_world import AFTERWARDS, PAYABLE, books, complete, completed, refund, refunded

Lines = list[tuple[int, int]]  # position in the chart, fen


def write(lines: Lines, *, sealed: bool = True, key: str = "", seal: UUID | None = None) -> LedgerEntry:
    """An entry as the ORM would write it, past the actions."""
    own = UUID(bytes=os.urandom(16))
    fields = {"kind": "attack", "source": "x", "order_no": "x", "effective_at": AFTERWARDS, "posted_at": AFTERWARDS}
    entry = LedgerEntry.objects.create(id=own, seal_id=seal or own, key=key or own.hex, **fields)
    accounts = list(Account.objects.order_by("pk"))
    LedgerLine.objects.bulk_create(
        [LedgerLine(entry=entry, account=accounts[n], amount_fen=fen, component="attack") for n, fen in lines]
    )
    if sealed:
        Seal.objects.bulk_create([Seal(id=own)])
    return entry


def posted() -> LedgerEntry:
    return LedgerEntry.objects.get(key="work.completed:A")


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


ATTACKS: dict[str, Callable[[], object]] = {
    "unbalanced": lambda: write([(0, 5), (1, -4)]),
    "one line": lambda: write([(0, 5)]),
    "no lines": lambda: write([]),
    "zero lines": lambda: write([(0, 0), (1, 0)]),
    "a known key": lambda: write([(0, 5), (1, -5)], key=posted().key),
    "a borrowed seal": lambda: write([(0, 5), (1, -5)], sealed=False, seal=posted().pk),
    "a line more on a sealed entry": lambda: LedgerLine.objects.create(
        entry=posted(), account=Account.objects.all()[0], amount_fen=3, component="attack"
    ),
    "two balanced lines more on a sealed entry": lambda: LedgerLine.objects.bulk_create(
        [LedgerLine(entry=posted(), account=Account.objects.all()[0], amount_fen=fen, component="attack") for fen in (3, -3)]
    ),
    "a seal twice": lambda: Seal.objects.create(id=posted().pk),
    "a seal of no entry": lambda: Seal.objects.create(id=UUID(int=1)),
    "change a line": lambda: LedgerLine.objects.filter(entry=posted()).update(amount_fen=1),
    "change an explanation": lambda: LedgerLine.objects.filter(entry=posted()).update(explain={}),
    "move a line to another account": lambda: LedgerLine.objects.filter(entry=posted()).update(account=Account.objects.all()[0]),
    "delete lines": lambda: LedgerLine.objects.filter(entry=posted())._raw_delete(DEFAULT_DB_ALIAS),
    "change an entry": lambda: LedgerEntry.objects.filter(pk=posted().pk).update(kind="attack"),
    "delete an entry": lambda: LedgerEntry.objects.filter(pk=posted().pk)._raw_delete(DEFAULT_DB_ALIAS),
    "change a seal": lambda: Seal.objects.filter(pk=posted().pk).update(id=UUID(int=1)),
    "delete a seal": lambda: Seal.objects.filter(pk=posted().pk)._raw_delete(DEFAULT_DB_ALIAS),
    "rename an account": lambda: Account.objects.filter(code=PAYABLE).update(code="payable:dealer:thief"),
    "delete an account": lambda: Account.objects.filter(code=PAYABLE)._raw_delete(DEFAULT_DB_ALIAS),
    "change a refund": lambda: WorkRefund.objects.update(amount_fen=1),
    "delete a refund": lambda: WorkRefund.objects.all()._raw_delete(DEFAULT_DB_ALIAS),
    "a negative refund": lambda: WorkRefund.objects.create(
        fo_no="A", refund_key="r9", order_no="x", amount_fen=-1, refunded_at=AFTERWARDS
    ),
    "an upsert": lambda: run(
        "INSERT INTO dealers_workrefund (fo_no, refund_key, order_no, amount_fen, refunded_at) "
        "SELECT fo_no, refund_key, order_no, 1, refunded_at FROM dealers_workrefund WHERE true "
        "ON CONFLICT (fo_no, refund_key) DO UPDATE SET amount_fen = excluded.amount_fen"
    ),
    "bare SQL": lambda: run("UPDATE dealers_ledgerline SET amount_fen = amount_fen + 1"),
    "bare SQL that deletes": lambda: run("DELETE FROM dealers_ledgerline"),
}


@pytest.fixture
def ledger(db: None) -> None:
    complete(completed("A", 100))
    refund(refunded("A", "r1", 5_000))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_an_integrity_error_and_changes_nothing(ledger: None, attack: Callable[[], object]) -> None:
    before = books()
    with pytest.raises(IntegrityError), transaction.atomic():
        attack()
    assert books() == before
    assert queries.faults() == []


@pytest.mark.parametrize("table", [guards.ENTRY, guards.LINE, "dealers_account", "dealers_workrefund"])
def test_replacing_a_row_counts_as_deleting_it(ledger: None, table: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite knows INSERT OR REPLACE")
    before = books()
    with connection.cursor() as cursor:
        was = cursor.execute("PRAGMA recursive_triggers").fetchone()[0]
        cursor.execute("PRAGMA recursive_triggers = ON")  # else SQLite deletes the old row without asking the triggers
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        cursor.execute(f"PRAGMA recursive_triggers = {was}")
    assert books() == before


def test_an_honest_entry_is_let_through(ledger: None) -> None:
    write([(0, 5), (1, -5)])
    write([(0, 3), (0, 4), (1, -7)])
    assert queries.faults() == []


@pytest.mark.parametrize("table", guards.APPEND_ONLY)
def test_no_table_of_the_ledger_is_emptied(ledger: None, table: str) -> None:
    before = books()
    connection.check_constraints()  # PostgreSQL truncates nothing while deferred keys are waiting to be checked
    emptied = f"TRUNCATE {table} CASCADE" if connection.vendor == "postgresql" else f"DELETE FROM {table}"
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(emptied)
    assert books() == before


def test_every_guard_is_there_and_a_missing_one_is_named(db: None) -> None:
    assert guards.missing() == []
    where = f" ON {guards.SEAL}" if connection.vendor == "postgresql" else ""
    run(f"DROP TRIGGER ledger_balances{where}")
    assert guards.missing() == ["ledger_balances"]


def test_guards_that_are_switched_off_are_missing(db: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no switch for triggers")
    run(f"ALTER TABLE {guards.LINE} DISABLE TRIGGER USER")
    assert guards.missing() == ["dealers_ledgerline_no_change", "dealers_ledgerline_no_truncate", "ledger_is_closed"]


def test_taking_the_guards_down_and_up_again_leaves_them_whole(db: None) -> None:
    with connection.cursor() as cursor:
        guards.remove(cursor)
        assert len(guards.missing()) == 12
        guards.remove(cursor)
        guards.install(cursor)
    assert guards.missing() == []


# The next tests commit for good; each begins with the tables that the flush after the one before it left.


@pytest.mark.parametrize("run_number", [1, 2])
def test_what_was_committed_is_cleared_after_the_test_and_the_guards_stand(transactional_db: None, run_number: int) -> None:
    assert LedgerEntry.objects.count() == WorkRefund.objects.count() == Account.objects.count() == 0
    assert guards.missing() == []
    complete(completed("A", 100))
    refund(refunded("A", "r1", 5_000))
    with pytest.raises(IntegrityError, match="append-only"):
        LedgerLine.objects.update(amount_fen=1)
    assert queries.balance_of(PAYABLE) == -50


def test_an_entry_without_its_seal_cannot_be_committed(transactional_db: None) -> None:
    complete(completed("A", 100))
    before = books()
    with pytest.raises(IntegrityError), transaction.atomic():
        write([(0, 5), (1, -5)], sealed=False)
    assert books() == before


def test_a_flush_in_the_middle_of_a_test_leaves_the_guards_standing(transactional_db: None) -> None:
    complete(completed("A", 100))
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)
    assert (LedgerEntry.objects.count(), guards.missing()) == (0, [])
    complete(completed("A", 7))
    with pytest.raises(IntegrityError, match="append-only"):
        Account.objects.update(party="x")
    assert queries.balance_of(PAYABLE) == -7
