"""Divisions, townships and the loads they came by, to look at: they are changed by `load_divisions` only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from dealers.divisions.models import Division, DivisionEdition, Township
from oms_project.readonly import ReadOnlyAdmin


class ValidityFilter(admin.SimpleListFilter):
    """What is valid today, or what was closed."""

    title = "状态"
    parameter_name = "validity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("current", "现行"), ("closed", "已停用")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Division]) -> QuerySet[Division]:
        if self.value() in {"current", "closed"}:
            return queryset.filter(valid_to__isnull=self.value() == "current")
        return queryset


@admin.register(Division)
class DivisionAdmin(ReadOnlyAdmin):
    list_display = ["code", "name", "level", "parent", "former_names", "valid_from", "valid_to", "heirs", "population"]
    list_filter = [ValidityFilter, "level"]
    list_select_related = ["parent"]
    search_fields = ["code__startswith", "name", "former_names"]
    ordering = ["code"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Division]:
        return super().get_queryset(request).prefetch_related("replaced_by")

    @admin.display(description="现属区划")
    def heirs(self, division: Division) -> str:
        return "、".join(str(heir) for heir in division.replaced_by.all()) or "—"


@admin.register(Township)
class TownshipAdmin(ReadOnlyAdmin):
    list_display = ["code", "name", "district", "is_current"]
    list_filter = ["is_current"]
    list_select_related = ["district"]
    search_fields = ["code__startswith", "name"]
    ordering = ["code"]


@admin.register(DivisionEdition)
class DivisionEditionAdmin(ReadOnlyAdmin):
    list_display = ["loaded_at", "source", "outcome", "digest"]
    ordering = ["-loaded_at"]
