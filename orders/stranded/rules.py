"""What a person's plan lacks, in words. Plain values, no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inventory.reservations.rules import Place
from orders.lifecycle.rules import LineToRoute
from orders.offers.rules import Planned


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """A place that a person chose. dealer_id None is HQ's own, which buys installation where it needs it."""

    node_id: int
    name: str
    dealer_id: int | None
    skills: frozenset[str] = frozenset()


def unable(place: PlaceFacts, lines: Iterable[LineToRoute]) -> list[str]:
    """The installations that the place's dealer cannot do."""
    if place.dealer_id is None:
        return []
    lacking = {line.install_skill for line in lines if line.install_skill and line.install_skill not in place.skills}
    return [f"{place.name} 没有安装技能 {skill}" for skill in sorted(lacking)]


def short(works: Iterable[Planned], free: Mapping[Place, int], names: Mapping[int, str]) -> list[str]:
    """Which goods are not free where, and how many there are. `names` are those of places."""
    told = []
    for work in works:
        goods = {line.sku_id: line.name for line in work.lines}
        for want in work.wants:
            if want.quantity > (has := max(0, free.get(want.place, 0))):
                told.append(f"{names[work.node_id]} 的「{goods[want.sku_id]}」可售 {has}，需要 {want.quantity}")
    return told


def as_list(problems: Sequence[str]) -> str:
    """Everything that is lacking, in one sentence."""
    return "；".join(problems)
