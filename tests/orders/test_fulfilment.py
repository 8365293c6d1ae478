"""Steps of accepted work: every state and step, codes and their lock, roles, and refusals that change nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from dealers.models import Staff
from inventory.ledger import actions as ledger
from inventory.ledger import queries as stock
from inventory.ledger.rules import NewMovement
from inventory.models import Level
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.journal.models import Entry
from oms_project.journal.subscription import Fact
from oms_project.refusal import NotFound, Refusal, Stale
from orders.fulfilment import actions, queries
from orders.models import Appointment, FulfillmentLine, FulfillmentOrder, Parcel, RedeemCode
from orders.work.rules import work_actions
from tests.make import make_dealer, make_level, make_node, make_offer, make_order, make_sku, make_staff, make_work

pytestmark = pytest.mark.django_db
STEPS = ("ship", "deliver", "schedule", "install", "complete", "confirm_cancel")


def accepted(at: datetime, state: str = "accepted", **fields: Any) -> tuple[FulfillmentOrder, Staff]:
    """Work of a dealer in a state, its one unit held unless it has shipped, its code 123456."""
    dealer = make_dealer()
    node, sku = make_node(dealer), make_sku()
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", 5, f"in:{node.pk}")], actor="", at=at)
    work = make_work(make_order(sku, state="routed"), node, state=state, accepted_at=at, **fields)
    if state in ("accepted", "cancel_requested"):
        reservations.hold(wants=[Want(work.fo_no, node.pk, sku.pk, 1)], at=at)
    RedeemCode.objects.create(work=work, code="123456", made_at=at)
    return work, make_staff(dealer)


def take(step: str, work: FulfillmentOrder, staff: Staff, at: datetime, **more: Any) -> FulfillmentOrder:
    calls: dict[str, Any] = {
        "ship": lambda: actions.ship_work(fo_no=work.fo_no, staff=staff, carrier="self", tracking_no="", at=at, **more),
        "deliver": lambda: actions.deliver_work(fo_no=work.fo_no, staff=staff, at=at, **more),
        "schedule": lambda: actions.schedule_visit(
            fo_no=work.fo_no, staff=staff, visit_from=at + timedelta(hours=2), visit_to=at + timedelta(hours=4), at=at, **more
        ),
        "install": lambda: actions.install_work(fo_no=work.fo_no, staff=staff, at=at, **more),
        "complete": lambda: actions.complete_work(fo_no=work.fo_no, staff=staff, code="123456", at=at, **more),
        "confirm_cancel": lambda: actions.confirm_cancel(fo_no=work.fo_no, staff=staff, at=at, **more),
    }
    return calls[step]()


def picture(work: FulfillmentOrder) -> tuple[Any, ...]:
    work.refresh_from_db()
    level = Level.objects.get(node=work.node_id)
    code = RedeemCode.objects.get(work=work)
    rows = (Parcel.objects.count(), Appointment.objects.count(), Entry.objects.count())
    return work.state, work.version, level.on_hand, level.held, code.wrong_tries, code.used_at, rows


@pytest.mark.parametrize("needs_install", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", FulfillmentOrder.State.values)
def test_every_state_and_step(state: str, step: str, needs_install: bool, at: datetime) -> None:
    work, owner = accepted(at, state, needs_install=needs_install)
    before = picture(work)
    if step in work_actions(state, needs_install):
        moved = take(step, work, owner, at)
        went = {"ship": "shipped", "deliver": "delivered", "complete": "completed", "confirm_cancel": "cancelled"}
        assert moved.state == went.get(step, state)
    else:
        with pytest.raises(Refusal):
            take(step, work, owner, at)
        assert picture(work) == before


def test_the_whole_way_with_installation(at: datetime) -> None:
    work, owner = accepted(at, needs_install=True)
    fitter = make_staff(owner.dealer, role="installer")
    actions.ship_work(fo_no=work.fo_no, staff=owner, carrier="sf", tracking_no=" SF1 ", at=at, version=1)
    assert picture(work)[:4] == ("shipped", 2, 4, 0)
    take("deliver", work, owner, at)
    with pytest.raises(actions.NotNow, match="请先预约上门时间"):
        take("install", work, fitter, at)
    take("schedule", work, fitter, at, installer=fitter)
    take("schedule", work, owner, at + timedelta(minutes=1), installer=fitter)
    assert queries.actions_for(staff=fitter, work=FulfillmentOrder.objects.get()) == ("install", "schedule")
    take("install", work, fitter, at)
    take("complete", work, fitter, at)
    parcel = Parcel.objects.get()
    assert (parcel.carrier, parcel.tracking_no, parcel.delivered_at) == ("sf", "SF1", at)
    assert list(Appointment.objects.order_by("id").values_list("replaced_at", "installed_at")) == [
        (at + timedelta(minutes=1), None),
        (None, at),
    ]
    assert picture(work)[:6] == ("completed", 5, 4, 0, 0, at)
    assert stock.drift() == []


def test_a_tracking_number_is_used_once(at: datetime) -> None:
    (first, owner), (second, other) = accepted(at), accepted(at)
    actions.ship_work(fo_no=first.fo_no, staff=owner, carrier="sf", tracking_no="SF1", at=at)
    before = picture(second)
    with pytest.raises(actions.TrackingUsed):
        actions.ship_work(fo_no=second.fo_no, staff=other, carrier="sf", tracking_no="SF1", at=at)
    with pytest.raises(Refusal, match="运单号"):
        actions.ship_work(fo_no=second.fo_no, staff=other, carrier="sf", tracking_no=" ", at=at)
    assert picture(second) == before


def test_five_wrong_codes_lock_and_hq_makes_a_new_one(at: datetime) -> None:
    work, owner = accepted(at, "delivered")
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(actions.WrongCode, match=f"还可再试 {left} 次" if left else "已锁定"):
            actions.complete_work(fo_no=work.fo_no, staff=owner, code="六五四", at=at)
    assert RedeemCode.objects.get().wrong_tries == 5
    with pytest.raises(actions.CodeLocked):
        take("complete", work, owner, at)
    assert picture(work)[0] == "delivered"
    with pytest.raises(NotFound):
        actions.renew_code(fo_no=work.fo_no, staff=owner, at=at)
    with pytest.raises(NotFound):
        queries.redeem_code_of(staff=owner, fo_no=work.fo_no)
    hq = make_staff(role="operator")
    actions.renew_code(fo_no=work.fo_no, staff=hq, at=at)
    code = queries.redeem_code_of(staff=hq, fo_no=work.fo_no)
    assert actions.complete_work(fo_no=work.fo_no, staff=owner, code=code, at=at).state == "completed"


@pytest.mark.parametrize("step", STEPS)
def test_who_may(step: str, at: datetime) -> None:
    state = {"ship": "accepted", "deliver": "shipped", "complete": "installed", "confirm_cancel": "cancel_requested"}.get(
        step, "delivered"
    )
    for role in Staff.Role.values:
        work, owner = accepted(at, state, needs_install=True)
        if step == "install":
            take("schedule", work, owner, at)
        staff = make_staff(None if role in Staff.HQ_ROLES else owner.dealer, role=role)
        before = picture(work)
        with pytest.raises(NotFound):
            take(step, work, make_staff(make_dealer()), at)
        if role == "finance" or (role == "installer" and step not in ("schedule", "install", "complete")):
            with pytest.raises(NotFound if role == "finance" else actions.NotAllowed):
                take(step, work, staff, at)
            assert picture(work) == before
        else:
            with pytest.raises(Stale):
                take(step, work, staff, at, version=99)
            assert picture(work) == before
            take(step, work, staff, at, version=1)


def test_a_visit_is_in_the_future_and_by_ones_own_people(at: datetime) -> None:
    work, owner = accepted(at, needs_install=True)
    with pytest.raises(Refusal, match="将来"):
        actions.schedule_visit(fo_no=work.fo_no, staff=owner, visit_from=at, visit_to=at + timedelta(hours=1), at=at)
    with pytest.raises(Refusal, match="本经销商"):
        take("schedule", work, owner, at, installer=make_staff(make_dealer(), role="installer"))
    assert not Appointment.objects.exists()


def test_a_confirmed_cancel_frees_the_stock(at: datetime) -> None:
    work, owner = accepted(at, "cancel_requested")
    assert picture(work)[2:4] == (5, 1)
    take("confirm_cancel", work, owner, at)
    assert picture(work)[2:4] == (5, 0)


def moved(work: FulfillmentOrder, state: str, at: datetime) -> Fact:
    return Fact(1, "work.moved", "", "", {"fo_id": work.pk, "fo_no": work.fo_no, "state": state}, at)


def test_accepted_work_gets_one_code_that_no_fact_tells(at: datetime) -> None:
    work, _ = accepted(at)
    RedeemCode.objects.all().delete()
    actions.on_work_moved([moved(work, "accepted", at)], at=at)
    code = RedeemCode.objects.get().code
    assert len(code) == 6
    assert code.isdigit()
    actions.on_work_moved([moved(work, "accepted", at), moved(work, "shipped", at)], at=at)
    assert RedeemCode.objects.get().code == code
    assert not any(code in str(entry.payload) for entry in Entry.objects.all())


def test_completed_work_is_told_once_with_the_frozen_income(at: datetime) -> None:
    work, owner = accepted(at, "completed")
    income = [{"component": "service_fee", "payee": f"dealer:{owner.dealer.code}", "amount_fen": 6000, "paid_fen": 100_000}]
    make_offer(work, expires_at=at, state="accepted", income=income)
    own = make_work(make_order(make_sku()), make_node(), state="completed", accepted_at=at)
    facts = [moved(work, "completed", at), moved(own, "completed", at), moved(own, "shipped", at)]
    actions.on_work_done(facts, at=at)
    actions.on_work_done(facts, at=at)
    told = [entry.payload for entry in Entry.objects.filter(name="work.completed").order_by("id")]
    assert [(t["fo_no"], t["components"], t["paid_fen"]) for t in told] == [
        (work.fo_no, income, 100_000),
        (own.fo_no, [], 100_000),
    ]
    assert (told[0]["dealer_code"], told[1]["dealer_code"], told[1]["dealer_id"]) == (owner.dealer.code, "", None)


def test_the_buyers_confirmation_completes_goods_but_not_installations(at: datetime) -> None:
    works = [
        accepted(at, state, needs_install=install)[0]
        for state, install in [("shipped", False), ("delivered", False), ("delivered", True), ("accepted", False)]
    ]
    facts = [Fact(1, "", "", "", {"order_id": work.order_id}, at) for work in works]
    actions.on_order_finished_at_source(facts, at=at)
    actions.on_order_finished_at_source(facts, at=at)
    assert [picture(work)[0] for work in works] == ["completed", "completed", "delivered", "accepted"]


def test_a_refund_is_split_by_the_money_of_the_work_that_covers_it(at: datetime) -> None:
    node, sofa, lamp = make_node(make_dealer()), make_sku(), make_sku()
    make_level(node, sofa)
    order = make_order(sofa, lamp, state="routed", paid_fen=100_001, quantity=3)
    first = make_work(order, node, state="shipped", accepted_at=at)
    line, other = first.lines.order_by("id")
    FulfillmentLine.objects.filter(pk=line.pk).update(quantity=1)
    FulfillmentLine.objects.filter(pk=other.pk).delete()
    second = make_work(order, node, state="accepted", accepted_at=at)
    second.lines.filter(sku=sofa).update(quantity=2)
    void = make_work(order, node, state="cancelled")
    body = {"order_id": order.pk, "order_no": order.order_no, "amount_fen": 1000}
    facts = [
        Fact(1, "", "", "", {**body, "refund_key": "R1", "external_line_id": line.order_line.external_line_id}, at),
        Fact(2, "", "", "", {**body, "refund_key": "R2", "external_line_id": ""}, at),
        Fact(3, "", "", "", {**body, "refund_key": "R3", "external_line_id": "unknown"}, at),
    ]
    actions.on_refund_succeeded(facts, at=at)
    actions.on_refund_succeeded(facts, at=at)
    told = [entry.payload for entry in Entry.objects.filter(name="work.refunded").order_by("id")]
    assert [(t["fo_no"], t["refund_key"], t["amount_fen"]) for t in told] == [
        (first.fo_no, "R1", 333),
        (second.fo_no, "R1", 667),
        (first.fo_no, "R2", 167),
        (second.fo_no, "R2", 833),
    ]
    assert void.fo_no not in {t["fo_no"] for t in told}


@pytest.mark.parametrize(("state", "told"), [("waiting", 1), ("offered", 1), ("stuck", 1), ("accepted", 1), ("cancelled", 0)])
def test_a_refund_of_work_that_nobody_accepted_yet_is_told_too(state: str, told: int, at: datetime) -> None:
    order = make_order(make_sku(), paid_fen=100_000, state="routed")
    work = make_work(order, make_node(make_dealer()), state=state)
    body = {"order_id": order.pk, "order_no": order.order_no, "refund_key": "R1", "external_line_id": "", "amount_fen": 30_000}
    actions.on_refund_succeeded([Fact(1, "", "", "", body, at)], at=at)
    entries = Entry.objects.filter(name="work.refunded")
    assert [(e.payload["fo_no"], e.payload["amount_fen"]) for e in entries] == [(work.fo_no, 30_000)] * told
