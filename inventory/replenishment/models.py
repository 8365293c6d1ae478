"""Goods that are to go from one place of ours to another."""

from django.db import models
from django.db.models import F, Q


class Transfer(models.Model):
    """A transfer order: requested → approved (stock held at the source) → shipped → received, or ended before it ships."""

    class State(models.TextChoices):
        REQUESTED = "requested", "待审批"
        APPROVED = "approved", "待发出"
        SHIPPED = "shipped", "在途"
        RECEIVED = "received", "已收货"
        REJECTED = "rejected", "已驳回"
        CANCELLED = "cancelled", "已取消"

    transfer_no = models.CharField("调拨单号", max_length=40, unique=True)
    source = models.ForeignKey("inventory.Node", on_delete=models.PROTECT, related_name="+", verbose_name="调出仓")
    target = models.ForeignKey("inventory.Node", on_delete=models.PROTECT, related_name="+", verbose_name="调入仓")
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.REQUESTED)
    version = models.PositiveIntegerField("版本", default=1)
    note = models.CharField("备注", max_length=200, blank=True)
    expected_on = models.DateField("预计到货日", null=True, blank=True)
    requested_by = models.CharField("申请人", max_length=80, blank=True)
    requested_at = models.DateTimeField("申请时间")
    approved_at = models.DateTimeField("审批时间", null=True, blank=True)
    shipped_at = models.DateTimeField("发出时间", null=True, blank=True)
    closed_at = models.DateTimeField("完结时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "调拨单"
        constraints = [models.CheckConstraint(condition=~Q(source=F("target")), name="a_transfer_goes_somewhere_else")]
        indexes = [
            models.Index(
                fields=["state", "requested_at"],
                condition=Q(state__in=["requested", "approved", "shipped"]),
                name="transfer_in_queue",
            )
        ]

    def __str__(self) -> str:
        return self.transfer_no


class TransferLine(models.Model):
    """One SKU of a transfer. What was shipped and neither received nor lost is on its way."""

    transfer = models.ForeignKey(Transfer, on_delete=models.CASCADE, related_name="lines", verbose_name="调拨单")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    requested = models.BigIntegerField("申请数量")
    approved = models.BigIntegerField("批准数量", default=0)
    shipped = models.BigIntegerField("发出数量", default=0)
    received = models.BigIntegerField("实收数量", default=0)
    lost = models.BigIntegerField("短少数量", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "调拨明细"
        constraints = [
            models.UniqueConstraint(fields=["transfer", "sku"], name="a_transfer_names_a_sku_once"),
            models.CheckConstraint(
                condition=Q(requested__gt=0)
                & Q(approved__gte=0)
                & Q(shipped__gte=0)
                & Q(shipped__lte=F("approved"))
                & Q(received__gte=0)
                & Q(lost__gte=0)
                & Q(shipped__gte=F("received") + F("lost")),
                name="never_receive_more_than_was_shipped",
            ),
        ]
        indexes = [models.Index(fields=["transfer"], condition=Q(lost__gt=0), name="transfer_line_lost")]

    def __str__(self) -> str:
        return f"{self.sku_id} × {self.requested}"


class StockNeed(models.Model):
    """A stock row that the last check found to fall short, or to have too much; `rank` orders a list, the worst lowest.

    `lasts_days` is for how many days it lasts at the pace of the last 14 (rounded down), rules.BELOW_SAFETY
    when nothing is free above the safety stock, and 0 for an excess.
    """

    class Kind(models.TextChoices):
        SHORT = "short", "缺货"
        EXCESS = "excess", "积压"

    level = models.ForeignKey("inventory.Level", on_delete=models.CASCADE, related_name="needs", verbose_name="库存")
    kind = models.CharField("类别", max_length=10, choices=Kind.choices)
    rank = models.BigIntegerField("顺序")
    lasts_days = models.SmallIntegerField("够卖天数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "缺货与积压"
        constraints = [models.UniqueConstraint(fields=["kind", "level"], name="a_level_needs_one_thing_of_a_kind")]
        indexes = [models.Index(fields=["kind", "rank", "level"], name="stock_need_worst_first")]

    def __str__(self) -> str:
        return f"{self.kind} {self.level_id}: {self.rank}"
