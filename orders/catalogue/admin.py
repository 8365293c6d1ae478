"""Products and what they consist of."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from orders.catalogue.models import Product, ProductPart


class ProductPartInline(TabularInline):
    model = ProductPart
    extra = 0
    raw_id_fields = ["sku"]


@admin.register(Product)
class ProductAdmin(ModelAdmin):
    list_display = ["code", "name", "consists_of", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["code", "name"]
    inlines = [ProductPartInline]
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        return super().get_queryset(request).prefetch_related("parts__sku")

    @admin.display(description="组成")
    def consists_of(self, product: Product) -> str:
        return "、".join(f"{part.sku.name}×{part.quantity}" for part in product.parts.all())
