"""The ledger on screen: places, groups, rules, movements and repairs; whatever is changed goes through the actions.

The page of levels is registered by the reservations, which add what they can do (see standing.py).
"""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from inventory.ledger import actions
from inventory.ledger.listing import Exported, SavedByActions, SearchedByPlace, actor_of
from inventory.ledger.models import Movement, Node, NodeGroup, StockRepair, StockRule
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Node)
class NodeAdmin(SavedByActions):
    list_display = ["code", "name", "kind", "dealer", "parent", "division_code", "is_active", "is_paused", "pool"]
    list_select_related = ["dealer", "parent"]
    list_filter = ["kind", "is_active", "is_paused"]
    search_fields = ["code", "name"]
    autocomplete_fields = ["parent", "dealer"]

    @admin.display(description="库存池")
    def pool(self, node: Node) -> str:
        return format_html('<a href="{}">查看</a>', reverse("admin:inventory_pool_node", args=[node.pk]))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.save_node(node=obj, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actions.delete_node(node=obj, actor=actor_of(request), at=timezone.now())


@admin.register(NodeGroup)
class NodeGroupAdmin(SavedByActions):
    list_display = ["code", "name"]
    search_fields = ["code", "name"]
    filter_horizontal = ["nodes"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saved with its places, in save_related."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        nodes = form.cleaned_data["nodes"]
        actions.save_node_group(group=form.instance, nodes=nodes, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actions.delete_node_group(group=obj, actor=actor_of(request), at=timezone.now())


@admin.register(StockRule)
class StockRuleAdmin(SavedByActions):
    list_display = [
        "name", "node_kind", "node", "dealer", "category", "sku", "safety_stock", "share_percent", "share_cap", "keep_back",
        "fresh_hours", "max_stock", "ownership", "is_active",
    ]  # fmt: skip
    list_select_related = ["node", "dealer", "sku"]
    list_filter = ["is_active", "node_kind", "ownership"]
    search_fields = ["name", "node__code", "sku__code"]
    autocomplete_fields = ["node", "dealer", "sku"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.save_stock_rule(rule=obj, actor=actor_of(request), at=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actions.delete_stock_rule(rule=obj, actor=actor_of(request), at=timezone.now())


@admin.register(StockRepair)
class StockRepairAdmin(ReadOnlyAdmin):
    list_display = ["repaired_at", "node", "sku", "incoming", "way", "before", "after", "reason", "actor"]
    list_select_related = ["node", "sku", "incoming"]
    list_filter = ["way"]
    search_fields = ["node__code", "sku__code"]


@admin.register(Movement)
class MovementAdmin(SearchedByPlace, Exported, ReadOnlyAdmin):
    list_display = ["moved_at", "node", "sku", "kind", "quantity", "reason", "actor", "source_key"]
    list_select_related = ["node", "sku"]
    list_filter = ["kind", "moved_at"]
    search_fields = ["=source_key", "sku__code", "node__code"]
    keys = ("source_key",)
    file_name = "出入库流水"
    file_columns = (
        ("时间", "moved_at"), ("仓库编码", "node__code"), ("仓库", "node__name"), ("SKU 编码", "sku__code"),
        ("商品", "sku__name"), ("类别", "kind"), ("数量", "quantity"), ("原因", "reason"), ("操作人", "actor"),
        ("来源键", "source_key"),
    )  # fmt: skip
    file_words: ClassVar = {"kind": dict(Movement.Kind.choices)}
