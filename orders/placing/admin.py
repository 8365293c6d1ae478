"""The offers as they stand, by deadline, with the operator's two buttons."""

from typing import cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.forms import ActionForm

from dealers.models import Staff
from inventory.models import Node
from oms_project.readonly import SteppedAdmin
from oms_project.refusal import Refusal
from orders.offers import actions as offers
from orders.offers.models import Offer
from orders.placing import actions as placing


class PlaceForm(ActionForm):
    """Where '手工改派' puts the work."""

    node = forms.ModelChoiceField(Node.objects.filter(is_active=True), required=False, label="改派到", empty_label="改派到…")


@admin.register(Offer)
class OfferAdmin(SteppedAdmin):
    list_display = ("offer_no", "dealer", "work_summary", "state", "round", "income_fen", "expires_at", "decline_reason")
    list_filter = ("state", "work__state", "decline_reason", "dealer")
    list_select_related = ("dealer", "work")
    search_fields = ("offer_no", "work__order__order_no")
    ordering = ("expires_at",)
    action_form = PlaceForm
    actions = ("withdraw", "place_by_hand")
    fields = (
        ("offer_no", "state"), ("work", "work_summary"), ("dealer", "node"), ("round", "ladder_step"),
        ("income_fen", "income_told"),
        ("opened_at", "expires_at"), ("answered_by", "answered_at"), ("decline_reason", "note"),
    )  # fmt: skip
    readonly_fields = ("work_summary", "income_told")

    @admin.display(description="收入明细")
    def income_told(self, offer: Offer) -> SafeString:
        """How the income comes about, as it was promised; what an anchor earns is not the dealer's."""
        mine = (part for part in offer.income if not part["payee"].startswith("anchor:"))
        return format_html_join("", "<p>{}</p>", ((part["explain"],) for part in mine)) or mark_safe("—")

    @admin.display(description="货物")
    def work_summary(self, offer: Offer) -> str:
        return offer.work.summary

    @admin.action(description="撤回要约（系统派给下一家）", permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Offer]) -> None:
        for offer in queryset:
            try:
                offers.withdraw_offer(offer_no=offer.offer_no, staff=cast(Staff, request.user), at=timezone.now())
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
                placing.place_by_hand(fo_no=fo_no, node_id=int(node_id), staff=cast(Staff, request.user), at=timezone.now())
            except Refusal as refusal:
                messages.error(request, f"{fo_no}：{refusal.message}")
            else:
                messages.success(request, f"{fo_no}：已改派")
