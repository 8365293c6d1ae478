"""Keys of other systems, on screen: made (the secret is shown once), revoked, never edited."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin

from inventory.models import ApiKey
from inventory.partners import actions as partners
from oms_project.readonly import SteppedAdmin
from oms_project.refusal import Refusal


class NewKeyForm(forms.ModelForm):
    """Who may come in with the new key, and to do what."""

    class Meta:
        model = ApiKey
        fields = ("name", "dealer", "may_read", "may_write")
        help_texts = {"dealer": "为空即总部密钥，可见全部仓库"}  # noqa: RUF012

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if not (given.get("may_read") or given.get("may_write")):
            raise forms.ValidationError("请至少选择一项权限")
        return given


@admin.register(ApiKey)
class ApiKeyAdmin(SteppedAdmin):
    form = NewKeyForm
    list_display = ["name", "prefix", "dealer", "may_read", "may_write", "is_active", "made_at", "used_at"]
    list_select_related = ["dealer"]
    list_filter = ["is_active", "may_read", "may_write"]
    search_fields = ["name", "prefix", "dealer__name"]
    autocomplete_fields = ["dealer"]
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        asked = ["name", "dealer", "may_read", "may_write"]
        return asked if obj is None else [*asked, "prefix", "is_active", "made_at", "used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = partners.make_key(**form.cleaned_data, actor=f"staff:{request.user.pk}", at=timezone.now())
        obj.pk, obj.prefix, obj.secret = made.key.pk, made.key.prefix, made.secret

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret on this one page: a message would keep it in a cookie, and a redirect in an address."""
        context = {**self.admin_site.each_context(request), "title": "密钥已创建", "opts": self.opts, "key": obj}
        return TemplateResponse(request, "admin/inventory/apikey/made.html", context)

    @admin.action(description="停用所选密钥", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        revoked = 0
        for key in keys.select_related("dealer"):
            try:
                partners.revoke_key(key=key, actor=f"staff:{request.user.pk}", at=timezone.now())
            except Refusal as refusal:
                self.message_user(request, refusal.message, messages.ERROR)
            else:
                self.log_change(request, key, "停用")
                revoked += 1
        if revoked:
            self.message_user(request, f"已停用 {revoked} 把密钥")
