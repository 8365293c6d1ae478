"""Stock locks on screen: planned, changed, begun, filled and ended through their actions only, and never deleted."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from inventory.locks import actions as locks
from inventory.locks import queries
from inventory.models import StockLock
from inventory.reservations.models import Reservation
from oms_project.readonly import InWords
from oms_project.refusal import Refusal

CLAIMS = {"live": "直播场次", "shop": "店铺", "channel": "渠道", "campaign": "活动"}
LIGHTS = {"ok": "success", "low": "warning", "out": "danger"}
State = StockLock.State
_OWN = {"open": "锁着", "consumed": "已取完", "released": "已放回"}


class LockForm(forms.ModelForm):
    """A form whose last step of validation is the deed itself, so that a refusal stands above what was typed."""

    actor: ClassVar[str]
    at: ClassVar[datetime]

    def carry_out(self) -> StockLock:
        raise NotImplementedError

    def _post_clean(self) -> None:
        """In place of the model's own validation, which would say the same less clearly."""
        if self.errors:
            return
        try:
            self.instance = self.carry_out()
        except Refusal as refusal:
            self.add_error(None, refusal.message)


class PlanForm(LockForm):
    claim_kind = forms.ChoiceField(label="锁给谁", choices=list(CLAIMS.items()), widget=UnfoldAdminSelectWidget)
    claim_code = forms.CharField(
        label="编码",
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text="直播场次填场次号，店铺填“渠道/店铺”（如 doudian/1001），渠道填 doudian，活动填活动编码",
    )

    def carry_out(self) -> StockLock:
        given = dict(self.cleaned_data)
        claim = f"{given.pop('claim_kind')}:{given.pop('claim_code').strip()}"
        sku, group = given.pop("sku"), given.pop("group")
        return locks.plan_lock(
            claim=claim, sku_id=sku.pk, group_id=group.pk if group else None, actor=self.actor, at=self.at, **given
        )


class ChangeForm(LockForm):
    def carry_out(self) -> StockLock:
        changed = {name: self.cleaned_data[name] for name in self.changed_data}
        if changed:
            locks.change_lock(lock_no=self.instance.lock_no, actor=self.actor, at=self.at, **changed)
        return StockLock.objects.get(pk=self.instance.pk)


class UnfilledFilter(admin.SimpleListFilter):
    title = "锁定情况"
    parameter_name = "unfilled"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "未锁足")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StockLock]) -> QuerySet[StockLock]:
        return queryset.filter(pk__in=queries.unfilled().values("pk")) if self.value() else queryset


