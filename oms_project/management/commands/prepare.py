"""Make the database ready: migrate, and in the demo fill it once."""

from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand

from oms_project.tasks.preflight import check_database


class Command(BaseCommand):
    help = "Migrate the database; with YIPAN_DEMO=1 also run seed_demo. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        check_database(migrated=False)
        call_command("migrate", interactive=False, verbosity=0)
        if settings.DEMO and "seed_demo" in get_commands():
            call_command("seed_demo", stdout=self.stdout)
