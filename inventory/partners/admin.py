"""Keys of other systems, on screen."""

from django.contrib import admin

from inventory.models import ApiKey
from oms_project.readonly import SteppedAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(SteppedAdmin):
    list_display = ["name", "prefix", "dealer", "may_read", "may_write", "is_active", "made_at", "used_at"]
    list_select_related = ["dealer"]
    list_filter = ["is_active"]
    search_fields = ["name", "prefix"]
    exclude = ["digest"]
