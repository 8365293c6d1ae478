"""Make and end the keys of other systems, and post what they send."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from dealers.models import Dealer
from inventory.ledger import actions as ledger
from inventory.ledger.rules import NewMovement, Report, RowResult
from inventory.partners import queries, statements
from inventory.partners.models import ApiKey
from inventory.partners.rules import Answer, Asked, digest_of, source_key
from oms_project.events import ApiKeyChanged
from oms_project.journal import actions as journal
from oms_project.refusal import Refusal

USE_IS_NOTED_EVERY = timedelta(minutes=1)
Known = tuple[int, Asked, int, int]  # position, row, node_id, sku_id


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; the secret is in nobody's hands but the caller's and in no repr."""

    key: ApiKey
    secret: str = field(repr=False)


@transaction.atomic
def make_key(*, name: str, dealer: Dealer | None, may_read: bool, may_write: bool, actor: str, at: datetime) -> NewKey:
    """A key for another system: of one dealer, or with None of HQ. Its secret cannot be shown again."""
    if not name.strip():
        raise Refusal("请填写密钥名称")
    if not (may_read or may_write):
        raise Refusal("请至少选择一项权限")
    prefix = secrets.token_hex(5)
    secret = f"yp_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        name=name.strip(),
        prefix=prefix,
        digest=digest_of(secret),
        dealer=dealer,
        may_read=may_read,
        may_write=may_write,
        made_at=at,
    )
    _tell(key, "made", actor, at)
    return NewKey(key, secret)


@transaction.atomic
def revoke_key(*, key: ApiKey, actor: str, at: datetime) -> None:
    """From now on nobody comes in with this key; it cannot be revived."""
    if not ApiKey.objects.filter(pk=key.pk, is_active=True).update(is_active=False):
        raise Refusal(f"密钥 {key.prefix} 已经停用")
    _tell(key, "revoked", actor, at)


def _tell(key: ApiKey, state: str, actor: str, at: datetime) -> None:
    fact = ApiKeyChanged(
        prefix=key.prefix,
        key_name=key.name,
        dealer=key.dealer.code if key.dealer else "",
        may_read=key.may_read,
        may_write=key.may_write,
        state=state,
    )
    journal.record(fact, actor=actor, at=at)


def note_use(*, key: ApiKey, at: datetime) -> None:
    """Remember that a key was used, at most once a minute: a busy key must not cost a write per call.

    One conditional statement, or none: nothing for a transaction to hold together.
    """
    before = at - USE_IS_NOTED_EVERY
    if key.used_at is None or key.used_at <= before:
        ApiKey.objects.filter(Q(used_at=None) | Q(used_at__lte=before), pk=key.pk).update(used_at=at)


@transaction.atomic
def take_figures(*, key: ApiKey, rows: Sequence[Asked | Answer], at: datetime) -> list[Answer]:
    """Post absolute figures; one answer per row, in their order. What was refused before stays refused."""
    answers, known = _resolve(key, rows)
    reports = [
        Report(node_id, sku_id, asked.quantity, asked.measured_at or at, source_key(key.prefix, asked.key))
        for _, asked, node_id, sku_id in known
    ]
    return _answered(answers, known, ledger.report(rows=reports, kind="report", actor=_actor(key), at=at), key.prefix)


@transaction.atomic
def take_movements(*, key: ApiKey, rows: Sequence[Asked | Answer], at: datetime) -> list[Answer]:
    """Post movements; one answer per row, in their order. What was refused before stays refused."""
    answers, known = _resolve(key, rows)
    movements = [
        NewMovement(node_id, sku_id, asked.kind, asked.quantity, source_key(key.prefix, asked.key), asked.reason)
        for _, asked, node_id, sku_id in known
    ]
    return _answered(answers, known, ledger.post_rows(movements=movements, actor=_actor(key), at=at), key.prefix)


def _answered(answers: list[Answer | None], known: Sequence[Known], results: Sequence[RowResult], prefix: str) -> list[Answer]:
    """Every row with its answer: the ledger's for those it was given, in the sender's own words for keys."""
    on_hand = statements.read_on_hand({(node_id, sku_id) for _, _, node_id, sku_id in known})
    for (position, asked, *place), result in zip(known, results, strict=True):
        message = result.message.replace(source_key(prefix, asked.key), asked.key)
        answers[position] = Answer(result.code, message, on_hand.get((place[0], place[1])))
    return [answer for answer in answers if answer is not None]


def _actor(key: ApiKey) -> str:
    return f"api:{key.prefix}"


def _resolve(key: ApiKey, rows: Sequence[Asked | Answer]) -> tuple[list[Answer | None], list[Known]]:
    """Answers so far, and the rows whose place and goods are known, with their position and ids."""
    asked = [row for row in rows if isinstance(row, Asked)]
    nodes = queries.nodes_for(key, {row.node for row in asked})
    skus = queries.skus({row.sku for row in asked})
    answers: list[Answer | None] = []
    known: list[Known] = []
    for position, row in enumerate(rows):
        if isinstance(row, Answer):
            answers.append(row)
            continue
        node_id, sku = nodes.get(row.node), skus.get(row.sku)
        if node_id is not None and sku is not None and sku.is_counted:
            answers.append(None)
            known.append((position, row, node_id, sku.pk))
            continue
        wrong = ["未知仓库"] if node_id is None else []
        if sku is None:
            wrong.append("未知 SKU")
        elif not sku.is_counted:
            wrong.append("虚拟商品和服务不计库存")
        answers.append(Answer("refused", "；".join(wrong)))
    return answers, known
