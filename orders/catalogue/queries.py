"""What a merchant code sold on a channel consists of."""

import time
from collections.abc import Collection

from orders.catalogue import statements
from orders.catalogue.rules import Part

_KEPT_SECONDS = 5.0
_kept: dict[str, tuple[float, tuple[Part, ...]]] = {}


def parts_for(codes: Collection[str]) -> dict[str, tuple[Part, ...]]:
    """Merchant code → its parts, for the codes that are known. At most one statement.

    Known codes are kept in the process for five seconds; unknown ones are asked for every time,
    so that a product that was just entered is found at once.
    """
    now = time.monotonic()
    fresh = {code: _kept[code][1] for code in codes if code in _kept and now - _kept[code][0] < _KEPT_SECONDS}
    asked = set(codes) - fresh.keys()
    if not asked:
        return fresh
    found = _parts(asked)
    _kept.update({code: (now, parts) for code, parts in found.items()})
    return fresh | found


def forget() -> None:
    """Drop what this process kept."""
    _kept.clear()


def _parts(codes: Collection[str]) -> dict[str, tuple[Part, ...]]:
    found: dict[str, list[Part]] = {}
    for code, sku_id, quantity, weight in statements.read_parts(codes) if codes else ():
        found.setdefault(code, []).append(Part(sku_id, quantity, weight))
    return {code: tuple(parts) for code, parts in found.items()}
