"""Goods that go between our own places: asked for, approved, sent, received, and never lost from the books."""

from datetime import date, datetime
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dealers.models import Staff
from inventory.arrivals import queries as arrival_queries
from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import MOST_UNITS, NewMovement
from inventory.models import Incoming, Level, Movement, Node, Reservation, Sku, Transfer, TransferLine
from inventory.replenishment import actions as transfers
from inventory.replenishment import queries
from inventory.replenishment.rules import STEPS, TRANSITIONS, Sending, transfer_no
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound, Refusal, Stale
from tests.make import make_dealer, make_node, make_sku, make_staff

pytestmark = pytest.mark.django_db
State = Transfer.State
WHO = "staff:1"


def stock(node: Node, sku: Sku, units: int, at: datetime) -> None:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", units, f"in:{node.pk}:{sku.pk}:{units}")], actor=WHO, at=at)


def levels() -> dict[tuple[str, str], tuple[int, int]]:
    rows = Level.objects.values_list("node__name", "sku__code", "on_hand", "held")
    return {(node, sku): (on_hand, held) for node, sku, on_hand, held in rows}


def books() -> dict[str, list[dict[str, Any]]]:
    tables = (Incoming, Level, Movement, Reservation, Entry, Transfer, TransferLine)
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}


def agree() -> None:
    assert ledger_queries.drift() == []
    assert arrival_queries.drift() == []


def told() -> list[tuple[str, str, str]]:
    facts = Entry.objects.filter(name="transfer.moved").order_by("pk")
    return [(fact.payload["was"], fact.payload["state"], fact.payload["reason"]) for fact in facts]


@pytest.fixture
def ground(at: datetime) -> tuple[Node, Node, Sku, Sku]:
    source, target, sofa, lamp = make_node(name="总仓"), make_node(name="苏州仓"), make_sku("SOFA"), make_sku("LAMP")
    stock(source, sofa, 10, at)
    stock(source, lamp, 4, at)
    return source, target, sofa, lamp


Ground = tuple[Node, Node, Sku, Sku]


def ask(ground: Ground, at: datetime, sofas: int = 5, lamps: int = 3, number: str = "DB1") -> Transfer:
    source, target, sofa, lamp = ground
    wanted = {sku.pk: units for sku, units in ((sofa, sofas), (lamp, lamps)) if units}
    return transfers.request(
        transfer_no=number, source_id=source.pk, target_id=target.pk, quantities=wanted, actor=WHO, at=at, note="周末活动"
    )


def lines(number: str = "DB1") -> dict[str, tuple[int, int, int, int, int]]:
    rows = TransferLine.objects.filter(transfer__transfer_no=number)
    columns = ("sku__code", "requested", "approved", "shipped", "received", "lost")
    return {code: tuple(units) for code, *units in rows.values_list(*columns)}  # type: ignore[misc]


