"""What a subscriber is and what it is handed; plain values, no database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from oms_project.events import Event


class Where(Enum):
    """INSIDE: database only; claim, effect and done are one transaction, so it happens once.

    OUTSIDE: uses the network; called with one fact at a time outside of any transaction, at
    least once, so its effect must carry an idempotency key.
    """

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Fact:
    """A journal entry as a subscriber sees it. `tries` counts earlier failed attempts."""

    id: int
    name: str
    subject: str
    actor: str
    payload: dict[str, Any]
    recorded_at: datetime
    delivery_id: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """When `event` is recorded, `call(facts, at=...)` in the next transaction."""

    event: type[Event]
    call: Callable[..., None]
    where: Where = Where.INSIDE
    batch: int = 100

    @property
    def name(self) -> str:
        module = self.call.__module__.removesuffix(".actions")
        return f"{module}.{self.call.__name__}"


class PermanentFailure(Exception):
    """Retrying cannot help: the delivery is parked at once for a person."""


Subscriptions = Sequence[Subscription]
