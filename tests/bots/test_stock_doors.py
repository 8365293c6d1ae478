"""The dealers' doors to stock: own places only, every deed once, and what is refused changes nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from bots.miniapp.auth import issue_token
from dealers.models import Staff
from inventory.ledger import actions as ledger
from inventory.ledger import queries as books
from inventory.ledger.rules import NewMovement
from inventory.models import Incoming, Level, Movement, Node, Reservation, Sku, Transfer, TransferLine
from inventory.replenishment import actions as transfers
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from tests.make import make_dealer, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
Call = Callable[..., Any]


class Town(NamedTuple):
    owner: Staff
    clerk: Staff
    stranger: Staff
    ours: Node
    shop: Node
    store: Node
    theirs: Node
    sofa: Sku
    lamp: Sku


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def town(now: datetime) -> Town:
    """A dealer with two places, a neighbour with one, and HQ's with goods."""
    dealer, other = make_dealer(), make_dealer()
    ours, shop = make_node(code="HQ1", name="总仓"), make_node(dealer, code="A1", name="华南仓")
    store, theirs = make_node(dealer, code="A2", name="华南店"), make_node(other, code="B1", name="华北仓")
    sofa, lamp = make_sku("SOFA"), make_sku("LAMP")
    units = {(ours, sofa): 10, (ours, lamp): 5, (shop, sofa): 6, (theirs, sofa): 8}
    moves = [NewMovement(node.pk, sku.pk, "receipt", n, f"in:{node.code}:{sku.code}") for (node, sku), n in units.items()]
    ledger.post(movements=moves, actor="staff:1", at=now - timedelta(days=1))
    owner, clerk, stranger = make_staff(dealer), make_staff(dealer, role="clerk"), make_staff(other)
    return Town(owner, clerk, stranger, ours, shop, store, theirs, sofa, lamp)


@pytest.fixture
def call() -> Call:
    def send(method: str, path: str, staff: Staff, body: Any = None) -> Any:
        return Client(raise_request_exception=False).generic(
            method,
            f"/api/{path}",
            orjson.dumps(body or {}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {issue_token(staff)}"},
        )

    return send


def everything() -> dict[str, list[dict[str, Any]]]:
    tables = (Incoming, Level, Movement, Reservation, Entry, Transfer, TransferLine)
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}


def asked(key: str = "k-1", source: str = "HQ1", target: str = "A1", **units: int) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in (units or {"SOFA": 4}).items()]
    return {"key": key, "from_node": source, "to_node": target, "lines": lines}


def approved(transfer_no: str, now: datetime, **units: int) -> int:
    """HQ says yes; returns the version after that."""
    quantities = {Sku.objects.get(code=code).pk: n for code, n in units.items()}
    return transfers.approve(transfer_no=transfer_no, version=1, actor="staff:1", at=now, quantities=quantities).version


def on_hand(node: Node, sku: Sku) -> int:
    return Level.objects.get(node=node, sku=sku).on_hand


