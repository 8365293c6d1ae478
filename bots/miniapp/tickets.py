"""One-time passes for a WebSocket: the address of a socket is logged by proxies, a login token must not be."""

import hashlib
import secrets
from datetime import datetime, timedelta

from bots.models import SocketTicket
from dealers.models import Staff

LIFE = timedelta(seconds=60)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def issue_ticket(staff: Staff, at: datetime) -> str:
    """A pass for 60 seconds and one use; only its digest is stored. Passes that ran out are swept here."""
    SocketTicket.objects.filter(expires_at__lte=at).delete()
    ticket = secrets.token_urlsafe(32)
    SocketTicket.objects.create(digest=_digest(ticket), staff=staff, expires_at=at + LIFE)
    return ticket


def use_ticket(ticket: str, at: datetime) -> Staff | None:
    """Whose pass this is, once: of two users at the same time the one whose delete counts wins."""
    valid = SocketTicket.objects.filter(digest=_digest(ticket), expires_at__gt=at)
    held = valid.select_related("staff").first()
    if held is None or not valid.delete()[0] or not held.staff.is_active:
        return None
    return held.staff
