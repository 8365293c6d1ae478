"""Goods on their way, on screen: announced, received, put off, given up; each step asks what it needs on a page of its own."""

from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from inventory.arrivals import actions
from inventory.arrivals.rules import NewIncoming, transfer_of
from inventory.ledger.models import Node
from inventory.models import Incoming, Sku
from oms_project.readonly import SteppedAdmin
from oms_project.refusal import Refusal


class DayWidget(UnfoldAdminTextInputWidget):
    """A day, chosen with the calendar of the browser."""

    input_type = "date"


def units_field(label: str, at_least: int, **more: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=at_least, widget=UnfoldAdminIntegerFieldWidget(), **more)


def words_field(label: str, longest: int, **more: Any) -> forms.CharField:
    return forms.CharField(label=label, max_length=longest, widget=UnfoldAdminTextInputWidget(), **more)


def day_field(label: str, **more: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=DayWidget(), **more)


class StepForm(forms.Form):
    """What a step needs; the token makes a form that is sent twice count once."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=32, initial=lambda: uuid4().hex)

    def run(self, actor: str, at: datetime) -> str:
        """Do it; returns what to tell. Raises Refusal."""
        raise NotImplementedError


class StepPages(SteppedAdmin):
    """A record with a button per step on its page. `steps` are step names with their buttons' words."""

    steps: ClassVar[dict[str, str]]
    add_form: type[StepForm]
    add_title: str

    def form_of(self, step: str, record: Any, data: Any) -> StepForm:
        raise NotImplementedError

    def steps_of(self, record: Any) -> Collection[str]:
        """The steps that this record may take now."""
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        record = self.get_object(request, str(object_id))
        if record is None or not self.has_change_permission(request):
            return []
        possible = self.steps_of(record)
        return [each for each in super().get_actions_detail(request, object_id) if each.path in possible]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = self.add_form(request.POST if request.method == "POST" else None)
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return self.page(request, form, self.add_title, "提交", back)

    def step(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """The page of one step: shown, or done."""
        record = self.get_object(request, str(object_id))
        if not self.has_change_permission(request):
            raise PermissionDenied
        if record is None:
            raise Http404
        form = self.form_of(name, record, request.POST if request.method == "POST" else None)
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[record.pk])
        return self.page(request, form, f"{self.steps[name]}：{record}", self.steps[name], back)

    def page(self, request: HttpRequest, form: StepForm, title: str, button: str, back: str) -> HttpResponse:
        if form.is_bound and form.is_valid():
            try:
                told = form.run(f"staff:{request.user.pk}", timezone.now())
            except Refusal as refusal:
                form.add_error(None, refusal.message)
            else:
                self.message_user(request, told, messages.SUCCESS)
                return HttpResponseRedirect(back)
        context = self.admin_site.each_context(request) | {"opts": self.opts, "form": form, "title": title}
        return TemplateResponse(request, "admin/inventory/step.html", context | {"button": button, "back": back})


def step_button(name: str, words: str) -> Callable[..., HttpResponse]:
    """A button of a StepPages that opens the page of a step."""

    def opened(self: StepPages, request: HttpRequest, object_id: Any) -> HttpResponse:
        return self.step(request, object_id, name)

    opened.__name__ = name
    button: Callable[..., HttpResponse] = action(description=words, url_path=name)(opened)
    return button


class ExpectForm(StepForm):
    node = forms.ModelChoiceField(label="到货仓", queryset=Node.objects.none(), widget=UnfoldAdminSelectWidget())
    sku = words_field("SKU 编码", 40)
    quantity = units_field("数量", 1)
    expected_on = day_field("预计到货日")
    note = words_field("备注", 120, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["node"].queryset = Node.objects.filter(is_active=True).order_by("code")  # type: ignore[attr-defined]

    def clean_sku(self) -> Sku:
        sku = Sku.objects.filter(code=self.cleaned_data["sku"].strip()).first()
        if sku is None:
            raise forms.ValidationError("没有这个 SKU")
        return sku

    def run(self, actor: str, at: datetime) -> str:
        said = self.cleaned_data
        row = NewIncoming(
            said["node"].pk, said["sku"].pk, said["quantity"], said["expected_on"], f"admin:{said['token']}", said["note"]
        )
        [result] = actions.expect(rows=[row], actor=actor, at=at)
        if result.problem:
            raise Refusal(result.problem)
        return "已登记在途"


class ArriveForm(StepForm):
    quantity = units_field("到货数量", 1)

    def __init__(self, record: Incoming, data: Any) -> None:
        super().__init__(data, initial={"quantity": record.quantity - record.received})
        self.record = record

    def run(self, actor: str, at: datetime) -> str:
        said = self.cleaned_data
        came = actions.receive(
            source_key=self.record.source_key, quantity=said["quantity"], key=said["token"], actor=actor, at=at
        )
        return f"已入库 {came} 件" if came else "这次到货已经登记过"


class RescheduleForm(StepForm):
    expected_on = day_field("新的预计到货日")
    reason = words_field("原因", 120)

    def __init__(self, record: Incoming, data: Any) -> None:
        super().__init__(data, initial={"expected_on": record.expected_on})
        self.record = record

    def run(self, actor: str, at: datetime) -> str:
        day: date = self.cleaned_data["expected_on"]
        actions.reschedule(
            source_key=self.record.source_key, expected_on=day, reason=self.cleaned_data["reason"], actor=actor, at=at
        )
        return f"预计到货日改为 {day}"


class CancelForm(StepForm):
    reason = words_field("原因", 120)

    def __init__(self, record: Incoming, data: Any) -> None:
        super().__init__(data)
        self.record = record

    def run(self, actor: str, at: datetime) -> str:
        end = actions.close_short if self.record.received else actions.cancel
        lacking = end(source_key=self.record.source_key, reason=self.cleaned_data["reason"], actor=actor, at=at)
        return f"已结束，{lacking} 件预售承诺改为待分配" if lacking else "已结束"


FORMS: dict[str, Callable[[Incoming, Any], StepForm]] = {
    "arrive": ArriveForm, "reschedule": RescheduleForm, "cancel": CancelForm
}  # fmt: skip


@admin.register(Incoming)
class IncomingAdmin(StepPages):
    list_display = ["node", "sku", "quantity", "received", "promised", "expected_on", "state", "source_key"]
    list_select_related = ["node", "sku"]
    list_filter = ["state", "expected_on"]
    search_fields = ["source_key", "sku__code", "node__code"]
    steps: ClassVar = {"arrive": "到货", "reschedule": "改期", "cancel": "取消（已收的按短少结案）"}
    actions_detail = ["arrive", "reschedule", "cancel"]
    add_form, add_title = ExpectForm, "登记在途"
    arrive, reschedule, cancel = (step_button(name, words) for name, words in steps.items())

    def steps_of(self, record: Incoming) -> Collection[str]:
        if record.state != Incoming.State.OPEN:
            return ()
        return ("reschedule",) if transfer_of(record.source_key) else tuple(self.steps)

    def form_of(self, step: str, record: Incoming, data: Any) -> StepForm:
        return FORMS[step](record, data)
