"""Chat in the admin: bindings can be made and revoked; what came and went can only be read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from bots.models import CardMessage, ChatIdentity, InboundEvent


@admin.register(ChatIdentity)
class ChatIdentityAdmin(ModelAdmin):
    list_display = ["platform", "tenant", "user_id", "staff", "is_active"]
    list_filter = ["platform", "is_active"]
    list_select_related = ["staff"]
    list_editable = ["is_active"]
    search_fields = ["user_id", "staff__name", "staff__phone"]
    raw_id_fields = ["staff"]


class ReadOnly(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(InboundEvent)
class InboundEventAdmin(ReadOnly):
    list_display = ["received_at", "platform", "kind", "sender_id", "event_id", "tries", "done_at"]
    list_filter = ["platform", "kind"]
    search_fields = ["event_id", "sender_id"]
    exclude = ["content_sealed"]
    show_full_result_count = False


@admin.register(CardMessage)
class CardMessageAdmin(ReadOnly):
    list_display = ["sent_at", "offer_no", "platform", "recipient", "shown_state"]
    list_filter = ["platform", "shown_state"]
    search_fields = ["offer_no", "recipient"]
    exclude = ["response_codes"]
    show_full_result_count = False
