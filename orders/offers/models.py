"""Every offer made."""

from django.conf import settings
from django.db import models
from django.db.models import Q


class Offer(models.Model):
    """One piece of work offered to one dealer until a deadline.

    A dealer is asked at most once for the same work, and at most one offer of it is accepted:
    both are constraints. `income` is frozen when the offer opens: what is shown is what is paid.
    """

    class State(models.TextChoices):
        PENDING = "pending", "待接单"
        ACCEPTED = "accepted", "已接单"
        DECLINED = "declined", "已拒单"
        EXPIRED = "expired", "已超时"
        WITHDRAWN = "withdrawn", "已撤回"

    class DeclineReason(models.TextChoices):
        NO_STOCK = "no_stock", "缺货"
        DAMAGED = "damaged", "破损"
        BUSY = "busy", "人手不足"
        TOO_FAR = "too_far", "太远"
        OTHER = "other", "其他"

    offer_no = models.CharField("要约号", max_length=52, unique=True)
    work = models.ForeignKey("orders.FulfillmentOrder", on_delete=models.PROTECT, related_name="offers", verbose_name="履约单")
    dealer = models.ForeignKey("dealers.Dealer", on_delete=models.PROTECT, related_name="+", verbose_name="经销商")
    node = models.ForeignKey("inventory.Node", on_delete=models.PROTECT, related_name="+", verbose_name="发货点")
    round = models.PositiveSmallIntegerField("轮次", default=1)
    ladder_step = models.PositiveSmallIntegerField("阶梯", default=1)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.PENDING)
    version = models.PositiveIntegerField("版本", default=1)
    income_fen = models.BigIntegerField("收入（分）", default=0)
    income = models.JSONField("收入明细", default=list)
    opened_at = models.DateTimeField("派出时间")
    expires_at = models.DateTimeField("截止时间")
    answered_at = models.DateTimeField("答复时间", null=True, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="答复人",
    )
    decline_reason = models.CharField("拒单原因", max_length=10, choices=DeclineReason.choices, blank=True)
    note = models.CharField("备注", max_length=200, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "派单要约"
        constraints = [
            models.UniqueConstraint(fields=["work", "dealer"], name="a_dealer_is_asked_once_for_the_same_work"),
            models.UniqueConstraint(fields=["work"], condition=Q(state="accepted"), name="work_has_one_winner"),
            models.UniqueConstraint(fields=["work"], condition=Q(state="pending"), name="work_has_one_open_offer"),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="pending"), name="offer_due"),
            models.Index(fields=["dealer", "expires_at"], condition=Q(state="pending"), name="offer_open_by_dealer"),
            models.Index(fields=["dealer", "opened_at"], name="offer_by_dealer_and_time"),
            models.Index(fields=["answered_at"], name="offer_by_answer"),
        ]

    def __str__(self) -> str:
        return self.offer_no
