"""Who may see a transfer, and what of it is still to do."""

from django.db.models import Q, QuerySet

from dealers.models import Staff
from inventory.ledger.models import Node
from inventory.replenishment.models import Transfer
from inventory.replenishment.rules import STEPS, may_step
from oms_project.refusal import NotFound

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


def steps_of(transfer: Transfer) -> list[str]:
    """What may be done next, in the order people do it."""
    return [step for step, states in STEPS.items() if transfer.state in states]
