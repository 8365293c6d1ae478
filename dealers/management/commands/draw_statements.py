"""`manage.py draw_statements`: draw the statements of a finished month in Shanghai, or of what is open until now."""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dealers.settlement import actions as settlement
from dealers.settlement import queries, rules
from oms_project.refusal import Refusal


class Command(BaseCommand):
    help = "生成结算单：默认上月，--month 指定已结束的月份，--until-now 截至此刻；可重复执行。"

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--month", help="例如 2026-11")
        which.add_argument("--until-now", action="store_true", help="从上次结算单的期末到此刻")

    def handle(self, *args: Any, month: str | None, until_now: bool, **options: Any) -> None:
        at = timezone.now()
        try:
            wanted = datetime.strptime(month, "%Y-%m") if month else None  # noqa: DTZ007 - a month has no zone
        except ValueError:
            raise CommandError("月份应写成 2026-11") from None
        begin, end = rules.month_period(wanted.year, wanted.month) if wanted else rules.last_month(at)
        if until_now:
            begin, end = queries.next_period(at)
        try:
            numbers = settlement.draw_statements(period_from=begin, period_to=end, at=at, actor="command")
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        self.stdout.write(f"已生成 {len(numbers)} 张结算单")
