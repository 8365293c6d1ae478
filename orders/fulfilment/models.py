"""What is done with accepted work: parcels, visits, and the customer's word that it is done."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from oms_project.sealed import SealedTextField


class Parcel(models.Model):
    """Goods on the road with a carrier, or carried by the dealer itself (carrier 'self')."""

    work = models.ForeignKey("orders.FulfillmentOrder", on_delete=models.PROTECT, related_name="parcels", verbose_name="履约单")
    carrier = models.CharField("承运", max_length=20)
    tracking_no = models.CharField("运单号", max_length=40, blank=True)
    shipped_at = models.DateTimeField("发出时间")
    shipped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", verbose_name="发货人"
    )
    delivered_at = models.DateTimeField("送达时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "包裹"
        constraints = [
            models.UniqueConstraint(
                fields=["carrier", "tracking_no"], condition=~Q(tracking_no=""), name="a_tracking_number_is_one_parcel"
            )
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.tracking_no}"


class Appointment(models.Model):
    """When somebody comes to install. A new one replaces the open one."""

    work = models.ForeignKey(
        "orders.FulfillmentOrder", on_delete=models.PROTECT, related_name="appointments", verbose_name="履约单"
    )
    visit_from = models.DateTimeField("上门时间起")
    visit_to = models.DateTimeField("上门时间止")
    installer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="安装师傅",
    )
    made_at = models.DateTimeField("预约时间")
    replaced_at = models.DateTimeField("改约时间", null=True, blank=True)
    installed_at = models.DateTimeField("安装完成", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "上门预约"
        constraints = [
            models.UniqueConstraint(fields=["work"], condition=Q(replaced_at=None), name="work_has_one_open_appointment"),
            models.CheckConstraint(condition=Q(visit_to__gt=models.F("visit_from")), name="a_visit_ends_after_it_starts"),
        ]

    def __str__(self) -> str:
        return f"{self.visit_from:%m-%d %H:%M}"


class RedeemCode(models.Model):
    """The customer's code that proves completion: six digits, five wrong tries, then locked."""

    MAX_WRONG_TRIES = 5

    work = models.OneToOneField(
        "orders.FulfillmentOrder", on_delete=models.PROTECT, related_name="redeem_code", verbose_name="履约单"
    )
    code = SealedTextField("核销码")
    wrong_tries = models.PositiveSmallIntegerField("错误次数", default=0)
    made_at = models.DateTimeField("生成时间")
    used_at = models.DateTimeField("核销时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "核销码"

    def __str__(self) -> str:
        return f"履约单 {self.work_id}"
