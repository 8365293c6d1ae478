"""What can be counted."""

from django.db import models


class Sku(models.Model):
    """A stock keeping unit. Virtual goods and services are never counted and never block."""

    class Kind(models.TextChoices):
        PHYSICAL = "physical", "实物"
        VIRTUAL = "virtual", "虚拟"
        SERVICE = "service", "服务"

    code = models.CharField("SKU 编码", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    kind = models.CharField("类别", max_length=10, choices=Kind.choices, default=Kind.PHYSICAL)
    category = models.CharField("品类", max_length=20, blank=True, help_text="furniture、appliance、small …")
    unit = models.CharField("单位", max_length=6, default="件")
    weight_g = models.PositiveIntegerField("重量（克）", default=0)
    install_skill = models.CharField("安装技能", max_length=30, blank=True, help_text="为空即无需安装")
    supply_price_fen = models.BigIntegerField("供货价（分）", default=0)
    is_active = models.BooleanField("启用", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "SKU"

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def is_counted(self) -> bool:
        return self.kind == self.Kind.PHYSICAL
