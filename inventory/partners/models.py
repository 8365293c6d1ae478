"""The systems of others that may read our stock or post theirs."""

from django.db import models


class ApiKey(models.Model):
    """A system that may read or post stock: a WMS, an ERP, a dealer's till. Only the digest of the key is kept.

    With a dealer it sees and posts that dealer's places only; without one, every place.
    """

    name = models.CharField("名称", max_length=60)
    prefix = models.CharField("前缀", max_length=12, unique=True)
    digest = models.CharField("摘要", max_length=64)
    dealer = models.ForeignKey(
        "dealers.Dealer", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="经销商"
    )
    may_write = models.BooleanField("可上报库存", default=False)
    may_read = models.BooleanField("可查询库存池", default=True)
    is_active = models.BooleanField("启用", default=True)
    made_at = models.DateTimeField("创建时间")
    used_at = models.DateTimeField("最近使用", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "接口密钥"

    def __str__(self) -> str:
        return f"{self.name} {self.prefix}…"
