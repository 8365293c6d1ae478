"""Keep what channels push, and turn it into orders.

`receive_push` is all that happens before the channel gets its answer. `digest_messages` is the
pump: it asks the channel for the order behind each message outside of any transaction, then
places all orders of the batch and finishes their messages in one.
"""

import base64
import json
import logging
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from oms_project.journal.bell import bell
from oms_project.refusal import Stale
from oms_project.sealed import seal, unseal
from orders.catalogue import queries as catalogue
from orders.intake import queries, rules, statements
from orders.intake.adapters import doudian
from orders.intake.models import ChannelAccount, SourceMessage
from orders.intake.rules import GiveUp, Message, RetryLater
from orders.intake.statements import Claimed
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.rules import ChannelOrder

log = logging.getLogger("yipan.intake")
ADAPTERS = {doudian.CHANNEL: doudian}
LEASE = timedelta(seconds=60)
_HEARD_EVERY = timedelta(seconds=30)
_FETCHES = 8
# A batch whose channel hangs gives the rest of its messages back well before its lease ends.
_FETCH_SECONDS = 20.0
_BUSY = "本轮未轮到，稍后再取"

OrderKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A message with the order behind it; `document` is kept with the newest message of an order only."""

    message: Claimed
    account: ChannelAccount
    order: ChannelOrder
    document: str


def receive_push(*, account: ChannelAccount, messages: Sequence[Message], at: datetime) -> int:
    """Store the messages of a push, sealed, each once; returns how many are new. The door answers after it.

    A message of another shop, or of a kind that changes nothing here, is kept as ignored.
    """
    work_tags = ADAPTERS[account.channel].ORDER_TAGS
    rows = [
        (
            message,
            seal(message.body),
            message.tag in work_tags and bool(message.external_id) and message.shop_id in ("", account.shop),
        )
        for message in {message.msg_id: message for message in messages}.values()
    ]
    if not rows:
        return 0
    with transaction.atomic():
        stored = statements.insert_messages(account.pk, rows, at)
        if account.last_heard_at is None or account.last_heard_at <= at - _HEARD_EVERY:
            is_older = Q(last_heard_at=None) | Q(last_heard_at__lt=at)
            ChannelAccount.objects.filter(is_older, pk=account.pk).update(last_heard_at=at)
    bell.ring()
    return stored


@transaction.atomic
def count_refusal(*, app_key: str) -> None:
    """Somebody pushed with a wrong digest in the name of an app: counted for its shops, nothing else is kept."""
    ChannelAccount.objects.filter(app_key=app_key).update(refused_count=F("refused_count") + 1)


@transaction.atomic
def retry_message(*, message: SourceMessage, at: datetime) -> None:
    """Give a parked message another life from the beginning. Raises Stale when it is not parked any more."""
    parked = SourceMessage.objects.filter(pk=message.pk, done_at=None, due_at=None)
    if not parked.update(due_at=at, tries=0, outcome="", last_error=""):
        raise Stale("这条消息已在处理或已处理")


def digest_messages(*, at: datetime, limit: int = 100) -> int:
    """Turn due messages into orders and refunds; returns how many were taken in hand.

    A worker that dies in between loses nothing: its messages are due again when the lease ends,
    and placing an order twice changes nothing.
    """
    claimed = statements.claim_due(at, at + LEASE, limit)
    if not claimed:
        return 0
    accounts = ChannelAccount.objects.in_bulk({message.account_id for message in claimed})
    failed: list[tuple[Claimed, Exception]] = []
    tired = [message for message in claimed if message.tries > rules.MAX_TRIES + 1]
    failed += [(message, GiveUp("多次处理未果")) for message in tired]
    fresh = [message for message in claimed if message.tries <= rules.MAX_TRIES + 1]
    details = _fetch_all(fresh, accounts)
    ready: list[Ready] = []
    _translate_all(fresh, accounts, details, ready, failed)
    failed += _finish_all(ready, at)
    if failed:
        statements.mark_failed([_verdict(message, error, at) for message, error in failed])
    return len(claimed)


def _fetch_all(messages: Sequence[Claimed], accounts: Mapping[int, ChannelAccount]) -> dict[OrderKey, dict[str, Any] | Exception]:
    """The document of every distinct order, or why there is none. No transaction, no database."""
    keys = list(dict.fromkeys((message.account_id, message.external_id) for message in messages))
    fetch = partial(_fetch, accounts, time.monotonic() + _FETCH_SECONDS)
    if len(keys) == 1:
        return {keys[0]: fetch(keys[0])}
    with ThreadPoolExecutor(min(_FETCHES, len(keys) or 1), thread_name_prefix="fetch") as pool:
        return dict(zip(keys, pool.map(fetch, keys), strict=True))


def _fetch(accounts: Mapping[int, ChannelAccount], ends: float, key: OrderKey) -> dict[str, Any] | Exception:
    account = accounts[key[0]]
    if time.monotonic() > ends:
        return RetryLater(_BUSY)
    try:
        return ADAPTERS[account.channel].fetch_order(account, key[1])
    except (RetryLater, GiveUp) as error:
        return error
    except Exception as error:
        log.exception("fetching from %s failed", account.channel)
        return error


def _translate_all(
    messages: Sequence[Claimed],
    accounts: Mapping[int, ChannelAccount],
    details: Mapping[OrderKey, dict[str, Any] | Exception],
    ready: list[Ready],
    failed: list[tuple[Claimed, Exception]],
) -> None:
    """Documents as canonical orders: one look at the catalogue for the whole batch."""
    codes = set()
    for (account_id, _), detail in details.items():
        if isinstance(detail, dict):
            codes |= ADAPTERS[accounts[account_id].channel].codes_of(detail)
    parts = catalogue.parts_for(codes)
    of_order: dict[OrderKey, list[Claimed]] = {}
    for message in messages:
        of_order.setdefault((message.account_id, message.external_id), []).append(message)
    for key, group in of_order.items():
        detail, account = details[key], accounts[key[0]]
        if not isinstance(detail, dict):
            failed += [(message, detail) for message in group]
            continue
        said = [message.tag for message in group if message.tag in (doudian.TAG_PAID, doudian.TAG_PENDING)]
        is_pending = said[-1:] == [doudian.TAG_PENDING]
        try:
            order = ADAPTERS[account.channel].translate(
                detail, account.shop, parts.get, queries.region_for, is_pending=is_pending
            )
            if order.external_id != key[1]:
                raise GiveUp("平台返回了另一张订单")
        except GiveUp as error:
            failed += [(message, error) for message in group]
            continue
        document = _packed(detail)
        ready += [Ready(message, account, order, document if message is group[-1] else "") for message in group]


def _packed(detail: dict[str, Any]) -> str:
    """The order document as received, deflated before it is sealed: ciphertext does not compress."""
    text = json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
    return seal(base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 1)).decode())


def document_of(message: SourceMessage) -> dict[str, Any] | None:
    """The channel's order document kept with a message, as received."""
    packed = unseal(message.detail_sealed)
    document: dict[str, Any] | None = json.loads(zlib.decompress(base64.b64decode(packed))) if packed else None
    return document


