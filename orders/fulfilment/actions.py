"""Do accepted work: ship, deliver, visit, install, and complete it by the customer's code."""

import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from dealers.capacity import actions as capacity
from dealers.models import Staff
from inventory.reservations import actions as reservations
from oms_project.events import WorkCompleted, WorkRefunded
from oms_project.journal import actions as journal
from oms_project.journal.models import Entry
from oms_project.journal.subscription import Fact
from oms_project.money import allocate
from oms_project.refusal import NotFound, Refusal, Stale
from orders.fulfilment import queries
from orders.fulfilment.models import Appointment, Parcel, RedeemCode
from orders.offers.models import Offer
from orders.work import actions as work_actions
from orders.work.models import FulfillmentLine, FulfillmentOrder
from orders.work.queries import work_for

SELF_DELIVERY = "self"
State = FulfillmentOrder.State


class NotAllowed(Refusal):
    """The person sees the work but this step is not theirs."""


class NotNow(Refusal):
    """The work is not at the point where this step makes sense."""


class TrackingUsed(Refusal):
    """A tracking number names one parcel only."""


class WrongCode(Refusal):
    """The customer's code does not match; the try is counted."""


class CodeLocked(Refusal):
    """Too many wrong tries: only HQ can make a new code."""


def _work(*, staff: Staff, fo_no: str, action: str, version: int | None) -> FulfillmentOrder:
    """The work a person may take this step on now. Raises NotFound, NotAllowed, Stale or NotNow."""
    work = work_for(staff=staff, fo_no=fo_no)
    if action not in queries.role_actions(staff):
        raise NotAllowed("你的角色不能执行此操作")
    if version is not None and version != work.version:
        raise Stale
    if action not in queries.legal_actions(work):
        if action == "install" and work.needs_install and work.state == State.DELIVERED:
            raise NotNow("请先预约上门时间")
        raise NotNow(f"履约单当前状态为「{work.get_state_display()}」，不能执行此操作")
    return work


def _actor(staff: Staff) -> str:
    return f"staff:{staff.pk}"


def _move(work: FulfillmentOrder, to: str, staff: Staff, at: datetime) -> FulfillmentOrder:
    return work_actions.move_work(work_id=work.pk, to=to, actor=_actor(staff), at=at, version=work.version)


@transaction.atomic
def ship_work(
    *, fo_no: str, staff: Staff, carrier: str, tracking_no: str, at: datetime, version: int | None = None
) -> FulfillmentOrder:
    """Hand the goods to a carrier, or carry them oneself (carrier 'self'); the held stock leaves."""
    carrier, tracking_no = carrier.strip(), tracking_no.strip()
    if not carrier or len(carrier) > 20 or len(tracking_no) > 40:
        raise Refusal("请填写承运商（20 字以内）和运单号（40 字以内）")
    if carrier != SELF_DELIVERY and not tracking_no:
        raise Refusal("请填写运单号；自己送货请选择自配送")
    work = _work(staff=staff, fo_no=fo_no, action="ship", version=version)
    moved = _move(work, State.SHIPPED, staff, at)
    try:
        with transaction.atomic():
            Parcel.objects.create(work=moved, carrier=carrier, tracking_no=tracking_no, shipped_at=at, shipped_by=staff)
    except IntegrityError:
        raise TrackingUsed("这个运单号已被使用") from None
    reservations.consume(bills=[fo_no], actor=_actor(staff), at=at)
    return moved


@transaction.atomic
def deliver_work(*, fo_no: str, staff: Staff, at: datetime, version: int | None = None) -> FulfillmentOrder:
    """The goods are at the customer's."""
    work = _work(staff=staff, fo_no=fo_no, action="deliver", version=version)
    moved = _move(work, State.DELIVERED, staff, at)
    Parcel.objects.filter(work=moved, delivered_at=None).update(delivered_at=at)
    return moved


@transaction.atomic
def schedule_visit(
    *,
    fo_no: str,
    staff: Staff,
    visit_from: datetime,
    visit_to: datetime,
    at: datetime,
    installer: Staff | None = None,
    version: int | None = None,
) -> FulfillmentOrder:
    """Agree on a visit; a new appointment replaces the open one. The installer is one of the dealer's own."""
    if visit_from <= at or visit_to <= visit_from:
        raise Refusal("上门时间必须在将来，且结束晚于开始")
    work = _work(staff=staff, fo_no=fo_no, action="schedule", version=version)
    if installer is not None and (installer.dealer_id != work.dealer_id or not installer.is_active):
        raise Refusal("只能安排本经销商的师傅")
    locked = FulfillmentOrder.objects.select_for_update().get(pk=work.pk)
    if locked.version != work.version:
        raise Stale
    Appointment.objects.filter(work=work, replaced_at=None).update(replaced_at=at)
    Appointment.objects.create(work=work, visit_from=visit_from, visit_to=visit_to, installer=installer, made_at=at)
    return work


