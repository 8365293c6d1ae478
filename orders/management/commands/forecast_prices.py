"""`manage.py forecast_prices`: work out scarcity prices now, as before a livestream."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from orders.forecast import actions as forecast


class Command(BaseCommand):
    help = "按最近一天（或某直播场次）的订单和现有库存计算稀缺价并启用。"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--live", default="", help="按这个直播场次的订单")
        parser.add_argument("--hours", type=int, default=forecast.VALID_HOURS, help="有效小时数")

    def handle(self, *args: Any, live: str, hours: int, **options: Any) -> None:
        if hours < 1:
            raise CommandError("有效小时数应为正整数")
        try:
            made = forecast.forecast_prices(actor="command", at=timezone.now(), live_session=live, valid_hours=hours)
        except forecast.NothingToGoBy as refusal:
            raise CommandError(refusal.message) from refusal
        until = timezone.localtime(made.expires_at)
        self.stdout.write(f"已按 {made.orders} 个订单算出 {made.prices.count()} 个稀缺价，有效至 {until:%Y-%m-%d %H:%M}")
