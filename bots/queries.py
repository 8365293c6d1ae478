"""Who stands behind a chat user, and who is to be told of a dealer's offers."""

from bots.models import ChatIdentity
from dealers.models import Staff

_ANSWER_OFFERS = (Staff.Role.OWNER, Staff.Role.CLERK)


def person_behind(*, platform: str, tenant: str, user_id: str) -> Staff | None:
    """The person, if bound and still one of us; revoked, inactive and unknown look the same."""
    identity = (
        ChatIdentity.objects.filter(platform=platform, tenant=tenant, user_id=user_id, is_active=True)
        .select_related("staff__dealer")
        .first()
    )
    return identity.staff if identity and _is_ours(identity.staff) else None


def people_to_tell(dealer_id: int) -> list[ChatIdentity]:
    """The chat identities of a dealer's owner and clerks, on every platform."""
    identities = ChatIdentity.objects.filter(is_active=True, staff__dealer_id=dealer_id, staff__role__in=_ANSWER_OFFERS)
    return [identity for identity in identities.select_related("staff__dealer").order_by("pk") if _is_ours(identity.staff)]


def members_of(*, tenant: str) -> list[ChatIdentity]:
    """Everybody in one local demo group."""
    members = ChatIdentity.objects.filter(platform=ChatIdentity.Platform.LOCAL, tenant=tenant, is_active=True)
    return [member for member in members.select_related("staff__dealer").order_by("pk") if _is_ours(member.staff)]


def _is_ours(staff: Staff) -> bool:
    return staff.is_active and (staff.dealer is None or staff.dealer.is_active)
