"""Chat in the admin: bindings can be made and revoked; what came and went can only be read."""

from typing import ClassVar

from django.contrib import admin
from unfold.admin import ModelAdmin

from bots.models import CardMessage, ChatIdentity, ChatMessage, InboundEvent, SocketTicket
from oms_project.readonly import ReadOnlyAdmin, WordsFilter
from orders.models import Offer

PLATFORMS: dict[str, str] = dict(ChatIdentity.Platform.choices)


@admin.register(ChatIdentity)
class ChatIdentityAdmin(ModelAdmin):
    list_display = ["platform", "tenant", "user_id", "staff", "is_active"]
    list_filter = ["platform", "is_active"]
    list_select_related = ["staff"]
    list_editable = ["is_active"]
    search_fields = ["user_id", "staff__name", "staff__phone"]
    raw_id_fields = ["staff"]


@admin.register(InboundEvent)
class InboundEventAdmin(ReadOnlyAdmin):
    list_display = ["received_at", "platform", "kind", "sender_id", "event_id", "tries", "done_at"]
    list_filter = [("platform", WordsFilter), ("kind", WordsFilter)]
    words: ClassVar = {"platform": PLATFORMS, "kind": {"text": "文字", "click": "按钮", "other": "其他"}}
    search_fields = ["event_id", "sender_id"]
    exclude = ["content_sealed"]


@admin.register(CardMessage)
class CardMessageAdmin(ReadOnlyAdmin):
    list_display = ["sent_at", "offer_no", "platform", "recipient", "shown_state"]
    list_filter = [("platform", WordsFilter), ("shown_state", WordsFilter)]
    words: ClassVar = {"platform": PLATFORMS, "shown_state": dict(Offer.State.choices)}
    search_fields = ["offer_no", "recipient"]
    exclude = ["response_codes"]


@admin.register(ChatMessage)
class ChatMessageAdmin(ReadOnlyAdmin):
    list_display = ["sent_at", "room", "sender", "text"]
    exclude = ["card_key"]


@admin.register(SocketTicket)
class SocketTicketAdmin(ReadOnlyAdmin):
    """Who asked for a live connection lately; the passes themselves are not kept."""

    list_display = ["expires_at", "staff"]
    list_select_related = ["staff"]
    ordering = ("-expires_at",)
    exclude = ["digest"]
