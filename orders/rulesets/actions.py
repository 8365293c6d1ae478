"""Writes of rule sets: a draft is made, edited and dropped; publishing puts it in force and retires the one before."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Max

from dealers.models import Staff
from oms_project import events
from oms_project.journal import actions as journal
from oms_project.refusal import NotFound, Refusal, Stale
from orders.rulesets import queries, statements
from orders.rulesets.models import RuleSet, Terms

State = RuleSet.State
FIRST_NAME = "路由规则"


class NotADraft(Refusal):
    """A set that is or was in force is never changed."""


class Faulty(Refusal):
    """The set would break the arithmetic or holds rows that could never apply; `faults` says which."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"有 {len(faults)} 处问题，不能发布：{'；'.join(faults)}")
        self.faults = faults


def _only_administrators(staff: Staff) -> None:
    if staff.role != Staff.Role.ADMIN:
        raise NotFound


@transaction.atomic
def new_draft(*, based_on: int | None, name: str = "", staff: Staff, at: datetime) -> RuleSet:
    """A draft with the next version: a copy of a set, or an empty one with the default terms.

    Raises NotFound for a set that does not exist and for everybody but administrators, Stale when
    somebody else made a draft at the same moment.
    """
    _only_administrators(staff)
    source = queries.ruleset(based_on) if based_on is not None else None
    terms = {field.name: getattr(source, field.name) for field in Terms._meta.fields} if source else {}
    version = (RuleSet.objects.aggregate(newest=Max("version"))["newest"] or 0) + 1
    try:
        with transaction.atomic():
            draft = RuleSet.objects.create(
                name=name or (source.name if source else FIRST_NAME),
                version=version,
                based_on=source,
                created_by=staff,
                created_at=at,
                **terms,
            )
    except IntegrityError:
        raise Stale("有人刚刚也新建了一个版本，请再试一次") from None
    if source:
        statements.copy_sections(source.pk, draft.pk)
    return draft


@transaction.atomic
def take_draft(*, ruleset_id: int, staff: Staff) -> RuleSet:
    """Lock a draft until the end of the transaction, so that it can be changed and not be published meanwhile.

    Raises NotFound, or NotADraft for a set that is or was in force.
    """
    _only_administrators(staff)
    draft = RuleSet.objects.select_for_update().filter(pk=ruleset_id).first()
    if draft is None:
        raise NotFound
    if draft.state != State.DRAFT:
        raise NotADraft(f"{draft} {draft.get_state_display()}，不能再改；请复制为草稿")
    return draft


@transaction.atomic
def discard_draft(*, ruleset_id: int, staff: Staff) -> None:
    """Throw a draft away with all its rows. Raises what take_draft raises."""
    take_draft(ruleset_id=ruleset_id, staff=staff).delete()


@transaction.atomic
def publish(*, ruleset_id: int, staff: Staff, at: datetime) -> RuleSet:
    """Put a draft in force instead of the set before; orders that wait are tried again by event.

    Publishing what is in force changes nothing. Raises NotFound (also for everybody but
    administrators), NotADraft for a retired set, Faulty. Locks: all sets that are not retired, by id.
    """
    _only_administrators(staff)
    kept = RuleSet.objects.exclude(state=State.RETIRED)
    locked = {each.pk: each for each in kept.select_for_update().order_by("pk")}
    chosen = locked.get(ruleset_id) or queries.ruleset(ruleset_id)
    if chosen.state == State.PUBLISHED:
        return chosen
    if chosen.state != State.DRAFT:
        raise NotADraft(f"{chosen} 已停用；请复制为草稿再发布")
    faults, _ = queries.faults_of(ruleset_id)
    if faults:
        raise Faulty(faults)
    RuleSet.objects.filter(state=State.PUBLISHED).update(state=State.RETIRED, retired_at=at)
    RuleSet.objects.filter(pk=ruleset_id).update(state=State.PUBLISHED, published_by=staff, published_at=at)
    journal.record(events.RoutingChanged(what=f"rules-{ruleset_id}"), actor=f"staff:{staff.pk}", at=at)
    chosen.refresh_from_db()
    return chosen
