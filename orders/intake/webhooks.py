"""The doors by which channels push. The digest is checked over the raw bytes before anything is read."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders.intake import actions
from orders.intake.adapters import doudian
from orders.intake.models import ChannelAccount
from orders.intake.rules import BadPush, Message

MOST_BYTES = 1_048_576
_PROBE_TAG = "0"


@csrf_exempt
@require_POST
def doudian_push(request: HttpRequest) -> HttpResponse:
    """抖店's push: 200 only when every message is stored. Wrong digest 401, bad JSON 400, over 1 MB 413."""
    try:
        raw = request.read(MOST_BYTES + 1)
    except UnreadablePostError:
        return _answer(40000, "请求无法读取", 400)
    if len(raw) > MOST_BYTES:
        return _answer(40013, "请求过大", 413)
    app_key = request.headers.get("app-id", "")[:60].replace("\x00", "")
    known = list(ChannelAccount.objects.filter(channel=doudian.CHANNEL, app_key=app_key, is_active=True).order_by("pk"))
    accounts = [account for account in known if doudian.is_genuine(raw, request.headers, account.app_key, account.app_secret)]
    if not accounts:
        if known:
            actions.count_refusal(app_key=app_key)
        return _answer(40001, "签名错误", 401)
    try:
        messages = doudian.split(raw)
    except BadPush:
        return _answer(40000, "消息格式错误", 400)
    at = timezone.now()
    of_shop = {account.shop: account for account in accounts}
    parcels: dict[int, list[Message]] = {}
    for message in messages:
        if message.tag != _PROBE_TAG:
            parcels.setdefault(of_shop.get(message.shop_id, accounts[0]).pk, []).append(message)
    for account in accounts:
        if parcel := parcels.get(account.pk):
            actions.receive_push(account=account, messages=parcel, at=at)
    return _answer(0, "success", 200)


def _answer(code: int, text: str, status: int) -> JsonResponse:
    return JsonResponse({"code": code, "msg": text}, status=status)
