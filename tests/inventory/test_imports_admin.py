"""The pages of imports: who may see and do what, and that a person is told in words whatever goes wrong."""

from datetime import datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from inventory.exchange import actions as exchange
from inventory.exchange.adapters.sheet import MOST_BYTES
from inventory.models import Level, StockFile
from tests.make import make_level, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
GOOD = "仓库,SKU,数量\nN1,S1,5\n"
MIXED = "仓库,SKU,数量,备注\nN1,S1,5,\nN9,S1,1,=cmd\nN1,S2,-1,\nN1,S1,7,\n"


@pytest.fixture(autouse=True)
def _places() -> None:
    make_level(make_node(code="N1"), make_sku("S1"), on_hand=3)
    make_sku("S2")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_staff(role="operator"))
    return client


def page(name: str, *args: object) -> str:
    return reverse(f"admin:inventory_stockfile_{name}", args=args)


def sent(client: Client, text: str = GOOD, purpose: str = "stock", **more: str) -> HttpResponse:
    file = SimpleUploadedFile("库存.csv", text.encode())
    return client.post(page("upload"), {"purpose": purpose, "file": file, **more})


def read(client: Client, text: str = GOOD, purpose: str = "stock") -> StockFile:
    assert sent(client, text, purpose).status_code == 302
    return worked()


def worked() -> StockFile:
    exchange.work_on_files(at=timezone.now())
    return StockFile.objects.latest("id")


def step(client: Client, file: StockFile, name: str, **more: object) -> str:
    """Press a button and follow it; the text of the page."""
    answer = client.post(page("step", file.pk, name), {"version": file.version, **more}, follow=True)
    assert answer.status_code == 200
    return answer.text


def test_a_file_is_uploaded_looked_at_applied_and_taken_back(operator: Client) -> None:
    assert sent(operator, MIXED).status_code == 302
    (file,) = StockFile.objects.all()
    waiting = operator.get(page("change", file.pk)).text
    assert 'http-equiv="refresh" content="2"' in waiting
    assert "放弃" in waiting
    assert "执行 " not in waiting
    file = worked()
    shown = operator.get(page("change", file.pk))
    assert "refresh" not in shown.text
    assert shown.context["preview"]["headers"] == ["行号", "仓库编码", "SKU", "数量", "备注", "现有库存", "执行后", "说明"]
    assert shown.context["preview"]["rows"][0] == [2, "N1", "S1", "5", "", "3", "5", "正确"]
    assert shown.context["preview"]["rows"][1] == [3, "N9", "S1", "1", "=cmd", "—", "—", "仓库“N9”不存在"]
    assert {(figure.name, figure.count) for figure in shown.context["faults"]} == {("仓库有误", 1), ("数量有误", 1), ("重复", 1)}
    assert "执行 1 行（仅正确行）" in shown.text
    assert 'http-equiv="refresh"' in step(operator, file, "apply")
    file = worked()
    result = operator.get(page("change", file.pk))
    assert [(figure.name, figure.count) for figure in result.context["results"]] == [("有误", 3), ("已执行", 1)]
    for figure in result.context["results"]:
        assert operator.get(figure.link).context["cl"].result_count == figure.count
    assert Level.objects.get().on_hand == 5
    assert 'http-equiv="refresh"' in step(operator, file, "undo")
    assert (worked().state, Level.objects.get().on_hand) == ("undone", 3)


def test_the_list_offers_the_upload_and_the_plain_form_is_shut(operator: Client) -> None:
    sent(operator)
    listed = operator.get(page("changelist")).text
    assert page("upload") in listed
    assert "待读取" in listed
    assert "uploaded</" not in listed
    assert operator.get(page("upload")).status_code == 200
    operator.force_login(make_staff(role="admin"))
    assert operator.get(page("add")).status_code == 403
    assert operator.post(page("add"), {"file_no": "X"}).status_code == 403


@pytest.mark.parametrize("role", ["finance", "nobody"])
def test_others_neither_see_nor_do_anything(role: str, client: Client, operator: Client) -> None:
    file = read(operator, MIXED)
    stranger = Client()
    if role == "finance":
        stranger.force_login(make_staff(role="finance"))
    closed = 403 if role == "finance" else 302
    for address in ("changelist", "upload"):
        assert stranger.get(page(address)).status_code == closed
    assert stranger.get(page("change", file.pk)).status_code == closed
    assert stranger.get(page("wrong", file.pk)).status_code == closed
    assert stranger.get(page("template", "stock")).status_code == closed
    sent(stranger, "仓库,SKU,数量\nN1,S1,9\n")
    for name in ("read", "apply", "drop", "undo"):
        assert stranger.post(page("step", file.pk, name), {"version": file.version}).status_code == closed
    assert list(StockFile.objects.values_list("state", "version")) == [("ready", file.version)]