def test_a_transfer_goes_all_the_way_with_fewer_at_every_step(ground: Ground, at: datetime) -> None:
    source, target, sofa, lamp = ground
    ask(ground, at)
    done = transfers.approve(transfer_no="DB1", version=1, quantities={sofa.pk: 4}, actor=WHO, at=at)
    assert (done.state, done.version) == ("approved", 2)
    assert levels() == {("总仓", "SOFA"): (10, 4), ("总仓", "LAMP"): (4, 3)}
    assert set(Reservation.objects.values_list("bill", "kind", "state")) == {("DB1", "transfer", "open")}
    due = date(2026, 11, 28)
    transfers.ship(transfer_no="DB1", version=2, quantities={lamp.pk: 2}, expected_on=due, actor=WHO, at=at)
    assert levels() == {("总仓", "SOFA"): (6, 0), ("总仓", "LAMP"): (2, 0)}
    columns = ("source_key", "node_id", "quantity", "expected_on", "state")
    assert list(Incoming.objects.order_by("pk").values_list(*columns)) == [
        ("transfer:DB1:SOFA", target.pk, 4, due, "open"),
        ("transfer:DB1:LAMP", target.pk, 2, due, "open"),
    ]
    took = {"transfer_no": "DB1", "actor": WHO, "at": at}
    part = transfers.receive(version=3, quantities={sofa.pk: 3}, key="r1", **took)
    assert (part.state, part.version, part.closed_at) == ("shipped", 4, None)
    end = transfers.receive(version=4, quantities={lamp.pk: 2}, key="r2", is_last=True, reason="途中损坏", **took)
    assert (end.state, end.version, end.closed_at) == ("received", 5, at)
    assert lines() == {"SOFA": (5, 4, 4, 3, 1), "LAMP": (3, 3, 2, 2, 0)}
    assert levels() == {
        ("总仓", "SOFA"): (6, 0), ("总仓", "LAMP"): (2, 0), ("苏州仓", "SOFA"): (3, 0), ("苏州仓", "LAMP"): (2, 0)
    }  # fmt: skip
    assert sorted(Movement.objects.filter(kind__startswith="transfer").values_list("kind", "quantity")) == [
        ("transfer_in", 2), ("transfer_in", 3), ("transfer_out", -4), ("transfer_out", -2)
    ]  # fmt: skip
    assert told() == [
        ("", "requested", "周末活动"), ("requested", "approved", ""), ("approved", "shipped", ""),
        ("shipped", "shipped", ""), ("shipped", "received", "途中损坏"),
    ]  # fmt: skip
    agree()


def test_approving_takes_all_lines_or_none_and_names_those_that_lack(ground: Ground, at: datetime) -> None:
    ask(ground, at, sofas=11, lamps=4)
    before = books()
    with pytest.raises(transfers.NotEnough, match="^总仓：SOFA 可调 10 件，不足 11 件$"):
        transfers.approve(transfer_no="DB1", version=1, actor=WHO, at=at)
    assert books() == before
    transfers.approve(transfer_no="DB1", version=1, quantities={ground[2].pk: 0}, actor=WHO, at=at)
    assert lines() == {"SOFA": (11, 0, 0, 0, 0), "LAMP": (4, 4, 0, 0, 0)}
    assert levels() == {("总仓", "SOFA"): (10, 0), ("总仓", "LAMP"): (4, 4)}
    transfers.ship(transfer_no="DB1", version=2, actor=WHO, at=at)
    assert Incoming.objects.get().source_key == "transfer:DB1:LAMP"
    agree()


def test_the_same_step_again_changes_nothing_and_another_decision_is_stale(ground: Ground, at: datetime) -> None:
    ask(ground, at)
    ask(ground, at)
    sofa, lamp = ground[2], ground[3]
    step: dict[str, Any] = {"transfer_no": "DB1", "actor": WHO, "at": at}
    transfers.approve(version=1, quantities={sofa.pk: 2}, **step)
    before = books()
    transfers.approve(version=1, quantities={sofa.pk: 2}, **step)
    with pytest.raises(Stale):
        transfers.approve(version=1, quantities={sofa.pk: 3}, **step)
    with pytest.raises(Stale):
        transfers.ship(version=1, **step)
    with pytest.raises(Refusal, match="DB1 已用于另一张调拨单"):
        ask(ground, at, sofas=6)
    assert books() == before
    transfers.ship(version=2, **step)
    before = books()
    transfers.ship(version=2, **step)
    assert books() == before
    transfers.receive(version=3, quantities={sofa.pk: 1, lamp.pk: 1}, key="r1", **step)
    before = books()
    transfers.receive(version=3, quantities={sofa.pk: 1, lamp.pk: 1}, key="r1", **step)
    with pytest.raises(Stale):
        transfers.receive(version=3, quantities={sofa.pk: 1}, key="r2", **step)
    with pytest.raises(ledger.KeyReused):
        transfers.receive(version=4, quantities={sofa.pk: 2}, key="r1", **step)
    assert books() == before
    transfers.receive(version=4, quantities={}, key="r3", is_last=True, reason="丢失", **step)
    before = books()
    transfers.receive(version=4, quantities={}, key="r3", is_last=True, reason="丢失", **step)
    with pytest.raises(Refusal, match="已到货，不能收货"):
        transfers.receive(version=5, quantities={sofa.pk: 1}, key="r4", **step)
    assert books() == before
    assert lines() == {"SOFA": (5, 2, 2, 1, 1), "LAMP": (3, 3, 3, 1, 2)}
    agree()


