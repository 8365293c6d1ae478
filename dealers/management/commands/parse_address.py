"""Read addresses, one a line, and write what was understood, one JSON object a line."""

import sys
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from dealers.divisions import queries as divisions
from dealers.divisions.rules import parse


class Command(BaseCommand):
    help = "逐行读入地址，逐行输出识别结果（JSON）：省、市、区县、街道、代码、可信度等"

    def handle(self, *args: Any, **options: Any) -> None:
        gazetteer = divisions.gazetteer()
        if not gazetteer.units:
            raise CommandError("尚无区划数据，请先运行 manage.py load_divisions")
        out = sys.stdout.buffer
        for line in sys.stdin.buffer:
            out.write(orjson.dumps(parse(gazetteer, line.decode(errors="replace")), option=orjson.OPT_APPEND_NEWLINE))
        out.flush()
