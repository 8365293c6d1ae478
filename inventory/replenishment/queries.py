"""Who may see a transfer, and what of it is still to do."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.db.models import Prefetch, Q, QuerySet
from django.utils.timezone import localdate

from dealers.models import Staff
from inventory.items.models import Sku
from inventory.ledger import queries as ledger
from inventory.ledger.models import Node, StockCheck
from inventory.ledger.queries import Decomposition
from inventory.replenishment import statements
from inventory.replenishment.advice import refill, relieve
from inventory.replenishment.models import StockNeed, Transfer, TransferLine
from inventory.replenishment.rules import BELOW_SAFETY, STEPS, Advice, Neighbour, Place, Row, may_step
from oms_project.refusal import NotFound

PAGE = 50
COVER_DAYS = 7
SHORT_FOR = timedelta(days=7)  # how long a short transfer is spoken of
_HQ, _DEALERS = frozenset({"admin", "operator"}), frozenset({"owner", "clerk"})


def transfers_for(staff: Staff) -> QuerySet[Transfer]:
    """The transfers that somebody may see: HQ's operators all, a dealer's owner and clerks those from or to own places."""
    if not staff.is_active:
        return Transfer.objects.none()
    if staff.role in _HQ:
        return Transfer.objects.all()
    if staff.role not in _DEALERS or staff.dealer_id is None:
        return Transfer.objects.none()
    return Transfer.objects.filter(Q(source__dealer=staff.dealer_id) | Q(target__dealer=staff.dealer_id))


def transfer_for(*, staff: Staff, transfer_no: str, step: str = "see") -> Transfer:
    """One transfer with which somebody may do `step` (a key of STEPS, or see). Raises NotFound; the two look the same."""
    transfer = transfers_for(staff).select_related("source", "target").filter(transfer_no=transfer_no).first()
    if transfer is None:
        raise NotFound("找不到这张调拨单")
    if staff.role in _HQ:
        return transfer
    owns_source, owns_target = (node.dealer_id == staff.dealer_id for node in (transfer.source, transfer.target))
    if not may_step(step, owns_source=owns_source, owns_target=owns_target):
        raise NotFound("找不到这张调拨单")
    return transfer


def targets_for(staff: Staff) -> QuerySet[Node]:
    """The open places that somebody may request goods for."""
    nodes = Node.objects.filter(is_active=True)
    if staff.is_active and staff.role in _HQ:
        return nodes
    is_dealers = staff.is_active and staff.role in _DEALERS and staff.dealer_id is not None
    return nodes.filter(dealer=staff.dealer_id) if is_dealers else nodes.none()


def target_for(*, staff: Staff, node_id: int) -> Node:
    """A place that somebody may request goods for. Raises NotFound."""
    node = targets_for(staff).filter(pk=node_id).first()
    if node is None:
        raise NotFound("找不到这个仓库")
    return node


def sources_for(staff: Staff) -> QuerySet[Node]:
    """The open places from which somebody may request goods: HQ from all, a dealer from ours and its own."""
    nodes = Node.objects.filter(is_active=True)
    if staff.is_active and staff.role in _HQ:
        return nodes
    is_dealers = staff.is_active and staff.role in _DEALERS and staff.dealer_id is not None
    return nodes.filter(Q(dealer=staff.dealer_id) | Q(dealer=None)) if is_dealers else nodes.none()


def place_among(nodes: QuerySet[Node], code: str) -> Node:
    """The place of that code, if it is one of these. Raises NotFound; another's place looks like none."""
    node = nodes.filter(code=code).first()
    if node is None:
        raise NotFound("找不到这个仓库")
    return node


def sku_ids_of(codes: Collection[str]) -> dict[str, int]:
    """The ids of the goods with these codes; unknown ones are left out."""
    return dict(Sku.objects.filter(code__in=codes).values_list("code", "pk"))


def with_lines(transfers: QuerySet[Transfer]) -> QuerySet[Transfer]:
    """Transfers with their places and lines, two statements for any number of them."""
    lines = Prefetch("lines", TransferLine.objects.select_related("sku").order_by("pk"))
    return transfers.select_related("source", "target").prefetch_related(lines)


def steps_for(*, staff: Staff, transfer: Transfer) -> list[str]:
    """What somebody may do next with a transfer that they see."""
    owns_source, owns_target = (node.dealer_id == staff.dealer_id for node in (transfer.source, transfer.target))
    steps = steps_of(transfer)
    return steps if staff.role in _HQ else [s for s in steps if may_step(s, owns_source=owns_source, owns_target=owns_target)]


