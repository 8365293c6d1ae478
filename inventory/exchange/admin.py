"""Imported spreadsheets on screen."""

from django.contrib import admin

from inventory.models import StockFile, StockFileRow
from oms_project.readonly import ReadOnlyAdmin


@admin.register(StockFile)
class StockFileAdmin(ReadOnlyAdmin):
    list_display = ["file_no", "name", "purpose", "state", "total_rows", "bad_rows", "done_rows", "actor", "uploaded_at"]
    list_filter = ["state", "purpose"]
    search_fields = ["file_no", "name"]
    exclude = ["body"]


@admin.register(StockFileRow)
class StockFileRowAdmin(ReadOnlyAdmin):
    list_display = ["file", "number", "node", "sku", "quantity", "change", "state", "problem"]
    list_select_related = ["file", "node", "sku"]
    list_filter = ["state"]
    search_fields = ["file__file_no"]
