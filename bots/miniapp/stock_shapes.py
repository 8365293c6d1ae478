"""What goes in and out of the doors to stock and transfers. Places and goods are named by their codes."""

from collections import Counter
from typing import Any

from rest_framework import serializers

from bots.miniapp.serializers import ListInput
from inventory.ledger.rules import MOST_UNITS
from inventory.models import Node, Transfer, TransferLine
from inventory.replenishment import queries as replenishment
from inventory.replenishment.rules import MOST_LINES
from oms_project.parsing import StrictSerializer

MOST_COUNTED = 200  # SKUs of one count
DOORS = ("ship", "receive")  # steps that have a door here; HQ decides in the admin
RESULTS = {
    "done": "已入账",
    "same": "重复提交，未改变",
    "short": "已入账，但少于已承诺的数量",
    "stale": "早于已有的上报，未改变",
    "refused": "未接受，见 message",
}


class KeyField(serializers.RegexField):
    """A key that the client makes up for one deed; the same again changes nothing."""

    def __init__(self, **more: Any) -> None:
        super().__init__(r"^[0-9A-Za-z-]+$", max_length=40, help_text="客户端生成的唯一编号；同一编号只生效一次", **more)


class UnitsInput(StrictSerializer):
    sku = serializers.CharField(max_length=40, help_text="SKU 编码")
    quantity = serializers.IntegerField(min_value=0, max_value=MOST_UNITS)


class LinesInput(StrictSerializer):
    """Anything that names goods: each once, and not too many."""

    most: int = MOST_LINES

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(lines) > self.most:
            raise serializers.ValidationError(f"最多 {self.most} 行")
        if twice := [code for code, times in Counter(line["sku"] for line in lines).items() if times > 1]:
            raise serializers.ValidationError(f"SKU 重复：{'、'.join(twice[:5])}")
        return lines


class RequestInput(LinesInput):
    key = KeyField()
    from_node = serializers.CharField(max_length=30, help_text="调出仓编码：总部仓、区域仓或自己的仓")
    to_node = serializers.CharField(max_length=30, help_text="调入仓编码：自己的仓")
    lines = UnitsInput(many=True, allow_empty=False)
    expected_on = serializers.DateField(required=False, default=None, allow_null=True)
    note = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class StepInput(LinesInput):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    lines = UnitsInput(many=True, required=False, default=list)


class SendInput(StepInput):
    lines = UnitsInput(many=True, required=False, default=list, help_text="未列出的 SKU 按批准数量发出")
    expected_on = serializers.DateField(required=False, default=None, allow_null=True)


class ReceiveInput(StepInput):
    key = KeyField()
    is_last = serializers.BooleanField(required=False, default=False, help_text="其余不再到货，按短少结案，须填原因")
    reason = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)


class CountInput(LinesInput):
    most = MOST_COUNTED
    key = KeyField()
    node = serializers.CharField(max_length=30, help_text="自己的仓的编码")
    measured_at = serializers.DateTimeField(help_text="盘点的时刻，须带时区；此后的出入库会保留")
    lines = UnitsInput(many=True, allow_empty=False)


class TransferListInput(ListInput):
    state = serializers.ChoiceField(Transfer.State.choices, required=False, default="")


class OwnStockInput(StrictSerializer):
    node = serializers.CharField(max_length=30, help_text="自己的仓的编码")
    page = serializers.IntegerField(min_value=1, max_value=100_000, required=False, default=1)
    limit = serializers.IntegerField(min_value=1, max_value=200, required=False, default=100)


class PlaceRecord(serializers.ModelSerializer[Node]):
    kind_label = serializers.CharField(source="get_kind_display")
    is_own = serializers.BooleanField()

    class Meta:
        model = Node
        fields = ["code", "name", "kind", "kind_label", "is_own"]


class PlacesRecord(serializers.Serializer[Any]):
    """Where goods may be requested from; those that are one's own are also where they may go."""

    results = PlaceRecord(many=True)


class TransferLineRecord(serializers.ModelSerializer[TransferLine]):
    sku = serializers.CharField(source="sku.code")
    name = serializers.CharField(source="sku.name")

    class Meta:
        model = TransferLine
        fields = ["sku", "name", "requested", "approved", "shipped", "received", "lost"]


class TransferRecord(serializers.ModelSerializer[Transfer]):
    from_node = serializers.CharField(source="source.code")
    from_name = serializers.CharField(source="source.name")
    to_node = serializers.CharField(source="target.code")
    to_name = serializers.CharField(source="target.name")
    state_label = serializers.CharField(source="get_state_display")
    lines = TransferLineRecord(many=True)
    actions = serializers.SerializerMethodField()

    class Meta:
        model = Transfer
        fields = [
            "id", "transfer_no", "from_node", "from_name", "to_node", "to_name", "state", "state_label", "version", "actions",
            "note", "lines", "expected_on", "requested_at", "approved_at", "shipped_at", "closed_at",
        ]  # fmt: skip

    def get_actions(self, transfer: Transfer) -> list[str]:
        staff = self.context["request"].user
        return [step for step in replenishment.steps_for(staff=staff, transfer=transfer) if step in DOORS]


class TransferPage(serializers.Serializer[Any]):
    results = TransferRecord(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class OwnStockRecord(serializers.Serializer[Any]):
    """One SKU at one place: 在库, what of it is promised, what may still be sold, and what is on its way."""

    sku = serializers.CharField(source="code")
    name = serializers.CharField()
    on_hand = serializers.IntegerField(source="parts.on_hand")
    held = serializers.IntegerField(source="parts.held")
    free = serializers.IntegerField(source="parts.sellable", help_text="安全可售")
    incoming = serializers.IntegerField(source="parts.incoming", help_text="在途")
    next_on = serializers.DateField(source="parts.next_on", allow_null=True, help_text="最近到货")


class OwnStockPage(serializers.Serializer[Any]):
    results = OwnStockRecord(many=True)
    next_page = serializers.IntegerField(allow_null=True)


class CountedRecord(serializers.Serializer[Any]):
    sku = serializers.CharField()
    status = serializers.ChoiceField(list(RESULTS.items()))
    message = serializers.CharField()


class CountRecord(serializers.Serializer[Any]):
    results = CountedRecord(many=True)
