"""Every HTTP door × every role × another dealer's object. A door that is not in the table fails the test."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from bots.miniapp.auth import issue_token
from bots.miniapp.socket import member_for
from dealers.models import Statement
from inventory.replenishment import actions as transfers
from oms_project import events
from orders.models import RoutingDecision
from tests.make import make_dealer, make_node, make_offer, make_order, make_sku, make_staff, make_work

pytestmark = pytest.mark.django_db

HQ = ("admin", "operator", "finance")
ROLES = (*HQ, "owner", "clerk", "installer")


class Door(NamedTuple):
    """Who gets in. `hq_hidden`: HQ roles that pass the door but find nothing, since it is not theirs to do."""

    method: str
    allowed: tuple[str, ...]
    has_object: bool = False
    hq_hidden: tuple[str, ...] = ()
    body: str = "{}"
    query: str = ""


EVERYBODY = ROLES
ANSWERING = ("admin", "operator", "owner", "clerk")
WORKING = (*ANSWERING, "installer")
COUNTING = ("admin", "finance", "owner")
DOORS: dict[str, list[Door]] = {
    "api/logout": [Door("POST", EVERYBODY)],
    "api/me": [Door("GET", EVERYBODY)],
    "api/me/day": [Door("GET", ("owner", "clerk"))],
    "api/me/wechat": [Door("POST", EVERYBODY)],
    "api/socket-ticket": [Door("POST", EVERYBODY)],
    "api/offers": [Door("GET", ANSWERING)],
    "api/offers/<slug:offer_no>": [Door("GET", ANSWERING, has_object=True)],
    "api/offers/<slug:offer_no>/accept": [Door("POST", ANSWERING, True, hq_hidden=("admin", "operator"))],
    "api/offers/<slug:offer_no>/decline": [
        Door("POST", ANSWERING, True, hq_hidden=("admin", "operator"), body='{"reason": "busy"}')
    ],
    "api/orders/<slug:order_no>/why-not-me": [Door("GET", ("owner", "clerk"), True)],
    "api/works": [Door("GET", WORKING)],
    "api/works/<slug:fo_no>": [Door("GET", WORKING, True)],
    **{
        f"api/works/<slug:fo_no>/{step}": [Door("POST", WORKING, True)]
        for step in ("ship", "deliver", "schedule", "install", "complete", "confirm-cancel", "receiver")
    },
    "api/statements": [Door("GET", COUNTING)],
    "api/statements/<slug:statement_no>": [Door("GET", COUNTING, True)],
    "api/statements/<slug:statement_no>/confirm": [Door("POST", COUNTING, True)],
    "api/places": [Door("GET", ANSWERING)],
    "api/own-stock": [Door("GET", ANSWERING, True, query="?node=<slug:node>")],
    "api/counts": [
        Door(
            "POST",
            ANSWERING,
            True,
            body='{"node": "<slug:node>", "key": "k", "measured_at": "2026-11-25T12:00:00+08:00", '
            '"lines": [{"sku": "<slug:sku>", "quantity": 3}]}',
        )
    ],
    "api/transfers": [
        Door("GET", ANSWERING),
        Door(
            "POST",
            ANSWERING,
            True,
            body='{"key": "k", "from_node": "<slug:ours>", "to_node": "<slug:node>", '
            '"lines": [{"sku": "<slug:sku>", "quantity": 3}]}',
        ),
    ],
    "api/transfers/<slug:transfer_no>": [Door("GET", ANSWERING, True)],
    "api/transfers/<slug:transfer_no>/ship": [Door("POST", ANSWERING, True)],
    "api/transfers/<slug:transfer_no>/receive": [Door("POST", ANSWERING, True)],
}
# Doors with another guard, each with tests of its own: signatures, sessions, or nothing to guard.
ELSEWHERE = {
    "", "healthz", "api/schema/", "api/docs/", "api/login", "api/login/wechat", "channels/doudian/push", "callbacks/wecom/",
    "live/", "live/figures", "live/locks", "api/stock/promise", "api/stock/levels", "api/stock/movements", "api/stock/pool",
    "api/stock/published",
}  # fmt: skip


def every_address(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from every_address(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address


def test_every_address_stands_in_the_table():
    known = DOORS.keys() | ELSEWHERE
    strangers = [a for a in every_address() if a not in known and not a.startswith(("admin/", "chat/"))]
    assert strangers == []


class World(NamedTuple):
    names: dict[str, str]
    staff: dict[tuple[str, str], Any]


@pytest.fixture
def world() -> World:
    at = timezone.now()
    mine, other = make_dealer(), make_dealer()
    order = make_order(make_sku(), at=at)
    offered = make_work(order, make_node(mine), state="offered")
    accepted = make_work(make_order(make_sku(), at=at), make_node(mine), state="accepted", accepted_at=at)
    offer = make_offer(offered, expires_at=at + timedelta(hours=1), at=at)
    statement = Statement.objects.create(statement_no="S-1", dealer=mine, period_from=at, period_to=at, drawn_at=at)
    staff = {("mine", role): make_staff(None if role in HQ else mine, role=role) for role in ROLES}
    staff |= {("other", role): make_staff(other, role=role) for role in ROLES if role not in HQ}
    mine_here = {
        "node": "N",
        "name": "我的仓",
        "dealer": mine.pk,
        "target": "territory",
        "fence": "STOCK",
        "text": "可售库存不足",
    }
    RoutingDecision.objects.create(order=order, is_routable=False, plan=[], trace=[mine_here], decided_at=at)
    source, target, ours, sku = make_node(mine), make_node(mine), make_node(), make_sku()
    ends = {"source_id": source.pk, "target_id": target.pk}
    transfer = transfers.request(transfer_no="DB-1", quantities={sku.pk: 1}, actor="staff:1", at=at, **ends)
    names = {
        "offer_no": offer.offer_no, "order_no": order.order_no, "fo_no": accepted.fo_no, "statement_no": statement.statement_no,
        "transfer_no": transfer.transfer_no, "node": target.code, "ours": ours.code, "sku": sku.code,
    }  # fmt: skip
    return World(names, staff)


def knock(address: str, door: Door, world: World, staff: Any | None) -> int:
    address, body = f"/{address}{door.query}", door.body
    for name, value in world.names.items():
        address, body = address.replace(f"<slug:{name}>", value), body.replace(f"<slug:{name}>", value)
    headers = {"Authorization": f"Bearer {issue_token(staff)}"} if staff else {}
    request = Client().generic(door.method, address, body, content_type="application/json", headers=headers)
    return request.status_code


CASES = [(address, door) for address, doors in DOORS.items() for door in doors]


@pytest.mark.parametrize(("address", "door"), CASES, ids=[f"{door.method} {address}" for address, door in CASES])
def test_who_gets_in(address: str, door: Door, world: World):
    assert knock(address, door, world, None) == 401
    for (whose, role), staff in world.staff.items():
        status = knock(address, door, world, staff)
        staff.refresh_from_db()
        if role not in door.allowed:
            assert status == 403, (whose, role)
        elif role in door.hq_hidden or (whose == "other" and door.has_object):
            assert status == 404, (whose, role)
        else:
            assert status in {200, 201, 204, 400, 409}, (whose, role, status)


@pytest.mark.parametrize("role", ROLES)
def test_the_admin_shows_each_role_its_part_only(role: str, world: World, client: Client):
    staff = world.staff[("mine", role)]
    client.force_login(staff, backend="dealers.directory.login.RoleBackend")
    seen = set()
    for model in admin.site._registry:
        answer = client.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/")
        assert answer.status_code in {200, 302, 403}, model
        if answer.status_code == 200:
            seen.add(model._meta.label)
    if role == "admin":
        assert seen == {model._meta.label for model in admin.site._registry}
    elif role == "operator":
        assert {"orders.Order", "orders.Offer", "inventory.Level"} <= seen
        assert not seen & {"dealers.Statement", "dealers.LedgerEntry", "dealers.Staff", "dealers.SplitRule"}
    elif role == "finance":
        assert {"dealers.Statement", "dealers.LedgerEntry", "dealers.SplitRule"} <= seen
        assert not any(label.startswith(("orders.", "bots.")) for label in seen)
    else:
        assert seen == set()


def test_nobody_changes_the_ledger_or_the_journal_in_the_admin(world: World, client: Client, at: datetime):
    client.force_login(world.staff[("mine", "admin")], backend="dealers.directory.login.RoleBackend")
    for path in ("dealers/ledgerentry", "dealers/ledgerline", "journal/entry", "inventory/movement", "orders/routingdecision"):
        assert client.get(f"/admin/{path}/add/").status_code in {403, 404}, path


@pytest.mark.parametrize("role", ROLES)
def test_a_socket_hears_its_own_rooms_only(role: str, world: World):
    """What each role hears of an event of one dealer, of another, and of HQ's own work."""
    staff = world.staff[("mine", role)]
    member = member_for(staff)
    mine, other = world.staff[("mine", "owner")].dealer_id, world.staff[("other", "owner")].dealer_id
    heard = {
        (name, dealer_id): member.hears(name) and member.room in {"ops", f"dealer:{dealer_id}"} & rooms_of(name, dealer_id)
        for name in ("offer.opened", "work.moved")
        for dealer_id in (mine, other, None)
    }
    if role in HQ:
        assert all(heard.values())
    else:
        expected = {("work.moved", mine)} | ({("offer.opened", mine)} if role != "installer" else set())
        assert {event for event, is_heard in heard.items() if is_heard} == expected


def rooms_of(name: str, dealer_id: int | None) -> set[str]:
    facts = {"fo_id": 1, "fo_no": "F", "order_no": "O", "dealer_id": dealer_id, "division_code": "", "state": "x"}
    if name == "work.moved":
        return set(events.WorkMoved(was="y", **facts).rooms)
    return set(events.OfferClosed(offer_id=1, offer_no="F-1", **facts).rooms)


def test_what_others_earn_by_a_work_is_told_to_hq_only():
    done = events.WorkCompleted(
        fo_id=1,
        fo_no="F",
        order_no="O",
        dealer_id=7,
        dealer_code="D007",
        shop="1",
        channel="doudian",
        paid_fen=1,
        completed_at="",
    )
    assert done.rooms == ("ops",)
