"""How a simulation and the savings report are laid out in tables; amounts in 元, shares in per cent."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from dealers.models import Dealer
from oms_project.money import yuan
from orders.intake.models import ChannelAccount
from orders.routing.telling import COMPONENT_TEXT
from orders.simulation import queries
from orders.simulation.models import Simulation
from orders.simulation.rules import Side
from orders.simulation.savings import Saved
from orders.simulation.tally import OURS, SPLIT, Tally, from_json, headline, percent, rounded, saved, signed

SIDES = {Side.DRAFT: "对比规则", Side.LIVE: "现行规则", Side.NEAREST: "就近优先", Side.FIRST_COME: "先到先得（逐单最优）"}
MOST_DEALERS = 100
Table = dict[str, Any]
SAVED = (
    "日期",
    "渠道",
    "已派订单",
    "可比订单",
    "与就近不同",
    "实际成本（元）",
    "就近成本（元）",
    "节省（元）",
    "平均每单节省（元）",
)
_FIGURES: tuple[tuple[str, Callable[[Tally], str]], ...] = (
    ("订单", lambda tally: f"{tally.orders:,}"),
    ("整单派出", lambda tally: f"{tally.filled:,}（{percent(tally.filled, tally.orders)}）"),
    ("未派出件数", lambda tally: f"{tally.unfilled:,}"),
    ("总成本（按各自规则）", lambda tally: yuan(tally.cost_fen)),
    ("每单成本（按各自规则）", lambda tally: yuan(rounded(tally.cost_fen, tally.filled))),
    ("总成本（按现行规则计价）", lambda tally: yuan(tally.compared_fen)),
    ("每单成本（按现行规则计价）", lambda tally: yuan(rounded(tally.compared_fen, tally.filled))),
    ("包裹", lambda tally: f"{tally.packages:,}"),
    ("每单包裹", lambda tally: _hundredths(tally.packages, tally.filled)),
    ("拆单率", lambda tally: percent(tally.split, tally.filled)),
    ("按时率", lambda tally: percent(tally.on_time, tally.filled)),
    ("拒单与超时", lambda tally: f"{tally.refusals:,}"),
)


def shown_simulation(simulation: Simulation) -> dict[str, Any]:
    """The page of a simulation: progress while it runs, tables when it is done. Names take one statement."""
    total = simulation.total or 0
    shown: dict[str, Any] = {
        "simulation": simulation,
        "is_under_way": simulation.state in queries.UNDER_WAY,
        "percent": 100 * simulation.done // total if total else 0,
    }
    if simulation.state != Simulation.State.DONE:
        return shown
    tallies, comparisons = from_json(simulation.result)
    comparison = comparisons[Side.DRAFT]
    others = [saved(comparisons[side], SIDES[side]) for side in (Side.NEAREST, Side.FIRST_COME)]
    names = {str(pk): name for pk, name in Dealer.objects.values_list("id", "name")}
    return shown | {
        "headline": headline(total, comparison),
        "saved": f"现行规则{'，'.join(others)}",
        "moved": comparison.moved,
        "figures": _table("指标", tallies, lambda tally: [told(tally) for _, told in _FIGURES], [name for name, _ in _FIGURES]),
        "parts": _parts(tallies),
        "dealers": _dealers(tallies, names),
        "provinces": _provinces(tallies),
    }


def _table(first: str, tallies: Mapping[str, Tally], column: Callable[[Tally], list[str]], names: list[str]) -> Table:
    columns = [column(tallies[side]) for side in SIDES]
    return {"headers": [first, *SIDES.values()], "rows": [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]}


def _parts(tallies: Mapping[str, Tally]) -> Table:
    """What the cost is made of, by the rules that each side decides by."""
    known = {**COMPONENT_TEXT, SPLIT: "拆单费"}
    used = [name for name in known if any(tally.parts.get(name) for tally in tallies.values())]
    return _table(
        "成本构成", tallies, lambda tally: [yuan(tally.parts.get(name, 0)) for name in used], [known[name] for name in used]
    )


def _dealers(tallies: Mapping[str, Tally], names: Mapping[str, str]) -> Table:
    """Pieces of work and shares, those with most work first; the difference is draft less the rules in force."""
    draft, live = tallies[Side.DRAFT], tallies[Side.LIVE]
    totals = {side: sum(works for works, _ in tallies[side].dealers.values()) for side in SIDES}
    most = {
        key: max(tally.dealers.get(key, [0, 0])[0] for tally in tallies.values())
        for some in tallies.values()
        for key in some.dealers
    }
    rows = []
    for key in sorted(most, key=lambda key: (-most[key], key))[:MOST_DEALERS]:
        works = {side: tallies[side].dealers.get(key, [0, 0])[0] for side in SIDES}
        shares = [f"{works[side]:,}（{percent(works[side], totals[side])}）" for side in SIDES]
        change = _points(works[Side.DRAFT], totals[Side.DRAFT], works[Side.LIVE], totals[Side.LIVE])
        costs = draft.dealers.get(key, [0, 0])[1] - live.dealers.get(key, [0, 0])[1]
        rows.append(["总部自有" if key == OURS else names.get(key, key), *shares, change, signed(costs)])
    return {"headers": ["经销商", *SIDES.values(), "份额变化", "成本变化"], "rows": rows}


def _provinces(tallies: Mapping[str, Tally]) -> Table:
    draft, live = tallies[Side.DRAFT].provinces, tallies[Side.LIVE].provinces
    rows = []
    for code in sorted(live, key=lambda code: (-live[code][0], code)):
        here, there = draft.get(code, [0] * 5), live[code]
        mean = [rounded(some[4], some[1]) for some in (here, there)]
        rows.append(
            [
                queries.region_of(f"{code}0000"),
                f"{there[0]:,}",
                f"{here[1]:,} / {there[1]:,}",
                f"{percent(here[2], here[1])} / {percent(there[2], there[1])}",
                f"{_hundredths(here[3], here[1])} / {_hundredths(there[3], there[1])}",
                f"{yuan(mean[0])} / {yuan(mean[1])}",
                signed(mean[0] - mean[1]),
            ]
        )
    headers = ["省份", "订单", "整单派出（对比 / 现行）", "按时率", "每单包裹", "每单成本（按各自规则）", "差额"]
    return {"headers": headers, "rows": rows}


def _hundredths(part: int, whole: int) -> str:
    count = rounded(100 * part, whole)
    return f"{count // 100}.{count % 100:02d}"


def _points(part: int, whole: int, other_part: int, other_whole: int) -> str:
    """The difference of two shares in points, one decimal."""
    tenths = rounded(1000 * part, whole) - rounded(1000 * other_part, other_whole)
    sign = "+" if tenths > 0 else "-" if tenths < 0 else ""
    return f"{sign}{abs(tenths) // 10}.{abs(tenths) % 10} 个百分点"


def saved_lines(found: Mapping[tuple[date, str], Saved]) -> list[list[str]]:
    """The savings report, the last day first; amounts in 元 without their unit, as a spreadsheet adds them."""
    channels = dict(ChannelAccount.Channel.choices)
    keys = sorted(found, key=lambda key: (-key[0].toordinal(), key[1]))
    return [[f"{day:%Y-%m-%d}", channels.get(channel, channel), *_saved(found[day, channel])] for day, channel in keys]


def shown_savings(found: Mapping[tuple[date, str], Saved]) -> dict[str, Any]:
    """The report as a page: a sentence, and the days."""
    whole = Saved()
    for each in found.values():
        for name in ("orders", "compared", "moved", "cost_fen", "nearest_fen"):
            setattr(whole, name, getattr(whole, name) + getattr(each, name))
    rows = saved_lines(found)
    if rows:
        rows.append(["合计", "", *_saved(whole)])
    told = f"{whole.compared:,} 单可比订单比就近优先共节省 {yuan(whole.saved_fen)}"
    mean = f"，平均每单 {yuan(rounded(whole.saved_fen, whole.compared))}" if whole.compared else ""
    left = whole.orders - whole.compared
    return {"told": f"{told}{mean}", "left_out": left, "table": {"headers": SAVED, "rows": rows}}


def _saved(day: Saved) -> list[str]:
    amounts = (day.cost_fen, day.nearest_fen, day.saved_fen, rounded(day.saved_fen, day.compared))
    return [str(day.orders), str(day.compared), str(day.moved), *map(_plain, amounts)]


def _plain(fen: int) -> str:
    return yuan(fen).removesuffix(" 元").replace(",", "")
