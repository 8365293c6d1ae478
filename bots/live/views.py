"""The live board's doors: one page and the figures it shows, of orders and of stock locks; the feed's socket brings the rest."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dealers.models import Staff
from orders.live import queries as live

_POLICY = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
View = Callable[[HttpRequest], HttpResponseBase]


def for_hq(view: View) -> View:
    """Lets in people of headquarters; nobody in particular is sent to the login, a dealer's people are refused."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        if not isinstance(request.user, Staff):
            return redirect_to_login("/live/", login_url="/admin/login/")
        if not request.user.is_hq:
            raise PermissionDenied
        return view(request)

    return require_safe(guarded)


@for_hq
def board(request: HttpRequest) -> HttpResponse:
    """The page; it holds no figures, so it can neither be stale nor leak."""
    response = render(request, "bots/live.html")
    response["Content-Security-Policy"] = _POLICY
    response["Cache-Control"] = "no-store"
    return response


@for_hq
def figures(request: HttpRequest) -> HttpResponse:
    """orders.live.queries.figures as JSON."""
    return _json(live.recent_figures(timezone.now()))


@for_hq
def locks(request: HttpRequest) -> HttpResponse:
    """orders.live.queries.locks as JSON, with its age."""
    return _json(live.recent_locks(timezone.now()))


def _json(answer: dict[str, Any]) -> HttpResponse:
    return HttpResponse(orjson.dumps(answer), content_type="application/json", headers={"Cache-Control": "no-store"})
