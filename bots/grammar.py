"""What a line of chat means; pure. It refuses rather than guesses.

Only a line that one pattern explains to its last character can become a command. Leftover text,
a negation or a question never executes anything. Numbers are short numbers (whose is decided by
the caller) or full numbers of work or offers, which contain a dash.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import Enum


class Verb(Enum):
    """What a person may ask for; the value is the word people see."""

    ACCEPT = "接单"
    DECLINE = "拒单"
    SHIP = "发货"
    DELIVER = "送达"
    SCHEDULE = "预约"
    INSTALL = "安装"
    COMPLETE = "完工"
    CONFIRM_CANCEL = "确认取消"
    MINE = "我的订单"
    STATUS = "查单"
    HELP = "帮助"


READ_ONLY = frozenset({Verb.MINE, Verb.STATUS, Verb.HELP})
EXAMPLES: dict[Verb, str] = {
    Verb.ACCEPT: "接单 1012",
    Verb.DECLINE: "拒单 1012 缺货",
    Verb.SHIP: "发货 1012 SF1234567890123",
    Verb.DELIVER: "送达 1012",
    Verb.SCHEDULE: "预约 1012 明天 14:00-16:00",
    Verb.INSTALL: "安装 1012",
    Verb.COMPLETE: "完工 1012 核销码 832100",
    Verb.CONFIRM_CANCEL: "确认取消 1012",
    Verb.MINE: "我的订单",
    Verb.STATUS: "查单 1012",
}
HELP_TEXT = "可以这样说：\n" + "\n".join(EXAMPLES.values())

REASONS: dict[str, str] = {
    "缺货": "no_stock",
    "断货": "no_stock",
    "破损": "damaged",
    "坏了": "damaged",
    "人手不足": "busy",
    "太忙": "busy",
    "太远": "too_far",
    "距离远": "too_far",
    "其他": "other",
    "其它": "other",
}
REASON_HINT = "缺货 / 破损 / 人手不足 / 太远 / 其他"
CARRIERS: dict[str, str] = {
    "顺丰": "sf",
    "京东": "jd",
    "德邦": "deppon",
    "中通": "zto",
    "圆通": "yto",
    "申通": "sto",
    "韵达": "yunda",
    "极兔": "jtexpress",
    "安能": "anneng",
    "邮政": "ems",
    "EMS": "ems",
}
_CARRIER_BY_PREFIX = {
    "SF": "sf",
    "JDV": "jd",
    "JD": "jd",
    "DPK": "deppon",
    "DP": "deppon",
    "ZT": "zto",
    "YT": "yto",
    "STO": "sto",
    "YD": "yunda",
    "JT": "jtexpress",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """When the installer comes, in local time."""

    on: date
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Intent:
    """One complete command. `number` is empty only for 我的订单 and 帮助."""

    verb: Verb
    number: str = ""
    reason: str = ""
    carrier: str = ""
    tracking_no: str = ""
    code: str = ""
    visit: Visit | None = None

    @property
    def executes(self) -> bool:
        return self.verb not in READ_ONLY


@dataclass(frozen=True, slots=True)
class Unclear:
    """It looks like a command but is not a complete one; `ask` is shown, nothing is done.

    `verb` is set when only the number is missing, so that the caller can offer the open ones.
    """

    ask: str
    verb: Verb | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Talk, not a command. `to_others` means that it is addressed to another person."""

    to_others: bool = False


Meaning = Intent | Unclear | Unknown

