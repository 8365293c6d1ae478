"""What was understood of an address, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from dealers.divisions.gazetteer import Gazetteer

SURE = 0.8  # below, an order waits for a person


@dataclass(frozen=True, slots=True)
class Reading:
    """`code` is the deepest division that is certain: a county's where `district` is not empty."""

    province: str = ""
    city: str = ""
    district: str = ""
    street: str = ""
    code: str = ""
    street_code: str = ""
    detail: str = ""
    confidence: float = 0.0  # 0..1
    doubt: str = ""  # why nobody can be sure, in Chinese
    former: str = ""  # the former name by which the district was called

    @property
    def is_sure(self) -> bool:
        """Whether an order may go its way by this."""
        return self.confidence >= SURE and self.district != ""

    @property
    def region(self) -> str:
        """江苏省苏州市吴中区."""
        return f"{self.province}{self.city}{self.district}"

    def explained(self, said: str) -> str:
        """For the person who has to decide: what was written, what was understood, what is doubtful."""
        understood = f"，读作{self.region}{self.street}" if self.region else ""
        return f"“{said or '空'}”无法确认地区{understood}：{self.doubt or '可信度不足'}"


def shared(gazetteer: Gazetteer, codes: Sequence[str]) -> str:
    """The deepest division that contains all of these counties, '' where there is none."""
    units = [gazetteer.units[code] for code in codes]
    for above in ({unit.code for unit in units}, {unit.city for unit in units}, {unit.province for unit in units}):
        if len(above) == 1 and "" not in above:
            return above.pop()
    return ""
