"""Spreadsheets on screen: upload, look, decide, take back. Every button is one action; what it refuses is told in words."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from inventory.exchange import actions, queries, rules
from inventory.exchange.adapters.sheet import MOST_BYTES, MOST_ROWS
from inventory.exchange.models import StockFile, StockFileRow
from inventory.exchange.pages import buttons_of, columns_of, faults_of, preview_of, progress_of, results_of
from inventory.ledger import spreadsheet
from oms_project.readonly import ReadOnlyAdmin
from oms_project.refusal import Refusal

_SHOWN = 50


class UploadForm(forms.Form):
    """A file, what it is, and of when."""

    purpose = forms.ChoiceField(label="用途", choices=StockFile.Purpose.choices, widget=UnfoldAdminSelectWidget)
    file = forms.FileField(
        label="文件",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,.xlsx"}),
        allow_empty_file=True,
        error_messages={"required": "请选择文件"},
        help_text=f"CSV 或 XLSX（第一张工作表），最大 {MOST_BYTES // 1024 // 1024} MB、{MOST_ROWS:,} 行",
    )
    counted_at = forms.DateTimeField(
        label="数据时间",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text="库存和盘点的数字是什么时候的；表中有时间列的行以表为准，不填即现在。此后的出入库会保留",
    )
    is_meant = forms.BooleanField(
        label="内容相同也上传", required=False, widget=forms.HiddenInput, help_text="请重新选择文件，勾选后再上传"
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(f"文件超过 {MOST_BYTES // 1024 // 1024} MB 的上限，请拆分成多个文件后上传")
        return file

    def ask_whether_meant(self) -> None:
        self.fields["is_meant"].widget = UnfoldBooleanWidget()


@admin.register(StockFile)
class StockFileAdmin(ReadOnlyAdmin):
    list_display = ["file_no", "name", "purpose", "state", "total_rows", "bad_rows", "done_rows", "actor", "uploaded_at"]
    list_filter = ["state", "purpose"]
    search_fields = ["file_no", "name"]
    actions_list = ["upload"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockFile]:
        return super().get_queryset(request).defer("body")

    def has_upload_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inventory.add_stockfile")

    def has_step_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inventory.change_stockfile")

    def get_urls(self) -> list[Any]:
        def guarded(name: str, route: str, view: Callable[..., HttpResponseBase]) -> Any:
            return path(route, self.admin_site.admin_view(view), name=f"inventory_stockfile_{name}")

        return [
            guarded("template", "template/<str:purpose>.csv", self.template_view),
            guarded("step", "<int:file_id>/<str:step>/do/", self.step_view),
            guarded("wrong", "<int:file_id>/wrong.csv", self.wrong_view),
            *super().get_urls(),
        ]

    @action(description="上传", url_path="upload", permissions=["upload"], icon="upload_file")
    def upload(self, request: HttpRequest) -> HttpResponse:
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            told = form.cleaned_data
            try:
                file = actions.upload(
                    body=told["file"].read(),
                    name=told["file"].name,
                    purpose=told["purpose"],
                    counted_at=told["counted_at"],
                    is_meant=told["is_meant"],
                    actor=_actor(request),
                    at=timezone.now(),
                )
            except Refusal as refusal:
                form.add_error("file", refusal.message)
                if isinstance(refusal, actions.AlreadyUploaded):
                    form.ask_whether_meant()
            else:
                return HttpResponseRedirect(_page_of(file.pk))
        templates = [
            (label, reverse("admin:inventory_stockfile_template", args=[purpose])) for purpose, label in StockFile.Purpose.choices
        ]
        return self._page(request, "upload", title="上传库存表格", form=form, templates=templates)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """How the file stands: progress, preview or result."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        file = self.get_object(request, object_id)
        if file is None:
            raise Http404
        is_working = file.state in queries.WORKING
        is_read = not is_working and file.state not in {StockFile.State.REFUSED, StockFile.State.DROPPED}
        is_ready = file.state == StockFile.State.READY
        is_shown = is_ready and file.read_to > 0
        return self._page(
            request,
            "file",
            title=f"库存导入 {file.file_no}",
            file=file,
            progress=progress_of(file) if is_working else None,
            faults=faults_of(file) if is_shown else (),
            columns=columns_of(file) if is_ready and file.header else (),
            preview=preview_of(file, _SHOWN) if is_shown else None,
            results=results_of(file) if is_read and not is_ready else (),
            good_rows=file.total_rows - file.bad_rows,
            wrong=reverse("admin:inventory_stockfile_wrong", args=[file.pk]) if is_read and queries.has_wrong_rows(file) else "",
            buttons=buttons_of(file) if self.has_step_permission(request) else (),
        )

    def step_view(self, request: HttpRequest, file_id: int, step: str) -> HttpResponse:
        """A button was pressed: by who may, on what they had seen."""
        if not self.has_step_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        file = self.get_queryset(request).filter(pk=file_id).first()
        if file is None or step not in {"read", "apply", "drop", "undo"}:
            raise Http404
        seen: dict[str, Any] = {"file": file, "version": _whole(request.POST.get("version", ""), 0)}
        try:
            if step == "read":
                chosen = {role: request.POST.get(role, "") for role in rules.ROLES}
                columns = {role: _whole(index, -1) for role, index in chosen.items() if index}
                actions.set_columns(columns=columns, **seen)
            else:
                act = {"apply": actions.apply_file, "drop": actions.drop_file, "undo": actions.undo_file}[step]
                act(actor=_actor(request), **seen)
        except Refusal as refusal:
            messages.error(request, refusal.message)
        return HttpResponseRedirect(_page_of(file_id))

    def wrong_view(self, request: HttpRequest, file_id: int) -> StreamingHttpResponse:
        """The rows that were not applied as a CSV, which can be mended and uploaded again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        file = self.get_queryset(request).filter(pk=file_id).first()
        if file is None:
            raise Http404
        head = [*file.header, "行号", "错误状态", "错误原因"]
        rows = ([*cells, number, state, why] for number, cells, state, why in queries.wrong_rows(file))
        return spreadsheet.csv_file(request, f"{file.file_no}-未执行", head, rows)

    def template_view(self, request: HttpRequest, purpose: str) -> StreamingHttpResponse:
        """An empty CSV with the columns of a purpose."""
        if not self.has_upload_permission(request):
            raise PermissionDenied
        if purpose not in rules.COLUMNS:
            raise Http404
        needed, useful = rules.COLUMNS[purpose]
        header = [rules.title_of(role, purpose) for role in (*needed, *useful)]
        return spreadsheet.csv_file(request, f"模板-{StockFile.Purpose(purpose).label}", header, ())

    def _page(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        known = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/inventory/stockfile/{name}.html", known)


@admin.register(StockFileRow)
class StockFileRowAdmin(ReadOnlyAdmin):
    list_display = ["file", "number", "node", "sku", "quantity", "change", "state", "problem"]
    list_select_related = ["file", "node", "sku"]
    list_filter = ["state", "fault"]
    search_fields = ["file__file_no"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockFileRow]:
        return super().get_queryset(request).defer("file__body")


def _page_of(file_id: int) -> str:
    return reverse("admin:inventory_stockfile_change", args=[file_id])


def _actor(request: HttpRequest) -> str:
    return f"staff:{request.user.pk}"


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise
