"""Rule sets on screen: drafts are edited, checked and published; what is or was in force is only read."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from dealers.models import Staff
from oms_project.readonly import InWords
from oms_project.refusal import NotFound, Refusal
from orders.rulesets import actions as rulesets
from orders.rulesets import queries, wording
from orders.rulesets.inlines import INLINES, LIMITS, MONEY, UNSERVED, InYuanAndCodes, number_in
from orders.rulesets.models import RuleSet

MADE = [
    ("name", "version"),
    ("state", "based_on"),
    "note",
    ("created_by", "created_at"),
    ("published_by", "published_at"),
    "retired_at",
]


@admin.register(RuleSet)
class RuleSetAdmin(InYuanAndCodes, InWords, ModelAdmin):
    list_display = ("name", "version", "state", "note_shown", "created_by", "created_at", "published_by", "published_at")
    list_filter = ("state",)
    list_select_related = ("created_by", "published_by")
    search_fields = ("name", "note")
    ordering = ("-version",)
    list_before_template = "rulesets/new.html"
    change_form_outer_before_template = "rulesets/buttons.html"
    change_form_outer_after_template = "rulesets/sections.html"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "note":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 3})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A draft is made by a button, from another set or empty."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: RuleSet | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.state == RuleSet.State.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: RuleSet | None = None) -> bool:
        """A draft is dropped by its own button."""
        return False

    def has_step_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_change_permission(self, request)

    def get_inlines(self, request: HttpRequest, obj: RuleSet | None) -> list[Any]:
        return INLINES if obj and self.has_change_permission(request, obj) else []

    def get_fieldsets(self, request: HttpRequest, obj: RuleSet | None = None) -> Any:
        if not obj or not self.has_change_permission(request, obj):
            return [(None, {"fields": MADE})]
        return [
            (None, {"fields": ["name", "note"]}),
            ("其他订单的成本（没有订单规则命中时）", {"fields": MONEY}),
            ("其他订单的时效与范围", {"fields": LIMITS}),
            ("其他订单派不出时", {"fields": UNSERVED}),
        ]

    def get_urls(self) -> list[Any]:
        def guarded(name: str, route: str, view: Callable[..., HttpResponse]) -> Any:
            return path(route, self.admin_site.admin_view(view), name=f"orders_ruleset_{name}")

        return [
            guarded("new", "new/do/", require_POST(self.new_view)),
            guarded("step", "<int:ruleset_id>/<str:step>/do/", require_POST(self.step_view)),
            guarded("check", "<int:ruleset_id>/check/", self.check_view),
            guarded("compare", "<int:ruleset_id>/compare/", self.compare_view),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "may_make": self.has_step_permission(request)})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = RuleSet.objects.filter(pk=number_in(object_id)).first()
        context = {**(extra_context or {}), **self._buttons(request, found)}
        if found and request.method == "GET" and not self.has_change_permission(request, found):
            context["tables"] = wording.tables_of(found)
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Refusal as refusal:  # somebody published or dropped the draft meanwhile
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect("admin:orders_ruleset_changelist")

    def save_model(self, request: HttpRequest, obj: RuleSet, form: Any, change: bool) -> None:
        rulesets.take_draft(ruleset_id=obj.pk, staff=_staff(request))
        super().save_model(request, obj, form, change)

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """An empty draft."""
        return self._made(request, None)

    def step_view(self, request: HttpRequest, ruleset_id: int, step: str) -> HttpResponse:
        """A button was pressed."""
        if step == "copy":
            return self._made(request, ruleset_id)
        if step not in {"publish", "drop"}:
            raise Http404
        self._only_for_editors(request)
        try:
            if step == "drop":
                rulesets.discard_draft(ruleset_id=ruleset_id, staff=_staff(request))
                self.message_user(request, "草稿已丢弃", messages.SUCCESS)
                return redirect("admin:orders_ruleset_changelist")
            published = rulesets.publish(ruleset_id=ruleset_id, staff=_staff(request), at=timezone.now())
            self.message_user(request, f"{published} 已生效，待派订单按新规则重新派单", messages.SUCCESS)
        except NotFound:
            raise Http404 from None
        except rulesets.Faulty:
            self.message_user(request, "有问题没有解决，没有发布", messages.ERROR)
            return redirect("admin:orders_ruleset_check", ruleset_id)
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
        return redirect("admin:orders_ruleset_change", ruleset_id)

    def _made(self, request: HttpRequest, based_on: int | None) -> HttpResponse:
        self._only_for_editors(request)
        try:
            draft = rulesets.new_draft(based_on=based_on, staff=_staff(request), at=timezone.now())
        except NotFound:
            raise Http404 from None
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return redirect("admin:orders_ruleset_changelist")
        self.message_user(request, f"已新建草稿 {draft}", messages.SUCCESS)
        return redirect("admin:orders_ruleset_change", draft.pk)

    def check_view(self, request: HttpRequest, ruleset_id: int) -> HttpResponse:
        """Every fault and warning of a set, and the button to publish it when there are no faults."""
        found = self._seen(request, ruleset_id)
        faults, warnings = queries.faults_of(ruleset_id)
        title = f"校验 {found}"
        return self._page(request, "check", found, title=title, faults=faults, warnings=warnings)

    def compare_view(self, request: HttpRequest, ruleset_id: int) -> HttpResponse:
        """What a set says differently from the one in force."""
        found, in_force = self._seen(request, ruleset_id), queries.in_force()
        changes = wording.differences(in_force, found) if in_force else []
        sections = {change.section: [each for each in changes if each.section == change.section] for change in changes}
        tables = [
            {
                "title": section,
                "headers": ["", "项目", "字段", "生效版本", "本版本"],
                "rows": [[each.verb, each.row, each.field or "整行", each.before, each.after] for each in some],
            }
            for section, some in sections.items()
        ]
        return self._page(request, "compare", found, title=f"{found} 与生效版本的差异", in_force=in_force, tables=tables)

    def _buttons(self, request: HttpRequest, found: RuleSet | None) -> dict[str, Any]:
        in_force = queries.in_force() if found else None
        return {
            "set": found,
            "may_step": self.has_step_permission(request),
            "is_draft": found is not None and found.state == RuleSet.State.DRAFT,
            "may_compare": in_force is not None and in_force != found,
        }

    def _seen(self, request: HttpRequest, ruleset_id: int) -> RuleSet:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = RuleSet.objects.filter(pk=ruleset_id).first()
        if found is None:
            raise Http404
        return found

    def _only_for_editors(self, request: HttpRequest) -> None:
        if not self.has_step_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, name: str, found: RuleSet, **context: Any) -> TemplateResponse:
        known = {**self.admin_site.each_context(request), "opts": self.opts, **self._buttons(request, found), **context}
        return TemplateResponse(request, f"rulesets/{name}.html", known)

    @admin.display(description="说明")
    def note_shown(self, found: RuleSet) -> SafeString:
        return format_html('<span class="block min-w-40">{}</span>', found.note[:40] or "—")


def _staff(request: HttpRequest) -> Staff:
    return cast(Staff, request.user)
