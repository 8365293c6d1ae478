"""What is asked about imports: what waits to be worked on, what a file would change, and what became of its rows."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from inventory.exchange.models import StockFile, StockFileRow
from inventory.exchange.rules import Item, Line
from inventory.items.models import Sku
from inventory.ledger.models import Level, Node

_State = StockFile.State
WORKING = (_State.UPLOADED, _State.READING, _State.APPLYING, _State.UNDOING)
_COUNTS_NOT = (_State.REFUSED, _State.DROPPED, _State.UNDONE)
_WRONG = (StockFileRow.State.BAD, StockFileRow.State.FAILED, StockFileRow.State.KEPT)


def files_to_work_on() -> list[int]:
    """Ids of files that wait for a worker, the oldest first."""
    return list(StockFile.objects.filter(state__in=[*WORKING]).order_by("id").values_list("id", flat=True))


def same_file(*, digest: str, purpose: str, since: datetime) -> StockFile | None:
    """The last file with the same bytes and purpose that was uploaded since then, and counts."""
    files = StockFile.objects.filter(digest=digest, purpose=purpose, uploaded_at__gte=since).exclude(state__in=_COUNTS_NOT)
    return files.defer("body").order_by("-id").first()


def nodes_by_code(codes: Collection[str]) -> dict[str, int]:
    return dict(Node.objects.filter(code__in=codes).values_list("code", "id"))


def items_by_code(codes: Collection[str]) -> dict[str, Item]:
    found = Sku.objects.filter(code__in=codes).values_list("code", "id", "kind", "is_active")
    return {code: Item(sku_id, kind, is_active) for code, sku_id, kind, is_active in found}


def places_seen(file: StockFile) -> dict[int, int]:
    """Line.place → number of its row, of the rows that were read before."""
    rows = file.rows.filter(state=StockFileRow.State.READY)
    columns = rows.values_list("number", "node_id", "target_id", "sku_id")
    return {
        Line(number, node_id or 0, target_id, sku_id or 0, 0, None, "").place: number
        for number, node_id, target_id, sku_id in columns.iterator(5000)
    }


def rows_by_state(file: StockFile) -> dict[str, int]:
    """How many rows are in each state."""
    return dict(file.rows.values_list("state").annotate(count=Count("id")).order_by())


def rows_by_fault(file: StockFile) -> dict[str, int]:
    """How many bad rows have each fault as their first."""
    bad = file.rows.filter(state=StockFileRow.State.BAD)
    return dict(bad.values_list("fault").annotate(count=Count("id")).order_by("-count"))


@dataclass(frozen=True, slots=True)
class Preview:
    """A row as it would be applied: what stands now and what would stand after, at its place and for transfers at the target."""

    row: StockFileRow
    now: int | None = None
    after: int | None = None
    target_now: int | None = None
    target_after: int | None = None


def preview(file: StockFile, limit: int) -> list[Preview]:
    """The first rows with what they would do, each as if it were alone; two statements."""
    rows = list(file.rows.select_related("node", "target", "sku").order_by("number")[:limit])
    wanted = Q()
    for row in rows:
        if row.state == StockFileRow.State.READY:
            wanted |= Q(node_id__in=[row.node_id, row.target_id or row.node_id], sku_id=row.sku_id)
    found = Level.objects.filter(wanted).values_list("node_id", "sku_id", "on_hand") if wanted else ()
    standing = {(node_id, sku_id): on_hand for node_id, sku_id, on_hand in found}
    return [_previewed(file.purpose, row, standing) for row in rows]


def _previewed(purpose: str, row: StockFileRow, standing: dict[tuple[int, int], int]) -> Preview:
    if row.state != StockFileRow.State.READY or row.node_id is None or row.sku_id is None or row.quantity is None:
        return Preview(row)
    now = standing.get((row.node_id, row.sku_id), 0)
    if purpose == StockFile.Purpose.TRANSFER and row.target_id is not None:
        there = standing.get((row.target_id, row.sku_id), 0)
        return Preview(row, now, now - row.quantity, there, there + row.quantity)
    return Preview(row, now, now + row.quantity if purpose == StockFile.Purpose.CHANGE else row.quantity)


def results(file: StockFile, state: str = "") -> QuerySet[StockFileRow]:
    """The rows of a file in their order, or those in one state."""
    rows = file.rows.select_related("node", "target", "sku").order_by("number")
    return rows.filter(state=state) if state else rows


def has_wrong_rows(file: StockFile) -> bool:
    return file.rows.filter(state__in=_WRONG).exists()


def wrong_rows(file: StockFile) -> Iterator[tuple[int, list[str], str, str]]:
    """(number, cells as they were given, state in words, reason) of the rows that were not applied or not undone."""
    for row in results(file).filter(state__in=_WRONG).iterator(2000):
        yield row.number, row.cells or _cells(file, row), row.get_state_display(), row.problem


def _cells(file: StockFile, row: StockFileRow) -> list[str]:
    """The cells of a row whose original is no longer kept, from what was understood."""
    cells = [""] * len(file.header)
    told = {"node": row.node, "target": row.target, "sku": row.sku}
    for role, index in file.columns.items():
        thing = told.get(role)
        cells[index] = thing.code if thing else {"quantity": str(row.quantity), "reason": row.reason}.get(role, "")
    return cells
