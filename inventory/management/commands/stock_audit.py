"""Check that every stock figure is explained by its movements and reservations."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inventory.ledger import queries


class Command(BaseCommand):
    help = "核对库存：在库 = Σ 流水，预占 = Σ 未结预占；有差异时以 1 退出"

    def handle(self, *args: Any, **options: Any) -> None:
        found = queries.drift()
        for drift in found:
            self.stdout.write(
                f"仓 {drift.node_id} SKU {drift.sku_id}：在库 {drift.on_hand}（流水 {drift.moved}），"
                f"预占 {drift.held}（明细 {drift.promised}）"
            )
        if found:
            raise CommandError(f"{len(found)} 处库存与流水不一致", returncode=1)
        self.stdout.write("库存与流水一致")