def test_what_cannot_be_is_refused_in_words_and_changes_nothing(ground: Ground, at: datetime) -> None:
    source, target, sofa, lamp = ground
    service, closed = make_sku("FIT", kind="service"), make_node(is_active=False)
    ask(ground, at, number="DB2")
    transfers.approve(transfer_no="DB2", version=1, quantities={sofa.pk: 2, lamp.pk: 0}, actor=WHO, at=at)
    ask(ground, at, number="DB3", lamps=0)
    transfers.approve(transfer_no="DB3", version=1, actor=WHO, at=at)
    transfers.ship(transfer_no="DB3", version=2, actor=WHO, at=at)
    before = books()
    for quantities, problem in (
        ({}, "须有 1–500 行"),
        ({sofa.pk: 0}, "SOFA 的数量须为"),
        ({sofa.pk: 1.5}, "SOFA 的数量须为"),
        ({sofa.pk: 10**12}, "SOFA 的数量须为"),
        ({service.pk: 1}, "FIT 不是实物"),
        ({10**9: 1}, "SKU 不存在"),
    ):
        with pytest.raises(Refusal, match=problem):
            transfers.request(
                transfer_no="DB1", source_id=source.pk, target_id=target.pk, quantities=quantities, actor=WHO, at=at
            )
    for ends, number, problem in (
        ((source, source), "DB1", "不能相同"),
        ((source, closed), "DB1", "已停用"),
        ((source, target), "DB:1", "调拨单号须为"),
        ((source, target), "", "调拨单号须为"),
    ):
        with pytest.raises(Refusal, match=problem):
            transfers.request(
                transfer_no=number, source_id=ends[0].pk, target_id=ends[1].pk, quantities={sofa.pk: 1}, actor=WHO, at=at
            )
    step: dict[str, Any] = {"transfer_no": "DB2", "version": 2, "actor": WHO, "at": at}
    for quantities, problem in (
        ({sofa.pk: 3}, "SOFA 最多发出 2 件，不能发出 3 件"),
        ({sofa.pk: -1}, "SOFA 的数量须为"),
        ({sofa.pk: 0}, "没有发出任何数量"),
        ({service.pk: 1}, "没有这个 SKU"),
    ):
        with pytest.raises(Refusal, match=problem):
            transfers.ship(quantities=quantities, **step)
    with pytest.raises(Refusal, match="预计到货日 2026-11-24 已过"):
        transfers.ship(expected_on=date(2026, 11, 24), **step)
    with pytest.raises(Refusal, match="DB2 待发出，不能收货"):
        transfers.receive(quantities={sofa.pk: 1}, key="r", **step)
    step = {"transfer_no": "DB3", "version": 3, "actor": WHO, "at": at}
    for quantities, problem in (
        ({sofa.pk: 6}, "只差 5 件，不能收货"),
        ({sofa.pk: -1}, "SOFA 的数量须为"),
        ({}, "没有填写实收数量"),
        ({lamp.pk: 1}, "没有填写实收数量|没有这个 SKU"),
    ):
        with pytest.raises(Refusal, match=problem):
            transfers.receive(quantities=quantities, key="r", **step)
    with pytest.raises(Refusal, match="请填写原因"):
        transfers.receive(quantities={sofa.pk: 4}, key="r", is_last=True, **step)
    with pytest.raises(NotFound):
        transfers.approve(transfer_no="DB9", version=1, actor=WHO, at=at)
    assert books() == before


