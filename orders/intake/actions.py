"""Every write of intake: keep what channels push, and turn it into orders.

The queue is the table of messages itself. `digest_messages` claims due ones with a lease, asks
the channel outside of any transaction, and writes orders and verdicts in one transaction; a
crash anywhere in between leaves messages that are due again when the lease ends.
"""

import base64
import logging
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.db.models import F

from dealers.divisions import queries as divisions
from oms_project.journal.bell import bell
from oms_project.refusal import Stale
from oms_project.sealed import seal, unseal
from orders.catalogue import queries as catalogue
from orders.intake import queries, statements
from orders.intake.adapters import doudian
from orders.intake.models import ChannelAccount, SourceMessage
from orders.intake.rules import LEASE, MOST_TRIES, LastingFailure, Message, PassingFailure, back_off
from orders.intake.statements import Claimed, Verdict
from orders.lifecycle import actions as lifecycle
from orders.lifecycle.rules import ChannelOrder

log = logging.getLogger("yipan.intake")

ADAPTERS = {doudian.CHANNEL: doudian}
FETCHERS = 8
FETCH_SECONDS = 45.0  # well below the lease: what was not asked by then waits for the next batch
ACTOR = "channel"
_HEARD_GAP = timedelta(seconds=60)
_CHUNK = 500

OrderKey = tuple[int, str]  # account id, the channel's order id


@dataclass(frozen=True, slots=True)
class Postponed:
    """An order that was not asked for in time; it costs no try."""


Answer = dict[str, Any] | PassingFailure | LastingFailure | Postponed


def receive_push(
    *, account: ChannelAccount, messages: Sequence[Message], at: datetime, siblings: Collection[ChannelAccount] = ()
) -> int:
    """Keep the messages of one verified push, all or none; returns how many were new.

    `siblings` are the other shops of the same app: each message goes to the shop it names. One of
    a shop that we do not know is kept under `account`, visible and ignored. A message that needs
    no work is done at once; one that should name an order and does not is parked for a person.
    """
    shops = {one.shop: one for one in (*siblings, account)}
    rows = [_row(message, shops.get(message.shop), account, at) for message in messages]
    new = 0
    unheard = account.last_heard_at is None or at - account.last_heard_at > _HEARD_GAP
    # One statement is all or nothing by itself: two round trips less for the push of every day.
    with transaction.atomic() if unheard or len(rows) > _CHUNK else nullcontext():
        for start in range(0, len(rows), _CHUNK):
            new += statements.insert_messages(rows[start : start + _CHUNK])
        if unheard:
            ChannelAccount.objects.filter(pk=account.pk).update(last_heard_at=at)
    if new:
        bell.ring()
    return new


def _row(message: Message, named: ChannelAccount | None, account: ChannelAccount, at: datetime) -> tuple[object, ...]:
    owner = named or account
    due: datetime | None = at
    done: datetime | None = None
    outcome = error = ""
    if named is None and message.shop:
        due, done, outcome, error = None, at, "ignored", f"未登记的店铺 {message.shop}"
    elif message.tag not in ADAPTERS[owner.channel].TELLING_TAGS:
        due, done, outcome = None, at, "ignored"
    elif not message.external_id:
        due, outcome, error = None, "parked", "消息没有订单号"
    return owner.pk, message.key, message.tag, message.external_id, seal(message.body), at, due, done, outcome, error


@transaction.atomic
def count_refusal(*, account: ChannelAccount) -> None:
    """A push that claimed to come from this app had a wrong digest; nothing of it is kept."""
    ChannelAccount.objects.filter(pk=account.pk).update(refused_count=F("refused_count") + 1)


@transaction.atomic
def retry_message(*, message: SourceMessage, at: datetime) -> None:
    """Give a parked message another life from the beginning. Raises Stale when it is not parked."""
    parked = SourceMessage.objects.filter(pk=message.pk, done_at=None, due_at=None).exclude(external_id="")
    if not parked.update(due_at=at, tries=0, outcome="", last_error=""):
        raise Stale("这条消息没有停放，无需重试")


def digest_messages(*, at: datetime, limit: int = 100) -> int:
    """Turn up to `limit` due messages into orders; returns how many were taken on.

    One poisonous order does not stop the others: a batch that fails is done again one order at a time.
    """
    claimed = statements.claim_messages(at, at + LEASE, limit)
    if not claimed:
        return 0
    accounts = queries.accounts({message.account_id for message in claimed})
    answers = _fetch({(message.account_id, message.external_id) for message in claimed}, accounts)
    try:
        _absorb(claimed, answers, accounts, at)
    except Exception:
        log.exception("a batch of %s messages failed, going one order at a time", len(claimed))
        for key in answers:
            _absorb_one([message for message in claimed if _key(message) == key], answers, accounts, at)
    return len(claimed)


def _key(message: Claimed) -> OrderKey:
    return message.account_id, message.external_id


def _fetch(keys: Collection[OrderKey], accounts: Mapping[int, ChannelAccount]) -> dict[OrderKey, Answer]:
    """Ask the channels for each order once, several at a time. No database in here."""
    give_up_at = time.monotonic() + FETCH_SECONDS

    def ask(key: OrderKey) -> Answer:
        if time.monotonic() > give_up_at:
            return Postponed()
        account = accounts[key[0]]
        try:
            return ADAPTERS[account.channel].fetch_order(account, key[1])
        except (PassingFailure, LastingFailure) as failure:
            return failure
        except Exception as error:
            log.exception("asking for an order failed")
            return PassingFailure(f"取单出错：{type(error).__name__}")

    ordered = sorted(keys)
    if len(ordered) == 1:
        return {ordered[0]: ask(ordered[0])}
    with ThreadPoolExecutor(max_workers=min(FETCHERS, len(ordered)), thread_name_prefix="fetch") as pool:
        return dict(zip(ordered, pool.map(ask, ordered), strict=True))


