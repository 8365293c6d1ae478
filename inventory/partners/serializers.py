"""What goes in and out of the stock API: the shapes of answers and questions, and of rows for the documentation.

Rows are read by rules.py, which is faster than a serializer per row and lets the others pass.
"""

from typing import Any

from rest_framework import serializers

from inventory.partners.rules import KINDS, MOST_ROWS
from inventory.pool.rules import KINDS as KINDS_OF_HOLD
from oms_project.parsing import StrictSerializer

MOST_CODES = 100
STATUSES = {
    "done": "已入账",
    "same": "重复提交，未改变",
    "short": "已入账，但少于已承诺的数量",
    "stale": "早于已有的上报，未改变",
    "refused": "未接受，见 message",
}


class FigureInput(StrictSerializer):
    node = serializers.CharField(max_length=30, help_text="仓库编码")
    sku = serializers.CharField(max_length=40, help_text="SKU 编码")
    quantity = serializers.IntegerField(min_value=0, help_text="盘得的在库件数")
    measured_at = serializers.DateTimeField(help_text="盘得的时刻，须带时区")
    key = serializers.CharField(max_length=100, help_text="贵方的唯一编号；同一编号只生效一次")


class MovementInput(StrictSerializer):
    node = serializers.CharField(max_length=30, help_text="仓库编码")
    sku = serializers.CharField(max_length=40, help_text="SKU 编码")
    kind = serializers.ChoiceField([(kind, name) for kind, (name, _) in KINDS.items()])
    quantity = serializers.IntegerField(help_text="入为正，出为负")
    key = serializers.CharField(max_length=100, help_text="贵方的唯一编号；同一编号只生效一次")
    reason = serializers.CharField(max_length=120, required=False, default="")


class FiguresInput(StrictSerializer):
    rows = FigureInput(many=True, help_text=f"1 至 {MOST_ROWS} 行")


class MovementsInput(StrictSerializer):
    rows = MovementInput(many=True, help_text=f"1 至 {MOST_ROWS} 行")


class RowRecord(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="第几行，从 1 起")
    status = serializers.ChoiceField(list(STATUSES.items()))
    message = serializers.CharField()
    on_hand = serializers.IntegerField(allow_null=True, help_text="本批之后该仓该 SKU 的在库")


class CountsRecord(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    same = serializers.IntegerField()
    short = serializers.IntegerField()
    stale = serializers.IntegerField()
    refused = serializers.IntegerField()


class BatchRecord(serializers.Serializer[Any]):
    counts = CountsRecord()
    results = RowRecord(many=True)


class StockInput(StrictSerializer):
    node = serializers.CharField(max_length=30, required=False, default="")
    sku = serializers.CharField(max_length=40, required=False, default="")
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=1_000, required=False, default=200)


class PoolInput(StrictSerializer):
    sku = serializers.CharField(max_length=4_000, required=False, default="", help_text="SKU 编码，多个用逗号隔开，至多 100 个")
    group = serializers.CharField(max_length=30, required=False, default="", help_text="仓库组编码")
    region = serializers.RegexField(r"^\d{2}(\d{2}){0,2}$", required=False, default="", help_text="区划代码，2、4 或 6 位")
    channel = serializers.CharField(max_length=80, required=False, default="", help_text="渠道，或 渠道/店铺：计入为其锁定的库存")
    page = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False, default=1)
    limit = serializers.IntegerField(min_value=1, max_value=500, required=False, default=100)

    def validate_sku(self, told: str) -> list[str] | None:
        """The codes asked for; None asks for every SKU."""
        codes = [code for code in told.split(",") if code]
        if len(codes) > MOST_CODES:
            raise serializers.ValidationError(f"一次至多 {MOST_CODES} 个 SKU")
        return codes or None


class PublishedInput(StrictSerializer):
    channel = serializers.CharField(max_length=20)
    shop = serializers.CharField(max_length=40)
    since = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False, default=0, help_text="上次答复的 version")


class PoolRecord(serializers.Serializer[Any]):
    """One SKU of the pool: 在库 in parts that add up, what waits for a place, and what the next buyer may be promised."""

    sku = serializers.CharField(source="code")
    name = serializers.CharField()
    on_hand = serializers.IntegerField(source="parts.on_hand")
    held = serializers.IntegerField(source="parts.held")
    held_by = serializers.SerializerMethodField(help_text="预占按类别")
    closed = serializers.IntegerField(source="parts.closed", help_text="停用仓")
    stale = serializers.IntegerField(source="parts.stale", help_text="上报失效")
    safety = serializers.IntegerField(source="parts.safety", help_text="安全库存")
    withheld = serializers.IntegerField(source="parts.withheld", help_text="共享规则保留")
    sellable = serializers.IntegerField(source="parts.sellable", help_text="安全可售")
    globally = serializers.IntegerField(source="parts.globally", help_text="全局预占（待分配）")
    available = serializers.IntegerField(source="parts.available", help_text="可售，超卖时为负")
    promisable = serializers.IntegerField(source="parts.promisable", help_text="此刻还可承诺")
    incoming = serializers.IntegerField(source="parts.incoming", help_text="在途")
    next_on = serializers.DateField(source="parts.next_on", allow_null=True, help_text="最近到货")

    def get_held_by(self, row: Any) -> dict[str, int]:
        return {kind: units for kind in KINDS_OF_HOLD if (units := getattr(row.parts, kind))}


class PoolPage(serializers.Serializer[Any]):
    results = PoolRecord(many=True)
    count = serializers.IntegerField(help_text="符合条件的 SKU 数")
    next_page = serializers.IntegerField(allow_null=True)


class PublishedRecord(serializers.Serializer[Any]):
    sku = serializers.CharField(source="sku.code")
    quantity = serializers.IntegerField()
    version = serializers.IntegerField()
    changed_at = serializers.DateTimeField()


class PublishedPage(serializers.Serializer[Any]):
    results = PublishedRecord(many=True)
    version = serializers.IntegerField(help_text="下次以 since 传回")


class StockRecord(serializers.Serializer[Any]):
    """在库, what stands on it, and what may still be sold: 可售 = 共享量 − 预占 − 安全库存, never below 0."""

    node = serializers.CharField(source="level.node.code")
    node_name = serializers.CharField(source="level.node.name")
    sku = serializers.CharField(source="level.sku.code")
    sku_name = serializers.CharField(source="level.sku.name")
    ownership = serializers.CharField(source="level.ownership")
    on_hand = serializers.IntegerField(source="level.on_hand")
    held = serializers.IntegerField(source="level.held")
    held_by = serializers.DictField(child=serializers.IntegerField(), help_text="预占按类别")
    safety_stock = serializers.IntegerField(source="level.safety_stock")
    share_percent = serializers.IntegerField(source="level.share_percent")
    share_cap = serializers.IntegerField(source="level.share_cap", allow_null=True)
    keep_back = serializers.IntegerField(source="level.keep_back")
    sellable = serializers.IntegerField()
    reported_at = serializers.DateTimeField(source="level.reported_at", allow_null=True)
    fresh_until = serializers.DateTimeField(source="level.fresh_until", allow_null=True)


class StockPage(serializers.Serializer[Any]):
    results = StockRecord(many=True)
    next_after = serializers.IntegerField(allow_null=True)
