"""The routing policies and freight templates of before become rule sets; the published one is in force as version 1."""

from typing import Any

from django.db import migrations
from django.utils import timezone

_SAME_TERMS = ("split_fee_fen", "late_fen_per_day", "refusal_cost_fen", "cross_region_fen")
_SAME_FREIGHT = (
    "first_weight_g", "first_fen", "step_weight_g", "step_fen", "km_fen", "base_days", "km_per_day", "max_km",
)  # fmt: skip
STANDARD = "standard"


def into_sets(apps: Any, schema_editor: Any) -> None:
    RoutingPolicy, FreightTemplate, RuleSet = (
        apps.get_model("orders", name) for name in ("RoutingPolicy", "FreightTemplate", "RuleSet")
    )
    policies = list(RoutingPolicy.objects.order_by("-is_published", "pk"))
    templates = list(FreightTemplate.objects.order_by("pk"))
    if templates and not any(policy.is_published for policy in policies):
        policies.insert(0, RoutingPolicy(name="默认", is_published=True))
    now = timezone.now()
    for version, policy in enumerate(policies, start=1):
        made = RuleSet.objects.create(
            name=policy.name,
            version=version,
            state="published" if policy.is_published else "draft",
            note=f"来自原路由策略 {policy.name} v{policy.version} 与运费模板",
            created_at=now,
            published_at=now if policy.is_published else None,
            promise=STANDARD,
            **{name: getattr(policy, name) for name in _SAME_TERMS},
        )
        apps.get_model("orders", "PromiseClass").objects.create(
            rule_set=made, code=STANDARD, name="标准", days=policy.promise_days
        )
        for template in templates:
            freight = {name: getattr(template, name) for name in _SAME_FREIGHT}
            apps.get_model("orders", "FreightRate").objects.create(rule_set=made, kind=template.node_kind, **freight)
            if template.install_fen > 0:
                apps.get_model("orders", "InstallRate").objects.create(
                    rule_set=made, kind=template.node_kind, fee_fen=template.install_fen
                )


def back_into_policies(apps: Any, schema_editor: Any) -> None:
    """Fill the tables of before where they are empty, as far as they can say it; then the sets go."""
    RoutingPolicy, FreightTemplate, RuleSet = (
        apps.get_model("orders", name) for name in ("RoutingPolicy", "FreightTemplate", "RuleSet")
    )
    in_force = RuleSet.objects.filter(state="published").first()
    if in_force and not RoutingPolicy.objects.exists():
        promise = in_force.promises.filter(code=in_force.promise or STANDARD).first()
        RoutingPolicy.objects.create(
            name=in_force.name,
            version=in_force.version,
            is_published=True,
            promise_days=promise.days if promise else 3,
            **{name: getattr(in_force, name) for name in _SAME_TERMS},
        )
    if in_force and not FreightTemplate.objects.exists():
        plain = {"group": "", "division": ""}
        fees = {rate.kind: rate.fee_fen for rate in in_force.installs.filter(skill="", **plain)}
        for rate in in_force.freight.filter(**plain).exclude(kind="").order_by("pk"):
            freight = {name: getattr(rate, name) for name in _SAME_FREIGHT}
            FreightTemplate.objects.create(node_kind=rate.kind, install_fen=fees.get(rate.kind, 0), **freight)
    RuleSet.objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("orders", "0003_rule_sets")]
    operations = [migrations.RunPython(into_sets, back_into_policies)]
