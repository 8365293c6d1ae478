"""A dealer with an open offer and its people in WeCom; the platform and its API are played by us."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bots import delivery
from bots.models import ChatIdentity
from bots.transports import wecom
from dealers.models import Dealer, Staff
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.journal.subscription import Subscription, Where
from orders.models import FulfillmentOrder, Offer
from tests import make
from tests.platforms.wecom import AES_KEY, CORP_ID, TOKEN, Api, WeCom, serve


@pytest.fixture(autouse=True)
def _static_root(settings: Any) -> None:
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def platform(settings: Any) -> WeCom:
    """WeCom as it calls us; our side is configured to match."""
    settings.ROOT_URLCONF = "tests.bots.urls"
    settings.WECOM_CORP_ID, settings.WECOM_TOKEN, settings.WECOM_AES_KEY = CORP_ID, TOKEN, AES_KEY
    settings.WECOM_SECRET, settings.WECOM_AGENT_ID = "the-secret", 1000002
    return WeCom()


@pytest.fixture
def api(platform: WeCom, settings: Any) -> Iterator[Api]:
    """WeCom as we call it."""
    with serve() as running:
        settings.WECOM_API_BASE = running.base
        wecom._client_for.cache_clear()
        yield running


@pytest.fixture
def wired() -> Iterator[None]:
    """Only the bots' own subscriptions, as the wiring has them."""
    before = list(journal._subscriptions.values())
    journal.subscribe(
        [
            Subscription(events.OfferOpened, delivery.on_offer_opened, Where.OUTSIDE),
            Subscription(events.OfferClosed, delivery.on_offer_closed, Where.OUTSIDE),
        ]
    )
    yield
    journal.subscribe(before)


@dataclass
class Shop:
    """华南经销商 with 张三 (owner) and 李四 (clerk) in WeCom, and one offer waiting for an answer."""

    dealer: Dealer
    owner: Staff
    clerk: Staff
    work: FulfillmentOrder
    offer: Offer

    @property
    def no(self) -> str:
        return str(self.work.short_no)

    def key(self, action: str = "accept", version: int = 1) -> str:
        return f"{action}|{self.offer.offer_no}|v{version}"

    def task(self, user: str = "zhangsan") -> str:
        return f"{self.offer.offer_no}@{user}"


def bind(staff: Staff, user_id: str, *, platform: str = "wecom", tenant: str = CORP_ID) -> ChatIdentity:
    return ChatIdentity.objects.create(platform=platform, tenant=tenant, user_id=user_id, staff=staff)


def open_shop(at: datetime, *, people: tuple[str, str] = ("zhangsan", "lisi"), **work: Any) -> Shop:
    dealer = make.make_dealer()
    owner, clerk = make.make_staff(dealer, name="张三"), make.make_staff(dealer, name="李四", role="clerk")
    for staff, user in zip((owner, clerk), people, strict=True):
        bind(staff, user)
    node, sku = make.make_node(dealer), make.make_sku()
    make.make_level(node, sku, on_hand=5)
    order = make.make_order(sku, state="routed", at=at)
    piece = make.make_work(order, node, at=at, **work)
    assert reservations.hold(wants=[Want(piece.fo_no, node.pk, sku.pk, 1)], at=at) == {piece.fo_no}
    return Shop(dealer, owner, clerk, piece, make.make_offer(piece, expires_at=at + timedelta(hours=2), at=at))


@pytest.fixture
def shop(db: None, at: datetime) -> Shop:
    return open_shop(at)


def opened(shop: Shop, at: datetime) -> events.OfferOpened:
    """The fact that dispatch records when it asks a dealer."""
    return events.OfferOpened(
        offer_id=shop.offer.pk,
        offer_no=shop.offer.offer_no,
        fo_id=shop.work.pk,
        fo_no=shop.work.fo_no,
        order_no=shop.work.order.order_no,
        dealer_id=shop.dealer.pk,
        division_code="320506",
        region="江苏省苏州市吴中区",
        summary=shop.work.summary,
        income_fen=shop.offer.income_fen,
        expires_at=shop.offer.expires_at.isoformat(),
    )