def test_giving_up_before_it_ships_frees_what_was_held(ground: Ground, at: datetime) -> None:
    ask(ground, at)
    transfers.approve(transfer_no="DB1", version=1, actor=WHO, at=at)
    with pytest.raises(Refusal, match="请填写原因"):
        transfers.cancel(transfer_no="DB1", version=2, reason=" ", actor=WHO, at=at)
    heard = Entry.objects.filter(name="stock.arrived").count()
    for _ in range(2):
        transfers.cancel(transfer_no="DB1", version=2, reason="不需要了", actor=WHO, at=at)
    assert levels() == {("总仓", "SOFA"): (10, 0), ("总仓", "LAMP"): (4, 0)}
    assert Entry.objects.filter(name="stock.arrived").count() == heard + 1
    ask(ground, at, number="DB2")
    transfers.reject(transfer_no="DB2", version=1, reason="暂不补货", actor=WHO, at=at)
    assert told()[-1] == ("requested", "rejected", "暂不补货")
    agree()


def force(state: str, number: str) -> int:
    """Put a transfer into a state that its steps would reach, and return its version."""
    Transfer.objects.filter(transfer_no=number).update(state=state)
    return Transfer.objects.get(transfer_no=number).version


@pytest.mark.parametrize(("was", "to"), list(product(State.values, State.values)))
def test_only_the_written_transitions_happen(ground: Ground, at: datetime, was: str, to: str) -> None:
    ask(ground, at, lamps=0)
    sofa = ground[2]
    step: dict[str, Any] = {"transfer_no": "DB1", "actor": WHO, "at": at}
    if was in {"approved", "shipped", "received"}:
        transfers.approve(version=1, **step)
    if was in {"shipped", "received"}:
        transfers.ship(version=2, **step)
    if was == "received":
        transfers.receive(version=3, quantities={sofa.pk: 5}, key="all", **step)
    if was in {"rejected", "cancelled"}:
        force(was, "DB1")
    version = Transfer.objects.get().version

    def go() -> Transfer:
        if to == "approved":
            return transfers.approve(version=version, **step)
        if to == "rejected":
            return transfers.reject(version=version, reason="不", **step)
        if to == "cancelled":
            return transfers.cancel(version=version, reason="不", **step)
        if to == "requested":
            raise transfers.NotNow("nothing leads back")
        if to == "shipped" and was != "shipped":
            return transfers.ship(version=version, **step)
        return transfers.receive(version=version, quantities={sofa.pk: 1 if to == "shipped" else 5}, key="now", **step)

    if to in TRANSITIONS[was]:
        assert go().state == to
    else:
        before = books()
        with pytest.raises(Refusal):
            go()
        assert books() == before
    agree()


def test_the_buttons_are_those_of_the_transitions() -> None:
    assert set(TRANSITIONS) == set(State.values)
    for step, to in (("approve", "approved"), ("reject", "rejected"), ("ship", "shipped"), ("cancel", "cancelled")):
        leads = {was for was, reached in TRANSITIONS.items() if to in reached and was != to}
        assert set(STEPS[step]) == leads
    assert transfer_no(date(2026, 11, 25), "ab12cd34ef99") == "DB261125-AB12CD34EF"


