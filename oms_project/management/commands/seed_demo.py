"""`manage.py seed_demo`: fill an empty database with the demo brand, once."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from dealers.divisions import actions as divisions
from oms_project.demo import brand, pool, seeding


class Command(BaseCommand):
    help = "在空库中放入演示数据；已有数据时什么也不做。"

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        if not seeding.is_seeded():
            divisions.load_divisions(at=at)
            seeding.seed_everything(at=at)
            pool.set_up(at=at)
            self.stdout.write("演示数据已就绪。")
        self.stdout.write(f"登录密码都是 {brand.DEMO_PASSWORD}")
        self.stdout.write(f"  管理员 13800000001   运营 13800000002   财务 13800000003   后台 {settings.PUBLIC_URL}/admin/")
        self.stdout.write(
            f"  苏州经销商：老板 13900010001   店员 13900010002   师傅 13900010003   演示群 {settings.PUBLIC_URL}/chat/"
        )
