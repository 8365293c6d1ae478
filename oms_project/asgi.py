"""One process, two doors: HTTP through Django's WSGI app in eight threads, WebSockets on the loop."""

import asyncio
import os
from contextlib import suppress
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.wsgi import get_wsgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms_project.settings")
_wsgi = get_wsgi_application()

from bots.hub import follow  # noqa: E402
from bots.miniapp.socket import FeedSocket  # noqa: E402
from oms_project.journal.bell import bell  # noqa: E402

_sockets = AuthMiddlewareStack(URLRouter([path("ws/feed", FeedSocket.as_asgi())]))
_doors = ProtocolTypeRouter({"http": WSGIMiddleware(cast(Any, _wsgi), workers=8, send_queue_size=512), "websocket": _sockets})


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await _doors(scope, receive, send)


async def _live(receive: Any, send: Any) -> None:
    """Follow the journal from start to shutdown of the server."""
    await receive()
    bell.start()
    tail = asyncio.create_task(follow())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    tail.cancel()
    await asyncio.to_thread(bell.stop)
    with suppress(asyncio.CancelledError):
        await tail
    await send({"type": "lifespan.shutdown.complete"})
