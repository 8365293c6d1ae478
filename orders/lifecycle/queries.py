"""What others may ask about orders and work. Not found and not yours look the same."""

from datetime import datetime

from django.db.models import Q, QuerySet

from dealers.models import Staff
from oms_project.refusal import NotFound
from orders.lifecycle.models import FulfillmentOrder


def works_for(staff: Staff) -> QuerySet[FulfillmentOrder]:
    """The pieces of work a person may see: HQ all (finance none), dealers' people their dealer's.

    Installers see work only once it is accepted; withdrawn and refused work is nobody's.
    """
    works = FulfillmentOrder.objects.select_related("order", "node")
    if staff.role == Staff.Role.FINANCE:
        return works.none()
    if staff.is_hq:
        return works
    own = works.filter(dealer=staff.dealer).exclude(state__in=["waiting", "stuck"])
    if staff.role == Staff.Role.INSTALLER:
        return own.exclude(Q(state="offered") | Q(accepted_at=None))
    return own


def work_for(*, staff: Staff, fo_no: str) -> FulfillmentOrder:
    """One piece of work, if the person may see it. Raises NotFound."""
    work = works_for(staff).filter(fo_no=fo_no).first()
    if work is None:
        raise NotFound
    return work


def work_by_short_no(*, staff: Staff, short_no: int, since: datetime) -> list[FulfillmentOrder]:
    """Recent work of a person's dealer that a short number may mean; more than one is ambiguous."""
    return list(works_for(staff).filter(short_no=short_no, moved_at__gte=since).order_by("-moved_at")[:5])
