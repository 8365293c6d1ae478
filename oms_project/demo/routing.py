"""The routing rules of the demo brand: promise classes, freight by region, holidays, and what it does for whom. Data only."""

from datetime import date, time, timedelta
from typing import Any

STORES, GOLD, FAR = "stores", "gold", "far"
REMOTE = ("65", "54", "15", "63")  # 新疆、西藏、内蒙古、青海


def _days(first: date, count: int) -> list[str]:
    return [(first + timedelta(days=n)).isoformat() for n in range(count)]


HOLIDAYS = [*_days(date(2027, 1, 1), 3), *_days(date(2027, 2, 5), 8)]  # 元旦、春节

NAME = "木与光路由规则"
NOTE = "小时达由 5 公里内的门店发；偏远省份运费另计；直播单尽量不拆；会员订单超时效加倍计。"
TERMS: dict[str, Any] = {"promise": "standard", "keeps_bundles": True}

PROMISES: list[dict[str, Any]] = [
    {"code": "hours", "name": "小时达", "days": 0, "is_hard": True, "max_km": 5, "kinds": ["store"]},
    {"code": "nextday", "name": "次日达", "days": 1, "max_km": 150, "kinds": ["dealer", "store", "region"]},
    {"code": "standard", "name": "标准", "days": 3},
]
GROUPS: list[dict[str, Any]] = [
    {"code": STORES, "name": "体验店", "kinds": ["store"]},
    {"code": GOLD, "name": "金牌经销商", "tiers": ["gold"]},
    {"code": FAR, "name": "西部自有仓", "nodes": ["RDC-XB", "RDC-XN"]},
]
ORDER_RULES: list[dict[str, Any]] = [
    {"position": 10, "name": "小时达", "tags": ["小时达"], "promise": "hours", "only_groups": [STORES], "max_packages": 1,
     "on_unroutable": "person"},
    {"position": 20, "name": "会员次日达", "tags": ["VIP"], "promise": "nextday", "late_fen_per_day": 3000,
     "refusal_cost_fen": 6000, "on_unroutable": "hq"},
    {"position": 30, "name": "直播爆单", "is_live": True, "split_fee_fen": 1500, "max_packages": 2, "keeps_bundles": True,
     "refusal_cost_fen": 4500, "on_unroutable": "split"},
    {"position": 40, "name": "偏远地区", "divisions": list(REMOTE), "late_fen_per_day": 200, "cross_region_fen": 500,
     "on_unroutable": "hq"},
    {"position": 50, "name": "小件", "categories": ["small"], "keeps_installation": False, "split_fee_fen": 400},
]  # fmt: skip
_TEMPLATES: list[dict[str, Any]] = [
    {"kind": "hq", "first_fen": 3500, "step_fen": 260, "base_days": 2, "km_per_day": 700},
    {"kind": "region", "first_fen": 2600, "step_fen": 200, "km_fen": 1, "base_days": 1, "km_per_day": 600},
    {"kind": "dealer", "first_fen": 1500, "step_fen": 60, "km_fen": 150, "base_days": 1, "km_per_day": 400, "max_km": 800},
    {"kind": "store", "first_fen": 1800, "step_fen": 80, "km_fen": 200, "base_days": 0, "km_per_day": 300, "max_km": 300},
]
FREIGHT: list[dict[str, Any]] = [
    *_TEMPLATES,
    *(
        {**rate, "division": division, "first_fen": rate["first_fen"] * 2, "step_fen": rate["step_fen"] * 3, "base_days": 3}
        for division in REMOTE
        for rate in _TEMPLATES[:2]
    ),
]
INSTALLS: list[dict[str, Any]] = [
    {"kind": "hq", "fee_fen": 12_000},
    {"kind": "region", "fee_fen": 11_000},
    {"kind": "dealer", "fee_fen": 6500},
    {"kind": "store", "fee_fen": 7500},
    {"group": GOLD, "skill": "install:appliance", "fee_fen": 6000},
]
CALENDARS: list[dict[str, Any]] = [
    {"kind": kind, "weekdays": "123456", "cutoff": time(16), "holidays": HOLIDAYS} for kind in ("hq", "region")
]
CALENDARS.append({"kind": "dealer", "cutoff": time(18), "holidays": HOLIDAYS[-8:]})
QUOTAS: list[dict[str, Any]] = [
    {"dealer_code": "D002", "percent": 20, "fen_per_point": 150},
    {"dealer_code": "D009", "percent": 15, "fen_per_point": 150},
]
CREDITS: list[dict[str, Any]] = [
    {"is_overstock": True, "fen_per_unit": 1500},
    {"category": "furniture", "older_than_days": 120, "fen_per_unit": 4000},
]
