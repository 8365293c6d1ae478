"""Shops and their messages on screen. Bodies hold personal data and are never shown."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminPasswordWidget

from oms_project.readonly import SteppedAdmin, WordsFilter
from oms_project.refusal import Refusal
from orders.intake import actions
from orders.intake.models import ChannelAccount, SourceMessage


class AccountForm(forms.ModelForm):
    """Secrets go in and never come out: an empty box keeps what is there."""

    app_secret = forms.CharField(label="App Secret", required=False, widget=UnfoldAdminPasswordWidget, help_text="留空则保持不变")
    access_token = forms.CharField(
        label="Access Token", required=False, widget=UnfoldAdminPasswordWidget, help_text="留空则保持不变"
    )

    class Meta:
        model = ChannelAccount
        fields = ["channel", "shop", "name", "app_key", "app_secret", "access_token", "api_base", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept = {name: getattr(self.instance, name) for name in ("app_secret", "access_token")}
        for name in self._kept:
            self.initial[name] = ""

    def clean_app_secret(self) -> str:
        secret = self.cleaned_data["app_secret"] or self._kept["app_secret"]
        if not secret:
            raise forms.ValidationError("请填写 App Secret")
        return str(secret)

    def clean_access_token(self) -> str:
        return str(self.cleaned_data["access_token"] or self._kept["access_token"])


def masked(secret: str) -> str:
    """The last four characters of a secret, enough to tell two apart."""
    return f"••••{secret[-4:]}" if len(secret) > 8 else "••••" if secret else "—"


@admin.register(ChannelAccount)
class ChannelAccountAdmin(ModelAdmin):
    form = AccountForm
    list_display = ["name", "channel", "shop", "app_key", "secret_shown", "is_active", "refused_count", "last_heard_at"]
    list_filter = ["channel", "is_active"]
    search_fields = ["name", "shop", "app_key"]
    readonly_fields = ["refused_count", "last_heard_at"]

    @admin.display(description="App Secret")
    def secret_shown(self, account: ChannelAccount) -> str:
        return masked(account.app_secret)


OUTCOMES = {
    "placed": "已进单", "held": "待审核", "unpaid": "未付款", "closed": "已关闭", "updated": "已更新", "unchanged": "无变化",
    "older": "旧消息", "refund": "退款", "refunded": "已退款", "parked": "停放", "ignored": "不处理", "finished": "已完成",
    "amended": "平台变更",
}  # fmt: skip
TAGS = {
    "0": "地址校验", "100": "订单创建", "101": "订单支付", "102": "订单发货", "103": "交易完成", "105": "收件信息变更",
    "106": "订单取消", "108": "部分发货", "109": "金额变更", "110": "风控", "111": "地址变更", "113": "备注变更",
    "206": "退款成功",
}  # fmt: skip


@admin.register(SourceMessage)
class SourceMessageAdmin(SteppedAdmin):
    list_display = ["received_at", "account", "tag", "external_id", "outcome", "tries", "due_at", "done_at", "last_error"]
    list_select_related = ["account"]
    list_filter = [("outcome", WordsFilter), ("tag", WordsFilter), "account"]
    words: ClassVar = {"outcome": OUTCOMES, "tag": TAGS}
    search_fields = ["=external_id", "=message_key"]
    fields = [
        "account", "message_key", "tag", "external_id", "received_at", "due_at", "done_at", "outcome", "tries", "last_error",
    ]  # fmt: skip
    actions = ["retry"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SourceMessage]:
        return super().get_queryset(request).defer("body_sealed", "detail_sealed")

    @admin.action(description="重试停放的消息", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[SourceMessage]) -> None:
        retried = 0
        for message in queryset:
            try:
                actions.retry_message(message=message, at=timezone.now())
                retried += 1
            except Refusal as refusal:
                self.message_user(request, f"{message}：{refusal.message}", messages.WARNING)
        if retried:
            self.message_user(request, f"已重新排队 {retried} 条", messages.SUCCESS)
