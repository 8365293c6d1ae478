"""People, in Chinese; a dealer's own page is the desk's."""

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminPasswordWidget

from dealers.directory import actions as directory
from dealers.directory.models import Staff

admin.site.unregister(Group)


class StaffForm(forms.ModelForm):
    """A person; the password is set here and never shown."""

    new_password = forms.CharField(label="新密码", required=False, widget=UnfoldAdminPasswordWidget, min_length=8)

    class Meta:
        model = Staff
        fields = ("phone", "name", "role", "dealer", "is_active", "is_staff", "is_superuser")

    def save(self, commit: bool = True) -> Staff:
        staff: Staff = super().save(commit=False)
        if self.cleaned_data["new_password"]:
            staff.set_password(self.cleaned_data["new_password"])
        elif not staff.pk:
            staff.set_unusable_password()
        if self.changed_data:
            staff.session_version += 1
        if commit:
            staff.save()
            self.save_m2m()
        return staff


@admin.register(Staff)
class StaffAdmin(ModelAdmin):
    form = StaffForm
    list_display = ("name", "masked_phone", "role", "dealer", "is_active")
    list_filter = ("role", "is_active")
    list_select_related = ("dealer",)
    search_fields = ("name", "phone__exact")
    autocomplete_fields = ("dealer",)
    actions = ("end_sessions",)

    @admin.display(description="手机号")
    def masked_phone(self, staff: Staff) -> str:
        return f"{staff.phone[:3]}****{staff.phone[-4:]}"

    @admin.action(description="使所选人员的登录失效")
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Staff]) -> None:
        for staff in queryset:
            directory.end_sessions(staff=staff)
        self.message_user(request, f"{len(queryset)} 人需要重新登录")
