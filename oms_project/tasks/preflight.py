"""Look before starting: an address that is wrong is told in one clear line instead of a traceback later."""

import socket
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

REFUSED = 2  # exit code: the configuration is wrong, starting again will not help
_SECONDS = 3


def refuse(line: str) -> CommandError:
    return CommandError(line, returncode=REFUSED)


def check_database(*, migrated: bool = True) -> None:
    """Raises CommandError when the database cannot be reached, or lacks migrations."""
    options: dict[str, Any] = connection.settings_dict.setdefault("OPTIONS", {})
    usual = options.get("connect_timeout")
    if connection.vendor == "postgresql":
        options["connect_timeout"] = _SECONDS
    try:
        connection.ensure_connection()
        missing = migrated and MigrationExecutor(connection).migration_plan(
            MigrationExecutor(connection).loader.graph.leaf_nodes()
        )
    except Exception as error:
        if not isinstance(error, OperationalError):
            connection.close()
        raise refuse(f"DATABASE_URL: cannot reach the database: {_first_line(error)}") from None
    finally:
        if usual is not None:
            options["connect_timeout"] = usual
        connection.close()
    if missing:
        raise refuse(f"the database lacks {len(missing)} migrations; run: python manage.py migrate")


def check_redis() -> None:
    """Raises CommandError when REDIS_URL is set and nobody answers there."""
    if not settings.REDIS_URL:
        return
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS)
        client.ping()
        client.close()
    except (redis.RedisError, ValueError, OSError) as error:
        raise refuse(f"REDIS_URL: cannot reach the server: {_first_line(error)}") from None


def listen(host: str, port: int) -> socket.socket:
    """A bound socket that listens. Raises CommandError when the port is taken or the address not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(1024)
    except (OSError, OverflowError) as error:
        door.close()
        raise refuse(f"cannot listen on {host} port {port}: {_first_line(error)}") from None
    return door


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
