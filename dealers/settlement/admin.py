"""Rules, ledger and statements in the admin: drafts are edited, everything else is read and acted on by buttons."""

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from dealers.directory.models import Staff
from dealers.settlement import actions as settlement
from dealers.settlement import queries
from dealers.settlement.models import Account, LedgerEntry, LedgerLine, Seal, SplitRule, Statement, StatementLine, WorkRefund
from oms_project.money import yuan
from oms_project.readonly import InWords, ReadOnlyAdmin, ReadOnlyInline, WordsFilter
from oms_project.refusal import Refusal

COMPONENTS: dict[str, str] = dict(SplitRule.Component.choices)
KINDS = {"accrual": "计提", "reversal": "冲减"}


@admin.register(SplitRule)
class SplitRuleAdmin(InWords, ModelAdmin):
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

    def save_model(self, request: HttpRequest, obj: SplitRule, form: Any, change: bool) -> None:
        """Change what was edited and only while it is a draft: somebody may publish it at the same moment."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        edited = {name: form.cleaned_data[name] for name in form.changed_data}
        draft = SplitRule.objects.filter(pk=obj.pk, state=SplitRule.State.DRAFT)
        if edited and not draft.update(**edited):
            self.message_user(request, "这条规则刚刚发布，修改没有保存", messages.ERROR)

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
        self._each(
            request, queryset, "已发布", lambda rule: settlement.publish_rule(rule=rule, staff=cast(Staff, request.user), at=at)
        )

    @admin.action(description="另存为新版本草稿", permissions=["add"])
    def copy_as_draft(self, request: HttpRequest, queryset: QuerySet[SplitRule]) -> None:
        self._each(
            request,
            queryset,
            "已生成新版本草稿",
            lambda rule: settlement.revise_rule(rule=rule, staff=cast(Staff, request.user), at=timezone.now()),
        )

    @admin.action(description="停用所选规则", permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[SplitRule]) -> None:
        at = timezone.now()
        self._each(
            request, queryset, "已停用", lambda rule: settlement.retire_rule(rule=rule, staff=cast(Staff, request.user), at=at)
        )


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("code", "kind", "party")
    list_filter = ("kind",)
    search_fields = ("code",)


class LedgerLineInline(ReadOnlyInline):
    model = LedgerLine
    fields = ("account", "amount_fen", "component", "sentence")
    words: ClassVar = {"component": COMPONENTS}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), "sentence"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerLine]:
        return super().get_queryset(request).select_related("account")

    @admin.display(description="算法")
    def sentence(self, line: LedgerLine) -> str:
        return _sentence(line)


def _sentence(line: LedgerLine) -> str:
    """How the amount came about, as the rule said it."""
    return str(line.explain.get("explain") or line.explain.get("rule", ""))


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("key", "kind", "order_no", "effective_at", "posted_at")
    list_filter = (("kind", WordsFilter),)
    words: ClassVar = {"kind": KINDS}
    search_fields = ("order_no__exact", "source__exact")
    inlines = (LedgerLineInline,)


@admin.register(LedgerLine)
class LedgerLineAdmin(ReadOnlyAdmin):
    list_display = ("entry", "account", "amount_fen", "component", "sentence")
    list_filter = (("component", WordsFilter),)
    words: ClassVar = {"component": COMPONENTS}
    list_select_related = ("entry", "account")
    search_fields = ("account__code__exact",)

    @admin.display(description="算法")
    def sentence(self, line: LedgerLine) -> str:
        return _sentence(line)


class StatementLineInline(ReadOnlyInline):
    """Every ledger line that makes up the amount, a page at a time."""

    model = StatementLine
    fields = ("order_no", "posted_at", "component", "amount", "sentence")
    verbose_name_plural = "明细"
    per_page = 50

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return list(self.fields)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatementLine]:
        return super().get_queryset(request).select_related("ledger_line__entry").order_by("ledger_line_id")

    @admin.display(description="订单号")
    def order_no(self, line: StatementLine) -> str:
        return line.ledger_line.entry.order_no

    @admin.display(description="记账时间")
    def posted_at(self, line: StatementLine) -> str:
        return f"{timezone.localtime(line.ledger_line.entry.posted_at):%Y-%m-%d %H:%M:%S}"

    @admin.display(description="分项")
    def component(self, line: StatementLine) -> str:
        return COMPONENTS.get(line.ledger_line.component, line.ledger_line.component)

    @admin.display(description="应付")
    def amount(self, line: StatementLine) -> str:
        """What we owe is a credit, negative in the books; a dealer reads it the other way round."""
        return yuan(-line.ledger_line.amount_fen)

    @admin.display(description="算法")
    def sentence(self, line: StatementLine) -> str:
        return _sentence(line.ledger_line)


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    list_display = ("statement_no", "dealer", "period_from", "period_to", "accrued_fen", "reversed_fen", "closing_fen", "state")
    list_filter = ("state", "period_from")
    list_select_related = ("dealer",)
    search_fields = ("statement_no", "dealer__name")
    inlines = (StatementLineInline,)
    fields = (
        ("statement_no", "dealer"), ("period_from", "period_to"), ("opening_fen", "accrued_fen"), ("reversed_fen", "closing_fen"),
        ("state", "drawn_at"), ("confirmed_by", "confirmed_at"),
    )  # fmt: skip
    actions = ("confirm", "draw_until_now")

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
            settlement.confirm_statement(statement_no=statement.statement_no, staff=cast(Staff, request.user), at=timezone.now())
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


@admin.register(WorkRefund)
class WorkRefundAdmin(ReadOnlyAdmin):
    list_display = ("fo_no", "refund_key", "order_no", "amount_fen", "refunded_at")
    search_fields = ("=order_no", "=fo_no")


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    list_display = ("id",)
