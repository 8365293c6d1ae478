"""Sets of routing rules: drafts that people edit, the one in force, and those that were.

A set owns its rows. Rows name each other by codes that hold within the set (groups, promise
classes), so that a copy of the rows is a copy of the set. Lists of codes are JSON arrays of text.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from inventory.models import Node

CODE = RegexValidator(r"^[0-9A-Za-z_-]+$", "编码只能用字母、数字、横线和下划线")
WEEKDAYS = RegexValidator(r"^(?!.*(.).*\1)[1-7]+$", "发货日填 1 到 7，不重复，1 是周一")
DIVISION = RegexValidator(r"^([0-9]{2}){1,3}$", "区划代码是 2、4 或 6 位数字")


def _codes(label: str, help_text: str = "") -> Any:
    return models.JSONField(label, default=list, blank=True, help_text=help_text)


class Terms(models.Model):
    """The terms of an order as columns: of the orders of one rule, or of all the others. Amounts in fen."""

    class Unroutable(models.TextChoices):
        WAIT = "wait", "等待：有货、有产能或规则变动时再派"
        SPLIT = "split", "放宽拆单：不限包裹数，可拆套装"
        HQ = "hq", "总部兜底：只看总部自有仓，不看分组、距离和时效"
        PERSON = "person", "转人工"

    split_fee_fen = models.BigIntegerField("拆单费（每多一个包裹）", default=600)
    late_fen_per_day = models.BigIntegerField("超时效成本（每天）", default=500)
    refusal_cost_fen = models.BigIntegerField("一次拒单的代价", default=3000)
    cross_region_fen = models.BigIntegerField("跨区费", default=2500)
    unfilled_fen = models.BigIntegerField("一件没派出的损失", default=40_000, help_text="用于批量优化和试算")
    promise = models.CharField("时效承诺", max_length=30, blank=True, help_text="本套规则里时效的编码；不填即 standard")
    max_packages = models.PositiveSmallIntegerField("最多包裹数", null=True, blank=True, help_text="不填不限")
    max_km = models.PositiveIntegerField("最远公里", null=True, blank=True, help_text="不填不限")
    same_province = models.BooleanField("限同省发货", default=False)
    only_groups = _codes("只用这些分组", "本套规则里分组的编码")
    never_groups = _codes("不用这些分组", "本套规则里分组的编码")
    keeps_bundles = models.BooleanField("套装不拆", default=False, help_text="同一件售出商品的各部分从一处发出")
    keeps_installation = models.BooleanField("送装一体", default=True, help_text="安装服务跟随它的货物")
    on_unroutable = models.CharField("无法派单时", max_length=10, choices=Unroutable.choices, default=Unroutable.WAIT)
    cancel_after_hours = models.PositiveSmallIntegerField(
        "最多等待（小时）", null=True, blank=True, help_text="派不出超过此时长即放弃自动派单；不填一直等"
    )

    class Meta:
        abstract = True
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(
                    split_fee_fen__gte=0,
                    late_fen_per_day__gte=0,
                    refusal_cost_fen__gte=0,
                    cross_region_fen__gte=0,
                    unfilled_fen__gte=0,
                ),
                name="amounts_of_a_%(class)s_are_not_negative",
            ),  # fmt: skip
            models.CheckConstraint(
                condition=(Q(max_packages=None) | Q(max_packages__gt=0)) & (Q(max_km=None) | Q(max_km__gt=0)),
                name="limits_of_a_%(class)s_leave_something",
            ),
        ]


class RuleSet(Terms):
    """One version of all routing rules; its own terms are those of orders that no order rule covers.

    Only a draft is ever changed. The published one is in force; retired ones were, and stay.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "草稿"
        PUBLISHED = "published", "生效中"
        RETIRED = "retired", "已停用"

    name = models.CharField("名称", max_length=60)
    version = models.PositiveIntegerField("版本", unique=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.DRAFT)
    note = models.TextField("说明", blank=True, help_text="为什么改、改了什么")
    based_on = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="复制自"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="创建人"
    )
    created_at = models.DateTimeField("创建时间")
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="发布人"
    )
    published_at = models.DateTimeField("发布时间", null=True, blank=True)
    retired_at = models.DateTimeField("停用时间", null=True, blank=True)

    class Meta(Terms.Meta):
        verbose_name = verbose_name_plural = "路由规则"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            *Terms.Meta.constraints,
            models.UniqueConstraint(fields=["state"], condition=Q(state="published"), name="one_rule_set_is_in_force"),
            models.CheckConstraint(
                condition=Q(state="draft", published_at=None) | Q(state__in=["published", "retired"], published_at__isnull=False),
                name="what_was_in_force_was_published",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class OrderRule(Terms):
    """Terms for the orders that meet every condition that is given; the first rule by position wins."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="order_rules", verbose_name="规则")
    position = models.PositiveSmallIntegerField("顺序", default=10)
    name = models.CharField("名称", max_length=60)
    channels = _codes("渠道")
    shops = _codes("店铺")
    divisions = _codes("收货地区")
    products = _codes("SKU", "订单里有一件即命中")
    categories = _codes("品类", "订单里有一件即命中")
    tags = _codes("订单标签", "有其中一个即命中")
    is_live = models.BooleanField("直播", null=True, blank=True, choices=[(True, "只限直播订单"), (False, "不含直播订单")])

    class Meta(Terms.Meta):
        verbose_name = verbose_name_plural = "订单规则"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            *Terms.Meta.constraints,
            models.UniqueConstraint(fields=["rule_set", "name"], name="an_order_rule_has_its_own_name"),
        ]

    def __str__(self) -> str:
        return self.name


class PromiseClass(models.Model):
    """How soon the customer expects the goods: 小时达, 次日达, standard."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="promises", verbose_name="规则")
    code = models.CharField("编码", max_length=30, validators=[CODE], help_text="standard 用于没有指明时效的订单")
    name = models.CharField("名称", max_length=30)
    days = models.PositiveSmallIntegerField("承诺天数", help_text="从派单到送达；当天为 0")
    is_hard = models.BooleanField("赶不上就不派", default=False, help_text="否则按天计超时效成本")
    max_km = models.PositiveIntegerField("最远公里", null=True, blank=True)
    kinds = _codes("发货点类别", "不填不限")

    class Meta:
        verbose_name = verbose_name_plural = "时效"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule_set", "code"], name="a_promise_class_has_its_own_code"),
            models.CheckConstraint(condition=Q(max_km=None) | Q(max_km__gt=0), name="a_promise_reaches_somewhere"),
        ]

    def __str__(self) -> str:
        return f"{self.name}（{self.code}）"


