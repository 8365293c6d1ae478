"""An order on one page, with everything that became of it."""

from typing import ClassVar, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dealers.models import Staff
from oms_project.readonly import ReadOnlyInline, SteppedAdmin, WordsFilter
from oms_project.refusal import Refusal
from orders.models import FulfillmentOrder, Order, OrderHold, OrderLine, Refund
from orders.receivers import actions as receivers

CHANNELS = {"doudian": "抖店"}


class OrderLineInline(ReadOnlyInline):
    model = OrderLine
    fields = ["position", "sold_code", "title", "sku", "quantity", "paid_fen", "fulfilled_quantity", "cancelled_quantity"]
    ordering = ["position"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        return super().get_queryset(request).select_related("sku")


class WorkInline(ReadOnlyInline):
    model = FulfillmentOrder
    fields = ["fo_no", "state", "dealer", "node", "summary", "paid_fen", "moved_at"]
    ordering = ["pk"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[FulfillmentOrder]:
        return super().get_queryset(request).select_related("dealer", "node")


class OrderHoldInline(ReadOnlyInline):
    model = OrderHold
    fields = ["reason", "detail", "opened_at", "released_at", "released_by", "note"]
    ordering = ["-opened_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderHold]:
        return super().get_queryset(request).select_related("released_by")


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["refund_key", "external_line_id", "amount_fen", "refunded_at"]


@admin.register(Order)
class OrderAdmin(SteppedAdmin):
    list_display = ["order_no", "state", "channel_status", "region", "receiver_masked", "paid_fen", "anchor", "placed_at"]
    list_filter = ["state", ("channel", WordsFilter), "channel_status", "has_note"]
    words: ClassVar = {"channel": CHANNELS}
    search_fields = ["order_no", "external_id"]
    ordering = ["-placed_at"]
    actions = ["reveal"]
    inlines = [OrderLineInline, WorkInline, OrderHoldInline, RefundInline]
    fields = [
        ("order_no", "state"), ("channel", "shop"), ("external_id", "channel_status"), ("paid_at", "placed_at"),
        ("goods_fen", "freight_fen"), ("paid_fen", "refunded_fen"), ("region", "division_code"), ("receiver_masked", "has_note"),
        ("live_session", "anchor"), "tags_shown",
    ]  # fmt: skip

    readonly_fields = ["tags_shown"]

    @admin.display(description="标签")
    def tags_shown(self, order: Order) -> str:
        return "、".join(order.tags) or "—"

    @admin.action(description="查看收件人（留痕，一次一单）", permissions=["view"])
    def reveal(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        order = queryset.first() if queryset.count() == 1 else None
        if order is None:
            messages.error(request, "请只选择一张订单")
            return
        staff = cast(Staff, request.user)
        try:
            receiver = receivers.reveal_order_receiver(order=order, staff=staff, door="admin", at=timezone.now())
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return
        note = f"；留言：{receiver.note}" if receiver.note else ""
        messages.info(request, f"{order.order_no}：{receiver.name} {receiver.phone} {order.region}{receiver.detail}{note}")
