"""What others may ask about people and dealers."""

from dealers.directory.models import Staff


def staff_by_id(staff_id: int) -> Staff | None:
    """A person with their dealer, by primary key."""
    return Staff.objects.select_related("dealer").filter(pk=staff_id).first()


def staff_by_phone(phone: str) -> Staff | None:
    """A person with their dealer, by login phone."""
    return Staff.objects.select_related("dealer").filter(phone=phone).first()


def staff_by_openid(openid: str) -> Staff | None:
    """The person who bound this mini-program identity."""
    return Staff.objects.select_related("dealer").filter(wechat_openid=openid).first()