def test_goods_are_asked_for_sent_and_received_short(call: Call, town: Town, now: datetime) -> None:
    made = call("POST", "transfers", town.clerk, asked(SOFA=4, LAMP=2) | {"note": "周末活动"})
    assert made.status_code == 201
    record = made.json()
    number = record["transfer_no"]
    assert (record["from_node"], record["to_node"], record["state"], record["actions"]) == ("HQ1", "A1", "requested", [])
    assert [(line["sku"], line["requested"]) for line in record["lines"]] == [("SOFA", 4), ("LAMP", 2)]
    version = approved(number, now)
    assert call("GET", f"transfers/{number}", town.owner).json()["actions"] == []
    version = transfers.ship(transfer_no=number, version=version, actor="staff:1", at=now).version
    assert call("GET", f"transfers/{number}", town.owner).json()["actions"] == ["receive"]
    (row,) = [row for row in call("GET", "own-stock?node=A1", town.owner).json()["results"] if row["sku"] == "LAMP"]
    assert (row["on_hand"], row["incoming"]) == (0, 2)
    came = {"version": version, "key": "r-1", "lines": [{"sku": "SOFA", "quantity": 3}, {"sku": "LAMP", "quantity": 2}]}
    first = call("POST", f"transfers/{number}/receive", town.clerk, came)
    assert (first.status_code, first.json()["state"], on_hand(town.shop, town.sofa)) == (200, "shipped", 9)
    before = everything()
    assert call("POST", f"transfers/{number}/receive", town.clerk, came).status_code == 200
    assert everything() == before
    last = {"version": first.json()["version"], "key": "r-2", "is_last": True}
    silent = call("POST", f"transfers/{number}/receive", town.clerk, last)
    assert (silent.status_code, silent.json()["detail"]) == (409, "收货短少，请填写原因")
    assert silent.json()["record"]["version"] == last["version"]
    assert everything() == before
    done = call("POST", f"transfers/{number}/receive", town.clerk, last | {"reason": "途中破损"})
    assert (done.status_code, done.json()["state"]) == (200, "received")
    lines = {line["sku"]: (line["shipped"], line["received"], line["lost"]) for line in done.json()["lines"]}
    assert lines == {"SOFA": (4, 3, 1), "LAMP": (2, 2, 0)}
    assert (on_hand(town.shop, town.sofa), on_hand(town.shop, town.lamp), books.drift()) == (9, 2, [])


def test_what_leaves_an_own_place_is_sent_in_full_or_in_part(call: Call, town: Town, now: datetime) -> None:
    number = call("POST", "transfers", town.owner, asked(source="A1", target="A2", SOFA=5)).json()["transfer_no"]
    version = approved(number, now)
    assert call("GET", f"transfers/{number}", town.owner).json()["actions"] == ["ship"]
    too_many = {"version": version, "lines": [{"sku": "SOFA", "quantity": 6}]}
    before = everything()
    assert call("POST", f"transfers/{number}/ship", town.owner, too_many).json()["detail"] == "SOFA 最多发出 5 件，不能发出 6 件"
    unknown = {"version": version, "lines": [{"sku": "NONE", "quantity": 1}]}
    assert call("POST", f"transfers/{number}/ship", town.owner, unknown).status_code == 400
    stale = call("POST", f"transfers/{number}/ship", town.owner, {"version": version - 1})
    assert (stale.status_code, stale.json()["code"], stale.json()["record"]["version"]) == (409, "stale", version)
    assert everything() == before
    fewer = {"version": version, "lines": [{"sku": "SOFA", "quantity": 4}]}
    sent = call("POST", f"transfers/{number}/ship", town.owner, fewer)
    assert (sent.status_code, sent.json()["state"], on_hand(town.shop, town.sofa)) == (200, "shipped", 2)
    before = everything()
    assert call("POST", f"transfers/{number}/ship", town.clerk, fewer).status_code == 200
    assert everything() == before
    assert (Level.objects.get(node=town.shop, sku=town.sofa).held, books.drift()) == (0, [])


def test_a_request_is_made_once_per_key(call: Call, town: Town) -> None:
    first = call("POST", "transfers", town.owner, asked())
    before = everything()
    again = call("POST", "transfers", town.owner, asked())
    assert (again.status_code, again.json()["transfer_no"]) == (201, first.json()["transfer_no"])
    other = call("POST", "transfers", town.owner, asked(SOFA=5))
    assert (other.status_code, other.json()["code"]) == (409, "refused")
    assert everything() == before
    assert call("POST", "transfers", town.clerk, asked(SOFA=5)).status_code == 201
    assert Transfer.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (asked(source="B1"), 404),
        (asked(target="B1"), 404),
        (asked(target="HQ1", source="A1"), 404),
        (asked(source="NONE"), 404),
        (asked(source="A1"), 409),
        (asked(NONE=1), 400),
        (asked(SOFA=-1), 400),
        (asked(SOFA=10**12), 400),
        (asked(SOFA=0), 409),
        (asked() | {"lines": []}, 400),
        (asked() | {"lines": [{"sku": "SOFA", "quantity": 1}] * 2}, 400),
        (asked() | {"key": "好"}, 400),
        (asked() | {"expected_on": "2020-01-01"}, 409),
        (asked() | {"bribe": 1}, 400),
    ],
    ids=range(14),
)
def test_what_may_not_be_asked_for_changes_nothing(call: Call, town: Town, body: dict[str, Any], status: int) -> None:
    before = everything()
    answer = call("POST", "transfers", town.owner, body)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert everything() == before