_ZERO_WIDTH = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF, 0x00AD])
_FULL = r"[A-Za-z]{0,6}\d{3,}(?:-\d{1,3}){1,3}"
_ONE = rf"(?:{_FULL}|\d{{1,5}}|[一二三四五六七八九十]{{1,3}})"
_NUMBER = rf"(?:#|第|订单号?|单号|履约单)?\s*(?P<number>{_ONE})(?![\dA-Za-z-])\s*(?:号单|号|单)?"
_TAIL = r"(?:了|啦|吧|好了|一下)?"
_ACCEPT = r"(?:我来接单|我来接|我接单|我接|接单|抢单|接)"
_DECLINE = r"(?:拒绝接单|拒绝|拒单|拒)"
_DELIVER = r"(?:已送达|送达|已送到|送到)"
_INSTALL = r"(?:已安装|安装完成|安装好|安装|装好|已装好)"
_COMPLETE = r"(?:已完工|完工|核销|完成)"
_REASON = "(?P<reason>" + "|".join(sorted(REASONS, key=len, reverse=True)) + ")"
_CODE = r"(?:(?:的)?核销码)?\s*[:]?\s*(?P<code>\d{4,8})"
_CARRIER = "(?:(?P<carrier>" + "|".join(CARRIERS) + r")(?:快递|速运|物流|快运)?)"
_TRACKING = r"(?:(?:运单号?|快递单号|单号)\s*[:]?\s*)?(?P<tracking>(?=[A-Za-z0-9]*\d{6})[A-Za-z]{0,6}\d[A-Za-z0-9]{7,24})"
_SELF = r"(?P<selfship>自送|自己送|自提)"
_DAY = (
    r"(?P<day>今天|明天|后天|(?:周|星期)[一二三四五六日天]|"
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}|\d{1,2}月\d{1,2}[日号])"
)
_CLOCK = r"\d{1,2}(?::\d{2}|点半|点)"
_HOURS = rf"(?:(?P<part>上午|下午|晚上)|(?P<from>{_CLOCK})\s*(?:-|~|到|至)\s*(?P<to>{_CLOCK}))"

_PATTERNS: tuple[tuple[Verb, re.Pattern[str]], ...] = tuple(
    (verb, re.compile(pattern, re.IGNORECASE))
    for verb, pattern in (
        (Verb.ACCEPT, rf"{_ACCEPT}{_TAIL}\s*[:]?\s*{_NUMBER}{_TAIL}"),
        (Verb.ACCEPT, rf"{_NUMBER}\s*,?\s*{_ACCEPT}{_TAIL}"),
        (Verb.DECLINE, rf"{_DECLINE}{_TAIL}\s*[:]?\s*{_NUMBER}\s*,?\s*(?:因为|原因)?[:]?\s*{_REASON}"),
        (Verb.DECLINE, rf"{_NUMBER}\s*,?\s*{_DECLINE}{_TAIL}\s*,?\s*(?:因为|原因)?[:]?\s*{_REASON}"),
        (Verb.SHIP, rf"(?:已发货|发货|已发出){_TAIL}\s*[:]?\s*{_NUMBER}\s*,?\s*(?:{_SELF}|{_CARRIER}?\s*{_TRACKING})"),
        (Verb.SHIP, rf"{_NUMBER}\s*,?\s*(?:已发货|发货|已发出){_TAIL}\s*,?\s*(?:{_SELF}|{_CARRIER}?\s*{_TRACKING})"),
        (Verb.DELIVER, rf"{_DELIVER}{_TAIL}\s*[:]?\s*{_NUMBER}"),
        (Verb.DELIVER, rf"{_NUMBER}\s*,?\s*{_DELIVER}{_TAIL}"),
        (Verb.SCHEDULE, rf"(?:改约|预约){_TAIL}\s*[:]?\s*{_NUMBER}\s*,?\s*{_DAY}\s*{_HOURS}(?:上门)?"),
        (Verb.SCHEDULE, rf"{_NUMBER}\s*,?\s*(?:改约|预约){_TAIL}\s*[:]?\s*{_DAY}\s*{_HOURS}(?:上门)?"),
        (Verb.INSTALL, rf"{_INSTALL}{_TAIL}\s*[:]?\s*{_NUMBER}"),
        (Verb.INSTALL, rf"{_NUMBER}\s*,?\s*{_INSTALL}{_TAIL}"),
        (Verb.COMPLETE, rf"{_COMPLETE}{_TAIL}\s*[:]?\s*{_NUMBER}\s*,?\s*{_CODE}"),
        (Verb.COMPLETE, rf"{_NUMBER}\s*,?\s*{_COMPLETE}{_TAIL}\s*,?\s*{_CODE}"),
        (Verb.CONFIRM_CANCEL, rf"(?:确认取消|同意取消){_TAIL}\s*[:]?\s*{_NUMBER}"),
        (Verb.STATUS, rf"(?:查单|查询|查|订单){_TAIL}\s*[:]?\s*{_NUMBER}"),
        (Verb.MINE, r"我的订单|我的单|待办|查单|查询|有什么单"),
        (Verb.HELP, r"帮助|help|\?|怎么用|指令|命令"),
    )
)
_NEGATION = re.compile(r"不|别|没|未|无法|莫|勿|甭|拒接|放弃|撤销|非")
_QUESTION = re.compile(r"\?|吗|么$|呢|是否|能否|可否|怎|什么|谁|多少|几|为何|哪|要不要|是不是")
_ADDRESSED = re.compile(r"@\S")
_STARTS: tuple[tuple[re.Pattern[str], Verb], ...] = tuple(
    (re.compile(rf"(?:{words})(?:$|[\s:#\d第]|订单|了|啦|吧)"), verb)
    for words, verb in (
        ("拒绝接单|拒单|拒绝", Verb.DECLINE),
        ("我来接|我接单|我接|接单|抢单|接", Verb.ACCEPT),
        ("已发货|发货|已发出", Verb.SHIP),
        ("已送达|送达|已送到|送到", Verb.DELIVER),
        ("改约|预约", Verb.SCHEDULE),
        ("已安装|安装|装好", Verb.INSTALL),
        ("已完工|完工|核销码?|完成", Verb.COMPLETE),
        ("确认取消|同意取消", Verb.CONFIRM_CANCEL),
        ("查单|查询", Verb.STATUS),
    )
)
_SEVERAL = re.compile(rf"{_ACCEPT}{_TAIL}\s*[:]?\s*#?{_ONE}(?:\s*[、,和 ]\s*#?{_ONE})+")
_BARE_TRACKING = re.compile(r"(?:(?:发货|单号|运单号?)\s*[:]?\s*)?[A-Za-z]{0,4}\d{10,20}")
_LEADING_NUMBER = re.compile(rf"#?(?P<number>{_ONE})(?![\dA-Za-z-])\s*(?:号单|号|单)?\s*,?\s*(?P<rest>.+)")


