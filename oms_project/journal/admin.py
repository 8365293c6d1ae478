"""The event log and its dead letters: to read, and to retry."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from oms_project.journal import actions as journal
from oms_project.journal.models import Delivery, Entry
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "recorded_at", "name", "subject", "actor")
    list_filter = ("name",)
    search_fields = ("subject__exact",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("entry", "subscriber", "due_at", "tries", "parked_at", "last_error")
    list_filter = (("parked_at", admin.EmptyFieldListFilter), "subscriber")
    list_select_related = ("entry",)
    actions = ("retry",)

    @admin.action(description="重新投递所选", permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = journal.retry(delivery_ids=list(queryset.values_list("pk", flat=True)), at=timezone.now())
        self.message_user(request, f"{count} 条将重新投递")