def test_another_dealer_finds_nothing_and_changes_nothing(call: Call, town: Town, now: datetime) -> None:
    number = call("POST", "transfers", town.owner, asked()).json()["transfer_no"]
    outward = call("POST", "transfers", town.owner, asked("k-2", "A1", "A2", SOFA=1)).json()["transfer_no"]
    versions = {each: approved(each, now) for each in (number, outward)}
    versions[number] = transfers.ship(transfer_no=number, version=versions[number], actor="staff:1", at=now).version
    before = everything()
    came = {"version": versions[number], "key": "r-1", "lines": [{"sku": "SOFA", "quantity": 1}]}
    count = {"node": "A1", "key": "c-1", "measured_at": now.isoformat(), "lines": [{"sku": "SOFA", "quantity": 0}]}
    for method, path, body in (
        ("GET", f"transfers/{number}", None),
        ("POST", f"transfers/{number}/receive", came),
        ("POST", f"transfers/{outward}/ship", {"version": versions[outward]}),
        ("GET", "own-stock?node=A1", None),
        ("POST", "counts", count),
    ):
        assert call(method, path, town.stranger, body).status_code == 404, path
        for role in ("installer", "finance"):
            outsider = make_staff(town.owner.dealer if role == "installer" else None, role=role)
            assert call(method, path, outsider, body).status_code == 403, path
    assert call("GET", "transfers", town.stranger).json()["results"] == []
    assert call("POST", f"transfers/{number}/ship", town.owner, {"version": 1}).status_code == 404  # it is HQ's to send
    assert everything() == before


def test_the_places_are_ours_and_the_dealers_own(call: Call, town: Town) -> None:
    Node.objects.filter(code="A2").update(is_active=False)
    found = {row["code"]: row["is_own"] for row in call("GET", "places", town.owner).json()["results"]}
    assert found == {"HQ1": False, "A1": True}
    assert {row["code"] for row in call("GET", "places", town.stranger).json()["results"]} == {"HQ1", "B1"}


def test_own_stock_is_told_with_what_is_promised_and_what_is_free(call: Call, town: Town, now: datetime) -> None:
    reservations.hold(wants=[Want("F1", town.shop.pk, town.sofa.pk, 2)], at=now)
    Level.objects.filter(node=town.shop).update(safety_stock=1)
    (row,) = call("GET", "own-stock?node=A1", town.owner).json()["results"]
    assert row == {
        "sku": "SOFA", "name": "商品 SOFA", "on_hand": 6, "held": 2, "free": 3, "incoming": 0, "next_on": None,
    }  # fmt: skip
    assert call("GET", "own-stock", town.owner).status_code == 400
    assert call("GET", "own-stock?node=HQ1", town.owner).status_code == 404


def test_own_stock_comes_in_pages(call: Call, town: Town, now: datetime, django_assert_max_num_queries: Any) -> None:
    skus = [make_sku(f"S{number}") for number in range(5)]
    moves = [NewMovement(town.store.pk, sku.pk, "receipt", 1, f"in:{sku.code}") for sku in skus]
    ledger.post(movements=moves, actor="staff:1", at=now)
    with django_assert_max_num_queries(6):
        first = call("GET", "own-stock?node=A2&limit=3", town.owner).json()
    second = call("GET", f"own-stock?node=A2&limit=3&page={first['next_page']}", town.owner).json()
    assert [row["sku"] for row in first["results"] + second["results"]] == [sku.code for sku in skus]
    assert second["next_page"] is None


