"""The dealers' HTTP API: people, offers, work and statements. Translate, authorise, call one action or query, answer."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from bots.miniapp import serializers as shapes
from bots.miniapp import tickets
from bots.miniapp.auth import issue_token
from bots.miniapp.door import ANSWERING, ASKING, COUNTING, EVERYBODY, PAGED, WORKING, Door
from bots.miniapp.problems import StaleRecord
from bots.transports.wechat import openid_for
from dealers.capacity import queries as capacity
from dealers.directory import actions as directory_actions
from dealers.directory import queries as directory
from dealers.directory.login import check_credentials
from dealers.settlement import actions as settlement_actions
from dealers.settlement import queries as settlement
from oms_project.refusal import NotFound, Refusal
from orders.fulfilment import actions as fulfilment_actions
from orders.fulfilment import queries as fulfilment
from orders.offers import actions as offer_actions
from orders.offers import queries as offers
from orders.receivers import actions as receivers
from orders.routing import queries as routing


class Login(Door):
    permission_classes: list[Any] = [AllowAny]
    authentication_classes: list[Any] = []

    @extend_schema(request=shapes.LoginInput, responses=shapes.SessionRecord, summary="手机号登录", auth=[])
    def post(self, request: Request) -> Response:
        given = self.read(shapes.LoginInput, request.data)
        staff = check_credentials(address=request.META.get("REMOTE_ADDR", ""), **given)
        return self.show(shapes.SessionRecord, {"token": issue_token(staff), "staff": staff})


class WeChatLogin(Door):
    permission_classes: list[Any] = [AllowAny]
    authentication_classes: list[Any] = []

    @extend_schema(request=shapes.CodeInput, responses=shapes.SessionRecord, summary="微信登录（wx.login）", auth=[])
    def post(self, request: Request) -> Response:
        staff = directory.staff_by_openid(openid_for(self.read(shapes.CodeInput, request.data)["code"]))
        if staff is None or not staff.is_active:
            raise Refusal("此微信尚未绑定，请先用手机号登录")
        return self.show(shapes.SessionRecord, {"token": issue_token(staff), "staff": staff})


class Me(Door):
    roles = EVERYBODY

    @extend_schema(responses=shapes.StaffRecord, summary="我是谁")
    def get(self, request: Request) -> Response:
        return self.show(shapes.StaffRecord, self.staff)


class MyDay(Door):
    roles = ASKING

    @extend_schema(responses=shapes.DayRecord, summary="今日接单量与余量")
    def get(self, request: Request) -> Response:
        return self.show(shapes.DayRecord, capacity.own_day(staff=self.staff, at=timezone.now()))


class BindWeChat(Door):
    roles = EVERYBODY

    @extend_schema(request=shapes.CodeInput, responses=shapes.StaffRecord, summary="绑定微信")
    def post(self, request: Request) -> Response:
        openid = openid_for(self.read(shapes.CodeInput, request.data)["code"])
        directory_actions.bind_wechat(staff=self.staff, openid=openid)
        return self.show(shapes.StaffRecord, self.staff)


class Logout(Door):
    roles = EVERYBODY

    @extend_schema(request=None, responses={204: None}, summary="退出全部设备")
    def post(self, request: Request) -> Response:
        self.read(shapes.StrictSerializer, request.data)
        directory_actions.end_sessions(staff=self.staff)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SocketTicket(Door):
    roles = EVERYBODY

    @extend_schema(request=None, responses=shapes.TicketRecord, summary="领取实时连接票据（一次性，60 秒）")
    def post(self, request: Request) -> Response:
        self.read(shapes.StrictSerializer, request.data)
        ticket = tickets.issue_ticket(staff=self.staff, at=timezone.now())
        return Response({"ticket": ticket, "expires_in": int(tickets.LIFE.total_seconds())})


class Offers(Door):
    roles = ANSWERING

    @extend_schema(parameters=PAGED, responses=shapes.OfferPage, summary="待接单")
    def get(self, request: Request) -> Response:
        asked = self.read(shapes.ListInput, request.query_params.dict())
        return self.page(offers.open_offers(self.staff), shapes.OfferRecord, asked)


class OneOffer(Door):
    roles = ANSWERING

    @extend_schema(responses=shapes.OfferRecord, summary="一张要约")
    def get(self, request: Request, offer_no: str) -> Response:
        return self.show(shapes.OfferRecord, offers.offer_for(staff=self.staff, offer_no=offer_no))

    def answer(self, act: Callable[..., Any], offer_no: str, shape: type[Serializer[Any]]) -> Response:
        """Answer an offer and show it; a refusal carries the offer as it is now."""
        staff = self.staff
        offers.offer_for(staff=staff, offer_no=offer_no)
        given = self.read(shape, self.request.data)
        try:
            act(offer_no=offer_no, staff=staff, at=timezone.now(), **given)
        except NotFound:
            raise
        except Refusal as refusal:
            fresh = offers.offer_for(staff=staff, offer_no=offer_no)
            raise StaleRecord(refusal, shapes.OfferRecord(fresh, context={"request": self.request}).data) from refusal
        return self.show(shapes.OfferRecord, offers.offer_for(staff=staff, offer_no=offer_no))


class AcceptOffer(OneOffer):
    http_method_names = ["post", "options"]

    @extend_schema(request=shapes.VersionInput, responses=shapes.OfferRecord, summary="接单")
    def post(self, request: Request, offer_no: str) -> Response:
        return self.answer(offer_actions.accept_offer, offer_no, shapes.VersionInput)


class DeclineOffer(OneOffer):
    http_method_names = ["post", "options"]

    @extend_schema(request=shapes.DeclineInput, responses=shapes.OfferRecord, summary="拒单")
    def post(self, request: Request, offer_no: str) -> Response:
        return self.answer(offer_actions.decline_offer, offer_no, shapes.DeclineInput)


class WhyNotMe(Door):
    roles = ASKING

    @extend_schema(responses=shapes.WhyNotRecord(many=True), summary="为什么没派给我（本辖区或曾派给我的订单）")
    def get(self, request: Request, order_no: str) -> Response:
        told = routing.why_not_me(staff=self.staff, order_no=order_no)
        return Response(shapes.WhyNotRecord(told, many=True).data)


class Works(Door):
    roles = WORKING

    @extend_schema(parameters=[*PAGED, OpenApiParameter("state", str)], responses=shapes.WorkPage, summary="我的履约单")
    def get(self, request: Request) -> Response:
        asked = self.read(shapes.WorkListInput, request.query_params.dict())
        works = fulfilment.works_with_details(self.staff)
        if asked["state"]:
            works = works.filter(state=asked["state"])
        return self.page(works, shapes.WorkRecord, asked)


class OneWork(Door):
    roles = WORKING

    @extend_schema(responses=shapes.WorkRecord, summary="一张履约单")
    def get(self, request: Request, fo_no: str) -> Response:
        return self.show(shapes.WorkRecord, fulfilment.work_with_details(staff=self.staff, fo_no=fo_no))


class WorkStep(OneWork):
    """A step of the work: one view class per step, differing in action and input only."""

    http_method_names = ["post", "options"]
    act: ClassVar[Callable[..., Any]]
    shape: ClassVar[type[Serializer[Any]]] = shapes.VersionInput

    def prepare(self, given: dict[str, Any]) -> dict[str, Any]:
        """The validated input as the action wants it."""
        return given

    def post(self, request: Request, fo_no: str) -> Response:
        fulfilment.work_with_details(staff=self.staff, fo_no=fo_no)
        given = self.read(self.shape, request.data)
        try:
            type(self).act(fo_no=fo_no, staff=self.staff, at=timezone.now(), **self.prepare(given))
        except NotFound:
            raise
        except Refusal as refusal:
            fresh = fulfilment.work_with_details(staff=self.staff, fo_no=fo_no)
            raise StaleRecord(refusal, shapes.WorkRecord(fresh, context={"request": request}).data) from refusal
        return self.show(shapes.WorkRecord, fulfilment.work_with_details(staff=self.staff, fo_no=fo_no))


class VisitStep(WorkStep):
    """A step that may name an installer, by number."""

    def prepare(self, given: dict[str, Any]) -> dict[str, Any]:
        installer = directory.staff_by_id(given["installer"]) if given["installer"] else None
        if given["installer"] and installer is None:
            raise Refusal("找不到这位安装师傅")
        return {**given, "installer": installer}


def _step(
    name: str,
    act: Callable[..., Any],
    summary: str,
    shape: type[Serializer[Any]] = shapes.VersionInput,
    base: type[WorkStep] = WorkStep,
) -> type[WorkStep]:
    view = type(name, (base,), {"act": staticmethod(act), "shape": shape})
    return extend_schema(request=shape, responses=shapes.WorkRecord, summary=summary)(view)


ShipWork = _step("ShipWork", fulfilment_actions.ship_work, "发货", shapes.ShipInput)
DeliverWork = _step("DeliverWork", fulfilment_actions.deliver_work, "送达")
ScheduleVisit = _step("ScheduleVisit", fulfilment_actions.schedule_visit, "预约上门", shapes.ScheduleInput, VisitStep)
InstallWork = _step("InstallWork", fulfilment_actions.install_work, "安装完成")
CompleteWork = _step("CompleteWork", fulfilment_actions.complete_work, "凭核销码完工", shapes.CompleteInput)
ConfirmCancel = _step("ConfirmCancel", fulfilment_actions.confirm_cancel, "同意取消")


class Receiver(Door):
    roles = WORKING

    @extend_schema(request=None, responses=shapes.ReceiverRecord, summary="查看收件人（每次查看都有记录）")
    def post(self, request: Request, fo_no: str) -> Response:
        self.read(shapes.StrictSerializer, request.data)
        fulfilment.work_with_details(staff=self.staff, fo_no=fo_no)
        receiver = receivers.reveal_receiver(fo_no=fo_no, staff=self.staff, door="api", at=timezone.now())
        return self.show(shapes.ReceiverRecord, receiver)


class Statements(Door):
    roles = COUNTING

    @extend_schema(parameters=PAGED, responses=shapes.StatementPage, summary="结算单")
    def get(self, request: Request) -> Response:
        asked = self.read(shapes.ListInput, request.query_params.dict())
        return self.page(settlement.statements_for(self.staff), shapes.StatementRecord, asked)


class OneStatement(Door):
    roles = COUNTING

    @extend_schema(responses=shapes.StatementRecord, summary="一张结算单")
    def get(self, request: Request, statement_no: str) -> Response:
        return self.show(shapes.StatementRecord, settlement.statement_for(staff=self.staff, statement_no=statement_no))


class ConfirmStatement(Door):
    roles = COUNTING

    @extend_schema(request=None, responses=shapes.StatementRecord, summary="确认结算单")
    def post(self, request: Request, statement_no: str) -> Response:
        self.read(shapes.StrictSerializer, request.data)
        settlement.statement_for(staff=self.staff, statement_no=statement_no)
        settlement_actions.confirm_statement(statement_no=statement_no, staff=self.staff, at=timezone.now())
        return self.show(shapes.StatementRecord, settlement.statement_for(staff=self.staff, statement_no=statement_no))
