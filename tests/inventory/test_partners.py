"""Other systems post stock and read it: row by row, once, and only what is theirs."""

from datetime import timedelta
from itertools import count
from typing import Any

import orjson
import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inventory.ledger import queries as ledger
from inventory.models import Level, Movement, NodeGroup, PublishedStock, Reservation
from inventory.partners.rules import MOST_ROWS
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from tests.conftest import NOON
from tests.inventory.partners_world import World, call, figure, make_key, make_world, movement, problem_of, told
from tests.make import make_level, make_node, make_sku

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


@pytest.fixture
def noon() -> Any:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def on_hand(node: str = "N001") -> int | None:
    return Level.objects.filter(node__code=node, sku__code="KT-3300").values_list("on_hand", flat=True).first()


def footprint() -> tuple[int, int, list[tuple[int, int]]]:
    """What a refusal must leave as it was."""
    levels = list(Level.objects.exclude(on_hand=0).order_by("id").values_list("id", "on_hand"))
    return Movement.objects.count(), Entry.objects.count(), levels


def test_figures_set_the_stock_and_the_same_request_changes_nothing(world: World):
    answer = world.post("levels", [figure(12), figure(5, "k2", node="N101")])
    assert answer.status_code == 200
    assert told(answer) == [("done", "在库 0 → 12", 12), ("done", "在库 0 → 5", 5)]
    assert answer.json()["counts"] == {"done": 2, "same": 0, "short": 0, "stale": 0, "refused": 0}
    before = footprint()
    again = world.post("levels", [figure(12), figure(5, "k2", node="N101")])
    assert [row[0] for row in told(again)] == ["same", "same"]
    assert footprint() == before
    assert (on_hand(), on_hand("N101"), ledger.drift()) == (12, 5, [])


def test_movements_add_up_and_the_same_request_changes_nothing(world: World):
    rows = [movement(10, "a"), movement(-3, "b", "shipment"), movement(1, "c", "return", reason="七天无理由")]
    answer = world.post("movements", rows)
    assert [row[0] for row in told(answer)] == ["done"] * 3
    assert on_hand() == 8
    before = footprint()
    again = world.post("movements", rows)
    assert [(status, units) for status, _, units in told(again)] == [("same", 8)] * 3
    assert footprint() == before
    prefix = world.hq.split("_")[1]
    kept = Movement.objects.order_by("id").values_list("source_key", "kind", "quantity", "reason", "actor")
    assert kept[2] == (f"api:{prefix}:c", "return", 1, "七天无理由", f"api:{prefix}")


def test_a_key_with_other_content_is_refused(world: World):
    world.post("movements", [movement(10, "a")])
    before = footprint()
    for rows in ([movement(11, "a")], [movement(10, "a", "return")], [movement(10, "a", node="N101")]):
        ((status, words, _),) = told(world.post("movements", rows))
        assert (status, words) == ("refused", "来源键 a 已用于另一笔出入库")
    assert footprint() == before


def test_two_systems_may_use_the_same_key(world: World):
    other = make_key().secret
    world.post("movements", [movement(10, "a")])
    assert told(world.post("movements", [movement(3, "a")], other)) == [("done", "已记账 +3", 13)]


def test_good_rows_stand_beside_bad_ones(world: World):
    rows = [
        movement(10, "a"), "x", movement(1.5, "b"), movement(1, "c", node="N999"), movement(1, "d", sku="KT-9999"),
        movement(1, "e", node="N999", sku="KT-9999"), movement(1, "f", sku="KT-VIP"),
        movement(-99, "g", "shipment"), movement(2, "h"),
    ]  # fmt: skip
    answer = world.post("movements", rows)
    seen = told(answer)
    assert [row[1] for row in seen[1:7]] == [
        "每行应为一个对象", "quantity 应为整数", "未知仓库", "未知 SKU", "未知仓库；未知 SKU", "虚拟商品和服务不计库存",
    ]  # fmt: skip
    assert [row[0] for row in seen] == ["done", *["refused"] * 7, "done"]
    assert answer.json()["counts"] == {"done": 2, "same": 0, "short": 0, "stale": 0, "refused": 7}
    assert (on_hand(), Movement.objects.count(), ledger.drift()) == (12, 2, [])


