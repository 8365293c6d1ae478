"""Every decision with the places that were considered."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from oms_project.money import yuan
from oms_project.readonly import ReadOnlyAdmin
from orders.routing.models import RoutingDecision
from orders.routing.telling import COMPONENT_TEXT, explain, price_told

HEADS = ("发货点", "阶梯", "公里", "天数", "成本", "构成", "结论")


@admin.register(RoutingDecision)
class RoutingDecisionAdmin(ReadOnlyAdmin):
    list_display = (
        "order",
        "fo_no",
        "round",
        "is_routable",
        "ladder_step",
        "cost_shown",
        "runner_up_shown",
        "policy",
        "decided_at",
    )
    list_select_related = ("order",)
    list_filter = ("is_routable", "ladder_step", "policy")
    search_fields = ("order__order_no", "fo_no")
    fields = (
        ("order", "fo_no"),
        ("round", "ladder_step"),
        ("policy", "is_routable"),
        "terms_shown",
        ("cost_shown", "runner_up_shown"),
        "why_shown",
        "candidates_shown",
        "decided_at",
    )
    readonly_fields = ("terms_shown", "cost_shown", "runner_up_shown", "why_shown", "candidates_shown")

    @admin.display(description="总成本", ordering="cost_fen")
    def cost_shown(self, decision: RoutingDecision) -> str:
        return yuan(decision.cost_fen) if decision.is_routable else "—"

    @admin.display(description="次优成本", ordering="runner_up_fen")
    def runner_up_shown(self, decision: RoutingDecision) -> str:
        return "—" if decision.runner_up_fen is None else yuan(decision.runner_up_fen)

    @admin.display(description="条款")
    def terms_shown(self, decision: RoutingDecision) -> str:
        terms = decision.terms
        if not terms:
            return "—"
        promise = f"{terms['promise']} {terms['promise_days']} 天"
        return "；".join([terms["terms"], promise, f"拆单费 {yuan(terms['split_fee_fen'])}", *terms["reasons"]])

    @admin.display(description="说明")
    def why_shown(self, decision: RoutingDecision) -> SafeString:
        return format_html_join("", "<p>{}</p>", ((told,) for told in explain(decision.trace, decision.plan, decision.terms)))

    @admin.display(description="候选明细")
    def candidates_shown(self, decision: RoutingDecision) -> SafeString:
        chosen = {package["node"] for package in decision.plan}
        rows = (_row(entry, entry["node"] in chosen) for entry in decision.trace)
        return format_html(
            "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
            format_html_join("", "<th>{}</th>", ((head,) for head in HEADS)),
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


def _row(entry: dict[str, Any], is_chosen: bool) -> tuple[str, ...]:
    """One considered place as people read it."""
    parts = entry.get("breakdown", {})
    lacking = "；".join(f"第 {int(index) + 1} 行{text}" for index, text in entry.get("missing", {}).items())
    return (
        f"{entry['name']}（{entry['node']}）",
        str(entry["step"] or "—"),
        str(entry["km"]),
        str(entry["days"]),
        price_told(entry) if "cost_fen" in entry else "—",
        "、".join(f"{COMPONENT_TEXT.get(name, name)} {yuan(amount)}" for name, amount in parts.items() if amount) or "—",
        "派给这里" if is_chosen else entry.get("text") or lacking or "可行，成本不占优",
    )
