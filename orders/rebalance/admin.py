"""The looks at open orders that changed something, to look at."""

from django.contrib import admin

from oms_project.readonly import ReadOnlyAdmin
from orders.rebalance.models import RebalancePass


@admin.register(RebalancePass)
class RebalancePassAdmin(ReadOnlyAdmin):
    list_display = ["started_at", "looked", "moved", "dropped", "saved_fen", "took_ms", "is_running"]
    ordering = ("-started_at",)
