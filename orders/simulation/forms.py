"""What a person fills in to try an order, and to have many replayed."""

import re
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from inventory.exchange.adapters.sheet import MOST_BYTES
from orders.intake.models import ChannelAccount
from orders.promise.rules import MOST_LINES, Asked
from orders.rulesets import queries as rulesets
from orders.rulesets.models import RuleSet
from orders.simulation.models import MOST_ORDERS
from orders.simulation.queries import Question

LIVE = ""
_LINE = re.compile(r"(\S+?)(?:(?:\s*[×*,，]\s*|\s+[xX]?\s*)([0-9]{1,4}))?")
_TAGS = re.compile(r"[,，、\s]+")


def set_choices() -> list[tuple[str, str]]:
    """Every rule set, the newest first: drafts, the one in force, and those that were."""
    words = dict(RuleSet.State.choices)
    return [(str(each.pk), f"{each}（{words[each.state]}）") for each in rulesets.history()]


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
        choice.choices = [(LIVE, "现行规则"), *set_choices()]

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


class SimulationForm(forms.Form):
    """Past orders or a file, and the set to try them on."""

    name = forms.CharField(label="名称", required=False, max_length=60, widget=UnfoldAdminTextInputWidget())
    rule_set = forms.ChoiceField(
        label="对比规则", widget=UnfoldAdminSelectWidget, error_messages={"required": "请选择对比规则"},
        help_text="选生效中的，只看现行规则比就近、比先到先得省多少",
    )  # fmt: skip
    since = forms.DateTimeField(
        label="订单起", required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"})
    )
    until = forms.DateTimeField(
        label="订单止",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text="不填即现在",
    )
    channel = forms.ChoiceField(label="渠道", required=False, widget=UnfoldAdminSelectWidget)
    most_orders = forms.IntegerField(
        label="最多单数", initial=4_000, min_value=1, max_value=MOST_ORDERS,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}), help_text=f"最多 {MOST_ORDERS:,}",
    )  # fmt: skip
    file = forms.FileField(
        label="假设订单（表格）", required=False, widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,.xlsx"}),
        help_text="上传后按表格里的订单和现在的库存模拟，不看上面的时间和渠道",
    )  # fmt: skip
    has_refusals = forms.BooleanField(
        label="模拟拒单与超时", required=False, initial=True, widget=UnfoldBooleanSwitchWidget, help_text="按经销商的接单概率抽签"
    )
    seed = forms.IntegerField(
        label="随机种子", initial=1, min_value=1, max_value=2_000_000_000,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}), help_text="同一种子得到同样的拒单",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rule_set: Any = self.fields["rule_set"]
        channel: Any = self.fields["channel"]
        rule_set.choices = set_choices()
        channel.choices = [("", "全部渠道"), *ChannelAccount.Channel.choices]

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > MOST_BYTES:
            raise forms.ValidationError(f"文件超过 {MOST_BYTES // 1024 // 1024} MB 的上限")
        return file

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean() or {}
        if not told.get("file") and not told.get("since") and "since" not in self.errors:
            self.add_error("since", "请填写订单起始时间，或上传假设订单的表格")
        return told
