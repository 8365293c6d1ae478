"""What goes in and out of the stock API: the shapes of answers and questions, and of rows for the documentation.

Rows are read by rules.py, which is faster than a serializer per row and lets the others pass.
"""

from typing import Any

from rest_framework import serializers

from inventory.partners.rules import KINDS, MOST_ROWS
from oms_project.parsing import StrictSerializer

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
