"""Load or update the administrative divisions."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from dealers.directory import actions as directory


class Command(BaseCommand):
    help = "载入或更新行政区划（可重复执行）"

    def handle(self, *args: Any, **options: Any) -> None:
        count = directory.load_divisions(at=timezone.now())
        self.stdout.write(self.style.SUCCESS(f"行政区划 {count} 条"))
