"""The admin's front page and the numbers in its side bar; each role sees its own part."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from dealers.models import Staff
from dealers.settlement import queries as settlement
from inventory.ledger import queries as ledger
from inventory.models import StockCheck
from inventory.replenishment import queries as replenishment
from oms_project.money import yuan
from orders.desk import queries as desk
from orders.models import OrderHold


@dataclass(frozen=True, slots=True)
class Page:
    """One list in the side bar; `queues` are counted beside its name."""

    app: str
    model: str
    title: str
    icon: str
    queues: tuple[str, ...] = ()
    variant: str = "danger"
    asked: str = ""


MENU: tuple[tuple[str, tuple[Page, ...]], ...] = (
    (
        "订单",
        (
            Page("orders", "order", "订单", "receipt_long"),
            Page("orders", "strandedorder", "无法派单", "wrong_location", ("unroutable",)),
            Page("orders", "orderhold", "审单挂起", "front_hand", ("held",)),
            Page("orders", "product", "商品与组合", "inventory_2"),
            Page("orders", "channelaccount", "渠道店铺", "storefront"),
            Page("orders", "sourcemessage", "平台消息", "mark_email_unread", ("parked",)),
        ),
    ),
    (
        "派单",
        (
            Page("orders", "offer", "派单要约", "notifications_active", ("offers",), "info", "?state__exact=pending"),
            Page("orders", "routingdecision", "路由决策", "alt_route"),
            Page("orders", "ruleset", "路由规则", "rule_settings"),
            Page("orders", "rebalancepass", "统筹调整", "swap_calls"),
            Page("orders", "forecast", "稀缺价预测", "query_stats"),
            Page("orders", "forecastprice", "稀缺价", "sell"),
            Page("orders", "ladderpolicy", "派单阶梯", "stairs"),
            Page("orders", "simulation", "试算与模拟", "science"),
            Page("orders", "simulationdifference", "模拟差异", "difference"),
        ),
    ),
    (
        "履约",
        (
            Page("orders", "fulfillmentorder", "履约单", "assignment", ("stuck",)),
            Page("orders", "parcel", "包裹", "local_shipping"),
            Page("orders", "appointment", "上门预约", "event"),
            Page("orders", "redeemcode", "核销码", "pin"),
            Page("orders", "refund", "退款", "currency_exchange"),
            Page("orders", "receiverreveal", "收件人查看记录", "visibility"),
        ),
    ),
    (
        "库存",
        (
            Page("inventory", "pool", "库存池", "water"),
            Page("inventory", "level", "库存", "warehouse"),
            Page("inventory", "stocklock", "锁库", "lock"),
            Page("inventory", "reservation", "预占", "lock_clock"),
            Page("inventory", "movement", "出入库流水", "swap_vert"),
            Page("inventory", "incoming", "在途库存", "inbox"),
            Page("inventory", "transfer", "调拨单", "move_up"),
            Page("inventory", "stockfile", "库存导入", "upload_file"),
            Page("inventory", "stockfilerow", "导入明细", "table_rows"),
            Page("inventory", "stockrepair", "库存修正记录", "build"),
        ),
    ),
    (
        "库存设置",
        (
            Page("inventory", "node", "仓库与门店", "location_on"),
            Page("inventory", "nodegroup", "仓库组", "hub"),
            Page("inventory", "sku", "SKU", "barcode"),
            Page("inventory", "stockrule", "库存规则", "rule"),
            Page("inventory", "publishrule", "库存发布规则", "campaign"),
            Page("inventory", "publishedstock", "已发布库存", "storefront"),
            Page("inventory", "apikey", "接口密钥", "key"),
        ),
    ),
    (
        "经销商",
        (
            Page("dealers", "dealer", "经销商", "handshake"),
            Page("dealers", "dayload", "每日接单量", "calendar_month"),
            Page("dealers", "staff", "人员", "badge"),
            Page("dealers", "division", "行政区划", "map"),
            Page("dealers", "township", "乡镇街道", "signpost"),
            Page("dealers", "divisionedition", "区划数据版本", "update"),
        ),
    ),
    (
        "结算",
        (
            Page("dealers", "statement", "结算单", "request_quote"),
            Page("dealers", "splitrule", "分润规则", "percent"),
            Page("dealers", "ledgerentry", "分录", "menu_book"),
            Page("dealers", "ledgerline", "分录行", "list_alt"),
            Page("dealers", "seal", "封签", "verified"),
            Page("dealers", "account", "科目", "account_balance"),
            Page("dealers", "workrefund", "退款记录", "undo"),
        ),
    ),
    (
        "消息",
        (
            Page("bots", "chatidentity", "群成员绑定", "group"),
            Page("bots", "inboundevent", "群消息", "chat"),
            Page("bots", "cardmessage", "卡片消息", "style"),
            Page("bots", "chatmessage", "演示群消息", "forum"),
            Page("bots", "socketticket", "实时连接票据", "confirmation_number"),
        ),
    ),
    (
        "系统",
        (
            Page("journal", "entry", "事件日志", "history"),
            Page("journal", "delivery", "待投递与死信", "outbox", ("dead",)),
        ),
    ),
)
CLOSING_SECONDS = 60
ROWS = 8
_OPERATORS = frozenset({"admin", "operator"})
_BOOKKEEPERS = frozenset({"admin", "finance"})


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fills the front page: unfold's DASHBOARD_CALLBACK."""
    staff, at = cast(Staff, request.user), timezone.now()
    today = desk.today(at)
    context["title"] = "今日"
    context["today"] = {"orders": today.orders, "paid": yuan(today.paid_fen), "cancelled": today.cancelled}
    context["is_operator"], context["is_bookkeeper"] = staff.role in _OPERATORS, staff.role in _BOOKKEEPERS
    if context["is_operator"]:
        context |= {"queues": _queues(at), "closing": _closing(at), "reasons": _reasons(at)}
        context |= {"troubles": _troubles(at), "alarms": _alarms()}
    if context["is_bookkeeper"]:
        context["statements"] = _statements(staff)
    return context


