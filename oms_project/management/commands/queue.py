"""The django-q2 cluster of the split mode, in a shape that can be supervised."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from oms_project.tasks import cluster
from oms_project.tasks.parent import Voice, die_with, forks_die_with_us


class Command(BaseCommand):
    help = "Run the task queue's processes (a django-q2 cluster whose children die with it)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--parent", type=int, help="die with this process (set by `serve`)")
        parser.add_argument("--voice", type=int, help="pipe to the supervisor (set by `serve`)")

    def handle(self, *, parent: int | None, voice: int | None, **options: Any) -> None:
        die_with(os.getppid() if parent is None else parent)
        forks_die_with_us()
        cluster.run(Voice(voice))
