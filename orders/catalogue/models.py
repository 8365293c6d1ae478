"""What is sold, and how it explodes into what can be counted."""

from django.db import models


class Product(models.Model):
    """Something sold under a merchant code: one SKU, or a combo of physical and virtual parts."""

    code = models.CharField("商家编码", max_length=40, unique=True, help_text="渠道商品上填的编码")
    name = models.CharField("名称", max_length=80)
    is_active = models.BooleanField("在售", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "商品"

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class ProductPart(models.Model):
    """One component of a product; the buyer's money is shared over parts by weight."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="parts", verbose_name="商品")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    quantity = models.PositiveIntegerField("数量", default=1)
    weight = models.PositiveIntegerField("分摊权重", default=1)

    class Meta:
        verbose_name = verbose_name_plural = "组成"
        constraints = [models.UniqueConstraint(fields=["product", "sku"], name="a_product_has_a_part_once")]

    def __str__(self) -> str:
        return f"{self.sku_id} × {self.quantity}"