class NodeGroup(models.Model):
    """Places under one name: those that are named, and those that meet every other condition that is given."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="groups", verbose_name="规则")
    code = models.CharField("编码", max_length=30, validators=[CODE])
    name = models.CharField("名称", max_length=60)
    nodes = _codes("点名", "仓库与门店的编码，总在组内")
    kinds = _codes("类别")
    divisions = _codes("所在地区")
    tiers = _codes("经销商等级")

    class Meta:
        verbose_name = verbose_name_plural = "发货点分组"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule_set", "code"], name="a_group_of_a_set_has_its_own_code"),
        ]

    def __str__(self) -> str:
        return f"{self.name}（{self.code}）"


class Somewhere(models.Model):
    """For which places (group, kind) and towards or in which division a row holds; empty means any."""

    group = models.CharField("分组", max_length=30, blank=True, help_text="本套规则里分组的编码")
    kind = models.CharField("发货点类别", max_length=10, choices=Node.Kind.choices, blank=True)
    division = models.CharField("地区", max_length=6, blank=True, validators=[DIVISION])

    class Meta:
        abstract = True


class FreightRate(Somewhere):
    """What delivery costs and how long it takes; see rules.FreightRate for the formula."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="freight", verbose_name="规则")
    first_fen = models.BigIntegerField("首重费")
    first_weight_g = models.PositiveIntegerField("首重（克）", default=1000)
    step_fen = models.BigIntegerField("续重费", default=0)
    step_weight_g = models.PositiveIntegerField("续重单位（克）", default=1000)
    km_fen = models.BigIntegerField("每公里", default=0)
    base_days = models.PositiveSmallIntegerField("基础天数", default=1)
    km_per_day = models.PositiveIntegerField("每天公里", default=600)
    max_km = models.PositiveIntegerField("最远公里", default=5000)

    class Meta:
        verbose_name = verbose_name_plural = "运费与时效"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule_set", "group", "kind", "division"], name="one_freight_rate_for_one_case"),
            models.CheckConstraint(
                condition=Q(first_fen__gte=F("step_fen"), step_fen__gte=0, km_fen__gte=0),
                name="one_package_is_never_dearer_than_two",
            ),
            models.CheckConstraint(condition=Q(step_weight_g__gt=0, km_per_day__gt=0), name="freight_advances_by_steps"),
        ]

    def __str__(self) -> str:
        return _case(self)


