"""SKUs."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from inventory.items.models import Sku


@admin.register(Sku)
class SkuAdmin(ModelAdmin):
    list_display = ["code", "name", "kind", "category", "install_skill", "is_active"]
    list_filter = ["kind", "category", "is_active"]
    search_fields = ["code", "name"]
