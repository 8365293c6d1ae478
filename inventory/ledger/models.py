"""Where stock stands and how it got there."""

from django.db import models
from django.db.models import F, Q


class Node(models.Model):
    """A place with stock."""

    class Kind(models.TextChoices):
        HQ = "hq", "总部仓"
        REGION = "region", "区域仓"
        DEALER = "dealer", "经销商仓"
        STORE = "store", "门店"

    code = models.CharField("编码", max_length=30, unique=True)
    name = models.CharField("名称", max_length=60)
    kind = models.CharField("类别", max_length=10, choices=Kind.choices)
    dealer = models.ForeignKey(
        "dealers.Dealer", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="经销商"
    )
    division_code = models.CharField("所在区县", max_length=6)
    lng = models.FloatField("经度")
    lat = models.FloatField("纬度")
    is_active = models.BooleanField("启用", default=True)
    is_paused = models.BooleanField("暂停", default=False)

    class Meta:
        verbose_name = verbose_name_plural = "仓库与门店"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["hq", "region"], dealer=None) | Q(kind__in=["dealer", "store"], dealer__isnull=False),
                name="dealers_places_have_a_dealer_and_ours_have_none",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Level(models.Model):
    """How much of one SKU stands at one node, and how much of it is promised.

    on_hand is written by `ledger.post`, held by reservations, and both together when what is
    held ships; always by conditional or locked updates. The constraint is the net below: nobody can promise what is not there.
    """

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="levels", verbose_name="仓库")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    on_hand = models.BigIntegerField("在库", default=0)
    held = models.BigIntegerField("预占", default=0)
    safety_stock = models.BigIntegerField("安全库存", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "库存"
        constraints = [
            models.UniqueConstraint(fields=["node", "sku"], name="one_level_per_node_and_sku"),
            models.CheckConstraint(condition=Q(held__gte=0) & Q(held__lte=F("on_hand")), name="never_hold_more_than_on_hand"),
            models.CheckConstraint(condition=Q(safety_stock__gte=0), name="safety_stock_is_not_negative"),
        ]
        indexes = [models.Index(fields=["sku", "node"], name="level_by_sku")]

    def __str__(self) -> str:
        return f"{self.node_id}/{self.sku_id}: {self.on_hand} − {self.held}"

    @property
    def sellable(self) -> int:
        """安全可售 = max(0, 在库 − 预占 − 安全库存)."""
        return max(0, self.on_hand - self.held - self.safety_stock)


class Movement(models.Model):
    """One change of on_hand, append-only; `source_key` makes a repeated posting a no-op."""

    class Kind(models.TextChoices):
        RECEIPT = "receipt", "入库"
        SHIPMENT = "shipment", "出库"
        RETURN = "return", "退货入库"
        ADJUSTMENT = "adjustment", "调整"
        COUNT = "count", "盘点"

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="+", verbose_name="仓库")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    kind = models.CharField("类别", max_length=12, choices=Kind.choices)
    quantity = models.BigIntegerField("数量", help_text="入为正，出为负")
    source_key = models.CharField("来源键", max_length=120, unique=True)
    reason = models.CharField("原因", max_length=120, blank=True)
    actor = models.CharField("操作人", max_length=80, blank=True)
    moved_at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "出入库流水"
        constraints = [models.CheckConstraint(condition=~Q(quantity=0), name="a_movement_moves_something")]
        indexes = [models.Index(fields=["node", "sku", "id"], name="movement_by_level")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.quantity}"