def test_a_dealers_people_ask_receive_and_send_at_their_own_places_only(at: datetime) -> None:
    ours, dealer, other = make_node(), make_dealer(), make_dealer()
    mine, theirs, sku = make_node(dealer), make_node(other), make_sku()
    for number, source, target in (("IN", ours, mine), ("OUT", mine, ours), ("NOT", ours, theirs)):
        Transfer.objects.create(transfer_no=number, source=source, target=target, requested_at=at)
        TransferLine.objects.create(transfer=Transfer.objects.get(transfer_no=number), sku=sku, requested=1)

    def may(staff: Staff, step: str) -> set[str]:
        found = set()
        for number in ("IN", "OUT", "NOT"):
            try:
                found.add(queries.transfer_for(staff=staff, transfer_no=number, step=step).transfer_no)
            except NotFound:
                continue
        return found

    for role in ("owner", "clerk"):
        staff = make_staff(dealer, role=role)
        assert may(staff, "see") == {"IN", "OUT"}
        assert (may(staff, "receive"), may(staff, "ship")) == ({"IN"}, {"OUT"})
        assert may(staff, "approve") == may(staff, "reject") == may(staff, "cancel") == set()
        assert queries.target_for(staff=staff, node_id=mine.pk) == mine
        with pytest.raises(NotFound):
            queries.target_for(staff=staff, node_id=theirs.pk)
    for role in ("admin", "operator"):
        assert all(may(make_staff(role=role), step) == {"IN", "OUT", "NOT"} for step in ("see", *STEPS))
    for staff in (make_staff(dealer, role="installer"), make_staff(role="finance"), make_staff(is_active=False)):
        assert may(staff, "see") == set()
        assert not queries.targets_for(staff).exists()


def test_approving_costs_the_same_for_few_and_many_lines(at: datetime) -> None:
    source, target = make_node(), make_node()
    costs = []
    for number in (2, 40):
        skus = [make_sku() for _ in range(number)]
        for sku in skus:
            stock(source, sku, 2, at)
        name = f"DB{number}"
        transfers.request(
            transfer_no=name, source_id=source.pk, target_id=target.pk, quantities={sku.pk: 2 for sku in skus}, actor=WHO, at=at
        )
        with CaptureQueriesContext(connection) as asked:
            transfers.approve(transfer_no=name, version=1, actor=WHO, at=at)
            transfers.ship(transfer_no=name, version=2, actor=WHO, at=at)
        costs.append(len(asked))
    assert costs[1] <= costs[0] + 2


def test_transfers_that_have_happened_are_taken_over_row_by_row(ground: Ground, at: datetime) -> None:
    source, target, sofa, lamp = ground
    reservations.hold(wants=[Want("A", source.pk, lamp.pk, 3)], at=at)
    closed, service = make_node(is_active=False), make_sku("FIT", kind="service")
    full = make_node(name="满仓")
    stock(full, sofa, MOST_UNITS, at)

    def row(key: str, sku: Sku, units: Any, to: Node = target) -> Sending:
        return Sending(source.pk, to.pk, sku.pk, units, key)

    rows = [
        row("a", sofa, 4), row("b", lamp, 2), row("c", sofa, 7), row("d", sofa, 1, full), row("e", sofa, 6),
        row("f", sofa, 0), row("g", sofa, 1.5), row("h", service, 1), row("i", sofa, 1, closed), row("j", sofa, 1, source),
        row("a", sofa, 1), Sending(target.pk, source.pk, sofa.pk, 1, "k"), row(" ", sofa, 1),
        Sending(10**30, target.pk, sofa.pk, 1, "l"),
    ]  # fmt: skip
    results = transfers.transfer_now(rows=rows, actor=WHO, at=at)
    assert [(each.code, each.message) for each in results] == [
        ("done", "已调拨 4 件"),
        ("refused", "库存不足：总仓 的 LAMP 在库 4，已预占 3，不能减少 2"),
        ("refused", "库存不足：总仓 的 SOFA 在库 6，已预占 0，不能减少 7"),
        ("refused", "满仓 的 SOFA 在库将达 1000000001，超出上限 1,000,000,000"),
        ("done", "已调拨 6 件"),
        ("refused", "调拨数量须为 1–1000000000 的整数"),
        ("refused", "调拨数量须为 1–1000000000 的整数"),
        ("refused", "FIT 是虚拟或服务类商品，不计库存"),
        ("refused", "仓库不存在或已停用"),
        ("refused", "调出仓与调入仓不能相同"),
        ("refused", "来源键 a 在本次中重复"),
        ("refused", "库存不足：苏州仓 的 SOFA 在库 0，已预占 0，不能减少 1"),
        ("refused", "来源键须为 1–100 个字符"),
        ("refused", "仓库不存在或已停用"),
    ]
    assert levels()[("总仓", "SOFA")] == (0, 0)
    assert levels()[("苏州仓", "SOFA")] == (10, 0)
    moved = Movement.objects.filter(kind__startswith="transfer").values_list("source_key", "quantity")
    assert sorted(moved) == [("a:in", 4), ("a:out", -4), ("e:in", 6), ("e:out", -6)]
    before = books()
    again = transfers.transfer_now(rows=[rows[0], rows[4], row("a", sofa, 1)], actor=WHO, at=at)
    assert [each.code for each in again] == ["same", "same", "refused"]
    assert [each.code for each in transfers.transfer_now(rows=[row("a", sofa, 5)], actor=WHO, at=at)] == ["refused"]
    assert transfers.transfer_now(rows=[], actor=WHO, at=at) == []
    with pytest.raises(Refusal, match="一次最多 2500 行"):
        transfers.transfer_now(rows=rows * 200, actor=WHO, at=at)
    assert books() == before
    agree()


