"""Ladders to configure."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from orders.dispatch.models import LadderPolicy, LadderStep


class LadderStepInline(TabularInline):
    model = LadderStep
    extra = 0
    ordering = ("position",)


@admin.register(LadderPolicy)
class LadderPolicyAdmin(ModelAdmin):
    list_display = ("name", "channel", "priority", "is_active", "steps_shown")
    list_filter = ("is_active",)
    inlines = (LadderStepInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LadderPolicy]:
        return super().get_queryset(request).prefetch_related("steps")

    @admin.display(description="步骤")
    def steps_shown(self, policy: LadderPolicy) -> str:
        steps = sorted(policy.steps.all(), key=lambda step: step.position)
        return " → ".join(f"{step.get_target_display()} {step.seconds} 秒" for step in steps)
