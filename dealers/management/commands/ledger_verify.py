"""`manage.py ledger_verify`: add the whole ledger up again; exits 1 at the first difference."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count, Sum

from dealers.settlement import guards, queries
from dealers.settlement.models import LedgerEntry, Seal


class Command(BaseCommand):
    help = "重新核对全部分录：借贷平衡、每条分录已封签、数据库守卫齐全。"

    def handle(self, *args: Any, **options: Any) -> None:
        faults = [f"守卫缺失：{name}" for name in guards.missing()]
        sums = LedgerEntry.objects.annotate(total=Sum("lines__amount_fen"), count=Count("lines"))
        faults += [f"不平衡：{entry.key}" for entry in sums.exclude(total=0, count__gte=2)[:20]]
        unsealed = LedgerEntry.objects.exclude(seal_id__in=Seal.objects.values("id"))
        faults += [f"未封签：{entry.key}" for entry in unsealed[:20]]
        if total := sum(queries.trial_balance().values()):
            faults.append(f"试算不平衡：{total} 分")
        for fault in faults:
            self.stderr.write(fault)
        if faults:
            sys.exit(1)
        self.stdout.write(f"台账无误：{LedgerEntry.objects.count()} 条分录")
