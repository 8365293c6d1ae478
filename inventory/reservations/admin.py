"""What is promised to whom, to look at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from inventory.reservations.models import Reservation


@admin.register(Reservation)
class ReservationAdmin(ModelAdmin):
    list_display = ["bill", "level", "quantity", "state", "held_at", "expires_at", "closed_at"]
    list_select_related = ["level"]
    list_filter = ["state"]
    search_fields = ["bill"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
