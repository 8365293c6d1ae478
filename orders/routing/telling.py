"""A stored decision in sentences: for operators with all figures, for a dealer with its own affairs only. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from oms_project.money import yuan
from orders.routing.rules import RELAXED_TEXT
from orders.routing.table import TERRITORY, Fence
from orders.rulesets.rules import Unroutable

Entry = Mapping[str, Any]
COMPONENT_TEXT = {
    "freight": "运费",
    "install": "安装",
    "late": "超时效",
    "risk": "拒单风险",
    "cross_region": "跨区费",
    "fairness": "超出协议份额",
    "ageing": "积压抵扣",
    "scarcity": "稀缺价",
}
WEAKNESS_TEXT = {
    "late": "送达晚于承诺",
    "risk": "拒单与超时的记录",
    "cross_region": "跨区配送",
    "fairness": "本月已超出协议份额",
}


def price_told(entry: Entry) -> str:
    """What a place would cost, and for which lines where it is not for all of them."""
    part = f"，只含{_lines(entry['lines'])}" if "missing" in entry else ""
    return f"{yuan(entry['cost_fen'])}{part}"


def explain(trace: Sequence[Entry], plan: Sequence[Entry], terms: Entry | None = None) -> list[str]:
    """For operators: on which terms, why these places, why several, why late, and for each other place why not.

    `terms` is what Decision.on_terms says; older decisions have none.
    """
    terms = terms or {}
    names = {entry["node"]: entry["name"] for entry in trace}
    told = [RELAXED_TEXT[Unroutable(terms["relaxed"])]] if terms.get("relaxed") else []
    for package in plan:
        parts = "、".join(f"{COMPONENT_TEXT[name]} {yuan(amount)}" for name, amount in package["breakdown"].items() if amount)
        name = names.get(package["node"], package["node"])
        cost = f"合计 {yuan(package['cost_fen'])}（{parts or '没有费用'}）"
        told.append(f"为什么派给{name}：{_lines(package['lines'])}成本最低，{cost}")
    if len(plan) > 1:
        told.append(f"为什么拆单：{_why_split(trace, plan, terms.get('split_fee_fen', 0))}")
    promise_days = terms.get("promise_days")
    for package in plan if promise_days is not None else ():
        if package["days"] > promise_days:
            name = names.get(package["node"], package["node"])
            told.append(f"为什么晚到：{name} 需 {package['days']} 天，承诺 {promise_days} 天，{_why_late(trace, package)}")
    chosen = {package["node"] for package in plan}
    cheapest = sum(package["cost_fen"] for package in plan)
    told += [f"为什么不是{entry['name']}：{_why_not(entry, plan, cheapest)}" for entry in trace if entry["node"] not in chosen]
    return told


def explain_to_dealer(trace: Sequence[Entry], plan: Sequence[Entry], dealer_id: int) -> list[str]:
    """为什么没派给我, place by place of one dealer: no amounts, and nothing of anybody else."""
    chosen = {package["node"]: package for package in plan}
    told = []
    for entry in trace:
        if entry.get("dealer") != dealer_id:
            continue
        if entry["node"] in chosen:
            why = f"已派给您：{_lines(chosen[entry['node']]['lines'])}"
        elif "fence" in entry:
            why = entry["text"]
        elif "missing" in entry:
            why = _lacking(entry)
        elif not plan:
            why = "本单暂时没有完整的方案"
        else:
            weak = [text for name, text in WEAKNESS_TEXT.items() if entry["breakdown"].get(name, 0) > 0]
            why = "可以承接，但本次综合成本不是最低"
            why += f"；影响您排序的有：{'、'.join(weak)}" if weak else ""
        told.append(f"{entry['name']}：{why}")
    return told or ["您的发货点不服务该地区"]


def is_its_affair(trace: Sequence[Entry], plan: Sequence[Entry], dealer_id: int) -> bool:
    """Whether a dealer may ask about a decision: its territory, or work that it was given or asked about before."""
    chosen = {package["node"] for package in plan}
    mine = [entry for entry in trace if entry.get("dealer") == dealer_id]
    return any(entry["target"] == TERRITORY or entry["node"] in chosen or entry.get("fence") == Fence.REFUSED for entry in mine)


def _lines(indexes: Sequence[int]) -> str:
    return f"第 {'、'.join(str(index + 1) for index in indexes)} 行"


def _lacking(entry: Entry) -> str:
    return "；".join(f"第 {int(index) + 1} 行{text}" for index, text in entry["missing"].items())


def _can_do(entry: Entry, lines: Sequence[int]) -> bool:
    return "fence" not in entry and set(lines) <= set(entry["lines"])


def _why_split(trace: Sequence[Entry], plan: Sequence[Entry], split_fee_fen: int) -> str:
    lines = [index for package in plan for index in package["lines"]]
    whole = min((entry for entry in trace if _can_do(entry, lines)), key=lambda entry: entry["cost_fen"], default=None)
    total = sum(package["cost_fen"] for package in plan) + split_fee_fen * (len(plan) - 1)
    fees = f"{len(plan)} 个包裹含拆单费共 {yuan(total)}"
    if whole is None:
        return f"没有一个可用的发货点能做整单，{fees}"
    saved = whole["cost_fen"] - total
    gain = f"拆单省 {yuan(saved)}" if saved > 0 else "整单并不更省" if saved == 0 else "整批统筹后如此分派"
    return f"整单最低是{whole['name']}的 {yuan(whole['cost_fen'])}，{fees}，{gain}"


def _why_late(trace: Sequence[Entry], package: Entry) -> str:
    """The cause at the place that was chosen, and who would be there first."""
    here: Entry = next((entry for entry in trace if entry["node"] == package["node"]), {})
    wait = here.get("wait", 0)
    causes = [f"{here['why_wait']}，等 {wait} 天发出"] if wait else []
    if here:
        causes.append(f"路程 {here['km']} 公里需 {package['days'] - wait} 天")
    able = [entry for entry in trace if _can_do(entry, package["lines"])]
    first = min(able, key=lambda entry: (entry["days"], entry["cost_fen"]), default=None)
    if first is None or first["days"] >= package["days"]:
        causes.append("没有更早送达的发货点")
    else:
        goods = "" if set(first["lines"]) == set(package["lines"]) else f"（含{_lines(first['lines'])}）"
        causes.append(f"最早是{first['name']}，{first['days']} 天，成本 {yuan(first['cost_fen'])}{goods}")
    return "；".join(causes)


def _why_not(entry: Entry, plan: Sequence[Entry], cheapest: int) -> str:
    if "fence" in entry:
        cost = f"（成本 {price_told(entry)}）" if "cost_fen" in entry else ""
        return f"{entry['text']}{cost}"
    if "missing" in entry:
        return _lacking(entry)
    if not plan:
        return "不能与其他发货点合起来完成整单"
    more = entry["cost_fen"] - cheapest
    why = f"贵 {yuan(more)}" if more > 0 else "成本相同" if more == 0 else "拆成多个包裹更贵"
    return f"成本 {yuan(entry['cost_fen'])}，{why}"
