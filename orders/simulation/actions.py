"""Simulations are asked for, worked on in the background, and called off. They write their own rows and nothing else.

Every step is one transaction that raises the version from the one it had seen (compare-and-swap), so
a worker may be killed anywhere: whoever comes next goes on from the last checkpoint.
"""

import logging
import time
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F

from dealers.models import Staff
from inventory.exchange.adapters import any_file
from oms_project.refusal import NotFound, Refusal, Stale
from orders.intake.models import ChannelAccount
from orders.promise.queries import division_of
from orders.rulesets import queries as rulesets
from orders.simulation import files, queries, statements
from orders.simulation.models import MOST_DIFFERENCES, MOST_ORDERS, Simulation, SimulationDifference
from orders.simulation.run import Difference, Run

log = logging.getLogger("yipan.simulation")

HQ_PLANNERS = frozenset({Staff.Role.ADMIN.value, Staff.Role.OPERATOR.value})
CHUNK = 250  # orders between two checkpoints
WORK_SECONDS = 10.0  # of one call; a longer simulation is gone on with at the next
LEASE = timedelta(seconds=90)
MOST_ROWS = 3 * MOST_ORDERS
_State = Simulation.State


class _Overtaken(Exception):
    """Another worker was faster, or a person called it off."""


@transaction.atomic
def simulate_past(
    *,
    name: str,
    ruleset_id: int,
    since: datetime,
    until: datetime,
    staff: Staff,
    at: datetime,
    channel: str = "",
    most_orders: int = 4_000,
    has_refusals: bool = True,
    seed: int = 1,
) -> Simulation:
    """Ask for past orders to be replayed under a set. Raises NotFound, and Refusal for a period or number out of bounds."""
    if not since < until <= at:
        raise Refusal("订单时间应早于现在，且起在止之前")
    if not 1 <= most_orders <= MOST_ORDERS:
        raise Refusal(f"单数应为 1 到 {MOST_ORDERS:,}")
    asked = {"channel": channel, "placed_from": since, "placed_to": until, "most_orders": most_orders}
    return _queue(name, ruleset_id, staff, at, source=Simulation.Source.PAST, has_refusals=has_refusals, seed=seed, **asked)


@transaction.atomic
def simulate_file(
    *, name: str, ruleset_id: int, body: bytes, staff: Staff, at: datetime, has_refusals: bool = True, seed: int = 1
) -> Simulation:
    """Ask for the orders of a spreadsheet, on the stock of now. Raises NotFound, Unreadable, WrongFile naming the rows."""
    table = any_file.open_table(body, files.header_of)
    columns = files.columns_of(table.header)
    rows = list(islice(table.rows, MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise files.WrongFile(f"文件超过 {MOST_ROWS:,} 行")
    channels = {name: code for code, label in ChannelAccount.Channel.choices for name in (code, label)}
    codes = queries.items_of(files.codes_of(rows, columns)).parts
    known = files.Known(codes, channels, lambda address: division_of(address, at))
    wanted = files.wanted_of(rows, columns, known, MOST_ORDERS)
    asked = {"wanted": wanted, "most_orders": len(wanted), "total": len(wanted)}
    return _queue(name, ruleset_id, staff, at, source=Simulation.Source.FILE, has_refusals=has_refusals, seed=seed, **asked)


def _queue(name: str, ruleset_id: int, staff: Staff, at: datetime, **asked: Any) -> Simulation:
    if staff.role not in HQ_PLANNERS:
        raise NotFound
    draft = rulesets.ruleset(ruleset_id)
    title = name.strip()[:60] or f"模拟 {draft}"[:60]
    return Simulation.objects.create(
        name=title, rule_set=draft, live_set=rulesets.in_force(), created_by=staff, created_at=at, **asked
    )


@transaction.atomic
def cancel(*, simulation_id: int, staff: Staff, at: datetime) -> None:
    """Call a simulation off, whatever its worker is doing. Raises NotFound, and Stale when it has ended already."""
    if staff.role not in HQ_PLANNERS or not Simulation.objects.filter(pk=simulation_id).exists():
        raise NotFound
    ends: dict[str, Any] = {"state": _State.CANCELLED, "finished_at": at, "leased_until": None, "checkpoint": {}}
    still = Simulation.objects.filter(pk=simulation_id, state__in=queries.UNDER_WAY)
    if not still.update(version=F("version") + 1, **ends):
        raise Stale


def work_on_simulations(*, at: datetime) -> int:
    """Replay what waits, for about WORK_SECONDS; returns how many orders were dealt with. One that fails stops no other."""
    started, done = time.monotonic(), 0
    for simulation_id in queries.simulations_to_run(at):
        try:
            done += _work_on(simulation_id, at, started)
        except (_Overtaken, Simulation.DoesNotExist):
            continue
        except (OperationalError, InterfaceError):
            raise
        except Refusal as refusal:
            _fail(simulation_id, refusal.message, at)
        except Exception as error:
            log.exception("simulation %s failed", simulation_id)
            _fail(simulation_id, f"模拟时出错（{type(error).__name__}），请联系管理员", at)
        if time.monotonic() - started >= WORK_SECONDS:
            break
    return done


def _work_on(simulation_id: int, at: datetime, started: float) -> int:
    simulation = Simulation.objects.get(pk=simulation_id)
    if simulation.leased_until is not None and simulation.leased_until > at:
        raise _Overtaken
    _swap(simulation, state=_State.RUNNING, leased_until=at + LEASE)
    run, before = queries.run_of(simulation), simulation.done
    if not run.total:
        _swap(simulation, state=_State.FAILED, problem="没有符合条件的订单", finished_at=at, leased_until=None)
        return 0
    while run.done < run.total:
        differences = run.step(CHUNK)
        passed = time.monotonic() - started
        _keep(simulation, run, differences, at + timedelta(seconds=passed))
        if passed >= WORK_SECONDS:
            break
    if simulation.state == _State.RUNNING:
        _swap(simulation, leased_until=None)
    return run.done - before


@transaction.atomic
def _keep(simulation: Simulation, run: Run, differences: list[Difference], at: datetime) -> None:
    """What was replayed so far; the last time with the result."""
    room = MOST_DIFFERENCES - SimulationDifference.objects.filter(simulation=simulation).count()
    changes: dict[str, Any] = {"done": run.done, "total": run.total}
    if run.done < run.total:
        changes |= {"checkpoint": run.checkpoint(), "leased_until": at + LEASE}
    else:
        changes |= {"checkpoint": {}, "leased_until": None, "state": _State.DONE, "result": run.result(), "finished_at": at}
    _swap(simulation, **changes)
    statements.insert_differences(simulation.pk, differences[: max(0, room)])


def _swap(simulation: Simulation, **changes: Any) -> None:
    """Change the simulation if nobody else did since it was read. Raises _Overtaken."""
    seen = Simulation.objects.filter(pk=simulation.pk, version=simulation.version, state__in=queries.UNDER_WAY)
    if not seen.update(version=simulation.version + 1, **changes):
        raise _Overtaken
    simulation.version += 1
    for name, value in changes.items():
        setattr(simulation, name, value)


@transaction.atomic
def _fail(simulation_id: int, why: str, at: datetime) -> None:
    ends: dict[str, Any] = {"state": _State.FAILED, "problem": why, "finished_at": at, "leased_until": None, "checkpoint": {}}
    Simulation.objects.filter(pk=simulation_id, state__in=queries.UNDER_WAY).update(version=F("version") + 1, **ends)
