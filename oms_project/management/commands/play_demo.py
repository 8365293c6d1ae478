"""`manage.py play_demo`: the demo's livestream and dealers as a process of their own (split mode)."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from oms_project.demo.playing import Playing
from oms_project.tasks.parent import Voice, die_with


class Command(BaseCommand):
    help = "运行演示直播间与演示经销商，直到收到停止信号。"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--push-url", default=f"{settings.PUBLIC_URL}/channels/doudian/push")
        parser.add_argument("--parent", type=int, help="die with this process (set by `serve`)")
        parser.add_argument("--voice", type=int, help="pipe to the supervisor (set by `serve`)")

    def handle(self, *, push_url: str, parent: int | None, voice: int | None, **options: Any) -> None:
        if parent is not None:
            die_with(parent)
        say = Voice(voice).say
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        playing = Playing(push_url)
        playing.start()
        while not stop.wait(1.0):
            say()
        playing.stop()
