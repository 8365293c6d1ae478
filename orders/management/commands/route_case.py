"""`manage.py route_case --in FILE`: what routing would decide in a case that is written down. No database."""

import sys
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.routing import case
from orders.routing.given import GivenError
from orders.routing.verdict import verdict


class Command(BaseCommand):
    help = (
        "对一个写成 JSON 的案例（发货点、运费、订单、规则）给出派单方案与全部明细；格式见 docs/route_case.md；输入有误以 2 退出"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--in", dest="source", required=True, help="JSON 文件；- 为标准输入")

    def handle(self, *args: Any, source: str, **options: Any) -> None:
        try:
            told = verdict(case.read(_bytes(source)))
        except GivenError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())


def _bytes(source: str) -> bytes:
    """The file, and one byte more than may be read when it is too large."""
    if source == "-":
        return sys.stdin.buffer.read(case.MOST_BYTES + 1)
    try:
        with Path(source).open("rb") as file:
            return file.read(case.MOST_BYTES + 1)
    except OSError as error:
        raise CommandError(f"无法读取 {source}：{error.strerror}", returncode=2) from error
