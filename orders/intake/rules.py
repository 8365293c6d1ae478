"""What intake knows without asking: what a message says, when it is tried again."""

from dataclasses import dataclass
from datetime import timedelta

LEASE = timedelta(seconds=120)
MOST_TRIES = 8
BACK_OFF = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300, 900, 1800, 3600))


class PassingFailure(Exception):
    """The channel could not answer now; asking again later may help."""


class LastingFailure(Exception):
    """Asking again cannot help: a person must look."""


class BadOrder(LastingFailure):
    """The channel's document lacks something or is not readable; the message names the field."""


@dataclass(frozen=True, slots=True)
class Message:
    """One pushed message. `body` is the message as received, as JSON text; an empty `external_id` names no order."""

    key: str
    tag: str
    shop: str
    external_id: str
    body: str


@dataclass(frozen=True, slots=True)
class RefundNotice:
    """Money went back to the buyer, as a message tells it. `key` is the channel's own number of it."""

    key: str
    external_line_id: str
    amount_fen: int


def back_off(tries: int) -> timedelta:
    """How long to wait after so many failed tries."""
    return BACK_OFF[min(max(tries, 1), len(BACK_OFF)) - 1]
