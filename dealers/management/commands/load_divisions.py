"""Load or update the administrative divisions."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dealers.divisions import actions as divisions
from dealers.divisions.package import SHIPPED
from oms_project.refusal import Refusal


class Command(BaseCommand):
    help = "载入或更新行政区划与乡镇街道（可重复执行）；默认用随附数据，也可指定数据包"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="source", type=Path, default=SHIPPED, metavar="目录或zip", help="数据包")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = divisions.load_divisions(at=timezone.now(), source=options["source"])
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        self.stdout.write(f"行政区划 {loaded.divisions.total} 条：{loaded.divisions}")
        self.stdout.write(self.style.SUCCESS(f"乡镇街道 {loaded.townships.total} 条：{loaded.townships}"))
