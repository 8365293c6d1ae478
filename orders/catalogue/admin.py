"""What is sold, and what it consists of, on screen."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from orders.catalogue.models import Product, ProductPart


class PartInline(TabularInline):
    model = ProductPart
    extra = 0
    autocomplete_fields = ["sku"]


@admin.register(Product)
class ProductAdmin(ModelAdmin):
    list_display = ["code", "name", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["code", "name"]
    inlines = [PartInline]
