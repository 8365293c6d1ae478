"""The SQL of arrivals, for PostgreSQL and for SQLite.

Lock order: deliveries by id, then levels by id. Whoever changes a reservation that stands on a
delivery, or lets it stand on a level, has locked the delivery.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from django.db import connection
from django.db.models import Exists, F, OuterRef

from inventory.ledger.models import Incoming, Level

Place = tuple[int, int]  # node_id, sku_id


def _marks(count: int) -> str:
    return ", ".join(["%s"] * count)


def lock_deliveries(source_keys: Collection[str]) -> list[Incoming]:
    """Lock deliveries, with node and SKU, in the order of their ids."""
    rows = Incoming.objects.select_for_update(of=("self",)).select_related("node", "sku")
    return list(rows.filter(source_key__in=source_keys).order_by("pk"))


def lock_levels(source_keys: Collection[str]) -> dict[Place, Level]:
    """Lock the stock rows at which some deliveries arrive, as far as they exist, in the order of their ids."""
    here = Incoming.objects.filter(node_id=OuterRef("node_id"), sku_id=OuterRef("sku_id"), source_key__in=source_keys)
    rows = Level.objects.select_for_update(of=("self",)).filter(Exists(here)).order_by("pk")
    return {(level.node_id, level.sku_id): level for level in rows}


def lock_promisable(sku_id: int, since: date, by: date | None, node_ids: Collection[int] | None) -> list[Incoming]:
    """Lock the open deliveries of one SKU to active nodes in [since, by], in the order of their ids."""
    rows = Incoming.objects.select_for_update(of=("self",)).filter(sku_id=sku_id, state="open", expected_on__gte=since)
    if by is not None:
        rows = rows.filter(expected_on__lte=by)
    if node_ids is not None:
        rows = rows.filter(node_id__in=node_ids)
    return list(rows.filter(node__is_active=True).order_by("pk"))


def raise_promised(incoming_id: int, units: int) -> bool:
    """Promise units of a delivery if so many are left; the net below the lock."""
    left = Incoming.objects.filter(pk=incoming_id, state="open", quantity__gte=F("received") + F("promised") + units)
    return left.update(promised=F("promised") + units) == 1


def read_queues(incoming_ids: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """(reservation_id, quantity) per delivery in the order of promising. The deliveries must be locked."""
    queues: dict[int, list[tuple[int, int]]] = {incoming_id: [] for incoming_id in incoming_ids}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT incoming_id, id, quantity FROM inventory_reservation "
            f"WHERE state = 'open' AND incoming_id IN ({_marks(len(incoming_ids))}) ORDER BY id",
            list(incoming_ids),
        )
        for incoming_id, reservation_id, quantity in cursor.fetchall():
            queues[incoming_id].append((reservation_id, quantity))
    return queues


def stand_on_level(incoming_id: int, last_id: int, level_id: int, at: datetime) -> None:
    """Let the promises on a delivery up to `last_id` stand on a level. Delivery and level must be locked."""
    _restand(incoming_id, last_id, "level_id", level_id, "presale", at)


def stand_nowhere(incoming_id: int, last_id: int, sku_id: int, at: datetime) -> None:
    """Let the promises on a delivery up to `last_id` wait for any stock of the SKU. The delivery must be locked."""
    _restand(incoming_id, last_id, "sku_id", sku_id, "global", at)


def _restand(incoming_id: int, last_id: int, column: str, place_id: int, kind: str, at: datetime) -> None:
    """A bill that stands there already gets its units added: it may stand in one place once."""
    here = "incoming_id = %s AND state = 'open' AND id <= %s"
    mine = [incoming_id, last_id]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE inventory_reservation SET quantity = inventory_reservation.quantity + w.quantity FROM "
            f"(SELECT bill, quantity FROM inventory_reservation WHERE {here}) w "
            f"WHERE inventory_reservation.bill = w.bill AND {column} = %s AND state = 'open'",
            [*mine, place_id],
        )
        if cursor.rowcount > 0:
            cursor.execute(
                f"UPDATE inventory_reservation SET state = 'released', closed_at = %s, reason = %s WHERE {here} "
                f"AND bill IN (SELECT bill FROM inventory_reservation WHERE {column} = %s AND state = 'open')",
                [connection.ops.adapt_datetimefield_value(at), "并入同一单据的预占", *mine, place_id],
            )
        cursor.execute(
            f"UPDATE inventory_reservation SET {column} = %s, kind = %s, incoming_id = NULL WHERE {here}",
            [place_id, kind, *mine],
        )


def stand_in_part(reservation_id: int, units: int, level_id: int) -> None:
    """Let some units of one promise on a delivery stand on a level. Delivery and level must be locked."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE inventory_reservation SET quantity = quantity - %s WHERE id = %s", [units, reservation_id])
        cursor.execute(
            "UPDATE inventory_reservation SET quantity = quantity + %s WHERE state = 'open' AND level_id = %s "
            "AND bill = (SELECT bill FROM inventory_reservation WHERE id = %s)",
            [units, level_id, reservation_id],
        )
        if cursor.rowcount == 0:
            cursor.execute(
                "INSERT INTO inventory_reservation (level_id, bill, kind, quantity, state, held_at, expires_at) "
                "SELECT %s, bill, 'presale', %s, 'open', held_at, expires_at FROM inventory_reservation WHERE id = %s",
                [level_id, units, reservation_id],
            )


def read_promised_drift() -> Sequence[tuple[str, int, int]]:
    """(source_key, promised, Σ open presale reservations) of every delivery where the two differ."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.source_key, i.promised, CAST(COALESCE(r.units, 0) AS BIGINT) FROM inventory_incoming i "
            "LEFT JOIN (SELECT incoming_id, SUM(quantity) AS units FROM inventory_reservation "
            "WHERE state = 'open' AND incoming_id IS NOT NULL GROUP BY incoming_id) r ON r.incoming_id = i.id "
            "WHERE i.promised <> COALESCE(r.units, 0) ORDER BY i.id"
        )
        return cursor.fetchall()