def counted(key: str, when: datetime, **units: int) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()]
    return {"node": "A1", "key": key, "measured_at": when.isoformat(), "lines": lines}


def test_a_count_is_of_its_own_time_and_an_older_one_is_refused(call: Call, town: Town, now: datetime) -> None:
    earlier = now - timedelta(hours=2)
    ledger.post(
        movements=[NewMovement(town.shop.pk, town.sofa.pk, "receipt", 1, "later")], actor="staff:1", at=now - timedelta(hours=1)
    )
    done = call("POST", "counts", town.clerk, counted("c-1", earlier, SOFA=5, LAMP=2)).json()["results"]
    assert [(row["sku"], row["status"]) for row in done] == [("SOFA", "done"), ("LAMP", "done")]
    assert (on_hand(town.shop, town.sofa), on_hand(town.shop, town.lamp)) == (6, 2)
    before = everything()
    again = call("POST", "counts", town.clerk, counted("c-1", earlier, SOFA=5, LAMP=2)).json()["results"]
    assert [row["status"] for row in again] == ["same", "same"]
    (stale,) = call("POST", "counts", town.clerk, counted("c-2", earlier - timedelta(hours=1), SOFA=50)).json()["results"]
    assert stale["status"] == "stale"
    assert "的上报已生效" in stale["message"]
    (ahead,) = call("POST", "counts", town.clerk, counted("c-3", now + timedelta(days=1), SOFA=50)).json()["results"]
    assert ahead["status"] == "refused"
    assert everything() == before
    assert books.drift() == []


def test_a_count_below_what_is_promised_says_what_is_lacking(call: Call, town: Town, now: datetime) -> None:
    reservations.hold(wants=[Want("F1", town.shop.pk, town.sofa.pk, 3)], at=now)
    (row,) = call("POST", "counts", town.owner, counted("c-1", now, SOFA=1)).json()["results"]
    assert (row["status"], row["message"]) == ("short", "实有 1，少于已预占的 3，缺 2 件，请改派")
    assert on_hand(town.shop, town.sofa) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"lines": []}, {"lines": [{"sku": "NONE", "quantity": 1}]}, {"lines": [{"sku": "SOFA", "quantity": 1.5}]},
     {"lines": [{"sku": "SOFA", "quantity": 1}] * 2}, {"lines": [{"sku": f"S{n}", "quantity": 1} for n in range(201)]},
     {"measured_at": "gestern"}, {"key": ""}],
    ids=range(7),
)  # fmt: skip
def test_a_count_that_makes_no_sense_changes_nothing(call: Call, town: Town, now: datetime, wrong: dict[str, Any]) -> None:
    before = everything()
    assert call("POST", "counts", town.owner, counted("c-1", now, SOFA=1) | wrong).status_code == 400
    assert everything() == before


def test_transfers_come_in_pages_at_the_same_cost(call: Call, town: Town, django_assert_num_queries: Any) -> None:
    def listed(path: str) -> list[str]:
        return [row["transfer_no"] for row in call("GET", path, town.owner).json()["results"]]

    made = [call("POST", "transfers", town.owner, asked(f"k-{n}", SOFA=1, LAMP=1)).json()["transfer_no"] for n in range(4)]
    with django_assert_num_queries(3):
        assert listed("transfers?limit=1") == made[:-2:-1]
    with django_assert_num_queries(3):
        assert listed("transfers") == made[::-1]
    assert listed("transfers?state=shipped") == []
    assert call("GET", "transfers?state=nonsense", town.owner).status_code == 400
