"""Parcels, visits and codes, to look at; they change only through the work's own steps."""

from django.contrib import admin

from oms_project.readonly import ReadOnlyAdmin
from orders.fulfilment.models import Appointment, Parcel, RedeemCode


@admin.register(Parcel)
class ParcelAdmin(ReadOnlyAdmin):
    list_display = ["work", "carrier", "tracking_no", "shipped_at", "shipped_by", "delivered_at"]
    list_select_related = ["work", "shipped_by"]
    list_filter = ["carrier"]
    search_fields = ["tracking_no", "work__fo_no"]


@admin.register(Appointment)
class AppointmentAdmin(ReadOnlyAdmin):
    list_display = ["work", "visit_from", "visit_to", "installer", "replaced_at", "installed_at"]
    list_select_related = ["work", "installer"]
    search_fields = ["work__fo_no"]


@admin.register(RedeemCode)
class RedeemCodeAdmin(ReadOnlyAdmin):
    """The code itself is not shown in lists or on the page."""

    list_display = ["work", "wrong_tries", "made_at", "used_at"]
    list_select_related = ["work"]
    fields = ["work", "wrong_tries", "made_at", "used_at"]
    search_fields = ["work__fo_no"]
