"""Parcels, visits and codes, to look at; they change only through the work's own steps."""

from typing import ClassVar

from django.contrib import admin

from oms_project.readonly import ReadOnlyAdmin, WordsFilter
from orders.fulfilment.models import Appointment, Parcel, RedeemCode

# The usual codes; a carrier that people typed themselves is shown as they typed it.
CARRIERS = {
    "self": "自送", "sf": "顺丰", "jd": "京东", "deppon": "德邦", "zto": "中通", "yto": "圆通", "sto": "申通", "yunda": "韵达",
    "jtexpress": "极兔", "anneng": "安能", "ems": "邮政",
}  # fmt: skip


@admin.register(Parcel)
class ParcelAdmin(ReadOnlyAdmin):
    list_display = ["work", "carrier", "tracking_no", "shipped_at", "shipped_by", "delivered_at"]
    list_select_related = ["work", "shipped_by"]
    list_filter = [("carrier", WordsFilter)]
    words: ClassVar = {"carrier": CARRIERS}
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