def test_what_is_refused_is_told_and_changes_nothing(operator: Client) -> None:
    file = read(operator)
    assert "内容已更新，请刷新后再操作" in step(operator, file, "apply", version="0")
    assert "内容已更新，请刷新后再操作" in step(operator, file, "drop", version="９" * 30)
    assert "没有可以撤销的行" in step(operator, file, "undo")
    assert "请选择这些列：数量" in step(operator, file, "read", node="0", sku="1")
    assert "选择的列不在文件中" in step(operator, file, "read", node="0", sku="1", quantity="99")
    assert "同一列不能用于两项" in step(operator, file, "read", node="0", sku="1", quantity="1")
    assert operator.post(page("step", file.pk, "burn")).status_code == 404
    assert operator.post(page("step", 999, "apply")).status_code == 404
    assert operator.get(page("step", file.pk, "apply")).status_code == 405
    assert operator.get(page("change", "x")).status_code == 404
    assert (StockFile.objects.get().state, Level.objects.get().on_hand) == ("ready", 3)


def test_columns_are_chosen_by_hand(operator: Client) -> None:
    file = read(operator, "甲,乙,丙\nN1,S1,5\n")
    shown = operator.get(page("change", file.pk))
    assert "没有认出这些列：仓库编码、SKU、数量，请选择" in shown.text
    assert "仅正确行" not in shown.text
    assert shown.context["preview"] is None
    step(operator, file, "read", node="0", sku="1", quantity="2")
    assert "执行 1 行（仅正确行）" in operator.get(page("change", worked().pk)).text


def test_the_same_content_needs_to_be_meant(operator: Client) -> None:
    sent(operator)
    again = sent(operator)
    assert again.status_code == 200
    assert "内容相同的文件已于" in again.text
    assert 'type="checkbox"' in again.text
    assert StockFile.objects.count() == 1
    assert sent(operator, is_meant="on").status_code == 302
    assert StockFile.objects.count() == 2


def test_files_that_cannot_be_are_refused_on_the_page(operator: Client) -> None:
    tomorrow = f"{timezone.localtime() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    for answer, words in (
        (sent(operator, "x" * (MOST_BYTES + 1)), "文件超过 20 MB 的上限"),
        (sent(operator, ""), "文件是空的"),
        (sent(operator, "PK\x03\x04nonsense"), "文件已损坏"),
        (sent(operator, purpose="burn"), "burn"),
        (sent(operator, counted_at=tomorrow), "数据时间不能晚于现在"),
        (operator.post(page("upload"), {"purpose": "stock"}), "请选择文件"),
    ):
        assert answer.status_code == 200
        assert words in answer.text
    assert StockFile.objects.count() == 0


def test_wrong_rows_come_back_as_a_csv_that_can_be_mended_and_uploaded_again(operator: Client, at: datetime) -> None:
    file = read(operator, MIXED)
    body = b"".join(operator.get(page("wrong", file.pk))).decode()
    assert body.splitlines() == [
        "\ufeff仓库,SKU,数量,备注,行号,错误状态,错误原因",
        "N9,S1,1,'=cmd,3,有误,仓库“N9”不存在",
        "N1,S2,-1,,4,有误,数量“-1”不能为负数",
        "N1,S1,7,,5,有误,仓库“N1”、SKU“S1”与第 2 行重复",
    ]
    mended = read(operator, body.replace("N9", "N1").replace("-1", "1"))
    assert (mended.total_rows, mended.bad_rows) == (3, 1)


@pytest.mark.parametrize("purpose", StockFile.Purpose.values)
def test_each_purpose_has_a_template_that_is_recognised_whole(purpose: str, operator: Client) -> None:
    header = b"".join(operator.get(page("template", purpose))).decode()
    file = read(operator, header + "N1,N1,S1,1\n", purpose)
    assert file.problem == ""
    assert len(file.columns) == len(file.header)
    assert operator.get(page("template", "burn")).status_code == 404


def test_pages_cost_the_same_for_few_and_many_rows_and_never_fetch_the_file(operator: Client) -> None:
    few = read(operator)
    many = read(operator, GOOD + "".join(f"N1,S{number},{number}\n" for number in range(2, 60)))
    counts = []
    for file in (few, many):
        for address in (page("change", file.pk), page("changelist")):
            with CaptureQueriesContext(connection) as asked:
                assert operator.get(address).status_code == 200
            assert not any('"body"' in query["sql"] for query in asked)
            counts.append(len(asked))
    assert counts[:2] == counts[2:]
    assert max(counts) <= 10
