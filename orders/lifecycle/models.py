"""Orders: what a channel sold, why they are held, what was paid back."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class Order(models.Model):
    """A commercial promise, as one channel knows it; never split. See FulfillmentOrder for work.

    The receiver is one sealed JSON text {name, phone, detail, note}; only the masked name and
    phone are readable. `source_updated_at` (the channel's clock) guards against old messages.
    `tags` are a list of words by which routing rules know an order: the channel's and a person's.
    `moves` counts how often its offers were taken back because others need the place more.
    """

    class State(models.TextChoices):
        HELD = "held", "待审核"
        PLACED = "placed", "待派单"
        UNROUTABLE = "unroutable", "无法派单"
        ROUTED = "routed", "已派单"
        COMPLETED = "completed", "已完成"
        CANCELLED = "cancelled", "已取消"

    class ChannelStatus(models.TextChoices):
        WAIT_PAY = "WAIT_PAY", "待付款"
        PAID_HOLD = "PAID_HOLD", "已付款待处理"
        WAIT_SHIP = "WAIT_SHIP", "待发货"
        PART_SHIPPED = "PART_SHIPPED", "部分发货"
        SHIPPED = "SHIPPED", "已发货"
        FINISHED = "FINISHED", "已完成"
        CLOSED = "CLOSED", "已关闭"

    order_no = models.CharField("订单号", max_length=40, unique=True)
    channel = models.CharField("渠道", max_length=20)
    shop = models.CharField("店铺", max_length=40)
    external_id = models.CharField("平台单号", max_length=40)
    state = models.CharField("状态", max_length=12, choices=State.choices)
    version = models.PositiveIntegerField("版本", default=1)
    channel_status = models.CharField("平台状态", max_length=14, choices=ChannelStatus.choices)
    source_updated_at = models.BigIntegerField("平台更新时间（秒）")
    paid_at = models.DateTimeField("付款时间", null=True, blank=True)
    placed_at = models.DateTimeField("进单时间")
    goods_fen = models.BigIntegerField("商品金额（分）", default=0)
    freight_fen = models.BigIntegerField("运费（分）", default=0)
    paid_fen = models.BigIntegerField("实付（分）", default=0)
    refunded_fen = models.BigIntegerField("已退款（分）", default=0)
    division_code = models.CharField("区划代码", max_length=6, blank=True)
    region = models.CharField("地区", max_length=60, blank=True)
    receiver_sealed = models.TextField("收件人（加密）", blank=True)
    receiver_masked = models.CharField("收件人", max_length=60, blank=True)
    receiver_print = models.CharField("收件人指纹", max_length=32, blank=True)
    has_note = models.BooleanField("买家有留言", default=False)
    live_session = models.CharField("直播场次", max_length=40, blank=True)
    anchor = models.CharField("主播", max_length=40, blank=True)
    tags = models.JSONField("标签", default=list, blank=True)
    moves = models.PositiveSmallIntegerField("统筹调整次数", default=0, db_default=0)

    class Meta:
        verbose_name = verbose_name_plural = "订单"
        constraints = [
            models.UniqueConstraint(fields=["channel", "shop", "external_id"], name="a_channel_order_is_one_order"),
            models.CheckConstraint(condition=Q(refunded_fen__gte=0), name="refunds_are_not_negative"),
        ]
        indexes = [
            models.Index(fields=["placed_at"], name="order_by_day"),
            models.Index(
                fields=["state", "placed_at"],
                name="order_in_queue",
                condition=Q(state__in=["held", "placed", "unroutable"]),
            ),
        ]

    def __str__(self) -> str:
        return self.order_no


class OrderLine(models.Model):
    """One countable component of a sold line, with its share of the buyer's money.

    A combo becomes several lines with one `external_line_id`. sku is empty while nobody knows
    what `sold_code` is; the order is then held.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines", verbose_name="订单")
    position = models.PositiveSmallIntegerField("行号")
    external_line_id = models.CharField("平台子单号", max_length=40)
    sold_code = models.CharField("商家编码", max_length=40, blank=True)
    title = models.CharField("名称", max_length=120)
    sku = models.ForeignKey(
        "inventory.Sku", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="SKU"
    )
    quantity = models.PositiveIntegerField("数量")
    paid_fen = models.BigIntegerField("实付分摊（分）")
    fulfilled_quantity = models.PositiveIntegerField("已履约", default=0)
    cancelled_quantity = models.PositiveIntegerField("已取消", default=0)
    refunded_fen = models.BigIntegerField("已退款（分）", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "订单行"
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="one_line_per_position"),
            models.CheckConstraint(
                condition=Q(quantity__gte=F("fulfilled_quantity") + F("cancelled_quantity")),
                name="never_fulfil_more_than_ordered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} × {self.quantity}"


class OrderHold(models.Model):
    """One reason why an order waits for a person; several may be open at once."""

    class Reason(models.TextChoices):
        ADDRESS = "address", "地址无法识别"
        SKU = "sku", "商品未匹配"
        TOTALS = "totals", "金额不一致"
        REMARK = "remark", "买家留言"
        RISK = "risk", "平台风控"
        AMENDED = "amended", "接单后平台变更"
        UNROUTABLE = "unroutable", "无法派单"

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="holds", verbose_name="订单")
    reason = models.CharField("原因", max_length=10, choices=Reason.choices)
    detail = models.CharField("说明", max_length=200, blank=True)
    opened_at = models.DateTimeField("挂起时间")
    released_at = models.DateTimeField("放行时间", null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="放行人",
    )
    note = models.CharField("处理备注", max_length=200, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "审单挂起"
        constraints = [
            models.UniqueConstraint(
                fields=["order", "reason"], condition=Q(released_at=None), name="a_reason_holds_an_order_once"
            )
        ]

    def __str__(self) -> str:
        return self.get_reason_display()


class StrandedOrder(models.Model):
    """An order that nobody can serve now, while it waits: since when, how often it was tried, why it failed last.

    The row goes when the order goes on. It stays where the wait was too long (`cancel_at`) and the
    order was cancelled: then its money is due back through the channel.
    """

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="stranding", verbose_name="订单")
    since = models.DateTimeField("开始等待")
    tried_at = models.DateTimeField("最近尝试")
    tries = models.PositiveIntegerField("尝试次数", default=1)
    reasons = models.JSONField("原因", default=list)
    cancel_at = models.DateTimeField("到时取消", null=True, blank=True)
    cancelled_at = models.DateTimeField("取消时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "无法派单"
        indexes = [
            models.Index(fields=["since", "id"], condition=Q(cancelled_at=None), name="stranded_by_age"),
            models.Index(
                fields=["cancel_at"], condition=Q(cancelled_at=None, cancel_at__isnull=False), name="stranded_to_cancel"
            ),
            models.Index(fields=["cancelled_at"], condition=Q(cancelled_at__isnull=False), name="stranded_and_cancelled"),
        ]

    def __str__(self) -> str:
        return f"{self.order_id}"


class Refund(models.Model):
    """Money the channel paid back to the buyer; `refund_key` makes a repeated message a no-op."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="refunds", verbose_name="订单")
    refund_key = models.CharField("退款单号", max_length=80, unique=True)
    external_line_id = models.CharField("平台子单号", max_length=40, blank=True)
    amount_fen = models.BigIntegerField("金额（分）")
    refunded_at = models.DateTimeField("退款时间")

    class Meta:
        verbose_name = verbose_name_plural = "退款"
        constraints = [models.CheckConstraint(condition=Q(amount_fen__gt=0), name="a_refund_pays_something_back")]

    def __str__(self) -> str:
        return self.refund_key
