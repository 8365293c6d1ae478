"""What others may ask about work. Not found and not yours look the same."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from dealers.models import Staff
from oms_project.refusal import NotFound
from orders.lifecycle.rules import LineToRoute, OrderToRoute
from orders.work.models import FulfillmentLine, FulfillmentOrder


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


def as_orders(works: Sequence[FulfillmentOrder]) -> dict[int, OrderToRoute]:
    """Pieces of work as routing sees them: their order with only the lines they cover."""
    lines: dict[int, list[LineToRoute]] = {work.pk: [] for work in works}
    covered = FulfillmentLine.objects.filter(work_id__in=lines).select_related("order_line", "sku")
    for line in covered.order_by("work_id", "order_line__position"):
        lines[line.work_id].append(
            LineToRoute(
                line_id=line.order_line_id,
                sku_id=line.sku_id,
                sku_code=line.sku.code,
                name=line.sku.name,
                quantity=line.quantity,
                paid_fen=line.order_line.paid_fen,
                weight_g=line.sku.weight_g,
                is_counted=line.sku.is_counted,
                install_skill=line.sku.install_skill,
                category=line.sku.category,
                supply_price_fen=line.sku.supply_price_fen,
                bundle=line.order_line.external_line_id,
            )
        )
    return {
        work.pk: OrderToRoute(
            order_id=work.order_id,
            order_no=work.order.order_no,
            channel=work.order.channel,
            shop=work.order.shop,
            division_code=work.order.division_code,
            region=work.order.region,
            paid_fen=work.paid_fen,
            paid_at=work.order.paid_at or work.order.placed_at,
            anchor=work.order.anchor,
            live_session=work.order.live_session,
            lines=tuple(lines[work.pk]),
            tags=frozenset(work.order.tags),
        )
        for work in works
    }
