"""What is promised, row by row, so that every held unit can be explained."""

from django.db import models
from django.db.models import F, Q


class Reservation(models.Model):
    """Units promised to one bill, or kept from sale for one reason.

    Where the units stand is one of three: a level (counted in its held), an incoming delivery
    (counted in its promised), or nowhere yet (only the SKU is known: a paid order without a node).
    `drawn` of its units came out of the lock `lock_no`.
    """

    class State(models.TextChoices):
        OPEN = "open", "预占中"
        CONSUMED = "consumed", "已出库"
        RELEASED = "released", "已释放"

    class Kind(models.TextChoices):
        GLOBAL = "global", "全局预占（待分配）"
        NODE = "node", "仓库预占"
        PINNED = "pinned", "指定仓预占"
        OFFER = "offer", "要约中"
        PRESALE = "presale", "预售定金"
        LOCK = "lock", "锁库"
        TRANSFER = "transfer", "调拨"
        BLOCK = "block", "暂不可用"

    # The foreign keys are found through the partial indexes below: an index more would be written with each promise.
    level = models.ForeignKey(
        "inventory.Level", on_delete=models.PROTECT, null=True, blank=True, related_name="reservations", verbose_name="库存",
        db_index=False,
    )  # fmt: skip
    incoming = models.ForeignKey(
        "inventory.Incoming", on_delete=models.PROTECT, null=True, blank=True, related_name="reservations", verbose_name="在途",
        db_index=False,
    )  # fmt: skip
    sku = models.ForeignKey(
        "inventory.Sku", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="SKU", db_index=False,
        help_text="仅待分配的预占填写",
    )  # fmt: skip
    kind = models.CharField("类别", max_length=10, choices=Kind.choices, default=Kind.NODE)
    bill = models.CharField("单据", max_length=60, help_text="履约单号、订单号、锁库单号、调拨单号……")
    quantity = models.BigIntegerField("数量")
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.OPEN)
    reason = models.CharField("原因", max_length=120, blank=True, db_default="")
    lock_no = models.CharField("取自锁库", max_length=40, blank=True, db_default="")
    drawn = models.BigIntegerField("取自锁库数量", default=0, db_default=0)
    held_at = models.DateTimeField("预占时间")
    expires_at = models.DateTimeField("到期时间", null=True, blank=True)
    closed_at = models.DateTimeField("结束时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "预占"
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="a_reservation_holds_something"),
            models.CheckConstraint(
                condition=Q(level__isnull=False, incoming=None, sku=None)
                | Q(level=None, incoming__isnull=False, sku=None, kind="presale")
                | Q(level=None, incoming=None, sku__isnull=False, kind="global"),
                name="a_reservation_stands_in_one_place",
            ),
            models.CheckConstraint(condition=Q(drawn__gte=0) & Q(drawn__lte=F("quantity")), name="never_draw_more_than_held"),
            models.UniqueConstraint(
                fields=["bill", "level"],
                condition=Q(state="open", level__isnull=False),
                name="one_open_reservation_per_bill_and_level",
            ),
            models.UniqueConstraint(
                fields=["bill", "sku"],
                condition=Q(state="open", sku__isnull=False),
                name="one_open_global_reservation_per_bill_and_sku",
            ),
            models.UniqueConstraint(
                fields=["bill", "incoming"],
                condition=Q(state="open", incoming__isnull=False),
                name="one_open_presale_per_bill_and_delivery",
            ),
        ]
        indexes = [
            models.Index(fields=["level"], condition=Q(state="open", level__isnull=False), name="reservation_open_by_level"),
            models.Index(fields=["sku"], condition=Q(state="open", sku__isnull=False), name="reservation_open_by_sku"),
            models.Index(
                fields=["incoming"], condition=Q(state="open", incoming__isnull=False), name="reservation_open_by_incoming"
            ),
            models.Index(fields=["expires_at"], condition=Q(state="open", expires_at__isnull=False), name="reservation_due"),
            models.Index(fields=["lock_no"], condition=~Q(lock_no=""), name="reservation_by_lock"),
            models.Index(fields=["bill"], condition=Q(kind="block"), name="reservation_block"),
        ]

    def __str__(self) -> str:
        return f"{self.bill} × {self.quantity}"


class StockLock(models.Model):
    """Stock of one SKU kept for one kind of buyer (锁库): a livestream, a shop, a channel or a campaign.

    What it holds now are reservations of kind lock with bill = lock_no, one per level; what its
    buyers took is the sum of `drawn` over their reservations. Locks of a higher priority are
    filled first; when stock runs short, those with a lower release_order give back first.
    """

    class Mode(models.TextChoices):
        NUMBER = "number", "数量"
        RATIO = "ratio", "比例"

    class State(models.TextChoices):
        PLANNED = "planned", "未开始"
        ACTIVE = "active", "生效中"
        ENDED = "ended", "已结束"

    lock_no = models.CharField("锁库单号", max_length=40, unique=True)
    name = models.CharField("名称", max_length=60)
    claim = models.CharField(
        "锁给谁", max_length=80, help_text="live:场次号、shop:渠道/店铺、channel:渠道、campaign:活动编码"
    )  # fmt: skip
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    group = models.ForeignKey(
        "inventory.NodeGroup", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="仓库组",
        help_text="为空即所有启用的仓",
    )  # fmt: skip
    mode = models.CharField("方式", max_length=10, choices=Mode.choices, default=Mode.NUMBER)
    amount = models.PositiveIntegerField("数量或百分比", help_text="方式为比例时填 1–100")
    priority = models.PositiveSmallIntegerField("优先级", default=10, help_text="大者先锁")
    release_order = models.PositiveSmallIntegerField("释放顺序", default=10, help_text="库存不足时小者先让")
    starts_at = models.DateTimeField("开始时间")
    ends_at = models.DateTimeField("结束时间")
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.PLANNED)
    actor = models.CharField("操作人", max_length=80, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "锁库"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0) & (Q(mode="number") | Q(amount__lte=100)), name="a_lock_locks_a_number_or_a_percentage"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="a_lock_ends_after_it_starts"),
        ]
        indexes = [
            models.Index(fields=["state", "starts_at"], condition=~Q(state="ended"), name="lock_to_start"),
            models.Index(fields=["state", "ends_at"], condition=~Q(state="ended"), name="lock_to_end"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.lock_no}"
