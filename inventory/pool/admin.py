"""What channels are told of our stock, on screen."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from inventory.models import PublishedStock, PublishRule
from oms_project.readonly import ReadOnlyAdmin


@admin.register(PublishRule)
class PublishRuleAdmin(ModelAdmin):
    list_display = ["channel", "shop", "sku", "category", "percent", "plus", "floor", "ceiling", "is_active"]
    list_select_related = ["sku"]
    list_filter = ["channel", "is_active"]
    search_fields = ["shop", "sku__code"]
    autocomplete_fields = ["sku", "group"]


@admin.register(PublishedStock)
class PublishedStockAdmin(ReadOnlyAdmin):
    list_display = ["channel", "shop", "sku", "quantity", "sellable", "version", "changed_at"]
    list_select_related = ["sku"]
    list_filter = ["channel"]
    search_fields = ["shop", "sku__code"]
