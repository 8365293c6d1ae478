"""SKUs."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from inventory.items.models import Sku
from oms_project.readonly import InWords


@admin.register(Sku)
class SkuAdmin(InWords, ModelAdmin):
    list_display = ["code", "name", "kind", "category", "supply_price_fen", "install_skill", "is_active", "pool"]
    list_filter = ["kind", "category", "is_active"]
    search_fields = ["code", "name"]

    @admin.display(description="库存池")
    def pool(self, sku: Sku) -> str:
        return format_html('<a href="{}">查看</a>', reverse("admin:inventory_pool_change", args=[sku.pk]))