def _finish_all(ready: Sequence[Ready], at: datetime) -> list[tuple[Claimed, Exception]]:
    """Place the batch in one transaction; if it fails, order by order. Returns what failed and why."""
    if not ready:
        return []
    try:
        _finish(ready, at)
        return []
    except Exception as error:
        orders = list(dict.fromkeys((item.account.pk, item.order.external_id) for item in ready))
        if len(orders) == 1:
            return [(item.message, error) for item in ready]
        log.exception("a batch of %s orders failed, going one at a time", len(orders))
    return [
        failure
        for key in orders
        for failure in _finish_all([item for item in ready if (item.account.pk, item.order.external_id) == key], at)
    ]


@transaction.atomic
def _finish(ready: Sequence[Ready], at: datetime) -> None:
    outcomes: dict[OrderKey, str] = {}
    for account in {item.account.pk: item.account for item in ready}.values():
        orders = {item.order.external_id: item.order for item in ready if item.account.pk == account.pk}
        placed = lifecycle.place_orders(orders=list(orders.values()), actor=f"channel:{account.channel}", at=at)
        outcomes |= {(account.pk, external_id): outcome for external_id, outcome in placed.items()}
    rows = []
    for item in ready:
        outcome = outcomes[(item.account.pk, item.order.external_id)]
        if item.message.tag == doudian.TAG_REFUNDED and _refund(item, at):
            outcome = "refunded"
        rows.append((item.message.id, outcome, item.document))
    statements.mark_done(rows, at)


def _refund(item: Ready, at: datetime) -> bool:
    adapter = ADAPTERS[item.account.channel]
    aftersale_id, line_id, amount_fen = adapter.refund_of(unseal(item.message.body_sealed))
    return lifecycle.record_refund(
        channel=item.order.channel,
        shop=item.order.shop,
        external_id=item.order.external_id,
        external_line_id=line_id,
        refund_key=f"{item.account.channel}:{aftersale_id}",
        amount_fen=amount_fen,
        actor=f"channel:{item.account.channel}",
        at=at,
    )


def _verdict(message: Claimed, error: Exception, at: datetime) -> tuple[int, str, str, datetime | None]:
    """When to try a failed message again. Our own errors tell their text, others only their kind."""
    is_known = isinstance(error, RetryLater | GiveUp)
    told = (str(error) if is_known else f"处理出错（{type(error).__name__}）")[:300]
    if not is_known:
        log.error("message %s failed", message.id, exc_info=error)
    if isinstance(error, GiveUp) or message.tries > rules.MAX_TRIES:
        return message.id, "parked", told, None
    return message.id, "", told, at + rules.back_off(message.tries)
