"""One shape for every error of the API: problem+json (RFC 9457).

`code` is a stable word for programs, `detail` is Chinese for people. A stale action carries the
fresh record, so that the client can show it without asking again.
"""

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from dealers.directory.login import WINDOW_SECONDS, TooManyAttempts, WrongCredentials
from oms_project.refusal import NotFound, Refusal, Stale

log = logging.getLogger("yipan.api")
_TITLES = {
    400: "请求有误",
    401: "请先登录",
    403: "没有权限",
    404: "找不到这条记录",
    405: "不支持的方法",
    409: "现在不能这样做",
    413: "内容过大",
    415: "只接受 JSON",
    429: "操作太频繁，请稍后再试",
    500: "服务出错，已记录",
}


class StaleRecord(Stale):
    """A stale action, with the record as it is now."""

    def __init__(self, refusal: Refusal, record: dict[str, Any]) -> None:
        super().__init__(refusal.message)
        self.record = record


def problem(status: int, detail: str = "", code: str = "", **more: Any) -> dict[str, Any]:
    """The body of an error answer."""
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail or title, **more}


def _answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(body, status=body["status"], headers=headers, content_type="application/problem+json")


def as_problem(error: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's exception handler: every error in the one shape, never a traceback."""
    match error:
        case NotFound() | Http404():
            return _answer(problem(404, code="not_found"))
        case WrongCredentials():
            return _answer(problem(401, error.message, "wrong_credentials"), {"WWW-Authenticate": "Bearer"})
        case TooManyAttempts():
            return _answer(problem(429, error.message, "throttled"), {"Retry-After": str(WINDOW_SECONDS)})
        case StaleRecord():
            return _answer(problem(409, error.message, "stale", record=error.record))
        case Stale():
            return _answer(problem(409, error.message, "stale"))
        case Refusal():
            return _answer(problem(409, error.message, "refused"))
        case exceptions.ValidationError():
            return _answer(problem(400, "有字段不符合要求", "invalid", errors=error.get_full_details()))
        case exceptions.Throttled():
            wait = {"Retry-After": str(int(getattr(error, "wait", None) or 1))}
            return _answer(problem(429, code="throttled"), wait)
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return _answer(problem(401, str(error.detail), "not_authenticated"), {"WWW-Authenticate": "Bearer"})
        case RequestDataTooBig():
            return _answer(problem(413, code="too_large"))
        case exceptions.ParseError():
            return _answer(problem(400, "不是有效的 JSON", "parse_error"))
        case PermissionDenied() | exceptions.PermissionDenied():
            return _answer(problem(403, code="forbidden"))
        case exceptions.APIException():
            return _answer(problem(error.status_code, code=str(error.default_code)))
    log.exception("unexpected error in %s", type(context.get("view")).__name__)
    return _answer(problem(500, code="error"))


def _page(status: int, code: str) -> JsonResponse:
    return JsonResponse(problem(status, code=code), status=status, content_type="application/problem+json")


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """handler404 of the whole site: one shape also for addresses that do not exist."""
    return _page(404, "not_found")


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _page(413, "too_large") if isinstance(exception, RequestDataTooBig) else _page(400, "bad_request")


def server_error(request: HttpRequest) -> JsonResponse:
    return _page(500, "error")
