"""What-if runs of routing: what was asked, how far they are, what came out. Nothing here touches stock or orders."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

MOST_ORDERS = 20_000
MOST_DIFFERENCES = 5_000


class Simulation(models.Model):
    """Orders replayed under a draft set of rules and, beside it, under the one that is in force.

    `version` rises with each step, so that two workers never do the same step; `leased_until` keeps
    them out of each other's way. `checkpoint` is the replay as it stands after `done` orders, so that
    whoever comes after a killed worker goes on from there. `wanted` are the orders of a what-if file.
    """

    class Source(models.TextChoices):
        PAST = "past", "历史订单"
        FILE = "file", "假设订单（表格）"

    class State(models.TextChoices):
        QUEUED = "queued", "排队中"
        RUNNING = "running", "模拟中"
        DONE = "done", "已完成"
        FAILED = "failed", "失败"
        CANCELLED = "cancelled", "已取消"

    name = models.CharField("名称", max_length=60)
    rule_set = models.ForeignKey("orders.RuleSet", on_delete=models.CASCADE, related_name="+", verbose_name="对比规则")
    live_set = models.ForeignKey(
        "orders.RuleSet", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="现行规则"
    )
    source = models.CharField("来源", max_length=6, choices=Source.choices)
    channel = models.CharField("渠道", max_length=20, blank=True, help_text="不填即全部渠道")
    placed_from = models.DateTimeField("订单起", null=True, blank=True)
    placed_to = models.DateTimeField("订单止", null=True, blank=True)
    most_orders = models.PositiveIntegerField("最多单数", default=4_000)
    has_refusals = models.BooleanField("模拟拒单与超时", default=True)
    seed = models.PositiveIntegerField("随机种子", default=1, help_text="同一种子得到同样的拒单")
    wanted = models.JSONField("假设订单", default=list, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.QUEUED)
    version = models.PositiveIntegerField("版本", default=1)
    leased_until = models.DateTimeField("占用至", null=True, blank=True)
    done = models.PositiveIntegerField("已模拟", default=0)
    total = models.PositiveIntegerField("总单数", default=0)
    checkpoint = models.JSONField("中间结果", default=dict, blank=True)
    result = models.JSONField("结果", default=dict, blank=True)
    problem = models.CharField("说明", max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="创建人"
    )
    created_at = models.DateTimeField("创建时间")
    finished_at = models.DateTimeField("完成时间", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "派单模拟"
        constraints = [
            models.CheckConstraint(
                condition=Q(most_orders__gte=1, most_orders__lte=MOST_ORDERS) & Q(done__lte=F("total")),
                name="a_simulation_keeps_within_bounds",
            )
        ]
        indexes = [models.Index(fields=["id"], condition=Q(state__in=["queued", "running"]), name="simulation_to_run")]

    def __str__(self) -> str:
        return self.name


class SimulationDifference(models.Model):
    """An order that would go elsewhere under the draft: before is the set in force, after the draft.

    The costs are both by the prices of the set in force; None: nobody could serve it.
    """

    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="differences", verbose_name="模拟")
    position = models.PositiveIntegerField("次序")
    order_no = models.CharField("订单号", max_length=40)
    region = models.CharField("地区", max_length=60, blank=True)
    before = models.CharField("现行去处", max_length=200)
    after = models.CharField("对比去处", max_length=200)
    before_fen = models.BigIntegerField("现行成本（分）", null=True, blank=True)
    after_fen = models.BigIntegerField("对比成本（分）", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "模拟差异"
        constraints = [models.UniqueConstraint(fields=["simulation", "position"], name="an_order_differs_once_in_a_simulation")]

    def __str__(self) -> str:
        return self.order_no
