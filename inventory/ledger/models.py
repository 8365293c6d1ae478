"""Where stock stands and how it got there."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from inventory.ledger.rules import free_units


class Node(models.Model):
    """A place with stock."""

    class Kind(models.TextChoices):
        HQ = "hq", "总部仓"
        REGION = "region", "区域仓"
        DEALER = "dealer", "经销商仓"
        STORE = "store", "门店"

    code = models.CharField("编码", max_length=30, unique=True)
    name = models.CharField("名称", max_length=60)
    kind = models.CharField("类别", max_length=10, choices=Kind.choices)
    dealer = models.ForeignKey(
        "dealers.Dealer", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="经销商"
    )
    division_code = models.CharField("所在区县", max_length=6)
    lng = models.FloatField("经度")
    lat = models.FloatField("纬度")
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children", verbose_name="上级仓",
        help_text="总部仓 → 区域仓 → 经销商仓 → 门店；用于汇总与补货方向",
    )  # fmt: skip
    is_active = models.BooleanField("启用", default=True)
    is_paused = models.BooleanField("暂停", default=False)

    class Meta:
        verbose_name = verbose_name_plural = "仓库与门店"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["hq", "region"], dealer=None) | Q(kind__in=["dealer", "store"], dealer__isnull=False),
                name="dealers_places_have_a_dealer_and_ours_have_none",
            ),
            models.CheckConstraint(condition=Q(parent=None) | ~Q(parent=F("id")), name="a_place_is_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return self.name


class NodeGroup(models.Model):
    """A named set of places, for locks, publishing and looking at the pool."""

    code = models.CharField("编码", max_length=30, unique=True)
    name = models.CharField("名称", max_length=60)
    nodes = models.ManyToManyField(Node, related_name="+", verbose_name="仓库与门店")

    class Meta:
        verbose_name = verbose_name_plural = "仓库组"

    def __str__(self) -> str:
        return self.name


class Ownership(models.TextChoices):
    """Whose goods stand there; it decides what selling them costs us (see DOMAIN: settlement)."""

    HQ = "hq", "总部货"
    CONSIGNED = "consigned", "寄售货"
    DEALER = "dealer", "经销商自有"


class StockRule(models.Model):
    """How much of some stock the pool may use. What a rule leaves empty, the next less specific one says.

    Specificity, strongest first: SKU, node, dealer, category, node kind; of equals the newest wins.
    The result is written into the columns of Level, so that promising stock reads one row.
    """

    name = models.CharField("名称", max_length=60)
    node_kind = models.CharField("节点类别", max_length=10, choices=Node.Kind.choices, blank=True)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="仓库")
    dealer = models.ForeignKey(
        "dealers.Dealer", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="经销商"
    )
    category = models.CharField("品类", max_length=20, blank=True)
    sku = models.ForeignKey(
        "inventory.Sku", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="SKU"
    )
    safety_stock = models.BigIntegerField("安全库存", null=True, blank=True)
    share_percent = models.PositiveSmallIntegerField("共享比例（%）", null=True, blank=True, help_text="库存池可用在库的百分之几")
    share_cap = models.BigIntegerField("共享上限（件）", null=True, blank=True)
    keep_back = models.BigIntegerField("自留（件）", null=True, blank=True)
    fresh_hours = models.PositiveIntegerField(
        "库存有效时长（小时）", null=True, blank=True, help_text="超过此时长未上报的库存不参与售卖；0 为不限"
    )
    max_stock = models.BigIntegerField("库存上限", null=True, blank=True, help_text="超过即列入积压；0 为不限")
    ownership = models.CharField("货权", max_length=10, choices=Ownership.choices, blank=True)
    is_active = models.BooleanField("启用", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存规则"
        constraints = [
            models.CheckConstraint(
                condition=(Q(safety_stock=None) | Q(safety_stock__gte=0))
                & (Q(share_percent=None) | Q(share_percent__lte=100))
                & (Q(share_cap=None) | Q(share_cap__gte=0))
                & (Q(keep_back=None) | Q(keep_back__gte=0))
                & (Q(max_stock=None) | Q(max_stock__gte=0)),
                name="stock_rules_keep_within_bounds",
            )
        ]
        indexes = [
            models.Index(fields=["node", "sku"], name="stock_rule_by_level"),
            models.Index(fields=["id"], condition=Q(node=None) | Q(sku=None), name="stock_rule_of_many_levels"),
        ]

    def __str__(self) -> str:
        return self.name


class Level(models.Model):
    """How much of one SKU stands at one node, and how much of it is promised.

    on_hand is written by `ledger.post`, held by reservations, and both together when what is
    held ships; always by conditional or locked updates. The constraint is the net below: nobody can promise what is not there.
    What the pool may use of it (safety_stock … ownership) is written from the StockRules. A level
    with fresh_until in the past is not sold from: nobody has confirmed it for too long.
    """

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="levels", verbose_name="仓库", db_index=False)
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU", db_index=False)
    on_hand = models.BigIntegerField("在库", default=0)
    held = models.BigIntegerField("预占", default=0)
    safety_stock = models.BigIntegerField("安全库存", default=0)
    share_percent = models.PositiveSmallIntegerField("共享比例（%）", default=100, db_default=100)
    share_cap = models.BigIntegerField("共享上限", null=True, blank=True)
    keep_back = models.BigIntegerField("自留", default=0, db_default=0)
    max_stock = models.BigIntegerField("库存上限", null=True, blank=True)
    ownership = models.CharField("货权", max_length=10, choices=Ownership.choices, default=Ownership.HQ, db_default=Ownership.HQ)
    reported_at = models.DateTimeField("最近上报", null=True, blank=True)
    fresh_until = models.DateTimeField("有效至", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存"
        constraints = [
            models.UniqueConstraint(fields=["node", "sku"], name="one_level_per_node_and_sku"),
            models.CheckConstraint(condition=Q(held__gte=0) & Q(held__lte=F("on_hand")), name="never_hold_more_than_on_hand"),
            models.CheckConstraint(condition=Q(safety_stock__gte=0), name="safety_stock_is_not_negative"),
            models.CheckConstraint(
                condition=Q(share_percent__lte=100) & Q(keep_back__gte=0) & (Q(share_cap=None) | Q(share_cap__gte=0)),
                name="shares_keep_within_bounds",
            ),
        ]
        indexes = [
            models.Index(fields=["sku", "node"], name="level_by_sku"),
            models.Index(fields=["fresh_until"], condition=Q(fresh_until__isnull=False), name="level_going_stale"),
            models.Index(fields=["safety_stock"], condition=Q(safety_stock__gt=0), name="level_with_safety_stock"),
        ]

    def __str__(self) -> str:
        return f"{self.node_id}/{self.sku_id}: {self.on_hand} − {self.held}"

    def sellable(self, at: datetime) -> int:
        """安全可售, see rules.free_units; 0 when the level is not fresh."""
        if self.fresh_until is not None and self.fresh_until <= at:
            return 0
        return max(0, free_units(self.on_hand, self.held, self.safety_stock, self.share_percent, self.share_cap, self.keep_back))


class Movement(models.Model):
    """One change of on_hand, append-only; `source_key` makes a repeated posting a no-op."""

    class Kind(models.TextChoices):
        RECEIPT = "receipt", "入库"
        SHIPMENT = "shipment", "出库"
        RETURN = "return", "退货入库"
        ADJUSTMENT = "adjustment", "调整"
        COUNT = "count", "盘点"
        REPORT = "report", "上报校准"
        TRANSFER_OUT = "transfer_out", "调拨出"
        TRANSFER_IN = "transfer_in", "调拨入"
        WRITE_OFF = "write_off", "报损"
        REPAIR = "repair", "对账修正"

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="+", verbose_name="仓库", db_index=False)
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU", db_index=False)
    kind = models.CharField("类别", max_length=12, choices=Kind.choices)
    quantity = models.BigIntegerField("数量", help_text="入为正，出为负")
    source_key = models.CharField("来源键", max_length=120, unique=True)
    reason = models.CharField("原因", max_length=120, blank=True)
    actor = models.CharField("操作人", max_length=80, blank=True)
    moved_at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "出入库流水"
        constraints = [models.CheckConstraint(condition=~Q(quantity=0), name="a_movement_moves_something")]
        indexes = [
            models.Index(fields=["node", "sku", "moved_at", "id"], name="movement_by_level_and_time"),
            models.Index(fields=["sku", "moved_at"], name="movement_by_sku_and_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.quantity}"


class Incoming(models.Model):
    """Goods on their way with a date. They count for presale promises only, until they are received.

    promised is raised and lowered by presale reservations; received by partial arrivals.
    """

    class State(models.TextChoices):
        OPEN = "open", "在途"
        RECEIVED = "received", "已到货"
        CANCELLED = "cancelled", "已取消"

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="+", verbose_name="到货仓")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    quantity = models.BigIntegerField("数量")
    received = models.BigIntegerField("已收", default=0)
    promised = models.BigIntegerField("已承诺", default=0)
    expected_on = models.DateField("预计到货日")
    source_key = models.CharField("来源键", max_length=120, unique=True)
    note = models.CharField("备注", max_length=120, blank=True)
    state = models.CharField("状态", max_length=10, choices=State.choices, default=State.OPEN)

    class Meta:
        verbose_name = verbose_name_plural = "在途库存"
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0) & Q(received__gte=0) & Q(promised__gte=0) & Q(quantity__gte=F("promised")),
                name="never_promise_more_than_is_coming",
            )
        ]
        indexes = [models.Index(fields=["sku", "expected_on"], condition=Q(state="open"), name="incoming_by_sku")]

    def __str__(self) -> str:
        return f"{self.sku_id} × {self.quantity} → {self.node_id}"


class StockRepair(models.Model):
    """A counter was found to differ from the rows that explain it, and what was done; append-only."""

    class Way(models.TextChoices):
        MOVEMENT = "movement", "补记流水（以在库为准）"
        COUNTER = "counter", "重算在库（以流水为准）"
        HELD = "held", "重算预占（以预占明细为准）"
        PROMISED = "promised", "重算在途已承诺（以预售明细为准）"

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="+", verbose_name="仓库")
    sku = models.ForeignKey("inventory.Sku", on_delete=models.PROTECT, related_name="+", verbose_name="SKU")
    incoming = models.ForeignKey(
        Incoming, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name="在途",
        help_text="修正的是在途已承诺时填写",
    )  # fmt: skip
    way = models.CharField("方式", max_length=10, choices=Way.choices)
    before = models.BigIntegerField("修正前")
    after = models.BigIntegerField("修正后")
    reason = models.CharField("原因", max_length=120)
    actor = models.CharField("操作人", max_length=80)
    repaired_at = models.DateTimeField("时间")

    class Meta:
        verbose_name = verbose_name_plural = "库存修正记录"

    def __str__(self) -> str:
        return f"{self.node_id}/{self.sku_id}: {self.before} → {self.after}"


class StockCheck(models.Model):
    """A list that takes too long to make for a page: when it was made last, who is making it, who asked for it anew.

    One row per list. `checked_at` is when its making began, so that whatever came later is asked for again.
    """

    class Name(models.TextChoices):
        DRIFT = "drift", "对账"
        NEEDS = "needs", "缺货与积压"

    name = models.CharField("名称", max_length=10, choices=Name.choices, unique=True)
    checked_at = models.DateTimeField("检查时间", null=True, blank=True)
    began_at = models.DateTimeField("正在检查", null=True, blank=True)
    asked_at = models.DateTimeField("要求检查", null=True, blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "库存检查"

    def __str__(self) -> str:
        return f"{self.get_name_display()} {self.checked_at}"

    @property
    def is_waiting(self) -> bool:
        """Whether it is being made now, or will be in a moment."""
        return self.began_at is not None or self.checked_at is None or (self.asked_at or self.checked_at) > self.checked_at


class StockDrift(models.Model):
    """A figure that the last check found to differ from its rows: of a stock row, or of a delivery on its way.

    For a delivery `held` is what it promises, and there is nothing on hand.
    """

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+", verbose_name="仓库", db_index=False)
    sku = models.ForeignKey("inventory.Sku", on_delete=models.CASCADE, related_name="+", verbose_name="SKU")
    incoming = models.ForeignKey(
        Incoming, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="在途", db_index=False
    )
    on_hand = models.BigIntegerField("在库", default=0)
    moved = models.BigIntegerField("流水合计", default=0)
    held = models.BigIntegerField("预占")
    promised = models.BigIntegerField("未结预占合计")

    class Meta:
        verbose_name = verbose_name_plural = "对账差异"
        constraints = [
            models.UniqueConstraint(fields=["node", "sku"], condition=Q(incoming=None), name="a_level_drifts_once"),
            models.UniqueConstraint(fields=["incoming"], condition=Q(incoming__isnull=False), name="a_delivery_drifts_once"),
        ]

    def __str__(self) -> str:
        return f"{self.node_id}/{self.sku_id}: {self.on_hand} − {self.moved}, {self.held} − {self.promised}"
