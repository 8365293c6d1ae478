"""Transfers on screen: asked for, approved, rejected, sent, received, cancelled."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.timezone import localdate
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from inventory.arrivals.admin import StepForm, StepPages, day_field, step_button, units_field, words_field
from inventory.ledger import actions as ledger
from inventory.ledger.models import Node, StockCheck
from inventory.models import Sku, Transfer, TransferLine
from inventory.replenishment import actions, queries
from inventory.replenishment.queries import Advised
from inventory.replenishment.rules import MOST_COVER_DAYS, transfer_no
from oms_project.readonly import ReadOnlyInline
from oms_project.refusal import Refusal


class TransferLineInline(ReadOnlyInline):
    model = TransferLine
    fields = ["sku", "requested", "approved", "shipped", "received", "lost"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TransferLine]:
        return super().get_queryset(request).select_related("sku").order_by("pk")


class RequestForm(StepForm):
    source = forms.ModelChoiceField(label="调出仓", queryset=Node.objects.none(), widget=UnfoldAdminSelectWidget())
    target = forms.ModelChoiceField(label="调入仓", queryset=Node.objects.none(), widget=UnfoldAdminSelectWidget())
    lines = forms.CharField(
        label="明细", widget=UnfoldAdminTextareaWidget(), help_text="每行一个 SKU：SKU 编码 数量，中间用空格、逗号或制表符隔开"
    )
    expected_on = day_field("预计到货日", required=False)
    note = words_field("备注", 200, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("source", "target"):
            field: Any = self.fields[name]
            field.queryset = Node.objects.filter(is_active=True).order_by("code")

    def clean_lines(self) -> dict[int, int]:
        wanted: dict[str, int] = {}
        for number, line in enumerate(self.cleaned_data["lines"].splitlines(), start=1):
            cells = line.replace("，", " ").replace(",", " ").split()
            if not cells:
                continue
            if len(cells) != 2 or not (cells[1].isascii() and cells[1].isdigit()) or len(cells[1]) > 12:
                raise forms.ValidationError(f"第 {number} 行应为“SKU 编码 数量”")
            if cells[0] in wanted:
                raise forms.ValidationError(f"第 {number} 行的 {cells[0]} 重复")
            wanted[cells[0]] = int(cells[1])
        ids = dict(Sku.objects.filter(code__in=wanted).values_list("code", "pk"))
        if unknown := [code for code in wanted if code not in ids]:
            raise forms.ValidationError(f"没有这些 SKU：{'、'.join(unknown[:5])}")
        return {ids[code]: units for code, units in wanted.items()}

    def run(self, actor: str, at: datetime) -> str:
        said = self.cleaned_data
        made = actions.request(
            transfer_no=transfer_no(localdate(at), said["token"]), source_id=said["source"].pk, target_id=said["target"].pk,
            quantities=said["lines"], actor=actor, at=at, note=said["note"], expected_on=said["expected_on"],
        )  # fmt: skip
        return f"已申请调拨 {made.transfer_no}"


class ListForm(forms.Form):
    """Which page of a list, and for how many days stock should last."""

    days = forms.IntegerField(min_value=1, max_value=MOST_COVER_DAYS, required=False)
    page = forms.IntegerField(min_value=1, max_value=20_000, required=False)


class StepOfTransfer(StepForm):
    """A step on the version that was looked at, with a quantity per line where the step takes any."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, step: str, transfer: Transfer, data: Any) -> None:
        super().__init__(data, initial={"version": transfer.version})
        self.step, self.transfer = step, transfer
        self.lines = list(transfer.lines.select_related("sku").order_by("pk")) if step not in {"reject", "cancel"} else []
        for line in self.lines:
            most = self._most(line)
            label = f"{line.sku.code} {line.sku.name}（最多 {most}）"
            self.fields[f"sku_{line.sku_id}"] = units_field(label, 0, initial=most)
        if step == "ship":
            self.fields["expected_on"] = day_field("预计到货日", required=False)
        if step == "receive":
            self.fields["is_last"] = forms.BooleanField(
                label="其余不再到货，按短少结案", required=False, widget=UnfoldBooleanSwitchWidget()
            )
        if step in {"receive", "reject", "cancel"}:
            self.fields["reason"] = words_field("原因", 120, required=step != "receive")

    def _most(self, line: TransferLine) -> int:
        left = line.shipped - line.received - line.lost
        return {"approve": line.requested, "ship": line.approved, "receive": left}[self.step]

    def run(self, actor: str, at: datetime) -> str:
        said = self.cleaned_data
        how: dict[str, Any] = {"transfer_no": self.transfer.transfer_no, "version": said["version"], "actor": actor, "at": at}
        if self.lines:
            how["quantities"] = {line.sku_id: said[f"sku_{line.sku_id}"] for line in self.lines}
        how |= {name: said[name] for name in ("expected_on", "is_last", "reason") if name in said}
        if self.step == "receive":
            how["key"] = said["token"]
        done: Transfer = getattr(actions, self.step)(**how)
        return f"{done.transfer_no} {done.get_state_display()}"


