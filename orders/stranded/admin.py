"""无法派单: the queue of orders that nobody can serve, and the page on which a person places one."""

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime
from unfold.admin import ModelAdmin

from dealers.models import Staff
from oms_project.money import yuan
from oms_project.readonly import SteppedAdmin
from oms_project.refusal import Refusal, Stale
from orders.lifecycle.models import Order, StrandedOrder
from orders.stranded import actions as stranded
from orders.stranded import queries

MOST_GOODS = 3


class QueueFilter(admin.SimpleListFilter):
    """Who waits, unless somebody asks for those whose money is due back."""

    title = "队列"
    parameter_name = "queue"
    words: ClassVar = {"refund": "已取消待退款", "all": "全部"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.words.items())

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "等待中"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StrandedOrder]) -> QuerySet[StrandedOrder]:
        if self.value() == "all":
            return queryset
        return queryset & (queries.refunds_due() if self.value() == "refund" else queries.waiting_rows())


@admin.register(StrandedOrder)
class StrandedOrderAdmin(SteppedAdmin):
    list_display = ("order_no", "waited", "why", "goods", "region", "paid", "state_told", "tries", "ends")
    list_filter = (QueueFilter,)
    list_select_related = ("order",)
    search_fields = ("order__order_no__exact", "order__external_id__exact")
    ordering = ("since", "id")
    actions = ("try_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StrandedOrder]:
        return super().get_queryset(request).prefetch_related("order__lines")

    @admin.display(description="订单")
    def order_no(self, row: StrandedOrder) -> str:
        return row.order.order_no

    @admin.display(description="已等待", ordering="since")
    def waited(self, row: StrandedOrder) -> str:
        return waited(int(((row.cancelled_at or timezone.now()) - row.since).total_seconds()))

    @admin.display(description="原因")
    def why(self, row: StrandedOrder) -> str:
        return "；".join(row.reasons) or "—"

    @admin.display(description="商品")
    def goods(self, row: StrandedOrder) -> str:
        lines = sorted(row.order.lines.all(), key=lambda line: line.position)
        told = "、".join(f"{line.title} ×{line.quantity}" for line in lines[:MOST_GOODS])
        more = f" 等 {len(lines)} 行" if len(lines) > MOST_GOODS else ""
        return told + more

    @admin.display(description="地区")
    def region(self, row: StrandedOrder) -> str:
        return row.order.region

    @admin.display(description="实付")
    def paid(self, row: StrandedOrder) -> str:
        return yuan(row.order.paid_fen)

    @admin.display(description="状态")
    def state_told(self, row: StrandedOrder) -> str:
        if row.cancelled_at:
            is_due = row.order.refunded_fen < row.order.paid_fen and row.order.channel_status != Order.ChannelStatus.CLOSED
            return "已取消，待退款" if is_due else "已取消"
        return "待人工" if row.order.state == Order.State.HELD else "自动重试"

    @admin.display(description="到时取消", ordering="cancel_at")
    def ends(self, row: StrandedOrder) -> str:
        moment = row.cancelled_at or row.cancel_at
        return f"{localtime(moment):%m-%d %H:%M}" if moment else "一直等"

    @admin.action(description="立即重新派单", permissions=["change"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[StrandedOrder]) -> None:
        ids = list(queryset.order_by("since", "id").values_list("order_id", flat=True)[: stranded.RETRY_PAGE + 1])
        try:
            routed = stranded.try_again(order_ids=ids, staff=_staff(request), at=timezone.now())
        except Refusal as refusal:
            messages.error(request, refusal.message)
        else:
            level = messages.SUCCESS if routed == len(ids) else messages.WARNING
            messages.add_message(request, level, f"已派出 {routed} 单，仍无法派单 {len(ids) - routed} 单")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = StrandedOrder.objects.select_related("order").filter(pk=object_id).first() if object_id.isdigit() else None
        if row is None:
            raise Http404
        may_place = ModelAdmin.has_change_permission(self, request)
        given: dict[str, str] = {}
        if request.method == "POST":
            if not may_place:
                raise PermissionDenied
            given = request.POST.dict()
            if done := self._place(request, row, given):
                return done
        at = timezone.now()
        seen = queries.placing_of(row.order_id, at) if row.cancelled_at is None else None
        lines = [{"line": line, "given": given.get(f"line-{line.line_id}", "")} for line in (seen.lines if seen else ())]
        context = {
            **self.admin_site.each_context(request), "title": f"无法派单 {row.order.order_no}", "opts": self.opts, "row": row,
            "seen": seen, "lines": lines, "whole": given.get("whole", ""), "may_place": may_place and seen is not None,
            "waited": self.waited(row), "state": self.state_told(row), "ends": self.ends(row),
        }  # fmt: skip
        return TemplateResponse(request, "stranded/place.html", context)

    def _place(self, request: HttpRequest, row: StrandedOrder, given: dict[str, str]) -> HttpResponse | None:
        """Do what the form says; None where it was refused, so that the person can correct it."""
        whole = given.get("whole", "").strip()
        places = {int(name[5:]): code for name, code in given.items() if name.startswith("line-") and name[5:].isdigit()}
        places = {line_id: code.strip() or whole for line_id, code in places.items()}
        try:
            numbers = stranded.place_order(order_id=row.order_id, places=places, staff=_staff(request), at=timezone.now())
        except Stale as refusal:
            messages.error(request, refusal.message)
            return redirect("admin:orders_strandedorder_changelist")
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return None
        messages.success(request, f"{row.order.order_no} 已派单：{'、'.join(numbers)}")
        return redirect(f"{reverse('admin:orders_fulfillmentorder_changelist')}?q={row.order.order_no}")


def waited(seconds: int) -> str:
    """How long something has waited, as people say it."""
    minutes = max(0, seconds) // 60
    if minutes < 60:
        return f"{minutes} 分钟"
    return f"{minutes // 60} 小时 {minutes % 60} 分" if minutes < 1440 else f"{minutes // 1440} 天 {minutes % 1440 // 60} 小时"


def _staff(request: HttpRequest) -> Staff:
    return cast(Staff, request.user)
