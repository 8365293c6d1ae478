"""From the file to the ledger: every row once, whatever is killed, and back again as far as the units are free."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.exchange import actions as exchange
from inventory.exchange import statements
from inventory.exchange.adapters import any_file
from inventory.exchange.adapters.sheet import Unreadable
from inventory.ledger import queries as ledger
from inventory.models import Level, Movement, StockFile
from oms_project.refusal import Refusal, Stale
from tests.make import make_node, make_sku

pytestmark = pytest.mark.django_db
ACTOR = "staff:1"


class Killed(BaseException):
    """Nobody catches it, as nobody catches kill -9."""


@pytest.fixture(autouse=True)
def _places() -> None:
    for code in ("N1", "N2"):
        make_node(code=code)
    for code in ("S1", "S2", "S3"):
        make_sku(code)


def uploaded(text: str, purpose: str, at: datetime, **more: Any) -> StockFile:
    return exchange.upload(body=text.encode(), name="库存.csv", purpose=purpose, actor=ACTOR, at=at, **more)


def worked(file: StockFile, at: datetime) -> StockFile:
    exchange.work_on_files(at=at)
    return StockFile.objects.get(pk=file.pk)


def applied(text: str, purpose: str, at: datetime, **more: Any) -> StockFile:
    file = worked(uploaded(text, purpose, at, **more), at)
    exchange.apply_file(file=file, version=file.version, actor=ACTOR)
    return worked(file, at)


def on_hand() -> dict[str, int]:
    return {f"{node} {sku}": units for node, sku, units in Level.objects.values_list("node__code", "sku__code", "on_hand")}


def told(file: StockFile) -> list[tuple[int, str, int, str]]:
    return list(file.rows.order_by("number").values_list("number", "state", "change", "problem"))


def test_good_rows_are_applied_and_bad_ones_told(at: datetime) -> None:
    file = worked(uploaded("仓库,SKU,数量\nN1,S1,5\nN9,S1,1\nN1,S2,-1\nN1,S1,7\n", "stock", at), at)
    assert (file.state, file.total_rows, file.bad_rows, on_hand()) == ("ready", 4, 3, {})
    exchange.apply_file(file=file, version=file.version, actor=ACTOR)
    file = worked(file, at)
    assert (file.state, file.body, on_hand()) == ("applied", None, {"N1 S1": 5})
    assert told(file) == [
        (2, "done", 5, ""),
        (3, "bad", 0, "仓库“N9”不存在"),
        (4, "bad", 0, "数量“-1”不能为负数"),
        (5, "bad", 0, "仓库“N1”、SKU“S1”与第 2 行重复"),
    ]
    assert ledger.drift() == []


def test_changes_and_transfers_succeed_row_by_row(at: datetime) -> None:
    applied("仓库,SKU,数量\nN1,S1,10\n", "change", at)
    file = applied("调出仓,调入仓,SKU,数量\nN1,N2,S1,4\nN2,N1,S2,1\n", "transfer", at)
    assert on_hand()["N1 S1"] == 6
    assert on_hand()["N2 S1"] == 4
    assert told(file) == [(2, "done", 4, ""), (3, "failed", 0, "在库 0，已预占 0，不能减少 1")]
    assert file.rows.get(number=3).cells == ["N2", "N1", "S2", "1"]


@pytest.mark.parametrize("step", ["insert_rows", "settle_rows"])
def test_a_worker_killed_between_chunks_is_gone_on_with_exactly_once(
    step: str, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "CHUNK", 1)
    file = uploaded("仓库,SKU,数量\nN1,S1,5\nN1,S2,6\nN1,S3,7\n", "change", at)
    if step == "settle_rows":
        file = worked(file, at)
        exchange.apply_file(file=file, version=file.version, actor=ACTOR)
    real, calls = getattr(statements, step), []

    def killed_at_the_second(rows: object) -> None:
        real(rows)
        calls.append(rows)
        if len(calls) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(statements, step, killed_at_the_second)
        with pytest.raises(Killed):
            exchange.work_on_files(at=at)
    file = worked(file, at)
    if step == "insert_rows":
        assert (file.state, [row[0] for row in told(file)]) == ("ready", [2, 3, 4])
        exchange.apply_file(file=file, version=file.version, actor=ACTOR)
        file = worked(file, at)
    assert (file.state, on_hand()) == ("applied", {"N1 S1": 5, "N1 S2": 6, "N1 S3": 7})
    assert (file.done_rows, Movement.objects.count(), ledger.drift()) == (3, 3, [])


def test_a_file_that_is_slow_to_open_is_still_read_on(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    real = any_file.open_table

    def slowly(*given: Any) -> any_file.Table:
        clock.now += 2 * exchange.WORK_SECONDS
        return real(*given)

    monkeypatch.setattr(exchange, "CHUNK", 1)
    monkeypatch.setattr(exchange, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(any_file, "open_table", slowly)
    uploaded("仓库,SKU,数量\nN1,S1,5\nN1,S2,6\nN1,S3,7\n", "change", at)
    assert exchange.work_on_files(at=at) == 3
    assert StockFile.objects.get().state == "ready"


def test_of_two_workers_with_the_same_chunk_one_does_it(at: datetime) -> None:
    file = worked(uploaded("仓库,SKU,数量\nN1,S1,5\n", "change", at), at)
    exchange.apply_file(file=file, version=file.version, actor=ACTOR)
    one, other = StockFile.objects.get(pk=file.pk), StockFile.objects.get(pk=file.pk)
    assert exchange._apply_chunk(one, at) == 1
    with pytest.raises(exchange._Overtaken):
        exchange._apply_chunk(other, at)
    assert (on_hand(), Movement.objects.count()) == ({"N1 S1": 5}, 1)


def test_undo_takes_back_what_is_free_and_keeps_what_is_promised(at: datetime) -> None:
    file = applied("仓库,SKU,数量\nN1,S1,5\nN1,S2,5\n", "change", at)
    Level.objects.filter(sku__code="S2").update(held=1)
    exchange.undo_file(file=file, version=file.version, actor=ACTOR)
    file = worked(file, at)
    assert (file.state, file.problem, on_hand()) == ("undone", "1 行未能撤销", {"N1 S1": 0, "N1 S2": 5})
    assert told(file) == [
        (2, "undone", 5, ""),
        (3, "kept", 5, "已被预占或已出库：库存不足：总部仓N1 的 S2 在库 5，已预占 1，不能减少 5"),
    ]
    assert Movement.objects.filter(source_key=f"undo:{file.file_no}:2", quantity=-5).count() == 1


def test_a_transfer_is_taken_back_in_both_places(at: datetime) -> None:
    applied("仓库,SKU,数量\nN1,S1,10\n", "change", at)
    file = applied("调出仓,调入仓,SKU,数量\nN1,N2,S1,4\n", "transfer", at)
    exchange.undo_file(file=file, version=file.version, actor=ACTOR)
    assert (worked(file, at).state, on_hand()) == ("undone", {"N1 S1": 10, "N2 S1": 0})
    assert ledger.drift() == []


def test_the_same_bytes_twice_must_be_meant(at: datetime) -> None:
    first = uploaded("仓库,SKU,数量\nN1,S1,5\n", "change", at)
    with pytest.raises(exchange.AlreadyUploaded, match=first.file_no):
        uploaded("仓库,SKU,数量\nN1,S1,5\n", "change", at)
    assert StockFile.objects.count() == 1
    uploaded("仓库,SKU,数量\nN1,S1,5\n", "change", at, is_meant=True)
    assert StockFile.objects.count() == 2


def test_columns_are_chosen_where_they_are_not_recognised(at: datetime) -> None:
    file = worked(uploaded("甲,乙,丙\nN1,S1,5\n", "stock", at), at)
    assert (file.state, file.problem) == ("ready", "没有认出这些列：仓库编码、SKU、数量，请选择")
    with pytest.raises(exchange.NothingToDo):
        exchange.apply_file(file=file, version=file.version, actor=ACTOR)
    with pytest.raises(exchange.WrongColumns, match="请选择这些列：数量"):
        exchange.set_columns(file=file, version=file.version, columns={"node": 0, "sku": 1})
    exchange.set_columns(file=file, version=file.version, columns={"node": 0, "sku": 1, "quantity": 2})
    assert told(worked(file, at)) == [(2, "ready", 0, "")]


def test_what_a_person_saw_must_still_be_so(at: datetime) -> None:
    file = worked(uploaded("仓库,SKU,数量\nN1,S1,5\n", "stock", at), at)
    for act in (exchange.apply_file, exchange.drop_file):
        with pytest.raises(Stale):
            act(file=file, version=file.version - 1, actor=ACTOR)
    exchange.drop_file(file=file, version=file.version, actor=ACTOR)
    file = worked(file, at)
    assert (file.state, file.body, told(file), on_hand()) == ("dropped", None, [], {})


def test_nonsense_is_refused_and_nothing_is_kept(at: datetime) -> None:
    with pytest.raises(Unreadable, match="文件是空的"):
        uploaded("", "stock", at)
    with pytest.raises(Refusal, match="请选择用途"):
        uploaded("仓库\n", "nonsense", at)
    assert StockFile.objects.count() == 0
    file = worked(uploaded('仓库,SKU,数量\nN1,"S1,5\n', "stock", at), at)
    assert (file.state, file.problem) == ("refused", "第 2 行的引号没有成对，其后的内容无法读取，请改正后重新上传")


def test_what_is_promised_stays_and_what_is_lacking_is_said(at: datetime) -> None:
    applied("仓库,SKU,数量\nN1,S1,9\nN1,S2,4\n", "change", at)
    Level.objects.update(held=4)
    file = applied("仓库,SKU,数量\nN1,S1,3\nN1,S2,2\n", "count", at)
    assert on_hand() == {"N1 S1": 4, "N1 S2": 4}
    assert told(file) == [
        (2, "done", -5, "实有 3，少于已预占的 4，缺 1 件，请改派"),
        (3, "done", 0, "实有 2，少于已预占的 4，缺 2 件，请改派"),
    ]
    assert list(Movement.objects.filter(kind="count").values_list("quantity", flat=True)) == [-5]
    exchange.undo_file(file=file, version=file.version, actor=ACTOR)
    assert [row[1:3] for row in told(worked(file, at))] == [("undone", -5), ("undone", 0)]
    assert on_hand() == {"N1 S1": 9, "N1 S2": 4}


def test_figures_are_of_the_time_of_their_row_else_of_the_file_else_of_the_upload(at: datetime) -> None:
    hour = timedelta(hours=1)
    file = applied(
        f"仓库,SKU,数量,时间\nN1,S1,5,{(at - 3 * hour).isoformat()}\nN1,S2,6,\n", "stock", at, counted_at=at - 2 * hour
    )
    applied("仓库,SKU,数量\nN1,S3,7\n", "stock", at)
    assert file.state == "applied"
    times = Movement.objects.order_by("sku__code").values_list("kind", "moved_at")
    assert list(times) == [("report", at - 3 * hour), ("report", at - 2 * hour), ("report", at)]


def test_figures_older_than_the_last_ones_fail_and_what_moved_since_is_kept(at: datetime) -> None:
    applied("仓库,SKU,数量\nN1,S1,5\n", "stock", at)
    file = applied("仓库,SKU,数量\nN1,S1,8\n", "stock", at, counted_at=at - timedelta(hours=1))
    (row,) = told(file)
    assert row[:3] == (2, "failed", 0)
    assert row[3].startswith("晚于 ")
    assert row[3].endswith(" 的上报已生效")
    assert (on_hand(), file.rows.get().cells) == ({"N1 S1": 5}, ["N1", "S1", "8"])
    soon, later = at + timedelta(minutes=1), at + timedelta(minutes=2)
    applied("仓库,SKU,数量\nN1,S1,-2\n", "change", later)
    applied("仓库,SKU,数量\nN1,S1,10\n", "stock", later, counted_at=soon)
    assert (on_hand(), ledger.drift()) == ({"N1 S1": 8}, [])


def test_a_chunk_of_figures_costs_the_same_for_many_rows(at: datetime) -> None:
    with CaptureQueriesContext(connection) as few:
        applied("仓库,SKU,数量\nN1,S1,1\n", "count", at)
    rows = [f"N{node},S{sku},{node + sku}" for node in (1, 2) for sku in (1, 2, 3)]
    with CaptureQueriesContext(connection) as many:
        applied("\n".join(["仓库,SKU,数量", *rows]), "count", at)
    assert len(many) <= len(few) + 2
