"""What a person fills in to try an order."""

import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from orders.intake.models import ChannelAccount
from orders.promise.rules import MOST_LINES, Asked
from orders.rulesets import queries as rulesets
from orders.rulesets.models import RuleSet
from orders.simulation.queries import Question

LIVE = ""
_LINE = re.compile(r"(\S+?)(?:(?:\s*[×*,，]\s*|\s+[xX]?\s*)([0-9]{1,4}))?")
_TAGS = re.compile(r"[,，、\s]+")


def set_choices(*, with_live: bool) -> list[tuple[str, str]]:
    """The rule sets that may be asked: the one in force (under ''), every draft, and those that were."""
    words = dict(RuleSet.State.choices)
    others = [(str(each.pk), f"{each}（{words[each.state]}）") for each in rulesets.history() if each.state != "published"]
    return [(LIVE, "现行规则"), *others] if with_live else others


def lines_of(text: str) -> list[Asked]:
    """“编码 数量”, one a line; a code alone is one piece. Raises ValidationError, naming the line."""
    found = []
    for number, line in enumerate((line.strip() for line in text.splitlines()), start=1):
        if not line:
            continue
        read = _LINE.fullmatch(line)
        if read is None:
            raise forms.ValidationError(f"第 {number} 行看不懂：{line[:40]}，请写“编码 数量”")
        found.append(Asked(read[1], int(read[2] or 1)))
    if len(found) > MOST_LINES:
        raise forms.ValidationError(f"最多 {MOST_LINES} 行商品")
    return found


class TrialForm(forms.Form):
    """An order that exists nowhere, and the rules to ask."""

    address = forms.CharField(
        label="收货地址或区划代码",
        max_length=120,
        widget=UnfoldAdminTextInputWidget(),
        help_text="写到区县，或六位区划代码",
        error_messages={"required": "请填写收货地址"},
    )
    lines = forms.CharField(
        label="商品", max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="每行一个：商家编码或 SKU，空格，数量", error_messages={"required": "请填写商品"},
    )  # fmt: skip
    channel = forms.ChoiceField(label="渠道", choices=ChannelAccount.Channel.choices, widget=UnfoldAdminSelectWidget)
    rule_set = forms.ChoiceField(label="规则", required=False, widget=UnfoldAdminSelectWidget)
    shop = forms.CharField(label="店铺编码", required=False, max_length=40, widget=UnfoldAdminTextInputWidget())
    live_session = forms.CharField(
        label="直播场次", required=False, max_length=40, widget=UnfoldAdminTextInputWidget(), help_text="不填即非直播订单"
    )
    tags = forms.CharField(
        label="标签", required=False, max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="用逗号隔开"
    )
    moment = forms.DateTimeField(
        label="下单时间", required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text="不填即现在；库存总是现在的",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["rule_set"]
        choice.choices = set_choices(with_live=True)

    def clean_lines(self) -> list[Asked]:
        return lines_of(self.cleaned_data["lines"])

    @property
    def question(self) -> Question:
        """What was asked, once the form is valid."""
        told = self.cleaned_data
        return Question(
            address=told["address"],
            channel=told["channel"],
            lines=told["lines"],
            shop=told["shop"],
            live_session=told["live_session"],
            tags=frozenset(tag for tag in _TAGS.split(told["tags"]) if tag),
            ruleset_id=int(told["rule_set"]) if told["rule_set"] else None,
        )
