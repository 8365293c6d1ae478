"""What channels are told of our stock: computed, never typed in."""

from django.db import models
from django.db.models import Q

from inventory.items.models import Sku


class PublishRule(models.Model):
    """How much of the pool one shop may show: percent of 可售 plus a number, within bounds.

    The narrowest rule wins: SKU, then category, then the whole shop.
    """

    channel = models.CharField("渠道", max_length=20)
    shop = models.CharField("店铺", max_length=40)
    sku = models.ForeignKey(
        "inventory.Sku", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="SKU"
    )
    category = models.CharField("品类", max_length=20, blank=True)
    group = models.ForeignKey(
        "inventory.NodeGroup", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="仓库组",
        help_text="为空即所有启用的仓",
    )  # fmt: skip
    percent = models.PositiveSmallIntegerField("比例（%）", default=100, help_text="可大于 100（超卖，会告警）")
    plus = models.BigIntegerField("加减数量", default=0)
    floor = models.BigIntegerField("最少发布", default=0)
    ceiling = models.BigIntegerField("最多发布", null=True, blank=True)
    is_active = models.BooleanField("启用", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存发布规则"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "shop", "sku"], condition=Q(sku__isnull=False), name="one_publish_rule_per_shop_and_sku"
            ),
            models.UniqueConstraint(
                fields=["channel", "shop", "category"], condition=Q(sku=None), name="one_publish_rule_per_shop_and_category"
            ),
            models.CheckConstraint(
                condition=Q(percent__lte=1000)
                & Q(floor__gte=0)
                & (Q(ceiling=None) | Q(ceiling__gte=models.F("floor")))
                & (Q(sku=None) | Q(category="")),
                name="publish_rules_keep_within_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel}/{self.shop}"


class PublishedStock(models.Model):
    """The figure a shop shows for one SKU; version rises with each change, and a channel asks for what is newer."""

    channel = models.CharField("渠道", max_length=20)
    shop = models.CharField("店铺", max_length=40)
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    quantity = models.BigIntegerField("发布数量")
    sellable = models.BigIntegerField("当时可售")
    version = models.BigIntegerField("版本")
    changed_at = models.DateTimeField("变更时间")

    class Meta:
        verbose_name = verbose_name_plural = "已发布库存"
        constraints = [
            models.UniqueConstraint(fields=["channel", "shop", "sku"], name="a_shop_shows_one_figure_per_sku"),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="published_stock_is_not_negative"),
        ]
        indexes = [models.Index(fields=["channel", "shop", "version"], name="published_by_version")]

    def __str__(self) -> str:
        return f"{self.channel}/{self.shop} {self.sku_id}: {self.quantity}"


class PublishedShop(models.Model):
    """One shop's change counter. Its row is locked while the shop is published, so versions rise in the order of commits."""

    channel = models.CharField("渠道", max_length=20)
    shop = models.CharField("店铺", max_length=40)
    version = models.BigIntegerField("版本", default=0, db_default=0)

    class Meta:
        verbose_name = verbose_name_plural = "发布店铺"
        constraints = [models.UniqueConstraint(fields=["channel", "shop"], name="a_shop_counts_once")]

    def __str__(self) -> str:
        return f"{self.channel}/{self.shop} v{self.version}"


class PoolTotal(models.Model):
    """One SKU's parts over all places, as counted last by `actions.count_pool`: the columns are rules.Parts.

    Kept because adding up every level takes longer than a page may; pages say how old it is.
    """

    sku = models.OneToOneField("inventory.Sku", on_delete=models.CASCADE, primary_key=True, related_name="+", verbose_name="SKU")
    on_hand = models.BigIntegerField("在库", default=0)
    held = models.BigIntegerField("预占", default=0)
    node = models.BigIntegerField("仓库预占", default=0)
    pinned = models.BigIntegerField("指定仓预占", default=0)
    offer = models.BigIntegerField("要约中", default=0)
    presale = models.BigIntegerField("预售", default=0)
    lock = models.BigIntegerField("锁库", default=0)
    transfer = models.BigIntegerField("调拨", default=0)
    block = models.BigIntegerField("暂不可用", default=0)
    closed = models.BigIntegerField("停用仓", default=0)
    stale = models.BigIntegerField("失效", default=0)
    safety = models.BigIntegerField("安全库存", default=0)
    sellable = models.BigIntegerField("安全可售", default=0)
    wanted = models.BigIntegerField("安全库存设定", default=0)
    globally = models.BigIntegerField("全局预占", default=0)
    incoming = models.BigIntegerField("在途", default=0)
    promised = models.BigIntegerField("在途已承诺", default=0)
    next_on = models.DateField("最近到货", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存池合计"

    def __str__(self) -> str:
        return f"{self.sku_id}: {self.on_hand}"


class PoolCount(models.Model):
    """When PoolTotal was counted last: one row, which also lets one worker count at a time."""

    counted_at = models.DateTimeField("统计时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存池统计"

    def __str__(self) -> str:
        return f"{self.counted_at}"


class Pool(Sku):
    """The page 库存池 of the admin: the SKUs again, with what stands and is promised everywhere."""

    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "库存池"