def enter(client: Client, role: str = "operator") -> Client:
    client.force_login(make_staff(role=role))
    return client


def page_of(transfer: Transfer, step: str) -> str:
    return f"/admin/inventory/transfer/{transfer.pk}/{step}/"


def test_an_operator_takes_a_transfer_through_its_pages(ground: Ground, client: Client) -> None:
    source, target, sofa, lamp = ground
    enter(client)
    form = {"token": "ab12cd34ef", "source": source.pk, "target": target.pk, "note": ""}
    add = "/admin/inventory/transfer/add/"
    for text, problem in (
        ("SOFA", "第 1 行应为“SKU 编码 数量”"),
        ("SOFA 2\nSOFA 3", "第 2 行的 SOFA 重复"),
        ("NONE 2", "没有这些 SKU：NONE"),
        ("SOFA 0", "SOFA 的数量须为"),
    ):
        assert problem in client.post(add, form | {"lines": text}).text
    assert not Transfer.objects.exists()
    for _ in range(2):
        assert client.post(add, form | {"lines": "SOFA 5\nLAMP，3\n\n"}).status_code == 302
    transfer = Transfer.objects.get()
    look = client.get(f"/admin/inventory/transfer/{transfer.pk}/change/").text
    assert [step for step in STEPS if page_of(transfer, step) in look] == ["approve", "reject", "cancel"]
    sofas, lamps = f"sku_{sofa.pk}", f"sku_{lamp.pk}"
    approve = page_of(transfer, "approve")
    assert "SOFA 商品 SOFA（最多 5）" in client.get(approve).text
    decision = {"token": "t1", "version": 1, sofas: 6, lamps: 0}
    assert "SOFA 最多批准 5 件，不能批准 6 件" in client.post(approve, decision).text
    assert client.post(approve, decision | {sofas: 4}).status_code == 302
    assert "内容已更新" in client.post(approve, decision | {sofas: 3}).text
    shipping = {"token": "t2", "version": 2, sofas: 4, lamps: 0, "expected_on": ""}
    assert client.post(page_of(transfer, "ship"), shipping).status_code == 302
    receipt = {"token": "t3", "version": 3, sofas: 3, lamps: 0, "is_last": "on"}
    assert "收货短少，请填写原因" in client.post(page_of(transfer, "receive"), receipt).text
    for _ in range(2):
        assert client.post(page_of(transfer, "receive"), receipt | {"reason": "少一件"}).status_code == 302
    assert lines(transfer.transfer_no) == {"SOFA": (5, 4, 4, 3, 1), "LAMP": (3, 0, 0, 0, 0)}
    look = client.get(f"/admin/inventory/transfer/{transfer.pk}/change/").text
    assert [step for step in STEPS if page_of(transfer, step) in look] == []
    agree()


