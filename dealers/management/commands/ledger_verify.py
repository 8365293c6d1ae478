"""Re-add the whole ledger and say what is wrong; a non-zero exit when anything is."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dealers.settlement import queries


class Command(BaseCommand):
    help = "重新加总账本：封签、借贷平衡、保护触发器、结算单与冲正。有错即以非零码退出。"

    def handle(self, *args: Any, **options: Any) -> None:
        faults = queries.faults()
        for fault in faults:
            self.stderr.write(fault)
        if faults:
            raise CommandError(f"账本有 {len(faults)} 处错误")
        accounts = queries.balances()
        for code, fen in accounts.items():
            self.stdout.write(f"{code}\t{fen}")
        self.stdout.write(f"账本无误：{len(accounts)} 个科目，试算平衡。")
