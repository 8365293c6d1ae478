"""The day that something counts for. Plain values."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def day_of(at: datetime) -> date:
    """The day in Shanghai of a moment."""
    return at.astimezone(SHANGHAI).date()
