"""`manage.py rotate_data_keys`: rewrite everything sealed with the newest data key, in small transactions."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models

from oms_project.sealed import SealedTextField, seal, unseal

_BATCH = 500


class Command(BaseCommand):
    help = "用最新的数据密钥重写所有加密内容；可随时中断并重来。"

    def handle(self, *args: Any, **options: Any) -> None:
        for model in apps.get_models():
            for column in model._meta.concrete_fields:
                if isinstance(column, SealedTextField) or column.name.endswith("_sealed"):
                    self.stdout.write(f"{model._meta.label}.{column.name}: {rewrite(model, column)}")


def rewrite(model: type[models.Model], column: "models.Field[Any, Any]") -> int:
    """Seal one column anew, row by row; a row that changed meanwhile is left to its writer. Returns the count."""
    count, last = 0, None
    sealed_text = not isinstance(column, SealedTextField)
    while True:
        rows = model._base_manager.order_by("pk").exclude(**{column.name: ""})
        if last is not None:
            rows = rows.filter(pk__gt=last)
        found = list(rows.values_list("pk", column.name)[:_BATCH])
        if not found:
            return count
        for pk, value in found:
            fresh = seal(unseal(value)) if sealed_text else value
            same = model._base_manager.filter(pk=pk, **({column.name: value} if sealed_text else {}))
            count += same.update(**{column.name: fresh})
        last = found[-1][0]