def _closing(at: datetime) -> dict[str, Any]:
    offers = desk.closing_offers(at=at, seconds=CLOSING_SECONDS, limit=ROWS)
    rows = [
        [
            _link(reverse("admin:orders_offer_change", args=[offer.offer_id]), offer.dealer),
            offer.summary,
            yuan(offer.income_fen),
            format_html(
                '<span class="tabular" data-until="{}">{}</span>',
                offer.expires_at.isoformat(),
                f"{localtime(offer.expires_at):%H:%M:%S}",
            ),
        ]
        for offer in offers
    ]
    return {"headers": ["经销商", "货物", "收入", "剩余"], "rows": rows}


def _troubles(at: datetime) -> dict[str, Any]:
    """What is wrong with stock, each with the list of it."""
    counts, checked_at = desk.stock_alarms(at), ledger.last_check(StockCheck.Name.DRIFT).checked_at
    checked = f"检查于 {localtime(checked_at):%m-%d %H:%M}" if checked_at else "尚未检查"
    lists = (
        ("over", "发布数高于可售", "publishedstock_changelist", "?over=1", "店铺可能卖出交不了的货"),
        ("stale", "经销商库存过期", "level_changelist", "?stale=dealer", "超时未上报，已停止售卖"),
        ("drift", "对账差异", "level_drift", "", checked),
        ("transfers", "调拨逾期或短少", "transfer_changelist", "?trouble=any", "逾期未到，或近 7 天收货短少"),
        ("locks", "锁库未锁足", "stocklock_changelist", "?unfilled=1", "可用库存不够，到货后自动补锁"),
    )
    rows = [
        [_link(reverse(f"admin:inventory_{page}") + asked, words), _capped(counts[name]), why]
        for name, words, page, asked, why in lists
    ]
    return {"headers": ["异常", "数量", "说明"], "rows": rows}


def _capped(count: int) -> str:
    return f"{count}+" if count >= desk.MOST_ALARMS else str(count)


def _alarms() -> dict[str, Any]:
    rows = [
        [level.node, level.sku_code, level.on_hand, level.held, level.safety_stock, level.sellable]
        for level in replenishment.low_stock(limit=ROWS)
    ]
    return {"headers": ["仓库", "SKU", "在库", "预占", "安全", "可售"], "rows": rows}


