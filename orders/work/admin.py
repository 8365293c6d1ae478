"""Pieces of work to look at."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from oms_project.readonly import ReadOnlyInline, SteppedAdmin
from orders.work.models import FulfillmentLine, FulfillmentOrder


class FulfillmentLineInline(ReadOnlyInline):
    model = FulfillmentLine
    fields = ["sku", "quantity"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FulfillmentLine]:
        return super().get_queryset(request).select_related("sku", "order_line")


@admin.register(FulfillmentOrder)
class FulfillmentOrderAdmin(SteppedAdmin):
    list_display = [
        "fo_no", "state", "dealer", "node", "is_pinned", "stuck_reason", "summary", "needs_install", "paid_fen", "moved_at",
    ]  # fmt: skip
    list_filter = ["state", "is_pinned", "needs_install", "dealer"]
    list_select_related = ["dealer", "node"]
    search_fields = ["fo_no", "order__order_no"]
    ordering = ["-opened_at"]
    inlines = [FulfillmentLineInline]
    fields = [
        ("fo_no", "state"), ("order", "paid_fen"), ("dealer", "node"), ("is_pinned", "stuck_reason"),
        ("summary", "needs_install"), ("opened_at", "accepted_at"), "moved_at",
    ]  # fmt: skip
