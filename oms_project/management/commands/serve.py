"""The one command that runs everything."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from oms_project.demo.playing import Playing
from oms_project.tasks import health, web
from oms_project.tasks.engine import Engine
from oms_project.tasks.preflight import check_database, check_redis, listen
from oms_project.tasks.supervisor import Supervisor

PAGES = (("后台", "/admin/"), ("大屏", "/live/"), ("接口文档", "/api/docs/"))
DEMO_PAGES = (("演示群", "/chat/"),)


class Command(BaseCommand):
    help = "Serve web, sockets, relay, ticks and tasks: one process on SQLite, supervised processes on PostgreSQL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--web", type=int, default=1, help="web processes (split mode)")
        parser.add_argument("--work", type=int, default=1, help="work processes (split mode)")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--split", action="store_true", default=None, help="several supervised processes")
        mode.add_argument("--embedded", dest="split", action="store_false", help="one process")

    def handle(self, *, host: str, port: int, web: int, work: int, split: bool | None, **options: Any) -> None:
        check_database()
        check_redis()
        door = listen(host, port)
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host
        self.stdout.write(f"一盘 已启动 http://{shown}:{door.getsockname()[1]}/  （Ctrl-C 停止）")
        for label, path in (*PAGES, *(DEMO_PAGES if settings.DEMO else ())):
            self.stdout.write(f"  {label}  http://{shown}:{door.getsockname()[1]}{path}")
        self.stdout.flush()
        if settings.EMBEDDED if split is None else not split:
            self._embedded(door)
        else:
            companions = ["play_demo"] if settings.DEMO else []
            Supervisor(door, web=max(1, web), work=max(1, work), companions=companions).run()
        self.stdout.write("一盘 已停止")

    def _embedded(self, door: Any) -> None:
        engine = Engine()
        health.watch(engine.unwell)
        engine.start()
        playing = Playing(f"http://127.0.0.1:{door.getsockname()[1]}/channels/doudian/push") if settings.DEMO else None
        if playing:
            playing.start()
        try:
            web.serve(door)
        finally:
            if playing:
                playing.stop()
            engine.stop()