def normalise(text: str, own_names: Sequence[str] = ()) -> str:
    """One plain line: full-width and invisible characters gone, our own @mention gone (exact name only)."""
    text = unicodedata.normalize("NFKC", text).translate(_ZERO_WIDTH)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    text = "\n".join(line for line in lines if line)
    for name in own_names:
        text = re.sub(rf"@{re.escape(unicodedata.normalize('NFKC', name))}(?=$|\s|[:,])[\s:,]*", "", text)
    return text.strip().removeprefix("/").strip().rstrip("。!.~ ").strip()


def parse(text: str, *, today: date, own_names: Sequence[str] = ()) -> Meaning:
    """The meaning of one chat message. Never raises."""
    line = normalise(text, own_names)
    if not line or len(line) > 200:
        return Unknown()
    if _ADDRESSED.search(line):
        return Unknown(to_others=True)
    if "\n" in line:
        return Unclear("一次只办一条，请分开发送") if any(_looks_like(part) for part in line.split("\n")) else Unknown()
    if line == "?":
        return Intent(Verb.HELP)
    plain = line.replace("人手不足", "")
    if _QUESTION.search(plain) and line not in {"怎么用", "有什么单"}:
        return _question(line)
    if _NEGATION.search(plain):
        return _negated(line)
    if "退单" in line:
        return Unclear(f"退单是客户退货还是不接这单？不接请发：{EXAMPLES[Verb.DECLINE]}")
    for verb, pattern in _PATTERNS:
        if found := pattern.fullmatch(line):
            return _intent(verb, found.groupdict(), today)
    return _incomplete(line)


def _question(line: str) -> Meaning:
    """A question is at most a look-up: '12 接单了吗' asks for the state of 12."""
    bare = re.sub(r"(?:了|啦)?(?:吗|么|呢)?\s*\?*$", "", line)
    for verb, pattern in _PATTERNS:
        if (verb is not Verb.SCHEDULE) and (found := pattern.fullmatch(bare)) and found.groupdict().get("number"):
            return Intent(Verb.STATUS, number=_digits(found["number"]))
    return Unknown()


def _negated(line: str) -> Meaning:
    """不接 12 / 12 接不了: never a command, but the way to refuse is shown."""
    if re.search(r"接|拒", line) and (found := re.search(_ONE, line)):
        return Unclear(f"没有执行。要拒单请写明原因：拒单 {_digits(found[0])} {REASON_HINT}")
    return Unclear("没有执行：话里有否定。请直接发要办的事，例如：接单 1012") if _looks_like(line) else Unknown()


def _looks_like(line: str) -> Verb | None:
    if found := next((verb for start, verb in _STARTS if start.match(line)), None):
        return found
    if led := _LEADING_NUMBER.fullmatch(line):
        return next((verb for start, verb in _STARTS if start.match(led["rest"])), None)
    return None


