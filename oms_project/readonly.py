"""Admin pages that are only looked at, and amounts as people read them.

ReadOnlyAdmin: written once, or changed only through its own steps; nobody edits it, whatever the role.
SteppedAdmin: the same, but the list offers buttons (actions) to those who may change.
InWords: wherever a page would show a `*_fen` column, it shows the amount in 元; codes get their Chinese names.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from oms_project.money import yuan

Column = Callable[[Any], Any]
LIT = frozenset({"state"})
_COLOURS = {
    "danger": ("held", "unroutable", "stuck", "cancel_requested", "refused", "bad", "failed", "kept"),
    "warning": ("placed", "pending", "offered", "waiting", "ready", "open", "draft", "planned"),
    "info": ("routed", "accepted", "shipped", "delivered", "installed", "reading", "applying", "undoing"),
    "success": ("completed", "confirmed", "published", "consumed", "active", "applied", "done"),
    "default": ("cancelled", "declined", "expired", "withdrawn", "released", "retired", "ended", "dropped", "undone", "same"),
}
LIGHTS = {state: colour for colour, states in _COLOURS.items() for state in states}


def in_yuan(model: type[models.Model], name: str) -> Column:
    """A column that shows an amount of fen in 元, under the field's own label and sorted like it."""

    def shown(row: Any) -> str:
        amount = getattr(row, name)
        return "—" if amount is None else yuan(amount)

    label = str(getattr(model._meta.get_field(name), "verbose_name", name))
    shown.__name__ = f"{name}_in_yuan"
    shown.short_description = label.replace("（分）", "").replace("，分）", "）")  # type: ignore[attr-defined]
    shown.admin_order_field = name  # type: ignore[attr-defined]
    return shown


def in_words(model: type[models.Model], name: str, words: Mapping[str, str]) -> Column:
    """A column that shows a code by its Chinese name; a code without one is shown as it is."""

    def shown(row: Any) -> str:
        code = getattr(row, name)
        return words.get(code, code) or "—"

    shown.__name__ = f"{name}_in_words"
    shown.short_description = getattr(model._meta.get_field(name), "verbose_name", name)  # type: ignore[attr-defined]
    shown.admin_order_field = name  # type: ignore[attr-defined]
    return shown


def in_lines(model: type[models.Model], name: str) -> Column:
    """A JSON column as people can read it: one key a line, Chinese as Chinese."""

    def shown(row: Any) -> SafeString:
        text = json.dumps(getattr(row, name), ensure_ascii=False, indent=2, default=str)
        return format_html('<pre class="text-xs whitespace-pre-wrap">{}</pre>', text)

    shown.__name__ = f"{name}_in_lines"
    shown.short_description = model._meta.get_field(name).verbose_name  # type: ignore[attr-defined, union-attr]
    return shown


def in_light(model: type[models.Model], name: str) -> Column:
    """A state with the colour of its urgency: red waits for a person, orange for an answer, green is done."""
    field: Any = model._meta.get_field(name)
    labels = dict(field.flatchoices)

    def shown(row: Any) -> tuple[str, str] | str:
        code = getattr(row, name)
        words = str(labels.get(code, code))
        return (code, words) if code in LIGHTS else words

    shown.__name__ = f"{name}_in_light"
    column: Column = display(description=str(field.verbose_name), ordering=name, label=LIGHTS)(shown)
    return column


def _json_fields(model: type[models.Model]) -> set[str]:
    return {field.name for field in model._meta.get_fields() if isinstance(field, models.JSONField)}


class WordsFilter(admin.AllValuesFieldListFilter):
    """A list filter whose choices are the words of InWords."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words: Mapping[str, str] = getattr(args[4], "words", {}).get(self.field_path, {})

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield {**choice, "display": self.words.get(str(choice["display"]), str(choice["display"]))}


class InWords:
    """Amounts in 元 and codes in Chinese, in lists and on pages that are only looked at; forms keep what is stored."""

    model: type[models.Model]
    words: ClassVar[dict[str, Mapping[str, str]]] = {}

    def told(self, names: Any) -> list[Any]:
        """Field names, with the columns that show them better in their place; the same object for the same field."""
        if "_told" not in self.__dict__:
            self._told: dict[str, Column] = {}
        for name in names:
            if isinstance(name, str) and name not in self._told:
                if name.endswith("_fen"):
                    self._told[name] = in_yuan(self.model, name)
                elif name in self.words:
                    self._told[name] = in_words(self.model, name, self.words[name])
                elif name in _json_fields(self.model):
                    self._told[name] = in_lines(self.model, name)
        return [tuple(self.told(name)) if isinstance(name, tuple) else self._told.get(name, name) for name in names]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        names = super().get_list_display(request)  # type: ignore[misc]
        return [in_light(self.model, name) if name in LIT else shown for name, shown in zip(names, self.told(names), strict=True)]


class ReadOnlyAdmin(InWords, ModelAdmin):
    """Nobody adds, changes or deletes here. Such tables grow without end: newest first, nothing counted twice."""

    show_full_result_count = False
    list_per_page = 50
    ordering: Sequence[str] = ("-id",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.told(super().get_fields(request, obj))

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


class ReadOnlyInline(InWords, TabularInline):
    """Rows below a record, to look at. Name the fields."""

    extra = 0
    can_delete = False
    hide_title = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.told(super().get_fields(request, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.told(self.fields or ())

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
