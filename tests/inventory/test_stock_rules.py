"""Which rule speaks of a place, column by column, and levels that follow when rules change."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.ledger import actions as ledger
from inventory.ledger import queries
from inventory.ledger.rules import NewMovement, Report
from inventory.ledger.shares import FIELDS, Effective, Rule, RuleBook, Scope, Spot
from inventory.models import Level, StockRule
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Delivery, Entry
from oms_project.journal.subscription import Fact
from tests.make import make_dealer, make_level, make_node, make_sku

SPOT = Spot(node_id=1, sku_id=2, node_kind="dealer", dealer_id=3, category="furniture")


def test_the_more_specific_rule_speaks_first_and_what_it_leaves_empty_the_next_one_says() -> None:
    book = RuleBook.of(
        [
            Rule(1, Scope(), share_percent=10, ownership="consigned"),
            Rule(2, Scope(node_kind="dealer"), share_percent=20, max_stock=9),
            Rule(3, Scope(category="furniture"), share_percent=30, max_stock=0),
            Rule(4, Scope(dealer_id=3), share_percent=40, fresh_hours=24),
            Rule(5, Scope(node_id=1), share_percent=50, fresh_hours=0),
            Rule(6, Scope(sku_id=2), keep_back=1),
            Rule(7, Scope(sku_id=2, node_id=1), safety_stock=5),
            Rule(8, Scope(sku_id=2, node_id=9), safety_stock=99),
            Rule(9, Scope(node_kind="store"), safety_stock=99),
        ]
    )
    assert [rule.id for rule in book.rules_for(SPOT)] == [7, 6, 5, 4, 3, 2, 1]
    assert book.effective(SPOT) == Effective(5, 50, None, 1, None, None, "consigned")
    assert book.effective(Spot(8, 8, "region", None, "")) == Effective(share_percent=10, ownership="consigned")
    assert RuleBook.of([]).effective(SPOT) == Effective()


def test_of_equal_rules_the_newest_speaks_first() -> None:
    book = RuleBook.of([Rule(1, Scope(node_id=1), keep_back=4, safety_stock=1), Rule(2, Scope(node_id=1), safety_stock=2)])
    assert book.effective(SPOT) == Effective(safety_stock=2, keep_back=4)


_maybe = st.none() | st.integers(1, 2)
_scopes = st.builds(
    Scope,
    sku_id=_maybe, node_id=_maybe, dealer_id=_maybe, category=st.sampled_from(["", "a", "b=c d"]),
    node_kind=st.sampled_from(["", "hq", "store"]),
)  # fmt: skip
_terms = {name: st.none() | st.integers(0, 3) for name in FIELDS[:-1]} | {"ownership": st.sampled_from(["", "hq", "dealer"])}
_rules = st.lists(st.builds(Rule, id=st.integers(1, 50), scope=_scopes, **_terms), max_size=8, unique_by=lambda rule: rule.id)
_spots = st.builds(
    Spot,
    node_id=st.integers(1, 2), sku_id=st.integers(1, 2), node_kind=st.sampled_from(["hq", "store"]), dealer_id=_maybe,
    category=st.sampled_from(["", "a", "b=c d"]),
)  # fmt: skip


def holds(scope: Scope, spot: Spot) -> bool:
    named = [getattr(scope, name) for name in ("sku_id", "node_id", "dealer_id", "category", "node_kind")]
    theirs = [getattr(spot, name) for name in ("sku_id", "node_id", "dealer_id", "category", "node_kind")]
    return all(not mine or mine == its for mine, its in zip(named, theirs, strict=True))


@given(_rules, _spots)
def test_every_column_is_said_by_the_strongest_rule_that_fills_it(rules: list[Rule], spot: Spot) -> None:
    """The same answer as the slow way: sort all rules that hold, take the first filled value of each column."""
    there = [rule for rule in rules if holds(rule.scope, spot)]
    there.sort(key=lambda rule: ([part is not None for part in rule.scope.key], rule.id), reverse=True)
    expected: dict[str, Any] = {}
    for name in FIELDS:
        filled = [value for rule in there if (value := getattr(rule, name)) not in (None, "")]
        if filled and not (name in {"fresh_hours", "max_stock"} and filled[0] == 0):
            expected[name] = filled[0]
    half = len(rules) // 2
    keys = {rule.scope.key for rule in rules[:half]}
    one, other = [r for r in rules if r.scope.key in keys], [r for r in rules if r.scope.key not in keys]
    assert RuleBook.of(rules).effective(spot) == Effective(**expected)
    assert RuleBook.of(one) | RuleBook.of(other) == RuleBook.of(rules)


@given(_scopes)
def test_a_scope_is_read_as_it_was_told(scope: Scope) -> None:
    assert Scope.read(str(scope)) == scope


def test_what_is_no_scope_of_levels_is_not_read_as_one() -> None:
    assert [Scope.read(text) for text in ("group=A", "sku=x", "nonsense")] == [None, None, None]
    assert Scope.read("all") == Scope()


def save(at: datetime, **fields: Any) -> StockRule:
    rule = StockRule(**{"name": "规则", **fields})
    ledger.save_stock_rule(rule=rule, actor="staff:1", at=at)
    return rule


def tell(at: datetime) -> list[str]:
    """Hand every StockRulesChanged to the subscriber, as the relay would, and forget them."""
    entries = Entry.objects.filter(name="stock.rules_changed").order_by("id")
    facts = [Fact(e.id, e.name, e.subject, e.actor, e.payload, e.recorded_at) for e in entries]
    ledger.on_stock_rules_changed(facts, at=at)
    Delivery.objects.filter(entry__in=entries).delete()
    entries.delete()
    return [fact.payload["what"] for fact in facts]


def columns(level: Level) -> tuple[Any, ...]:
    return Level.objects.values_list("safety_stock", "share_percent", "keep_back", "max_stock", "ownership").get(pk=level.pk)


pytestmark = pytest.mark.django_db


def test_levels_follow_a_rule_that_is_saved_moved_and_deleted(at: datetime) -> None:
    dealer = make_dealer()
    mine, other, sku = make_node(dealer), make_node(make_dealer()), make_sku()
    here, there = make_level(mine, sku), make_level(other, sku)
    rule = save(at, dealer=dealer, share_percent=50, keep_back=2, max_stock=40, ownership="dealer")
    assert tell(at) == [f"dealer={dealer.pk}"]
    assert columns(here) == (0, 50, 2, 40, "dealer")
    assert columns(there) == (0, 100, 0, None, "hq")
    rule.dealer = other.dealer
    ledger.save_stock_rule(rule=rule, actor="", at=at)
    assert tell(at) == [f"dealer={dealer.pk}", f"dealer={other.dealer_id}"]
    assert (columns(here), columns(there)) == ((0, 100, 0, None, "hq"), (0, 50, 2, 40, "dealer"))
    ledger.delete_stock_rule(rule=rule, actor="", at=at)
    ledger.delete_stock_rule(rule=StockRule(pk=rule.pk or 10**6, dealer=dealer), actor="", at=at)
    assert tell(at) == [f"dealer={other.dealer_id}"]
    assert columns(there) == (0, 100, 0, None, "hq")


def test_only_levels_in_scope_that_differ_are_written(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    node, sofa, lamp = make_node(), make_sku(category="sofa"), make_sku(category="lamp")
    sofas, lamps = make_level(node, sofa), make_level(node, lamp, keep_back=7)
    make_level(make_node(), sofa, safety_stock=3)
    save(at, category="sofa", node_kind="hq", safety_stock=3)
    written: list[int] = []
    write = ledger.statements.write_effective
    monkeypatch.setattr(ledger.statements, "write_effective", lambda rows: written.extend(row[0] for row in rows) or write(rows))
    tell(at)
    assert written == [sofas.pk]
    assert columns(lamps)[2] == 7
    assert ledger.apply_stock_rules(at=at) == 1
    assert columns(lamps)[2] == 0
    assert ledger.apply_stock_rules(at=at) == 0


def test_levels_are_brought_up_in_chunks_and_orders_that_wait_hear_of_it(
    at: datetime, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    node = make_node()
    for _ in range(5):
        make_level(node, make_sku())
    save(at, safety_stock=2)
    monkeypatch.setattr(ledger, "CHUNK", 2)
    with django_assert_max_num_queries(2 + 3 * (2 + 5) + 4):  # per chunk read, rules, lock, rules, write
        assert ledger.apply_stock_rules(at=at) == 5
    assert set(Level.objects.values_list("safety_stock", flat=True)) == {2}
    assert [entry.name for entry in Entry.objects.order_by("id")] == ["stock.rules_changed", "routing.changed"]
    ledger.apply_stock_rules(at=at)
    assert Entry.objects.count() == 2


def test_a_rule_saved_while_levels_are_written_wins(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    level = make_level(make_node(), make_sku())
    save(at, safety_stock=2)
    write = ledger.statements.write_effective

    def late(rows: Any) -> None:
        if not StockRule.objects.filter(safety_stock=5).exists():
            save(at, safety_stock=5)
        write(rows)

    monkeypatch.setattr(ledger.statements, "write_effective", late)
    ledger.apply_stock_rules(at=at)
    assert columns(level)[0] == 5


def test_a_new_level_is_born_with_what_the_rules_say(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    save(at, node_kind="hq", share_percent=80, fresh_hours=24)
    save(at, node=node, sku=sku, safety_stock=4)
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 10, "po:1")], actor="", at=at)
    level = Level.objects.get()
    assert columns(level) == (4, 80, 0, None, "hq")
    assert (level.fresh_until, level.sellable(at)) == (None, 4)


def test_what_nobody_confirms_in_time_is_not_sold(at: datetime) -> None:
    node, sku = make_node(), make_sku()
    save(at, fresh_hours=24)
    row = Report(node.pk, sku.pk, 5, at - timedelta(hours=1), "r:1")
    ledger.report(rows=[row], kind="report", actor="", at=at)
    level = Level.objects.get()
    assert level.fresh_until == at + timedelta(hours=23)
    late = at + timedelta(hours=23)
    assert (level.sellable(late - timedelta(seconds=1)), level.sellable(late)) == (5, 0)
    assert [level.pk for level in queries.stale_levels(at=late)] == [level.pk]
    assert list(queries.stale_levels(at=at)) == []
    [stale] = queries.stale_alarms(at=late, limit=5)
    assert (stale.node_id, stale.levels, stale.units, stale.since) == (node.pk, 1, 5, late)
    save(at, node=node, fresh_hours=0)
    tell(at)
    assert Level.objects.get().fresh_until is None


def test_the_safety_stock_of_one_place_is_the_rule_of_its_sku_at_its_node(at: datetime) -> None:
    level = make_level(make_node(), make_sku(), on_hand=10)
    save(at, node_kind="hq", safety_stock=1, keep_back=1)
    tell(at)
    reservations.hold(wants=[Want("A", level.node_id, level.sku_id, 8)], at=at)
    ledger.set_safety_stock(level_ids=[level.pk], safety_stock=6, actor="staff:1", at=at)
    ledger.set_safety_stock(level_ids=[level.pk], safety_stock=7, actor="staff:1", at=at)
    assert columns(level)[:3] == (7, 100, 1)
    rule = StockRule.objects.get(sku=level.sku)
    assert (rule.node, rule.safety_stock) == (level.node, 7)
    level.refresh_from_db()
    assert (level.on_hand, level.held, level.sellable(at)) == (10, 8, 0)
    assert tell(at)[-1] == f"sku={level.sku_id} node={level.node_id}"
    assert columns(level)[0] == 7
    assert not Entry.objects.filter(name="stock.arrived").exists()
    ledger.set_safety_stock(level_ids=[level.pk], safety_stock=0, actor="staff:1", at=at)
    assert Entry.objects.get(name="stock.arrived").payload["sku_ids"] == [level.sku_id]
    with pytest.raises(ledger.WrongRule, match="安全库存必须在 0 至 1,000,000,000 之间"):
        ledger.set_safety_stock(level_ids=[level.pk], safety_stock=-1, actor="staff:1", at=at)
    assert columns(level)[0] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": " "}, "请填写规则名称"),
        ({"safety_stock": None}, "规则没有内容"),
        ({"safety_stock": -1}, "安全库存必须在 0 至 1,000,000,000 之间"),
        ({"share_cap": 10**12}, "共享上限必须在"),
        ({"share_percent": 101}, "共享比例必须在 0 至 100 之间"),
        ({"fresh_hours": 10**9}, "库存有效时长必须在"),
        ({"node_kind": "moon"}, "未知的节点类别：moon"),
        ({"ownership": "moon"}, "未知的货权：moon"),
        ({"node": True, "node_kind": "hq"}, "已指定仓库"),
        ({"sku": True, "category": "sofa"}, "已指定 SKU"),
        ({"dealer": True, "node_kind": "hq"}, "不属于经销商"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(at: datetime, fields: dict[str, Any], said: str) -> None:
    made = {"node": make_node, "sku": make_sku, "dealer": make_dealer}
    fields = {name: made[name]() if value is True else value for name, value in fields.items()}
    with pytest.raises(ledger.WrongRule, match=said):
        save(at, **{"safety_stock": 1, **fields})
    assert (StockRule.objects.count(), Entry.objects.count()) == (0, 0)
