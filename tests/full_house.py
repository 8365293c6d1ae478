"""A database in which every table of the admin has rows, each with owners of its own: what list pages are tried on."""

from datetime import datetime, timedelta
from typing import Any

from bots.models import CardMessage, ChatIdentity, ChatMessage, InboundEvent, SocketTicket
from dealers.models import DayLoad, Dealer, Division, DivisionEdition, SplitRule, Staff, Township, WorkRefund
from dealers.settlement import actions as settlement
from dealers.settlement.rules import NewEntry, NewLine
from inventory.ledger.models import Movement
from inventory.models import (
    ApiKey,
    Incoming,
    Level,
    Node,
    NodeGroup,
    PublishedStock,
    PublishRule,
    Reservation,
    Sku,
    StockFile,
    StockFileRow,
    StockLock,
    StockRepair,
    StockRule,
    Transfer,
    TransferLine,
)
from oms_project.journal.models import Delivery, Entry
from orders.models import (
    Appointment,
    ChannelAccount,
    Forecast,
    ForecastPrice,
    FulfillmentOrder,
    LadderPolicy,
    LadderStep,
    Order,
    OrderHold,
    Parcel,
    Product,
    ProductPart,
    RebalancePass,
    ReceiverReveal,
    RedeemCode,
    Refund,
    RoutingDecision,
    RuleSet,
    Simulation,
    SimulationDifference,
    SourceMessage,
    StrandedOrder,
)
from tests import make
from tests.orders import rulesets_world


def fill(rows: int, at: datetime) -> None:
    """Some rows of everything; no two rows share an owner, so that a list that asks per row is found out."""
    for n in range(rows):
        dealer = make.make_dealer(f"FULL{n:03d}")
        DayLoad.objects.create(dealer=dealer, day=at.date(), taken=1, allowed=200)
        staff, sku = make.make_staff(dealer), make.make_sku(f"FULL-{n:03d}")
        node = make.make_node(dealer)
        level = make.make_level(node, sku, on_hand=1, safety_stock=3)
        order = make.make_order(sku, state="held" if n % 2 else "completed", at=at)
        work = make.make_work(order, node, state="stuck" if n % 2 else "completed", at=at)
        make.make_offer(work, expires_at=at + timedelta(seconds=30), at=at)
        _stock(n, node, sku, level, work, at)
        _pool(n, dealer, node, sku, at)
        _order(n, order, sku, staff, at)
        _work(n, work, staff, at)
        _terms(n, staff, at)
        _money(n, dealer, order, work, at)
        _chat(n, staff, order, at)
    end = at + timedelta(seconds=1)
    settlement.draw_statements(period_from=at - timedelta(days=1), period_to=end, at=end, actor="test")


def _stock(n: int, node: Node, sku: Sku, level: Level, work: FulfillmentOrder, at: datetime) -> None:
    Movement.objects.create(node=node, sku=sku, kind="receipt", quantity=1, source_key=f"full:{n}", moved_at=at)
    Reservation.objects.create(level=level, bill=work.fo_no, quantity=1, held_at=at)
    division = Division.objects.create(
        code=f"99{n:04d}", name=f"区{n}", level=3, parent=Division.objects.order_by("-code").first()
    )
    if division.parent:
        Division.objects.filter(pk=division.parent.pk).update(valid_to=at.date())
        division.parent.replaced_by.add(division)
    Township.objects.create(code=f"99{n:04d}001", name=f"街道{n}", district=division)
    DivisionEdition.objects.create(loaded_at=at, source="data", digest=f"{n:064d}", outcome="新增 1")


def _pool(n: int, dealer: Dealer, node: Node, sku: Sku, at: datetime) -> None:
    later = at + timedelta(days=2)
    group = NodeGroup.objects.create(code=f"G{n}", name=f"仓库组{n}")
    group.nodes.add(node)
    StockRule.objects.create(name=f"库存规则{n}", node=node, sku=sku, dealer=dealer, safety_stock=3)
    StockRepair.objects.create(node=node, sku=sku, way="movement", before=0, after=1, reason="对账", actor="test", repaired_at=at)
    StockLock.objects.create(
        lock_no=f"SK{n}", name=f"锁库{n}", claim=f"live:{n}", sku=sku, group=group, amount=5, starts_at=later,
        ends_at=later + timedelta(hours=2),
    )  # fmt: skip
    Incoming.objects.create(node=node, sku=sku, quantity=5, expected_on=later.date(), source_key=f"full:{n}")
    transfer = Transfer.objects.create(transfer_no=f"DB{n}", source=node, target=make.make_node(), requested_at=at)
    TransferLine.objects.create(transfer=transfer, sku=sku, requested=1)
    file = StockFile.objects.create(file_no=f"DR{n}", purpose="count", name="盘点.csv", actor="test", uploaded_at=at)
    StockFileRow.objects.create(file=file, number=2, node=node, sku=sku, quantity=1, cells=[node.code, sku.code, "1"])
    PublishRule.objects.create(channel="doudian", shop=f"s{n}", sku=sku, group=group)
    PublishedStock.objects.create(channel="doudian", shop=f"s{n}", sku=sku, quantity=1, sellable=1, version=1, changed_at=at)
    ApiKey.objects.create(name=f"仓储系统{n}", prefix=f"k{n:03d}", digest="0" * 64, dealer=dealer, made_at=at)


