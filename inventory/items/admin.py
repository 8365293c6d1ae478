"""SKUs."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from inventory.items.models import Sku
from oms_project.readonly import InWords


@admin.register(Sku)
class SkuAdmin(InWords, ModelAdmin):
    list_display = ["code", "name", "kind", "category", "supply_price_fen", "install_skill", "is_active"]
    list_filter = ["kind", "category", "is_active"]
    search_fields = ["code", "name"]
