"""Reads free text: every name of a division in its first part is found, and each county that could be
meant is weighed by how fully it is written and by the city and province written with it.

The best must agree with all that stands before it. Among several of one name, and where a county
was split, the township that follows decides. Typing errors are not corrected: what cannot be read
lowers the confidence, and below reading.SURE a person has to look.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dealers.divisions.gazetteer import CITY, FORMER, FORMER_SHORT, FULL, SHORT, Gazetteer, Name, Unit
from dealers.divisions.reading import Reading, shared
from dealers.divisions.writing import SEPARATORS, begins_zone, is_zone, names_something_else, readable

LONGEST = 400  # characters; nobody's address is longer
_WINDOW = 60  # characters in which the region has to begin
_LONGEST_TOWN = 12
_ZONE_REACH = 16
_PEER = 4  # how many points behind the best a namesake may be to win by its township
_COUNTY_POINTS = {FULL: 10, SHORT: 6, FORMER: 7, FORMER_SHORT: 4}
_CITY_POINTS = {True: 8, False: 6}  # by whether it is written in full
_PROVINCE_POINTS = {True: 5, False: 4}
_STRANGER_POINTS = {True: 8, False: 3}
_GAP_POINTS = 2  # for words between a county and what it lies in
_CERTAINTY = {FULL: 1.0, SHORT: 0.95, FORMER: 0.95, FORMER_SHORT: 0.85}
_STREETS = frozenset("街镇乡路道")
_MUNICIPALITIES = frozenset(["110000", "120000", "310000", "500000"])
_OFFICE = re.compile("(?:街道)?办事处|街道办")
_UNKNOWN = re.compile("[\u3400-\u9fff]{1,6}?[区县市旗]")


class Hit(NamedTuple):
    """A name found in the text."""

    start: int
    end: int
    name: Name


class Claim(NamedTuple):
    """A county that could be meant; the better one has more points or stands earlier."""

    points: int
    earliness: int
    kind: int
    unit: Unit
    hit: Hit
    city: Hit | None
    province: Hit | None

    @property
    def chain(self) -> list[Hit]:
        """The names that speak for it, as they stand in the text."""
        return sorted(hit for hit in (self.province, self.city, self.hit) if hit)


class Town(NamedTuple):
    """A street, town or township that stands in the text."""

    code: str
    county: str
    end: int
    is_full: bool


class Verdict(NamedTuple):
    """How sure a claim is, and what speaks against it."""

    confidence: float
    doubt: str = ""


def parse(gazetteer: Gazetteer, text: str) -> Reading:
    """Read one line. Never raises, whatever the text."""
    if len(text) > LONGEST:
        return Reading(doubt="文字过长，不像地址")
    line = readable(text)
    return _Line(gazetteer, line, _hits(gazetteer, line)).read()


def _hits(gazetteer: Gazetteer, line: str) -> list[Hit]:
    """Names in the text, the longest at each place; one inside of another only directly behind a third (信阳新县)."""
    heads, names = gazetteer.heads, gazetteer.names
    found: list[Hit] = []
    ends: set[int] = set()
    at = covered = written = 0
    size = len(line)
    last = min(size - 1, _WINDOW)
    while at < last:
        for length in heads.get(line[at : at + 2], ()):
            end = at + length
            if end > size or (end <= covered and at not in ends) or (name := names.get(line[at:end])) is None:
                continue
            if (name.is_short and at < written) or _is_namesake(gazetteer, line, end, name, length):
                continue
            found.append(Hit(at, end, name))
            ends.add(end)
            covered = max(covered, end)
            if not name.is_short:
                written = end
            if length > 2 and name.is_full and name.above:
                at = end - 2  # its last character may belong to the next as well: 济南市中区
            break
        at += 1
    return found


def _is_namesake(gazetteer: Gazetteer, line: str, end: int, name: Name, length: int) -> bool:
    """Whether a road, a building or a street is called so; 锦州北镇 goes on with a county of 锦州 and is not."""
    if not name.is_short:
        return line.startswith("街道", end) or (length == 2 and line[end - 1] == "区" and line[end : end + 1] in _STREETS)
    if not names_something_else(line, end):
        return False
    for more in gazetteer.heads.get(line[end : end + 2], ()):
        following = gazetteer.names.get(line[end : end + more])
        if following and not (following.is_short and names_something_else(line, end + more)):
            for _, unit in following.counties:
                if unit.city in name.codes or unit.province in name.codes:
                    return False
    return True


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of text with the names that were found in it."""

    gazetteer: Gazetteer
    text: str
    hits: list[Hit]

    def read(self) -> Reading:
        claims = sorted(self._claims(), key=lambda claim: claim[:2], reverse=True)
        return self._judge(claims) if claims and claims[0].points > 0 else self._without_county()

    def _claims(self) -> Iterator[Claim]:
        """Every county that a name may mean, weighed."""
        above = [hit for hit in self.hits if hit.name.above]
        for hit in self.hits:
            is_zone_there = bool(hit.name.counties) and begins_zone(self.text, hit.end)
            for kind, unit in hit.name.counties:
                if is_zone_there and kind in (SHORT, FORMER_SHORT):
                    continue
                city = _nearest(above, unit.city, hit) if unit.city else None
                province = _nearest(above, unit.province, city if city and city.start < hit.start else hit)
                if city is None and _is_above(hit.name, kind, unit, is_elsewhere=province is not None):
                    continue
                points = _COUNTY_POINTS[kind]
                points += _CITY_POINTS[city.name.is_full] if city else 0
                points += _PROVINCE_POINTS[province.name.is_full] if province else 0
                for other in self.hits:
                    if other.end <= hit.start and other.name.codes.isdisjoint(unit.kin) and not _overlap(other, city, province):
                        points -= _STRANGER_POINTS[other.name.is_full]
                before = [one.end for one in (city, province) if one and one.end <= hit.start]
                if before and not self._is_idle(max(before), hit.start):
                    points -= _GAP_POINTS
                yield Claim(points, -hit.start, kind, unit, hit, city, province)

    def _judge(self, claims: Sequence[Claim]) -> Reading:
        """What the best claim comes to, once its rivals and what stands around it were heard."""
        best = claims[0]
        behind = self._behind(best)
        rivals = [claim for claim in claims if claim.points >= best.points - 1 and claim.unit.now != best.unit.now]
        chosen, town = best, self._town(behind, best.unit.now) if not rivals else None
        if town is None:
            peers = [claim for claim in reversed(claims) if claim.hit is best.hit and claim.points >= best.points - _PEER]
            by_county = {code: claim for claim in peers for code in claim.unit.now}
            if town := self._town(behind, by_county):
                chosen = by_county[town.county]
                rivals = [claim for claim in rivals if claim.hit is not best.hit and claim.unit.now != (town.county,)]
        candidates = [town.county] if town else list(chosen.unit.now)
        verdict = self._verdict(chosen, town, behind)
        if rivals:
            candidates = list(dict.fromkeys(code for claim in (chosen, *rivals) for code in claim.unit.now))
            verdict = Verdict(0.3, f"可能是{self._listed(candidates)}")
        elif len(candidates) > 1:
            verdict = Verdict(0.5, f"{chosen.unit.name}已停用，现分属{self._listed(candidates)}，街道不明")
        code = shared(self.gazetteer, candidates)
        former = ""
        if chosen.kind in (FORMER, FORMER_SHORT) and code:
            former = self.text[chosen.hit.start : chosen.hit.end]
        return self._reading(code, town, chosen.chain[0].start, town.end if town else behind, verdict, former)

    def _listed(self, codes: Sequence[str]) -> str:
        return "、".join(self.gazetteer.region(code) for code in codes[:4]) + ("等" if len(codes) > 4 else "")

    def _verdict(self, claim: Claim, town: Town | None, behind: int) -> Verdict:
        """Of several doubts the gravest."""
        chain = claim.chain
        if stranger := self._stranger(claim, behind if town is None else len(self.text)):
            return Verdict(0.4, f"“{self._written(stranger)}”与“{self._written(claim.hit)}”不在一处")
        for one, following in zip(chain, chain[1:], strict=False):
            between = self._unread(one.end, following.start, claim.unit)
            if between and chain[-1] is claim.hit and not is_zone(between):
                return Verdict(0.6, f"“{between[:20]}”无法识别")
        if len(chain) == 1:
            return self._alone(claim, town)
        is_once_more = claim.city is not None and claim.city.name.is_full and claim.unit.city in claim.hit.name.codes
        if is_once_more and claim.hit.name.is_short and town is None:
            return Verdict(0.6, f"“{self._written(claim.hit)}”是市还是县不明")  # 湘潭市湘潭…
        if chain[-1] is not claim.hit or (claim.kind == SHORT and claim.unit.city and not claim.city):
            return Verdict(0.85)
        return Verdict(_CERTAINTY[claim.kind])

    def _stranger(self, claim: Claim, behind: int) -> Hit | None:
        """A name that contradicts a claim: before it, or written in full directly behind it."""
        start = claim.chain[0].start
        for hit in self.hits:
            if not hit.name.codes.isdisjoint(claim.unit.kin) or _overlap(hit, *claim[4:]):
                continue
            if hit.end <= claim.hit.start:
                if hit.name.is_full or self._is_idle(0, hit.start) or self._is_idle(hit.end, start):
                    return hit
                continue
            is_county_there = any(sense.unit.city == claim.unit.city for sense in hit.name.counties)
            if (hit.name.is_full or is_county_there) and hit.start >= behind and self._is_idle(behind, hit.start):
                return hit
        return None

    def _alone(self, claim: Claim, town: Town | None) -> Verdict:
        """The certainty of a county that is written without its city and province."""
        is_confirmed = town is not None and town.is_full
        if not self._is_idle(0, claim.hit.start) and not is_confirmed:
            return Verdict(0.6, f"“{self.text[: claim.hit.start][-20:]}”无法识别")
        if claim.kind in (FULL, FORMER) or is_confirmed:
            return Verdict(0.95)
        if not claim.unit.city and claim.unit.province not in _MUNICIPALITIES:
            return Verdict(0.9)  # 东莞, 仙桃: nothing else is called so
        return Verdict(0.6, f"只写了“{self._written(claim.hit)}”")

    def _without_county(self) -> Reading:
        """No county is named: perhaps a township tells it, else the best that is certain."""
        best = max(self._areas(), default=None, key=lambda area: (area[0], -area[1].start))
        if best is None:
            return Reading(doubt="没有可识别的地区")
        _, hit, unit, start = best
        area = self.gazetteer.units[unit.now[0]] if len(unit.now) == 1 else unit
        rest = self.text[hit.end :].lstrip(SEPARATORS)
        if area.level == CITY or area.code in _MUNICIPALITIES:
            town = self._town(hit.end, _CountiesOf(self.gazetteer, area.code), reach=_ZONE_REACH)
            if town and town.is_full:
                name = self.gazetteer.town_names[town.code]
                between = self.text[hit.end : town.end - len(name)].strip(SEPARATORS)
                verdict = Verdict(0.9 if not between else 0.85 if is_zone(between) else 0.6)
                if verdict.confidence < 0.8:
                    verdict = Verdict(0.6, f"“{between[:20]}”无法识别")
                return self._reading(town.county, town, start, town.end, verdict, "")
        unknown = _UNKNOWN.match(rest)
        doubt = f"{area.name}没有“{unknown[0]}”" if unknown else f"{area.name}之下缺少区县"
        return self._reading(area.code, None, start, hit.end, Verdict(0.3 if area.level == CITY else 0.2, doubt), "")

    def _areas(self) -> Iterator[tuple[int, Hit, Unit, int]]:
        """Cities and provinces that are named: points, the name, the unit, where its chain begins."""
        above = [hit for hit in self.hits if hit.name.above]
        for hit in above:
            for _, unit in hit.name.above:
                if unit.level != CITY:
                    yield _PROVINCE_POINTS[hit.name.is_full], hit, unit, hit.start
                    continue
                province = next((one for one in above if one.end <= hit.start and unit.province in one.name.codes), None)
                points = _CITY_POINTS[hit.name.is_full] + (_PROVINCE_POINTS[True] if province else 0)
                yield points, hit, unit, province.start if province else hit.start

    def _behind(self, claim: Claim) -> int:
        """Where the text goes on after the region and its repetitions."""
        end = max(hit.end for hit in claim.chain)
        for hit in self.hits:
            is_repeated = not hit.name.codes.isdisjoint(claim.unit.kin)
            if hit.start >= end and is_repeated and hit.name.is_full and self._is_idle(end, hit.start):
                end = hit.end
        return end

    def _town(self, at: int, counties: Container[str], reach: int = 0) -> Town | None:
        """The township that begins here in one of the counties; None also when several of them have it.

        With a reach it may begin later, but must then be written in full.
        """
        gazetteer, text = self.gazetteer, self.text
        while at < len(text) and text[at] in SEPARATORS:
            at += 1
        for begin in range(at, min(at + reach, len(text) - 2) + 1):
            for is_full in (True, False) if begin == at else (True,):
                towns = gazetteer.towns if is_full else gazetteer.short_towns
                for end in range(min(begin + _LONGEST_TOWN, len(text)), begin + 1, -1):
                    codes = towns.get(text[begin:end])
                    if codes is None or (not is_full and names_something_else(text, end)):
                        continue
                    found = [code for code in codes if gazetteer.county_of(code) in counties]
                    if len({gazetteer.county_of(code) for code in found}) == 1:
                        return Town(found[0], gazetteer.county_of(found[0]), end, is_full)
        return None

    def _reading(self, code: str, town: Town | None, start: int, end: int, verdict: Verdict, former: str) -> Reading:
        province, city, district = self.gazetteer.path(code) if code else ("", "", "")
        if town and (office := _OFFICE.match(self.text, end)):
            end = office.end()
        detail = f"{self._unread(0, start)} {self.text[end:].lstrip(SEPARATORS)}".strip()
        street = self.gazetteer.town_names[town.code] if town else ""
        street_code = town.code if town else ""
        return Reading(province, city, district, street, code, street_code, detail, verdict.confidence, verdict.doubt, former)

    def _unread(self, start: int, end: int, unit: Unit | None = None) -> str:
        """What stands between two places and is no name of a division, or none that belongs to this unit."""
        kept, at = [], start
        for hit in self.hits:
            if at <= hit.start and hit.end <= end and (unit is None or not hit.name.codes.isdisjoint(unit.kin)):
                kept.append(self.text[at : hit.start])
                at = hit.end
        return "".join([*kept, self.text[at:end]]).strip(SEPARATORS)

    def _written(self, hit: Hit) -> str:
        return self.text[hit.start : hit.end]

    def _is_idle(self, start: int, end: int) -> bool:
        """Whether nothing but separators stands between two places of the text."""
        return start >= end or not self.text[start:end].strip(SEPARATORS)


def _nearest(above: Sequence[Hit], code: str, hit: Hit) -> Hit | None:
    """The mention of a division that stands last before a name, or else first behind it."""
    best = behind = None
    for one in above:
        if code in one.name.codes:
            if one.end <= hit.start or (one.end == hit.start + 1 and not hit.name.is_short):
                best = one
            elif one.start >= hit.end and behind is None:
                behind = one
    return best or behind


def _is_above(name: Name, kind: int, unit: Unit, *, is_elsewhere: bool) -> bool:
    """Whether a name rather means a city or province: 邯郸 is the city, not the former county of that name.

    北京朝阳 is not the city 朝阳 of another province.
    """
    return any(
        sense.kind <= kind and (not is_elsewhere or unit.province in (sense.unit.code, sense.unit.province))
        for sense in name.above
    )


def _overlap(hit: Hit, *others: Hit | None) -> bool:
    return any(other and hit.start < other.end and other.start < hit.end for other in others)


@dataclass(frozen=True, slots=True)
class _CountiesOf:
    """The current counties of a city, or of a province that has no cities."""

    gazetteer: Gazetteer
    area: str

    def __contains__(self, county: object) -> bool:
        unit = self.gazetteer.units[str(county)]
        return self.area in (unit.city, unit.province)