def test_several_requests_are_approved_at_once_each_with_its_result(ground: Ground, client: Client, at: datetime) -> None:
    ids = [ask(ground, at, number=f"DB{n}", sofas=6, lamps=0).pk for n in range(2)]
    told_back = enter(client).post(
        "/admin/inventory/transfer/", {"action": "approve_selected", "_selected_action": ids}, follow=True
    )
    assert [str(message) for message in told_back.context["messages"]] == [
        "DB1：总仓：SOFA 可调 4 件，不足 6 件", "已批准 1 张调拨单"
    ]  # fmt: skip
    assert levels()[("总仓", "SOFA")] == (10, 6)


def test_who_may_not_open_no_page_of_a_step(ground: Ground, client: Client, at: datetime) -> None:
    transfer = ask(ground, at)
    delivery = Incoming.objects.create(node=ground[1], sku=ground[2], quantity=5, expected_on=date(2099, 1, 1), source_key="po:1")
    pages = [page_of(transfer, step) for step in STEPS]
    pages += [f"/admin/inventory/incoming/{delivery.pk}/{step}/" for step in ("arrive", "reschedule", "cancel")]
    pages += ["/admin/inventory/transfer/add/", "/admin/inventory/incoming/add/"]
    before = books()
    for role in ("finance", ""):
        client.logout()
        if role:
            enter(client, role)
        assert [client.post(page, {"version": 1, "reason": "x"}).status_code for page in pages] == [403 if role else 302] * 10
    assert books() == before
    enter(client)
    assert client.get(f"/admin/inventory/transfer/{transfer.pk + 99}/ship/").status_code == 404


def test_goods_on_their_way_are_worked_with_on_their_pages(ground: Ground, client: Client, at: datetime) -> None:
    _, target, sofa, lamp = ground
    enter(client)
    form = {"token": "abc", "node": target.pk, "sku": "SOFA", "quantity": 5, "expected_on": "2099-01-01"}
    add = "/admin/inventory/incoming/add/"
    assert "没有这个 SKU" in client.post(add, form | {"sku": "NONE"}).text
    assert "已过" in client.post(add, form | {"expected_on": "2020-01-01"}).text
    for _ in range(2):
        assert client.post(add, form).status_code == 302
    delivery = Incoming.objects.get()
    here = f"/admin/inventory/incoming/{delivery.pk}"
    assert client.post(f"{here}/reschedule/", {"token": "a", "expected_on": "2099-02-01", "reason": "船期"}).status_code == 302
    for _ in range(2):
        assert client.post(f"{here}/arrive/", {"token": "b", "quantity": 2}).status_code == 302
    assert "只差 3 件，不能收货" in client.post(f"{here}/arrive/", {"token": "c", "quantity": 4}).text
    assert client.post(f"{here}/cancel/", {"token": "d", "reason": "厂家停产"}).status_code == 302
    delivery.refresh_from_db()
    assert (delivery.received, delivery.state, delivery.expected_on) == (2, "received", date(2099, 2, 1))
    assert levels()[("苏州仓", "SOFA")] == (2, 0)
    assert f"{here}/arrive/" not in client.get(f"{here}/change/").text
    ask(ground, at, lamps=0)
    transfers.approve(transfer_no="DB1", version=1, actor=WHO, at=at)
    transfers.ship(transfer_no="DB1", version=2, actor=WHO, at=at)
    sent = Incoming.objects.get(source_key="transfer:DB1:SOFA")
    look = client.get(f"/admin/inventory/incoming/{sent.pk}/change/").text
    assert f"{sent.pk}/reschedule/" in look
    assert f"{sent.pk}/arrive/" not in look
