"""How the admin shows, saves and exports stock: saved by actions, counted within reason, sent as a file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import path
from django.utils import timezone
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

from inventory.items.models import Sku
from inventory.ledger.models import Node
from inventory.ledger.spreadsheet import file_of
from oms_project.refusal import Refusal

MOST_COUNTED = 10_000
MOST_TOLD = 20
MOST_WORDS = 5
MOST_NAMED = 2_000


def actor_of(request: HttpRequest) -> str:
    return f"staff:{request.user.pk}"


class CappedPaginator(Paginator):
    """Counts no further than 10,000 rows: a list of 600,000 is narrowed down, not leafed through."""

    @cached_property
    def count(self) -> int:
        return int(cast(QuerySet[Any], self.object_list).order_by()[: MOST_COUNTED + 1].count())


class JudgedForm(forms.ModelForm):
    """The action judges the record, in Chinese, instead of the constraints of its table; `refused` is what it said."""

    refused = ""

    def clean(self) -> Any:
        if self.refused:
            self.add_error(None, self.refused)
        return super().clean()

    def _post_clean(self) -> None:
        self.instance.validate_constraints = lambda exclude=None: None
        super()._post_clean()  # type: ignore[misc]


class SavedByActions(ModelAdmin):
    """Whatever an action refuses to save is said on the form, and what it refuses to delete in a message."""

    form = JudgedForm

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        return type(made)(made.__name__, (made,), {"refused": getattr(request, "refused", "")})

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refusal as refusal:
            request.refused = refusal.message  # type: ignore[attr-defined]
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect("../change/")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One at a time: deleting many would not ask the action."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}


class SearchedByPlace(ModelAdmin):
    """Finds rows of stock by the codes and names of places and goods: these are looked up first, the rows then by ids.

    Each word must fit the place or the SKU, or be one of `keys` exactly. A join would read every row for every word.
    """

    keys: ClassVar[Sequence[str]] = ()

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        for word in search_term.split()[:MOST_WORDS]:
            queryset = queryset.filter(self._fits(word))
        return queryset, False

    def _fits(self, word: str) -> Q:
        named = Q(code__icontains=word) | Q(name__icontains=word)
        fits = Q(pk__in=[])
        for column, rows in (("node", Node.objects.filter(named)), ("sku", Sku.objects.filter(named))):
            ids = list(rows.values_list("pk", flat=True)[: MOST_NAMED + 1])
            if ids:
                fits |= Q(**{f"{column}__in": ids if len(ids) <= MOST_NAMED else rows.values("pk")})
        for key in self.keys:
            fits |= Q(**{key: word})
        return fits


class Exported(ModelAdmin):
    """A list that can be had as a file, filtered and sorted as it is shown."""

    list_before_template = "inventory/list_tools.html"
    paginator = CappedPaginator
    show_full_result_count = False
    file_name = ""
    file_columns: ClassVar[Sequence[tuple[str, str]]] = ()
    file_words: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(self.export), name=name), *super().get_urls()]

    def get_file_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """What the list shows, all pages of it."""
        rows: QuerySet[Any] = self.get_changelist_instance(request).queryset
        return rows

    def export(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        titles, columns = zip(*self.file_columns, strict=True)
        words = [self.file_words.get(column, {}) for column in columns]
        return file_of(request, self.file_name, titles, self.get_file_rows(request).values_list(*columns), words)


def tell(request: HttpRequest, done: str, rows: Iterable[tuple[str, Callable[[datetime], object]]], beside: int = 0) -> None:
    """Do one thing per row; a row that is refused is named with the reason (20 at most), the others go through.

    `beside` these there were rows with nothing to do, which count as done.
    """
    told(request, done, [*((label, _problem(act)) for label, act in rows), *[("", "")] * beside])


def tell_all(request: HttpRequest, words: str, act: Callable[..., int]) -> None:
    """Do one thing for all rows together; say of how many it is true, or why of none."""
    try:
        messages.success(request, f"{words} {act(at=timezone.now())} 处")
    except Refusal as refusal:
        messages.error(request, refusal.message)


def told(request: HttpRequest, done: str, results: Iterable[tuple[str, str]]) -> None:
    """Say what became of each (row, problem): how many were done, and why which were not."""
    all_results = list(results)
    failed = [(label, problem) for label, problem in all_results if problem]
    for label, problem in failed[:MOST_TOLD]:
        messages.error(request, f"{label}：{problem}")
    if len(failed) > MOST_TOLD:
        messages.error(request, f"共 {len(failed)} 处未成功，以上只列出 {MOST_TOLD} 处")
    if len(failed) < len(all_results):
        messages.success(request, f"{done} {len(all_results) - len(failed)} 处")


def _problem(act: Callable[[datetime], object]) -> str:
    try:
        act(timezone.now())
    except Refusal as refusal:
        return refusal.message
    return ""


def picked(request: HttpRequest, rows: QuerySet[Any], most: int) -> list[Any]:
    """The rows somebody ticked, in the order of their ids; none, with a message, when there are more than one request can do."""
    found = list(rows.order_by("pk")[: most + 1])
    if len(found) <= most:
        return found
    messages.error(request, f"一次最多处理 {most:,} 处，请先筛选")
    return []
