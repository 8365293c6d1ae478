"""What is promised to whom, to look at; and stock that is kept from sale for a while."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from inventory.ledger.listing import actor_of, picked, tell
from inventory.ledger.models import Level
from inventory.ledger.standing import MOST_PICKED, StandingAdmin, label_of
from inventory.reservations import actions
from inventory.reservations.models import Reservation
from oms_project.readonly import ReadOnlyAdmin


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ["bill", "kind", "place", "goods", "quantity", "state", "held_at", "expires_at", "closed_at"]
    list_select_related = ["level__node", "level__sku", "incoming__node", "incoming__sku", "sku"]
    list_filter = ["state", "kind"]
    search_fields = ["bill", "lock_no"]

    @admin.display(description="仓库")
    def place(self, reservation: Reservation) -> str:
        standing = reservation.level or reservation.incoming
        return standing.node.name if standing else "待分配"

    @admin.display(description="SKU")
    def goods(self, reservation: Reservation) -> str:
        standing = reservation.level or reservation.incoming
        return str(standing.sku if standing else reservation.sku)


@admin.register(Level)
class LevelAdmin(StandingAdmin):
    actions: ClassVar = [*StandingAdmin.actions, "block", "unblock"]

    @admin.action(description="冻结（暂不可用）", permissions=["change"])
    def block(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        asked = self.asked(request)
        if not asked:
            return
        if (asked["quantity"] or 0) < 1 or not asked["reason"]:
            messages.error(request, "请填写大于 0 的冻结数量和原因")
            return
        rows = picked(request, levels, MOST_PICKED)
        tell(request, "已冻结", [(label_of(level), partial(_block, asked, level)) for level in rows])

    @admin.action(description="解除冻结", permissions=["change"])
    def unblock(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        act = partial(_unblock, actor_of(request))
        tell(request, "已解除", [(label_of(level), partial(act, level)) for level in picked(request, levels, MOST_PICKED)])


def _block(asked: dict[str, Any], level: Level, at: datetime) -> None:
    """For so many hours, or until somebody ends it."""
    actions.block(
        key=f"{asked['token']}:{level.pk}",
        node_id=level.node_id,
        sku_id=level.sku_id,
        quantity=asked["quantity"],
        reason=asked["reason"],
        at=at,
        expires_at=at + timedelta(hours=asked["hours"]) if asked["hours"] else None,
    )


def _unblock(actor: str, level: Level, at: datetime) -> None:
    actions.unblock(node_id=level.node_id, sku_id=level.sku_id, actor=actor, at=at)
