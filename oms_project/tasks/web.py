"""uvicorn with a socket that is already open, and the proof that it still answers."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

log = logging.getLogger("yipan.tasks")
APPLICATION = "oms_project.asgi:application"
_BEAT_SECONDS = 1.0
_DRAIN_SECONDS = 4


class Server(uvicorn.Server):
    """Asks its own application for /healthz every second; whatever it answers, it lives."""

    def __init__(self, application: Any, on_beat: Callable[[], None] | None = None) -> None:
        config = uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=65536,
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        super().__init__(config)
        self._on_beat = on_beat

    async def main_loop(self) -> None:
        beating = asyncio.create_task(self._beat()) if self._on_beat else None
        await super().main_loop()
        if beating:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            try:
                await ask(self.config.loaded_app, "/healthz")
                if self._on_beat:
                    self._on_beat()
            except Exception:
                log.exception("the application cannot be asked for its health")
            await asyncio.sleep(_BEAT_SECONDS)


def serve(door: socket.socket, *, application: Any = APPLICATION, on_beat: Callable[[], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then drain and return. Raises RuntimeError when it cannot start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn takes them over, and raises them again when it has stopped
    server = Server(application, on_beat)
    server.run(sockets=[door])
    if not server.started:
        raise RuntimeError("the web server did not start")


async def ask(application: Any, path: str) -> int:
    """The status with which an ASGI application answers a GET, without a network."""
    status: list[int] = [0]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        status[0] = message.get("status", status[0])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
    await application(scope, receive, send)
    return status[0]
