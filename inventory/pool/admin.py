"""The stock pool and what channels are told of it, on screen."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.timezone import localtime
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from inventory.items.models import Sku
from inventory.ledger import spreadsheet
from inventory.ledger.models import Node, NodeGroup
from inventory.pool import actions, queries, sheets
from inventory.pool.models import Pool, PublishedStock, PublishRule
from inventory.pool.queries import PoolPage, Row
from inventory.pool.rules import claims_of
from oms_project.readonly import ReadOnlyAdmin
from oms_project.refusal import Refusal

SIZE = 50
MOST_ROWS = 1_000_000
_BILLS = {"global": "orders_order", "presale": "orders_order", "lock": "inventory_stocklock", "transfer": "inventory_transfer",
          "block": "inventory_reservation"}  # fmt: skip
_SHOWN_FIRST = 8  # SKUs named in a preview


class PoolFilters(forms.Form):
    """Which part of the pool is looked at."""

    q = forms.CharField(label="搜索", required=False, max_length=60)
    category = forms.ChoiceField(label="品类", required=False)
    group = forms.ModelChoiceField(NodeGroup.objects.order_by("code"), label="仓库组", required=False, empty_label="所有仓")
    region = forms.ChoiceField(label="省份", required=False)
    buyer = forms.CharField(label="渠道或场次", required=False, max_length=80)
    only = forms.ChoiceField(label="只看", required=False, choices=[("", "全部"), *queries.ONLY.items()])
    page = forms.IntegerField(label="页", required=False, min_value=1, max_value=100_000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["category"].choices = [("", "全部"), *((each, each) for each in queries.categories())]
        fields["region"].choices = [("", "全国"), *queries.provinces()]
        for name in ("category", "region", "only", "group"):
            fields[name].widget = UnfoldAdminSelectWidget(choices=fields[name].choices)
        fields["q"].widget = UnfoldAdminTextInputWidget(attrs={"placeholder": "SKU 编码或名称"})
        fields["buyer"].widget = UnfoldAdminTextInputWidget(attrs={"placeholder": "doudian/店铺、live:场次", "list": "claims"})

    def asked(self) -> dict[str, Any]:
        """The filters as pool_view takes them. The form must be valid."""
        told = self.cleaned_data
        return {
            "search": told["q"], "category": told["category"], "group_id": told["group"].pk if told["group"] else None,
            "region": told["region"], "claims": claims_of(told["buyer"]), "only": told["only"],
        }  # fmt: skip


@admin.register(Pool)
class PoolAdmin(ModelAdmin):
    """The pool, one SKU of it, one place of it; nothing can be changed here."""

    search_fields = ["code", "name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        more = [
            path("node/<int:node_id>/", self.admin_site.admin_view(self.node_page), name="inventory_pool_node"),
            path("export/<str:kind>/", self.admin_site.admin_view(self.export), name="inventory_pool_export"),
        ]
        return [*more, *super().get_urls()]

    def _page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "columns": sheets.COLUMNS}
        return TemplateResponse(request, f"pool/{template}.html", {**shared, **context})

    def _allow(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._allow(request)
        form, at = PoolFilters(request.GET), timezone.now()
        asked = form.asked() if form.is_valid() else {}
        page = (form.cleaned_data["page"] if asked else None) or 1
        seen = queries.pool_view(at=at, page=page, size=SIZE, **asked)
        kept = request.GET.copy()
        kept.pop("page", None)
        return self._page(
            request, "list", "库存池", form=form, table=_table(seen, "admin:inventory_pool_change"), seen=seen, page=page,
            pages=max(1, -(-seen.count // SIZE)), query=kept.urlencode(), over=queries.over_published().count(),
            claims=queries.claims_in_use(), age=int((at - seen.counted_at).total_seconds()) if seen.counted_at else None,
        )  # fmt: skip

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self._allow(request)
        sku, at = Sku.objects.filter(pk=object_id).first() if object_id.isdigit() else None, timezone.now()
        if sku is None:
            raise Http404
        seen = queries.sku_view(sku_id=sku.pk, at=at)
        bills = [
            {"bills": each, "link": _bills_link(each.kind), "latest": each.latest}
            for each in queries.open_bills(sku_id=sku.pk)
        ]  # fmt: skip
        return self._page(
            request, "sku", f"{sku.code} {sku.name}", sku=sku, seen=seen, table=_table(seen, "admin:inventory_pool_node"),
            kinds=bills, movements=queries.last_movements(sku_id=sku.pk), chart=_chart(queries.history(sku_id=sku.pk, at=at)),
        )  # fmt: skip

    def node_page(self, request: HttpRequest, node_id: int) -> HttpResponse:
        self._allow(request)
        node, at = Node.objects.select_related("dealer", "parent").filter(pk=node_id).first(), timezone.now()
        if node is None:
            raise Http404
        seen = queries.node_view(node_id=node.pk, at=at)
        return self._page(
            request, "node", node.name, node=node, seen=seen, table=_table(seen, "admin:inventory_pool_change"),
            alarms=[row for row in seen.rows if row.parts.is_low and row.parts.wanted],
            stale=[row for row in seen.rows if row.parts.stale],
        )  # fmt: skip

    def export(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        self._allow(request)
        form = PoolFilters(request.GET)
        if kind not in ("csv", "xlsx") or not form.is_valid():
            raise Http404
        at = timezone.now()
        rows = (sheets.cells_of(row) for row in queries.pool_view(at=at, size=MOST_ROWS, **form.asked()).rows)
        name = f"库存池-{localtime(at):%Y%m%d-%H%M}"
        if kind == "xlsx":
            return spreadsheet.xlsx_file(request, name, sheets.HEADERS, rows, frozen="C2")
        return spreadsheet.csv_file(request, name, sheets.HEADERS, rows)


def _table(seen: PoolPage, link: str) -> list[dict[str, Any]]:
    """Rows for the template: the total first, then each row with the page it leads to."""
    total = Row(0, "", "合计", "", seen.total)
    return [
        {"row": row, "link": reverse(link, args=[row.pk]) if row.pk else "",
         "cells": list(zip(sheets.COLUMNS, sheets.figures_of(row.parts), strict=True))}
        for row in (total, *seen.rows)
    ]  # fmt: skip


def _bills_link(kind: str) -> str:
    return reverse(f"admin:{_BILLS.get(kind, 'orders_fulfillmentorder')}_changelist")


def _chart(days: list[tuple[Any, int]], width: int = 640, height: int = 120) -> dict[str, Any]:
    """Points of a line over some days within a frame, the largest number at its top and 0 or the smallest at its bottom."""
    units = [count for _, count in days]
    top, bottom = max(*units, 1), min(*units, 0)
    step = width / max(1, len(days) - 1)
    points = [
        {"x": round(n * step, 1), "y": round(height - (count - bottom) / (top - bottom) * height, 1), "day": day, "units": count}
        for n, (day, count) in enumerate(days)
    ]
    return {"points": points, "line": " ".join(f"{each['x']},{each['y']}" for each in points), "top": top, "width": width,
            "height": height}  # fmt: skip


class RuleForm(forms.ModelForm):
    """The constraints of a rule, said in words."""

    class Meta:
        model = PublishRule
        fields = "__all__"

    def _get_validation_exclusions(self) -> set[str]:
        """Leaves the table's constraints to problems_of, which says the same so that people understand it."""
        return super()._get_validation_exclusions() | {"channel", "percent"}  # type: ignore[misc, no-any-return]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            for problem in queries.problems_of(self.instance):
                self.add_error(None, problem)


