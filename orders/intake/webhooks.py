"""The doors by which channels push. They answer in the platform's own shape and never with a 500."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from orders.intake import actions, queries
from orders.intake.adapters import doudian

LARGEST_BODY = 1_048_576


def _answer(status: int, code: int, msg: str) -> HttpResponse:
    return JsonResponse({"code": code, "msg": msg}, status=status, json_dumps_params={"ensure_ascii": False})


@csrf_exempt
def doudian_push(request: HttpRequest) -> HttpResponse:
    """抖店 message push: verified over the raw bytes, kept, then acknowledged; work comes later."""
    if request.method != "POST":
        refused = _answer(405, 40005, "only POST")
        refused["Allow"] = "POST"
        return refused
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not (declared.isascii() and declared.isdigit()):
        return _answer(400, 40002, "bad Content-Length")
    if int(declared[:12]) > LARGEST_BODY or len(declared) > 12:
        return _answer(413, 41300, "body too large")
    try:
        body = request.read(LARGEST_BODY + 1)
    except UnreadablePostError:
        return _answer(400, 40002, "body not readable")
    if len(body) > LARGEST_BODY:
        return _answer(413, 41300, "body too large")
    return _take_doudian(request, body)


def _take_doudian(request: HttpRequest, body: bytes) -> HttpResponse:
    app_key = request.headers.get("app-id", "")
    accounts = queries.accounts_of(doudian.CHANNEL, app_key) if app_key.isascii() and app_key.isprintable() else []
    sign, method = request.headers.get("event-sign", ""), request.headers.get("sign-method", "")
    secrets = {account.app_secret for account in accounts if account.app_secret}
    genuine = [
        doudian.is_genuine(app_key=app_key, app_secret=secret, body=body, sign=sign, sign_method=method) for secret in secrets
    ]
    if not any(genuine):
        if accounts:
            actions.count_refusal(account=accounts[0])
        return _answer(401, 40001, "签名错误")
    try:
        messages = doudian.split_push(body)
    except doudian.BadPush:
        return _answer(400, 40002, "body must be a JSON array of messages")
    actions.receive_push(account=accounts[0], siblings=accounts[1:], messages=messages, at=timezone.now())
    return _answer(200, 0, "success")