def _order(n: int, order: Order, sku: Sku, staff: Staff, at: datetime) -> None:
    OrderHold.objects.create(order=order, reason="address", detail="缺少区县", opened_at=at)
    OrderHold.objects.create(order=order, reason="remark", opened_at=at, released_at=at, released_by=staff)
    StrandedOrder.objects.create(order=order, since=at, tried_at=at, reasons=["可售库存不足 ×3"])
    Refund.objects.create(order=order, refund_key=f"full-{n}", amount_fen=100, refunded_at=at)
    ReceiverReveal.objects.create(order=order, staff=staff, door="admin", revealed_at=at)
    product = Product.objects.create(code=f"FULL-P{n}", name=f"组合{n}")
    ProductPart.objects.create(product=product, sku=sku)
    account = ChannelAccount.objects.create(
        channel="doudian", shop=f"s{n}", name=f"店{n}", app_key="key", app_secret="secret-key"
    )
    SourceMessage.objects.create(
        account=account, message_key=f"m{n}", tag="101", external_id=order.external_id, received_at=at, outcome="parked"
    )


def _work(n: int, work: FulfillmentOrder, staff: Staff, at: datetime) -> None:
    Parcel.objects.create(work=work, carrier="self", tracking_no=f"T{n}", shipped_at=at, shipped_by=staff)
    Appointment.objects.create(work=work, visit_from=at, visit_to=at + timedelta(hours=2), installer=staff, made_at=at)
    RedeemCode.objects.create(work=work, code="123456", made_at=at)
    forecast = Forecast.objects.create(orders=9, made_at=at, expires_at=at, actor="test")
    ForecastPrice.objects.create(forecast=forecast, dealer=work.dealer, fen=1234)
    RebalancePass.objects.create(started_at=at, is_running=False, looked=9, moved=2, saved_fen=1234)
    RoutingDecision.objects.create(
        order=work.order,
        policy="默认 v1",
        is_routable=True,
        cost_fen=1234,
        plan=[{"node": work.node.code, "lines": [0], "cost_fen": 1234, "breakdown": {}}],
        trace=[],
        decided_at=at,
    )


def _terms(n: int, staff: Staff, at: datetime) -> None:
    rules = RuleSet.objects.create(name=f"规则{n}", version=n + 1, created_at=at, created_by=staff)
    rulesets_world.fill(rules)
    simulation = Simulation.objects.create(
        name=f"模拟{n}", rule_set=rules, live_set=rules, source="past", created_by=staff, created_at=at
    )
    SimulationDifference.objects.create(simulation=simulation, position=1, order_no=f"DD{n}", before="甲", after="乙")
    ladder = LadderPolicy.objects.create(name=f"阶梯{n}")
    LadderStep.objects.create(policy=ladder, position=1, target="territory")
    SplitRule.objects.create(
        code=f"R{n}", name=f"规则{n}", component="service_fee", mode="fixed", amount_fen=2000, effective_from=at
    )


def _money(n: int, dealer: Dealer, order: Order, work: FulfillmentOrder, at: datetime) -> None:
    lines = (
        NewLine("expense:service_fee", 2000, "service_fee"),
        NewLine(f"payable:dealer:{dealer.code}", -2000, "service_fee", {"explain": "每单固定 20.00 元"}),
    )
    settlement.post(entries=[NewEntry(f"full:{n}", "accrual", f"work:{work.fo_no}", order.order_no, at, lines, {})], at=at)
    WorkRefund.objects.create(fo_no=work.fo_no, refund_key=f"full-{n}", order_no=order.order_no, amount_fen=100, refunded_at=at)


def _chat(n: int, staff: Staff, order: Order, at: datetime) -> None:
    ChatIdentity.objects.create(platform="local", tenant="demo", user_id=f"u{n}", staff=staff)
    common: dict[str, Any] = {"platform": "local", "tenant": "demo"}
    InboundEvent.objects.create(event_id=f"e{n}", kind="text", received_at=at, **common)
    CardMessage.objects.create(recipient=f"u{n}", offer_no=f"{order.order_no}-1-1", task_id=f"t{n}", sent_at=at, **common)
    ChatMessage.objects.create(room="dealer-1", sender=f"u{n}", text="帮助", sent_at=at)
    SocketTicket.objects.create(digest=f"{n:064d}", staff=staff, expires_at=at)
    entry = Entry.objects.create(
        name="order.placed",
        subject=f"order:{order.order_no}",
        rooms=" ops ",
        payload={"order_no": order.order_no},
        recorded_at=at,
    )
    Delivery.objects.create(entry=entry, subscriber="test.on_order_placed", due_at=at, parked_at=at, last_error="x")