def _statements(staff: Staff) -> dict[str, Any]:
    last = settlement.statements_for(staff).select_related("dealer").order_by("-drawn_at", "-id")[:ROWS]
    rows = [
        [
            _link(reverse("admin:dealers_statement_change", args=[statement.pk]), statement.statement_no),
            statement.dealer.name,
            f"{localtime(statement.period_from):%Y-%m-%d} 至 {localtime(statement.period_to):%Y-%m-%d}",
            yuan(statement.accrued_fen),
            yuan(statement.closing_fen),
            statement.get_state_display(),
        ]
        for statement in last
    ]
    return {"headers": ["结算单", "经销商", "期间", "本期应付", "期末应付", "状态"], "rows": rows}


def _link(address: str, text: str) -> SafeString:
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, text)


def _queues(at: datetime) -> list[dict[str, Any]]:
    """The queues a person works off, with their lists and the wait of the oldest."""
    waiting = desk.waiting_orders()
    holds, orders = reverse("admin:orders_orderhold_changelist"), reverse("admin:orders_order_changelist")
    works, stranded = reverse("admin:orders_fulfillmentorder_changelist"), reverse("admin:orders_strandedorder_changelist")
    rows = [
        ("待审核", waiting.get("held", desk.EMPTY), holds),
        ("待派单", waiting.get("placed", desk.EMPTY), f"{orders}?state__exact=placed"),
        ("无法派单", waiting.get("unroutable", desk.EMPTY), stranded),
        ("已取消待退款", desk.refunds_due(), f"{stranded}?queue=refund"),
        ("待人工", desk.stuck_works(), f"{works}?state__exact=stuck"),
        ("停放的平台消息", desk.parked_messages(), reverse("admin:orders_sourcemessage_changelist") + "?outcome__exact=parked"),
        ("死信", desk.dead_letters(), reverse("admin:journal_delivery_changelist") + "?parked_at__isempty=0"),
    ]
    return [{"name": name, "count": queue.count, "waited": _waited(queue, at), "link": link} for name, queue, link in rows]


def _reasons(at: datetime) -> dict[str, Any]:
    holds = reverse("admin:orders_orderhold_changelist")
    rows = [
        [_link(f"{holds}?reason__exact={reason}", OrderHold.Reason(reason).label), queue.count, _waited(queue, at)]
        for reason, queue in desk.held_by_reason().items()
    ]
    return {"headers": ["原因", "订单", "最久等了"], "rows": rows}


def _waited(queue: desk.Queue, at: datetime) -> str:
    """How long the oldest has waited, as people say it."""
    minutes = queue.waited_minutes(at)
    if not queue.oldest:
        return ""
    if minutes < 60:
        return f"{minutes} 分钟"
    return f"{minutes // 60} 小时 {minutes % 60} 分" if minutes < 1440 else f"{minutes // 1440} 天"


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The side bar, grouped by what people do; only pages that this person may open."""
    staff = cast(Staff, request.user)
    badges = desk.badges() if staff.is_authenticated and staff.role in _OPERATORS else {}
    shown = {
        (model._meta.app_label, model._meta.model_name)
        for model, page in admin.site._registry.items()
        if page.has_view_or_change_permission(request)
    }
    today = {"title": "今日", "icon": "dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"title": "", "items": [today]}]
    for title, pages in MENU:
        items = [_model_item(page, badges) for page in pages if (page.app, page.model) in shown]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    groups.append({"title": "门户", "separator": True, "items": _doors(staff)})
    return groups


def _model_item(page: Page, badges: dict[str, int]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "title": page.title,
        "icon": page.icon,
        "link": reverse(f"admin:{page.app}_{page.model}_changelist") + page.asked,
    }
    if count := sum(badges.get(queue, 0) for queue in page.queues):
        item |= {"badge": str(count), "badge_variant": page.variant}
    return item


def _doors(staff: Staff) -> list[dict[str, Any]]:
    doors = [("直播大屏", "monitoring", "/live/", staff.role in _OPERATORS), ("演示群", "forum", "/chat/", settings.DEMO)]
    doors.append(("接口文档", "api", "/api/docs/", True))
    return [{"title": title, "icon": icon, "link": link} for title, icon, link, is_shown in doors if is_shown]
