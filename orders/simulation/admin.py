"""试算 and simulations on screen; nothing that is shown here is written to stock or orders."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from unfold.decorators import action

from oms_project.money import yuan
from oms_project.readonly import ReadOnlyAdmin
from oms_project.refusal import Refusal
from orders.routing.telling import COMPONENT_TEXT, price_told
from orders.simulation import queries
from orders.simulation.forms import TrialForm
from orders.simulation.models import Simulation, SimulationDifference
from orders.simulation.queries import Trial

TRIED = ("发货点", "阶梯", "公里", "天数", "成本", "构成", "结论")


@admin.register(Simulation)
class SimulationAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "source", "rule_set", "live_set", "done", "total", "created_by", "created_at", "finished_at")
    list_filter = ("state", "source")
    list_select_related = ("rule_set", "live_set", "created_by")
    search_fields = ("name",)
    actions_list = ("try_one",)

    def get_urls(self) -> list[Any]:
        def guarded(name: str, route: str, view: Callable[..., HttpResponse]) -> Any:
            return path(route, self.admin_site.admin_view(view), name=f"orders_simulation_{name}")

        return [guarded("trial", "trial/", self.trial_view), *super().get_urls()]

    @action(description="单笔试算", url_path="try", permissions=["view"], icon="science")
    def try_one(self, request: HttpRequest) -> HttpResponse:
        return self.trial_view(request)

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
        str(entry["step"] or "—"),
        str(entry["km"]),
        str(entry["days"]),
        price_told(entry) if "cost_fen" in entry else "—",
        parts or "—",
        "派给这里" if is_chosen else entry.get("text") or lacking or "可行，成本不占优",
    ]
