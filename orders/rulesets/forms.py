"""Fields of the forms of a set: amounts in 元, and lists of codes as people write them."""

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from orders.rulesets.vocabulary import Vocabulary, items_of

_YUAN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")


class YuanField(forms.Field):
    """An amount that is written in 元 and kept in fen; never a float in between."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "style": "min-width: 5rem"}))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{value // 100}.{value % 100:02d}" if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:
        if isinstance(value, int):
            return value
        text = str(value or "").strip().replace(",", "").replace("，", "").removesuffix("元").strip()
        if not text:
            return None
        found = _YUAN.fullmatch(text)
        if not found:
            raise forms.ValidationError(f"“{value}”不是金额：请填不小于 0 的元数，最多两位小数")
        whole, cents = found.groups()
        return int(whole) * 100 + int((cents or "").ljust(2, "0"))


class CodesField(forms.Field):
    """A list of codes, written with commas or line breaks between them; what nobody knows is named."""

    def __init__(self, *, vocabulary: Vocabulary, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 1, "style": "min-width: 12rem"}))
        super().__init__(**kwargs)
        self.vocabulary = vocabulary

    def prepare_value(self, value: Any) -> Any:
        return "、".join(self.vocabulary.tell(value)) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        items = items_of(value) if isinstance(value, str) else list(value or ())
        if not items:
            return []
        read = self.vocabulary.read(items)
        if unknown := [item for item in items if not read[item]]:
            raise forms.ValidationError(f"没有这样的{self.vocabulary.noun}：{'、'.join(unknown)}")
        return list(dict.fromkeys(code for item in items for code in read[item]))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """What comes back as it was shown is not looked up again."""
        shown = self.prepare_value(initial if isinstance(initial, Sequence) else [])
        return (data or "").strip() != shown and super().has_changed(initial, data)


class CodeField(CodesField):
    """The same for one code, or none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=UnfoldAdminTextInputWidget(attrs={"style": "min-width: 10rem"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "、".join(self.vocabulary.tell([value])) if isinstance(value, str) and value else value

    def to_python(self, value: Any) -> str:
        codes = super().to_python(value or "")
        if len(codes) > 1:
            raise forms.ValidationError("这里只能填一个")
        return str(codes[0]) if codes else ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (data or "").strip() != (self.prepare_value(initial) or "") and forms.Field.has_changed(self, initial, data)
