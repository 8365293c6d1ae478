"""What is called by the clock: the shape of the table TICKS in wiring.py.

A tick is a wake-up and never holds state: what is due is a column of our own tables, so a tick
that is lost, late or run twice changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True, slots=True)
class Tick:
    """Call `call(at=now)` about every `seconds` seconds, in one of the task workers."""

    call: Callable[..., object]
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.call.__module__}.{self.call.__name__}"


Pump = Callable[..., int]


def ticks() -> Sequence[Tick]:
    """The table of wiring.py, read late so that wiring may import this module."""
    return tuple(getattr(import_module("oms_project.wiring"), "TICKS", ()))


def pumps() -> Sequence[Pump]:
    """The pumps of wiring.py: callables (*, at) -> int that do a little due work and say how much."""
    return tuple(getattr(import_module("oms_project.wiring"), "PUMPS", ()))