@admin.register(PublishRule)
class PublishRuleAdmin(ModelAdmin):
    form = RuleForm
    change_form_before_template = "pool/preview.html"
    list_display = ["channel", "shop", "sku", "category", "group", "percent", "plus", "floor", "ceiling", "is_active"]
    list_select_related = ["sku", "group"]
    list_filter = ["channel", "is_active"]
    search_fields = ["channel", "shop", "category", "sku__code"]
    autocomplete_fields = ["sku", "group"]
    fieldsets = [
        (None, {"fields": [("channel", "shop"), "is_active"]}),
        ("针对（都不填即整个店铺；SKU 优先于品类，品类优先于店铺）", {"fields": [("sku", "category"), "group"]}),
        ("显示多少：可售 × 比例 + 加减数量，不低于最少，不高于最多", {"fields": [("percent", "plus"), ("floor", "ceiling")]}),
    ]

    def get_urls(self) -> list[Any]:
        preview = path("preview/", self.admin_site.admin_view(self.preview), name="inventory_publishrule_preview")
        return [preview, *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """What the rule in the form would show; the saved rule when no form was sent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        number = request.GET.get("rule", "")
        rule = PublishRule.objects.filter(pk=number).first() if number.isdigit() else None
        if rule is None or "channel" in request.GET:
            form = RuleForm(request.GET, instance=rule or PublishRule())
            if not form.is_valid():
                problems = [str(problem) for some in form.errors.values() for problem in some]
                return TemplateResponse(request, "pool/previewed.html", {"problem": problems[0]})
            rule = form.instance
        shown = queries.preview(rule=rule, at=timezone.now())
        skus = Sku.objects.in_bulk(sorted(shown)[:_SHOWN_FIRST])
        first = [(sku, shown[pk]) for pk, sku in sorted(skus.items())]
        return TemplateResponse(
            request, "pool/previewed.html",
            {"count": len(shown), "units": sum(each.quantity for each in shown.values()), "first": first, "rule": rule,
             "over": sum(each.quantity > each.sellable for each in shown.values())},
        )  # fmt: skip

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refusal as refusal:  # somebody else saved the same rule meanwhile
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect("admin:inventory_publishrule_changelist")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.save_rule(rule=obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actions.remove_rule(rule_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PublishRule]) -> None:
        for pk in queryset.values_list("pk", flat=True):
            actions.remove_rule(rule_id=pk)


class OverFilter(admin.SimpleListFilter):
    title = "超卖告警"
    parameter_name = "over"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "发布数高于可售")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PublishedStock]) -> QuerySet[PublishedStock]:
        return queryset.filter(quantity__gt=F("sellable")) if self.value() == "1" else queryset


@admin.register(PublishedStock)
class PublishedStockAdmin(ReadOnlyAdmin):
    list_display = ["channel", "shop", "sku", "quantity", "sellable", "warning", "version", "changed_at"]
    list_select_related = ["sku"]
    list_filter = [OverFilter, "channel", "shop"]
    search_fields = ["shop", "sku__code"]
    actions = ["export"]

    @display(description="超卖告警", label={"over": "danger", "fine": "success"})
    def warning(self, row: PublishedStock) -> tuple[str, str]:
        return ("over", f"多发 {row.quantity - row.sellable}") if row.quantity > row.sellable else ("fine", "正常")

    @admin.action(description="导出所选（CSV）", permissions=["view"])
    def export(self, request: HttpRequest, rows: QuerySet[PublishedStock]) -> HttpResponseBase:
        header = ("渠道", "店铺", "SKU", "名称", "发布数量", "当时可售", "版本", "变更时间")
        cells = (
            [row.channel, row.shop, row.sku.code, row.sku.name, row.quantity, row.sellable, row.version, row.changed_at]
            for row in rows.select_related("sku").order_by("channel", "shop", "sku__code").iterator(2000)
        )  # fmt: skip
        return spreadsheet.csv_file(request, "已发布库存", header, cells)
