"""Where the places of a decision lie around the address, as plain coordinates for a drawing. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIZE, MARGIN = 400, 28  # of the square that is drawn into, in its own units
_KM_PER_DEGREE = 111.32
_RINGS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to draw: look is "chosen", "able" or "fenced"."""

    name: str
    lng: float
    lat: float
    look: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A place as it is drawn."""

    name: str
    x: int
    y: int
    look: str

    @property
    def anchor(self) -> str:
        """On which side of the dot its name begins: away from the middle."""
        return "end" if self.x < SIZE // 2 else "start"


@dataclass(frozen=True, slots=True)
class Ring:
    """A circle of equal distance around the address."""

    km: int
    radius: int

    @property
    def label_y(self) -> int:
        return SIZE // 2 - self.radius - 3


@dataclass(frozen=True, slots=True)
class Sketch:
    """A map without a map: the address in the middle, north above; the rings tell how far away what is."""

    size: int
    middle: int
    rings: tuple[Ring, ...]
    dots: tuple[Dot, ...]


def sketch_of(here: tuple[float, float], spots: Sequence[Spot]) -> Sketch:
    """Everything within one square; the root of the distance is drawn, so that near places stay apart. `here` is (lng, lat)."""
    narrower = math.cos(math.radians(here[1]))
    moved = [(spot, (spot.lng - here[0]) * _KM_PER_DEGREE * narrower, (spot.lat - here[1]) * _KM_PER_DEGREE) for spot in spots]
    farthest = max((math.hypot(east, north) for _, east, north in moved), default=0.0) or 1.0
    middle, reach = SIZE // 2, SIZE // 2 - MARGIN
    dots = []
    for spot, east, north in moved:
        km = math.hypot(east, north)
        scale = reach * math.sqrt(km / farthest) / km if km else 0.0
        dots.append(Dot(spot.name, round(middle + east * scale), round(middle - north * scale), spot.look))
    order = {"fenced": 0, "able": 1, "chosen": 2}  # what counts is drawn above
    return Sketch(SIZE, middle, _rings(farthest, reach), tuple(sorted(dots, key=lambda dot: order[dot.look])))


def _rings(farthest: float, reach: int) -> tuple[Ring, ...]:
    """One to three round distances that fit."""
    power = 10 ** math.floor(math.log10(farthest))
    steps = sorted({int(step * unit) for unit in (power / 10, power) for step in _RINGS if 1 <= step * unit <= farthest})
    return tuple(Ring(km, int(reach * math.sqrt(km / farthest))) for km in steps[-3:])