class InstallRate(Somewhere):
    """What installing one piece costs; an empty skill is any."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="installs", verbose_name="规则")
    skill = models.CharField("安装技能", max_length=30, blank=True, help_text="如 install:furniture；不填即全部")
    fee_fen = models.BigIntegerField("每件")

    class Meta:
        verbose_name = verbose_name_plural = "安装费"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["rule_set", "group", "kind", "division", "skill"], name="one_install_rate_for_one_case"
            ),
            models.CheckConstraint(condition=Q(fee_fen__gte=0), name="installing_is_not_paid_for_by_the_installer"),
        ]

    def __str__(self) -> str:
        return f"{_case(self)} {self.skill or '全部'}"


class ShipCalendar(Somewhere):
    """On which days places ship, and until when on such a day; the division is where the place stands."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="calendars", verbose_name="规则")
    weekdays = models.CharField("发货日", max_length=7, default="1234567", validators=[WEEKDAYS], help_text="1 是周一，7 是周日")
    cutoff = models.TimeField("截单时间", null=True, blank=True, help_text="此后的订单下一个发货日发出")
    holidays = _codes("不发货的日子", "如 2026-10-01~2026-10-07、2027-01-01")

    class Meta:
        verbose_name = verbose_name_plural = "发货日历"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule_set", "group", "kind", "division"], name="one_calendar_for_one_case"),
        ]

    def __str__(self) -> str:
        return _case(self)


class DealerQuota(models.Model):
    """A dealer's agreed share of a month's work; above it the dealer becomes dearer."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="quotas", verbose_name="规则")
    dealer_code = models.CharField("经销商编码", max_length=20)
    percent = models.PositiveSmallIntegerField("约定份额（%）")
    fen_per_point = models.BigIntegerField("每超一个百分点加价")

    class Meta:
        verbose_name = verbose_name_plural = "公平配额"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule_set", "dealer_code"], name="a_dealer_has_one_quota"),
            models.CheckConstraint(condition=Q(percent__lte=100, fen_per_point__gte=0), name="a_quota_is_a_share"),
        ]

    def __str__(self) -> str:
        return self.dealer_code


class AgeingCredit(models.Model):
    """How much cheaper a unit is where it has lain long or stands above its maximum."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="credits", verbose_name="规则")
    category = models.CharField("品类", max_length=20, blank=True, help_text="不填即全部")
    older_than_days = models.PositiveSmallIntegerField("库龄超过（天）", null=True, blank=True)
    is_overstock = models.BooleanField("积压", default=False, help_text="在库高于库存上限")
    fen_per_unit = models.BigIntegerField("每件抵减")

    class Meta:
        verbose_name = verbose_name_plural = "库龄与积压抵减"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(fen_per_unit__gte=0), name="a_credit_makes_nothing_dearer"),
            models.CheckConstraint(
                condition=Q(is_overstock=True) | Q(older_than_days__isnull=False), name="a_credit_says_what_it_is_for"
            ),
        ]

    def __str__(self) -> str:
        conditions = [f"超过 {self.older_than_days} 天"] * (self.older_than_days is not None) + ["积压"] * self.is_overstock
        return f"{self.category or '全部'} {'或'.join(conditions)}"


SECTIONS: tuple[type[models.Model], ...] = (
    OrderRule, PromiseClass, NodeGroup, FreightRate, InstallRate, ShipCalendar, DealerQuota, AgeingCredit,
)  # fmt: skip


def _case(row: Somewhere) -> str:
    kind = str(row.get_kind_display()) if row.kind else ""  # type: ignore[attr-defined]
    return " · ".join(part for part in (row.group, kind, row.division) if part) or "全部"
