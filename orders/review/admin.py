"""The review queue: release, match again, name the district."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from dealers.divisions import queries as divisions
from dealers.models import Division, Staff
from oms_project.money import yuan
from oms_project.readonly import SteppedAdmin
from oms_project.refusal import Refusal
from orders.lifecycle.models import Order, OrderHold
from orders.review import actions as review
from orders.review import queries

_BETWEEN_TAGS = re.compile(r"[,，、;；\s]+")
_UNSPOKEN = {"市辖区", "县"}


class ReviewForm(ActionForm):
    """What the buttons of the review queue need."""

    note = forms.CharField(label="处理备注", max_length=200, required=False, widget=UnfoldAdminTextInputWidget())
    division = forms.CharField(
        label="区县代码或名称",
        max_length=40,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "修正地址时填写，如 320506"}),
    )
    tags = forms.CharField(
        label="标签",
        max_length=400,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "改标签时填写，如 VIP、小时达"}),
    )


class OpenFilter(admin.SimpleListFilter):
    """Open holds unless somebody asks for the others."""

    title = "进度"
    parameter_name = "progress"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("released", "已处理"), ("all", "全部")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "待处理"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OrderHold]) -> QuerySet[OrderHold]:
        if self.value() == "all":
            return queryset
        return queryset.filter(released_at__isnull=self.value() != "released")


@admin.register(OrderHold)
class OrderHoldAdmin(SteppedAdmin):
    list_display = [
        "order_no",
        "reason",
        "detail",
        "all_reasons",
        "region",
        "tags_shown",
        "paid_shown",
        "opened_at",
        "released_at",
        "released_by",
    ]
    list_filter = [OpenFilter, "reason"]
    list_select_related = ["order", "released_by"]
    search_fields = ["order__order_no", "order__external_id"]
    ordering = ["opened_at"]
    action_form = ReviewForm
    actions = ["release", "match_again", "fix_address", "tag"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderHold]:
        return super().get_queryset(request).prefetch_related("order__holds")

    @admin.display(description="订单", ordering="order__order_no")
    def order_no(self, hold: OrderHold) -> str:
        return hold.order.order_no

    @admin.display(description="全部待处理原因")
    def all_reasons(self, hold: OrderHold) -> str:
        return queries.reasons_of(hold.order.holds.all())

    @admin.display(description="地区")
    def region(self, hold: OrderHold) -> str:
        return hold.order.region

    @admin.display(description="标签")
    def tags_shown(self, hold: OrderHold) -> str:
        return "、".join(hold.order.tags) or "—"

    @admin.display(description="实付", ordering="order__paid_fen")
    def paid_shown(self, hold: OrderHold) -> str:
        return yuan(hold.order.paid_fen)

    @admin.action(description="放行", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[OrderHold]) -> None:
        note = request.POST.get("note", "")
        for hold in queryset:
            _tell(
                request,
                hold.order,
                f"已放行「{hold.get_reason_display()}」",
                partial(review.release_hold, hold=hold, staff=_staff(request), note=note, at=timezone.now()),
            )

    @admin.action(description="重试匹配商品", permissions=["change"])
    def match_again(self, request: HttpRequest, queryset: QuerySet[OrderHold]) -> None:
        for order in _orders(queryset):
            try:
                went_on = review.retry_review(order=order, staff=_staff(request), at=timezone.now())
            except Refusal as refusal:
                messages.error(request, f"{order.order_no}：{refusal.message}")
                continue
            still = "、".join(hold.get_reason_display() for hold in OrderHold.objects.filter(order=order, released_at=None))
            told = "审核通过，进入派单" if went_on else f"仍待处理：{still}"
            messages.add_message(request, messages.SUCCESS if went_on else messages.WARNING, f"{order.order_no}：{told}")

    @admin.action(description="修正收货地区", permissions=["change"])
    def fix_address(self, request: HttpRequest, queryset: QuerySet[OrderHold]) -> None:
        given = request.POST.get("division", "").strip()
        counties = Division.objects.filter(level=Division.Level.COUNTY, valid_to=None).select_related("parent__parent")
        found = list(counties.filter(code__in=divisions.current_codes(given)) or counties.filter(name=given)[:5])
        if len(found) != 1:
            choices = "、".join(f"{division.code} {_full_name(division)}" for division in found)
            messages.error(request, f"请改用区县代码：{choices}" if found else "请填写正确的区县代码或名称")
            return
        region = _full_name(found[0])
        for order in _orders(queryset.filter(reason=OrderHold.Reason.ADDRESS)):
            _tell(
                request,
                order,
                f"收货地区改为 {region}",
                partial(
                    review.fix_address,
                    order=order,
                    division_code=found[0].code,
                    region=region,
                    staff=_staff(request),
                    at=timezone.now(),
                ),
            )

    @admin.action(description="改标签（不填即去掉）", permissions=["change"])
    def tag(self, request: HttpRequest, queryset: QuerySet[OrderHold]) -> None:
        """Tags say which routing rules an order meets."""
        tags = [word for word in _BETWEEN_TAGS.split(request.POST.get("tags", "")) if word]
        told = f"标签改为 {'、'.join(tags)}" if tags else "标签已去掉"
        for order in _orders(queryset):
            _tell(
                request, order, told, partial(review.tag_order, order=order, tags=tags, staff=_staff(request), at=timezone.now())
            )


def _staff(request: HttpRequest) -> Staff:
    return cast(Staff, request.user)


def _orders(holds: QuerySet[OrderHold]) -> list[Order]:
    return list(Order.objects.filter(pk__in=holds.values("order_id")).order_by("pk"))


def _full_name(division: Division) -> str:
    spoken = [division.name]
    while division.parent:
        division = division.parent
        if division.name not in _UNSPOKEN:
            spoken.append(division.name)
    return "".join(reversed(spoken))


def _tell(request: HttpRequest, order: Order, done: str, act: Callable[[], None]) -> None:
    try:
        act()
    except Refusal as refusal:
        messages.error(request, f"{order.order_no}：{refusal.message}")
    else:
        messages.success(request, f"{order.order_no}：{done}")
