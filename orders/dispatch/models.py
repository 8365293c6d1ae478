"""Who is asked, in which order, and for how long."""

from django.db import models


class LadderPolicy(models.Model):
    """Who is asked first, next and last. The first active policy that matches an order is used."""

    name = models.CharField("名称", max_length=60)
    channel = models.CharField("限渠道", max_length=20, blank=True)
    priority = models.IntegerField("优先级", default=0)
    is_active = models.BooleanField("启用", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "派单阶梯"

    def __str__(self) -> str:
        return self.name


class LadderStep(models.Model):
    """One rung: whose nodes may be asked, how many of them, and how long each may think."""

    class Target(models.TextChoices):
        TERRITORY = "territory", "辖区经销商"
        NEIGHBOUR = "neighbour", "其他经销商"
        HQ = "hq", "总部与区域仓"

    policy = models.ForeignKey(LadderPolicy, on_delete=models.CASCADE, related_name="steps", verbose_name="阶梯")
    position = models.PositiveSmallIntegerField("次序")
    target = models.CharField("对象", max_length=10, choices=Target.choices)
    seconds = models.PositiveIntegerField("应答秒数", default=60, help_text="按经销商的工作时间计")
    max_offers = models.PositiveSmallIntegerField("最多派几家", default=2)

    class Meta:
        verbose_name = verbose_name_plural = "阶梯步骤"
        constraints = [models.UniqueConstraint(fields=["policy", "position"], name="one_step_per_position")]

    def __str__(self) -> str:
        return f"{self.position}. {self.get_target_display()}"
