"""The live board: who may look, and that every figure is right and costs the same for any number of orders."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement
from inventory.locks import actions as stock_locks
from inventory.models import Level, Sku
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from orders.live import queries as live
from orders.models import Order
from tests.conftest import NOON
from tests.make import make_dealer, make_node, make_offer, make_order, make_sku, make_staff, make_work

pytestmark = [pytest.mark.alone, pytest.mark.django_db, pytest.mark.urls("tests.bots.live_urls")]
MIDNIGHT = NOON - timedelta(hours=12)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    live.forget()
    yield
    live.forget()


@pytest.mark.parametrize("path", ["/live/", "/live/figures", "/live/locks"])
@pytest.mark.parametrize("role", ["admin", "operator", "finance"])
def test_headquarters_sees_the_board(client: Client, path: str, role: str) -> None:
    client.force_login(make_staff(role=role))
    answer = client.get(path)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", ["/live/", "/live/figures", "/live/locks"])
def test_strangers_log_in_first(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/live/")


@pytest.mark.parametrize("path", ["/live/", "/live/figures", "/live/locks"])
@pytest.mark.parametrize("role", ["owner", "clerk", "installer"])
def test_dealers_people_do_not(client: Client, path: str, role: str) -> None:
    client.force_login(make_staff(make_dealer(), role=role))
    assert client.get(path).status_code == 403


def test_the_page_asks_nobody_else(client: Client) -> None:
    client.force_login(make_staff())
    answer = client.get("/live/")
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert b"http://" not in answer.content.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in answer.content


def test_no_orders_are_zeros_and_34_tiles() -> None:
    board = live.figures(NOON)
    assert (board["orders"], board["amount_fen"], board["cancelled"], board["newest_order"]) == (0, 0, 0, 0)
    assert board["minutes"]["orders"] == [0] * 30
    assert board["waiting"] == {"placed": 0, "unroutable": 0, "held": 0}
    assert board["offers"] == {
        "pending": 0, "accepted": 0, "declined": 0, "expired": 0, "withdrawn": 0, "mean_accept_seconds": None,
    }  # fmt: skip
    assert len(board["provinces"]) == 34
    assert (board["sessions"], board["ticker"], board["day"], board["cursor"]) == ([], [], "2026-11-25", "0-0")


def test_the_day_is_shanghais_and_cancelled_orders_are_no_turnover() -> None:
    make_order(paid_fen=999, at=MIDNIGHT - timedelta(seconds=1), state="routed")
    make_order(paid_fen=100, at=MIDNIGHT, state="routed", division_code="110105")
    make_order(paid_fen=20, at=NOON, state="held", division_code="")
    make_order(paid_fen=3, at=NOON, state="cancelled", division_code="440106")
    make_order(paid_fen=40, at=NOON, state="completed", division_code="440106")
    board = live.figures(NOON)
    assert (board["orders"], board["amount_fen"], board["cancelled"]) == (3, 160, 1)
    sold = {tile["name"]: (tile["orders"], tile["amount_fen"]) for tile in board["provinces"] if tile["orders"]}
    assert sold == {"北京": (1, 100), "广东": (1, 40)}
    assert live.figures(MIDNIGHT - timedelta(seconds=1))["day"] == "2026-11-24"


def test_minutes_run_from_29_minutes_ago_to_now() -> None:
    now = NOON + timedelta(seconds=30)
    for ago, state in ((0, "placed"), (0, "held"), (0, "cancelled"), (60, "routed"), (29 * 60, "routed"), (30 * 60, "routed")):
        make_order(at=now - timedelta(seconds=ago), state=state)
    make_order(at=NOON + timedelta(seconds=59, microseconds=999_999))
    minutes = live.figures(now)["minutes"]
    assert minutes["orders"] == [1] + [0] * 27 + [1, 3]
    assert minutes["last"] == int(NOON.timestamp()) // 60


def test_waiting_orders_of_any_day() -> None:
    yesterday = NOON - timedelta(days=1)
    for state in ("placed", "placed", "unroutable", "held", "routed", "completed", "cancelled"):
        make_order(state=state, at=yesterday)
    assert live.figures(NOON)["waiting"] == {"placed": 2, "unroutable": 1, "held": 1}


def test_the_funnel_counts_answers_of_today() -> None:
    def offer(state: str, opened: float, answered: float | None) -> None:
        dealer = make_dealer()
        work = make_work(make_order(state="routed"), make_node(dealer))
        at = NOON + timedelta(seconds=opened)
        when = None if answered is None else NOON + timedelta(seconds=answered)
        make_offer(work, at=at, expires_at=at + timedelta(seconds=90), state=state, answered_at=when)

    day = 86_400
    offer("accepted", -20, -10)
    offer("accepted", -40, -9)
    offer("accepted", -day, -day + 5)
    offer("declined", -60, -30)
    offer("expired", -200, -110)
    offer("withdrawn", -200, -100)
    offer("pending", -5, None)
    assert live.figures(NOON)["offers"] == {
        "pending": 1, "accepted": 2, "declined": 1, "expired": 1, "withdrawn": 1, "mean_accept_seconds": 20.5,
    }  # fmt: skip


def test_the_five_best_sessions_by_amount() -> None:
    for number in range(6):
        make_order(paid_fen=100 + number, live_session=f"S{number}", anchor="小鹿")
    make_order(paid_fen=50, live_session="S0", anchor="小鹿")
    make_order(paid_fen=9_999)
    sessions = live.figures(NOON)["sessions"]
    assert [(row["session"], row["orders"], row["amount_fen"]) for row in sessions] == [
        ("S0", 2, 150), ("S5", 1, 105), ("S4", 1, 104), ("S3", 1, 103), ("S2", 1, 102),
    ]  # fmt: skip
    assert sessions[0]["anchor"] == "小鹿"


def test_the_ticker_shows_the_latest_30_and_nobodys_name() -> None:
    for number in range(32):
        make_order(at=NOON - timedelta(minutes=number), paid_fen=number, receiver_masked="张** 138****0000")
    board = live.figures(NOON)
    assert [row["amount_fen"] for row in board["ticker"]] == list(range(30))
    newest = Order.objects.get(paid_fen=0)
    assert board["ticker"][0] == {
        "order_no": newest.order_no,
        "region": "江苏省苏州市吴中区",
        "amount_fen": 0,
        "state": "placed",
        "state_label": "待派单",
        "at": NOON.isoformat(),
    }
    assert board["newest_order"] == Order.objects.latest("id").pk
    assert "张" not in str(board)
    assert "138****" not in str(board)


@pytest.mark.parametrize("count", [10, 500])
def test_figures_cost_the_same_for_any_number_of_orders(count: int) -> None:
    order = make_order()
    Order.objects.bulk_create(
        Order(
            **{
                field.attname: getattr(order, field.attname)
                for field in Order._meta.concrete_fields
                if field.attname not in {"id", "order_no", "external_id", "division_code"}
            },
            order_no=f"M{number}",
            external_id=f"M{number}",
            division_code=f"{11 + number % 50}0000",
        )
        for number in range(count - 1)
    )
    with CaptureQueriesContext(
        connection,
    ) as spent:
        assert live.figures(NOON)["orders"] == count
    assert len(spent) == live.STATEMENTS


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_every_statement_on_orders_and_offers_uses_an_index() -> None:
    with CaptureQueriesContext(connection) as spent:
        live.figures(NOON)
    with connection.cursor() as cursor:
        for query in spent.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = " ".join(row[3] for row in cursor.fetchall())
            assert "INDEX" in plan or "PRIMARY KEY" in plan or plan == "SEARCH orders_order", (query["sql"], plan)


def test_figures_are_kept_for_a_second(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(live.STATEMENTS):
        first = live.recent_figures(NOON)
        assert live.recent_figures(NOON + timedelta(milliseconds=999)) is first
    with django_assert_num_queries(live.STATEMENTS):
        assert live.recent_figures(NOON + timedelta(seconds=1)) is not first


def lock(sku: Sku, amount: int, claim: str = "channel:doudian", name: str = "专场") -> None:
    planned = stock_locks.plan_lock(
        name=name, claim=claim, sku_id=sku.pk, mode="number", amount=amount, starts_at=NOON, ends_at=NOON + timedelta(hours=1),
        actor="test", at=NOON,
    )  # fmt: skip
    stock_locks.start_lock(lock_no=planned.lock_no, actor="test", at=NOON)


def stock(sku: Sku, units: int, division_code: str = "320506") -> Level:
    node = make_node(division_code=division_code)
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", units, f"in:{node.pk}")], actor="test", at=NOON)
    return Level.objects.get(node=node, sku=sku)


def buy(level: Level, units: int) -> None:
    want = Want(f"FO{level.pk}", level.node_id, level.sku_id, units, claims=("channel:doudian",))
    assert reservations.hold(wants=[want], at=NOON)


def test_locks_tell_what_may_still_be_sold_the_most_urgent_first() -> None:
    sofa, lamp, rug, desk = (make_sku(code) for code in ("SOFA", "LAMP", "RUG", "DESK"))
    suzhou = stock(sofa, 10)
    stock(sofa, 6, "440106")
    few, none = stock(lamp, 12, "990000"), stock(rug, 3)
    stock(desk, 1)
    for sku, amount in ((sofa, 8), (lamp, 12), (rug, 3), (desk, 1)):
        lock(sku, amount, name=f"{sku.code}专场")
    for level, units in ((suzhou, 4), (few, 10), (none, 3)):
        buy(level, units)
    told = live.locks(NOON)
    assert [(one["name"], one["sku_code"], one["locked"], one["drawn"], one["safe"], one["alarm"]) for one in told] == [
        ("RUG专场", "RUG", 0, 3, 0, "out"),
        ("LAMP专场", "LAMP", 2, 10, 2, "low"),
        ("DESK专场", "DESK", 1, 0, 1, "ok"),
        ("SOFA专场", "SOFA", 4, 4, 12, "ok"),
    ]
    assert [one["provinces"] for one in told] == [
        [],
        [{"name": "其他", "safe": 2}],
        [{"name": "江苏", "safe": 1}],
        [{"name": "江苏", "safe": 6}, {"name": "广东", "safe": 6}],
    ]


@pytest.mark.parametrize("count", [0, 1, 9])
def test_locks_cost_three_statements_at_most_and_one_when_none_is_active(count: int) -> None:
    for number in range(count):
        lock(stock(make_sku(), 5).sku, 3, f"live:{number}")
    with CaptureQueriesContext(connection) as spent:
        assert len(live.locks(NOON)) == count
    assert len(spent) == (live.LOCK_STATEMENTS if count else 1) <= 3


def test_locks_are_kept_for_two_seconds_and_tell_their_age() -> None:
    level = stock(make_sku(), 5)
    lock(level.sku, 3)
    first = live.recent_locks(NOON)
    assert (first["age_ms"], first["locks"][0]["safe"]) == (0, 5)
    buy(level, 1)
    with CaptureQueriesContext(connection) as spent:
        kept = live.recent_locks(NOON + timedelta(milliseconds=1999))
    assert (len(spent), kept["age_ms"], kept["locks"]) == (0, 1999, first["locks"])
    fresh = live.recent_locks(NOON + timedelta(seconds=2))
    assert (fresh["age_ms"], fresh["locks"][0]["safe"]) == (0, 4)


def test_locks_come_as_json_and_the_panel_is_hidden_until_there_are_any(client: Client) -> None:
    client.force_login(make_staff(role="operator"))
    assert client.get("/live/locks").json() == {"age_ms": 0, "locks": []}
    page = client.get("/live/").text
    assert 'id="locks" aria-label="锁库" data-testid="locks" hidden' in page
    assert "锁库 · 还可安全售卖" in page
