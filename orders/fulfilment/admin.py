"""Parcels, visits and codes, to look at; they change only through the work's own steps."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from orders.fulfilment.models import Appointment, Parcel, RedeemCode


class _ReadOnly(ModelAdmin):
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Parcel)
class ParcelAdmin(_ReadOnly):
    list_display = ["work", "carrier", "tracking_no", "shipped_at", "shipped_by", "delivered_at"]
    list_select_related = ["work", "shipped_by"]
    list_filter = ["carrier"]
    search_fields = ["tracking_no", "work__fo_no"]


@admin.register(Appointment)
class AppointmentAdmin(_ReadOnly):
    list_display = ["work", "visit_from", "visit_to", "installer", "replaced_at", "installed_at"]
    list_select_related = ["work", "installer"]
    search_fields = ["work__fo_no"]


@admin.register(RedeemCode)
class RedeemCodeAdmin(_ReadOnly):
    """The code itself is not shown in lists or on the page."""

    list_display = ["work", "wrong_tries", "made_at", "used_at"]
    list_select_related = ["work"]
    fields = ["work", "wrong_tries", "made_at", "used_at"]
    search_fields = ["work__fo_no"]
