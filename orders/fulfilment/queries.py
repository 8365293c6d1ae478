"""What may be done next with accepted work, and by whom."""

from django.db.models import QuerySet

from dealers.models import Staff
from oms_project.refusal import NotFound
from orders.fulfilment.models import Appointment, RedeemCode
from orders.work import rules
from orders.work.models import FulfillmentOrder
from orders.work.queries import work_for, works_for

_ALL = ("ship", "deliver", "schedule", "install", "complete", "confirm_cancel")
_BY_ROLE = {"admin": _ALL, "operator": _ALL, "owner": _ALL, "clerk": _ALL, "installer": ("schedule", "install", "complete")}


def role_actions(staff: Staff) -> tuple[str, ...]:
    """The steps a person's role may take at all."""
    return _BY_ROLE.get(staff.role, ())


def open_appointment(work: FulfillmentOrder) -> Appointment | None:
    """The visit that stands; read from prefetched appointments without a statement."""
    return next((visit for visit in work.appointments.all() if visit.replaced_at is None), None)


def works_with_details(staff: Staff) -> QuerySet[FulfillmentOrder]:
    """The work a person may see, with everything its record shows; a fixed number of statements."""
    return works_for(staff).prefetch_related("lines__sku", "parcels", "appointments__installer")


def work_with_details(*, staff: Staff, fo_no: str) -> FulfillmentOrder:
    """One piece of work with its details. Raises NotFound."""
    work = works_with_details(staff).filter(fo_no=fo_no).first()
    if work is None:
        raise NotFound
    return work


def legal_actions(work: FulfillmentOrder) -> tuple[str, ...]:
    """What the state of the work allows next."""
    return rules.work_actions(work.state, work.needs_install, open_appointment(work) is not None)


def actions_for(*, staff: Staff, work: FulfillmentOrder) -> tuple[str, ...]:
    """The buttons to show one person for one piece of work."""
    allowed = role_actions(staff)
    return tuple(action for action in legal_actions(work) if action in allowed)


def redeem_code_of(*, staff: Staff, fo_no: str) -> str:
    """The customer's code, for HQ to tell the customer. Dealers never see it: for them it does not exist."""
    work = work_for(staff=staff, fo_no=fo_no)
    kept = RedeemCode.objects.filter(work=work).first()
    if kept is None or not staff.is_hq:
        raise NotFound
    return kept.code
