"""/healthz: can this process reach its database, and does everything in it do its part?"""

import threading
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

_ask: list[Callable[[], list[str]]] = []


def watch(unwell: Callable[[], list[str]]) -> None:
    """Let `unwell` name the threads of this process that are dead or stuck."""
    _ask[:] = [unwell]


def healthz(request: HttpRequest) -> JsonResponse:
    """200 when all is well, else 503; says what is wrong, nothing about whom."""
    report: dict[str, object] = {"database": _database(), "bell": _bell(), "unwell": [name for ask in _ask for name in ask()]}
    well = report["database"] == "ok" and not report["unwell"]
    return JsonResponse(report, status=200 if well else 503, headers={"Cache-Control": "no-store"})


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return "ok" if cursor.fetchone() == (1,) else "strange"
    except DatabaseError as error:
        return type(error).__name__


def _bell() -> str:
    """The bell is optional for correctness: everyone also looks once a second."""
    ears = [thread for thread in threading.enumerate() if thread.name.startswith("bell_")]
    return "ok" if ears and all(thread.is_alive() for thread in ears) else "off"
