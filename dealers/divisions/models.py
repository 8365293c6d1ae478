"""The administrative divisions of China over time: what is valid today, what it was called, what became of the rest."""

from django.db import models


class Division(models.Model):
    """A division of province, city or county level, current or closed; counties have the centroid used for distances.

    A closed one (`valid_to`, the first day without it) stays, because orders, dealers and people go on
    naming it; `replaced_by` says which current divisions its area belongs to, several after a split.
    `former_names` are names under which people still know a current division, parted by spaces.
    """

    class Level(models.IntegerChoices):
        PROVINCE = 1, "省级"
        CITY = 2, "地级"
        COUNTY = 3, "县级"

    code = models.CharField("区划代码", max_length=6, primary_key=True)
    name = models.CharField("名称", max_length=40)
    level = models.PositiveSmallIntegerField("级别", choices=Level.choices)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="上级")
    lng = models.FloatField("经度", null=True, blank=True)
    lat = models.FloatField("纬度", null=True, blank=True)
    population = models.PositiveIntegerField("常住人口", default=0)
    former_names = models.CharField("曾用名与别名", max_length=200, blank=True)
    valid_from = models.DateField("启用日期", null=True, blank=True)
    valid_to = models.DateField("停用日期", null=True, blank=True)
    replaced_by = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="replaces", verbose_name="现属区划")

    class Meta:
        verbose_name = verbose_name_plural = "行政区划"
        indexes = [models.Index(fields=["name"], name="division_by_name")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(valid_from=None) | models.Q(valid_to=None) | models.Q(valid_to__gt=models.F("valid_from")),
                name="a_division_is_closed_after_it_began",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}（{self.code}）"


class Township(models.Model):
    """A street, town or township below a county: evidence for the county when an address is unclear.

    The code does not always begin with the county's: Jiayuguan's towns are numbered 620201….
    """

    code = models.CharField("代码", max_length=9, primary_key=True)
    name = models.CharField("名称", max_length=40)
    district = models.ForeignKey(Division, on_delete=models.PROTECT, related_name="+", verbose_name="区县")
    is_current = models.BooleanField("现行", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "乡镇街道"

    def __str__(self) -> str:
        return f"{self.name}（{self.code}）"


class DivisionEdition(models.Model):
    """A load that changed the divisions; the newest one tells every process which list it must know."""

    loaded_at = models.DateTimeField("载入时间")
    source = models.CharField("来源", max_length=200)
    digest = models.CharField("内容摘要", max_length=64)
    outcome = models.CharField("变动", max_length=200)

    class Meta:
        verbose_name = verbose_name_plural = "区划数据版本"

    def __str__(self) -> str:
        return f"{self.loaded_at:%Y-%m-%d} {self.outcome}"
