"""What any chat platform delivered, in one shape; and how sending can fail."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class Forged(Exception):
    """The call does not prove that it comes from the platform. Deliberately says nothing more."""


class TransportError(Exception):
    """The platform did not take it now; trying later may help. `code` is the platform's."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message or click. kind: text, click or other. `event_id` is the same for every repeat."""

    platform: str
    tenant: str
    event_id: str
    sender_id: str
    kind: str
    sent_at: datetime
    text: str = ""
    value: str = ""
    task_id: str = ""
    response_code: str = ""
    selected: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"text": self.text, "sent_at": self.sent_at.isoformat()}
