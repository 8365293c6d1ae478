"""Rows of other systems are read one by one; every complaint has its exact words."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.models import Movement
from inventory.partners import rules
from inventory.partners.rules import Answer, Asked
from tests.inventory.partners_world import figure, movement

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["node", "sku", "quantity", "measured_at", "key", "kind", "reason", "bribe"])


def complaint(row: Any, of: str = "figure") -> str:
    answer = rules.read_figure(row) if of == "figure" else rules.read_movement(row)
    assert isinstance(answer, Answer), answer
    assert (answer.status, answer.on_hand) == ("refused", None)
    return answer.message


def test_a_figure_and_a_movement_as_they_were_sent():
    assert rules.read_figure(figure(12)) == Asked("N001", "KT-3300", 12, "k1", measured_at=datetime(2026, 11, 25, 4, tzinfo=UTC))
    assert rules.read_movement(movement(-3, kind="adjustment", reason="破损")) == Asked(
        "N001", "KT-3300", -3, "k1", "adjustment", "破损"
    )


FIGURES = [
    (None, "每行应为一个对象"), ([], "每行应为一个对象"), ("N001", "每行应为一个对象"),
    ({}, "缺少 node；缺少 sku；缺少 key；缺少 quantity；缺少 measured_at"),
    (figure(1, bribe=1), "未知字段 bribe"), (figure(1, **{"x" * 90: 1}), f"未知字段 {'x' * 40}"),
    (figure(1, a=1, b=1, c=1, d=1), "未知字段 a；未知字段 b；未知字段 c"),
    (figure(1.5), "quantity 应为整数"), (figure(3.0), "quantity 应为整数"), (figure(True), "quantity 应为整数"),
    (figure("12"), "quantity 应为整数"), (figure(None), "quantity 应为整数"), (figure([1]), "quantity 应为整数"),
    (figure(-1), "quantity 应在 0 到 1000000000 之间"), (figure(10**12), "quantity 应在 0 到 1000000000 之间"),
    (figure(1, node=1), "node 应为文本"), (figure(1, node=""), "node 不能为空"), (figure(1, node=" "), "node 不能为空"),
    (figure(1, node="N" * 31), "node 不能超过 30 字"), (figure(1, sku="K" * 41), "sku 不能超过 40 字"),
    (figure(1, node="N\x00001"), "node 含有控制字符"), (figure(1, sku="K\n"), "sku 含有控制字符"),
    (figure(1, key="k" * 101), "key 不能超过 100 字"), (figure(1, key="\x7f"), "key 含有控制字符"),
    (figure(1, measured_at="2026-11-25T12:00:00"), "measured_at 应为带时区的时间，如 2026-11-25T12:00:00+08:00"),
    (figure(1, measured_at="yesterday"), "measured_at 应为带时区的时间，如 2026-11-25T12:00:00+08:00"),
    (figure(1, measured_at=1764043200), "measured_at 应为带时区的时间，如 2026-11-25T12:00:00+08:00"),
    (figure(1, measured_at="0001-01-01T00:00:00+08:00"), "measured_at 应为带时区的时间，如 2026-11-25T12:00:00+08:00"),
    (figure(1, measured_at="1999-12-31T23:59:59Z"), "measured_at 过早"),
    (figure("x", node="", key=""), "node 不能为空；key 不能为空；quantity 应为整数"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "words"), FIGURES, ids=range(len(FIGURES)))
def test_every_wrong_figure_is_told_why(row: Any, words: str):
    assert complaint(row) == words


MOVEMENTS = [
    (movement(0), "quantity 不能为 0"), (movement(10**12), "quantity 应在 -1000000000 到 1000000000 之间"),
    (movement(-(10**12), kind="adjustment"), "quantity 应在 -1000000000 到 1000000000 之间"),
    (movement(1, kind="count"), "kind 应为 receipt、return、shipment、write_off、adjustment 之一"),
    (movement(1, kind=[]), "kind 应为 receipt、return、shipment、write_off、adjustment 之一"),
    (movement(-1), "入库（receipt）的 quantity 应为正数"),
    (movement(-1, kind="return"), "退货入库（return）的 quantity 应为正数"),
    (movement(1, kind="shipment"), "出库（shipment）的 quantity 应为负数"),
    (movement(1, kind="write_off"), "报损（write_off）的 quantity 应为负数"),
    (movement(1, reason="x" * 121), "reason 不能超过 120 字"), (movement(1, reason=None), "reason 应为文本"),
    (movement(1, reason="\x00"), "reason 含有控制字符"), (movement(1, measured_at="x"), "未知字段 measured_at"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "words"), MOVEMENTS, ids=range(len(MOVEMENTS)))
def test_every_wrong_movement_is_told_why(row: Any, words: str):
    assert complaint(row, "movement") == words


def test_the_kinds_are_those_of_the_ledger():
    assert {kind: name for kind, (name, _) in rules.KINDS.items()}.items() <= dict(Movement.Kind.choices).items()


@given(JSON | st.dictionaries(NAMES, JSON, max_size=7))
def test_whatever_is_sent_is_read_or_refused(row: Any):
    for answer in (rules.read_figure(row), rules.read_movement(row)):
        assert isinstance(answer, Asked | Answer)
        if isinstance(answer, Answer):
            assert answer.message


@given(st.text(max_size=60))
def test_the_prefix_of_nonsense_is_empty_or_short_and_plain(secret: str):
    prefix = rules.prefix_of(secret)
    assert prefix == "" or (secret.startswith(f"yp_{prefix}_") and prefix.isalnum() and prefix.isascii() and len(prefix) <= 12)