@admin.register(StockLock)
class StockLockAdmin(InWords, ModelAdmin):
    list_display = [
        "name", "buyers", "sku", "state", "amount_shown", "locked_units", "drawn_units", "safe_units", "period",
        "priority", "lock_no",
    ]  # fmt: skip
    list_select_related = ["sku"]
    list_filter = ["state", "mode", UnfilledFilter]
    search_fields = ["lock_no", "name", "claim", "sku__code"]
    ordering = ["-id"]
    show_full_result_count = False
    list_per_page = 50
    autocomplete_fields = ["sku", "group"]
    actions = ["start_now", "end_now", "fill_up"]
    change_form_outer_after_template = "inventory/lock_history.html"
    planned_fields = [
        "name", ("claim_kind", "claim_code"), "sku", "group", ("mode", "amount"), ("priority", "release_order"), "starts_at",
        "ends_at",
    ]  # fmt: skip
    shown_fields = [
        "lock_no", "name", "buyers", "sku", "group", "state", "mode", "priority", "release_order", "starts_at",
        "locked_units", "drawn_units", "safe_now",
    ]  # fmt: skip
    changed_fields = ["amount", "ends_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: StockLock | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.state != State.ENDED)

    def get_fieldsets(self, request: HttpRequest, obj: StockLock | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": self.planned_fields})]
        return [("可修改", {"fields": self.changed_fields}), ("锁库", {"fields": self.shown_fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: StockLock | None = None) -> Any:
        return self.shown_fields if obj else []

    def get_form(self, request: HttpRequest, obj: StockLock | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **{**kwargs, "form": ChangeForm if obj else PlanForm})
        form.actor, form.at = _actor(request), timezone.now()
        return form

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"starts_at": timezone.now().replace(second=0, microsecond=0), **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has done it."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> StockLock | None:
        lock: StockLock | None = super().get_object(request, object_id, from_field)
        if lock:
            _count([lock])
        return lock

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        _count(page.result_list)
        return page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        lock_no = (
            StockLock.objects.filter(pk=object_id).values_list("lock_no", flat=True).first() if object_id.isdigit() else None
        )
        context = {**(extra_context or {}), "lock_history": _history(lock_no or "")}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="锁给谁", ordering="claim")
    def buyers(self, lock: StockLock) -> str:
        kind, _, code = lock.claim.partition(":")
        return _in_one_line(f"{CLAIMS.get(kind, kind)} {code}")

    @admin.display(description="计划锁定", ordering="amount")
    def amount_shown(self, lock: StockLock) -> str:
        return f"{lock.amount}%" if lock.mode == StockLock.Mode.RATIO else f"{lock.amount} 件"

    @admin.display(description="时段", ordering="starts_at")
    def period(self, lock: StockLock) -> str:
        starts, ends = localtime(lock.starts_at), localtime(lock.ends_at)
        until = f"{ends:%H:%M}" if starts.date() == ends.date() else f"{ends:%m-%d %H:%M}"
        return _in_one_line(f"{starts:%m-%d %H:%M} – {until}")

    @admin.display(description="锁着")
    def locked_units(self, lock: Any) -> int:
        return int(lock.units[0])

    @admin.display(description="已取走")
    def drawn_units(self, lock: Any) -> int:
        return int(lock.units[1])

    @display(description="还可安全售卖", label=LIGHTS)
    def safe_units(self, lock: Any) -> Any:
        return (lock.safe.alarm, f"{lock.safe.total.safe} 件") if lock.safe else None

    @admin.display(description="还可安全售卖")
    def safe_now(self, lock: Any) -> str:
        return f"{lock.safe.total.safe} 件" if lock.safe else "—"

    @admin.action(description="立即开始", permissions=["change"])
    def start_now(self, request: HttpRequest, chosen: QuerySet[StockLock]) -> None:
        self._each(request, chosen, "已开始", {State.ACTIVE: "已在生效中"}, locks.start_lock)

    @admin.action(description="立即结束", permissions=["change"])
    def end_now(self, request: HttpRequest, chosen: QuerySet[StockLock]) -> None:
        self._each(request, chosen, "已结束", {State.ENDED: "早已结束"}, locks.end_lock)

    def _each(
        self, request: HttpRequest, chosen: QuerySet[StockLock], done: str, pointless: dict[str, str], act: Callable[..., None]
    ) -> None:
        count = 0
        for lock in chosen.order_by("pk"):
            fault = pointless.get(lock.state, "")
            if not fault:
                try:
                    act(lock_no=lock.lock_no, actor=_actor(request), at=timezone.now())
                except Refusal as refusal:
                    fault = refusal.message
            if fault:
                self.message_user(request, f"{lock}：{fault}", messages.ERROR)
            else:
                count += 1
        if count:
            self.message_user(request, f"{done} {count} 个锁库", messages.SUCCESS)

    @admin.action(description="补足", permissions=["change"])
    def fill_up(self, request: HttpRequest, chosen: QuerySet[StockLock]) -> None:
        active = [lock for lock in chosen.order_by("pk") if lock.state == State.ACTIVE or self._idle(request, lock)]
        if not active:
            return
        count = locks.top_up(at=timezone.now(), sku_ids={lock.sku_id for lock in active}, actor=_actor(request))
        told = f"补足了 {count} 个锁库" if count else "没有可补的库存，或已经锁满"
        self.message_user(request, told, messages.SUCCESS if count else messages.WARNING)

    def _idle(self, request: HttpRequest, lock: StockLock) -> bool:
        self.message_user(request, f"{lock}：{lock.get_state_display()}，不能补足", messages.ERROR)
        return False


def _actor(request: HttpRequest) -> str:
    return f"staff:{request.user.pk}"


def _in_one_line(text: str) -> SafeString:
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def _count(shown: Iterable[Any]) -> None:
    """Give each lock of a page what it holds, what was drawn, and what may be sold; four statements for them all."""
    rows = list(shown)
    numbers = [lock.lock_no for lock in rows]
    units = queries.held_and_drawn(numbers)
    safe = {each.lock_no: each for each in queries.safe_to_sell(at=timezone.now(), among=numbers)} if numbers else {}
    for lock in rows:
        lock.units, lock.safe = units[lock.lock_no], safe.get(lock.lock_no)


def _history(lock_no: str) -> dict[str, Any]:
    rows = []
    for each in queries.history(lock_no):
        place = each.level.node.name if each.level else "—"
        if each.bill == lock_no:
            left = each.quantity if each.state == Reservation.State.OPEN else 0
            figures = [f"现锁着 {left} 件", "", _OWN[each.state]]
        else:
            figures = [f"{each.quantity} 件", f"{each.drawn} 件", each.get_state_display()]
        rows.append([f"{localtime(each.held_at):%m-%d %H:%M:%S}", each.bill, each.get_kind_display(), place, *figures])
    return {"headers": ["时间", "单据", "类别", "仓库", "数量", "取自锁库", "状态"], "rows": rows}
