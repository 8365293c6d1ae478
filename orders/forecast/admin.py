"""Scarcity prices as they were foreseen, and the button that foresees anew."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.forms import ActionForm

from dealers.models import Staff
from oms_project.money import yuan
from oms_project.readonly import ReadOnlyAdmin, SteppedAdmin
from oms_project.refusal import Refusal
from orders.forecast import actions as forecast
from orders.scarcity.models import Forecast, ForecastPrice


class SourceForm(ActionForm):
    """Whose orders '重新计算' goes by."""

    live = forms.CharField(max_length=40, required=False, label="直播场次（留空按所选预测的依据）")


@admin.register(Forecast)
class ForecastAdmin(SteppedAdmin):
    list_display = ["made_at", "source_told", "orders", "price_count", "expires_at", "actor"]
    ordering = ("-made_at",)
    action_form = SourceForm
    actions = ("work_out_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Forecast]:
        return super().get_queryset(request).annotate(price_count=Count("prices"))

    @admin.display(description="依据")
    def source_told(self, made: Forecast) -> str:
        return f"直播场次 {made.source}" if made.source else "最近一天的订单"

    @admin.display(description="稀缺价个数")
    def price_count(self, made: Any) -> int:
        return int(made.price_count)

    @admin.action(description="重新计算（立即生效）", permissions=["change"])
    def work_out_again(self, request: HttpRequest, queryset: QuerySet[Forecast]) -> None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            messages.error(request, "请只选择一个预测")
            return
        live = request.POST.get("live", "").strip() or chosen[0].source
        actor = f"staff:{cast(Staff, request.user).pk}"
        try:
            made = forecast.forecast_prices(actor=actor, at=timezone.now(), live_session=live)
        except Refusal as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, f"已按 {made.orders} 个订单算出 {made.prices.count()} 个稀缺价")


@admin.register(ForecastPrice)
class ForecastPriceAdmin(ReadOnlyAdmin):
    list_display = ["forecast", "node", "sku", "dealer", "fen_told"]
    list_select_related = ["forecast", "node", "sku", "dealer"]
    list_filter = ["forecast"]
    search_fields = ["=sku__code", "=node__code", "=dealer__code"]
    ordering = ("-forecast_id", "-fen", "id")

    @admin.display(description="稀缺价", ordering="fen")
    def fen_told(self, price: ForecastPrice) -> str:
        return yuan(price.fen) + (" / 单" if price.dealer_id else " / 件")
