"""Writes to people: a person's mini-program identity, their sessions."""

from django.db import IntegrityError, transaction
from django.db.models import F

from dealers.directory.models import Staff
from oms_project.refusal import Refusal


class WechatTaken(Refusal):
    """One mini-program identity is one person."""


@transaction.atomic
def bind_wechat(*, staff: Staff, openid: str) -> None:
    """Let a person log in by their mini-program identity. Raises WechatTaken when it is somebody else's."""
    try:
        with transaction.atomic():
            Staff.objects.filter(pk=staff.pk).update(wechat_openid=openid or None)
    except IntegrityError:
        raise WechatTaken("该微信已绑定其他人员") from None
    staff.wechat_openid = openid or None


@transaction.atomic
def end_sessions(*, staff: Staff) -> None:
    """Every login of this person ends at its next request."""
    Staff.objects.filter(pk=staff.pk).update(session_version=F("session_version") + 1)
    staff.refresh_from_db(fields=["session_version"])
