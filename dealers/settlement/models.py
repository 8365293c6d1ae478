"""What we owe the dealers: split rules, the sealed append-only ledger, statements."""

from django.conf import settings
from django.db import models


class SplitRule(models.Model):
    """How one component of a dealer's income comes about. A published version never changes."""

    class Component(models.TextChoices):
        SERVICE_FEE = "service_fee", "服务费"
        COMMISSION = "commission", "佣金"
        PRICE_DIFF = "price_diff", "差价返还"

    class Mode(models.TextChoices):
        FIXED_PER_WORK = "fixed", "每单固定"
        FIXED_PER_UNIT = "per_unit", "每件固定"
        PERCENT = "percent", "按实付比例"
        PRICE_DIFF = "price_diff", "（实付 − 供货价）× 比例"

    class State(models.TextChoices):
        DRAFT = "draft", "草稿"
        PUBLISHED = "published", "已发布"
        RETIRED = "retired", "已停用"

    code = models.CharField("规则编码", max_length=30)
    version = models.PositiveIntegerField("版本", default=1)
    name = models.CharField("名称", max_length=60)
    component = models.CharField("分项", max_length=20, choices=Component.choices)
    payee = models.CharField("收款方", max_length=10, choices=[("dealer", "经销商"), ("anchor", "主播")], default="dealer")
    mode = models.CharField("算法", max_length=12, choices=Mode.choices)
    amount_fen = models.BigIntegerField("金额（分）", default=0)
    percent = models.CharField("比例（%）", max_length=12, default="0", help_text="十进制文本，如 6 或 2.5")
    channel = models.CharField("限渠道", max_length=20, blank=True)
    category = models.CharField("限品类", max_length=20, blank=True)
    dealer_tier = models.CharField("限经销商等级", max_length=10, blank=True)
    region_prefix = models.CharField("限地区前缀", max_length=6, blank=True)
    needs_install = models.BooleanField("仅含安装", default=False)
    group = models.CharField("互斥组", max_length=20, blank=True, help_text="同组只用优先级最高的一条")
    priority = models.IntegerField("优先级", default=0)
    effective_from = models.DateTimeField("生效时间")
    effective_to = models.DateTimeField("失效时间（不含）", null=True, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.DRAFT)

    class Meta:
        verbose_name = verbose_name_plural = "分润规则"
        constraints = [models.UniqueConstraint(fields=["code", "version"], name="a_rule_version_exists_once")]

    def __str__(self) -> str:
        return f"{self.code} v{self.version} {self.name}"


class Account(models.Model):
    """A ledger account. Codes follow the chart of the settlement design: payable:dealer:D001."""

    class Kind(models.TextChoices):
        ASSET = "asset", "资产"
        LIABILITY = "liability", "负债"
        INCOME = "income", "收入"
        EXPENSE = "expense", "费用"

    code = models.CharField("科目", max_length=80, unique=True)
    kind = models.CharField("类别", max_length=10, choices=Kind.choices)
    party = models.CharField("往来方", max_length=60, blank=True, db_index=True)

    class Meta:
        verbose_name = verbose_name_plural = "科目"

    def __str__(self) -> str:
        return self.code


class Seal(models.Model):
    """Inserted last in a posting: the database checks then that the entry balances.

    Entry points to its Seal by a deferred key, so an entry without one cannot be committed.
    """

    id = models.UUIDField(primary_key=True)

    class Meta:
        verbose_name = verbose_name_plural = "封签"

    def __str__(self) -> str:
        return str(self.id)


