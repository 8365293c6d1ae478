"""Stock on screen: places, levels taken apart, movements; corrections are posted like everything else."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.forms import ActionForm

from inventory.ledger import actions
from inventory.ledger.models import Level, Movement, Node, NodeGroup, StockRepair, StockRule
from inventory.ledger.rules import NewMovement
from oms_project.readonly import ReadOnlyAdmin
from oms_project.refusal import Refusal


@admin.register(Node)
class NodeAdmin(ModelAdmin):
    list_display = ["code", "name", "kind", "dealer", "division_code", "is_active", "is_paused", "pool"]
    list_select_related = ["dealer"]
    list_filter = ["kind", "is_active", "is_paused"]
    search_fields = ["code", "name"]

    @admin.display(description="库存池")
    def pool(self, node: Node) -> str:
        return format_html('<a href="{}">查看</a>', reverse("admin:inventory_pool_node", args=[node.pk]))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.save_node(node=obj, actor=f"staff:{request.user.pk}", at=timezone.now())


@admin.register(NodeGroup)
class NodeGroupAdmin(ModelAdmin):
    list_display = ["code", "name"]
    search_fields = ["code", "name"]
    filter_horizontal = ["nodes"]


@admin.register(StockRule)
class StockRuleAdmin(ModelAdmin):
    list_display = [
        "name", "node_kind", "node", "dealer", "category", "sku", "safety_stock", "share_percent", "share_cap", "keep_back",
        "fresh_hours", "max_stock", "ownership", "is_active",
    ]  # fmt: skip
    list_select_related = ["node", "dealer", "sku"]
    list_filter = ["is_active", "node_kind", "ownership"]
    search_fields = ["name", "node__code", "sku__code"]
    autocomplete_fields = ["node", "dealer", "sku"]


@admin.register(StockRepair)
class StockRepairAdmin(ReadOnlyAdmin):
    list_display = ["repaired_at", "node", "sku", "way", "before", "after", "reason", "actor"]
    list_select_related = ["node", "sku"]
    list_filter = ["way"]
    search_fields = ["node__code", "sku__code"]


class AdjustmentForm(ActionForm):
    """How much and why; the token makes a form that is sent twice count once."""

    quantity = forms.IntegerField(label="调整数量（可为负）", required=False)
    reason = forms.CharField(label="原因", max_length=120, required=False)
    token = forms.CharField(label="", widget=forms.HiddenInput, required=False, initial=lambda: uuid4().hex)


@admin.register(Level)
class LevelAdmin(ModelAdmin):
    list_display = ["node", "sku", "on_hand", "held", "safety_stock", "sellable_units", "pool"]
    list_select_related = ["node", "sku"]
    list_filter = ["node__kind"]
    search_fields = ["node__code", "node__name", "sku__code", "sku__name"]
    autocomplete_fields = ["node", "sku"]
    fields = ["node", "sku", "on_hand", "held", "safety_stock"]
    action_form = AdjustmentForm
    actions = ["adjust"]

    def get_readonly_fields(self, request: HttpRequest, obj: Level | None = None) -> list[str]:
        return ["on_hand", "held", *(["node", "sku"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="库存池")
    def pool(self, level: Level) -> str:
        return format_html('<a href="{}">查看</a>', reverse("admin:inventory_pool_change", args=[level.sku_id]))

    @admin.display(description="可售")
    def sellable_units(self, level: Level) -> int:
        return level.sellable(timezone.now())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            actions.set_safety_stock(
                level=obj, safety_stock=obj.safety_stock, actor=f"staff:{request.user.pk}", at=timezone.now()
            )
        else:
            super().save_model(request, obj, form, change)

    @admin.action(description="调整所选库存", permissions=["change"])
    def adjust(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        form = AdjustmentForm(request.POST)
        del form.fields["action"]
        quantity = form.cleaned_data.get("quantity") if form.is_valid() else None
        if not quantity or not form.cleaned_data["reason"]:
            self.message_user(request, "请填写不为 0 的调整数量和原因", messages.ERROR)
            return
        token = form.cleaned_data["token"] or uuid4().hex
        movements = [
            NewMovement(
                level.node_id, level.sku_id, "adjustment", quantity, f"adjust:{token}:{level.pk}", form.cleaned_data["reason"]
            )
            for level in levels
        ]
        try:
            posted = actions.post(movements=movements, actor=f"staff:{request.user.pk}", at=timezone.now())
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
        else:
            self.message_user(request, f"已调整 {posted} 处库存")


@admin.register(Movement)
class MovementAdmin(ReadOnlyAdmin):
    list_display = ["moved_at", "node", "sku", "kind", "quantity", "reason", "actor", "source_key"]
    list_select_related = ["node", "sku"]
    list_filter = ["kind"]
    search_fields = ["source_key", "sku__code", "node__code"]
