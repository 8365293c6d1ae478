"""What is promised to whom, to look at."""

from django.contrib import admin

from inventory.reservations.models import Reservation
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ["bill", "kind", "place", "goods", "quantity", "state", "held_at", "expires_at", "closed_at"]
    list_select_related = ["level__node", "level__sku", "incoming__node", "incoming__sku", "sku"]
    list_filter = ["state", "kind"]
    search_fields = ["bill", "lock_no"]

    @admin.display(description="仓库")
    def place(self, reservation: Reservation) -> str:
        standing = reservation.level or reservation.incoming
        return standing.node.name if standing else "待分配"

    @admin.display(description="SKU")
    def goods(self, reservation: Reservation) -> str:
        standing = reservation.level or reservation.incoming
        return str(standing.sku if standing else reservation.sku)
