"""Stock locks on screen."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from inventory.models import StockLock
from oms_project.readonly import InWords


@admin.register(StockLock)
class StockLockAdmin(InWords, ModelAdmin):
    list_display = ["lock_no", "name", "claim", "sku", "mode", "amount", "priority", "starts_at", "ends_at", "state"]
    list_select_related = ["sku"]
    list_filter = ["state", "mode"]
    search_fields = ["lock_no", "name", "claim", "sku__code"]
    autocomplete_fields = ["sku", "group"]
