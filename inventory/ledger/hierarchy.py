"""Whose a place may be, and which may stand under which; pure."""

RANKS = {"hq": 0, "region": 1, "dealer": 2, "store": 3}


def owner_problem(kind: str, dealer_id: int | None) -> str:
    """Why a node may not be of this kind; empty when it may: dealers' places have a dealer, ours have none."""
    if kind not in RANKS:
        return f"未知的节点类别：{kind}"
    if kind in {"dealer", "store"} and dealer_id is None:
        return "经销商仓和门店必须选择经销商"
    return "总部仓和区域仓不属于经销商，请清空经销商" if kind in {"hq", "region"} and dealer_id is not None else ""


def parent_problem(kind: str, dealer_id: int | None, parent_kind: str, parent_dealer_id: int | None) -> str:
    """Why a node may not stand under another; empty when it may: hq > region > dealer > store, same kinds included.

    A store stands under HQ, a region, or a place of its own dealer.
    """
    if RANKS[parent_kind] > RANKS[kind]:
        return "上级仓的类别不能低于本仓（总部仓 > 区域仓 > 经销商仓 > 门店）"
    if kind == "store" and parent_dealer_id is not None and parent_dealer_id != dealer_id:
        return "门店的上级仓必须属于同一经销商，或为总部仓、区域仓"
    return ""