class TroubleFilter(admin.SimpleListFilter):
    title = "异常"
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("late", "逾期未到"), ("short", "近 7 天短少"), ("any", "逾期或短少")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Transfer]) -> QuerySet[Transfer]:
        at = timezone.now()
        late, short = queries.late_transfers(at=at), queries.short_transfers(at=at)
        found = {"late": late, "short": short, "any": late | short}.get(self.value() or "")
        return queryset if found is None else queryset.filter(pk__in=found.values("pk"))


@admin.register(Transfer)
class TransferAdmin(StepPages):
    list_display = ["transfer_no", "source", "target", "state", "requested_at", "expected_on", "requested_by"]
    list_select_related = ["source", "target"]
    list_filter = ["state", TroubleFilter]
    search_fields = ["transfer_no", "source__code", "target__code"]
    inlines = [TransferLineInline]
    steps: ClassVar = {"approve": "批准", "reject": "驳回", "ship": "发出", "receive": "收货", "cancel": "取消"}
    actions = ["approve_selected"]
    actions_list = ["shortages", "surpluses"]
    actions_detail = ["approve", "reject", "ship", "receive", "cancel"]
    add_form, add_title = RequestForm, "申请调拨"
    approve, reject, ship, receive, cancel = (step_button(name, words) for name, words in steps.items())

    def steps_of(self, record: Transfer) -> Collection[str]:
        return queries.steps_of(record)

    def form_of(self, step: str, record: Transfer, data: Any) -> StepForm:
        return StepOfTransfer(step, record, data)

    @action(description="缺货清单", url_path="shortages", permissions=["view"])
    def shortages(self, request: HttpRequest) -> HttpResponse:
        return self._advised(request, "缺货清单", queries.shortages)

    @action(description="积压清单", url_path="surpluses", permissions=["view"])
    def surpluses(self, request: HttpRequest) -> HttpResponse:
        return self._advised(request, "积压清单", queries.surpluses)

    def _advised(self, request: HttpRequest, title: str, find: Callable[..., tuple[list[Advised], bool]]) -> HttpResponse:
        """A page of a list with advice; the selected rows, decided again, become requests."""
        asked = request.POST if request.method == "POST" else request.GET
        form, at = ListForm(asked), timezone.now()
        said = form.cleaned_data if form.is_valid() else {}
        days, page = said.get("days") or queries.COVER_DAYS, said.get("page") or 1
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            if "check" in request.POST:
                ledger.ask_check(name=StockCheck.Name.NEEDS, at=at)
                messages.success(request, "已安排检查，稍后自动刷新")
            else:
                self._request_advised(request, title, find, days, at)
            return HttpResponseRedirect(f"{request.path}?days={days}&page={page}")
        found, has_more = find(at=at, cover_days=days, page=page)
        context = self.admin_site.each_context(request) | {
            "opts": self.opts, "title": title, "found": found, "has_more": has_more, "days": days, "page": page,
            "token": uuid4().hex, "may_request": self.has_add_permission(request), "check": queries.last_check(),
        }  # fmt: skip
        return TemplateResponse(request, "admin/inventory/advised.html", context)

    def _request_advised(
        self, request: HttpRequest, title: str, find: Callable[..., tuple[list[Advised], bool]], days: int, at: datetime
    ) -> None:
        ids = [int(each) for each in request.POST.getlist("level")[: queries.PAGE] if each.isdecimal() and len(each) < 19]
        found, _ = find(at=at, cover_days=days, level_ids=ids)
        going = queries.transfers_of(found)
        if not going:
            messages.warning(request, "所选各行没有可生成的调拨申请")
            return
        number = transfer_no(localdate(at), request.POST.get("token", ""))
        try:
            made = actions.request_all(transfer_no=number, going=going, note=title, actor=f"staff:{request.user.pk}", at=at)
        except Refusal as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, f"已生成 {len(made)} 张调拨申请：{'、'.join(each.transfer_no for each in made)}")

    @admin.action(description="批准所选（按申请数量）", permissions=["change"])
    def approve_selected(self, request: HttpRequest, transfers: QuerySet[Transfer]) -> None:
        actor, at, done = f"staff:{request.user.pk}", timezone.now(), 0
        for transfer in transfers.order_by("requested_at", "pk"):
            try:
                actions.approve(transfer_no=transfer.transfer_no, version=transfer.version, actor=actor, at=at)
            except Refusal as refusal:
                messages.error(request, f"{transfer.transfer_no}：{refusal.message}")
            else:
                done += 1
        if done:
            messages.success(request, f"已批准 {done} 张调拨单")