class LedgerEntry(models.Model):
    """One balanced posting, written once: no update, no delete, in either database."""

    id = models.UUIDField(primary_key=True)
    seal = models.OneToOneField(Seal, on_delete=models.PROTECT, related_name="+", verbose_name="封签")
    key = models.CharField("幂等键", max_length=160, unique=True)
    payload_hash = models.CharField("内容摘要", max_length=64)
    kind = models.CharField("类别", max_length=20)
    source = models.CharField("来源", max_length=80, db_index=True)
    order_no = models.CharField("订单号", max_length=40, db_index=True)
    effective_at = models.DateTimeField("业务时间")
    posted_at = models.DateTimeField("记账时间")
    reverses = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversals", verbose_name="冲正对象"
    )
    made_by = models.CharField("经手", max_length=80)

    class Meta:
        verbose_name = verbose_name_plural = "分录"
        constraints = [models.CheckConstraint(condition=models.Q(seal=models.F("id")), name="an_entry_has_its_own_seal")]

    def __str__(self) -> str:
        return self.key


class LedgerLine(models.Model):
    """One side of an entry, in fen: debit positive, credit negative."""

    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="lines", verbose_name="分录")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False, verbose_name="科目")
    amount_fen = models.BigIntegerField("金额（分）")
    component = models.CharField("分项", max_length=20)
    explain = models.JSONField("算法说明", default=dict, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "分录行"
        constraints = [models.CheckConstraint(condition=~models.Q(amount_fen=0), name="a_ledger_line_is_never_zero")]
        indexes = [models.Index(fields=["account", "id"], name="ledger_by_account")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.amount_fen}"


class WorkRefund(models.Model):
    """Buyer's money that went back for a piece of work, remembered whether or not the work was accrued yet.

    Reversals are computed from these rows in id order, so that a refund that arrives before the
    completion ends in the same balances as one that arrives after it. Append-only, like the ledger.
    """

    fo_no = models.CharField("履约单号", max_length=48)
    refund_key = models.CharField("退款键", max_length=80)
    order_no = models.CharField("订单号", max_length=40)
    amount_fen = models.BigIntegerField("退款（分）")
    refunded_at = models.DateTimeField("退款时间")

    class Meta:
        verbose_name = verbose_name_plural = "退款记录"
        constraints = [
            models.UniqueConstraint(fields=["fo_no", "refund_key"], name="a_refund_falls_on_a_work_once"),
            models.CheckConstraint(condition=models.Q(amount_fen__gt=0), name="a_refund_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.fo_no} {self.refund_key}"


class Statement(models.Model):
    """What one party earned in one period; drawn from ledger lines, each in at most one statement."""

    class State(models.TextChoices):
        READY = "ready", "待确认"
        CONFIRMED = "confirmed", "已确认"

    statement_no = models.CharField("结算单号", max_length=60, unique=True)
    dealer = models.ForeignKey("dealers.Dealer", on_delete=models.PROTECT, related_name="+", verbose_name="经销商")
    period_from = models.DateTimeField("期初（含）")
    period_to = models.DateTimeField("期末（不含）")
    opening_fen = models.BigIntegerField("期初余额（分）", default=0)
    accrued_fen = models.BigIntegerField("本期应付（分）", default=0)
    reversed_fen = models.BigIntegerField("本期冲减（分）", default=0)
    closing_fen = models.BigIntegerField("期末应付（分）", default=0)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.READY)
    drawn_at = models.DateTimeField("生成时间")
    confirmed_at = models.DateTimeField("确认时间", null=True, blank=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="确认人",
    )

    class Meta:
        verbose_name = verbose_name_plural = "结算单"
        constraints = [models.UniqueConstraint(fields=["dealer", "period_from"], name="one_statement_per_dealer_and_period")]

    def __str__(self) -> str:
        return self.statement_no


class StatementLine(models.Model):
    """Puts a ledger line into a statement; the key on the line is the proof of 'never twice'."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines", verbose_name="结算单")
    ledger_line = models.OneToOneField(LedgerLine, on_delete=models.PROTECT, related_name="statement_line", verbose_name="分录行")

    class Meta:
        verbose_name = verbose_name_plural = "结算单行"

    def __str__(self) -> str:
        return str(self.ledger_line_id)
