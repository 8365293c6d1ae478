"""How much work each dealer got on each day."""

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from dealers.capacity.models import DayLoad
from oms_project.readonly import ReadOnlyAdmin


class FullFilter(admin.SimpleListFilter):
    """Days on which a dealer could not get more."""

    title = "已满"
    parameter_name = "full"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("1", "只看已满")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DayLoad]) -> QuerySet[DayLoad]:
        return queryset.filter(taken__gte=F("allowed")) if self.value() == "1" else queryset


@admin.register(DayLoad)
class DayLoadAdmin(ReadOnlyAdmin):
    list_display = ["day", "dealer", "taken", "allowed", "closed_at"]
    list_filter = [FullFilter, "day"]
    list_select_related = ["dealer"]
    search_fields = ["dealer__code", "dealer__name"]
    ordering = ["-day", "dealer_id"]
