"""Rules, ledger and statements in the admin: drafts are edited, everything else is read and acted on by buttons."""

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline

from dealers.directory.models import Staff
from dealers.settlement import actions as settlement
from dealers.settlement import queries
from dealers.settlement.models import Account, LedgerEntry, LedgerLine, SplitRule, Statement
from oms_project.money import yuan
from oms_project.refusal import Refusal


def _person(request: HttpRequest) -> Staff:
    """Who is asking; the admin lets nobody in who is not logged in."""
    return cast(Staff, request.user)


class ReadOnly(ModelAdmin):
    """Nobody adds, changes or deletes."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SplitRule)
class SplitRuleAdmin(ModelAdmin):
    list_display = ("code", "version", "name", "component", "payee", "mode", "amount", "percent", "priority", "state")
    list_filter = ("state", "component", "payee")
    search_fields = ("code", "name")
    readonly_fields = ("state",)
    actions = ("publish", "copy_as_draft", "retire")

    @admin.display(description="金额", ordering="amount_fen")
    def amount(self, rule: SplitRule) -> str:
        return yuan(rule.amount_fen) if rule.amount_fen else "—"

    def has_change_permission(self, request: HttpRequest, obj: SplitRule | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.state == SplitRule.State.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: SplitRule | None = None) -> bool:
        return super().has_delete_permission(request, obj) and obj is not None and obj.state == SplitRule.State.DRAFT

    def _each(self, request: HttpRequest, queryset: QuerySet[SplitRule], done: str, act: Any) -> None:
        for rule in queryset:
            try:
                act(rule)
            except Refusal as refusal:
                self.message_user(request, f"{rule}：{refusal.message}", messages.ERROR)
            else:
                self.message_user(request, f"{rule}：{done}")

    @admin.action(description="发布所选草稿", permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[SplitRule]) -> None:
        at = timezone.now()
        self._each(request, queryset, "已发布", lambda rule: settlement.publish_rule(rule=rule, staff=_person(request), at=at))

    @admin.action(description="另存为新版本草稿", permissions=["add"])
    def copy_as_draft(self, request: HttpRequest, queryset: QuerySet[SplitRule]) -> None:
        self._each(
            request,
            queryset,
            "已生成新版本草稿",
            lambda rule: settlement.revise_rule(rule=rule, staff=_person(request), at=timezone.now()),
        )

    @admin.action(description="停用所选规则", permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[SplitRule]) -> None:
        at = timezone.now()
        self._each(request, queryset, "已停用", lambda rule: settlement.retire_rule(rule=rule, staff=_person(request), at=at))


@admin.register(Account)
class AccountAdmin(ReadOnly):
    list_display = ("code", "kind", "party")
    list_filter = ("kind",)
    search_fields = ("code",)


class LedgerLineInline(TabularInline):
    model = LedgerLine
    fields = readonly_fields = ("account", "amount", "component", "explain")
    extra = 0
    can_delete = False

    @admin.display(description="金额")
    def amount(self, line: LedgerLine) -> str:
        return yuan(line.amount_fen)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly):
    list_display = ("key", "kind", "order_no", "effective_at", "posted_at")
    list_filter = ("kind",)
    search_fields = ("order_no__exact", "source__exact")
    inlines = (LedgerLineInline,)


@admin.register(LedgerLine)
class LedgerLineAdmin(ReadOnly):
    list_display = ("entry", "account", "amount", "component", "sentence")
    list_filter = ("component",)
    list_select_related = ("entry", "account")
    search_fields = ("account__code__exact",)

    @admin.display(description="金额", ordering="amount_fen")
    def amount(self, line: LedgerLine) -> str:
        return yuan(line.amount_fen)

    @admin.display(description="算法")
    def sentence(self, line: LedgerLine) -> str:
        return line.explain.get("explain") or line.explain.get("rule", "")


@admin.register(Statement)
class StatementAdmin(ReadOnly):
    list_display = ("statement_no", "dealer", "period_from", "period_to", "accrued", "reversed", "closing", "state")
    list_filter = ("state", "period_from")
    list_select_related = ("dealer",)
    search_fields = ("statement_no", "dealer__name")
    actions = ("confirm", "draw_until_now")

    @admin.display(description="本期应付")
    def accrued(self, statement: Statement) -> str:
        return yuan(statement.accrued_fen)

    @admin.display(description="本期冲减")
    def reversed(self, statement: Statement) -> str:
        return yuan(statement.reversed_fen)

    @admin.display(description="期末应付")
    def closing(self, statement: Statement) -> str:
        return yuan(statement.closing_fen)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Drawing needs no row: let the action run on an empty selection, for those who may act."""
        if request.POST.get("action") == "draw_until_now" and not request.POST.getlist("_selected_action"):
            if not self.has_act_permission(request):
                raise PermissionDenied
            self.draw_until_now(request, Statement.objects.none())
            request.method = "GET"
        return super().changelist_view(request, extra_context)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("dealers.change_statement")

    @admin.action(description="确认所选结算单", permissions=["act"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[Statement]) -> None:
        for statement in queryset:
            settlement.confirm_statement(statement_no=statement.statement_no, staff=_person(request), at=timezone.now())
        self.message_user(request, f"已确认 {len(queryset)} 张")

    @admin.action(description="生成结算单（截至此刻）", permissions=["act"])
    def draw_until_now(self, request: HttpRequest, queryset: QuerySet[Statement]) -> None:
        at = timezone.now()
        begin, end = queries.next_period(at)
        try:
            numbers = settlement.draw_statements(period_from=begin, period_to=end, at=at, actor=f"staff:{request.user.pk}")
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
        else:
            self.message_user(request, f"已生成 {len(numbers)} 张结算单" if numbers else "没有新的结算单")
