"""Terms to set and publish, and every decision with the places that were considered."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from dealers.models import Staff
from inventory.models import Node
from oms_project.money import yuan
from oms_project.readonly import ReadOnlyAdmin
from oms_project.refusal import Refusal
from orders.routing import actions as routing
from orders.routing.models import FreightTemplate, RoutingDecision, RoutingPolicy
from orders.routing.telling import COMPONENT_TEXT, explain, price_told

HEADS = ("发货点", "阶梯", "公里", "天数", "成本", "构成", "结论")


@admin.register(RoutingPolicy)
class RoutingPolicyAdmin(ModelAdmin):
    list_display = (
        "name",
        "version",
        "is_published",
        "split_shown",
        "late_shown",
        "refusal_shown",
        "cross_shown",
        "promise_days",
    )
    list_filter = ("is_published",)
    readonly_fields = ("is_published",)
    ordering = ("-is_published", "name", "-version")
    actions = ("publish",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is in force is not edited: make a new version and publish it."""
        return not (obj and obj.is_published) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not (obj and obj.is_published) and super().has_delete_permission(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoutingPolicy]) -> None:
        super().delete_queryset(request, queryset.filter(is_published=False))

    @admin.display(description="拆单费", ordering="split_fee_fen")
    def split_shown(self, policy: RoutingPolicy) -> str:
        return yuan(policy.split_fee_fen)

    @admin.display(description="超时效（每天）", ordering="late_fen_per_day")
    def late_shown(self, policy: RoutingPolicy) -> str:
        return yuan(policy.late_fen_per_day)

    @admin.display(description="拒单代价", ordering="refusal_cost_fen")
    def refusal_shown(self, policy: RoutingPolicy) -> str:
        return yuan(policy.refusal_cost_fen)

    @admin.display(description="跨区费", ordering="cross_region_fen")
    def cross_shown(self, policy: RoutingPolicy) -> str:
        return yuan(policy.cross_region_fen)

    @admin.action(description="发布（立即生效，待派订单重新派单）", permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[RoutingPolicy]) -> None:
        policies = list(queryset[:2])
        if len(policies) != 1:
            messages.error(request, "请只选择一个策略发布")
            return
        try:
            routing.publish_policy(policy=policies[0], staff=cast(Staff, request.user), at=timezone.now())
        except Refusal as refusal:
            messages.error(request, f"{policies[0]}：{refusal.message}")
        else:
            messages.success(request, f"{policies[0]}：已发布")


@admin.register(FreightTemplate)
class FreightTemplateAdmin(ModelAdmin):
    list_display = ("kind_shown", "first_shown", "step_shown", "km_shown", "install_shown", "base_days", "km_per_day", "max_km")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A kind of place without a template gets no orders; edit the price instead."""
        return False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "node_kind":
            return forms.ChoiceField(choices=Node.Kind.choices, label=db_field.verbose_name)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        routing.tell_changed(what=f"freight-{obj.node_kind}", staff=cast(Staff, request.user), at=timezone.now())

    @admin.display(description="发货点类别", ordering="node_kind")
    def kind_shown(self, template: FreightTemplate) -> str:
        return dict(Node.Kind.choices).get(template.node_kind, template.node_kind)

    @admin.display(description="首重")
    def first_shown(self, template: FreightTemplate) -> str:
        return f"{yuan(template.first_fen)} / {template.first_weight_g} 克"

    @admin.display(description="续重")
    def step_shown(self, template: FreightTemplate) -> str:
        return f"{yuan(template.step_fen)} / {template.step_weight_g} 克"

    @admin.display(description="每公里")
    def km_shown(self, template: FreightTemplate) -> str:
        return yuan(template.km_fen)

    @admin.display(description="安装（每件）")
    def install_shown(self, template: FreightTemplate) -> str:
        return yuan(template.install_fen)


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
