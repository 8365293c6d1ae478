"""What is promised to whom, to look at; and stock that is kept from sale for a while."""

from datetime import timedelta
from typing import ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from inventory.ledger.listing import actor_of, picked, told
from inventory.ledger.models import Level
from inventory.ledger.standing import MOST_PICKED, StandingAdmin, label_of
from inventory.reservations import actions
from inventory.reservations.models import Reservation
from inventory.reservations.rules import Block
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
        at, rows = timezone.now(), picked(request, levels, MOST_PICKED)
        blocks = [Block(f"{asked['token']}:{row.pk}", row.node_id, row.sku_id, asked["quantity"]) for row in rows]
        expires_at = at + timedelta(hours=asked["hours"]) if asked["hours"] else None
        problems = actions.block_rows(blocks=blocks, reason=asked["reason"], at=at, expires_at=expires_at) if rows else []
        told(request, "已冻结", zip(map(label_of, rows), problems, strict=True))

    @admin.action(description="解除冻结", permissions=["change"])
    def unblock(self, request: HttpRequest, levels: QuerySet[Level]) -> None:
        rows = picked(request, levels, MOST_PICKED)
        places = [(row.node_id, row.sku_id) for row in rows]
        problems = actions.unblock_rows(places=places, actor=actor_of(request), at=timezone.now()) if rows else []
        told(request, "已解除", zip(map(label_of, rows), problems, strict=True))
