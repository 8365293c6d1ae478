"""A web process of the split mode; started by `serve`, not by people."""

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from oms_project.journal.bell import bell
from oms_project.tasks import web
from oms_project.tasks.parent import Voice, die_with


class Command(BaseCommand):
    help = "A web process of the split mode; started by `serve`."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--door", type=int, required=True)
        parser.add_argument("--parent", type=int, required=True)
        parser.add_argument("--voice", type=int)

    def handle(self, *, door: int, parent: int, voice: int | None, **options: Any) -> None:
        die_with(parent)
        bell.start()
        web.serve(socket.socket(fileno=door), on_beat=Voice(voice).say)
        bell.stop()
