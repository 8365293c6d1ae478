"""The dealers' doors to stock: what stands at their own places, what comes and goes, and what they counted there."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.db.models import BooleanField, Case, Value, When
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from bots.miniapp import stock_shapes as shapes
from bots.miniapp.door import ANSWERING, PAGED, Door
from bots.miniapp.problems import StaleRecord
from inventory.ledger import actions as ledger
from inventory.ledger.rules import Report
from inventory.models import Transfer
from inventory.pool import queries as pool
from inventory.replenishment import actions as transfers
from inventory.replenishment import queries as replenishment
from inventory.replenishment.rules import number_of_key
from oms_project.refusal import NotFound, Refusal


class StockDoor(Door):
    """A door that speaks of goods by their codes, for those who may touch stock."""

    roles = ANSWERING

    @property
    def actor(self) -> str:
        return f"staff:{self.staff.pk}"

    def units(self, lines: Sequence[dict[str, Any]]) -> dict[int, int]:
        """Units by SKU id. Raises ValidationError for codes that nobody knows."""
        ids = replenishment.sku_ids_of([line["sku"] for line in lines])
        if unknown := [line["sku"] for line in lines if line["sku"] not in ids]:
            raise ValidationError({"lines": [f"没有这些 SKU：{'、'.join(unknown[:5])}"]})
        return {ids[line["sku"]]: line["quantity"] for line in lines}

    def show_transfer(self, transfer_no: str, code: int = status.HTTP_200_OK) -> Response:
        return self.show(shapes.TransferRecord, self.transfer(transfer_no), code)

    def transfer(self, transfer_no: str) -> Transfer:
        """A transfer that the caller may see, with its lines. Raises NotFound."""
        seen = replenishment.with_lines(replenishment.transfers_for(self.staff)).filter(transfer_no=transfer_no).first()
        if seen is None:
            raise NotFound("找不到这张调拨单")
        return seen


class Places(StockDoor):
    @extend_schema(responses=shapes.PlacesRecord, summary="可申请调拨的仓（总部仓、区域仓和自己的仓）")
    def get(self, request: Request) -> Response:
        own = replenishment.targets_for(self.staff).values("pk")
        is_own = Case(When(pk__in=own, then=Value(True)), default=Value(False), output_field=BooleanField())
        found = replenishment.sources_for(self.staff).annotate(is_own=is_own).order_by("code")
        return self.show(shapes.PlacesRecord, {"results": found})


class Stock(StockDoor):
    @extend_schema(
        parameters=[OpenApiParameter("node", str, required=True), OpenApiParameter("page", int), OpenApiParameter("limit", int)],
        responses=shapes.OwnStockPage,
        summary="自己仓里的库存",
    )
    def get(self, request: Request) -> Response:
        asked = self.read(shapes.OwnStockInput, request.query_params.dict())
        node = replenishment.place_among(replenishment.targets_for(self.staff), asked["node"])
        rows = pool.node_view(node_id=node.pk, at=timezone.now()).rows
        end = asked["page"] * asked["limit"]
        next_page = asked["page"] + 1 if end < len(rows) else None
        return self.show(shapes.OwnStockPage, {"results": rows[end - asked["limit"] : end], "next_page": next_page})


class Counts(StockDoor):
    @extend_schema(
        request=shapes.CountInput,
        responses=shapes.CountRecord,
        summary="上报自己仓的盘点（绝对值）",
        description="逐行处理，逐行答复；早于已有上报的行不生效。",
    )
    def post(self, request: Request) -> Response:
        given = self.read(shapes.CountInput, request.data)
        node = replenishment.place_among(replenishment.targets_for(self.staff), given["node"])
        units = self.units(given["lines"])
        rows = [
            Report(node.pk, sku_id, counted, given["measured_at"], f"app:{node.pk}:{given['key']}:{sku_id}")
            for sku_id, counted in units.items()
        ]
        results = ledger.report(rows=rows, kind="count", actor=self.actor, at=timezone.now())
        told = [
            {"sku": line["sku"], "status": result.code, "message": result.message}
            for line, result in zip(given["lines"], results, strict=True)
        ]
        return self.show(shapes.CountRecord, {"results": told})


class Transfers(StockDoor):
    @extend_schema(parameters=[*PAGED, OpenApiParameter("state", str)], responses=shapes.TransferPage, summary="我的调拨单")
    def get(self, request: Request) -> Response:
        asked = self.read(shapes.TransferListInput, request.query_params.dict())
        found = replenishment.with_lines(replenishment.transfers_for(self.staff))
        if asked["state"]:
            found = found.filter(state=asked["state"])
        return self.page(found, shapes.TransferRecord, asked)

    @extend_schema(request=shapes.RequestInput, responses={201: shapes.TransferRecord}, summary="申请调拨到自己的仓")
    def post(self, request: Request) -> Response:
        staff, given = self.staff, self.read(shapes.RequestInput, request.data)
        target = replenishment.place_among(replenishment.targets_for(staff), given["to_node"])
        source = replenishment.place_among(replenishment.sources_for(staff), given["from_node"])
        made = transfers.request(
            transfer_no=number_of_key(self.actor, given["key"]),
            source_id=source.pk,
            target_id=target.pk,
            quantities=self.units(given["lines"]),
            actor=self.actor,
            at=timezone.now(),
            note=given["note"],
            expected_on=given["expected_on"],
        )
        return self.show_transfer(made.transfer_no, status.HTTP_201_CREATED)


class OneTransfer(StockDoor):
    @extend_schema(responses=shapes.TransferRecord, summary="一张调拨单")
    def get(self, request: Request, transfer_no: str) -> Response:
        return self.show_transfer(transfer_no)


class TransferStep(StockDoor):
    """A step at an own place; a refusal carries the transfer as it is now."""

    step: ClassVar[str]
    act: ClassVar[Callable[..., Any]]
    shape: ClassVar[type[Serializer[Any]]]

    def post(self, request: Request, transfer_no: str) -> Response:
        replenishment.transfer_for(staff=self.staff, transfer_no=transfer_no, step=self.step)
        given = self.read(self.shape, request.data)
        quantities = self.units(given.pop("lines"))
        how = {"transfer_no": transfer_no, "actor": self.actor, "at": timezone.now(), **given}
        try:
            type(self).act(quantities=quantities, **how)
        except NotFound:
            raise
        except Refusal as refusal:
            record = shapes.TransferRecord(self.transfer(transfer_no), context={"request": request}).data
            raise StaleRecord(refusal, record) from refusal
        return self.show_transfer(transfer_no)


def _step(name: str, act: Callable[..., Any], summary: str, shape: type[Serializer[Any]]) -> type[TransferStep]:
    view = type(f"{name.title()}Transfer", (TransferStep,), {"step": name, "act": staticmethod(act), "shape": shape})
    return extend_schema(request=shape, responses=shapes.TransferRecord, summary=summary)(view)


ShipTransfer = _step("ship", transfers.ship, "从自己的仓发出调拨", shapes.SendInput)
ReceiveTransfer = _step("receive", transfers.receive, "在自己的仓收到调拨", shapes.ReceiveInput)
