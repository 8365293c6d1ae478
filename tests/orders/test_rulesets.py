"""A set of rules is edited as a draft, published once it can work, and never changed again."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms_project.journal.models import Entry
from oms_project.refusal import NotFound
from orders.models import (
    AgeingCredit,
    DealerQuota,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderRule,
    PromiseClass,
    RuleSet,
    ShipCalendar,
)
from orders.rulesets import actions, queries, rules
from orders.rulesets.models import SECTIONS
from orders.rulesets.rules import OrderScope, RuleBook, Unroutable, Where
from tests.make import make_dealer, make_node, make_staff
from tests.orders.rulesets_world import World, fill, make_set, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(at: datetime) -> World:
    return make_world(at)


def rows() -> list[tuple[str, Any]]:
    """Everything that is written down about rules."""
    told = [
        (model.__name__, tuple(row))
        for model in (RuleSet, *SECTIONS)
        for row in model._default_manager.order_by("pk").values_list()
    ]
    return [*told, ("entries", Entry.objects.count())]


def test_a_set_reads_as_exact_values_in_nine_statements(world: World, at: datetime) -> None:
    actions.publish(ruleset_id=world.draft.pk, staff=world.boss, at=at)
    with CaptureQueriesContext(connection) as asked:
        book = queries.published_book()
    assert len(asked) == 9
    hours = rules.PromiseClass("hours", "小时达", 0, True, 5, frozenset({"store"}))
    standard = rules.PromiseClass("standard", "标准", 4)
    default = rules.OrderTerms(split_fee_fen=700, promise=standard)
    assert book == RuleBook(
        name="规则 v1",
        default=default,
        order_rules=(
            (
                OrderScope(
                    channels=frozenset({"doudian"}),
                    shops=frozenset({"1001"}),
                    divisions=("3205",),
                    products=frozenset({"SOFA"}),
                    categories=frozenset({"furniture"}),
                    tags=frozenset({"VIP"}),
                    is_live=False,
                ),
                rules.OrderTerms(
                    name="苏州小时达",
                    promise=hours,
                    late_fen_per_day=9900,
                    max_packages=1,
                    max_km=5,
                    same_province=True,
                    only_groups=frozenset({"gold"}),
                    cancel_after_hours=8,
                ),
            ),
            (
                OrderScope(is_live=True),
                rules.OrderTerms(
                    name="直播",
                    promise=standard,
                    never_groups=frozenset({"hq"}),
                    keeps_bundles=True,
                    on_unroutable=Unroutable.SPLIT,
                ),
            ),
        ),
        groups=(
            rules.NodeGroup("gold", "金牌", tiers=frozenset({"gold"})),
            rules.NodeGroup("hq", "总部", nodes=frozenset({"N-HQ"})),
        ),
        freight=(
            rules.FreightRate(Where(), 1200, step_fen=200),
            rules.FreightRate(Where(kind="store"), 800, km_fen=100, base_days=0, km_per_day=300, max_km=30),
            rules.FreightRate(Where(group="gold", division="32"), 900, step_fen=100),
        ),
        installs=(rules.InstallRate(Where(kind="dealer"), "install:furniture", 6500),),
        calendars=(rules.ShipCalendar(Where(kind="hq"), "12345", time(16), frozenset({date(2026, 10, 1), date(2026, 10, 2)})),),
        quotas=(rules.Quota("D001", 30, 150),),
        credits=(rules.AgeingCredit("furniture", 1500, 90), rules.AgeingCredit("", 500, None, True)),
    )
    assert queries.book_of(world.draft.pk) == book


def test_without_a_published_set_the_defaults_hold(world: World) -> None:
    assert queries.published_book() == RuleBook()
    with pytest.raises(NotFound):
        queries.book_of(10**9)


def test_a_standard_promise_that_is_not_written_down_is_three_days(db: None) -> None:
    assert queries.book_of(make_set().pk).default == rules.OrderTerms()


def test_publishing_replaces_what_was_in_force_and_tells_once(world: World, at: datetime) -> None:
    before = actions.publish(ruleset_id=world.draft.pk, staff=world.boss, at=at)
    later = at + timedelta(hours=1)
    draft = actions.new_draft(based_on=before.pk, name="新规则", staff=world.boss, at=later)
    assert (draft.version, draft.state, draft.name, draft.based_on, draft.created_by) == (
        2,
        "draft",
        "新规则",
        before,
        world.boss,
    )
    for _ in range(2):
        shown = actions.publish(ruleset_id=draft.pk, staff=world.boss, at=later)
        assert (shown.state, shown.published_at, shown.published_by) == ("published", later, world.boss)
    before.refresh_from_db()
    assert (before.state, before.published_at, before.retired_at) == ("retired", at, later)
    assert queries.in_force() == draft
    told = [(each.payload["what"], each.actor) for each in Entry.objects.filter(name="routing.changed").order_by("pk")]
    assert told == [(f"rules-{before.pk}", f"staff:{world.boss.pk}"), (f"rules-{draft.pk}", f"staff:{world.boss.pk}")]
    assert [(each.version, each.state) for each in queries.history()] == [(2, "published"), (1, "retired")]
    with pytest.raises(actions.NotADraft, match="已停用"):
        actions.publish(ruleset_id=before.pk, staff=world.boss, at=later)
    assert queries.in_force() == draft


@pytest.mark.parametrize("role", ["operator", "finance"])
def test_only_administrators_write_rules(world: World, role: str, at: datetime) -> None:
    other, before = make_staff(role=role), rows()
    for act in (
        lambda: actions.publish(ruleset_id=world.draft.pk, staff=other, at=at),
        lambda: actions.new_draft(based_on=None, staff=other, at=at),
        lambda: actions.discard_draft(ruleset_id=world.draft.pk, staff=other),
        lambda: actions.take_draft(ruleset_id=world.draft.pk, staff=other),
    ):
        with pytest.raises(NotFound):
            act()
    assert rows() == before


def test_a_faulty_set_is_refused_with_every_fault_and_nothing_changes(world: World, at: datetime) -> None:
    FreightRate.objects.filter(rule_set=world.draft).update(division="99")
    OrderRule.objects.filter(name="直播").update(promise="tomorrow")
    before = rows()
    with pytest.raises(actions.Faulty) as refused:
        actions.publish(ruleset_id=world.draft.pk, staff=world.boss, at=at)
    assert refused.value.faults == [
        "订单规则「直播」：没有编码为 tomorrow 的时效",
        "运费「99」：没有区划 99",
        "运费「store · 99」：没有区划 99",
        "运费「gold · 99」：没有区划 99",
    ]
    assert rows() == before


@pytest.mark.parametrize("state", ["published", "retired"])
def test_what_was_in_force_is_neither_taken_nor_dropped(world: World, state: str, at: datetime) -> None:
    RuleSet.objects.update(state=state, published_at=at)
    before = rows()
    with pytest.raises(actions.NotADraft):
        actions.take_draft(ruleset_id=world.draft.pk, staff=world.boss)
    with pytest.raises(actions.NotADraft):
        actions.discard_draft(ruleset_id=world.draft.pk, staff=world.boss)
    assert rows() == before


def test_a_dropped_draft_leaves_nothing_and_what_came_from_it_stays(world: World, at: datetime) -> None:
    copy = actions.new_draft(based_on=world.draft.pk, staff=world.boss, at=at)
    actions.discard_draft(ruleset_id=world.draft.pk, staff=world.boss)
    assert list(RuleSet.objects.values_list("pk", "based_on")) == [(copy.pk, None)]
    assert not any(section._default_manager.filter(rule_set_id=world.draft.pk).exists() for section in SECTIONS)
    assert OrderRule.objects.filter(rule_set=copy).count() == 2
    with pytest.raises(NotFound):
        actions.discard_draft(ruleset_id=world.draft.pk, staff=world.boss)


def test_an_empty_draft_has_the_default_terms(world: World, at: datetime) -> None:
    draft = actions.new_draft(based_on=None, staff=world.boss, at=at)
    assert (draft.name, draft.version) == ("路由规则", 2)
    assert queries.book_of(draft.pk) == RuleBook(name="路由规则 v2")


def test_a_copy_costs_the_same_for_few_and_many_rows(world: World, at: datetime) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            actions.new_draft(based_on=world.draft.pk, staff=world.boss, at=at)
        return len([each for each in asked if "SAVEPOINT" not in each["sql"]])

    few = cost()
    FreightRate.objects.bulk_create(
        FreightRate(rule_set=world.draft, division=f"32{number:04d}", first_fen=1) for number in range(200)
    )
    assert cost() == few == 11


CODES = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3)
FEN = st.integers(0, 10**7)
SOMEWHERE = st.tuples(st.sampled_from(["", "a"]), st.sampled_from(["", "hq", "store"]), st.sampled_from(["", "65", "320506"]))


@given(
    rule=st.fixed_dictionaries({"channels": CODES, "tags": CODES, "only_groups": CODES, "late_fen_per_day": FEN,
                                "max_km": st.none() | st.integers(1, 99), "is_live": st.none() | st.booleans(),
                                "on_unroutable": st.sampled_from(list(Unroutable))}),
    freight=st.lists(st.tuples(SOMEWHERE, FEN), unique_by=lambda each: each[0], max_size=4),
    cutoff=st.none() | st.times().map(lambda each: each.replace(microsecond=0)),
    holidays=st.lists(st.dates().map(date.isoformat), max_size=3),
)  # fmt: skip
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_draft_of_a_set_is_an_equal_book(
    at: datetime, rule: dict[str, Any], freight: list[Any], cutoff: time | None, holidays: list[str]
) -> None:
    with transaction.atomic():
        boss = make_staff()
        source = actions.new_draft(based_on=None, staff=boss, at=at)
        fill(source)
        OrderRule.objects.create(rule_set=source, name="别的", **rule)
        FreightRate.objects.filter(rule_set=source).delete()
        for (group, kind, division), fen in freight:
            FreightRate.objects.create(rule_set=source, group=group, kind=kind, division=division, first_fen=fen)
        ShipCalendar.objects.create(rule_set=source, cutoff=cutoff, holidays=holidays)
        draft = actions.new_draft(based_on=source.pk, staff=boss, at=at)
        copied, original = queries.book_of(draft.pk), queries.book_of(source.pk)
        assert replace(copied, name="") == replace(original, name="")
        assert len(copied.order_rules) == 3
        transaction.set_rollback(True)


BAD_ROWS: list[tuple[type[Model], dict[str, Any]]] = [
    (FreightRate, {"first_fen": 100, "step_fen": 101}),
    (FreightRate, {"first_fen": 0, "step_fen": -1}),
    (FreightRate, {"first_fen": 100, "km_fen": -1}),
    (FreightRate, {"first_fen": 100, "step_weight_g": 0}),
    (FreightRate, {"first_fen": 100, "km_per_day": 0}),
    (FreightRate, {"first_fen": 100, "kind": "store"}),
    (InstallRate, {"fee_fen": -1}),
    (OrderRule, {"name": "x", "split_fee_fen": -1}),
    (OrderRule, {"name": "x", "max_packages": 0}),
    (OrderRule, {"name": "直播"}),
    (PromiseClass, {"code": "hours", "name": "x", "days": 1}),
    (PromiseClass, {"code": "x", "name": "x", "days": 1, "max_km": 0}),
    (NodeGroup, {"code": "gold", "name": "x"}),
    (ShipCalendar, {"kind": "hq"}),
    (DealerQuota, {"dealer_code": "D002", "percent": 101, "fen_per_point": 1}),
    (DealerQuota, {"dealer_code": "D001", "percent": 1, "fen_per_point": 1}),
    (AgeingCredit, {"fen_per_unit": 1}),
    (AgeingCredit, {"fen_per_unit": -1, "is_overstock": True}),
]


@pytest.mark.parametrize(("model", "fields"), BAD_ROWS)
def test_the_database_refuses_rows_that_break_the_arithmetic(world: World, model: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(rule_set=world.draft, **fields)


def test_the_database_keeps_one_set_in_force_and_versions_apart(world: World, at: datetime) -> None:
    make_set(2, state="published", published_at=at)
    for fields in ({"state": "published", "published_at": at}, {"state": "published"}, {"version": 2}, {"published_at": at}):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_set(**{"version": 3, **fields})


def test_a_version_taken_at_the_same_moment_is_refused_in_words(
    world: World, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = RuleSet.objects.create

    def beaten(**fields: Any) -> RuleSet:
        make_set(fields["version"])
        return create(**fields)

    monkeypatch.setattr(
        RuleSet.objects, "create", lambda **fields: beaten(**fields) if "created_by" in fields else create(**fields)
    )
    with pytest.raises(actions.Stale, match="再试一次"):
        actions.new_draft(based_on=world.draft.pk, staff=world.boss, at=at)


def test_faults_and_warnings_of_what_stands_in_the_database(world: World) -> None:
    assert queries.faults_of(world.draft.pk) == ([], [])
    make_node(make_dealer("D002"), code="N-X")
    FreightRate.objects.filter(rule_set=world.draft, kind="").delete()
    faults, warnings = queries.faults_of(world.draft.pk)
    assert faults == []
    assert warnings == [
        "经销商仓有 2 个发货点没有运费，不会派单：经销商仓N-D、经销商仓N-X",
        "总部仓有 1 个发货点没有运费，不会派单：总部仓N-HQ",
    ]
