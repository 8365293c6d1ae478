"""Shops with their keys, and what the channels pushed: parked messages can be tried again."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminPasswordWidget

from oms_project.refusal import Refusal
from orders.intake import actions as intake
from orders.intake.models import ChannelAccount, SourceMessage


class ChannelAccountForm(forms.ModelForm):
    """Secrets are written and never shown; left empty they stay as they are."""

    app_secret = forms.CharField(
        label="App Secret", required=False, widget=UnfoldAdminPasswordWidget(), help_text="不显示；留空即保持不变"
    )
    access_token = forms.CharField(
        label="Access Token", required=False, widget=UnfoldAdminPasswordWidget(), help_text="不显示；留空即保持不变"
    )

    class Meta:
        model = ChannelAccount
        fields = ["channel", "shop", "name", "app_key", "app_secret", "access_token", "api_base", "is_active"]

    def clean_app_secret(self) -> str:
        secret = self.cleaned_data["app_secret"] or self.instance.app_secret
        if not secret:
            raise forms.ValidationError("请填写 App Secret")
        return str(secret)

    def clean_access_token(self) -> str:
        return str(self.cleaned_data["access_token"] or self.instance.access_token)


@admin.register(ChannelAccount)
class ChannelAccountAdmin(ModelAdmin):
    form = ChannelAccountForm
    list_display = ["name", "channel", "shop", "is_active", "last_heard_at", "refused_count"]
    list_filter = ["channel", "is_active"]
    search_fields = ["name", "shop"]
    readonly_fields = ["last_heard_at", "refused_count"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StateFilter(admin.SimpleListFilter):
    title = "进度"
    parameter_name = "progress"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("parked", "停放（待人工）"), ("waiting", "待处理"), ("done", "已处理")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SourceMessage]) -> QuerySet[SourceMessage]:
        match self.value():
            case "parked":
                return queryset.filter(done_at=None, due_at=None)
            case "waiting":
                return queryset.filter(done_at=None, due_at__isnull=False)
            case "done":
                return queryset.filter(done_at__isnull=False)
        return queryset


@admin.register(SourceMessage)
class SourceMessageAdmin(ModelAdmin):
    list_display = ["received_at", "account", "tag", "external_id", "outcome", "tries", "last_error", "done_at"]
    list_filter = [StateFilter, "account", "tag"]
    list_select_related = ["account"]
    search_fields = ["external_id", "message_key"]
    fields = [
        "account",
        "message_key",
        "tag",
        "external_id",
        "received_at",
        "due_at",
        "done_at",
        "outcome",
        "tries",
        "last_error",
    ]
    ordering = ["-id"]
    show_full_result_count = False
    actions = ["retry"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    @admin.action(description="重试停放的消息", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[SourceMessage]) -> None:
        retried = 0
        for message in queryset:
            try:
                intake.retry_message(message=message, at=timezone.now())
                retried += 1
            except Refusal as refusal:
                messages.error(request, f"{message.message_key}：{refusal.message}")
        if retried:
            messages.success(request, f"{retried} 条消息将重新处理")
