"""The page of levels: figures taken apart, corrections in bulk, and what does not agree with its rows."""

from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import BigIntegerField, Case, F, QuerySet, Value, When
from django.db.models.functions import Greatest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from inventory.ledger import actions, queries
from inventory.ledger.listing import Exported, SavedByActions, SearchedByPlace, actor_of, picked, tell, tell_all, told
from inventory.ledger.models import Level, Ownership, StockCheck, StockDrift, StockRepair
from inventory.ledger.rules import MOST_UNITS, WAYS, NewMovement, judge_repair
from oms_project.refusal import Refusal

MOST_PICKED = 5_000  # done in a handful of statements
MOST_REPAIRED = 500  # what differs is repaired one by one: some seconds of one request
MOST_HOURS = 24 * 366
MOST_SHOWN = 200
_WAYS = [(way, StockRepair.Way(way).label) for way in WAYS]


class LevelForm(ActionForm):
    """What the buttons of the list need; the token makes a form that is sent twice count once."""

    quantity = forms.IntegerField(
        label="数量", required=False, min_value=-MOST_UNITS, max_value=MOST_UNITS, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = forms.CharField(label="原因", max_length=120, required=False, widget=UnfoldAdminTextInputWidget)
    hours = forms.IntegerField(
        label="冻结小时", required=False, min_value=1, max_value=MOST_HOURS, widget=UnfoldAdminIntegerFieldWidget
    )
    way = forms.ChoiceField(label="修正方式", required=False, choices=[("", "请选择"), *_WAYS], widget=UnfoldAdminSelectWidget)
    token = forms.CharField(label="", widget=forms.HiddenInput, required=False, max_length=32, initial=lambda: uuid4().hex)


class StaleFilter(admin.SimpleListFilter):
    title = "有效性"
    parameter_name = "stale"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "过期未报"), ("dealer", "经销商过期未报")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Level]) -> QuerySet[Level]:
        if self.value() == "dealer":
            return queryset.filter(pk__in=queries.stale_at_dealers(at=timezone.now()).values("pk"))
        return queryset.filter(fresh_until__lte=timezone.now()) if self.value() else queryset


class SafetyFilter(admin.SimpleListFilter):
    title = "安全库存"
    parameter_name = "below"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "低于安全库存")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Level]) -> QuerySet[Level]:
        return queries.low_as_found(queryset) if self.value() else queryset