def test_a_dealers_key_knows_its_own_places_only(world: World):
    south = make_key(world.south).secret
    for path, row in (("levels", figure), ("movements", movement)):
        before = footprint()
        refused = told(world.post(path, [row(4, f"{path}{node}", node=node) for node in ("N001", "N201", "N999")], south))
        assert refused == [("refused", "未知仓库", None)] * 3
        assert footprint() == before
    assert told(world.post("levels", [figure(4, node="N101")], south)) == [("done", "在库 0 → 4", 4)]
    world.post("levels", [figure(9, "x"), figure(9, "y", node="N201")])
    seen = {row["node"] for row in call(south, "GET", "levels").json()["results"]}
    assert seen == {"N101"}
    assert call(south, "GET", "levels?node=N201").json() == call(south, "GET", "levels?node=N999").json()
    assert {row["node"] for row in call(world.hq, "GET", "levels").json()["results"]} == {"N001", "N101", "N201"}


def test_a_report_below_what_is_promised_is_short(world: World):
    world.post("levels", [figure(10)])
    node = world.nodes["N001"]
    assert reservations.hold(wants=[Want("A", node.pk, world.sku.pk, 6)], at=NOON) == {"A"}
    later = figure(4, "k2", measured_at="2026-11-25T12:01:00+08:00")
    ((status, words, units),) = told(world.post("levels", [later]))
    assert (status, units, bool(words)) == ("short", 6, True)
    assert Level.objects.get().held == 6


def test_an_older_report_is_stale(world: World):
    world.post("levels", [figure(10)])
    before = footprint()
    ((status, _, units),) = told(world.post("levels", [figure(4, "k2", measured_at="2026-11-25T11:00:00+08:00")]))
    assert (status, units) == ("stale", 10)
    assert footprint() == before


# Where every stock row is new, and where all stand there; SQLite needs one more to write the journal.
STATEMENTS = {"levels": (16, 11), "movements": (14, 9)}


@pytest.mark.parametrize("path", STATEMENTS)
def test_the_number_of_statements_does_not_grow(world: World, path: str):
    row, keys = (figure, count()) if path == "levels" else (movement, count())
    call(world.hq, "GET", "levels")  # notes the use of the key
    spent: dict[str, set[int]] = {"new": set(), "standing": set()}
    for number in (2, 300):
        skus = [make_sku().code for _ in range(number)]
        for state, units in (("new", 5), ("standing", 6)):
            rows = [row(units, f"k{next(keys)}", sku=sku, node="N001" if n % 2 else "N101") for n, sku in enumerate(skus)]
            with CaptureQueriesContext(connection) as asked:
                assert world.post(path, rows).json()["counts"]["done"] == number
            spent[state].add(sum(not query["sql"].startswith(("SAVEPOINT", "RELEASE")) for query in asked))
    more = connection.vendor == "sqlite"
    assert (spent["new"], spent["standing"]) == tuple({most + more} for most in STATEMENTS[path])


