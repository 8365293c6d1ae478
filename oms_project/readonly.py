"""Admin pages that are only looked at, and amounts as people read them.

ReadOnlyAdmin: written once, or changed only through its own steps; nobody edits it, whatever the role.
SteppedAdmin: the same, but the list offers buttons (actions) to those who may change.
InYuan: wherever a page would show a `*_fen` column, it shows the amount in 元.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from oms_project.money import yuan

Column = Callable[[Any], str]


@lru_cache
def in_yuan(model: type[models.Model], name: str) -> Column:
    """A column that shows an amount of fen in 元, under the field's own label and sorted like it."""

    def shown(row: Any) -> str:
        amount = getattr(row, name)
        return "—" if amount is None else yuan(amount)

    label = str(model._meta.get_field(name).verbose_name)
    shown.__name__ = f"{name}_in_yuan"
    shown.short_description = label.replace("（分）", "").replace("，分）", "）")  # type: ignore[attr-defined]
    shown.admin_order_field = name  # type: ignore[attr-defined]
    return shown


def _told(model: type[models.Model], names: Any) -> list[Any]:
    return [in_yuan(model, name) if isinstance(name, str) and name.endswith("_fen") else name for name in names]


class InYuan:
    """For lists whose records may be edited: the forms keep whole fen, the list shows 元."""

    model: type[models.Model]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return _told(self.model, super().get_list_display(request))  # type: ignore[misc]


class ReadOnlyAdmin(InYuan, ModelAdmin):
    """Nobody adds, changes or deletes here. Such tables grow without end: newest first, nothing counted twice."""

    show_full_result_count = False
    list_per_page = 50
    ordering = ("-id",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return _told(self.model, super().get_fields(request, obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SteppedAdmin(ReadOnlyAdmin):
    """Changed through the buttons of the list only."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and ModelAdmin.has_change_permission(self, request, obj)


class ReadOnlyInline(TabularInline):
    """Rows below a record, to look at. Name the fields."""

    extra = 0
    can_delete = False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return _told(self.model, super().get_fields(request, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return _told(self.model, self.fields or ())

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
