"""What is promised, row by row, so that every held unit can be explained."""

from django.db import models


class Reservation(models.Model):
    """Units of one level promised to one bill (a fulfilment order)."""

    class State(models.TextChoices):
        OPEN = "open", "预占中"
        CONSUMED = "consumed", "已出库"
        RELEASED = "released", "已释放"

    level = models.ForeignKey("inventory.Level", on_delete=models.PROTECT, related_name="reservations", verbose_name="库存")
    bill = models.CharField("单据", max_length=60, help_text="履约单号")
    quantity = models.BigIntegerField("数量")
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.OPEN)
    held_at = models.DateTimeField("预占时间")
    expires_at = models.DateTimeField("到期时间", null=True, blank=True)
    closed_at = models.DateTimeField("结束时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "预占"
        constraints = [
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="a_reservation_holds_something"),
            models.UniqueConstraint(
                fields=["bill", "level"],
                condition=models.Q(state="open"),
                name="one_open_reservation_per_bill_and_level",
            ),
        ]
        indexes = [
            models.Index(fields=["level"], condition=models.Q(state="open"), name="reservation_open_by_level"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(state="open", expires_at__isnull=False),
                name="reservation_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bill} × {self.quantity}"
