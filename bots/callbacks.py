"""The door through which chat platforms call us. Whatever is not proven to be theirs gets one plain 403."""

import logging

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from bots import actions
from bots.transports import wecom
from bots.transports.inbound import Forged, Inbound
from oms_project.journal.bell import bell

log = logging.getLogger("yipan.bots")

MOST_BYTES = 256 * 1024


@csrf_exempt
@require_http_methods(["GET", "POST"])
def wecom_callback(request: HttpRequest) -> HttpResponse:
    """GET proves the address to WeCom; POST brings one message or click, answered within one short transaction."""
    if not wecom.is_configured():
        return HttpResponse(status=404)
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not (declared.isascii() and declared.isdigit()):
        return HttpResponse(status=400)
    if len(declared) > 12 or int(declared) > MOST_BYTES:
        return HttpResponse(status=413)
    at = timezone.now()
    query = {key: request.GET.get(key, "") for key in ("msg_signature", "timestamp", "nonce", "echostr")}
    try:
        if request.method == "GET":
            return HttpResponse(wecom.open_echo(query, at=at), content_type="text/plain; charset=utf-8")
        inbound = wecom.open_message(query, request.body, at=at)
    except Forged:
        log.warning("a WeCom call-back was refused")
        return HttpResponse("refused", status=403, content_type="text/plain")
    return _take(inbound)


def _take(inbound: Inbound) -> HttpResponse:
    at = timezone.now()
    if inbound.kind == "text":
        actions.take_text(inbound=inbound, at=at)
        bell.ring()
    elif inbound.kind == "click":
        answer = actions.take_click(inbound=inbound, at=at)
        xml = wecom.card_xml(inbound, answer.card) if answer.card else wecom.button_xml(inbound, answer.ending)
        return HttpResponse(wecom.seal_reply(xml, at=at), content_type="application/xml; charset=utf-8")
    return HttpResponse("", content_type="text/plain")
