"""Read addresses, one a line, and write what was understood, one JSON object a line."""

import sys
from dataclasses import replace
from typing import Any

import orjson
from django.core.management.base import BaseCommand
from django.db import OperationalError, ProgrammingError

from dealers.divisions import queries as divisions
from dealers.divisions.gazetteer import Gazetteer
from dealers.divisions.package import SHIPPED, read_package
from dealers.divisions.rules import parse


class Command(BaseCommand):
    help = "逐行读入地址，逐行输出识别结果（JSON）：省、市、区县、街道、代码、可信度等"

    def handle(self, *args: Any, **options: Any) -> None:
        gazetteer = known_divisions()
        out = sys.stdout.buffer
        for line in sys.stdin.buffer:
            reading = parse(gazetteer, line.decode(errors="replace"))
            if reading.province.endswith("市"):
                reading = replace(reading, city=reading.province)  # as addresses of municipalities are written
            out.write(orjson.dumps(reading, option=orjson.OPT_APPEND_NEWLINE))
        out.flush()


def known_divisions() -> Gazetteer:
    """The divisions of the database; those shipped with the code while it has none, or no tables yet."""
    try:
        loaded = divisions.gazetteer()
    except (OperationalError, ProgrammingError):
        loaded = Gazetteer.of([])
    return loaded if loaded.units else read_package(SHIPPED).gazetteer()