ENVELOPES = [
    ({}, 400, "invalid"), ({"rows": []}, 400, "invalid"), ({"rows": {}}, 400, "invalid"), ({"rows": "x"}, 400, "invalid"),
    ({"rows": None}, 400, "invalid"), ({"rows": [figure(1)], "mode": "all"}, 400, "invalid"),
    ({"rows": [figure(1)] * (MOST_ROWS + 1)}, 400, "invalid"),
    (b"", 400, "invalid"), (b"[]", 400, "parse_error"), (b"{", 400, "parse_error"), (b"null", 400, "parse_error"),
    (b'{"rows": [{"quantity": NaN}]}', 400, "parse_error"), (b'{"rows": [1,]}', 400, "parse_error"),
    ('{"rows": [{"node": "总部仓"}]}'.encode("gbk"), 400, "parse_error"), (b'{"rows": ["\\ud800"]}', 400, "parse_error"),
    (b'{"rows": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "parse_error"), (b"\xff\xfe" + b"{}", 400, "parse_error"),
    (b'{"rows": ["' + b"x" * 5_000_000 + b'"]}', 413, "too_large"),
]  # fmt: skip


@pytest.mark.parametrize("path", ["levels", "movements"])
@pytest.mark.parametrize(("body", "status", "code"), ENVELOPES, ids=range(len(ENVELOPES)))
def test_a_broken_envelope_changes_nothing(world: World, path: str, body: Any, status: int, code: str):
    before = footprint()
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    assert problem_of(call(world.hq, "POST", path, raw=raw))[:2] == (status, code)
    assert footprint() == before


def test_the_envelope_is_told_what_is_wrong_with_it(world: World):
    too_many = world.post("levels", [1] * (MOST_ROWS + 1)).json()
    assert too_many["errors"]["rows"][0]["message"] == "应为 1 至 5000 行，收到 5001 行"
    unknown = call(world.hq, "POST", "levels", {"rows": [1], "mode": "all"}).json()
    assert unknown["errors"] == {"mode": [{"message": "未知字段", "code": "invalid"}]}


def test_a_form_is_no_json(world: World):
    answer = Client().post("/api/stock/levels", {"rows": "1"}, headers={"Authorization": f"Bearer {world.hq}"})
    assert problem_of(answer)[0] == 415
    assert problem_of(call(world.hq, "DELETE", "levels"))[0] == 405


def test_five_thousand_rows_in_one_request(world: World):
    rows = [movement(1, f"r{n}") for n in range(MOST_ROWS)]
    assert world.post("movements", rows).json()["counts"]["done"] == MOST_ROWS
    assert world.post("movements", rows).json()["counts"]["same"] == MOST_ROWS
    assert (on_hand(), Movement.objects.count(), ledger.drift()) == (MOST_ROWS, MOST_ROWS, [])


def test_stock_is_shown_taken_apart(world: World):
    node = world.nodes["N001"]
    level = make_level(
        node, world.sku, on_hand=20, held=9, safety_stock=2, share_percent=90, share_cap=17, keep_back=1, reported_at=NOON
    )
    for bill, kind, units in (("A", "node", 3), ("B", "node", 2), ("C", "pinned", 4)):
        Reservation.objects.create(level=level, bill=bill, kind=kind, quantity=units, held_at=NOON)
    Reservation.objects.create(level=level, bill="D", kind="node", quantity=7, held_at=NOON, state="released")
    (row,) = call(world.hq, "GET", "levels?node=N001&sku=KT-3300").json()["results"]
    assert row == {
        "node": "N001", "node_name": node.name, "sku": "KT-3300", "sku_name": world.sku.name, "ownership": "hq",
        "on_hand": 20, "held": 9, "held_by": {"node": 5, "pinned": 4}, "safety_stock": 2, "share_percent": 90,
        "share_cap": 17, "keep_back": 1, "sellable": 6, "reported_at": "2026-11-25T12:00:00+08:00", "fresh_until": None,
    }  # fmt: skip
    Level.objects.update(fresh_until=NOON - timedelta(seconds=1))
    assert call(world.hq, "GET", "levels?sku=KT-3300").json()["results"][0]["sellable"] == 0


def test_pages_follow_one_another_and_cost_the_same(world: World):
    for _ in range(7):
        make_level(make_node(), make_sku(), on_hand=3)
    seen, after, spent = [], 0, set()
    while after is not None:
        with CaptureQueriesContext(connection) as asked:
            page = call(world.hq, "GET", f"levels?limit=3&after={after}").json()
        spent.add(len(asked) - (after == 0))  # the first call notes the use
        seen += [row["node"] for row in page["results"]]
        after = page["next_after"]
    assert (len(seen), len(set(seen)), spent) == (7, 7, {3})


@pytest.mark.parametrize(
    "asked", ["limit=0", "limit=1001", "after=-1", "after=x", "after=99999999999999999999", "color=red", "node=%00"]
)
def test_nonsense_questions(world: World, asked: str):
    assert problem_of(call(world.hq, "GET", f"levels?{asked}"))[:2] == (400, "invalid")


def test_the_pool_adds_up_for_hq_and_is_closed_to_dealers(world: World):
    make_level(world.nodes["N001"], world.sku, on_hand=10, safety_stock=2)
    make_level(world.nodes["N101"], world.sku, on_hand=5)
    assert reservations.hold(wants=[Want("A", world.nodes["N101"].pk, world.sku.pk, 3)], at=NOON) == {"A"}
    group = NodeGroup.objects.create(code="G1", name="华南")
    group.nodes.add(world.nodes["N101"])
    body = call(world.hq, "GET", "pool?sku=KT-3300,KT-9999").json()
    assert body == {
        "results": [
            {
                "sku": "KT-3300", "name": world.sku.name, "on_hand": 15, "held": 3, "held_by": {"node": 3}, "closed": 0,
                "stale": 0, "safety": 2, "withheld": 0, "sellable": 10, "globally": 0, "available": 12, "promisable": 10,
                "incoming": 0, "next_on": None,
            }
        ],
        "count": 1,
        "next_page": None,
    }  # fmt: skip
    assert call(world.hq, "GET", "pool?sku=KT-3300&group=G1").json()["results"][0]["sellable"] == 2
    assert call(world.hq, "GET", "pool?sku=KT-3300&region=99").json()["results"][0]["on_hand"] == 0
    assert problem_of(call(world.hq, "GET", "pool?group=G9")) == (404, "not_found", "找不到这条记录")
    many = ",".join(["K"] * 101)
    for asked in ("region=3%25", "region=320", "limit=501", "page=0", "color=red", f"sku={many}", "sku=%00"):
        assert problem_of(call(world.hq, "GET", f"pool?{asked}"))[:2] == (400, "invalid"), asked
    south = make_key(world.south).secret
    for path in ("pool?sku=KT-3300", "published?channel=doudian&shop=1"):
        assert problem_of(call(south, "GET", path)) == (403, "forbidden", "没有权限")


def test_pages_of_the_pool(world: World):
    for _ in range(3):
        make_level(world.nodes["N001"], make_sku())
    pages = [call(world.hq, "GET", f"pool?limit=3&page={page}").json() for page in (1, 2)]
    assert [(len(page["results"]), page["count"], page["next_page"]) for page in pages] == [(3, 4, 2), (1, 4, None)]


def test_a_shop_asks_for_what_changed_since(world: World):
    for version, sku in ((1, world.sku), (2, make_sku("KT-1"))):
        PublishedStock.objects.create(
            channel="doudian", shop="1", sku=sku, quantity=7 + version, sellable=9, version=version, changed_at=NOON
        )
    body = call(world.hq, "GET", "published?channel=doudian&shop=1&since=1").json()
    row = {"sku": "KT-1", "quantity": 9, "version": 2, "changed_at": "2026-11-25T12:00:00+08:00"}
    assert body == {"results": [row], "version": 2}
    assert call(world.hq, "GET", "published?channel=doudian&shop=1&since=2").json() == {"results": [], "version": 2}
    assert len(call(world.hq, "GET", "published?channel=doudian&shop=1").json()["results"]) == 2
    for asked in ("", "channel=doudian", "channel=doudian&shop=1&since=-1", "channel=doudian&shop=1&since=x"):
        assert problem_of(call(world.hq, "GET", f"published?{asked}"))[:2] == (400, "invalid")


def test_the_schema_documents_the_stock_doors(client: Client):
    schema = client.get("/api/schema/?format=json").json()
    post = schema["paths"]["/api/stock/levels"]["post"]
    assert post["security"] == [{"stockKey": []}]
    assert post["requestBody"]["content"].keys() == {"application/json"}
