"""A dealer on one page: who it is, how much it may take today, how likely it says yes."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin, TabularInline

from dealers.acceptance import queries as acceptance
from dealers.acceptance.rules import HALF_LIFE_DAYS, ONE, PRIOR_NO, PRIOR_YES, Answers
from dealers.capacity import queries as capacity
from dealers.capacity.rules import DealerDay
from dealers.desk import actions as desk
from dealers.directory.rules import day_of
from dealers.models import Dealer, ServiceArea, Skill, Staff

DAYS_SHOWN = 14
_LIMITS = ("capacity_per_day", "carry_over_percent")


class SkillInline(TabularInline):
    model = Skill
    extra = 0


class ServiceAreaInline(TabularInline):
    model = ServiceArea
    extra = 0


class DealerList(ChangeList):
    """The dealers of one page with their day and their answers: two statements more, however many."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        at = timezone.now()
        days = capacity.days_of([dealer.pk for dealer in self.result_list], at)
        answers = acceptance.answers_on(day_of(at))
        for dealer in self.result_list:
            dealer.day, dealer.answers = days.get(dealer.pk), answers.get(dealer.pk, Answers(0, 0, day_of(at)))


@admin.register(Dealer)
class DealerAdmin(ModelAdmin):
    list_display = ("code", "name", "tier", "division_code", "is_active", "is_paused", "load", "odds")
    list_filter = ("tier", "is_active", "is_paused")
    search_fields = ("code", "name")
    readonly_fields = ("load_told", "answers_told")
    inlines = (SkillInline, ServiceAreaInline)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return DealerList

    @admin.display(description="今日接单")
    def load(self, dealer: Any) -> str:
        day: DealerDay | None = dealer.day
        return f"{day.taken} / {day.allowed}" if day else "—"

    @admin.display(description="接单概率")
    def odds(self, dealer: Any) -> str:
        return percent(dealer.answers)

    @admin.display(description="接单量")
    def load_told(self, dealer: Dealer) -> SafeString:
        """Today's figures with what was carried over, and the last counted days."""
        if dealer.pk is None:
            return mark_safe("—")
        day = capacity.days_of([dealer.pk], timezone.now())[dealer.pk]
        carried = f"每日 {day.capacity} + 结转 {day.carried}" if day.carried else f"每日 {day.capacity}"
        rows = capacity.last_days(dealer_id=dealer.pk, limit=DAYS_SHOWN)
        return format_html(
            "<p>今日已派 {}，上限 {}（{}），还可派 {}</p><p>{}</p>", day.taken, day.allowed, carried, day.left,
            format_html_join("，", "{}：{} / {}", ((f"{row.day:%m-%d}", row.taken, row.allowed) for row in rows)),
        )  # fmt: skip

    @admin.display(description="接单概率")
    def answers_told(self, dealer: Dealer) -> str:
        """The probability with everything that it is made of."""
        row = acceptance.answers_of(dealer.pk) if dealer.pk else None
        today = day_of(timezone.now())
        now = row.answers.on(today) if row else Answers(0, 0, today)
        counted = (row.accepted_count, row.refused_count) if row else (0, 0)
        return (
            f"{percent(now)} =（接单 {weight(now.yes)} + 先验 {weight(PRIOR_YES)}）"
            f"÷（接单 {weight(now.yes)} + 未接 {weight(now.no)} + 先验 {weight(PRIOR_YES + PRIOR_NO)}）；"
            f"每次答复的权重每 {HALF_LIFE_DAYS} 天减半；"
            f"累计接单 {counted[0]} 次，拒单与超时 {counted[1]} 次"
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        changed = {*form.changed_data, *(formset.prefix for formset in formsets if formset.has_changed())}
        is_raised = any(getattr(form.instance, name) > (form.initial.get(name) or 0) for name in _LIMITS)
        desk.tell_dealer_changed(
            dealer=form.instance, changed=changed, is_raised=is_raised, staff=cast(Staff, request.user), at=timezone.now()
        )


def percent(answers: Answers) -> str:
    return f"{answers.permille / 10:.1f}%"


def weight(thousandths: int) -> str:
    """Thousandths of an answer as people read them."""
    return f"{thousandths / ONE:.1f}"
