"""The plain values of intake: what a channel pushed, and what may go wrong on the way. No database."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

BACK_OFF = [timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14400)]
MAX_TRIES = len(BACK_OFF)


class BadPush(Exception):
    """What was pushed has not the form of a push; nothing of it can be kept."""


class RetryLater(Exception):
    """The channel did not answer as it should, but may do so later."""


class GiveUp(Exception):
    """Asking again will not help: a person has to look."""


class Place(NamedTuple):
    """A division as a channel names it; either part may be empty or wrong."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a push. `msg_id` is the key by which a repetition is known; `body` is JSON text."""

    tag: str
    msg_id: str
    shop_id: str
    external_id: str
    body: str


def back_off(tries: int) -> timedelta:
    """How long to wait after the tries-th failure (from 1)."""
    return BACK_OFF[min(max(tries, 1), MAX_TRIES) - 1]
