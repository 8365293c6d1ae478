"""Ladders to configure, and the offers as they stand: by deadline, with the operator's two buttons."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import ActionForm

from dealers.models import Staff
from inventory.models import Node
from oms_project.money import yuan
from oms_project.refusal import Refusal
from orders.dispatch import actions as dispatch
from orders.dispatch.models import LadderPolicy, LadderStep, Offer


class LadderStepInline(TabularInline):
    model = LadderStep
    extra = 0
    ordering = ("position",)


@admin.register(LadderPolicy)
class LadderPolicyAdmin(ModelAdmin):
    list_display = ("name", "channel", "priority", "is_active", "steps_shown")
    list_filter = ("is_active",)
    inlines = (LadderStepInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LadderPolicy]:
        return super().get_queryset(request).prefetch_related("steps")

    @admin.display(description="步骤")
    def steps_shown(self, policy: LadderPolicy) -> str:
        steps = sorted(policy.steps.all(), key=lambda step: step.position)
        return " → ".join(f"{step.get_target_display()} {step.seconds} 秒" for step in steps)


class PlaceForm(ActionForm):
    """Where '手工改派' puts the work."""

    node = forms.ModelChoiceField(Node.objects.filter(is_active=True), required=False, label="改派到", empty_label="改派到…")


@admin.register(Offer)
class OfferAdmin(ModelAdmin):
    list_display = ("offer_no", "dealer", "work_summary", "state", "round", "income_shown", "expires_at", "decline_reason")
    list_filter = ("state", "work__state", "decline_reason", "dealer")
    list_select_related = ("dealer", "work")
    search_fields = ("offer_no", "work__order__order_no")
    ordering = ("expires_at",)
    action_form = PlaceForm
    actions = ("withdraw", "place_by_hand")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    @admin.display(description="货物")
    def work_summary(self, offer: Offer) -> str:
        return offer.work.summary

    @admin.display(description="收入", ordering="income_fen")
    def income_shown(self, offer: Offer) -> str:
        return yuan(offer.income_fen)

    @admin.action(description="撤回要约（系统派给下一家）", permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Offer]) -> None:
        for offer in queryset:
            try:
                dispatch.withdraw_offer(offer_no=offer.offer_no, staff=cast(Staff, request.user), at=timezone.now())
            except Refusal as refusal:
                messages.error(request, f"{offer.offer_no}：{refusal.message}")
            else:
                messages.success(request, f"{offer.offer_no}：已撤回")

    @admin.action(description="手工改派", permissions=["change"])
    def place_by_hand(self, request: HttpRequest, queryset: QuerySet[Offer]) -> None:
        node_id = request.POST.get("node", "")
        if not node_id.isdigit():
            messages.error(request, "请先选择改派到哪个发货点")
            return
        for fo_no in sorted(set(queryset.values_list("work__fo_no", flat=True))):
            try:
                dispatch.place_by_hand(fo_no=fo_no, node_id=int(node_id), staff=cast(Staff, request.user), at=timezone.now())
            except Refusal as refusal:
                messages.error(request, f"{fo_no}：{refusal.message}")
            else:
                messages.success(request, f"{fo_no}：已改派")