@transaction.atomic
def install_work(*, fo_no: str, staff: Staff, at: datetime, version: int | None = None) -> FulfillmentOrder:
    """The installation of an agreed visit is done."""
    work = _work(staff=staff, fo_no=fo_no, action="install", version=version)
    moved = _move(work, State.INSTALLED, staff, at)
    Appointment.objects.filter(work=moved, replaced_at=None).update(installed_at=at)
    return moved


def complete_work(*, fo_no: str, staff: Staff, code: str, at: datetime, version: int | None = None) -> FulfillmentOrder:
    """Complete work by the customer's code.

    A try is taken before the code is compared and commits by itself, so that guesses made at the
    same moment are counted too and a refusal does not undo the count: not to be called inside
    a transaction. Raises WrongCode and CodeLocked.
    """
    work = _work(staff=staff, fo_no=fo_no, action="complete", version=version)
    tries = RedeemCode.objects.filter(work=work, used_at=None)
    if not tries.filter(wrong_tries__lt=RedeemCode.MAX_WRONG_TRIES).update(wrong_tries=F("wrong_tries") + 1):
        if tries.exists():
            raise CodeLocked("核销码错误次数过多，已锁定，请联系总部")
        raise NotNow("核销码尚未生成，请稍后再试")
    kept = tries.get()
    if not hmac.compare_digest(kept.code.encode(), code.strip().encode()):
        left = RedeemCode.MAX_WRONG_TRIES - kept.wrong_tries
        raise WrongCode(f"核销码不正确，还可再试 {left} 次" if left > 0 else "核销码不正确，已锁定，请联系总部")
    try:
        with transaction.atomic():
            tries.update(used_at=at, wrong_tries=F("wrong_tries") - 1)
            return _move(work, State.COMPLETED, staff, at)
    except Stale:
        tries.update(wrong_tries=F("wrong_tries") - 1)
        raise


@transaction.atomic
def renew_code(*, fo_no: str, staff: Staff, at: datetime) -> None:
    """HQ makes a new code with new tries, for a customer whose code is locked or lost."""
    work = work_for(staff=staff, fo_no=fo_no)
    if not staff.is_hq:
        raise NotFound
    if not RedeemCode.objects.filter(work=work, used_at=None).update(code=_new_code(), wrong_tries=0, made_at=at):
        raise NotNow("这张履约单没有待核销的核销码")


@transaction.atomic
def confirm_cancel(*, fo_no: str, staff: Staff, at: datetime, version: int | None = None) -> FulfillmentOrder:
    """The dealer agrees to a cancel request; the held stock and the place of its day are free again."""
    work = _work(staff=staff, fo_no=fo_no, action="confirm_cancel", version=version)
    moved = _move(work, State.CANCELLED, staff, at)
    reservations.release(bills=[fo_no], at=at)
    capacity.give_back(bills=[fo_no], actor=_actor(staff), at=at)
    return moved


def _new_code() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


def _told(event: str, order_nos: Iterable[str]) -> set[tuple[str, str]]:
    """(fo_no, refund_key) of facts recorded already, so that a repeated delivery tells nothing twice."""
    told = Entry.objects.filter(name=event, subject__in=[f"order:{number}" for number in order_nos])
    return {(payload["fo_no"], payload.get("refund_key", "")) for payload in told.values_list("payload", flat=True)}


@transaction.atomic
def on_work_moved(facts: Sequence[Fact], *, at: datetime) -> None:
    """Accepted work gets the code that its customer will complete it with, once."""
    accepted = {fact.payload["fo_id"] for fact in facts if fact.payload["state"] == State.ACCEPTED}
    codes = [RedeemCode(work_id=work_id, code=_new_code(), made_at=at) for work_id in sorted(accepted)]
    RedeemCode.objects.bulk_create(codes, ignore_conflicts=True)


