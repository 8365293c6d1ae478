"""The decisions taken, with every candidate."""

from django.db import models


class RoutingDecision(models.Model):
    """Why an order (or a piece of it, after a refusal) went where it went.

    plan: [{node, lines, cost_fen, breakdown}], trace: one element per candidate considered
    {node, name, kind, step, fence | cost_fen + breakdown}; bounded by the candidate index. terms:
    {terms, promise, promise_days, split_fee_fen, reasons, relaxed}, empty for older decisions.
    """

    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="decisions", verbose_name="订单")
    fo_no = models.CharField("履约单号", max_length=48, blank=True, help_text="改派时为被改派的履约单")
    round = models.PositiveSmallIntegerField("轮次", default=1)
    policy = models.CharField("策略版本", max_length=80)
    ladder_step = models.PositiveSmallIntegerField("阶梯", default=1)
    is_routable = models.BooleanField("已派出")
    cost_fen = models.BigIntegerField("总成本（分）", default=0)
    runner_up_fen = models.BigIntegerField("次优成本（分）", null=True, blank=True)
    plan = models.JSONField("方案")
    trace = models.JSONField("候选明细")
    terms = models.JSONField("条款", default=dict)
    decided_at = models.DateTimeField("决策时间")

    class Meta:
        verbose_name = verbose_name_plural = "路由决策"

    def __str__(self) -> str:
        return f"{self.order_id} 第 {self.round} 轮"
