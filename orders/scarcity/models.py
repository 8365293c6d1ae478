"""What is expected to be scarce, and how dear taking it is."""

from django.db import models
from django.db.models import Q


class Forecast(models.Model):
    """One set of scarcity prices. The newest one that has not expired is in force."""

    source = models.CharField("依据", max_length=40, blank=True, help_text="直播场次；空为最近一天的订单")
    orders = models.PositiveIntegerField("参考订单数")
    made_at = models.DateTimeField("计算时间")
    expires_at = models.DateTimeField("有效期至")
    actor = models.CharField("计算人", max_length=60)

    class Meta:
        verbose_name = verbose_name_plural = "稀缺价预测"
        indexes = [models.Index(fields=["made_at"], name="forecast_by_time")]

    def __str__(self) -> str:
        return f"{self.source or '最近一天'} {self.made_at:%m-%d %H:%M}"


class ForecastPrice(models.Model):
    """What a unit of a SKU at a node, or a piece of a dealer's work, is worth to orders that are still to come."""

    forecast = models.ForeignKey(Forecast, on_delete=models.CASCADE, related_name="prices", verbose_name="预测")
    node = models.ForeignKey(
        "inventory.Node", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="发货点"
    )
    sku = models.ForeignKey(
        "inventory.Sku", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="SKU"
    )
    dealer = models.ForeignKey(
        "dealers.Dealer", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="经销商"
    )
    fen = models.PositiveIntegerField("稀缺价（分）")

    class Meta:
        verbose_name = verbose_name_plural = "稀缺价"
        constraints = [
            models.UniqueConstraint(fields=["forecast", "node", "sku"], name="a_unit_has_one_forecast_price"),
            models.UniqueConstraint(fields=["forecast", "dealer"], name="a_dealers_work_has_one_forecast_price"),
            models.CheckConstraint(
                condition=Q(node__isnull=False, sku__isnull=False, dealer=None) | Q(node=None, sku=None, dealer__isnull=False),
                name="a_forecast_price_is_of_goods_or_of_work",
            ),
            models.CheckConstraint(condition=Q(fen__gt=0), name="what_is_not_scarce_has_no_forecast_price"),
        ]

    def __str__(self) -> str:
        return f"{self.dealer or f'{self.node} {self.sku}'}"
