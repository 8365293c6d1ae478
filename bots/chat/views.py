"""A dealer group to play with: the same words, buttons and gates as in WeCom, without WeCom.

Whoever opens the page may be anybody of the group, so it exists only in demonstrations
(settings.DEMO) and in development (settings.DEBUG); elsewhere every door is a 404.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from bots import actions, queries
from bots.models import ChatIdentity, ChatMessage
from bots.transports import local
from orders.work import queries as work_queries

_PAGE = 60
_LONGEST = 300
_CARDS_KEPT_FRESH = 30


def _only_in_demo(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not (settings.DEMO or settings.DEBUG):
            raise Http404
        return view(request)

    return guarded


@_only_in_demo
@require_GET
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    """The group of ?room=, else the first one."""
    local_people = ChatIdentity.objects.filter(platform=local.PLATFORM, is_active=True).select_related("staff__dealer")
    rooms: dict[str, str] = {}
    for identity in local_people.order_by("pk"):
        rooms.setdefault(identity.tenant, identity.staff.dealer.name if identity.staff.dealer else "总部")
    room = request.GET.get("room", "")
    room = room if room in rooms else next(iter(rooms), "")
    members = [
        {"id": member.pk, "name": member.staff.name, "role": member.staff.get_role_display()}
        for member in queries.members_of(tenant=room)
    ]
    chat = {"room": room, "members": members, "bot": local.BOT}
    return render(request, "bots/chat.html", {"rooms": rooms, "room": room, "title": rooms.get(room, ""), "chat": chat})


@_only_in_demo
@require_GET
def messages(request: HttpRequest) -> HttpResponse:
    """Lines after ?after=, the recent cards as they are now, and what the customers' phones show."""
    room, after = request.GET.get("room", ""), request.GET.get("after", "0")
    lines = ChatMessage.objects.filter(room=room)
    if after.isascii() and after.isdigit() and after != "0":
        fresh = list(lines.filter(pk__gt=int(after[:18])).order_by("pk")[:_PAGE])
    else:
        fresh = list(lines.order_by("-pk")[:_PAGE])[::-1]
    kept = lines.exclude(card=None).order_by("-pk").values_list("card_key", "card")[:_CARDS_KEPT_FRESH]
    return JsonResponse({"lines": [_line(line) for line in fresh], "cards": dict(kept), "phone": _phone(room)})


@_only_in_demo
@require_POST
def say(request: HttpRequest) -> HttpResponse:
    body = _body(request)
    member, text = _member(body), str(body.get("text", "")).strip()[:_LONGEST]
    if not text:
        return JsonResponse({"detail": "请输入内容"}, status=400)
    actions.say(member=member, text=text, at=timezone.now())
    return JsonResponse({})


@_only_in_demo
@require_POST
def press(request: HttpRequest) -> HttpResponse:
    body = _body(request)
    key, value, reason = (str(body.get(name, ""))[:200] for name in ("key", "value", "reason"))
    reply = actions.tap(member=_member(body), key=key, value=value, reason=reason, at=timezone.now())
    return JsonResponse({"toast": reply.text})


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise Http404 from None
    if not isinstance(body, dict):
        raise Http404
    return body


def _member(body: dict[str, Any]) -> ChatIdentity:
    room, who = str(body.get("room", "")), body.get("as")
    for member in queries.members_of(tenant=room):
        if member.pk == who:
            return member
    raise Http404


def _line(line: ChatMessage) -> dict[str, Any]:
    return {
        "id": line.pk,
        "sender": line.sender,
        "text": line.text,
        "key": line.card_key,
        "card": line.card,
        "time": f"{timezone.localtime(line.sent_at):%H:%M}",
    }


def _phone(room: str) -> list[dict[str, str]]:
    """The redeem-code messages the customers of this group's work would get; in demonstrations only."""
    member = next((member for member in queries.members_of(tenant=room) if member.staff.dealer_id), None)
    if member is None or not settings.DEMO:
        return []
    works = work_queries.works_for(member.staff).filter(
        redeem_code__used_at=None, redeem_code__isnull=False, state__in=["accepted", "shipped", "delivered", "installed"]
    )
    return [
        {"no": str(work.short_no), "text": f"【一盘】「{work.summary}」完工后，请把核销码 {work.redeem_code.code} 告诉师傅。"}
        for work in works.select_related("redeem_code").order_by("-moved_at")[:5]
    ]
