"""What is promised to whom, to look at."""

from django.contrib import admin

from inventory.reservations.models import Reservation
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ["bill", "node", "sku", "quantity", "state", "held_at", "expires_at", "closed_at"]
    list_select_related = ["level__node", "level__sku"]
    list_filter = ["state"]
    search_fields = ["bill"]

    @admin.display(description="仓库")
    def node(self, reservation: Reservation) -> str:
        return reservation.level.node.name

    @admin.display(description="SKU")
    def sku(self, reservation: Reservation) -> str:
        return str(reservation.level.sku)
