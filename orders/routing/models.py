"""Rules that say what a plan costs, and the decisions taken, with every candidate."""

from django.db import models


class RoutingPolicy(models.Model):
    """The money terms of one routing objective; amounts in fen. The published one is in force."""

    name = models.CharField("名称", max_length=60)
    version = models.PositiveIntegerField("版本", default=1)
    is_published = models.BooleanField("已发布", default=False)
    split_fee_fen = models.BigIntegerField("拆单费（每多一个包裹）", default=600)
    late_fen_per_day = models.BigIntegerField("超时效成本（每天）", default=500)
    refusal_cost_fen = models.BigIntegerField("一次拒单的代价", default=3000)
    cross_region_fen = models.BigIntegerField("跨区费", default=2500)
    promise_days = models.PositiveSmallIntegerField("承诺时效（天）", default=3)

    class Meta:
        verbose_name = verbose_name_plural = "路由策略"
        constraints = [
            models.UniqueConstraint(
                fields=["is_published"], condition=models.Q(is_published=True), name="one_published_routing_policy"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class FreightTemplate(models.Model):
    """What it costs a kind of node to deliver: by parcel (weight) and by distance.

    cost = first_fen + ceil((weight − first_weight) / step) × step_fen + km × km_fen, and days on
    the road = base_days + km / km_per_day, both rounded up. The first weight never costs less
    than one step, so that one package is never dearer than two.
    """

    node_kind = models.CharField("发货点类别", max_length=10)
    first_weight_g = models.PositiveIntegerField("首重（克）", default=1000)
    first_fen = models.BigIntegerField("首重费（分）")
    step_weight_g = models.PositiveIntegerField("续重单位（克）", default=1000)
    step_fen = models.BigIntegerField("续重费（分）")
    km_fen = models.BigIntegerField("每公里（分）", default=0)
    install_fen = models.BigIntegerField("安装成本（每件，分）", default=0)
    base_days = models.PositiveSmallIntegerField("基础天数", default=1)
    km_per_day = models.PositiveIntegerField("每天公里", default=600)
    max_km = models.PositiveIntegerField("最远公里", default=5000)

    class Meta:
        verbose_name = verbose_name_plural = "运费与时效模板"
        constraints = [
            models.UniqueConstraint(fields=["node_kind"], name="one_template_per_node_kind"),
            models.CheckConstraint(
                condition=models.Q(first_fen__gte=models.F("step_fen")), name="first_weight_costs_at_least_a_step"
            ),
            models.CheckConstraint(
                condition=models.Q(step_weight_g__gt=0) & models.Q(km_per_day__gt=0), name="steps_are_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.node_kind


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
