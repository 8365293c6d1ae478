"""Policies and freight templates of before become sets without losing a figure, and come back when it is undone."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE, AFTER = ("orders", "0003_rule_sets"), ("orders", "0004_rules_move_into_a_set")


def go(target: tuple[str, str]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return executor.loader.project_state([target]).apps


@pytest.fixture
def before(transactional_db: None) -> Iterator[Any]:
    yield go(BEFORE)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_the_policies_become_sets_and_come_back(before: Any) -> None:
    policies, templates = before.get_model("orders", "RoutingPolicy"), before.get_model("orders", "FreightTemplate")
    policies.objects.create(name="备选", version=2, split_fee_fen=1)
    policies.objects.create(name="标准", version=7, is_published=True, split_fee_fen=700, promise_days=4)
    templates.objects.create(node_kind="hq", first_fen=1200, step_fen=200, km_fen=3, install_fen=4000, max_km=900)
    templates.objects.create(node_kind="store", first_fen=800, step_fen=0)
    after = go(AFTER)
    sets = after.get_model("orders", "RuleSet").objects.order_by("version")
    assert [(each.version, each.name, each.state, each.split_fee_fen) for each in sets] == [
        (1, "标准", "published", 700),
        (2, "备选", "draft", 1),
    ]
    [first, second] = sets
    assert first.note == "来自原路由策略 标准 v7 与运费模板"
    assert [(each.code, each.days) for each in first.promises.all()] == [("standard", 4)]
    for one in (first, second):
        assert list(one.freight.order_by("id").values_list("kind", "first_fen", "step_fen", "km_fen", "max_km")) == [
            ("hq", 1200, 200, 3, 900),
            ("store", 800, 0, 0, 5000),
        ]
        assert list(one.installs.values_list("kind", "skill", "fee_fen")) == [("hq", "", 4000)]
    policies, templates = (after.get_model("orders", name) for name in ("RoutingPolicy", "FreightTemplate"))
    policies.objects.all().delete()
    templates.objects.all().delete()
    undone = go(BEFORE)
    assert list(undone.get_model("orders", "RoutingPolicy").objects.values_list("name", "split_fee_fen", "promise_days")) == [
        ("标准", 700, 4)
    ]
    shown = undone.get_model("orders", "FreightTemplate").objects.order_by("pk")
    assert list(shown.values_list("node_kind", "first_fen", "install_fen")) == [("hq", 1200, 4000), ("store", 800, 0)]
    assert not undone.get_model("orders", "RuleSet").objects.exists()


def test_an_empty_house_stays_empty(before: Any) -> None:
    assert not go(AFTER).get_model("orders", "RuleSet").objects.exists()
