"""The pieces of work that orders become."""

from django.db import models
from django.db.models import Q

from orders.lifecycle.models import Order, OrderLine


class FulfillmentOrder(models.Model):
    """A unit of work: goods of one order from one node, done by one party.

    dealer is None when HQ does it itself. `short_no` is what people type in chat: unique only
    among one dealer's recent work. Pinned work was put at its place by a person, and nobody but
    a person puts it elsewhere.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "待派"
        OFFERED = "offered", "待接单"
        ACCEPTED = "accepted", "已接单"
        SHIPPED = "shipped", "已发货"
        DELIVERED = "delivered", "已送达"
        INSTALLED = "installed", "已安装"
        COMPLETED = "completed", "已完成"
        CANCEL_REQUESTED = "cancel_requested", "申请取消"
        CANCELLED = "cancelled", "已取消"
        STUCK = "stuck", "待人工"

    fo_no = models.CharField("履约单号", max_length=48, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="work", verbose_name="订单")
    node = models.ForeignKey("inventory.Node", on_delete=models.PROTECT, related_name="+", verbose_name="发货点")
    dealer = models.ForeignKey(
        "dealers.Dealer", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="经销商"
    )
    state = models.CharField("状态", max_length=16, choices=State.choices)
    version = models.PositiveIntegerField("版本", default=1)
    short_no = models.PositiveIntegerField("短号", default=0)
    needs_install = models.BooleanField("需安装", default=False)
    is_pinned = models.BooleanField("指定发货点", default=False, db_default=False, help_text="由人指定，系统不会自动改派")
    stuck_reason = models.CharField("待人工原因", max_length=200, blank=True, default="", db_default="")
    paid_fen = models.BigIntegerField("实付分摊（分）")
    summary = models.CharField("摘要", max_length=160)
    opened_at = models.DateTimeField("生成时间")
    accepted_at = models.DateTimeField("接单时间", null=True, blank=True)
    moved_at = models.DateTimeField("最近变更")

    class Meta:
        verbose_name = verbose_name_plural = "履约单"
        indexes = [
            models.Index(fields=["order"], name="work_by_order"),
            models.Index(
                fields=["dealer", "short_no"],
                condition=~Q(state__in=["completed", "cancelled"]),
                name="open_work_by_dealer",
            ),
            models.Index(fields=["dealer", "moved_at"], name="work_by_dealer_and_time"),
            models.Index(fields=["state", "opened_at"], condition=Q(state__in=["stuck", "waiting"]), name="work_for_a_person"),
        ]

    def __str__(self) -> str:
        return self.fo_no


class FulfillmentLine(models.Model):
    """How much of an order line one piece of work covers."""

    work = models.ForeignKey(FulfillmentOrder, on_delete=models.PROTECT, related_name="lines", verbose_name="履约单")
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="+", verbose_name="订单行")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    quantity = models.PositiveIntegerField("数量")

    class Meta:
        verbose_name = verbose_name_plural = "履约行"
        constraints = [
            models.UniqueConstraint(fields=["work", "order_line"], name="work_covers_a_line_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="work_covers_something"),
        ]

    def __str__(self) -> str:
        return f"{self.sku_id} × {self.quantity}"
