"""The looks at open orders that changed something."""

from django.db import models
from django.db.models import Q


class RebalancePass(models.Model):
    """One look at all orders that nobody has accepted yet. One runs at a time; it is kept when it moved or dropped something.

    dropped counts orders that would have been moved but changed meanwhile, or lost the stock to others.
    """

    started_at = models.DateTimeField("开始时间")
    is_running = models.BooleanField("进行中", default=True)
    looked = models.PositiveIntegerField("查看订单数", default=0)
    moved = models.PositiveIntegerField("调整订单数", default=0)
    dropped = models.PositiveIntegerField("放弃订单数", default=0)
    saved_fen = models.BigIntegerField("节省成本（分）", default=0, help_text="不含早一级阶梯的好处")
    took_ms = models.PositiveIntegerField("用时（毫秒）", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "统筹调整"
        constraints = [
            models.UniqueConstraint(fields=["is_running"], condition=Q(is_running=True), name="one_rebalance_runs_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%m-%d %H:%M:%S}"