def _incomplete(line: str) -> Meaning:
    if _SEVERAL.fullmatch(line):
        return Unclear("一次只接一单，请分开发送，例如：接单 1012")
    if _BARE_TRACKING.fullmatch(line):
        return Unclear(f"这是哪一单的运单号？请发：{EXAMPLES[Verb.SHIP]}", Verb.SHIP)
    if (verb := _looks_like(line)) is None:
        return Unknown()
    number = re.search(rf"(?<![\dA-Za-z-]){_ONE}(?![\dA-Za-z-])", line)
    if verb is Verb.DECLINE and number:
        return Unclear(f"{_digits(number[0])} 没有执行，请写明原因：拒单 {_digits(number[0])} {REASON_HINT}")
    if number is None:
        return Unclear(f"请写明单号，例如：{EXAMPLES[verb]}", verb)
    if verb is Verb.COMPLETE and re.fullmatch(rf"{_COMPLETE}码?\s*[:]?\s*\d{{4,8}}", line):
        return Unclear(f"请同时写单号和核销码：{EXAMPLES[verb]}", verb)
    return Unclear(f"像是「{verb.value} {_digits(number[0])}」，但没有完全看懂，没有执行。请发：{EXAMPLES[verb]}")


def _intent(verb: Verb, groups: dict[str, str | None], today: date) -> Meaning:
    number = _digits(groups.get("number") or "")
    build: Callable[..., Meaning] | None = {Verb.SHIP: _ship, Verb.SCHEDULE: _schedule}.get(verb)
    if build:
        return build(number, groups, today)
    reason = REASONS.get(groups.get("reason") or "", "")
    return Intent(verb, number=number, reason=reason, code=groups.get("code") or "")


def _ship(number: str, groups: dict[str, str | None], today: date) -> Meaning:
    if groups.get("selfship"):
        return Intent(Verb.SHIP, number=number, carrier="self")
    tracking = (groups["tracking"] or "").upper()
    named = CARRIERS.get((groups.get("carrier") or "").upper(), "")
    prefix = re.match(r"[A-Z]*", tracking)
    known = _CARRIER_BY_PREFIX.get(prefix[0] if prefix else "", "")
    if not (named or known):
        return Unclear(f"{number} 没有执行，请写明快递公司：发货 {number} 中通 {tracking}")
    if named and known and named != known:
        return Unclear(f"{number} 没有执行：运单号和快递公司对不上，请核对")
    return Intent(Verb.SHIP, number=number, carrier=named or known, tracking_no=tracking)


def _schedule(number: str, groups: dict[str, str | None], today: date) -> Meaning:
    again = Unclear(f"{number} 没有执行：时间没有看懂，请发：预约 {number} 明天 14:00-16:00")
    try:
        on = _day(groups["day"] or "", today)
        start, end = _part(groups["part"]) if groups["part"] else (_clock(groups["from"] or ""), _clock(groups["to"] or ""))
    except ValueError:
        return again
    if on < today or end <= start or (on - today).days > 90:
        return again
    return Intent(Verb.SCHEDULE, number=number, visit=Visit(on, start, end))


def _day(text: str, today: date) -> date:
    """Raises ValueError for a day that does not exist."""
    if text in {"今天", "明天", "后天"}:
        return today + timedelta(days=["今天", "明天", "后天"].index(text))
    if text.startswith(("周", "星期")):
        wanted = "一二三四五六日天".index(text[-1]) % 7 if text[-1] != "天" else 6
        return today + timedelta(days=(wanted - today.weekday()) % 7)
    parts = [int(part) for part in re.findall(r"\d+", text)]
    if len(parts) == 3:
        return date(*parts)
    on = date(today.year, *parts)
    return on if on >= today or (today - on).days < 180 else date(today.year + 1, *parts)


def _part(text: str | None) -> tuple[time, time]:
    return {"上午": (time(9), time(12)), "下午": (time(14), time(18)), "晚上": (time(18), time(20))}[text or ""]


def _clock(text: str) -> time:
    hour, minute = re.fullmatch(r"(\d+)(.*)", text).groups()  # type: ignore[union-attr]
    return time(int(hour), {"点": 0, "点半": 30}[minute] if minute in {"点", "点半"} else int(minute[1:]))


def _digits(number: str) -> str:
    """十二 is 12; other numbers stay, in capitals."""
    if not re.fullmatch(r"[一二三四五六七八九十]+", number):
        return number.upper()
    tens, ten, ones = number.rpartition("十") if "十" in number else ("", "", number)
    value = {digit: index for index, digit in enumerate("一二三四五六七八九", start=1)}
    if not ten:
        return "".join(str(value[digit]) for digit in ones)
    return str(value.get(tens, 1) * 10 + value.get(ones, 0))
