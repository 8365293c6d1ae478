"""Refunds to look at; an order's own page is the desk's."""

from django.contrib import admin

from oms_project.readonly import ReadOnlyAdmin
from orders.lifecycle.models import Refund


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ["refund_key", "order", "external_line_id", "amount_fen", "refunded_at"]
    list_select_related = ["order"]
    search_fields = ["=refund_key", "=order__order_no"]
