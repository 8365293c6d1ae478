"""POST /api/stock/promise: what a shop or a till may tell its buyer before the money is taken."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.partners.api import StockDoor
from inventory.partners.auth import MayReadOrWrite
from oms_project.parsing import SmallJSONParser, StrictSerializer
from orders.promise import queries
from orders.promise.rules import MOST_LINES, MOST_UNITS, Asked


class LineInput(StrictSerializer):
    code = serializers.CharField(max_length=40, help_text="商家编码（单品或组合）")
    quantity = serializers.IntegerField(min_value=1, max_value=MOST_UNITS)


class PromiseInput(StrictSerializer):
    lines = serializers.ListField(child=LineInput(), min_length=1, max_length=MOST_LINES)
    address = serializers.CharField(max_length=500, help_text="六位区县代码，或收货地址文字")
    channel = serializers.CharField(max_length=20)
    shop = serializers.CharField(max_length=40, required=False, default="", allow_blank=True)
    live_session = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)


class PackageRecord(serializers.Serializer[Any]):
    node = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    days = serializers.IntegerField(help_text="送达天数")
    by = serializers.DateField(help_text="预计送达日")
    lines = serializers.SerializerMethodField(help_text="SKU 与件数")

    def get_lines(self, package: Any) -> list[dict[str, Any]]:
        return [{"sku": sku, "quantity": quantity} for sku, quantity in package.lines]


class ReachRecord(serializers.Serializer[Any]):
    sku = serializers.CharField()
    wanted = serializers.IntegerField()
    sellable = serializers.IntegerField(help_text="可服务该地址的库存合计可售")
    at_one_place = serializers.IntegerField(help_text="单个发货点最多可售")
    awaited = serializers.IntegerField(help_text="全局预占：已付款待分配")
    incoming_by = serializers.DateField(allow_null=True, help_text="到货后足够的日期，仅可预售")


class PromiseRecord(serializers.Serializer[Any]):
    is_promised = serializers.BooleanField()
    by = serializers.DateField(allow_null=True, help_text="全部送达的预计日期")
    packages = PackageRecord(many=True)
    skus = ReachRecord(many=True)
    reasons = serializers.ListField(child=serializers.CharField(), help_text="不能承诺的原因")


class MayAsk(MayReadOrWrite):
    """Asking changes nothing: the right to read is enough, though the question comes as a POST."""

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.user
        return getattr(key, "dealer_id", 0) is None and bool(getattr(key, "may_read", False))


class SmallParser(SmallJSONParser):
    most_bytes: ClassVar[int] = 64 * 1024


class Promises(StockDoor):
    permission_classes: list[Any] = [MayAsk]
    parser_classes: list[Any] = [SmallParser]

    @extend_schema(
        request=PromiseInput,
        responses=PromiseRecord,
        summary="可否承诺：从哪里、何时送达、为何不能",
        description="按派单的同一决策试算，不占用库存。仅限总部的密钥。",
    )
    def post(self, request: Request) -> Response:
        asked = PromiseInput(data=request.data)
        asked.is_valid(raise_exception=True)
        told = dict(asked.validated_data)
        lines = [Asked(line["code"], line["quantity"]) for line in told.pop("lines")]
        found = queries.promise(lines=lines, at=timezone.now(), **told)
        return Response(PromiseRecord(found).data)