@transaction.atomic
def on_work_done(facts: Sequence[Fact], *, at: datetime) -> None:
    """Completed work is told to settlement with the amounts that were frozen on the accepted offer."""
    done = {f.payload["fo_id"]: f.recorded_at for f in facts if f.payload["state"] == State.COMPLETED}
    if not done:
        return
    works = list(FulfillmentOrder.objects.select_related("order", "dealer").filter(pk__in=done).order_by("pk"))
    accepted = Offer.objects.filter(work_id__in=done, state=Offer.State.ACCEPTED)
    income = dict(accepted.values_list("work_id", "income"))
    told = _told(WorkCompleted.name, {work.order.order_no for work in works})
    events = [
        WorkCompleted(
            fo_id=work.pk,
            fo_no=work.fo_no,
            order_no=work.order.order_no,
            dealer_id=work.dealer_id,
            dealer_code=work.dealer.code if work.dealer else "",
            shop=work.order.shop,
            channel=work.order.channel,
            paid_fen=work.paid_fen,
            completed_at=done[work.pk].isoformat(),
            components=income.get(work.pk, []) if work.dealer_id else [],
        )
        for work in works
        if (work.fo_no, "") not in told
    ]
    journal.record(*events, actor="fulfilment", at=at)


@transaction.atomic
def on_order_finished_at_source(facts: Sequence[Fact], *, at: datetime) -> None:
    """The buyer's confirmation on the channel completes goods on the way; installations still need the code."""
    works = FulfillmentOrder.objects.filter(
        order_id__in=[fact.payload["order_id"] for fact in facts],
        state__in=[State.SHIPPED, State.DELIVERED],
        needs_install=False,
    )
    for work in works.order_by("order_id", "pk"):
        work_actions.move_work(work_id=work.pk, to=State.COMPLETED, actor="channel", at=at, note="买家已在平台确认收货")


@transaction.atomic
def on_refund_succeeded(facts: Sequence[Fact], *, at: datetime) -> None:
    """Split each refund over the work that covers the refunded line, by the buyer's money of each.

    Work that nobody accepted yet is told of too: its income is frozen by what the buyer paid, so the
    refund must be remembered until it is accrued.
    """
    lines = FulfillmentLine.objects.select_related("work", "order_line").filter(
        work__order_id__in={fact.payload["order_id"] for fact in facts}
    )
    by_order: dict[int, list[FulfillmentLine]] = {}
    for line in lines.exclude(work__state=State.CANCELLED, work__accepted_at=None).order_by("work_id", "id"):
        by_order.setdefault(line.work.order_id, []).append(line)
    told = _told(WorkRefunded.name, {fact.payload["order_no"] for fact in facts})
    events = []
    for fact in facts:
        payload = fact.payload
        for work, part in _refund_parts(by_order.get(payload["order_id"], []), payload):
            if part and work.state != State.CANCELLED and (work.fo_no, payload["refund_key"]) not in told:
                told.add((work.fo_no, payload["refund_key"]))
                events.append(
                    WorkRefunded(
                        fo_id=work.pk,
                        fo_no=work.fo_no,
                        order_no=payload["order_no"],
                        dealer_id=work.dealer_id,
                        refund_key=payload["refund_key"],
                        amount_fen=part,
                        refunded_at=fact.recorded_at.isoformat(),
                    )
                )
    journal.record(*events, actor="fulfilment", at=at)


def _refund_parts(lines: Sequence[FulfillmentLine], refund: Mapping[str, object]) -> list[tuple[FulfillmentOrder, int]]:
    """One refund over the works of its order: a line's money by quantity, the refund by that money."""
    line_id = refund["external_line_id"]
    covered = [line for line in lines if not line_id or line.order_line.external_line_id == line_id]
    by_order_line: dict[int, list[FulfillmentLine]] = {}
    for line in covered:
        by_order_line.setdefault(line.order_line_id, []).append(line)
    weights: dict[int, int] = {}
    works: dict[int, FulfillmentOrder] = {line.work_id: line.work for line in covered}
    for group in by_order_line.values():
        for line, share in zip(group, allocate(group[0].order_line.paid_fen, [x.quantity for x in group]), strict=True):
            weights[line.work_id] = weights.get(line.work_id, 0) + share
    if not weights:
        return []
    ids = sorted(weights)
    parts = allocate(int(str(refund["amount_fen"])), [weights[work_id] for work_id in ids])
    return [(works[work_id], part) for work_id, part in zip(ids, parts, strict=True)]
