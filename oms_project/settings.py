"""All settings, read from the environment; nonsense is refused at start with one clear line.

Nothing set means the embedded mode: SQLite in var/, secrets made once and kept in var/secrets.env.
Any secret NAME may be given as NAME_FILE, the path of a file that holds it.
"""

import base64
import hashlib
import secrets
import sys
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
VAR_DIR = Path(env.str("YIPAN_VAR", default=str(BASE_DIR / "var")))


def _kept_secret(name: str) -> str:
    """The secret from the environment, else one made at the first start and kept in var/secrets.env."""
    if given := env.str(name, default=""):
        return given
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    kept = VAR_DIR / "secrets.env"
    lines = kept.read_text().splitlines() if kept.exists() else []
    for line in lines:
        key, _, value = line.partition("=")
        if key == name:
            return value
    made = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    kept.touch(mode=0o600)
    kept.write_text("\n".join([*lines, f"{name}={made}", ""]))
    return made


def _refuse(name: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}: {why}")


DEBUG = env.bool("DEBUG", default=False)
PRODUCTION = env.bool("YIPAN_PRODUCTION", default=False)
SECRET_KEY = _kept_secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DATA_KEYS = [key.strip() for key in _kept_secret("DATA_KEYS").split(",") if key.strip()]
FINGERPRINT_KEY = env.str("FINGERPRINT_KEY", default="") or hashlib.sha256(b"fingerprint:" + DATA_KEYS[-1].encode()).hexdigest()
for _key in DATA_KEYS:
    try:
        if len(base64.urlsafe_b64decode(_key)) != 32:
            raise ValueError("wrong length")
    except ValueError:
        raise _refuse("DATA_KEYS", "each key must be 32 bytes in url-safe base64") from None

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if not PRODUCTION else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000")

INSTALLED_APPS = [
    "oms_project",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "django_q",
    "oms_project.journal",
    "dealers",
    "inventory",
    "orders",
    "bots",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "oms_project.urls"
ASGI_APPLICATION = "oms_project.asgi.application"
WSGI_APPLICATION = None
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default="")
    if not url:
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{VAR_DIR / 'yipan.sqlite3'}"
    try:
        config: dict[str, Any] = dict(env.db_url_config(url))
    except Exception as error:
        raise _refuse("DATABASE_URL", f"not a database address ({type(error).__name__})") from None
    if config.get("ENGINE") == "django.db.backends.sqlite3":
        synchronous = env.str("SQLITE_SYNCHRONOUS", default="NORMAL").upper()
        if synchronous not in {"NORMAL", "FULL"}:
            raise _refuse("SQLITE_SYNCHRONOUS", "must be NORMAL or FULL")
        config["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # Recursive triggers: INSERT OR REPLACE must ask the ledger's guards too.
            "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA cache_size=-16000; "
            "PRAGMA recursive_triggers=ON;",
        }
        config["CONN_MAX_AGE"] = None
    elif config.get("ENGINE") == "django.db.backends.postgresql":
        config["CONN_MAX_AGE"] = 60
        config["CONN_HEALTH_CHECKS"] = True
        config["OPTIONS"] = {
            "connect_timeout": 5,
            # Hot statements are planned once per connection. Behind a pooler that shares connections
            # between transactions (PgBouncer), set PREPARE_STATEMENTS=0.
            "server_side_binding": True,
            "prepare_threshold": 3 if env.bool("PREPARE_STATEMENTS", default=True) else None,
            "options": "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000",
        }
    else:
        raise _refuse("DATABASE_URL", "only sqlite:// and postgres:// are supported")
    config["DISABLE_SERVER_SIDE_CURSORS"] = True
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
EMBEDDED = DATABASES["default"]["ENGINE"].endswith("sqlite3")

REDIS_URL = env.str("REDIS_URL", default="")
REBALANCE_LEAST_FEN = env.int("YIPAN_REBALANCE_LEAST_FEN", default=300)  # saved for each offer that is taken back
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise _refuse("REDIS_URL", "must start with redis://, rediss:// or unix://")
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

AUTH_USER_MODEL = "dealers.Staff"
AUTHENTICATION_BACKENDS = ["dealers.directory.login.RoleBackend"]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

LANGUAGE_CODE = "zh-hans"
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = "oms_project.formats"
LOCALE_PATHS = [BASE_DIR / "oms_project" / "locale"]

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns about a root that is not there
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

TASK_WORKERS: int = env.int("YIPAN_TASK_WORKERS", default=2)
TASK_SECONDS = 60  # a task that takes longer is ended and tried again
Q_CLUSTER: dict[str, Any] = {
    "name": "yipan",
    "orm": "default",
    "workers": TASK_WORKERS,
    "queue_limit": TASK_WORKERS,
    "timeout": TASK_SECONDS,
    "retry": 180,
    "bulk": 1,
    "max_attempts": 5,
    "ack_failures": False,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 500,
    "poll": 0.2,
    "scheduler": False,
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["bots.miniapp.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["oms_project.parsing.SmallJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "bots.miniapp.problems.as_problem",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_PAGINATION_CLASS": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Yipan 接口",
    "DESCRIPTION": "经销商小程序与大屏使用的接口；/api/stock/ 供仓储、ERP 与经销商的系统上报和查询库存，凭接口密钥调用。",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

WECHAT_APP_ID = env.str("WECHAT_APP_ID", default="")
WECHAT_APP_SECRET = env.str("WECHAT_APP_SECRET", default="")
WECHAT_API_BASE = env.str("WECHAT_API_BASE", default="https://api.weixin.qq.com/")
WECOM_CORP_ID = env.str("WECOM_CORP_ID", default="")
WECOM_AGENT_ID = env.int("WECOM_AGENT_ID", default=0)
WECOM_SECRET = env.str("WECOM_SECRET", default="")
WECOM_TOKEN = env.str("WECOM_TOKEN", default="")
WECOM_AES_KEY = env.str("WECOM_AES_KEY", default="")
WECOM_API_BASE = env.str("WECOM_API_BASE", default="https://qyapi.weixin.qq.com/cgi-bin/")

DEMO = env.bool("YIPAN_DEMO", default=False)
DEMO_LIVESTREAM = DEMO and env.str("YIPAN_LIVESTREAM", default="1") != "0"
DEMO_BOTS = DEMO and env.str("YIPAN_BOTS", default="1") != "0"
DEMO_ORDERS_PER_MINUTE = env.int("YIPAN_ORDERS_PER_MINUTE", default=12)
DEMO_PACE = env.float("YIPAN_DEMO_PACE", default=1.0)  # of the demo dealers: 0.1 is ten times as fast

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {"yipan": {"level": env.str("LOG_LEVEL", default="INFO")}, "django-q": {"level": "WARNING"}},
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "一盘",
    "SITE_HEADER": "一盘",
    "SITE_SUBHEADER": "全渠道订单中台",
    "SITE_SYMBOL": "hub",
    "SITE_URL": "/admin/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("oms_project/favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {  # a calm teal: red, orange and green stay free for what they mean
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(60% .118 184.704)",
            "700": "oklch(51.1% .096 186.391)",
            "800": "oklch(43.7% .078 188.216)",
            "900": "oklch(38.6% .063 188.416)",
            "950": "oklch(27.7% .046 192.524)",
        }
    },
    "STYLES": [lambda request: static("oms_project/admin.css")],
    "SCRIPTS": [lambda request: static("oms_project/admin.js")],
    "SIDEBAR": {"show_search": True, "navigation": "oms_project.admin_site.navigation"},
    "DASHBOARD_CALLBACK": "oms_project.admin_site.dashboard",
}
