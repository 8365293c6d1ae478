"""What intake reads: shops, and whether a risk was cleared."""

import base64
import time
import zlib
from collections.abc import Collection
from typing import Any

import orjson

from dealers.divisions import queries as divisions
from oms_project.sealed import unseal
from orders.intake.models import ChannelAccount, SourceMessage

_SHOP_SECONDS = 5.0
_shops: dict[int, tuple[float, ChannelAccount]] = {}


def forget() -> None:
    """Shops or divisions changed: read them again."""
    _shops.clear()
    divisions.forget()


def accounts_of(channel: str, app_key: str) -> list[ChannelAccount]:
    """The active shops that push through one app, oldest first."""
    return list(ChannelAccount.objects.filter(channel=channel, app_key=app_key, is_active=True).order_by("pk"))


def accounts(account_ids: Collection[int]) -> dict[int, ChannelAccount]:
    """Shops by id, for calling their channel; kept in the process for five seconds."""
    now = time.monotonic()
    if any(pk not in _shops or now - _shops[pk][0] >= _SHOP_SECONDS for pk in account_ids):
        _shops.update({pk: (now, shop) for pk, shop in ChannelAccount.objects.in_bulk(list(account_ids)).items()})
    return {pk: _shops[pk][1] for pk in account_ids if pk in _shops}


def told(tag: str, account_ids: Collection[int], external_ids: Collection[str]) -> set[tuple[int, str]]:
    """(account, order) pairs of which a message with this tag has come, handled or not."""
    messages = SourceMessage.objects.filter(account_id__in=account_ids, external_id__in=external_ids, tag=tag)
    return set(messages.values_list("account_id", "external_id"))


def detail_of(message: SourceMessage) -> dict[str, Any] | None:
    """The channel's order document as it was fetched for a message, opened; None if none was fetched."""
    packed = unseal(message.detail_sealed)
    return orjson.loads(zlib.decompress(base64.b64decode(packed))) if packed else None
