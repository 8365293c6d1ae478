"""What the live board counts as a day, a minute and a province. Plain values only."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
MINUTES = 30
SESSIONS = 5
TICKER = 30
LOCK_PROVINCES = 4
URGENCY = {"out": 0, "low": 1, "ok": 2}
ELSEWHERE = "其他"

# GB/T 2260: the first two digits of a division code, and the name in use (short enough for a tile).
PROVINCES = {
    "11": "北京", "12": "天津", "13": "河北", "14": "山西", "15": "内蒙古", "21": "辽宁", "22": "吉林", "23": "黑龙江",
    "31": "上海", "32": "江苏", "33": "浙江", "34": "安徽", "35": "福建", "36": "江西", "37": "山东", "41": "河南",
    "42": "湖北", "43": "湖南", "44": "广东", "45": "广西", "46": "海南", "50": "重庆", "51": "四川", "52": "贵州",
    "53": "云南", "54": "西藏", "61": "陕西", "62": "甘肃", "63": "青海", "64": "宁夏", "65": "新疆", "71": "台湾",
    "81": "香港", "82": "澳门",
}  # fmt: skip


def day_start(at: datetime) -> datetime:
    """The last midnight in Shanghai."""
    return at.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)


def minute_of(at: datetime) -> int:
    """Whole minutes since 1970, the number by which orders are put in bars."""
    return int(at.timestamp()) // 60


def minutes_start(at: datetime) -> datetime:
    """When the first of the MINUTES bars begins; the last one is the minute of `at`."""
    return at.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
