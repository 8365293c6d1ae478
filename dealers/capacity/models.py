"""How much work each dealer got on each day, and which pieces of work these were."""

from django.db import models
from django.db.models import F, Q

from dealers.directory.models import Dealer


class DayLoad(models.Model):
    """One dealer's day in Shanghai. `allowed` is capacity with what was carried over, as it was when last counted.

    `closed_at` is set once the day is over and its rest was carried on.
    """

    dealer = models.ForeignKey(Dealer, on_delete=models.PROTECT, related_name="+", verbose_name="经销商")
    day = models.DateField("日期")
    taken = models.PositiveIntegerField("已派")
    allowed = models.PositiveIntegerField("上限（含结转）")
    closed_at = models.DateTimeField("结束时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "每日接单量"
        constraints = [
            models.UniqueConstraint(fields=["dealer", "day"], name="a_dealer_has_one_load_a_day"),
            models.CheckConstraint(condition=Q(taken__lte=F("allowed")), name="never_take_more_work_than_allowed"),
        ]
        indexes = [models.Index(fields=["day"], condition=Q(closed_at=None), name="day_still_open")]

    def __str__(self) -> str:
        return f"{self.dealer_id} · {self.day}"


class DaySlot(models.Model):
    """A piece of work (its number is the bill) takes one place of a dealer's day; giving back deletes the row."""

    bill = models.CharField("履约单号", max_length=48, unique=True)
    dealer = models.ForeignKey(Dealer, on_delete=models.PROTECT, related_name="+", verbose_name="经销商")
    day = models.DateField("日期", db_index=True)
    taken_at = models.DateTimeField("占用时间")

    class Meta:
        verbose_name = verbose_name_plural = "接单名额"

    def __str__(self) -> str:
        return self.bill
