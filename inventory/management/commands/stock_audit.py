"""Check that every stock figure is explained by its movements and reservations."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inventory.ledger import queries


class Command(BaseCommand):
    help = "核对库存：在库 = Σ 流水，预占 = Σ 未结预占，在途已承诺 = Σ 未结预售；有差异时以 1 退出"

    def handle(self, *args: Any, **options: Any) -> None:
        levels, coming = queries.drift(), queries.promise_drift()
        for drift in levels:
            self.stdout.write(
                f"仓 {drift.node_code} SKU {drift.sku_code}：在库 {drift.on_hand}（流水 {drift.moved}），"
                f"预占 {drift.held}（明细 {drift.promised}）"
            )
        for promise in coming:
            self.stdout.write(f"在途 {promise.source_key}：已承诺 {promise.promised}（预售明细 {promise.reserved}）")
        if levels or coming:
            raise CommandError(f"{len(levels)} 处库存、{len(coming)} 处在途与明细不一致", returncode=1)
        self.stdout.write("库存与流水一致")
