"""Post to the stock ledger: the way on_hand changes, apart from shipping what is held; and say what the pool may use of it.

Stock rows are always locked in the order of their ids. Every row is judged by the pure functions of
rules.py while it is locked, so that the constraint of the table is never what stops a posting.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError

from inventory.ledger import queries, statements
from inventory.ledger.hierarchy import owner_problem, parent_problem
from inventory.ledger.models import (
    Incoming,
    Level,
    Movement,
    Node,
    NodeGroup,
    Ownership,
    StockCheck,
    StockDrift,
    StockRepair,
    StockRule,
)
from inventory.ledger.rules import (
    MOST_ROWS,
    MOST_UNITS,
    WAYS,
    NewMovement,
    Place,
    Report,
    RowResult,
    Standing,
    judge_movements,
    judge_repair,
    judge_reports,
    movement_problem,
    printable,
    report_problem,
)
from inventory.ledger.shares import RuleBook, Scope
from oms_project.events import RoutingChanged, StockArrived, StockRulesChanged, StockShort
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound, Refusal

KINDS = frozenset(Movement.Kind.values)
CHUNK = 2_000
ACTOR = "system:stock-rules"
AUDIT_EVERY = timedelta(hours=1)
_LEASE = timedelta(minutes=10)  # after which a check that did not end is begun anew
_MOST_HOURS = 24 * 366


class NotEnoughStock(Refusal):
    """More would leave than stands there and is not promised, or more would come than a place can hold."""


class KeyReused(Refusal):
    """A source key already names another movement."""


class WrongRule(Refusal):
    """A stock rule that contradicts itself or keeps to no bounds."""


class WrongParent(Refusal):
    """A node would stand under itself, or under a node of a lower kind."""


class WrongOwner(Refusal):
    """A node of this kind must have a dealer, or must not have one."""


class InUse(Refusal):
    """Stock, orders or locks speak of it, so that it cannot be deleted."""


class CannotRepair(Refusal):
    """The figure cannot be set to what explains it without breaking another one."""


_CAUSES: dict[str, type[Refusal]] = {"key": KeyReused, "stock": NotEnoughStock}


@transaction.atomic
def post(*, movements: Sequence[NewMovement], actor: str, at: datetime) -> int:
    """Post movements, all or none; returns how many were new. A repeated source key changes nothing.

    Stock rows are made when missing. Only the net change of a place counts in one call. Records
    StockArrived per node that rose. Raises Refusal for a row that makes no sense, KeyReused and NotEnoughStock.
    """
    results = _post(movements, actor, at, together=True)
    return sum(result.code == "done" for result in results)


@transaction.atomic
def post_rows(*, movements: Sequence[NewMovement], actor: str, at: datetime) -> list[RowResult]:
    """Post each movement or refuse it in words, in the order given: a bad row does not block the others.

    Up to 5,000 rows per call, with the same four statements as `post`, nine when stock rows are made.
    """
    if len(movements) > MOST_ROWS:
        raise Refusal(f"一次最多 {MOST_ROWS:,} 行")
    return _post(movements, actor, at, together=False)


def _post(movements: Sequence[NewMovement], actor: str, at: datetime, *, together: bool) -> list[RowResult]:
    """Judge and write; with `together` the first refusal is raised."""
    shelf = _locked({row.place for row in movements if not movement_problem(row, KINDS)})
    known = statements.read_posted([row.source_key for row in movements if row.place in shelf]) if shelf else {}
    results = judge_movements(movements, KINDS, shelf, known, together=together)
    if together:
        for result in results:
            if result.code == "refused":
                raise _CAUSES.get(result.cause, Refusal)(result.message)
    fresh = [row for row, result in zip(movements, results, strict=True) if result.code == "done"]
    if fresh:
        _write([(row, at) for row in fresh], actor)
        net = _net((row.place, row.quantity) for row in fresh)
        statements.change_on_hand([(shelf[place].level_id, units) for place, units in net.items()])
        _tell_arrived((place for place, units in net.items() if units > 0), actor, at)
    return results


def _locked(places: Collection[Place]) -> dict[Place, Standing]:
    """Stock rows of places, locked; made when missing, with what the rules say. Unknown nodes and SKUs are left out.

    A rule that is saved at the same moment may miss a new row; the hourly tick brings it in.
    """
    wanted = sorted(places)
    shelf = statements.lock_places(wanted) if wanted else {}
    missing = [place for place in wanted if place not in shelf]
    if not missing:
        return shelf
    spots = statements.read_spots(missing)
    if counted := {place: spot for place, spot in spots.items() if spot.is_counted}:
        book = queries.rules_at(list(counted))
        statements.create_levels([(place, book.effective(spot)) for place, spot in sorted(counted.items())])
        shelf = statements.lock_places(wanted)
    return shelf | {place: Standing(spot, 0, 0, 0, None, None) for place, spot in spots.items() if not spot.is_counted}


def _write(movements: Sequence[tuple[NewMovement, datetime]], actor: str) -> None:
    if movements and statements.insert_movements(movements, actor) != len(movements):
        raise KeyReused("来源键已被同时使用，请重试")


def _net(changes: Iterable[tuple[Place, int]]) -> dict[Place, int]:
    net: dict[Place, int] = {}
    for place, units in changes:
        net[place] = net.get(place, 0) + units
    return net


def _tell_arrived(places: Iterable[Place], actor: str, at: datetime) -> None:
    """Record StockArrived per node."""
    risen: dict[int, list[int]] = {}
    for node_id, sku_id in sorted(places):
        risen.setdefault(node_id, []).append(sku_id)
    journal.record(*(StockArrived(node_id=node_id, sku_ids=skus) for node_id, skus in risen.items()), actor=actor, at=at)


@transaction.atomic
def report(*, rows: Sequence[Report], kind: str, actor: str, at: datetime) -> list[RowResult]:
    """Take over what somebody counted (kind report or count), row by row: a bad row does not block the others.

    A figure was true at its measured_at, so its movement is dated then, and what moved later is kept.
    Nobody's promise is taken back: where fewer units stand than are promised, on_hand falls to held,
    the row is "short" and StockShort tells how many are lacking. A confirmed place is fresh again.
    Records StockArrived for nodes where stock rose or is sold again. Up to 5,000 rows per call:
    six statements of its own, eleven when stock rows are made, two when nothing is new.
    """
    if kind not in {Movement.Kind.REPORT, Movement.Kind.COUNT}:
        raise Refusal(f"未知的上报类别：{kind}")
    if len(rows) > MOST_ROWS:
        raise Refusal(f"一次最多 {MOST_ROWS:,} 行")
    sound = [(position, row) for position, row in enumerate(rows) if not report_problem(row, at)]
    shelf = _locked({row.place for _, row in sound})
    asked = [(position, *row.place, min(row.measured_at, at), row.source_key) for position, row in sound if row.place in shelf]
    later, known = statements.read_reported(asked) if asked else ({}, {})
    results = judge_reports(rows, kind, shelf, known, later, at)
    taken = [(row, result) for row, result in zip(rows, results, strict=True) if result.code in {"done", "short"}]
    if taken:
        _take_over(taken, kind, shelf, actor, at)
    return results


def _take_over(
    taken: Sequence[tuple[Report, RowResult]], kind: str, shelf: dict[Place, Standing], actor: str, at: datetime
) -> None:
    moved = [(row, result.units) for row, result in taken if result.units]
    _write(
        [
            (NewMovement(*row.place, kind, units, row.source_key, row.told), min(row.measured_at, at))  # fmt: skip
            for row, units in moved
        ],
        actor,
    )
    net = _net((row.place, result.units) for row, result in taken)
    reported = {row.place: min(row.measured_at, at) for row, _ in taken}
    book = queries.rules_at(list(net))
    fresh_until = {place: book.effective(shelf[place].spot).fresh_until(when) for place, when in reported.items()}
    statements.confirm([(shelf[place].level_id, units, reported[place], fresh_until[place]) for place, units in net.items()])
    revived = [place for place in net if _is_stale(shelf[place].fresh_until, at) and not _is_stale(fresh_until[place], at)]
    _tell_arrived({*(place for place, units in net.items() if units > 0), *revived}, actor, at)
    lacking = [
        StockShort(
            node_id=row.node_id,
            node=shelf[row.place].spot.node,
            sku_id=row.sku_id,
            sku_code=shelf[row.place].spot.sku,
            lacking=result.lacking,
            source=row.source_key,
        )
        for row, result in taken
        if result.lacking
    ]
    journal.record(*lacking, actor=actor, at=at)


def _is_stale(fresh_until: datetime | None, at: datetime) -> bool:
    return fresh_until is not None and fresh_until <= at


@transaction.atomic
def save_stock_rule(*, rule: StockRule, actor: str, at: datetime) -> None:
    """Save a rule; the levels it speaks of, and those it spoke of before, follow. Raises WrongRule."""
    if problem := _rule_problem(rule):
        raise WrongRule(problem)
    was = StockRule.objects.select_for_update().filter(pk=rule.pk).first() if rule.pk else None
    rule.save()
    scopes = dict.fromkeys(queries.scope_of(known) for known in (was, rule) if known is not None)
    journal.record(*(StockRulesChanged(what=str(scope)) for scope in scopes), actor=actor, at=at)


@transaction.atomic
def delete_stock_rule(*, rule: StockRule, actor: str, at: datetime) -> None:
    """Delete a rule; the next less specific one speaks where it did."""
    scope = queries.scope_of(rule)
    if StockRule.objects.filter(pk=rule.pk).delete()[0]:
        journal.record(StockRulesChanged(what=str(scope)), actor=actor, at=at)


def _rule_problem(rule: StockRule) -> str:
    """Why a rule may not be saved; empty when it may."""
    units = {"安全库存": rule.safety_stock, "共享上限": rule.share_cap, "自留": rule.keep_back, "库存上限": rule.max_stock}
    terms = (*units.values(), rule.share_percent, rule.fresh_hours)
    if not rule.name.strip():
        return "请填写规则名称"
    if rule.node_id and (rule.dealer_id or rule.node_kind):
        return "已指定仓库，不能再指定经销商或节点类别"
    if rule.sku_id and rule.category:
        return "已指定 SKU，不能再指定品类"
    if rule.dealer_id and rule.node_kind in {Node.Kind.HQ, Node.Kind.REGION}:
        return "总部仓和区域仓不属于经销商"
    if rule.node_kind and rule.node_kind not in Node.Kind.values:
        return f"未知的节点类别：{rule.node_kind}"
    if rule.ownership and rule.ownership not in Ownership.values:
        return f"未知的货权：{rule.ownership}"
    if not rule.ownership and all(term is None for term in terms):
        return "规则没有内容：请至少填写一项"
    for name, value in units.items():
        if value is not None and (problem := _units_problem(name, value)):
            return problem
    if rule.share_percent is not None and not 0 <= rule.share_percent <= 100:
        return "共享比例必须在 0 至 100 之间"
    if rule.fresh_hours is not None and not 0 <= rule.fresh_hours <= _MOST_HOURS:
        return f"库存有效时长必须在 0 至 {_MOST_HOURS:,} 小时之间"
    return ""


def _units_problem(name: str, units: int) -> str:
    return "" if 0 <= units <= MOST_UNITS else f"{name}必须在 0 至 {MOST_UNITS:,} 之间"


@transaction.atomic
def set_safety_stock(*, level_ids: Sequence[int], safety_stock: int, actor: str, at: datetime) -> int:
    """Keep back so many units from sale at each of some places: rules of one SKU at one node say so from now on.

    The levels follow at once; nothing that is promised is touched. Returns how many there are; raises WrongRule.
    A dozen statements, whatever the number of places.
    """
    if problem := _units_problem("安全库存", safety_stock):
        raise WrongRule(problem)
    rows = statements.lock_levels(level_ids)
    spots = {(spot.node_id, spot.sku_id): spot for _, spot, _, _ in rows}
    skus = {sku_id for _, sku_id in spots}
    exact = StockRule.objects.filter(dealer=None, category="", node_kind="", is_active=True, sku_id__in=skus)
    known = exact.filter(node_id__in={node_id for node_id, _ in spots}).order_by("id").values_list("node_id", "sku_id", "pk")
    rules = {(node_id, sku_id): pk for node_id, sku_id, pk in known if (node_id, sku_id) in spots}
    StockRule.objects.filter(pk__in=rules.values()).update(safety_stock=safety_stock)
    StockRule.objects.bulk_create(
        StockRule(name=f"{spot.node} {spot.sku}"[:60], node_id=place[0], sku_id=place[1], safety_stock=safety_stock)
        for place, spot in spots.items()
        if place not in rules
    )
    scopes = [Scope(sku_id=sku_id, node_id=node_id) for node_id, sku_id in sorted(spots)]
    journal.record(*(StockRulesChanged(what=str(scope)) for scope in scopes), actor=actor, at=at)
    statements.write_effective(_differing(rows, queries.broad_rules()))
    _tell_arrived([(spot.node_id, spot.sku_id) for _, spot, before, _ in rows if safety_stock < before[0]], actor, at)
    return len(rows)


def _differing(rows: Sequence[statements.LevelRow], book: RuleBook) -> list[tuple[int, tuple[Any, ...]]]:
    """Levels whose columns are not what the rules say, with what they say."""
    rules = book | queries.narrow_rules([(spot.node_id, spot.sku_id) for _, spot, _, _ in rows])
    said = [(level_id, rules.effective(spot).columns(reported_at), columns) for level_id, spot, columns, reported_at in rows]
    return [(level_id, columns) for level_id, columns, written in said if columns != written]


def _apply(scope: Scope) -> int:
    """Write what the rules say into all levels of a scope, in transactions of 2,000; returns how many differed.

    A rule that is saved meanwhile may be overwritten by an older book in a chunk or two; so whoever
    finds the rules changed at the end begins again, and the last one to write has read the last rules.
    """
    changed = 0
    while True:
        book, after = queries.broad_rules(), -1
        while after:
            after, differed = _apply_chunk(scope, book, after)
            changed += differed
        if queries.broad_rules() == book:
            return changed


@transaction.atomic
def _apply_chunk(scope: Scope, book: RuleBook, after: int) -> tuple[int, int]:
    """The id to go on from (0 at the end) and how many levels differed. Only those that differ are locked, and read again."""
    rows = statements.read_levels(after, CHUNK, scope)
    differing = _differing(rows, book) if rows else []
    if differing:
        locked = statements.lock_levels([level_id for level_id, _ in differing])
        statements.write_effective(_differing(locked, book))
    return rows[-1][0] if len(rows) == CHUNK else 0, len(differing)


def apply_stock_rules(*, at: datetime) -> int:
    """Bring every level to what the rules say; returns how many differed. Called by the clock, for what a change missed."""
    changed = _apply(Scope())
    if changed:
        _tell_routing(at)
    return changed


@transaction.atomic
def _tell_routing(at: datetime) -> None:
    journal.record(RoutingChanged(what="stock-rules"), actor=ACTOR, at=at)


@transaction.atomic
def repair(*, node_id: int, sku_id: int, way: str, reason: str, actor: str, at: datetime) -> StockRepair | None:
    """Make one figure agree with the rows that explain it, and write down what was done; None when it agrees already.

    movement: post the difference as a repair, on_hand stays. counter: on_hand becomes the sum of the
    movements. held: held becomes the sum of the open reservations. History is never edited. Raises
    CannotRepair, with nothing changed, when the figure would break what is promised.
    """
    if way not in WAYS:
        raise CannotRepair(f"未知的修正方式：{way}")
    if not reason.strip():
        raise CannotRepair("请填写修正原因")
    done = _repair((node_id, sku_id), way, reason, actor, at)
    statements.replace_drift(sku_id, sku_id, node_id)
    return done


def _repair(place: Place, way: str, reason: str, actor: str, at: datetime) -> StockRepair | None:
    """Lock the stock row, compare, write down, set."""
    standing = _locked([place]).get(place)
    if standing is None or not standing.level_id:
        raise NotFound
    moved = sum(units for _, _, units in statements.sum_movements(place))
    promised = sum(units for _, _, units in statements.sum_reservations(place))
    before, after, problem = judge_repair(way, standing.on_hand, standing.held, moved, promised)
    if before == after:
        return None
    if problem:
        raise CannotRepair(f"{standing.spot.node} 的 {standing.spot.sku}：{problem}")
    done = StockRepair.objects.create(
        node_id=place[0],
        sku_id=place[1],
        way=way,
        before=before,
        after=after,
        reason=printable(reason),
        actor=actor,
        repaired_at=at,
    )
    if way == StockRepair.Way.MOVEMENT:
        row = NewMovement(*place, Movement.Kind.REPAIR, after - before, f"repair:{done.pk}", done.reason)
        _write([(row, at)], actor)
        return done
    column = "held" if way == StockRepair.Way.HELD else "on_hand"
    same = Level.objects.filter(pk=standing.level_id, on_hand=standing.on_hand, held=standing.held)
    if not same.update(**{column: after}):
        raise CannotRepair("库存同时发生了变化，请重试")
    if (way == StockRepair.Way.HELD) == (after < before):
        _tell_arrived([place], actor, at)
    return done


@transaction.atomic
def repair_promised(*, incoming_id: int, reason: str, actor: str, at: datetime) -> StockRepair | None:
    """Make what a delivery on its way promises agree with its open presale reservations, and write it down; None when it does.

    Locks the delivery, so that nobody promises or gives back meanwhile. Raises CannotRepair, with nothing changed.
    """
    if not reason.strip():
        raise CannotRepair("请填写修正原因")
    delivery = Incoming.objects.select_for_update().filter(pk=incoming_id).first()
    if delivery is None:
        raise NotFound
    before, after = delivery.promised, statements.sum_promised(incoming_id)
    done = None
    if before != after:
        if after > delivery.quantity:
            raise CannotRepair(f"在途 {delivery.source_key}：预售明细 {after} 多于在途 {delivery.quantity}，请先改派预售")
        done = StockRepair.objects.create(
            node_id=delivery.node_id,
            sku_id=delivery.sku_id,
            incoming=delivery,
            way=StockRepair.Way.PROMISED,
            before=before,
            after=after,
            reason=printable(reason),
            actor=actor,
            repaired_at=at,
        )
        Incoming.objects.filter(pk=incoming_id).update(promised=after)
    StockDrift.objects.filter(incoming_id=incoming_id).delete()
    return done


@transaction.atomic
def ask_check(*, name: str, at: datetime) -> None:
    """Let a list be made anew at the next tick, before its time."""
    StockCheck.objects.update_or_create(name=StockCheck.Name(name), defaults={"asked_at": at})


@transaction.atomic
def begin_check(*, name: str, every: timedelta, at: datetime) -> bool:
    """Whether the caller is to make a list now: it is due or was asked for, and nobody else is at it. `end_check` ends it."""
    check, _ = StockCheck.objects.get_or_create(name=name)
    last = check.checked_at
    is_due = last is None or last + every <= at or (check.asked_at is not None and check.asked_at > last)
    if not is_due or (check.began_at is not None and at - _LEASE < check.began_at):
        return False
    return bool(StockCheck.objects.filter(pk=check.pk, began_at=check.began_at).update(began_at=at))


@transaction.atomic
def end_check(*, name: str, began_at: datetime) -> None:
    """A list is made as of `began_at`; whoever took over since then goes on."""
    StockCheck.objects.filter(name=name, began_at=began_at).update(began_at=None, checked_at=began_at)


def audit_stock(*, at: datetime) -> int:
    """Compare every figure with its rows, hourly or when asked, and keep what differs; returns how many. Called by the clock.

    100 SKUs per transaction. Nothing is locked: a figure and its rows are read in one statement, so they are of one moment.
    """
    if not begin_check(name=StockCheck.Name.DRIFT, every=AUDIT_EVERY, at=at):
        return 0
    for first, last in queries.sku_ranges():
        _audit(first, last)
    end_check(name=StockCheck.Name.DRIFT, began_at=at)
    return StockDrift.objects.count()


@transaction.atomic
def _audit(first: int, last: int) -> None:
    statements.replace_drift(first, last)


@transaction.atomic
def save_node(*, node: Node, actor: str, at: datetime) -> None:
    """Save a place and tell that waiting orders may be routable now; raises WrongParent and WrongOwner.

    Locks the node and all it would stand under in the order of their ids, so that two saves at once close no circle.
    """
    if problem := owner_problem(node.kind, node.dealer_id):
        raise WrongOwner(problem)
    above = statements.nodes_above(node.parent_id) if node.parent_id else []
    known = Node.objects.select_for_update(no_key=True).filter(pk__in=[*above, node.pk]).order_by("pk").in_bulk()
    was = known.get(node.pk)
    if node.parent_id:
        parent = known.get(node.parent_id)
        if parent is None:
            raise WrongParent("上级仓不存在")
        if node.pk in statements.nodes_above(node.parent_id):
            raise WrongParent("上级仓不能是本仓或本仓的下级")
        if problem := parent_problem(node.kind, node.dealer_id, parent.kind, parent.dealer_id):
            raise WrongParent(problem)
    if was is not None and (was.kind, was.dealer_id) != (node.kind, node.dealer_id):
        for child in Node.objects.filter(parent_id=node.pk):
            if problem := parent_problem(child.kind, child.dealer_id, node.kind, node.dealer_id):
                raise WrongParent(f"下级仓 {child.name} 不能再归属本仓：{problem}")
        journal.record(StockRulesChanged(what=str(Scope(node_id=node.pk))), actor=actor, at=at)
    node.save()
    journal.record(RoutingChanged(what=f"node-{node.code}"), actor=actor, at=at)


@transaction.atomic
def delete_node(*, node: Node, actor: str, at: datetime) -> None:
    """Delete a place that nothing ever happened at, with the rules that name it; raises InUse."""
    _delete(node, f"{node.name} 已有库存、下级仓或单据，不能删除，可改为停用")
    journal.record(RoutingChanged(what=f"node-{node.code}"), actor=actor, at=at)


@transaction.atomic
def delete_node_group(*, group: NodeGroup, actor: str, at: datetime) -> None:
    """Delete a named set of places that no lock or publishing rule uses; raises InUse."""
    _delete(group, f"{group.name} 正在被锁库或发布规则使用，不能删除")
    journal.record(StockRulesChanged(what=f"group={group.code}"), actor=actor, at=at)


def _delete(row: Node | NodeGroup, problem: str) -> None:
    try:
        row.delete()
    except ProtectedError:
        raise InUse(problem) from None


@transaction.atomic
def save_node_group(*, group: NodeGroup, nodes: Iterable[Node], actor: str, at: datetime) -> None:
    """Save a named set of places; whoever shows or locks its stock hears that it changed."""
    group.save()
    group.nodes.set(nodes)
    journal.record(StockRulesChanged(what=f"group={group.code}"), actor=actor, at=at)


def on_stock_rules_changed(facts: Sequence[Fact], *, at: datetime) -> None:
    """The levels in the scope of changed rules follow. Called outside of a transaction; a repetition changes nothing."""
    changed = 0
    for what in dict.fromkeys(str(fact.payload["what"]) for fact in facts):
        scope = Scope.read(what)
        if scope is not None:
            changed += _apply(scope)
    if changed:
        _tell_routing(at)
