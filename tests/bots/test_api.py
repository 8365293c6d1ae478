"""The dealers' API: login, offers and work, errors in one shape, no N+1."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.miniapp.auth import issue_token
from dealers.directory import actions as directory
from dealers.directory.login import MAX_WRONG
from dealers.directory.rules import day_of
from inventory.models import Reservation
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from orders.models import FulfillmentOrder, RedeemCode, RoutingDecision
from tests.make import make_dealer, make_level, make_node, make_offer, make_order, make_sku, make_staff, make_work

pytestmark = pytest.mark.django_db
Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    def send(method: str, path: str, staff: Any = None, body: Any = None, raw: bytes | None = None, **headers: str) -> Any:
        if staff:
            headers["Authorization"] = f"Bearer {issue_token(staff)}"
        data = raw if raw is not None else orjson.dumps(body or {})
        return Client(raise_request_exception=False).generic(
            method, f"/api/{path}", data, content_type="application/json", headers=headers
        )

    return send


@pytest.fixture
def offered() -> tuple[Any, Any, FulfillmentOrder, Any]:
    """An owner, a clerk, and an offer of theirs with its stock held."""
    at = timezone.now()
    dealer = make_dealer(opens_at="00:00", closes_at="23:59")
    sku, node = make_sku(), make_node(dealer)
    make_level(node, sku)
    work = make_work(make_order(sku, state="routed", at=at), node, state="offered", at=at)
    reservations.hold(wants=[Want(work.fo_no, node.pk, sku.pk, 1)], at=at)
    offer = make_offer(work, expires_at=at + timedelta(minutes=5), at=at)
    return make_staff(dealer, role="owner"), make_staff(dealer, role="clerk"), work, offer


def test_a_dealer_sees_how_much_it_may_take_today(call: Call):
    dealer = make_dealer(capacity_per_day=8)
    answer = call("GET", "me/day", make_staff(dealer, role="clerk"))
    assert answer.status_code == 200
    assert answer.json() == {
        "day": str(day_of(timezone.now())), "capacity": 8, "carried": 0, "allowed": 8, "taken": 0, "left": 8,
    }  # fmt: skip
    assert call("GET", "me/day", make_staff(role="operator")).status_code == 403


def test_login_by_phone(call: Call):
    staff = make_staff(make_dealer(name="苏州安居"), phone="13900000001", password="right-password")
    answer = call("POST", "login", body={"phone": "13900000001", "password": "right-password"})
    assert answer.status_code == 200
    assert answer.json()["staff"] == {"name": staff.name, "role": "owner", "role_label": "经销商老板", "dealer": "苏州安居"}
    me = Client().get("/api/me", headers={"Authorization": f"Bearer {answer.json()['token']}"})
    assert me.json()["name"] == staff.name


def test_wrong_passwords_are_counted_and_then_even_the_right_one_waits(call: Call):
    make_staff(make_dealer(), phone="13900000001", password="right-password")
    for _ in range(MAX_WRONG["phone"]):
        wrong = call("POST", "login", body={"phone": "13900000001", "password": "wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_credentials")
    locked = call("POST", "login", body={"phone": "13900000001", "password": "right-password"})
    assert (locked.status_code, locked["Retry-After"], locked["Content-Type"]) == (429, "900", "application/problem+json")
    unknown = call("POST", "login", body={"phone": "13900009999", "password": "wrong"})
    assert unknown.json()["detail"] == wrong.json()["detail"]


def test_logout_ends_every_session(call: Call):
    staff = make_staff(make_dealer())
    token = issue_token(staff)
    assert call("POST", "logout", staff).status_code == 204
    assert Client().get("/api/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "Bearer", "a.b.c", "é"])
def test_nonsense_tokens_are_refused(token: str):
    answer = Client().get("/api/me", headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


class _WeChat(BaseHTTPRequestHandler):
    """Plays sns/jscode2session."""

    def do_GET(self) -> None:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        known = {"good": {"openid": "o-1", "session_key": "k"}, "used": {"errcode": 40163, "errmsg": "code been used"}}
        right = (asked.get("appid"), asked.get("secret"), asked.get("grant_type")) == ("wx1", "s1", "authorization_code")
        body = orjson.dumps(known.get(asked.get("js_code", ""), {"errcode": 40029}) if right else {"errcode": 40013})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def wechat(settings: Any) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), _WeChat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.WECHAT_APP_ID, settings.WECHAT_APP_SECRET = "wx1", "s1"
        settings.WECHAT_API_BASE = f"http://127.0.0.1:{server.server_port}/"
        yield
        server.shutdown()


def test_wechat_login_after_binding(call: Call, wechat: None):
    staff = make_staff(make_dealer())
    assert call("POST", "login/wechat", body={"code": "good"}).json()["detail"] == "此微信尚未绑定，请先用手机号登录"
    assert call("POST", "me/wechat", staff, {"code": "good"}).status_code == 200
    assert call("POST", "login/wechat", body={"code": "good"}).json()["staff"]["name"] == staff.name
    for code in ("used", "wrong"):
        assert call("POST", "login/wechat", body={"code": code}).status_code == 409
    other = call("POST", "me/wechat", make_staff(make_dealer()), {"code": "good"})
    assert (other.status_code, other.json()["detail"]) == (409, "该微信已绑定其他人员")


def test_an_offer_is_accepted_with_the_version_that_was_seen(call: Call, offered: Any):
    owner, clerk, work, offer = offered
    (row,) = call("GET", "offers", owner).json()["results"]
    assert (row["offer_no"], row["version"], row["actions"], row["income_fen"]) == (
        offer.offer_no,
        1,
        ["accept", "decline"],
        6000,
    )
    stale = call("POST", f"offers/{offer.offer_no}/accept", owner, {"version": 7})
    assert (stale.status_code, stale.json()["code"], stale.json()["record"]["version"]) == (409, "stale", 1)
    taken = call("POST", f"offers/{offer.offer_no}/accept", clerk, {"version": 1})
    assert (taken.status_code, taken.json()["state"], taken.json()["actions"]) == (200, "accepted", [])
    late = call("POST", f"offers/{offer.offer_no}/decline", owner, {"reason": "busy"})
    assert (late.status_code, late.json()["record"]["state"]) == (409, "accepted")
    assert FulfillmentOrder.objects.get(pk=work.pk).state == "accepted"


def test_a_dealer_sees_its_own_income_only(call: Call, offered: Any):
    owner, _, _, offer = offered
    mine = {"component": "service_fee", "payee": f"dealer:{offer.dealer.code}", "amount_fen": 6000}
    offer.income = [mine, {"component": "commission", "payee": "anchor:80010001", "amount_fen": 1184}]
    offer.save()
    (row,) = call("GET", "offers", owner).json()["results"]
    assert row["income"] == [mine]


def test_work_goes_its_way_with_the_legal_next_steps(call: Call, offered: Any, relay_all: Any):
    owner, _, work, offer = offered
    path = f"works/{work.fo_no}"
    call("POST", f"offers/{offer.offer_no}/accept", owner)
    relay_all(timezone.now())
    assert call("GET", path, owner).json()["actions"] == ["ship"]
    shipped = call("POST", f"{path}/ship", owner, {"carrier": "顺丰", "tracking_no": "SF1234567890123"})
    assert (shipped.json()["state"], shipped.json()["parcels"][0]["tracking_no"]) == ("shipped", "SF1234567890123")
    assert Reservation.objects.get(bill=work.fo_no).state == "consumed"
    assert call("POST", f"{path}/install", owner).status_code == 409
    assert call("POST", f"{path}/deliver", owner).json()["actions"] == ["complete"]
    wrong = call("POST", f"{path}/complete", owner, {"code": "000000"})
    assert wrong.status_code == 409
    assert RedeemCode.objects.get(work=work).wrong_tries == 1
    done = call("POST", f"{path}/complete", owner, {"code": RedeemCode.objects.get(work=work).code})
    assert (done.json()["state"], done.json()["actions"]) == ("completed", [])


def test_lists_cost_the_same_for_one_and_for_many(call: Call, offered: Any, django_assert_max_num_queries: Any):
    owner, _, work, _ = offered
    for _ in range(12):
        make_work(make_order(make_sku()), work.node, state="accepted", accepted_at=timezone.now())
    with django_assert_max_num_queries(7):
        assert len(call("GET", "works?limit=50", owner).json()["results"]) == 13
    with django_assert_max_num_queries(4):
        call("GET", "offers", owner)


def test_pages_follow_one_another(call: Call, offered: Any):
    owner, _, work, _ = offered
    for _ in range(5):
        make_work(make_order(make_sku()), work.node, state="accepted", accepted_at=timezone.now())
    seen, before = [], ""
    while True:
        page = call("GET", f"works?limit=4{before}", owner).json()
        seen += [row["id"] for row in page["results"]]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
    assert len(seen) == len(set(seen)) == 6


BAD_BODIES = [
    (b"{", "parse_error", 400), (b"[]", "parse_error", 400), (b"\xff\xfe", "parse_error", 400),
    (b'{"reason": NaN}', "parse_error", 400),
    (b'{"reason": "busy", "bribe": 1}', "invalid", 400), (b'{"reason": "nope"}', "invalid", 400), (b"{}", "invalid", 400),
    (b'{"reason": "busy", "version": "x"}', "invalid", 400), (b'{"reason": "busy", "version": 0}', "invalid", 400),
    (b'{"note": "' + b"x" * 70_000 + b'"}', "too_large", 413), (b"[" * 5000 + b"]" * 5000, "parse_error", 400),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "code", "status"), BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_bad_bodies_get_the_one_error_shape(call: Call, offered: Any, raw: bytes, code: str, status: int):
    owner, _, work, offer = offered
    before = Entry.objects.count()
    answer = call("POST", f"offers/{offer.offer_no}/decline", owner, raw=raw)
    assert (answer.status_code, answer.json()["code"], answer["Content-Type"]) == (status, code, "application/problem+json")
    offer.refresh_from_db()
    assert (offer.state, Entry.objects.count()) == ("pending", before)


def test_other_mistakes_get_the_one_error_shape(call: Call, offered: Any):
    owner, _, _, offer = offered
    for method, path, status in (
        ("GET", "nowhere", 404), ("DELETE", f"offers/{offer.offer_no}", 405), ("GET", f"offers/{offer.offer_no}/accept", 405),
        ("GET", "works?limit=1000", 400), ("GET", "works?color=red", 400), ("GET", "works?before=99999999999999999999999", 400),
        ("GET", "offers/%00", 404),
    ):  # fmt: skip
        answer = call(method, path, owner)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), path
    form = Client().post("/api/login", {"phone": "x"})
    assert form.status_code == 415


def test_the_schema_names_every_door(client: Client):
    schema = client.get("/api/schema/?format=json").json()
    assert "/api/offers/{offer_no}/accept" in schema["paths"]
    assert len(schema["paths"]) == 36
    assert client.get("/api/docs/").status_code == 200


def test_ending_sessions_ends_the_admin_cookie_too(client: Client):
    staff = make_staff(role="operator", phone="13800000009", password="right-password")
    assert client.login(username="13800000009", password="right-password")
    assert client.get("/admin/").status_code == 200
    directory.end_sessions(staff=staff)
    assert client.get("/admin/").status_code == 302


def test_why_not_me_is_told_of_own_places_and_own_territory_only(call: Call):
    home, winner, neighbour = make_dealer(), make_dealer(), make_dealer()
    order, at = make_order(make_sku(), state="routed"), timezone.now()
    cost = {"cost_fen": 2400, "breakdown": {"freight": 1200, "risk": 1200}, "lines": [0]}

    def entry(dealer: Any, name: str, **fields: Any) -> dict[str, Any]:
        return {"node": name, "name": name, "dealer": dealer.pk, "target": "territory"} | fields

    trace = [
        entry(home, "我的仓", fence="STOCK", text="可售库存不足"),
        entry(home, "我的门店", **cost),
        entry(winner, "别人的仓", **cost | {"cost_fen": 2300}),
        entry(neighbour, "邻居的仓", target="neighbour", fence="LADDER", text="还没轮到这一级阶梯"),
    ]
    plan = [{"node": "别人的仓", "node_id": 1, "days": 1, **cost}]
    RoutingDecision.objects.create(order=order, is_routable=True, plan=plan, trace=trace, decided_at=at)
    clerk = make_staff(home, role="clerk")
    with CaptureQueriesContext(connection) as captured:
        answer = call("GET", f"orders/{order.order_no}/why-not-me", clerk)
    assert len([each for each in captured if "orders_routingdecision" in each["sql"]]) == 1
    (told,) = answer.json()
    assert told["told"] == [
        "我的仓：可售库存不足",
        "我的门店：可以承接，但本次综合成本不是最低；影响您排序的有：拒单与超时的记录",
    ]
    assert told["round"] == 1
    assert call("GET", f"orders/{order.order_no}/why-not-me", make_staff(winner, role="owner")).json()[0]["told"] == [
        "别人的仓：已派给您：第 1 行"
    ]
    for stranger in (neighbour, make_dealer()):
        assert call("GET", f"orders/{order.order_no}/why-not-me", make_staff(stranger, role="owner")).status_code == 404
    assert call("GET", "orders/DD404/why-not-me", clerk).status_code == 404
