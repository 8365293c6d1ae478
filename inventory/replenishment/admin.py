"""Transfers on screen."""

from django.contrib import admin

from inventory.models import Transfer, TransferLine
from oms_project.readonly import ReadOnlyInline, SteppedAdmin


class TransferLineInline(ReadOnlyInline):
    model = TransferLine
    fields = ["sku", "requested", "approved", "shipped", "received", "lost"]


@admin.register(Transfer)
class TransferAdmin(SteppedAdmin):
    list_display = ["transfer_no", "source", "target", "state", "requested_at", "expected_on", "requested_by"]
    list_select_related = ["source", "target"]
    list_filter = ["state"]
    search_fields = ["transfer_no", "source__code", "target__code"]
    inlines = [TransferLineInline]