def late_transfers(*, at: datetime) -> QuerySet[Transfer]:
    """Transfers whose goods should have come before today."""
    return Transfer.objects.filter(state=Transfer.State.SHIPPED, expected_on__lt=localdate(at))


def short_transfers(*, at: datetime) -> QuerySet[Transfer]:
    """Transfers closed within a week of which less came than was sent."""
    lost = TransferLine.objects.filter(lost__gt=0)
    return Transfer.objects.filter(closed_at__gte=at - SHORT_FOR, pk__in=lost.values("transfer_id"))


def steps_of(transfer: Transfer) -> list[str]:
    """What may be done next, in the order people do it."""
    return [step for step, states in STEPS.items() if transfer.state in states]


@dataclass(frozen=True, slots=True)
class Advised:
    """A stock row that falls short or has too much, and what to do about it."""

    row: Row
    advice: Advice


def last_check() -> StockCheck:
    """When it was found last what falls short and what is too much."""
    return ledger.last_check(StockCheck.Name.NEEDS)


def shortages(
    *, at: datetime, cover_days: int = COVER_DAYS, page: int = 1, level_ids: Collection[int] | None = None
) -> tuple[list[Advised], bool]:
    """Places with nothing free above their safety stock, or that run out in fewer than `cover_days` at the pace of 14 days.

    50 to a page, the worst first, and whether more follow. The last check says which (before the first one,
    everything is looked at now), of very many the most urgent; the figures are of this moment, and what was made
    good since is left out.
    With `level_ids` only these. Four statements, whatever there is.
    """
    read = partial(statements.read_shortages, at, cover_days)
    rows, has_more = _rows(StockNeed.objects.filter(kind="short", lasts_days__lt=cover_days), read, page, level_ids)
    return _advise(rows, statements.read_neighbours([row.place for row in rows], at), refill, cover_days), has_more


def surpluses(
    *, at: datetime, cover_days: int = COVER_DAYS, page: int = 1, level_ids: Collection[int] | None = None
) -> tuple[list[Advised], bool]:
    """Places above their stock limit, or with goods that stood for 30 days and of which nothing was shipped; as `shortages`."""
    read = partial(statements.read_surpluses, at)
    rows, has_more = _rows(StockNeed.objects.filter(kind="excess"), read, page, level_ids)
    return _advise(rows, statements.read_neighbours([row.place for row in rows], at), relieve, cover_days), has_more


def _rows(
    needs: QuerySet[StockNeed], read: Callable[..., list[Row]], page: int, level_ids: Collection[int] | None
) -> tuple[list[Row], bool]:
    """One page, and whether more follow."""
    first = (page - 1) * PAGE
    if level_ids is not None or last_check().checked_at is None:
        rows = read(PAGE + 1, first, level_ids)
        return rows[:PAGE], len(rows) > PAGE
    ids = list(needs.order_by("rank", "level_id").values_list("level_id", flat=True)[first : first + PAGE + 1])
    return read(PAGE, 0, ids[:PAGE]), len(ids) > PAGE


def low_stock(*, limit: int) -> list[Decomposition]:
    """The places with least free above their safety stock, as last found; figures of this moment, the worst first."""
    if last_check().checked_at is None:
        return ledger.stock_alarms(limit=limit)
    low = StockNeed.objects.filter(kind="short", lasts_days=BELOW_SAFETY).order_by("rank", "level_id")
    return ledger.stock_alarms(limit=limit, level_ids=list(low.values_list("level_id", flat=True)[:limit]))


def _advise(
    rows: Sequence[Row],
    near: Mapping[Place, Sequence[Neighbour]],
    decide: Callable[[Row, Sequence[Neighbour], int], Advice],
    cover_days: int,
) -> list[Advised]:
    """Decide row by row; what one advice takes from a place, the next one does not take again."""
    moved: dict[Place, int] = {}
    advised = []
    for row in rows:
        others = [replace(other, free=other.free + moved.get((other.node_id, row.sku_id), 0)) for other in near[row.place]]
        advice = decide(row, others, cover_days)
        for node_id, units in ((advice.source_id, -advice.units), (advice.target_id, advice.units)):
            moved[(node_id, row.sku_id)] = moved.get((node_id, row.sku_id), 0) + units
        advised.append(Advised(row, advice))
    return advised


def transfers_of(advised: Sequence[Advised]) -> dict[tuple[int, int], dict[int, int]]:
    """What is advised as transfers: units per SKU, by source and target."""
    going: dict[tuple[int, int], dict[int, int]] = {}
    for each in advised:
        if each.advice.units:
            units = going.setdefault((each.advice.source_id, each.advice.target_id), {})
            units[each.row.sku_id] = units.get(each.row.sku_id, 0) + each.advice.units
    return dict(sorted(going.items()))
