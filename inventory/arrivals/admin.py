"""Goods on their way, on screen."""

from django.contrib import admin

from inventory.models import Incoming
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Incoming)
class IncomingAdmin(ReadOnlyAdmin):
    list_display = ["node", "sku", "quantity", "received", "promised", "expected_on", "state", "source_key"]
    list_select_related = ["node", "sku"]
    list_filter = ["state", "expected_on"]
    search_fields = ["source_key", "sku__code", "node__code"]
