"""What intake knows without asking: how an address becomes a district, when a message is tried again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

LEASE = timedelta(seconds=120)
MOST_TRIES = 8
BACK_OFF = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300, 900, 1800, 3600))

_PROVINCE_TAILS = ("壮族自治区", "回族自治区", "维吾尔自治区", "特别行政区", "自治区", "省", "市")
# What stands at the place of a city where there is none; nobody says it.
_FILLERS = frozenset({"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"})
_PLACE_TAILS = ("市辖区", "自治县", "自治旗", "新区", "林区", "地区", "区", "县", "市", "旗", "盟")


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


@dataclass(frozen=True, slots=True)
class Place:
    """One administrative unit as a channel writes it: a code that may be empty or foreign, and a name."""

    code: str
    name: str


def back_off(tries: int) -> timedelta:
    """How long to wait after so many failed tries."""
    return BACK_OFF[min(max(tries, 1), len(BACK_OFF)) - 1]


def bare(name: str, tails: Sequence[str] = _PLACE_TAILS) -> str:
    """A place's name without its kind: 吴中区 is 吴中. Two characters are never shortened to one."""
    for tail in tails:
        if name.endswith(tail) and len(name) - len(tail) >= 2:
            return name.removesuffix(tail)
    return name


@dataclass(frozen=True, slots=True)
class Divisions:
    """The administrative divisions by code and by name; made once and shared."""

    names: Mapping[str, str]  # six-digit code → name
    levels: Mapping[str, int]  # 1 province, 2 city, 3 county
    _provinces: dict[str, str] = field(default_factory=dict)
    _cities: dict[tuple[str, str], str] = field(default_factory=dict)
    _counties: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, int]]) -> "Divisions":
        """From (code, name, level) rows."""
        kept = sorted(rows)
        made = cls({code: name for code, name, _ in kept}, {code: level for code, _, level in kept})
        for code, name, level in kept:
            if level == 1:
                made._provinces[bare(name, _PROVINCE_TAILS)] = code[:2]
            elif level == 2:
                made._cities[(code[:2], bare(name))] = code[:4]
            else:
                made._counties.setdefault((code[:2], bare(name)), []).append(code)
        return made

    def locate(self, province: Place, city: Place, county: Place) -> str:
        """The county-level code, or '' when nobody can be sure.

        A city without counties (东莞市) is of county level itself, whatever street stands in the
        county's place; longer codes begin with their county's. A known code counts first, unless
        the names clearly tell of another county: then the address contradicts itself and a person
        must look. Else the names decide: the county must be the only one of its name in the
        province, or in the city where that is known.
        """
        by_code = next((code for code in (county.code[:6], city.code[:6]) if self.levels.get(code) == 3), "")
        by_name = self._by_names(province, city, county)
        if by_code and by_name and not self._is_same_county(by_code, by_name):
            return ""
        return by_code or by_name

    def _is_same_county(self, one: str, other: str) -> bool:
        """Also under its former and its current code: 三元区 of 三明市 is 350403 and 350404."""
        return one == other or (one[:4] == other[:4] and self.names[one] == self.names[other])

    def _by_names(self, province: Place, city: Place, county: Place) -> str:
        area = self._provinces.get(bare(province.name, _PROVINCE_TAILS), "")
        if not area and self.levels.get(province.code) == 1:
            area = province.code[:2]
        alone = [code for code in self._counties.get((area, bare(city.name)), []) if self.names[code] == city.name]
        if len(alone) == 1 and alone[0].endswith("00"):
            return alone[0]
        town = self._cities.get((area, bare(city.name)), "") if city.name not in _FILLERS else ""
        found = self._counties.get((area, bare(county.name)), [])
        exact = [code for code in found if self.names[code] == county.name] or found
        if town:
            exact = [code for code in exact if code.startswith(town)]
        if len(exact) == 1 or (town and exact and {self.names[code] for code in exact} == {county.name}):
            return exact[-1]  # one name twice in a city: a former code and the current one
        return alone[0] if len(alone) == 1 and not found else ""


def region_text(*places: Place) -> str:
    """江苏省苏州市吴中区, without fillers such as 市辖区 and without saying a name twice."""
    names: list[str] = []
    for place in places:
        if place.name and place.name not in {*_FILLERS, *names}:
            names.append(place.name)
    return "".join(names)
