"""What may be done next with accepted work, and by whom."""

from dealers.models import Staff
from oms_project.refusal import NotFound
from orders.fulfilment.models import Appointment, RedeemCode
from orders.lifecycle import rules
from orders.lifecycle.models import FulfillmentOrder
from orders.lifecycle.queries import work_for

_ALL = ("ship", "deliver", "schedule", "install", "complete", "confirm_cancel")
_BY_ROLE = {"admin": _ALL, "operator": _ALL, "owner": _ALL, "clerk": _ALL, "installer": ("schedule", "install", "complete")}


def role_actions(staff: Staff) -> tuple[str, ...]:
    """The steps a person's role may take at all."""
    return _BY_ROLE.get(staff.role, ())


def open_appointment(work: FulfillmentOrder) -> Appointment | None:
    return Appointment.objects.filter(work=work, replaced_at=None).first()


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
