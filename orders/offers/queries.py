"""What others may ask about offers."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet

from dealers.models import Staff
from oms_project.refusal import NotFound
from orders.offers.models import Offer
from orders.work.models import FulfillmentOrder


def offers_for(staff: Staff) -> QuerySet[Offer]:
    """The offers a person may see: dealers' people their dealer's, HQ all; installers and finance none."""
    offers = Offer.objects.select_related("work__order", "dealer", "node")
    if staff.role in (Staff.Role.INSTALLER, Staff.Role.FINANCE):
        return offers.none()
    return offers if staff.is_hq else offers.filter(dealer_id=staff.dealer_id or 0)


def open_offers(staff: Staff) -> QuerySet[Offer]:
    """The offers that wait for an answer, the most urgent first."""
    return offers_for(staff).filter(state=Offer.State.PENDING).order_by("expires_at", "id")


def offer_for(*, staff: Staff, offer_no: str) -> Offer:
    """One offer, if the person may see it. Raises NotFound."""
    offer = offers_for(staff).filter(offer_no=offer_no).first()
    if offer is None:
        raise NotFound
    return offer


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was ever asked for a piece of work."""

    dealers: frozenset[int]
    per_rung: dict[int, int]
    rounds: int


def asked_before(work_ids: Collection[int]) -> dict[int, Asked]:
    """Everybody who ever had an offer of these pieces of work; all of them are excluded from the next."""
    found: dict[int, list[tuple[int, int, int]]] = {work_id: [] for work_id in work_ids}
    rows = Offer.objects.filter(work_id__in=work_ids).values_list("work_id", "dealer_id", "ladder_step", "round")
    for work_id, dealer_id, step, number in rows:
        found[work_id].append((dealer_id, step, number))
    return {
        work_id: Asked(
            dealers=frozenset(dealer_id for dealer_id, _, _ in offers),
            per_rung={rung: sum(step == rung for _, step, _ in offers) for rung in {step for _, step, _ in offers}},
            rounds=max((number for _, _, number in offers), default=0),
        )
        for work_id, offers in found.items()
    }


def last_offers(work_ids: Collection[int]) -> dict[int, Offer]:
    """The latest offer of pieces of work, with its dealer."""
    offers = Offer.objects.filter(work_id__in=work_ids).select_related("dealer").order_by("round")
    return {offer.work_id: offer for offer in offers}


def unanswered_works(work_ids: Collection[int]) -> list[FulfillmentOrder]:
    """Those of the pieces of work that are on offer to nobody any more."""
    works = FulfillmentOrder.objects.filter(pk__in=work_ids, state=FulfillmentOrder.State.OFFERED)
    taken = Offer.objects.filter(work_id__in=work_ids, state__in=[Offer.State.PENDING, Offer.State.ACCEPTED])
    return list(works.exclude(pk__in=taken.values("work_id")).select_related("order").order_by("pk"))
