"""What goes in and out of the mini-program API.

Every record a person can act on carries `version` and `actions`: what this person may legally do
next. Receivers appear masked only; the clear text has its own door, which logs every look.
"""

from typing import Any

from rest_framework import serializers

from dealers.models import Staff, Statement
from oms_project.parsing import StrictSerializer
from orders.fulfilment import queries as fulfilment
from orders.models import FulfillmentOrder, Offer
from orders.offers import rules as offer_rules


class LoginInput(StrictSerializer):
    phone = serializers.RegexField(r"^1\d{10}$", max_length=11)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class CodeInput(StrictSerializer):
    code = serializers.CharField(max_length=128)


class VersionInput(StrictSerializer):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, default=None, allow_null=True)


class DeclineInput(VersionInput):
    reason = serializers.ChoiceField(Offer.DeclineReason.choices)
    note = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class ShipInput(VersionInput):
    carrier = serializers.CharField(max_length=20)
    tracking_no = serializers.RegexField(r"^[0-9A-Za-z-]*$", max_length=40, required=False, default="", allow_blank=True)


class ScheduleInput(VersionInput):
    visit_from = serializers.DateTimeField()
    visit_to = serializers.DateTimeField()
    installer = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False, default=None, allow_null=True)


class CompleteInput(VersionInput):
    code = serializers.RegexField(r"^\d{6}$", max_length=6)


class ListInput(StrictSerializer):
    before = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False, default=None, allow_null=True)
    limit = serializers.IntegerField(min_value=1, max_value=100, required=False, default=50)


class WorkListInput(ListInput):
    state = serializers.ChoiceField(FulfillmentOrder.State.choices, required=False, default="")


class StaffRecord(serializers.Serializer[Staff]):
    name = serializers.CharField()
    role = serializers.CharField()
    role_label = serializers.CharField(source="get_role_display")
    dealer = serializers.CharField(source="dealer.name", default=None, allow_null=True)


class DayRecord(serializers.Serializer[Any]):
    """How much work the dealer may get today: its capacity and what earlier days left over."""

    day = serializers.DateField()
    capacity = serializers.IntegerField()
    carried = serializers.IntegerField()
    allowed = serializers.IntegerField()
    taken = serializers.IntegerField()
    left = serializers.IntegerField()


class WhyNotRecord(serializers.Serializer[Any]):
    decided_at = serializers.DateTimeField()
    round = serializers.IntegerField(help_text="第几轮派单")
    told = serializers.ListField(child=serializers.CharField(), help_text="每个自有发货点一句，不含金额与他人信息")


class SessionRecord(serializers.Serializer[Any]):
    token = serializers.CharField()
    staff = StaffRecord()


class TicketRecord(serializers.Serializer[Any]):
    ticket = serializers.CharField()
    expires_in = serializers.IntegerField()


class ReceiverRecord(serializers.Serializer[Any]):
    name = serializers.CharField()
    phone = serializers.CharField()
    detail = serializers.CharField()
    note = serializers.CharField()


class LineRecord(serializers.Serializer[Any]):
    sku = serializers.CharField(source="sku.code")
    name = serializers.CharField(source="sku.name")
    quantity = serializers.IntegerField()


class ParcelRecord(serializers.Serializer[Any]):
    carrier = serializers.CharField()
    tracking_no = serializers.CharField()
    shipped_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class VisitRecord(serializers.Serializer[Any]):
    visit_from = serializers.DateTimeField()
    visit_to = serializers.DateTimeField()
    installer = serializers.CharField(source="installer.name", default=None, allow_null=True)


class OfferRecord(serializers.ModelSerializer[Offer]):
    fo_no = serializers.CharField(source="work.fo_no")
    short_no = serializers.IntegerField(source="work.short_no")
    order_no = serializers.CharField(source="work.order.order_no")
    summary = serializers.CharField(source="work.summary")
    region = serializers.CharField(source="work.order.region")
    needs_install = serializers.BooleanField(source="work.needs_install")
    node = serializers.CharField(source="node.name")
    state_label = serializers.CharField(source="get_state_display")
    income = serializers.SerializerMethodField()
    actions = serializers.SerializerMethodField()

    class Meta:
        model = Offer
        fields = [
            "id", "offer_no", "fo_no", "short_no", "order_no", "state", "state_label", "version", "actions", "income_fen",
            "income", "summary", "region", "needs_install", "node", "opened_at", "expires_at", "answered_at", "decline_reason",
        ]  # fmt: skip

    def get_income(self, offer: Offer) -> list[dict[str, Any]]:
        """The components of this dealer's income; what others earn by the work is not their business."""
        return [part for part in offer.income if part["payee"] == f"dealer:{offer.dealer.code}"]

    def get_actions(self, offer: Offer) -> list[str]:
        return list(offer_rules.offer_actions(offer.state))


class WorkRecord(serializers.ModelSerializer[FulfillmentOrder]):
    order_no = serializers.CharField(source="order.order_no")
    region = serializers.CharField(source="order.region")
    receiver_masked = serializers.CharField(source="order.receiver_masked")
    node = serializers.CharField(source="node.name")
    state_label = serializers.CharField(source="get_state_display")
    lines = LineRecord(many=True)
    parcels = ParcelRecord(many=True)
    visit = serializers.SerializerMethodField()
    actions = serializers.SerializerMethodField()

    class Meta:
        model = FulfillmentOrder
        fields = [
            "id", "fo_no", "short_no", "order_no", "state", "state_label", "version", "actions", "summary", "region",
            "receiver_masked", "needs_install", "node", "lines", "parcels", "visit", "opened_at", "accepted_at", "moved_at",
        ]  # fmt: skip

    def get_visit(self, work: FulfillmentOrder) -> dict[str, Any] | None:
        visit = fulfilment.open_appointment(work)
        return VisitRecord(visit).data if visit else None

    def get_actions(self, work: FulfillmentOrder) -> list[str]:
        return list(fulfilment.actions_for(staff=self.context["request"].user, work=work))


class StatementRecord(serializers.ModelSerializer[Statement]):
    dealer = serializers.CharField(source="dealer.name")
    state_label = serializers.CharField(source="get_state_display")

    class Meta:
        model = Statement
        fields = [
            "id", "statement_no", "dealer", "period_from", "period_to", "opening_fen", "accrued_fen", "reversed_fen",
            "closing_fen", "state", "state_label", "drawn_at", "confirmed_at",
        ]  # fmt: skip


class OfferPage(serializers.Serializer[Any]):
    results = OfferRecord(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class WorkPage(serializers.Serializer[Any]):
    results = WorkRecord(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class StatementPage(serializers.Serializer[Any]):
    results = StatementRecord(many=True)
    next_before = serializers.IntegerField(allow_null=True)
