"""The stock API for other systems: translate, authorise, call one action or query, answer.

Rows stand or fall one by one; a request that is broken as a whole changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from inventory.partners import actions, queries
from inventory.partners import serializers as shapes
from inventory.partners.auth import KeyAuthentication, KeyThrottle, MayReadOrWrite
from inventory.partners.models import ApiKey
from inventory.partners.rules import MOST_ROWS, Answer, read_figure, read_movement
from inventory.pool import queries as pool
from oms_project.parsing import SmallJSONParser


class BatchParser(SmallJSONParser):
    """Reads at most 4 MB, ample for 5,000 rows."""

    most_bytes: ClassVar[int] = 4 * 1024 * 1024


class StockDoor(APIView):
    """The common manners of all views: keys, rights, the limit per key."""

    authentication_classes: list[Any] = [KeyAuthentication]
    permission_classes: list[Any] = [MayReadOrWrite]
    throttle_classes: list[Any] = [KeyThrottle]
    parser_classes: list[Any] = [BatchParser]
    is_for_hq: ClassVar[bool] = False

    @property
    def key(self) -> ApiKey:
        """The system that calls; MayReadOrWrite has let it in."""
        return cast(ApiKey, self.request.user)

    def asked(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated question. Raises ValidationError naming each wrong or unknown parameter."""
        serializer = shape(data=self.request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


def rows_of(body: Any) -> list[Any]:
    """The rows of a batch, not looked at yet. Raises ValidationError where the envelope is broken."""
    rows = body.get("rows")
    unknown = {name: ["未知字段"] for name in body if name != "rows"}
    if unknown:
        raise ValidationError(unknown)
    if not isinstance(rows, list):
        raise ValidationError({"rows": ["应为数组"]})
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ValidationError({"rows": [f"应为 1 至 {MOST_ROWS} 行，收到 {len(rows)} 行"]})
    return rows


def batch(answers: Sequence[Answer]) -> Response:
    """One result per row, in the order given, and how many of each kind."""
    counted = Counter(answer.status for answer in answers)
    results = [
        {"row": number, "status": answer.status, "message": answer.message, "on_hand": answer.on_hand}
        for number, answer in enumerate(answers, start=1)
    ]
    return Response({"counts": {status: counted[status] for status in shapes.STATUSES}, "results": results})


class Levels(StockDoor):
    @extend_schema(
        parameters=[
            OpenApiParameter("node", str),
            OpenApiParameter("sku", str),
            OpenApiParameter("after", int, description="上一页的 next_after"),
            OpenApiParameter("limit", int, description="最多 1000"),
        ],
        responses=shapes.StockPage,
        summary="查询库存明细",
        description="经销商的密钥只见自己的仓。",
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(shapes.StockInput)
        found, next_after = queries.stock_page(self.key, at=timezone.now(), **asked)
        return Response({"results": shapes.StockRecord(found, many=True).data, "next_after": next_after})

    @extend_schema(
        request=shapes.FiguresInput,
        responses=shapes.BatchRecord,
        summary="上报库存数量（绝对值）",
        description="逐行处理，逐行答复；同一请求重发不会重复入账。",
    )
    def post(self, request: Request) -> Response:
        rows = [read_figure(row) for row in rows_of(request.data)]
        return batch(actions.take_figures(key=self.key, rows=rows, at=timezone.now()))


class Movements(StockDoor):
    @extend_schema(
        request=shapes.MovementsInput,
        responses=shapes.BatchRecord,
        summary="上报出入库（增减）",
        description="逐行处理，逐行答复；同一请求重发不会重复入账。平台订单的出库由履约单自动入账，请勿重复上报。",
    )
    def post(self, request: Request) -> Response:
        rows = [read_movement(row) for row in rows_of(request.data)]
        return batch(actions.take_movements(key=self.key, rows=rows, at=timezone.now()))


class Pool(StockDoor):
    is_for_hq = True

    @extend_schema(
        parameters=[shapes.PoolInput],
        responses=shapes.PoolPage,
        summary="查询库存池",
        description="全部或部分仓库合计，逐 SKU 拆解。仅限总部的密钥。",
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(shapes.PoolInput)
        found = queries.pool_page(at=timezone.now(), **asked)
        next_page = asked["page"] + 1 if asked["page"] * asked["limit"] < found.count else None
        results = shapes.PoolRecord(cast(Any, found.rows), many=True).data
        return Response({"results": results, "count": found.count, "next_page": next_page})


class Published(StockDoor):
    is_for_hq = True

    @extend_schema(
        parameters=[shapes.PublishedInput],
        responses=shapes.PublishedPage,
        summary="查询店铺应展示的库存（增量）",
        description="since 传上次答复的 version，得到此后的变化；没有变化时 results 为空。仅限总部的密钥。",
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(shapes.PublishedInput)
        found = pool.published_since(channel=asked["channel"], shop=asked["shop"], version=asked["since"])
        version = found[-1].version if found else asked["since"]
        return Response({"results": shapes.PublishedRecord(cast(Any, found), many=True).data, "version": version})
