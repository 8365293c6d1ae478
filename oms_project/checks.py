"""What the start warns of: settings that work on a laptop and hurt in production."""

import os
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

SECRETS = ("SECRET_KEY", "DATA_KEYS")


@register(Tags.security)
def production_is_meant(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Empty unless YIPAN_PRODUCTION is set."""
    if not settings.PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if settings.EMBEDDED:
        found.append(Warning("生产环境正在使用 SQLite", hint="设置 DATABASE_URL=postgres://…", id="yipan.W001"))
    found += [
        Warning(f"{name} 由程序自动生成并保存在 var/secrets.env", hint=f"设置 {name} 或 {name}_FILE 并妥善备份", id="yipan.W002")
        for name in SECRETS
        if not (os.environ.get(name) or os.environ.get(f"{name}_FILE"))
    ]
    if not settings.REDIS_URL and not settings.EMBEDDED:
        found.append(Warning("多进程之间不共享缓存与限流计数", hint="设置 REDIS_URL", id="yipan.W003"))
    if settings.DEMO or settings.DEBUG:
        found.append(Error("生产环境不能开启 YIPAN_DEMO 或 DEBUG", id="yipan.E001"))
    if "*" in settings.ALLOWED_HOSTS or not settings.ALLOWED_HOSTS:
        found.append(Error("生产环境必须列出 ALLOWED_HOSTS", id="yipan.E002"))
    return found