def _absorb_one(
    messages: Sequence[Claimed], answers: Mapping[OrderKey, Answer], accounts: Mapping[int, ChannelAccount], at: datetime
) -> None:
    try:
        _absorb(messages, answers, accounts, at)
    except Exception as error:
        log.exception("order of message %s failed", messages[0].id)
        statements.settle_messages([_failed(message, f"{type(error).__name__}", at) for message in messages])


@transaction.atomic
def _absorb(
    messages: Sequence[Claimed], answers: Mapping[OrderKey, Answer], accounts: Mapping[int, ChannelAccount], at: datetime
) -> None:
    """Orders, refunds and verdicts of claimed messages, all in this one transaction."""
    orders, failures = _translate(messages, answers, accounts)
    outcomes = lifecycle.place_orders(orders=list(orders.values()), actor=ACTOR, at=at) if orders else {}
    packed = {key: _packed(answer) for key, answer in answers.items() if isinstance(answer, dict)}
    verdicts = []
    for message in messages:
        key = _key(message)
        if key in orders:
            try:
                outcome = _refund(message, accounts, at) or outcomes[message.external_id]
            except LastingFailure as failure:
                verdicts.append(_parked(message, str(failure), packed[key]))
                continue
            verdicts.append(Verdict(message.id, None, at, outcome, message.tries, "", packed[key]))
        else:
            verdicts.append(_unanswered(message, failures.get(key) or answers[key], packed.get(key, ""), at))
    statements.settle_messages(verdicts)


def _translate(
    messages: Sequence[Claimed], answers: Mapping[OrderKey, Answer], accounts: Mapping[int, ChannelAccount]
) -> tuple[dict[OrderKey, ChannelOrder], dict[OrderKey, LastingFailure]]:
    keys = dict.fromkeys(_key(message) for message in messages)
    details = {key: answer for key in keys if isinstance(answer := answers[key], dict)}
    adapters = {key: ADAPTERS[accounts[key[0]].channel] for key in details}
    codes = {code for key, detail in details.items() for code in adapters[key].codes_in(detail)}
    parts = catalogue.parts_for(codes) if codes else {}
    places = divisions.gazetteer() if details else None
    risky = _risky(messages, adapters)
    orders: dict[OrderKey, ChannelOrder] = {}
    failures: dict[OrderKey, LastingFailure] = {}
    for key, detail in details.items():
        try:
            orders[key] = adapters[key].translate(
                detail, shop=accounts[key[0]].shop, gazetteer=places, parts=parts, is_risky=key in risky
            )
        except LastingFailure as failure:
            failures[key] = failure
    return orders, failures


def _risky(messages: Sequence[Claimed], adapters: Mapping[OrderKey, Any]) -> set[OrderKey]:
    """Orders of which only the risk was told and not, before or after it, the confirmation."""
    known = [message for message in messages if _key(message) in adapters]
    risky = {_key(message) for message in known if message.tag == adapters[_key(message)].TAG_RISK}
    if not risky:
        return risky
    confirmed = {adapters[key].TAG_CONFIRMED for key in risky}
    accounts, ids = {key[0] for key in risky}, {key[1] for key in risky}
    return risky - {key for tag in confirmed for key in queries.told(tag, accounts, ids)}


def _refund(message: Claimed, accounts: Mapping[int, ChannelAccount], at: datetime) -> str:
    """Record the refund that a message tells of; '' when it tells of none. Raises LastingFailure."""
    account = accounts[message.account_id]
    adapter = ADAPTERS[account.channel]
    if message.tag != adapter.TAG_REFUNDED:
        return ""
    notice = adapter.refund_told(unseal(message.body_sealed))
    if notice is None:
        return ""
    recorded = lifecycle.record_refund(
        channel=account.channel,
        shop=account.shop,
        external_id=message.external_id,
        external_line_id=notice.external_line_id if notice.external_line_id != message.external_id else "",
        refund_key=notice.key,
        amount_fen=notice.amount_fen,
        actor=ACTOR,
        at=at,
    )
    return "refunded" if recorded else ""


def _packed(detail: Mapping[str, Any]) -> str:
    return seal(base64.b64encode(zlib.compress(orjson.dumps(detail), 6)).decode())


def _parked(message: Claimed, why: str, packed: str = "") -> Verdict:
    return Verdict(message.id, None, None, "parked", message.tries, why[:300], packed)


def _failed(message: Claimed, why: str, at: datetime) -> Verdict:
    if message.tries > MOST_TRIES:
        return _parked(message, why)
    return Verdict(message.id, at + back_off(message.tries), None, "", message.tries, why[:300])


def _unanswered(message: Claimed, answer: Answer, packed: str, at: datetime) -> Verdict:
    if isinstance(answer, Postponed):
        return Verdict(message.id, at + back_off(1), None, "", message.tries - 1, "本批时间用完，稍后再取")
    if isinstance(answer, LastingFailure):
        return _parked(message, str(answer), packed)
    return _failed(message, str(answer), at)
