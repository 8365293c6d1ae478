"""What the database itself refuses to do to the ledger, alike on SQLite and on PostgreSQL.

Inserting a Seal checks its entry: at least two lines that add up to zero. An entry without a seal
fails the commit (a deferred key in the schema). After that nothing is added, changed or removed:
corrections are new entries. Every refusal reaches Django as IntegrityError.

The triggers go with their tables: a later migration that alters a ledger table calls `remove`
before and `install` after, for SQLite rebuilds the table. Emptying an empty ledger is allowed, so
that test databases can be flushed; a test that has posted clears the ledger between `remove` and `install`.
"""

from typing import Protocol

from django.db import connection

ENTRY, LINE, SEAL = "dealers_ledgerentry", "dealers_ledgerline", "dealers_seal"
APPEND_ONLY = (ENTRY, LINE, SEAL, "dealers_account", "dealers_workrefund")
_WRONG = (
    f"(SELECT COUNT(*) FROM {LINE} WHERE entry_id = NEW.id) < 2 "
    f"OR (SELECT SUM(amount_fen) FROM {LINE} WHERE entry_id = NEW.id) <> 0"
)
_SEALED = f"EXISTS (SELECT 1 FROM {SEAL} WHERE id = NEW.entry_id)"


class Runs(Protocol):
    """A cursor or a schema editor."""

    def execute(self, sql: str) -> object: ...


def _abort(message: str) -> str:
    return f"SELECT RAISE(ABORT, '{message}')"


def _on_sqlite() -> dict[str, str]:
    """Trigger name → statement."""
    made = {
        "ledger_balances": f"BEFORE INSERT ON {SEAL} WHEN {_WRONG} BEGIN {_abort('ledger entry does not balance')}; END",
        "ledger_is_closed": f"BEFORE INSERT ON {LINE} WHEN {_SEALED} BEGIN {_abort('ledger entry is sealed')}; END",
    }
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            made[f"{table}_no_{verb.lower()}"] = f"BEFORE {verb} ON {table} BEGIN {_abort('the ledger is append-only')}; END"
    return {name: f"CREATE TRIGGER {name} {body}" for name, body in made.items()}


def _function(name: str, condition: str, message: str) -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
        f"RAISE EXCEPTION '{message}' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$"
    )


def _on_postgres() -> dict[str, str]:
    """Function or trigger name → statement, functions first. 23514 is check_violation."""
    never = (
        "CREATE FUNCTION ledger_never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = '23514'; END $$"
    )
    unless_empty = (
        "CREATE FUNCTION ledger_unless_empty() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE found_one boolean; BEGIN "
        "EXECUTE 'SELECT EXISTS (SELECT 1 FROM ' || quote_ident(TG_TABLE_NAME) || ')' INTO found_one; IF found_one THEN "
        "RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = '23514'; END IF; RETURN NULL; END $$"
    )
    made = {
        "ledger_balances()": _function("ledger_balances", _WRONG, "ledger entry does not balance"),
        "ledger_is_closed()": _function("ledger_is_closed", _SEALED, "ledger entry is sealed"),
        "ledger_never()": never,
        "ledger_unless_empty()": unless_empty,
    }
    triggers = {
        "ledger_balances": f"BEFORE INSERT ON {SEAL} FOR EACH ROW EXECUTE FUNCTION ledger_balances()",
        "ledger_is_closed": f"BEFORE INSERT ON {LINE} FOR EACH ROW EXECUTE FUNCTION ledger_is_closed()",
    }
    for table in APPEND_ONLY:
        triggers[f"{table}_no_change"] = f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION ledger_never()"
        triggers[f"{table}_no_truncate"] = f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_unless_empty()"
    return made | {name: f"CREATE TRIGGER {name} {body}" for name, body in triggers.items()}


def _table_of(trigger: str) -> str:
    named = {"ledger_balances": SEAL, "ledger_is_closed": LINE}
    return named.get(trigger) or trigger.rpartition("_no_")[0]


def _wanted() -> dict[str, str]:
    return _on_postgres() if connection.vendor == "postgresql" else _on_sqlite()


def install(runs: Runs) -> None:
    """Put the guards up. The migration calls this; so does a test after it cleared the ledger."""
    for statement in _wanted().values():
        runs.execute(statement)


def remove(runs: Runs) -> None:
    """Take the guards down; only a migration and a test's clean-up have a reason to."""
    for name in reversed(_wanted()):
        if name.endswith("()"):
            runs.execute(f"DROP FUNCTION IF EXISTS {name}")
        elif connection.vendor == "postgresql":
            runs.execute(f"DROP TRIGGER IF EXISTS {name} ON {_table_of(name)}")
        else:
            runs.execute(f"DROP TRIGGER IF EXISTS {name}")


def missing() -> list[str]:
    """The triggers that should be there and are not, or are switched off."""
    wanted = {name for name in _wanted() if not name.endswith("()")}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        return sorted(wanted - {name for (name,) in cursor.fetchall()})
