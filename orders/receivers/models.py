"""Who read whose personal data."""

from django.conf import settings
from django.db import models

from orders.lifecycle.models import Order


class ReceiverReveal(models.Model):
    """Somebody read a receiver's personal data."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+", verbose_name="订单")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name="查看人")
    door = models.CharField("入口", max_length=20)
    revealed_at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "收件人查看记录"

    def __str__(self) -> str:
        return f"{self.staff_id} → {self.order_id}"
