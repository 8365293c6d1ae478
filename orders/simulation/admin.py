"""试算 and simulations on screen; nothing that is shown here is written to stock or orders."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.decorators import action

from dealers.models import Staff
from inventory.ledger import spreadsheet
from oms_project.money import yuan
from oms_project.readonly import ReadOnlyAdmin
from oms_project.refusal import NotFound, Refusal
from orders.routing.telling import COMPONENT_TEXT, price_told
from orders.simulation import actions, files, pages, queries
from orders.simulation.forms import SimulationForm, TrialForm
from orders.simulation.models import Simulation, SimulationDifference
from orders.simulation.queries import Trial
from orders.simulation.tally import signed

DIFFER = ("订单号", "地区", "现行去处", "现行成本", "对比去处", "对比成本", "差额（按现行规则计价）")
SHOWN = 50  # differences on the page
MOST_DAYS, MOST_REPORTED = 31, 20_000
TRIED = ("发货点", "结论", "阶梯", "公里", "天数", "成本", "构成")


@admin.register(Simulation)
class SimulationAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "source", "rule_set", "done", "total", "created_by", "created_at")
    list_filter = ("state", "source")
    list_select_related = ("rule_set", "created_by")
    search_fields = ("name",)
    actions_list = ("begin", "try_one", "report")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Simulation]:
        return super().get_queryset(request).defer("wanted", "checkpoint")

    def has_begin_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.add_simulation")

    def get_urls(self) -> list[Any]:
        def guarded(name: str, route: str, view: Callable[..., HttpResponseBase]) -> Any:
            return path(route, self.admin_site.admin_view(view), name=f"orders_simulation_{name}")

        return [
            guarded("trial", "trial/", self.trial_view),
            guarded("savings", "savings/", self.savings_view),
            guarded("template", "template.csv", self.template_view),
            guarded("cancel", "<int:simulation_id>/cancel/do/", require_POST(self.cancel_view)),
            guarded("differences", "<int:simulation_id>/differences.csv", self.differences_view),
            *super().get_urls(),
        ]

    @action(description="新建模拟", url_path="new", permissions=["begin"], icon="add")
    def begin(self, request: HttpRequest) -> HttpResponse:
        """A form for past orders or a file; the page of the simulation then shows how far it is."""
        form = SimulationForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                found = _begun(form.cleaned_data, cast(Staff, request.user), timezone.now())
            except Refusal as refusal:
                form.add_error("file" if form.cleaned_data["file"] else None, refusal.message)
            else:
                return redirect("admin:orders_simulation_change", found.pk)
        return self._page(request, "new", title="新建模拟", form=form)

    @action(description="单笔试算", url_path="try", permissions=["view"], icon="science")
    def try_one(self, request: HttpRequest) -> HttpResponse:
        return self.trial_view(request)

    @action(description="节省报告", url_path="report", permissions=["view"], icon="savings")
    def report(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:orders_simulation_savings")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """How far it is, or what came out."""
        found = self._seen(request, object_id)
        differences = list(found.differences.order_by("position")[:SHOWN]) if found.state == Simulation.State.DONE else []
        table = {"headers": DIFFER, "rows": [_differs(each) for each in differences]}
        may_cancel = self.has_begin_permission(request)
        return self._page(
            request,
            "simulation",
            title=f"模拟 {found}",
            differences=table,
            may_cancel=may_cancel,
            **pages.shown_simulation(found),
        )

    def cancel_view(self, request: HttpRequest, simulation_id: int) -> HttpResponse:
        if not self.has_begin_permission(request):
            raise PermissionDenied
        try:
            actions.cancel(simulation_id=simulation_id, staff=cast(Staff, request.user), at=timezone.now())
        except NotFound:
            raise Http404 from None
        except Refusal as refusal:
            messages.error(request, refusal.message)
        return redirect("admin:orders_simulation_change", simulation_id)

    def differences_view(self, request: HttpRequest, simulation_id: int) -> StreamingHttpResponse:
        """The orders that go elsewhere, as a spreadsheet."""
        found = self._seen(request, simulation_id)
        columns = ("position", "order_no", "region", "before", "before_fen", "after", "after_fen")
        rows = found.differences.order_by("position").values_list(*columns)
        titles = ("次序", "订单号", "地区", "现行去处", "现行成本（分）", "对比去处", "对比成本（分）")
        return spreadsheet.file_of(request, f"模拟差异-{found.pk}", titles, rows, [{}] * len(titles))

    def template_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """An empty what-if file with one example."""
        if not self.has_begin_permission(request):
            raise PermissionDenied
        example = ["A001", "江苏省苏州市吴中区", "抖店", "SKU-0001", 1, ""]
        return spreadsheet.csv_file(request, "假设订单", files.TITLES, [example])

    def savings_view(self, request: HttpRequest) -> HttpResponseBase:
        """The last days' decisions against the nearest place first; `?csv=1` as a spreadsheet."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        told = request.GET.get("days", "")
        days = min(MOST_DAYS, max(1, int(told))) if told.isascii() and told.isdigit() and len(told) < 4 else 7
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        found = queries.savings(since=midnight - timedelta(days=days - 1), most_orders=MOST_REPORTED)
        if request.GET.get("csv"):
            return spreadsheet.csv_file(request, f"节省报告-{days}天", pages.SAVED, pages.saved_lines(found))
        most = MOST_REPORTED if sum(each.orders for each in found.values()) == MOST_REPORTED else 0
        return self._page(
            request, "savings", title="节省报告", days=days, choices=(1, 7, 14, 31), most=most, **pages.shown_savings(found)
        )

    def _seen(self, request: HttpRequest, object_id: str | int) -> Simulation:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_object(request, str(object_id))
        if found is None:
            raise Http404
        return found

    def trial_view(self, request: HttpRequest) -> HttpResponse:
        """One order as routing would decide it now, asked by GET so that a question can be passed on as a link."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = TrialForm(request.GET or None)
        tried: Trial | None = None
        if request.GET and form.is_valid():
            try:
                tried = queries.trial(question=form.question, at=timezone.now(), moment=form.cleaned_data["moment"])
            except Refusal as refusal:
                form.add_error(None, refusal.message)
        return self._page(request, "trial", title="单笔试算", form=form, **(shown_trial(tried) if tried else {}))

    def _page(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        known = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"simulation/{name}.html", known)


@admin.register(SimulationDifference)
class SimulationDifferenceAdmin(ReadOnlyAdmin):
    list_display = ("order_no", "simulation", "region", "before", "before_fen", "after", "after_fen")
    list_select_related = ("simulation",)
    list_filter = ("simulation__state",)
    search_fields = ("order_no", "before", "after")


def _begun(told: dict[str, Any], staff: Staff, at: datetime) -> Simulation:
    asked: dict[str, Any] = {"name": told["name"], "ruleset_id": int(told["rule_set"]), "has_refusals": told["has_refusals"]}
    asked |= {"seed": told["seed"], "staff": staff, "at": at}
    if told["file"]:
        return actions.simulate_file(body=told["file"].read(), **asked)
    period = {"since": told["since"], "until": told["until"] or at}
    return actions.simulate_past(channel=told["channel"], most_orders=told["most_orders"], **period, **asked)


def _differs(each: SimulationDifference) -> list[str]:
    before, after = each.before_fen, each.after_fen
    costs = ["—" if fen is None else yuan(fen) for fen in (before, after)]
    more = signed(after - before) if before is not None and after is not None else "—"
    return [each.order_no, each.region or "—", each.before, costs[0], each.after, costs[1], more]


def shown_trial(tried: Trial) -> dict[str, Any]:
    """A trial as its page shows it."""
    decision = tried.decision
    chosen = {package.node for package in decision.packages}
    rows = [_tried(entry, entry["node"] in chosen) for entry in decision.trace]
    runner_up = decision.runner_up_fen
    return {
        "tried": tried,
        "terms": decision.terms,
        "cost": yuan(decision.cost_fen) if decision.is_routable else "—",
        "runner_up": "—" if runner_up is None else f"{yuan(runner_up)}（{_more(runner_up - decision.cost_fen)}）",
        "goods": [f"第 {number} 行 {line.sku_code} {line.name} × {line.quantity}" for number, line in _numbered(tried)],
        "candidates": {"headers": TRIED, "rows": rows},
    }


def _numbered(tried: Trial) -> Any:
    return enumerate(tried.order.lines, start=1)


def _more(fen: int) -> str:
    return f"贵 {yuan(fen)}" if fen > 0 else f"省 {yuan(-fen)}" if fen < 0 else "成本相同"


def _tried(entry: dict[str, Any], is_chosen: bool) -> list[str]:
    parts = "、".join(f"{COMPONENT_TEXT[name]} {yuan(fen)}" for name, fen in entry.get("breakdown", {}).items() if fen)
    lacking = "；".join(f"第 {int(index) + 1} 行{text}" for index, text in entry.get("missing", {}).items())
    return [
        f"{entry['name']}（{entry['node']}）",
        "派给这里" if is_chosen else entry.get("text") or lacking or "可行，成本不占优",
        str(entry["step"] or "—"),
        str(entry["km"]),
        str(entry["days"]),
        price_told(entry) if "cost_fen" in entry else "—",
        parts or "—",
    ]
