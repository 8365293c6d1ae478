"""What is promised to whom, to look at."""

from django.contrib import admin

from inventory.reservations.models import Reservation
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ["bill", "level", "quantity", "state", "held_at", "expires_at", "closed_at"]
    list_select_related = ["level"]
    list_filter = ["state"]
    search_fields = ["bill"]
