"""Which place may stand under which; pure."""

RANKS = {"hq": 0, "region": 1, "dealer": 2, "store": 3}


def parent_problem(kind: str, dealer_id: int | None, parent_kind: str, parent_dealer_id: int | None) -> str:
    """Why a node may not stand under another; empty when it may: hq > region > dealer > store, same kinds included.

    A store stands under HQ, a region, or a place of its own dealer.
    """
    if RANKS[parent_kind] > RANKS[kind]:
        return "上级仓的类别不能低于本仓（总部仓 > 区域仓 > 经销商仓 > 门店）"
    if kind == "store" and parent_dealer_id is not None and parent_dealer_id != dealer_id:
        return "门店的上级仓必须属于同一经销商，或为总部仓、区域仓"
    return ""
