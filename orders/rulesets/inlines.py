"""The sections of a draft as forms: one tab each, amounts in 元, codes as people write them."""

import re
from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.admin import StackedInline, TabularInline
from unfold.widgets import UnfoldAdminSelectWidget

from orders.rulesets import wording
from orders.rulesets.forms import CodeField, CodesField, YuanField
from orders.rulesets.models import (
    AgeingCredit,
    DealerQuota,
    FreightRate,
    InstallRate,
    NodeGroup,
    OrderRule,
    PromiseClass,
    ShipCalendar,
)
from orders.rulesets.vocabulary import VOCABULARIES

MONEY = [
    ("split_fee_fen", "late_fen_per_day"),
    ("refusal_cost_fen", "cross_region_fen"),
    "unfilled_fen",
]
LIMITS = [
    ("promise", "max_packages"),
    ("max_km", "same_province"),
    ("only_groups", "never_groups"),
    ("keeps_bundles", "keeps_installation"),
]
UNSERVED = [("on_unroutable", "cancel_after_hours")]
NARROWEST = {"style": "min-width: 8rem"}
_NAMES_A_ROW = {"promise": ("promises", PromiseClass), "group": ("groups", NodeGroup)}


class InYuanAndCodes:
    """Amounts in 元, lists as people write them, and choices among the rows of the same set."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        name = db_field.name
        about = {"label": db_field.verbose_name, "help_text": db_field.help_text}
        if wording.is_money(name):
            return YuanField(label=f"{db_field.verbose_name}（元）", help_text=db_field.help_text)
        if name in _NAMES_A_ROW:
            choices = [("", "不限" if name == "group" else "不填"), *_rows_named(request, *_NAMES_A_ROW[name])]
            widget = UnfoldAdminSelectWidget(choices=choices, attrs=NARROWEST)
            return forms.ChoiceField(choices=choices, widget=widget, required=False, **about)
        if vocabulary := VOCABULARIES.get(name):
            made = CodesField if db_field.get_internal_type() == "JSONField" else CodeField
            return made(vocabulary=vocabulary, required=not db_field.blank, **about)
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if db_field.choices and field:
            field.widget.attrs |= NARROWEST
        return field


def _rows_named(request: HttpRequest, prefix: str, model: Any) -> list[tuple[str, str]]:
    """(code, words) of a section's rows, those that are being added included; asked once per request."""
    kept: dict[str, list[tuple[str, str]]] = request.__dict__.setdefault("_rows_of_the_set", {})
    if prefix not in kept:
        asked = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        rows = model.objects.filter(rule_set_id=number_in(asked)).order_by("id")
        named = {row.code: str(row) for row in rows}
        posted = (value for key, value in request.POST.items() if re.fullmatch(rf"{prefix}-\d+-code", key))
        kept[prefix] = list(({str(code): str(code) for code in posted if code} | named).items())
    return kept[prefix]


class Section(InYuanAndCodes, TabularInline):
    """Rows of one section on a tab of their own."""

    extra = 0
    tab = True
    hide_title = True
    ordering = ("id",)


class OrderRuleInline(InYuanAndCodes, StackedInline):
    model = OrderRule
    extra = 0
    tab = True
    ordering = ("position", "id")
    fieldsets = [
        (None, {"fields": [("name", "position")]}),
        (
            "哪些订单（填了的条件都要满足，不填不限）",
            {"fields": [("channels", "shops"), ("divisions", "is_live"), ("products", "categories"), "tags"]},
        ),
        ("成本", {"fields": MONEY}),
        ("时效与范围", {"fields": LIMITS}),
        ("派不出时", {"fields": UNSERVED}),
    ]


class PromiseInline(Section):
    model = PromiseClass
    fields = ("code", "name", "days", "is_hard", "max_km", "kinds")


class NodeGroupInline(Section):
    model = NodeGroup
    fields = ("code", "name", "nodes", "kinds", "divisions", "tiers")


class FreightRateInline(Section):
    model = FreightRate
    fields = (
        "group", "kind", "division", "first_fen", "first_weight_g", "step_fen", "step_weight_g", "km_fen", "base_days",
        "km_per_day", "max_km",
    )  # fmt: skip


class InstallRateInline(Section):
    model = InstallRate
    fields = ("group", "kind", "division", "skill", "fee_fen")


class ShipCalendarInline(Section):
    model = ShipCalendar
    fields = ("group", "kind", "division", "weekdays", "cutoff", "holidays")


class DealerQuotaInline(Section):
    model = DealerQuota
    fields = ("dealer_code", "percent", "fen_per_point")


class AgeingCreditInline(Section):
    model = AgeingCredit
    fields = ("category", "older_than_days", "is_overstock", "fen_per_unit")


INLINES = [
    OrderRuleInline, PromiseInline, NodeGroupInline, FreightRateInline, InstallRateInline, ShipCalendarInline, DealerQuotaInline,
    AgeingCreditInline,
]  # fmt: skip


def number_in(address: str | None) -> int:
    """The id in an address; 0, which nothing has, for anything else."""
    return int(address) if address and address.isascii() and address.isdigit() and len(address) < 19 else 0