class StandingAdmin(SearchedByPlace, Exported, SavedByActions):
    """Levels as the ledger knows them; the reservations' room adds what it can do with them and registers the page.

    A level is made by its first movement, with what the rules say, so nobody adds one here.
    """

    list_display = ["node", "sku", "on_hand", "held", "safety_shown", "sellable_units", "ownership", "fresh_until", "pool"]
    list_select_related = ["node", "sku"]
    ordering = ["node", "sku"]  # by their ids: in this order an index finds both one place's rows and one SKU's
    list_per_page = 50
    list_filter = ["node__kind", "ownership", StaleFilter, SafetyFilter]
    search_fields = ["node__code", "node__name", "sku__code", "sku__name"]
    fields = [
        ("node", "sku"), ("on_hand", "held"), "safety_stock", ("share_percent", "share_cap"), ("keep_back", "max_stock"),
        ("ownership", "fresh_until"),
    ]  # fmt: skip
    readonly_fields = [
        "node", "sku", "on_hand", "held", "share_percent", "share_cap", "keep_back", "max_stock", "ownership", "fresh_until",
    ]  # fmt: skip
    action_form = LevelForm
    actions: ClassVar = ["adjust", "set_safety_stock", "repair"]
    file_name = "库存"
    file_columns = (
        ("仓库编码", "node__code"), ("仓库", "node__name"), ("SKU 编码", "sku__code"), ("商品", "sku__name"), ("在库", "on_hand"),
        ("预占", "held"), ("安全库存", "safety_stock"), ("货权", "ownership"), ("最近上报", "reported_at"),
        ("有效至", "fresh_until"), ("可售", "for_sale"),
    )  # fmt: skip
    file_words: ClassVar = {"ownership": dict(Ownership.choices)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="库存池")
    def pool(self, level: Level) -> str:
        return format_html('<a href="{}">查看</a>', reverse("admin:inventory_pool_change", args=[level.sku_id]))

    @admin.display(description="安全", ordering="safety_stock")
    def safety_shown(self, level: Level) -> int:
        return level.safety_stock

    @admin.display(description="可售")
    def sellable_units(self, level: Level) -> int:
        return level.sellable(timezone.now())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.set_safety_stock(
            level_ids=[obj.pk], safety_stock=obj.safety_stock, actor=actor_of(request), at=timezone.now()
        )  # fmt: skip

    def response_action(self, request: HttpRequest, queryset: QuerySet[Level]) -> Any:
        """Says what is wrong with a field; without it, a wrong one would look like no action chosen."""
        return (
            super().response_action(request, queryset) if self.asked(request) else HttpResponseRedirect(request.get_full_path())
        )

    def asked(self, request: HttpRequest) -> dict[str, Any]:
        """What was filled in beside the buttons; empty, with a message, when it makes no sense."""
        form = LevelForm(request.POST)
        del form.fields["action"]
        if not form.is_valid():
            for name, errors in form.errors.items():
                messages.error(request, f"{form.fields[name].label}：{'；'.join(errors)}")
            return {}
        return {**form.cleaned_data, "token": form.cleaned_data["token"] or uuid4().hex}

    @admin.action(description="调整数量（可为负）", permissions=["change"])
    def adjust(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        asked = self.asked(request)
        if not asked:
            return
        if not asked["quantity"] or not asked["reason"]:
            messages.error(request, "请填写不为 0 的调整数量和原因")
            return
        rows = picked(request, levels, MOST_PICKED)
        movements = [
            NewMovement(
                level.node_id,
                level.sku_id,
                "adjustment",
                asked["quantity"],
                f"adjust:{asked['token']}:{level.pk}",
                asked["reason"],
            )
            for level in rows
        ]
        results = actions.post_rows(movements=movements, actor=actor_of(request), at=timezone.now())
        problems = ["" if result.is_good else result.message for result in results]
        told(request, "已调整", zip(map(label_of, rows), problems, strict=True))

    @admin.action(description="设置安全库存", permissions=["change"])
    def set_safety_stock(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        asked = self.asked(request)
        if not asked:
            return
        if asked["quantity"] is None:
            messages.error(request, "请在数量中填写安全库存")
            return
        ids = [level.pk for level in picked(request, levels, MOST_PICKED)]
        act = partial(actions.set_safety_stock, level_ids=ids, safety_stock=asked["quantity"], actor=actor_of(request))
        if ids:
            tell_all(request, "已设置", act)

    @admin.action(description="对账修正（选择修正方式）", permissions=["change"])
    def repair(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        asked = self.asked(request)
        if not asked:
            return
        if not asked["way"] or not asked["reason"]:
            messages.error(request, "请选择修正方式并填写原因")
            return
        rows = picked(request, levels, MOST_PICKED)
        differing = queries.differing(level_ids=[row.pk for row in rows])
        if len(differing) > MOST_REPAIRED:
            messages.error(request, f"所选有 {len(differing):,} 处差异，一次最多修正 {MOST_REPAIRED} 处，请先筛选")
            return
        act = partial(_repair, asked["way"], asked["reason"], actor_of(request))
        wrong = [(label_of(row), partial(act, row.node_id, row.sku_id)) for row in rows if row.pk in differing]
        tell(request, "已核对并修正", wrong, beside=len(rows) - len(wrong))

    def get_file_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """With what Level.sellable says, as a column."""
        free = Greatest(F("free"), Value(0))
        sold = Case(When(fresh_until__lte=timezone.now(), then=Value(0)), default=free, output_field=BigIntegerField())
        return queries.with_free(super().get_file_rows(request)).annotate(for_sale=sold)

    def get_urls(self) -> list[Any]:
        return [path("drift/", self.admin_site.admin_view(self.drift), name="inventory_level_drift"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        link = reverse("admin:inventory_level_drift") if self.has_change_permission(request) else ""
        return super().changelist_view(request, {**(extra_context or {}), "drift_url": link})

    def drift(self, request: HttpRequest) -> HttpResponse:
        """What the last check found, each with the ways to make it agree; another check can be asked for."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            if "check" in request.POST:
                actions.ask_check(name=StockCheck.Name.DRIFT, at=timezone.now())
                messages.success(request, "已安排检查，稍后自动刷新")
            else:
                _repair_one(request)
            return HttpResponseRedirect(request.path)
        found = list(queries.found_drift()[: MOST_SHOWN + 1])
        context = {
            **self.admin_site.each_context(request),
            "title": "对账差异",
            "opts": self.opts,
            "check": queries.last_check(StockCheck.Name.DRIFT),
            "rows": [(drift, _ways(drift)) for drift in found[:MOST_SHOWN]],
            "has_more": len(found) > MOST_SHOWN,
        }
        return TemplateResponse(request, "inventory/drift.html", context)


def label_of(level: Level) -> str:
    """One stock row as a message names it."""
    return f"{level.node.name} {level.sku.code}"


def _repair(way: str, reason: str, actor: str, node_id: int, sku_id: int, at: datetime) -> StockRepair | None:
    return actions.repair(node_id=node_id, sku_id=sku_id, way=way, reason=reason, actor=actor, at=at)


def _ways(drift: StockDrift) -> list[tuple[str, str, str]]:
    """What a repair could do: (what the button sends, its words, why it may not be done)."""
    if drift.incoming_id:
        return [(f"{drift.incoming_id}:promised", f"{StockRepair.Way.PROMISED.label}：{drift.held} → {drift.promised}", "")]
    ways = []
    for way, label in _WAYS:
        before, after, problem = judge_repair(way, drift.on_hand, drift.held, drift.moved, drift.promised)
        if before != after:
            ways.append((f"{drift.node_id}:{drift.sku_id}:{way}", f"{label}：{before} → {after}", problem))
    return ways


def _repair_one(request: HttpRequest) -> None:
    """The button that was pressed: node, SKU and way of a stock row, or a delivery on its way."""
    *numbers, way = request.POST.get("repair", "").split(":")
    ids = [int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 19]
    if len(ids) != (1 if way == StockRepair.Way.PROMISED else 2) or len(ids) < len(numbers):
        messages.error(request, "请选择要修正的差异")
        return
    reason, actor, at = request.POST.get("reason", ""), actor_of(request), timezone.now()
    try:
        if way == StockRepair.Way.PROMISED:
            done = actions.repair_promised(incoming_id=ids[0], reason=reason, actor=actor, at=at)
        else:
            done = _repair(way, reason, actor, ids[0], ids[1], at)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return
    messages.success(request, f"已修正：{done.before} → {done.after}" if done else "已经一致，无需修正")
