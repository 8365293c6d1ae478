"""What the demo's stock pool is busy with: a livestream's locks, a shop's figures, goods on their way, a transfer asked for."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.timezone import localdate

from inventory.arrivals import actions as arrivals
from inventory.arrivals.rules import NewIncoming
from inventory.ledger import actions as ledger
from inventory.locks import actions as locks
from inventory.models import Node, NodeGroup, PublishRule, Sku
from inventory.pool import actions as pool
from inventory.replenishment import actions as replenishment
from oms_project.demo import brand

ACTOR = "demo"
LOCKED_GOODS, LOCKED_UNITS = 3, 60


@transaction.atomic
def set_up(*, at: datetime) -> None:
    """All of it in one transaction, on a freshly seeded brand."""
    goods = list(Sku.objects.filter(kind=Sku.Kind.PHYSICAL, is_active=True).order_by("pk")[:8])
    ours = list(Node.objects.filter(kind__in=["hq", "region"]).order_by("pk"))
    group = NodeGroup(code="OURS", name="总部与区域仓")
    ledger.save_node_group(group=group, nodes=ours, actor=ACTOR, at=at)
    until = at + timedelta(days=30)
    for sku in goods[:LOCKED_GOODS]:
        locks.plan_lock(
            name="抖店直播专享", claim="channel:doudian", sku_id=sku.pk, mode="number", amount=LOCKED_UNITS, group_id=group.pk,
            starts_at=at, ends_at=until, actor=ACTOR, at=at,
        )  # fmt: skip
    pool.save_rule(rule=PublishRule(channel="doudian", shop=brand.SHOP, percent=90))
    day = localdate(at)
    rows = [
        NewIncoming(ours[0].pk, sku.pk, 120, day + timedelta(days=7), f"demo:po:{sku.code}", "工厂补货") for sku in goods[3:6]
    ]
    arrivals.expect(rows=rows, actor=ACTOR, at=at)
    replenishment.request(
        transfer_no=f"DB{day:%Y%m%d}DEMO", source_id=ours[0].pk, target_id=ours[-1].pk, quantities={goods[6].pk: 5}, actor=ACTOR,
        at=at, note="区域仓补货",
    )  # fmt: skip
