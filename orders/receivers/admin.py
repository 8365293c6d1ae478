"""Who looked at a receiver."""

from typing import ClassVar

from django.contrib import admin

from oms_project.readonly import SteppedAdmin, WordsFilter
from orders.receivers.models import ReceiverReveal


@admin.register(ReceiverReveal)
class ReceiverRevealAdmin(SteppedAdmin):
    list_display = ["revealed_at", "staff", "order", "door"]
    list_filter = [("door", WordsFilter)]
    words: ClassVar = {"door": {"admin": "后台", "api": "小程序", "chat": "群聊"}}
    list_select_related = ["staff", "order"]
    search_fields = ["order__order_no", "staff__name", "staff__phone"]
    ordering = ["-revealed_at"]
