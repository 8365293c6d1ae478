"""A work process of the split mode: pump loops and a scheduler, without a web server."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from oms_project.tasks.engine import Engine
from oms_project.tasks.parent import Voice, die_with


class Command(BaseCommand):
    help = "Relay the journal, run the pumps and schedule the ticks (several may run at once)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loops", type=int, default=2, help="pump loops in this process")
        parser.add_argument("--parent", type=int, help="die with this process (set by `serve`)")
        parser.add_argument("--voice", type=int, help="pipe to the supervisor (set by `serve`)")

    def handle(self, *, loops: int, parent: int | None, voice: int | None, **options: Any) -> None:
        if parent is not None:
            die_with(parent)
        leave = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: leave.set())
        engine = Engine(pump_loops=loops, with_queue=False, on_beat=Voice(voice).say)
        engine.start()
        while not leave.wait(1.0):
            pass
        engine.stop()
